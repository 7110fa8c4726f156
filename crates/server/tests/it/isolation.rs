//! Two accounts: every object of one is as absent to the other as one that does not exist.

use serde_json::{Value, json};

use crate::support::{Ask, TestNode, mcp::request, shop};

/// Rule 5 of "Identity": the same status and the same words.
#[tokio::test]
async fn every_object_of_one_account_is_absent_to_the_other() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let other = node.account("other").await;
    let server = node.server(json!({ "name": "Ours", "isPublic": true })).await;
    node.put(
        &format!("/api/servers/{}/workflows/look", server.id),
        json!({ "steps": [{ "connectorId": "open", "actionId": "listItems" }] }),
    )
    .await
    .expect(201);
    let credential = shop::credential(&node, "admin", "apiKey", json!({ "apiKey": "12345678" })).await;
    let user = node.post("/users", json!({ "username": "ann" })).await.expect(201).body["userId"].as_str().unwrap().to_owned();
    let key = node.post("/api/keys", json!({})).await.expect(201).body["id"].as_str().unwrap().to_owned();
    let secret = "0123456789-0123456789-0123456789-ok";
    let issuer = node.post("/api/jwt-issuers", json!({ "issuer": "i", "secret": secret })).await.expect(201);
    let issuer = issuer.body["id"].as_str().unwrap().to_owned();
    let id = &server.id;
    for (method, path, id, body) in [
        ("GET", "/api/servers/{}", id, None),
        ("PUT", "/api/servers/{}", id, Some(json!({ "name": "Theirs" }))),
        ("DELETE", "/api/servers/{}", id, None),
        ("POST", "/api/servers/{}/token", id, Some(json!({}))),
        ("DELETE", "/api/servers/{}/token", id, None),
        ("GET", "/api/servers/{}/workflows", id, None),
        ("GET", "/api/servers/{}/workflows/look", id, None),
        ("PUT", "/api/servers/{}/workflows/look", id, Some(json!({ "steps": [{ "connectorId": "a", "actionId": "b" }] }))),
        ("DELETE", "/api/servers/{}/workflows/look", id, None),
        ("GET", "/connectors/{}", &"shop".to_owned(), None),
        ("DELETE", "/connectors/slack/credentials/{}", &credential, None),
        ("GET", "/users/{}", &user, None),
        ("DELETE", "/users/{}", &user, None),
        ("DELETE", "/api/keys/{}", &key, None),
        ("DELETE", "/api/jwt-issuers/{}", &issuer, None),
        ("GET", "/api/connectors/{}", &"shop".to_owned(), None),
        ("DELETE", "/api/connectors/{}", &"shop".to_owned(), None),
        ("POST", "/mcp/{}", id, Some(request("ping", json!({})))),
    ] {
        let send = async |id: &str| {
            let ask = node.ask(method, &path.replace("{}", id)).key(&other).header("accept", "application/json, text/event-stream");
            let answer = if let Some(body) = &body { ask.json(body).send().await } else { ask.send().await };
            (answer.status, answer.text.replace(id, "ID"))
        };
        let theirs = send(id).await;
        assert_eq!(theirs.0, 404, "{method} {path}: {}", theirs.1);
        assert_eq!(theirs, send("0123456789abcdef01234567").await, "{method} {path}");
    }
    // Nothing was changed by trying.
    assert_eq!(node.get(&format!("/api/servers/{id}")).await.body["name"], "Ours");
    server.rpc("ping", json!({})).await.expect(200);
    assert_eq!(node.get("/users").await.body["count"], 1);
}

#[tokio::test]
async fn lists_and_audit_end_at_the_account() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let other = node.account("other").await;
    let server = node.server(json!({ "name": "Ours" })).await;
    node.post("/users", json!({ "username": "ann" })).await.expect(201);
    shop::credential(&node, "admin", "apiKey", json!({ "apiKey": "12345678" })).await;
    server.execute("open", "listItems", json!({})).await.ok();
    for (path, member) in [
        ("/api/servers", "servers"),
        ("/api/connectors", "connectors"),
        ("/users", "users"),
        ("/api/jwt-issuers", "issuers"),
        ("/api/audit", "entries"),
    ] {
        let listed = node.ask("GET", path).key(&other).send().await.expect(200);
        assert_eq!(listed.body[member], json!([]), "{path}");
    }
    assert_eq!(node.ask("GET", "/api/keys").key(&other).send().await.body["count"], 1);
    // The same user id is another person there.
    let listed = node.ask("GET", "/users/admin/credentials").key(&other).send().await.expect(200);
    assert_eq!(listed.body["data"], json!([]));
    // Only the operator sees and makes accounts.
    for ask in [
        node.ask("GET", "/api/accounts"),
        node.ask("POST", "/api/accounts").json(&json!({ "id": "mine" })),
        node.ask("DELETE", "/api/accounts/default"),
    ] {
        ask.key(&other).send().await.refuses(403, "operator");
    }
}

#[tokio::test]
async fn accounts_are_made_listed_and_deleted_whole() {
    let node = TestNode::start().await;
    let other = node.account("other").await;
    for (body, status) in
        [(json!({ "id": "other" }), 409), (json!({ "id": "UPPER" }), 400), (json!({}), 400), (json!({ "id": "x", "name": " " }), 400)]
    {
        assert_eq!(node.post("/api/accounts", body).await.status, status);
    }
    let listed = node.get("/api/accounts").await.expect(200);
    assert_eq!(listed.body["count"], 2);
    assert!(!listed.text.contains(&other));
    let made = node.ask("POST", "/api/servers").key(&other).json(&json!({ "name": "Theirs" })).send().await.expect(201);
    let url = made.body["accessUrl"].as_str().unwrap().to_owned();
    let ping = || Ask::new("POST", &url).header("accept", "*/*").json(&request("ping", json!({})));
    ping().send().await.expect(200);
    node.delete("/api/accounts/default").await.refuses(409, "default");
    node.delete("/api/accounts/nothing").await.refuses(404, "account");
    node.delete("/api/accounts/other").await.expect(200);
    ping().send().await.expect(401);
    node.ask("GET", "/api/servers").key(&other).send().await.expect(401);
    assert_eq!(node.get("/api/accounts").await.body["accounts"][0]["id"], Value::from("default"));
}
