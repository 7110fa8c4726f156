//! Upstreams that die, hang, flood and lie: a clear error in time, and nobody else notices.

use serde_json::{Value, json};

use super::{direct, register};
use crate::support::{
    Ask, Platform, TestNode,
    mcp::request,
    until,
    upstream::{Eras, Upstream},
};

#[tokio::test]
async fn every_misbehaviour_is_a_clear_error_in_time() {
    let node = TestNode::with(|config| config.max_response_bytes = 2 * 1024 * 1024).await;
    for eras in [Eras::Legacy, Eras::Modern] {
        for tool in ["die", "hang", "garbage", "wrong-id", "both", "big", "bad-utf8", "endless", "flood", "unanswered", "status"] {
            let upstream = Upstream::start(eras).await;
            let made = register(&node, &format!("{eras:?} {tool}"), &upstream).await;
            let path = format!("/api/v1/user-mcp-servers/{}", made["id"].as_str().unwrap());
            node.ask("PATCH", &path).json(&json!({ "timeout_seconds": 1 })).send().await.expect(200);
            let server = direct(&node, &[made["connectorId"].as_str().unwrap()]).await;
            let called = server.modern("tools/call", json!({ "name": tool, "arguments": {} })).send().await.expect(200);
            let result = &called.body["result"];
            assert_eq!(result["isError"], true, "{eras:?} {tool}: {}", called.text);
            let text = result["content"][0]["text"].as_str().unwrap();
            assert!(text.starts_with(&format!("{eras:?} {tool} ")), "it names the upstream: {text}");
            assert!(!text.contains("secret-of-the-upstream"), "{text}");
            let shown = node.get(&path).await.expect(200);
            assert_eq!(shown.body["status"], "failing", "{eras:?} {tool}: {}", shown.text);
            // The same upstream still does what it can.
            let fine = server.modern("tools/call", json!({ "name": "echo", "arguments": {} })).send().await.expect(200);
            assert_eq!(fine.body["result"]["isError"], false, "{eras:?} {tool}: {}", fine.text);
        }
    }
}

/// A body that never ends in place of the stream that was asked for.
#[tokio::test]
async fn what_stands_in_place_of_a_stream_is_bounded() {
    let node = TestNode::with(|config| config.max_response_bytes = 256 * 1024).await;
    let platform = Platform::start().await;
    let body = json!({ "name": "One", "url": format!("{}/do/endless", platform.url()), "transport_type": "sse", "auth_type": "none" });
    let made = node.post("/api/v1/user-mcp-servers", body).await.expect(201);
    let call = json!({ "mcp_server_id": made.body["id"], "tool_slug": "echo" });
    node.post("/api/v1/mcp-tools/execute", call).await.refuses(502, "more than 262144 bytes");
}

#[tokio::test]
async fn by_rest_a_failing_upstream_is_502_and_a_slow_one_504() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Dual).await;
    let made = register(&node, "One", &upstream).await;
    let path = format!("/api/v1/user-mcp-servers/{}", made["id"].as_str().unwrap());
    node.ask("PATCH", &path).json(&json!({ "timeout_seconds": 1 })).send().await.expect(200);
    for (tool, status) in [("status", 502), ("garbage", 502), ("hang", 504)] {
        let answer = node.post("/api/v1/mcp-tools/execute", json!({ "mcp_server_id": made["id"], "tool_slug": tool })).await;
        answer.refuses(status, "One");
        assert!(answer.body["error"].is_string());
    }
}

/// After failures in a row nothing is sent for a while, and what was offered stays.
#[tokio::test]
async fn a_failing_upstream_is_left_alone_and_hides_nothing() {
    let node = TestNode::start().await;
    let (bad, good) = (Upstream::start(Eras::Modern).await, Upstream::start(Eras::Modern).await);
    register(&node, "bad", &bad).await;
    register(&node, "good", &good).await;
    let server = direct(&node, &["bad", "good"]).await;
    for _ in 0..5 {
        server.modern("tools/call", json!({ "name": "bad_status", "arguments": {} })).send().await.expect(200);
    }
    let before = bad.of("tools/call").len();
    let refused = server.modern("tools/call", json!({ "name": "bad_echo", "arguments": {} })).send().await.expect(200);
    assert!(refused.text.contains("5 times in a row"), "{}", refused.text);
    assert_eq!(bad.of("tools/call").len(), before, "nothing was sent");
    let fine = server.modern("tools/call", json!({ "name": "good_echo", "arguments": {} })).send().await.expect(200);
    assert_eq!(fine.body["result"]["isError"], false, "{}", fine.text);
    let tools = server.modern("tools/list", json!({})).send().await.expect(200);
    assert!(tools.text.contains("\"bad_echo\""), "what it offered last is kept");
}

#[tokio::test]
async fn a_lost_session_is_opened_again() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Legacy).await;
    let made = register(&node, "One", &upstream).await;
    let call = json!({ "mcp_server_id": made["id"], "tool_slug": "echo" });
    node.post("/api/v1/mcp-tools/execute", call.clone()).await.expect(200);
    upstream.forget_sessions();
    node.post("/api/v1/mcp-tools/execute", call).await.expect(200);
    // What is open ends with the registration.
    node.delete(&format!("/api/v1/user-mcp-servers/{}", made["id"].as_str().unwrap())).await.expect(200);
    until("the session is ended", || async { upstream.got().iter().any(|got| got.http == "DELETE").then_some(()) }).await;
}

/// A client that goes away, or says so, ends the call at the upstream.
#[tokio::test]
async fn a_cancelled_call_is_cancelled_at_the_upstream() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Legacy).await;
    register(&node, "one", &upstream).await;
    let server = direct(&node, &["one"]).await;
    let session = server.session().await;
    let slow = server.ask().header("mcp-session-id", &session).json(&request("tools/call", json!({ "name": "slow", "arguments": {} })));
    let calling = tokio::spawn(slow.send());
    until("the call is there", || async { (!upstream.of("tools/call").is_empty()).then_some(()) }).await;
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
    server.ask().header("mcp-session-id", &session).json(&cancel).send().await.expect(202);
    let cancelled = until("it is cancelled", || async { upstream.of("notifications/cancelled").pop() }).await;
    assert_eq!(cancelled.body["params"]["requestId"], upstream.of("tools/call")[0].body["id"]);
    assert!(calling.await.unwrap().text.contains("cancelled"));
    let gone = tokio::spawn(
        server.ask().header("mcp-session-id", &session).json(&request("tools/call", json!({ "name": "slow", "arguments": {} }))).send(),
    );
    until("the second call is there", || async { (upstream.of("tools/call").len() == 2).then_some(()) }).await;
    gone.abort();
    until("it is cancelled too", || async { (upstream.of("notifications/cancelled").len() == 2).then_some(()) }).await;
}

/// Two users at once through one upstream: each has sessions of its own.
#[tokio::test]
async fn users_never_share_a_session() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Legacy).await;
    register(&node, "one", &upstream).await;
    let server = direct(&node, &["one"]).await;
    let call = |user: &'static str, n: usize| {
        let body = request("tools/call", json!({ "name": "echo", "arguments": { "user": user, "n": n } }));
        Ask::new("POST", &server.access_url).header("accept", crate::support::mcp::ACCEPT).user(user).json(&body).send()
    };
    let calls = (0..200).map(|n| async move {
        let user = if n % 2 == 0 { "ada" } else { "bob" };
        (user, n, call(user, n).await.expect(200))
    });
    for (user, n, answer) in futures_util::future::join_all(calls).await {
        assert_eq!(answer.body["result"]["structuredContent"], json!({ "user": user, "n": n }), "{}", answer.text);
    }
    let mut by_session: std::collections::HashMap<String, Value> = std::collections::HashMap::new();
    for got in upstream.of("tools/call") {
        let user = got.body["params"]["arguments"]["user"].clone();
        let known = by_session.entry(got.header("mcp-session-id").to_owned()).or_insert_with(|| user.clone());
        assert_eq!(*known, user, "one session, one user");
    }
    assert!(by_session.len() >= 2);
}
