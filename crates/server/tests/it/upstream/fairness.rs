//! Users of one upstream notice nothing of each other: neither failures that depend on one of them, nor calls that last.

use serde_json::{Value, json};

use super::{direct, register};
use crate::support::{
    Ask, Server, TestNode,
    mcp::{ACCEPT, request},
    until,
    upstream::{Eras, Upstream},
};

fn call(server: &Server, user: &str, tool: &str) -> Ask {
    let body = request("tools/call", json!({ "name": tool, "arguments": {} }));
    Ask::new("POST", &server.access_url).header("accept", ACCEPT).user(user).json(&body)
}

async fn said(server: &Server, user: &str, tool: &str) -> String {
    let answer = call(server, user, tool).send().await.expect(200);
    answer.body["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{}", answer.text)).to_owned()
}

/// The settings of an upstream, changed.
async fn change(node: &TestNode, made: &Value, settings: Value) -> Value {
    let path = format!("/api/v1/user-mcp-servers/{}", made["id"].as_str().unwrap());
    node.ask("PATCH", &path).json(&settings).send().await.expect(200).body
}

#[tokio::test]
async fn failures_of_one_user_leave_the_others_alone() {
    let node = TestNode::start().await;
    for eras in [Eras::Legacy, Eras::Modern] {
        let upstream = Upstream::start(eras).await;
        let name = format!("{eras:?}").to_lowercase();
        let made = register(&node, &name, &upstream).await;
        change(&node, &made, json!({ "timeout_seconds": 1 })).await;
        let server = direct(&node, &[&name]).await;
        let slow = (0..5).map(|_| said(&server, "ada", "hang"));
        for text in futures_util::future::join_all(slow).await {
            assert!(text.contains("in time"), "{text}");
        }
        let refused = said(&server, "ada", "echo").await;
        assert!(refused.contains("5 times in a row for you"), "{eras:?}: {refused}");
        assert_eq!(said(&server, "bob", "echo").await, "ok", "{eras:?}");
    }
}

/// However many calls one user has open, another one gets a place at once.
#[tokio::test]
async fn one_user_does_not_take_all_places() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Modern).await;
    let made = register(&node, "one", &upstream).await;
    change(&node, &made, json!({ "max_concurrency": 4 })).await;
    let server = direct(&node, &["one"]).await;
    let open: Vec<_> = (0..8).map(|_| tokio::spawn(call(&server, "ada", "slow").send())).collect();
    until("half of the places are taken", || async { (upstream.of("tools/call").len() == 2).then_some(()) }).await;
    assert_eq!(said(&server, "bob", "echo").await, "ok");
    assert_eq!(upstream.of("tools/call").len(), 3, "ada waits with the rest");
    // Whoever goes away leaves the place to whoever waits.
    open.iter().for_each(tokio::task::JoinHandle::abort);
    assert_eq!(said(&server, "ada", "echo").await, "ok");
}

/// All lists of an upstream are one call: one that does not give them has failed once.
#[tokio::test]
async fn a_slow_list_fails_once() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Modern).await;
    let made = register(&node, "one", &upstream).await;
    change(&node, &made, json!({ "timeout_seconds": 1 })).await;
    upstream.withhold("tools/list");
    for n in 1..=4 {
        let shown = change(&node, &made, json!({ "description": format!("{n}") })).await;
        assert_eq!(shown["status"], "failing", "{n}: {shown}");
        assert_eq!(shown["offers"]["tools"], 20, "what it offered last is kept");
    }
}
