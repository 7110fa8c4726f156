//! Platforms that fail, lie, stall or overflow: each becomes a sentence, none becomes our failure.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Answer, Server, TestNode, Tool, mcp::call, shop};

/// Both doors at once.
async fn both(node: &TestNode, server: &Server, id: &str) -> (Tool, Answer) {
    let tool = server.execute("open", "misbehave", json!({ "id": id })).await;
    let twin = node.post("/connectors/open/actions/misbehave/execute", json!({ "parameters": { "id": id } })).await;
    (tool, twin)
}

#[tokio::test]
async fn statuses_are_mapped_with_advice() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    for (id, words, status, code) in [
        ("400", "the platform says 400", 400, "PLATFORM_ERROR"),
        ("401", "declares no way to authenticate", 400, "PLATFORM_ERROR"),
        ("403", "without a credential", 400, "PLATFORM_ERROR"),
        ("404", "does not exist there", 400, "PLATFORM_ERROR"),
        ("422", "the platform says 422", 400, "PLATFORM_ERROR"),
        ("500", "the platform says 500", 502, "PLATFORM_UNAVAILABLE"),
        ("503", "the platform says 503", 502, "PLATFORM_UNAVAILABLE"),
        ("wait", "40 seconds", 429, "RATE_LIMITED"),
    ] {
        let (tool, twin) = both(&node, &server, id).await;
        tool.refuses(words);
        twin.refuses(status, words);
        assert_eq!(twin.body["error"]["code"], code, "{}", twin.text);
        let platforms: u64 = id.parse().unwrap_or(429);
        assert_eq!(twin.body["error"]["details"]["status"], platforms, "{}", twin.text);
        assert_eq!(twin.header("retry-after"), if id == "wait" { "40" } else { "" });
    }
}

#[tokio::test]
async fn what_is_no_json_is_described() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    let (tool, twin) = both(&node, &server, "html").await;
    assert_eq!(tool.ok()["text"], "<h1>hello</h1>");
    assert_eq!(twin.body["responseData"]["contentType"], "text/html");
    let (tool, _) = both(&node, &server, "empty").await;
    assert_eq!(tool.ok()["status"], 204);
    let (tool, _) = both(&node, &server, "binary").await;
    let binary = tool.ok();
    assert_eq!((&binary["contentType"], &binary["size"]), (&json!("application/octet-stream"), &json!(4)));
    assert!(binary["s3Key"].as_str().unwrap().starts_with("file_"), "{binary}");
    for id in ["garbage", "deep"] {
        let (tool, twin) = both(&node, &server, id).await;
        tool.refuses("not");
        assert_eq!((twin.status, &twin.body["error"]["code"]), (502, &json!("PLATFORM_UNAVAILABLE")), "{id}: {}", twin.text);
    }
}

#[tokio::test]
async fn too_much_is_cut_off() {
    let node = TestNode::with(|config| config.max_response_bytes = 1024 * 1024).await;
    let _platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    for id in ["big", "endless"] {
        let (tool, twin) = both(&node, &server, id).await;
        tool.refuses("larger than the limit");
        twin.refuses(502, "larger than the limit");
    }
}

#[tokio::test]
async fn too_slow_is_a_timeout() {
    let node = TestNode::with(|config| config.action_timeout = Duration::from_secs(1)).await;
    let platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    let (tool, twin) = both(&node, &server, "never").await;
    tool.refuses("did not finish its answer");
    twin.refuses(504, "did not finish its answer");
    assert_eq!(twin.body["error"]["code"], "PLATFORM_TIMEOUT");
    // A call may ask for its own time.
    let mut arguments = call("open", "misbehave", json!({ "id": "slow" }));
    arguments["timeout"] = json!(20_000);
    let waiting = server.tool("execute_action_alloy", arguments);
    let before = platform.count();
    let release = async {
        crate::support::until("the call arrives", || std::future::ready((platform.count() > before).then_some(()))).await;
        // The time of other calls, one after the other, is over.
        both(&node, &server, "never").await;
        platform.release();
    };
    assert_eq!(tokio::join!(waiting, release).0.ok()["slow"], true);
}

#[tokio::test]
async fn an_absent_platform_is_named_without_our_details() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let address = platform.address;
    let server = node.server(json!({ "name": "S" })).await;
    drop(platform);
    crate::support::until("it is gone", async || tokio::net::TcpStream::connect(address).await.err()).await;
    let (tool, twin) = both(&node, &server, "x").await;
    tool.refuses("127.0.0.1");
    assert_eq!((twin.status, &twin.body["error"]["code"]), (502, &json!("PLATFORM_UNAVAILABLE")));
    assert!(!twin.text.contains("os error") && !twin.text.contains(".rs"), "{}", twin.text);
    let request_id = twin.header("x-request-id");
    assert!(!request_id.is_empty(), "every error can be found in the log");
    assert_ne!(Value::Null, twin.body["error"]["details"]);
}

/// One caller must not keep the node busy with headers.
#[tokio::test]
async fn additional_headers_are_limited() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let headers = |count: usize| (0..count).map(|n| (format!("x-{n}"), json!("v"))).collect::<serde_json::Map<_, _>>();
    let execute = async |count: usize| {
        let body = json!({ "additionalHeaders": headers(count) });
        node.post("/connectors/open/actions/listItems/execute", body).await
    };
    execute(50).await.expect(200);
    execute(51).await.refuses(400, "additionalHeaders");
    execute(100_000).await.refuses(400, "additionalHeaders");
    assert_eq!(platform.count(), 1);
}
