//! The connector that most tests use: a shop, described in OpenAPI, whose platform runs on loopback.

use serde_json::{Value, json};

use super::{Platform, TestNode};

/// The shop's document. Its ways to authenticate are those of the platform's three clients: key, token, password.
pub fn document() -> Value {
    let id = json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } });
    let ok = json!({ "200": { "description": "ok" } });
    json!({
        "openapi": "3.0.3",
        "info": { "title": "Shop", "version": "1" },
        "servers": [{ "url": "https://shop.invalid" }],
        "security": [{ "key": [] }, { "token": [] }, { "login": [] }],
        "paths": {
            "/items": {
                "get": { "operationId": "listItems", "tags": ["items"], "summary": "List items", "responses": ok, "parameters": [
                    { "name": "filter", "in": "query", "schema": { "type": "string" } },
                    { "name": "X-Trace", "in": "header", "schema": { "type": "string" } },
                ] },
                "post": { "operationId": "createItem", "tags": ["items"], "summary": "Create an item", "responses": ok, "requestBody": {
                    "required": true,
                    "content": { "application/json": { "schema": { "type": "object", "required": ["name"], "properties": {
                        "name": { "type": "string" }, "count": { "type": "integer" } } } } } } },
            },
            "/items/{id}": {
                "get": { "operationId": "getItem", "tags": ["items"], "summary": "Get an item", "responses": ok, "parameters": [id] },
                "delete": { "operationId": "deleteItem", "tags": ["items"], "summary": "Delete an item", "responses": ok, "parameters": [id] },
            },
            "/do/{id}": {
                "get": { "operationId": "misbehave", "tags": ["trouble"], "summary": "Cause trouble", "responses": ok, "parameters": [
                    id, { "name": "to", "in": "query", "schema": { "type": "string" } } ] },
            },
        },
        "components": { "securitySchemes": {
            "key": { "type": "apiKey", "in": "header", "name": "X-Shop-Key" },
            "token": { "type": "http", "scheme": "bearer" },
            "login": { "type": "http", "scheme": "basic" },
        } },
    })
}

/// The same without authentication.
pub fn open_document() -> Value {
    let mut document = document();
    let members = document.as_object_mut().unwrap();
    members.remove("security");
    members.remove("components");
    document
}

/// Imports a document under this id, at this platform.
pub async fn import(node: &TestNode, id: &str, platform: &Platform, document: Value) {
    let body = json!({ "id": id, "baseUrl": platform.url(), "spec": document });
    node.post("/api/connectors", body).await.expect(201);
}

/// A platform, imported as `shop`, which needs a credential, and as `open`, which needs none.
pub async fn shop(node: &TestNode) -> Platform {
    let platform = Platform::start().await;
    import(node, "shop", &platform, document()).await;
    import(node, "open", &platform, open_document()).await;
    platform
}

/// A credential of this user for `shop`; returns its id.
pub async fn credential(node: &TestNode, user: &str, kind: &str, data: Value) -> String {
    let body = json!({ "userId": user, "authenticationType": kind, "data": data });
    let made = node.post("/connectors/shop/credentials", body).await.expect(200);
    made.body["credentialId"].as_str().unwrap().to_owned()
}
