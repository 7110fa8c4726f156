//! Open streams: the GET stream of a session and `subscriptions/listen`.

use serde_json::{Value, json};

use crate::support::{Ask, TestNode, mcp::ACCEPT};

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// The next messages up to and with the one of this method.
async fn methods_until(events: &mut crate::support::ask::Events, last: &str) -> Vec<String> {
    let mut methods = Vec::new();
    while methods.last().is_none_or(|method| method != last) {
        let event = events.next().await.expect("the stream goes on");
        methods.push(event["method"].as_str().unwrap().to_owned());
    }
    methods
}

#[tokio::test]
async fn a_session_hears_of_changes() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "Heard" })).await;
    let other = node.server(json!({ "name": "Other" })).await;
    let mut events = server.stream(&server.session().await).await;
    // Another server's change is no news here.
    node.put(&format!("/api/servers/{}", other.id), json!({ "description": "x" })).await.expect(200);
    let workflow = json!({ "steps": [{ "connectorId": "slack", "actionId": "chat_postMessage" }] });
    node.put(&format!("/api/servers/{}/workflows/hello", server.id), workflow).await.expect(201);
    assert_eq!(methods_until(&mut events, "notifications/resources/list_changed").await.len(), 1);
    node.put(&format!("/api/servers/{}", server.id), json!({ "description": "x" })).await.expect(200);
    let heard = methods_until(&mut events, "notifications/prompts/list_changed").await;
    assert!(heard.contains(&"notifications/tools/list_changed".to_owned()), "{heard:?}");
}

#[tokio::test]
async fn without_a_session_there_is_no_stream() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "None" })).await;
    let get = || Ask::new("GET", &server.access_url).header("accept", ACCEPT);
    let refused = get().send().await.expect(405);
    assert_eq!(refused.header("allow"), "POST");
    get().header("mcp-session-id", "nonsense").send().await.expect(404);
    let session = server.session().await;
    Ask::new("GET", &server.access_url).header("accept", "application/json").header("mcp-session-id", &session).send().await.expect(406);
    get().header("mcp-session-id", &session).header("mcp-protocol-version", "2026-07-28").send().await.expect(405);
    Ask::new("GET", &server.url).header("accept", ACCEPT).header("mcp-session-id", &session).send().await.expect(401);
}

/// A stream must not outlive the right to listen. A revocation, a rotation and a deletion end it.
#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let node = TestNode::start().await;
    for (name, method, path) in [("Revoked", "DELETE", "/token"), ("Rotated", "POST", "/token"), ("Deleted", "DELETE", "")] {
        let server = node.server(json!({ "name": name })).await;
        let mut events = server.stream(&server.session().await).await;
        node.ask(method, &format!("/api/servers/{}{path}", server.id)).send().await.expect(200);
        assert_eq!(events.next().await, None, "{name}");
    }
}

/// Nor does one outlive its user or its account, though nothing of the server has changed.
#[tokio::test]
async fn a_stream_ends_with_its_user_and_its_account() {
    let node = TestNode::start().await;
    let (ann, other) = (node.key("ann", "member").await, node.account("other").await);
    for (key, path) in [(&ann, "/users/ann"), (&other, "/api/accounts/other")] {
        let made = node.ask("POST", "/api/servers").key(key).json(&json!({ "name": "Own" })).send().await.expect(201);
        let server = crate::support::Server::of(&made);
        let mut events = server.stream(&server.session().await).await;
        let started = std::time::Instant::now();
        node.delete(path).await.expect(200);
        assert_eq!(events.next().await, None, "{path}");
        // Before anybody looked after it of himself.
        assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
    }
}

/// The `users` restriction holds on streams that were open before it.
#[tokio::test]
async fn a_stream_ends_when_its_user_is_shut_out() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "Shut" })).await;
    let mut events = server.stream(&server.session().await).await;
    let restrictions = json!({ "users": { "mode": "blocklist", "blockedIds": ["admin"] } });
    node.put(&format!("/api/servers/{}", server.id), json!({ "restrictions": restrictions })).await.expect(200);
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn listening_is_acknowledged_and_filtered_and_ends_gracefully() {
    let mut node = TestNode::start().await;
    let server = node.server(json!({ "name": "Listened" })).await;
    let wanted =
        json!({ "notifications": { "toolsListChanged": true, "promptsListChanged": false, "resourceSubscriptions": ["resource://x"] } });
    let mut events = server.modern("subscriptions/listen", wanted).open().await;
    let first = events.next().await.unwrap();
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(first["params"]["notifications"], json!({ "toolsListChanged": true }), "what cannot be kept is not promised");
    assert_eq!(first["params"]["_meta"][SUBSCRIPTION], 1);
    let workflow = json!({ "steps": [{ "connectorId": "slack", "actionId": "chat_postMessage" }] });
    node.put(&format!("/api/servers/{}/workflows/hello", server.id), workflow).await.expect(201);
    node.put(&format!("/api/servers/{}", server.id), json!({ "description": "x" })).await.expect(200);
    let news = events.next().await.unwrap();
    assert_eq!(news["method"], "notifications/tools/list_changed", "the workflow was not asked for: {news}");
    assert_eq!(news["params"]["_meta"][SUBSCRIPTION], 1);
    node.stop().await;
    let last = events.next().await.unwrap();
    assert_eq!(last["id"], 1, "the request gets its result at the end: {last}");
    assert!(last["result"].is_object(), "{last}");
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_listener_says_what_it_wants() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "Vague" })).await;
    for params in [json!({}), json!({ "notifications": [] }), json!({ "notifications": { "toolsListChanged": "yes" } })] {
        let answer = server.modern("subscriptions/listen", params).send().await;
        assert_eq!(answer.body["error"]["code"], -32602, "{}", answer.text);
    }
    let legacy = server.rpc("subscriptions/listen", json!({ "notifications": {} })).await;
    assert_eq!(legacy.body["error"]["code"], -32601, "{}", legacy.text);
    assert_eq!(legacy.body["id"], Value::from(1));
}
