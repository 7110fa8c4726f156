//! Tokens of servers: rotation, grace, revocation, expiry, and one wording for every refusal.

use serde_json::json;

use crate::support::{Answer, Ask, Server, TestNode, mcp::ACCEPT, mcp::request, until};

async fn ping(url: &str) -> Answer {
    Ask::new("POST", url).header("accept", ACCEPT).json(&request("ping", json!({}))).send().await
}

#[tokio::test]
async fn rotation_without_grace_ends_the_old_token_at_once() {
    let node = TestNode::start().await;
    let old = node.server(json!({ "name": "Rotated" })).await;
    ping(&old.access_url).await.expect(200);
    let answer = node.ask("POST", &format!("/api/servers/{}/token", old.id)).send().await.expect(200);
    let new = Server::of(&answer);
    assert_ne!(new.token, old.token);
    assert_eq!(new.id, old.id);
    ping(&old.access_url).await.expect(401);
    ping(&new.access_url).await.expect(200);
    assert_eq!(node.get(&format!("/api/servers/{}", old.id)).await.body["accessUrl"], new.access_url.as_str());
}

#[tokio::test]
async fn rotation_with_grace_ends_the_old_token_when_it_is_over() {
    let node = TestNode::start().await;
    let old = node.server(json!({ "name": "Graceful" })).await;
    let path = format!("/api/servers/{}/token", old.id);
    // A long grace first, then a short one for the token that came next: the first keeps its own.
    let second = Server::of(&node.post(&path, json!({ "graceSeconds": 3600 })).await.expect(200));
    ping(&old.access_url).await.expect(200);
    let third = Server::of(&node.post(&path, json!({ "graceSeconds": 1, "tokenExpiresInDays": null })).await.expect(200));
    ping(&third.access_url).await.expect(200);
    let expired = until("the grace is over", async || {
        let answer = ping(&second.access_url).await;
        (answer.status == 401).then_some(answer)
    })
    .await;
    assert_eq!(expired.header("www-authenticate"), "Bearer");
    ping(&third.access_url).await.expect(200);
}

#[tokio::test]
async fn wrong_values_of_a_rotation_are_named() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "Wrong" })).await;
    let path = format!("/api/servers/{}/token", server.id);
    for (body, field) in [
        (json!({ "graceSeconds": -1 }), "graceSeconds"),
        (json!({ "graceSeconds": 86_401 }), "graceSeconds"),
        (json!({ "graceSeconds": i64::MAX }), "graceSeconds"),
        (json!({ "tokenExpiresInDays": 0 }), "tokenExpiresInDays"),
        (json!({ "tokenExpiresInDays": "x" }), "tokenExpiresInDays"),
    ] {
        node.post(&path, body).await.refuses(400, field);
    }
    ping(&server.access_url).await.expect(200);
}

/// Unknown, revoked and expired tokens, and the token of another server, cannot be told apart.
#[tokio::test]
async fn every_refused_token_gets_the_same_answer() {
    let node = TestNode::start().await;
    let revoked = node.server(json!({ "name": "Revoked" })).await;
    let expired = node.server(json!({ "name": "Expired" })).await;
    let living = node.server(json!({ "name": "Living" })).await;
    let path = format!("/api/servers/{}/token", revoked.id);
    assert_eq!(node.delete(&path).await.expect(200).body, json!({ "message": "Token revoked", "serverId": revoked.id }));
    node.delete(&path).await.refuses(404, "token");
    assert!(node.get(&format!("/api/servers/{}", revoked.id)).await.body.get("accessUrl").is_none());
    node.post(&format!("/api/servers/{}/token", expired.id), json!({ "graceSeconds": 1 })).await.expect(200);
    let mut answers = vec![until("it expires", async || Some(ping(&expired.access_url).await).filter(|answer| answer.status == 401)).await];
    for url in [
        revoked.access_url.clone(),
        format!("{}/mcp_token_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", living.url),
        format!("{}/x", living.url),
        format!("{}/{}", revoked.url, living.token),
        format!("{}/mcp/no-such-server-aaaaaaaa/{}", node.url, living.token),
        format!("{}/{}%00", living.url, living.token),
        format!("{}/{}", living.url, living.token.to_uppercase()),
        format!("{}/{}", living.url, "a".repeat(10_000)),
    ] {
        answers.push(ping(&url).await);
    }
    for answer in &answers {
        assert_eq!(answer.status, 401, "{}", answer.text);
        assert_eq!(answer.text, answers[0].text);
        assert_eq!(answer.body["id"], json!(null));
        assert_eq!(answer.body["error"]["code"], -32000);
    }
    ping(&living.access_url).await.expect(200);
    Server::of(&node.ask("POST", &path).send().await.expect(200)).rpc("ping", json!({})).await.expect(200);
}

/// The server's id alone opens nothing.
#[tokio::test]
async fn an_id_without_a_token_opens_nothing() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "Closed" })).await;
    for url in [server.url.clone(), format!("{}/", server.url), format!("{}/mcp", node.url)] {
        let answer = ping(&url).await;
        assert!(matches!(answer.status, 401 | 404), "{url}: {}", answer.text);
        let with_header =
            Ask::new("POST", &url).header("accept", ACCEPT).header("x-mcp-server-id", &server.id).json(&request("ping", json!({})));
        assert!(matches!(with_header.send().await.status, 401 | 404));
    }
    // A server's token is no key: it opens its server and the twin, never the management.
    Ask::new("GET", format!("{}/api/servers", node.url)).key(&server.token).send().await.expect(401);
    Ask::new("POST", format!("{}/mcp", node.url))
        .key(&server.token)
        .header("accept", ACCEPT)
        .json(&request("ping", json!({})))
        .send()
        .await
        .expect(200);
    let other = node.server(json!({ "name": "Other" })).await;
    other.ask_as(&server.token).json(&request("ping", json!({}))).send().await.expect(404);
}
