//! HTTP and JSON-RPC around the messages: media types, sizes, depth, duplicates, ids, batches.

use serde_json::{Value, json};

use crate::support::{Answer, Ask, TestNode, mcp::ACCEPT, mcp::request};

fn code(answer: &Answer) -> i64 {
    answer.body["error"]["code"].as_i64().unwrap_or_else(|| panic!("no error: {}", answer.text))
}

#[tokio::test]
async fn the_accept_header_must_allow_streams() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "S" })).await;
    let ask = |accept: Option<&str>| {
        let ask = Ask::new("POST", &server.access_url).json(&request("ping", json!({})));
        match accept {
            Some(accept) => ask.header("accept", accept),
            None => ask,
        }
    };
    for good in [ACCEPT, "text/event-stream", "*/*", "application/json,text/event-stream", "text/*", "TEXT/EVENT-STREAM; q=0.1"] {
        ask(Some(good)).send().await.expect(200);
    }
    for bad in ["application/json", "text/html", "text/event-stream;q=0", ""] {
        let answer = ask(Some(bad)).send().await.expect(406);
        assert_eq!((code(&answer), &answer.body["id"]), (-32000, &Value::Null), "{bad}");
    }
}

#[tokio::test]
async fn the_body_is_json_of_limited_size() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "S" })).await;
    let send = async |kind: &str, body: Vec<u8>| server.ask().body(kind, body).send().await;
    let ping = request("ping", json!({})).to_string();
    send("application/json; charset=utf-8", ping.clone().into()).await.expect(200);
    for kind in ["text/plain", "application/jsonx", "", "multipart/form-data"] {
        assert_eq!(code(&send(kind, ping.clone().into()).await.expect(415)), -32000);
    }
    let padded = |size: usize| {
        let mut body = ping.clone();
        body.push_str(&" ".repeat(size - body.len()));
        body.into_bytes()
    };
    send("application/json", padded(10 * 1024 * 1024)).await.expect(200);
    assert_eq!(code(&send("application/json", padded(10 * 1024 * 1024 + 1)).await.expect(413)), -32000);
    for body in [&b""[..], b"{", b"nonsense", b"\xff\xfe", b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"} x"] {
        let answer = send("application/json", body.to_vec()).await.expect(400);
        assert_eq!((code(&answer), &answer.body["id"]), (-32700, &Value::Null));
    }
    for body in
        [json!(7), json!("x"), json!({}), json!({ "jsonrpc": "1.0", "id": 1, "method": "ping" }), json!({ "jsonrpc": "2.0", "id": 1 })]
    {
        let answer = send("application/json", body.to_string().into()).await.expect(400);
        assert_eq!(code(&answer), -32600, "{body}");
    }
}

#[tokio::test]
async fn depth_is_bounded() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "S" })).await;
    let nested = |depth: usize| {
        let value = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"list_connectors_alloy","arguments":{{"x":{value}}}}}}}"#
        )
    };
    server.ask().body("application/json", nested(50)).send().await.expect(200);
    for depth in [65, 1_000, 200_000] {
        let answer = server.ask().body("application/json", nested(depth)).send().await;
        assert!(answer.status == 400 || answer.status == 200, "{}", answer.status);
        assert!(matches!(code(&answer), -32700 | -32600 | -32602), "{depth}: {}", answer.text);
        // The same on the REST side.
        let body = format!(r#"{{"name":"x","restrictions":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        node.ask("POST", "/api/servers").body("application/json", body).send().await.expect(400);
    }
}

/// Two readers may pick two of several members, so what is judged must be there once.
#[tokio::test]
async fn duplicate_members_are_refused_at_every_level() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "S" })).await;
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{},"params":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"list_connectors_alloy","arguments":{}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_connectors_alloy","arguments":{},"arguments":{}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_connectors_alloy","arguments":{"category":"a","category":"b"}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"execute_action_alloy","arguments":{"connectorId":"slack","actionId":"x","parameters":{"a":1,"a":2}}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_connectors_alloy","arguments":{"x":{"y":[{"z":1,"\u007a":2}]}}}}"#,
    ] {
        let answer = server.ask().body("application/json", body).send().await;
        assert!(matches!(code(&answer), -32600 | -32602 | -32700), "{body}: {}", answer.text);
    }
    for body in [r#"{"name":"a","name":"b"}"#, r#"{"name":"a","restrictions":{"users":{"mode":"allowlist","mode":"blocklist"}}}"#] {
        node.ask("POST", "/api/servers").body("application/json", body).send().await.refuses(400, "JSON");
    }
}

#[tokio::test]
async fn ids_come_back_as_they_came() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "S" })).await;
    let send =
        async |id: &str| server.ask().body("application/json", format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)).send().await;
    for id in ["0", "1", "-7", "9007199254740993", "\"abc\"", "\"\"", "\"\\u00fc\\n\""] {
        let answer = send(id).await.expect(200);
        assert_eq!(answer.body["id"], serde_json::from_str::<Value>(id).unwrap(), "{id}");
        assert_eq!(answer.body["result"], json!({}));
    }
    for id in ["null", "1.5", "true", "[]", "{}"] {
        let answer = send(id).await;
        assert_eq!(code(&answer), -32600, "{id}: {}", answer.text);
        assert_eq!(answer.body["id"], Value::Null, "{id}");
    }
    let notification = server.ask().json(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled" })).send().await;
    assert_eq!((notification.status, notification.text.as_str()), (202, ""));
    let response = server.ask().json(&json!({ "jsonrpc": "2.0", "id": 3, "result": {} })).send().await;
    assert_eq!(response.status, 202);
}

#[tokio::test]
async fn batches_belong_to_the_revision_that_had_them() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "S" })).await;
    let ping = |id: u32| json!({ "jsonrpc": "2.0", "id": id, "method": "ping" });
    let batch = json!([ping(1), { "jsonrpc": "2.0", "method": "notifications/initialized" }, ping(2), { "nonsense": true }]);
    let with = |version: &str| server.ask().header("mcp-protocol-version", version);
    let answer = with("2025-03-26").json(&batch).send().await.expect(200);
    let ids: Vec<&Value> = answer.body.as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, [&json!(1), &json!(2), &Value::Null], "{}", answer.text);
    for version in ["2025-06-18", "2025-11-25", "2026-07-28"] {
        assert_eq!(code(&with(version).json(&batch).send().await.expect(400)), -32600, "{version}");
    }
    let with_initialize =
        json!([{ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": crate::support::mcp::initialize("2025-03-26") }]);
    let answer = with("2025-03-26").json(&with_initialize).send().await.expect(200);
    assert_eq!(answer.body[0]["error"]["code"], -32600);
    assert_eq!(code(&with("2025-03-26").json(&json!([])).send().await.expect(400)), -32600);
    let silent = json!([{ "jsonrpc": "2.0", "method": "notifications/initialized" }]);
    assert_eq!(with("2025-03-26").json(&silent).send().await.status, 202);
}

#[tokio::test]
async fn unknown_methods_and_tools_are_named() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "S" })).await;
    let method = server.rpc("tools/lists", json!({})).await.expect(200);
    assert_eq!(code(&method), -32601);
    let tool = server.rpc("tools/call", json!({ "name": "list_connector_alloy", "arguments": {} })).await.expect(200);
    assert_eq!(code(&tool), -32602);
    assert!(tool.sentence().contains("list_connectors_alloy"), "the one that was meant is named: {}", tool.text);
    for params in [json!({}), json!({ "name": 7 }), json!({ "name": "list_connectors_alloy", "arguments": [] })] {
        assert_eq!(code(&server.rpc("tools/call", params).await), -32602);
    }
    for method in ["PUT", "PATCH"] {
        assert_eq!(Ask::new(method, &server.access_url).send().await.status, 405, "{method}");
    }
}

/// An address or headers that are too long are refused in the shape of their family, as everything else.
#[tokio::test]
async fn long_addresses_and_headers_are_refused_in_words() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "S" })).await;
    let query = "x".repeat(33 * 1024);
    let long = node.get(&format!("/api/servers?x={query}")).await.expect(414);
    assert!(long.sentence().contains("address") && !long.header("x-request-id").is_empty(), "{}", long.text);
    let twin = node.get(&format!("/connectors?x={query}")).await.expect(414);
    assert_eq!(twin.body["error"]["code"], "PAYLOAD_TOO_LARGE", "{}", twin.text);
    let much = server.ask().header("x-much", "x".repeat(65 * 1024)).json(&request("ping", json!({}))).send().await.expect(431);
    assert_eq!((code(&much), &much.body["id"]), (-32000, &Value::Null), "{}", much.text);
    node.ask("GET", "/api/servers").header("x-alloy-userid", "ü".repeat(10_000)).send().await.expect(200);
}

/// An address that cannot be read is answered in the shape of its family, with a sentence; a page for people is a page then, too.
#[tokio::test]
async fn what_cannot_be_decoded_is_refused_in_words() {
    let node = TestNode::start().await;
    let (twin, management, mcp, page) = ("/error/message", "/error", "/error/message", "");
    for (family, method, address) in [
        (twin, "GET", "/connectors/%ff"),
        (twin, "GET", "/connectors/%ff/actions"),
        (twin, "POST", "/connectors/slack/actions/%ff/execute"),
        (twin, "GET", "/users?limit=1&limit=2"),
        (twin, "PUT", "/connectors/files/upload/%ff"),
        (twin, "DELETE", "/connectors/files/%ff"),
        (twin, "GET", "/users/%ff"),
        (twin, "DELETE", "/users/%C3%28"),
        (management, "GET", "/api/servers/%ff"),
        (management, "PUT", "/api/servers/%ff/workflows/%fe"),
        (management, "DELETE", "/api/keys/%ff"),
        (management, "DELETE", "/api/grants/%ff"),
        (management, "GET", "/api/audit?limit=1&limit=2"),
        (management, "PATCH", "/api/v1/user-mcp-servers/%ff"),
        (management, "DELETE", "/api/v1/mcp-connections/%ff"),
        (management, "GET", "/.well-known/oauth-protected-resource/mcp/%ff"),
        (management, "GET", "/.well-known/oauth-authorization-server/%ff"),
        (management, "GET", "/%ff"),
        (mcp, "POST", "/mcp/%ff"),
        (mcp, "GET", "/mcp/%ff"),
        (mcp, "POST", "/mcp/desk-12345678/%ff"),
        (mcp, "DELETE", "/mcp/desk-12345678/%ff"),
        (page, "GET", "/connect/%ff"),
        (page, "POST", "/connect/%ff"),
        (page, "GET", "/connect/callback/%ff/slack?state=x"),
        (page, "GET", "/oauth/upstreams/%ff"),
        (page, "POST", "/oauth/upstreams/%ff"),
        (page, "GET", "/oauth/callback?state=%ff"),
        (page, "GET", "/oauth/authorize?client_id=%ff"),
        (page, "GET", "/tools/connect?token=a&token=b"),
        (page, "POST", "/tools/connect?token=%ff"),
    ] {
        let ask = node.ask(method, address).header("accept", ACCEPT);
        let answer = if method == "GET" || method == "DELETE" { ask.send().await } else { ask.json(&json!({})).send().await };
        assert!((400..500).contains(&answer.status), "{method} {address}: {} {}", answer.status, answer.text);
        if family == page {
            let is_page = answer.header("content-type").starts_with("text/html") && answer.text.contains("<h1>");
            assert!(is_page, "{method} {address}: {}", answer.text);
        } else {
            let sentence = answer.body.pointer(family).and_then(Value::as_str).unwrap_or_default();
            assert!(sentence.ends_with('.') && sentence.contains(' '), "{method} {address}: {}", answer.text);
        }
    }
}
