//! Members of a body that nobody knows: an error where they are a slip, ignored where clients may send more.

use serde_json::json;

use crate::support::{Answer, TestNode, shop};

/// `details.field`, in the shape of either family of routes.
fn field_of(answer: &Answer) -> Option<&str> {
    answer.body["details"]["field"].as_str().or(answer.body["error"]["details"]["field"].as_str())
}

#[tokio::test]
async fn unknown_members_are_named() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let server = format!("/api/servers/{}", node.server(json!({ "name": "S" })).await.id);
    let step = json!({ "connectorId": "open", "actionId": "listItems", "parameter": {} });
    let execute = "/connectors/open/actions/listItems/execute";
    for (method, path, body, field, known) in [
        ("POST", "/api/keys".to_owned(), json!({ "expiresInDay": 1 }), "expiresInDay", "`expiresInDays`"),
        ("POST", "/api/jwt-issuers".to_owned(), json!({ "audiences": ["a"] }), "audiences", "`audience`"),
        ("POST", "/api/accounts".to_owned(), json!({ "id": "acme", "title": "Acme" }), "title", "`id`, `name`"),
        ("POST", format!("{server}/token"), json!({ "grace": 60 }), "grace", "`graceSeconds`"),
        ("PUT", format!("{server}/workflows/look"), json!({ "steps": [step] }), "steps[0].parameter", "`parameters`"),
        ("POST", "/api/connectors".to_owned(), json!({ "title": "Shop", "spec": shop::document() }), "title", "`name`"),
        ("PUT", "/api/connectors/open".to_owned(), json!({ "title": "Shop" }), "title", "`name`"),
        ("PUT", "/api/connectors/open".to_owned(), json!({ "name": "Shop", "title": "Shop" }), "title", "`name`"),
        ("POST", "/api/servers".to_owned(), json!({ "name": "T", "restriction": {} }), "restriction", "did you mean `restrictions`?"),
        ("PUT", server.clone(), json!({ "toolprefix": "always" }), "toolprefix", "did you mean `toolPrefix`?"),
        ("POST", "/api/connectors".to_owned(), json!({ "id": "a b", "spec": shop::document() }), "id", "1 to 64"),
        ("POST", "/api/connectors".to_owned(), json!({ "baseUrl": "here", "spec": shop::document() }), "baseUrl", "`baseUrl`"),
        ("POST", "/api/connectors".to_owned(), json!({ "spec": { "swagger": "1.0" } }), "spec", "OpenAPI 3.0 or 3.1"),
        ("POST", execute.to_owned(), json!({ "queryParams": {} }), "queryParams", "`queryParameters`"),
        ("PUT", "/api/connectors/open".to_owned(), json!({}), "spec", "`name`"),
        ("PUT", "/api/connectors/open".to_owned(), json!({ "id": "other", "name": "Other" }), "id", "in the address"),
    ] {
        let answer = node.ask(method, &path).json(&body).send().await;
        answer.refuses(400, known);
        assert_eq!(field_of(&answer), Some(field), "{method} {path}: {}", answer.text);
        assert!(answer.sentence().contains(field) || field == "spec", "{method} {path}: {}", answer.text);
    }
    for (path, field, known) in [
        ("/api/audit?usrId=ann", "usrId", "did you mean `userId`?"),
        ("/api/audit?decision=refused", "decision", "\"denied\""),
        ("/connectors/search?q=mail", "q", "`goal`"),
        ("/api/audit?limit=2&limit=3", "limit", "twice"),
    ] {
        let answer = node.get(path).await;
        answer.refuses(400, known);
        assert_eq!(field_of(&answer), Some(field), "{path}");
    }
    assert_eq!(node.get("/api/connectors/open").await.body["name"], "Shop", "as the document calls it");
    assert_eq!(node.get("/api/keys").await.body["count"], 1);
}

/// The clients of the product whose API this is may send more, and anybody may change an answer and send it back.
#[tokio::test]
async fn more_than_we_know_is_taken_where_clients_may_send_it() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let made = node.post("/api/servers", json!({ "name": "S", "mode": "connectivity" })).await.expect(201);
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
}

/// A list is not an object whose members come by their order.
#[tokio::test]
async fn an_array_is_no_object() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let server = format!("/api/servers/{}", node.server(json!({ "name": "S" })).await.id);
    for (method, path, body) in [
        ("POST", "/api/keys".to_owned(), json!(["k", "u", "admin"])),
        ("POST", "/api/accounts".to_owned(), json!(["aaa", "bbb"])),
        ("POST", "/users".to_owned(), json!(["aaa", "bbb"])),
        ("POST", "/api/servers".to_owned(), json!([])),
        ("POST", "/connectors/open/actions/listItems/execute".to_owned(), json!([])),
        ("PUT", format!("{server}/workflows/w"), json!({ "steps": [["open", "listItems"]] })),
        ("POST", "/api/v1/user-mcp-servers".to_owned(), json!({ "name": "u", "url": "http://127.0.0.1:9/", "auth_config": [] })),
    ] {
        node.ask(method, &path).json(&body).send().await.refuses(400, "must be an object");
    }
    assert_eq!(node.get("/api/keys").await.body["count"], 1);
}

/// One database keeps it and the other does not, and platforms do not either.
#[tokio::test]
async fn the_nul_character_is_refused_where_it_stands() {
    let node = TestNode::start().await;
    let answer = node.post("/api/servers", json!({ "name": "S", "connectors": ["a", "b\u{0}"] })).await;
    answer.refuses(400, "U+0000");
    assert_eq!(field_of(&answer), Some("connectors.1"));
    node.post("/api/keys", json!({ "name": "\\u0000" })).await.expect(201);
    node.get("/api/servers/a%00b").await.expect(404);
}

#[tokio::test]
async fn packed_bodies_are_refused() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "S" })).await;
    for ask in [node.ask("POST", "/api/servers"), server.ask()] {
        let answer = ask.header("content-encoding", "gzip").body("application/json", vec![0x1f, 0x8b, 8]).send().await;
        assert!(answer.status == 415 && answer.text.contains("Content-Encoding"), "{}", answer.text);
    }
}

/// Types are named as in JSON, and a missing member by its own name.
#[tokio::test]
async fn wrong_types_are_named_as_json_has_them() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    for (path, body, field, words) in [
        ("/api/servers", json!({ "name": "T", "tokenExpiresInDays": "7" }), "tokenExpiresInDays", "must be a whole number."),
        ("/api/servers", json!({ "name": "T", "isPublic": 1 }), "isPublic", "must be true or false."),
        ("/api/servers", json!({ "name": 7 }), "name", "must be a string."),
        ("/api/servers", json!({ "name": "T", "connectors": "slack" }), "connectors", "must be an array."),
        ("/connectors/open/actions/listItems/execute", json!({ "parameters": [] }), "parameters", "must be an object."),
    ] {
        let answer = node.post(path, body).await;
        answer.refuses(400, words);
        assert_eq!(field_of(&answer), Some(field), "{path}: {}", answer.text);
    }
    node.ask("POST", "/connectors/open/actions/listItems/execute").send().await.expect(200);
    let tool = server.tool("list_connectors_alloy", json!({ "categry": "crm" })).await;
    tool.refuses("The argument `categry` is not known here (did you mean `category`?); there are `");
    let tool = server.tool("execute_action_alloy", json!({ "connectorId": "open", "actionId": "listItems", "filter": "x" })).await;
    tool.refuses("The parameters of the action go into `parameters`.");
}
