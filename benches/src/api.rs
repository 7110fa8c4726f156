//! The platform that actions call: a REST API on loopback with a bearer token, and its OpenAPI document.

use std::net::SocketAddr;

use axum::{
    Json, Router,
    response::{IntoResponse, Response},
    routing::post,
};
use hyper::{
    HeaderMap, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use serde_json::{Value, json};

/// The id under which the platform is imported.
pub const CONNECTOR: &str = "bench";
/// The same without a credential.
pub const OPEN_CONNECTOR: &str = "open";
/// What stands before the paths of that one.
const OPEN: &str = "/open";
/// Its one action. It writes, so that no read cache answers.
pub const ACTION: &str = "create_order";
/// Where that action is.
pub const PATH: &str = "/orders";
/// What the platform accepts as bearer token.
pub const TOKEN: &str = "bench-platform-token-0123456789abcdef";

/// About 300 bytes, as such APIs answer a creation.
const ANSWER: &str = r#"{"id":"ord_5f2c9a7d81","object":"order","status":"created","created":"2026-11-21T09:00:00Z","customer":{"id":"cus_81c2","name":"Ada Example","email":"ada@example.com"},"total":{"amount":12950,"currency":"EUR"},"lines":3,"note":"Deliver after noon","links":{"self":"/orders/ord_5f2c9a7d81"}}"#;

/// Serves the platform.
///
/// # Errors
/// A sentence when the address cannot be listened on.
pub fn run(listen: SocketAddr) -> Result<(), String> {
    crate::listen::serve(listen, Router::new().route(PATH, post(create)).route(&format!("{OPEN}{PATH}"), post(create_for_anybody)))
}

async fn create(headers: HeaderMap, Json(_): Json<Value>) -> Response {
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if token != Some(TOKEN) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    ([(CONTENT_TYPE, "application/json")], ANSWER).into_response()
}

async fn create_for_anybody(Json(_): Json<Value>) -> Response {
    ([(CONTENT_TYPE, "application/json")], ANSWER).into_response()
}

/// The OpenAPI document of the part of the platform that wants no token.
pub fn open_document(address: SocketAddr) -> Value {
    let mut document = document(address);
    document["servers"] = json!([{ "url": format!("http://{address}{OPEN}") }]);
    document["security"] = json!([]);
    document["components"] = json!({});
    document
}

/// The OpenAPI document of the platform at this address.
pub fn document(address: SocketAddr) -> Value {
    let text = || json!({ "type": "string" });
    let line = json!({ "type": "object", "required": ["sku", "quantity"], "properties": {
        "sku": text(), "quantity": { "type": "integer", "minimum": 1 }, "price": { "type": "number" },
        "title": text(), "note": text(), "gift": { "type": "boolean" }, "tags": { "type": "array", "items": text() } } });
    let order = json!({ "type": "object", "required": ["customer"], "properties": {
        "customer": text(), "note": text(), "lines": { "type": "array", "items": line } } });
    json!({
        "openapi": "3.0.3",
        "info": { "title": "Bench", "version": "1.0.0" },
        "servers": [{ "url": format!("http://{address}") }],
        "components": { "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } } },
        "security": [{ "token": [] }],
        "paths": { PATH: { "post": {
            "operationId": ACTION, "summary": "Create an order",
            "requestBody": { "required": true, "content": { "application/json": { "schema": order } } },
            "responses": { "200": { "description": "Created", "content": { "application/json": { "schema": { "type": "object" } } } } },
        } } },
    })
}

/// Arguments of the action with so many order lines; 41 lines are about 10 KB.
pub fn arguments(lines: usize) -> Value {
    let line = |n: usize| {
        json!({ "sku": format!("SKU-{n:06}"), "quantity": n % 9 + 1, "price": 12.5, "gift": n.is_multiple_of(4),
            "title": format!("Article {n}: \"blue\" edition, size M"), "tags": ["summer", "cotton", "new"],
            "note": "Wrap it well.\nThe customer wrote: please leave it with the neighbours, Grüße." })
    };
    let lines: Vec<Value> = (0..lines).map(line).collect();
    json!({ "customer": "cus_81c2", "note": "Deliver after noon", "lines": lines })
}
