//! Members of a body that nobody knows: an error where they are a slip, ignored where clients may send more.

use serde_json::json;

use crate::support::{TestNode, shop};

#[tokio::test]
async fn unknown_members_are_named() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let server = format!("/api/servers/{}", node.server(json!({ "name": "S" })).await.id);
    let step = json!({ "connectorId": "open", "actionId": "listItems", "parameter": {} });
    for (method, path, body, field, known) in [
        ("POST", "/api/keys".to_owned(), json!({ "expiresInDay": 1 }), "expiresInDay", "`expiresInDays`"),
        ("POST", "/api/jwt-issuers".to_owned(), json!({ "audiences": ["a"] }), "audiences", "`audience`"),
        ("POST", "/api/accounts".to_owned(), json!({ "id": "acme", "title": "Acme" }), "title", "`id`, `name`"),
        ("POST", format!("{server}/token"), json!({ "grace": 60 }), "grace", "`graceSeconds`"),
        ("PUT", format!("{server}/workflows/look"), json!({ "steps": [step] }), "steps[0].parameter", "`parameters`"),
        ("POST", "/api/connectors".to_owned(), json!({ "title": "Shop", "spec": shop::document() }), "title", "`name`"),
        ("PUT", "/api/connectors/open".to_owned(), json!({ "title": "Shop" }), "title", "`name`"),
        ("PUT", "/api/connectors/open".to_owned(), json!({ "name": "Shop", "title": "Shop" }), "title", "`name`"),
        ("PUT", "/api/connectors/open".to_owned(), json!({}), "spec", "`name`"),
        ("PUT", "/api/connectors/open".to_owned(), json!({ "id": "other", "name": "Other" }), "id", "in the address"),
    ] {
        let answer = node.ask(method, &path).json(&body).send().await;
        answer.refuses(400, known);
        assert_eq!(answer.body["details"]["field"], field, "{method} {path}: {}", answer.text);
        assert!(answer.sentence().contains(field) || field == "spec", "{method} {path}: {}", answer.text);
    }
    assert_eq!(node.get("/api/connectors/open").await.body["name"], "Shop", "as the document calls it");
    assert_eq!(node.get("/api/keys").await.body["count"], 1);
}

/// The clients of the product whose API this is may send more, and anybody may change an answer and send it back.
#[tokio::test]
async fn more_than_we_know_is_taken_where_clients_may_send_it() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let made = node.post("/api/servers", json!({ "name": "S", "mode": "connectivity", "icon": "x" })).await.expect(201);
    let server = format!("/api/servers/{}", made.body["serverId"].as_str().unwrap());
    let mut whole = node.get(&server).await.expect(200).body;
    whole["description"] = json!("changed");
    assert_eq!(node.put(&server, whole).await.expect(200).body["description"], "changed");
    let workflow = format!("{server}/workflows/look");
    let steps = json!({ "steps": [{ "connectorId": "open", "actionId": "listItems" }] });
    let mut whole = node.put(&workflow, steps).await.expect(201).body;
    whole["description"] = json!("changed");
    assert_eq!(node.put(&workflow, whole).await.expect(200).body["description"], "changed");
    node.post("/users", json!({ "username": "ann", "email": "ann@example.com" })).await.expect(201);
    let credential = json!({ "authenticationType": "apiKey", "data": { "apiKey": "12345678" }, "redirectUri": "https://app.example.com" });
    node.post("/connectors/shop/credentials", credential).await.expect(200);
    node.post("/connectors/open/actions/listItems/execute", json!({ "parameters": {}, "stream": false })).await.expect(200);
}
