//! The modern era: no handshake, an envelope in every request, headers that repeat it.

use serde_json::{Value, json};

use crate::support::{
    Answer, TestNode,
    mcp::{ACCEPT, MODERN, envelope, request},
};

fn code(answer: &Answer) -> i64 {
    answer.body["error"]["code"].as_i64().unwrap_or_else(|| panic!("no error: {}", answer.text))
}

#[tokio::test]
async fn discovery_presents_the_server() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "Modern", "customInstructions": "Be brief." })).await;
    let answer = server.modern("server/discover", json!({})).send().await.expect(200);
    let result = &answer.body["result"];
    assert!(result["supportedVersions"].as_array().unwrap().contains(&json!(MODERN)), "{}", answer.text);
    assert_eq!(result["instructions"], "Be brief.");
    assert!(answer.text.contains("\"Modern\""), "serverInfo.name is the server's name: {}", answer.text);
    assert!(answer.header("mcp-session-id").is_empty());
    let tools = server.modern("tools/list", json!({})).send().await.expect(200);
    assert_eq!(tools.body["result"]["tools"].as_array().unwrap().len(), 8);
    assert!(tools.body["result"]["ttlMs"].as_u64().unwrap() > 0, "{}", tools.body["result"]["ttlMs"]);
    let call = json!({ "name": "list_connectors_alloy", "arguments": {} });
    let called = server.modern("tools/call", call).send().await.expect(200);
    assert_eq!(called.body["result"]["resultType"], "complete", "{}", called.text);
}

#[tokio::test]
async fn headers_must_say_what_the_body_says() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "Strict" })).await;
    let call = request("tools/call", json!({ "name": "list_connectors_alloy", "arguments": {}, "_meta": envelope() }));
    let cases: [(&str, &[(&str, &str)]); 8] = [
        ("no version", &[("mcp-method", "tools/call"), ("mcp-name", "list_connectors_alloy")]),
        ("another version", &[("mcp-protocol-version", "2025-11-25"), ("mcp-method", "tools/call"), ("mcp-name", "list_connectors_alloy")]),
        ("no method", &[("mcp-protocol-version", MODERN), ("mcp-name", "list_connectors_alloy")]),
        ("another method", &[("mcp-protocol-version", MODERN), ("mcp-method", "tools/list"), ("mcp-name", "list_connectors_alloy")]),
        ("no name", &[("mcp-protocol-version", MODERN), ("mcp-method", "tools/call")]),
        ("another name", &[("mcp-protocol-version", MODERN), ("mcp-method", "tools/call"), ("mcp-name", "execute_action_alloy")]),
        (
            "two versions",
            &[
                ("mcp-protocol-version", MODERN),
                ("mcp-protocol-version", MODERN),
                ("mcp-method", "tools/call"),
                ("mcp-name", "list_connectors_alloy"),
            ],
        ),
        (
            "two names",
            &[("mcp-protocol-version", MODERN), ("mcp-method", "tools/call"), ("mcp-name", "list_connectors_alloy"), ("mcp-name", "x")],
        ),
    ];
    for (what, headers) in cases {
        let ask = headers.iter().fold(server.ask(), |ask, (name, value)| ask.header(name, value));
        let answer = ask.json(&call).send().await;
        assert_eq!((answer.status, code(&answer)), (400, -32020), "{what}: {}", answer.text);
        assert_eq!(answer.body["id"], 1, "{what}");
    }
}

#[tokio::test]
async fn envelopes_are_whole_and_of_a_known_revision() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "Whole" })).await;
    let send = async |version: &str, meta: Option<Value>, method: &str| {
        let mut params = json!({});
        if let Some(meta) = meta {
            params["_meta"] = meta;
        }
        server.ask().header("mcp-protocol-version", version).header("mcp-method", method).json(&request(method, params)).send().await
    };
    let missing = send(MODERN, None, "tools/list").await.expect(400);
    assert_eq!(code(&missing), -32602);
    assert!(missing.sentence().contains("_meta"), "{}", missing.text);
    let mut half = envelope();
    half.as_object_mut().unwrap().remove("io.modelcontextprotocol/clientCapabilities");
    assert_eq!(code(&send(MODERN, Some(half), "tools/list").await.expect(400)), -32602);
    let mut unknown = envelope();
    unknown["io.modelcontextprotocol/protocolVersion"] = json!("2031-01-01");
    let refused = send("2031-01-01", Some(unknown), "tools/list").await.expect(400);
    assert_eq!(code(&refused), -32022);
    assert!(refused.body["error"]["data"]["supported"].as_array().unwrap().contains(&json!(MODERN)), "{}", refused.text);
    let none = send(MODERN, Some(envelope()), "no/such").await.expect(404);
    assert_eq!(code(&none), -32601);
    assert_eq!(code(&send(MODERN, Some(envelope()), "ping").await.expect(404)), -32601, "ping is gone");
}

#[tokio::test]
async fn sessions_mean_nothing_to_it() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "Sessionless" })).await;
    server.modern("tools/list", json!({})).header("mcp-session-id", "nonsense").send().await.expect(200);
    let get = crate::support::Ask::new("GET", &server.access_url).header("accept", ACCEPT).header("mcp-protocol-version", MODERN);
    get.send().await.expect(405);
    let delete = crate::support::Ask::new("DELETE", &server.access_url)
        .header("accept", ACCEPT)
        .header("mcp-protocol-version", MODERN)
        .header("mcp-session-id", server.session().await);
    delete.send().await.expect(405);
}
