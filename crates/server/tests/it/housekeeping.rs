//! What a node removes by itself.

use serde_json::json;

use crate::support::{Server, TestNode, mcp::request, until};

#[tokio::test]
async fn what_has_had_its_time_is_removed() {
    let mut node = TestNode::start().await;
    let first = node.server(json!({ "name": "S" })).await;
    let rotate = format!("/api/servers/{}/token", first.id);
    let second = Server::of(&node.post(&rotate, json!({ "graceSeconds": 1 })).await.expect(200));
    let third = Server::of(&node.post(&rotate, json!({ "graceSeconds": 3600 })).await.expect(200));
    let ended = node.server(json!({ "name": "Ended" })).await;
    let gone = node.server(json!({ "name": "Gone" })).await;
    let revoked = node.post("/api/keys", json!({ "name": "revoked" })).await.expect(201).body["id"].as_str().unwrap().to_owned();
    node.key("ann", "member").await;
    node.key("bob", "member").await;
    node.delete(&format!("/api/keys/{revoked}")).await.expect(200);
    assert_eq!(node.get("/api/audit?operation=server.create").await.body["total"], 3);
    let ping = request("ping", json!({}));
    until("the grace is over", async || (first.ask().json(&ping).send().await.status == 401).then_some(())).await;
    // A month passes for the server Gone, for the keys of nobody and bob, and more for the audit trail.
    let long_ago = "update tokens set expires_at = 1 where server_id like 'gone-%'";
    assert_eq!(node.sql(long_ago).await, 1);
    assert_eq!(node.sql("update tokens set expires_at = created_at where server_id like 'ended-%'").await, 1);
    assert_eq!(node.sql("update api_keys set expires_at = 1 where user_id = 'bob'").await, 1);
    let old = "update audit set id = '000000000001' || substr(id, 13) where entries like '%\"server.create\"%'";
    assert!((1..=3).contains(&node.sql(old).await));
    node.restart().await;
    until("the superseded token is removed", async || {
        (node.number("select count(*) from tokens").await == 3 && node.number("select count(*) from api_keys").await == 3).then_some(())
    })
    .await;
    until("old entries are removed", async || (node.get("/api/audit?operation=server.create").await.body["total"] == 0).then_some(()))
        .await;
    for (server, status) in [(&first, 401), (&second, 200), (&third, 200), (&ended, 401), (&gone, 401)] {
        server.ask().json(&ping).send().await.expect(status);
    }
    assert!(node.get(&format!("/api/servers/{}", ended.id)).await.body["tokenExpiresAt"].is_string(), "its owner sees when it ended");
    assert!(node.get(&format!("/api/servers/{}", gone.id)).await.body.get("tokenExpiresAt").is_none());
    // The revoked key is younger than a month.
    assert_eq!(node.number("select count(*) from api_keys where revoked_at is not null").await, 1);
    assert_eq!(node.sql("update api_keys set revoked_at = 1 where revoked_at is not null").await, 1);
    node.restart().await;
    until("the revoked key is removed", async || (node.number("select count(*) from api_keys").await == 2).then_some(())).await;
    node.get("/api/keys").await.expect(200);
}
