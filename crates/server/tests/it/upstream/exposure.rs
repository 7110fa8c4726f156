//! Direct exposure: tools, resources and prompts of upstreams under their own names, in all four pairs of eras.

use serde_json::{Value, json};

use super::{ALL, direct, register};
use crate::support::{
    Server, TestNode,
    mcp::{initialize, request},
    until,
    upstream::{Eras, Upstream},
};

/// One request of either era; its result.
async fn ask(server: &Server, session: Option<&str>, method: &str, params: Value) -> Value {
    let ask = match session {
        Some(session) => server.ask().header("mcp-session-id", session).json(&request(method, params)),
        None => server.modern(method, params),
    };
    ask.send().await.body
}

/// An upstream of these eras, a server that exposes it directly, and a legacy session there.
async fn exposed(node: &TestNode, eras: Eras) -> (Upstream, Server, String) {
    let upstream = Upstream::start(eras).await;
    let made = register(node, &format!("{eras:?}"), &upstream).await;
    let server = direct(node, &[made["connectorId"].as_str().unwrap()]).await;
    let session = server.session().await;
    (upstream, server, session)
}

#[tokio::test]
async fn lists_and_calls_in_all_pairs() {
    let node = TestNode::start().await;
    for eras in ALL {
        let (upstream, server, session) = exposed(&node, eras).await;
        for session in [Some(session.as_str()), None] {
            let pair = format!("{} client, {eras:?} upstream", if session.is_some() { "legacy" } else { "modern" });
            let tools = ask(&server, session, "tools/list", json!({})).await;
            assert_eq!(tools["result"]["tools"].as_array().unwrap().len(), 20, "{pair}: {tools}");
            assert_eq!(tools["result"]["tools"][0]["x-vendor"]["n"], 1.5);
            let called = ask(&server, session, "tools/call", json!({ "name": "echo", "arguments": { "n": 1.50 } })).await;
            assert_eq!(called["result"]["structuredContent"], json!({ "n": 1.5 }), "{pair}: {called}");
            // Long enough to be passed on in pieces.
            let long = json!({ "a": 1, "text": "é\"".repeat(5_000), "z": [2.50] });
            let called = ask(&server, session, "tools/call", json!({ "name": "echo", "arguments": long })).await;
            assert_eq!(called["result"]["structuredContent"], long, "{pair}");
            assert_eq!(called["result"].get("resultType").is_some(), session.is_none(), "{pair}: {called}");
            let resources = ask(&server, session, "resources/list", json!({})).await;
            assert!(resources.to_string().contains("\"test://one\""), "{pair}: {resources}");
            for uri in ["test://one", "test://item/7"] {
                let read = ask(&server, session, "resources/read", json!({ "uri": uri })).await;
                assert_eq!(read["result"]["contents"][0]["text"], "content", "{pair}: {read}");
                assert_eq!(read["result"].get("ttlMs").is_some(), session.is_none(), "{pair}: {read}");
            }
            let missing = ask(&server, session, "resources/read", json!({ "uri": "test://none" })).await;
            assert_eq!(missing["error"]["code"], if session.is_some() { -32002 } else { -32602 }, "{pair}: {missing}");
            let prompt = ask(&server, session, "prompts/get", json!({ "name": "hello", "arguments": { "whom": "x" } })).await;
            assert_eq!(prompt["result"]["messages"][0]["content"]["text"], "Hello \"x\"", "{pair}: {prompt}");
            let completion = json!({ "ref": { "type": "ref/prompt", "name": "hello" }, "argument": { "name": "whom", "value": "w" } });
            let completed = ask(&server, session, "completion/complete", completion).await;
            assert_eq!(completed["result"]["completion"]["values"], json!(["world"]), "{pair}: {completed}");
            let failed = ask(&server, session, "tools/call", json!({ "name": "refuse" })).await;
            assert_eq!(failed["error"]["code"], -32602, "{pair}: {failed}");
        }
        // Where the upstream has both eras, a client meets its own.
        if eras == Eras::Dual {
            let versions: Vec<String> = upstream.of("tools/call").iter().map(|got| got.header("mcp-protocol-version").to_owned()).collect();
            assert!(
                versions.iter().any(|version| version == "2025-11-25") && versions.iter().any(|version| version == "2026-07-28"),
                "{versions:?}"
            );
        }
    }
}

#[tokio::test]
async fn progress_and_logs_reach_the_client() {
    let node = TestNode::start().await;
    for eras in [Eras::Legacy, Eras::Modern] {
        let (_upstream, server, session) = exposed(&node, eras).await;
        let params = json!({ "name": "progress", "arguments": {}, "_meta": { "progressToken": "mine" } });
        let mut events = server.ask().header("mcp-session-id", &session).json(&request("tools/call", params)).open().await;
        for n in 1..=3 {
            let event = events.next().await.unwrap();
            assert_eq!((&event["params"]["progressToken"], &event["params"]["progress"]), (&json!("mine"), &json!(n)), "{eras:?}: {event}");
        }
        assert_eq!(events.next().await.unwrap()["result"]["content"][0]["text"], "done");
        ask(&server, Some(&session), "logging/setLevel", json!({ "level": "warning" })).await;
        let mut events = server
            .ask()
            .header("mcp-session-id", &session)
            .json(&request("tools/call", json!({ "name": "log", "arguments": {} })))
            .open()
            .await;
        let log = events.next().await.unwrap();
        assert_eq!(log["params"]["level"], "error", "what is below the level is left out: {log}");
        assert_eq!(events.next().await.unwrap()["result"]["content"][0]["text"], "done");
        // A modern client that did not opt in hears nothing but the result.
        let quiet = ask(&server, None, "tools/call", json!({ "name": "log", "arguments": {} })).await;
        assert_eq!(quiet["result"]["content"][0]["text"], "done", "{eras:?}: {quiet}");
    }
}

/// An upstream that ignores the case of letters must not be told something else than what was judged.
#[tokio::test]
async fn members_in_other_letters_reach_no_upstream() {
    let node = TestNode::start().await;
    for eras in [Eras::Legacy, Eras::Modern] {
        let (upstream, server, session) = exposed(&node, eras).await;
        for session in [Some(session.as_str()), None] {
            for (method, params) in [
                ("tools/call", json!({ "name": "echo", "Name": "refuse", "arguments": {} })),
                ("tools/call", json!({ "name": "echo", "arguments": {}, "_META": {} })),
                ("resources/read", json!({ "uri": "test://one", "URI": "test://two" })),
                (
                    "completion/complete",
                    json!({ "ref": { "type": "ref/prompt", "name": "hello", "Name": "x" }, "argument": { "name": "whom", "value": "w" } }),
                ),
            ] {
                let before = upstream.of(method).len();
                let refused = ask(&server, session, method, params.clone()).await;
                assert_eq!(refused["error"]["code"], -32602, "{params}: {refused}");
                assert!(refused["error"]["message"].as_str().unwrap().contains("other letters"), "{refused}");
                assert_eq!(upstream.of(method).len(), before);
            }
        }
    }
}

/// What a client can do is what the upstream sees; what it asks reaches the client in the words of its era.
#[tokio::test]
async fn questions_reach_the_client_in_all_pairs() {
    let node = TestNode::start().await;
    for eras in [Eras::Legacy, Eras::Modern] {
        let upstream = Upstream::start(eras).await;
        let made = register(&node, &format!("{eras:?}"), &upstream).await;
        let server = direct(&node, &[made["connectorId"].as_str().unwrap()]).await;
        let call = json!({ "name": "ask", "arguments": {} });
        // A legacy client is asked on the stream of its call.
        let mut hello = initialize("2025-11-25");
        hello["capabilities"] = json!({ "elicitation": {} });
        let session = server.rpc("initialize", hello).await.expect(200).header("mcp-session-id").to_owned();
        let mut events = server.ask().header("mcp-session-id", &session).json(&request("tools/call", call.clone())).open().await;
        let question = events.next().await.unwrap();
        assert_eq!(
            (&question["method"], &question["params"]["message"]),
            (&json!("elicitation/create"), &json!("Who?")),
            "{eras:?}: {question}"
        );
        let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "accept", "content": { "name": "Ada" } } });
        // Somebody else cannot answer.
        server.ask().json(&answer).send().await.expect(202);
        server.ask().header("mcp-session-id", &session).json(&answer).send().await.expect(202);
        assert_eq!(events.next().await.unwrap()["result"]["content"][0]["text"], "heard \"Ada\"", "{eras:?}");
        // A modern client is asked to come back.
        let modern = |params: Value| {
            let mut params = params;
            let ask =
                server.ask().header("mcp-protocol-version", "2026-07-28").header("mcp-method", "tools/call").header("mcp-name", "ask");
            params["_meta"] = crate::support::mcp::envelope();
            params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({ "elicitation": {} });
            ask.json(&request("tools/call", params))
        };
        let first = modern(call.clone()).send().await.expect(200).body["result"].clone();
        assert_eq!(first["resultType"], "input_required", "{eras:?}: {first}");
        let (key, wanted) = first["inputRequests"].as_object().unwrap().iter().next().unwrap();
        assert_eq!(wanted["method"], "elicitation/create");
        let state = first["requestState"].as_str().unwrap();
        assert!(!state.contains("own-state"), "sealed: {state}");
        let mut again = call.clone();
        again["inputResponses"] = json!({ key: { "action": "accept", "content": { "name": "Bob" } } });
        for (wrong, arguments) in [(format!("{state}x"), json!({})), (state.to_owned(), json!({ "other": 1 }))] {
            let mut again = again.clone();
            again["requestState"] = wrong.into();
            again["arguments"] = arguments;
            let refused = modern(again).send().await;
            assert_eq!(refused.body["error"]["code"], -32602, "{eras:?}: {}", refused.text);
        }
        again["requestState"] = state.into();
        let last = modern(again).send().await.expect(200);
        assert_eq!(last.body["result"]["content"][0]["text"], "heard \"Bob\"", "{eras:?}: {}", last.text);
    }
}

/// A question outside of any call reaches a legacy client on its own stream; a modern client has none for it.
#[tokio::test]
async fn questions_outside_of_calls_reach_the_session() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Legacy).await;
    register(&node, "one", &upstream).await;
    let server = direct(&node, &["one"]).await;
    let mut hello = initialize("2025-11-25");
    hello["capabilities"] = json!({ "elicitation": {} });
    let session = server.rpc("initialize", hello).await.expect(200).header("mcp-session-id").to_owned();
    // The stream is there before the call that may need it.
    ask(&server, Some(&session), "tools/call", json!({ "name": "echo", "arguments": {} })).await;
    assert_eq!(upstream.listeners(), 1);
    let question = json!({ "jsonrpc": "2.0", "id": "q7", "method": "elicitation/create", "params": { "message": "Still there?" } });
    upstream.tell(question.clone());
    let mut events = server.stream(&session).await;
    let asked = events.next().await.unwrap();
    assert_eq!(asked["params"]["message"], "Still there?", "it has waited for its client: {asked}");
    assert_ne!(asked["id"], "q7", "the upstream's id is not the client's");
    let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "action": "decline" } });
    let others = server.session().await;
    server.ask().header("mcp-session-id", &others).json(&answer).send().await.expect(202);
    server.ask().header("mcp-session-id", &session).json(&answer).send().await.expect(202);
    let heard = until("the upstream hears", || async { upstream.got().into_iter().find(|got| got.body["id"] == "q7") }).await;
    assert_eq!(heard.body["result"]["action"], "decline", "{}", heard.text);
    upstream.tell(json!({ "jsonrpc": "2.0", "id": "q8", "method": "sampling/createMessage", "params": {} }));
    let heard = until("the upstream hears no", || async { upstream.got().into_iter().find(|got| got.body["id"] == "q8") }).await;
    assert_eq!(heard.body["error"]["code"], -32601, "not declared: {}", heard.text);
}

#[tokio::test]
async fn changes_reach_those_who_listen() {
    let node = TestNode::start().await;
    for eras in [Eras::Legacy, Eras::Modern] {
        let (upstream, server, session) = exposed(&node, eras).await;
        let mut legacy = server.stream(&session).await;
        let wanted = json!({ "notifications": { "toolsListChanged": true, "resourceSubscriptions": ["test://one"] } });
        let mut modern = server.modern("subscriptions/listen", wanted).open().await;
        assert_eq!(modern.next().await.unwrap()["method"], "notifications/subscriptions/acknowledged");
        ask(&server, Some(&session), "resources/subscribe", json!({ "uri": "test://one" })).await;
        until("both listen", || async { (upstream.listeners() >= 2).then_some(()) }).await;
        ask(&server, None, "tools/call", json!({ "name": "grow", "arguments": {} })).await;
        for events in [&mut legacy, &mut modern] {
            let event = events.next().await.unwrap();
            assert_eq!(event["method"], "notifications/tools/list_changed", "{eras:?}: {event}");
        }
        let tools = ask(&server, None, "tools/list", json!({})).await;
        assert!(tools.to_string().contains("\"grown\""), "who is told finds it");
        // A changed wish opens the stream again, so that this is told until it is heard.
        let told = json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated", "params": { "uri": "test://one" } });
        upstream.tell(told);
        let event = modern.next().await.unwrap();
        assert_eq!(
            (&event["method"], &event["params"]["uri"]),
            (&json!("notifications/resources/updated"), &json!("test://one")),
            "{event}"
        );
    }
}

#[tokio::test]
async fn names_stay_apart() {
    let node = TestNode::start().await;
    let (one, two) = (Upstream::start(Eras::Modern).await, Upstream::start(Eras::Legacy).await);
    register(&node, "one", &one).await;
    register(&node, "two", &two).await;
    let server = direct(&node, &["one", "two"]).await;
    let tools = ask(&server, None, "tools/list", json!({})).await;
    assert!(tools.to_string().contains("\"one_echo\"") && !tools.to_string().contains("\"echo\""), "{tools}");
    let ambiguous = ask(&server, None, "tools/call", json!({ "name": "echo", "arguments": {} })).await;
    assert!(ambiguous["error"]["message"].as_str().unwrap().contains("one_echo, two_echo"), "{ambiguous}");
    let called = ask(&server, None, "tools/call", json!({ "name": "two_echo", "arguments": { "a": 1 } })).await;
    assert_eq!(called["result"]["structuredContent"], json!({ "a": 1 }), "{called}");
    assert_eq!(two.of("tools/call")[0].body["params"]["name"], "echo");
    let prompt = ask(&server, None, "prompts/get", json!({ "name": "one_hello" })).await;
    assert!(prompt["result"]["messages"].is_array(), "{prompt}");
}

#[tokio::test]
async fn mirrored_arguments_are_checked_and_sent() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Modern).await;
    register(&node, "one", &upstream).await;
    let server = direct(&node, &["one"]).await;
    let params = json!({ "name": "region", "arguments": { "place": "Zürich" } });
    let missing = server.modern("tools/call", params.clone()).send().await.expect(400);
    assert_eq!(missing.body["error"]["code"], -32020, "{}", missing.text);
    let sent = server.modern("tools/call", params.clone()).header("mcp-param-place", "=?base64?WsO8cmljaA==?=").send().await.expect(200);
    assert_eq!(sent.body["result"]["content"][0]["text"], "=?base64?WsO8cmljaA==?=", "{}", sent.text);
    // A legacy client does not send them; the upstream gets them all the same.
    let session = server.session().await;
    let legacy = ask(&server, Some(&session), "tools/call", params).await;
    assert_eq!(legacy["result"]["content"][0]["text"], "=?base64?WsO8cmljaA==?=", "{legacy}");
}

/// Long names are cut to what all clients take, stay apart, stay the same, and lead to the tool that was meant.
#[tokio::test]
async fn long_names_stay_apart() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Modern).await;
    let long = ["a", "b"].map(|end| format!("{}_{end}", "report".repeat(16)));
    long.iter().for_each(|name| upstream.add_tool(name));
    register(&node, "one", &upstream).await;
    let server = direct(&node, &["one"]).await;
    let names = async || -> Vec<String> {
        let listed = ask(&server, None, "tools/list", json!({})).await;
        let tools = listed["result"]["tools"].as_array().unwrap().iter();
        tools.map(|tool| tool["name"].as_str().unwrap().to_owned()).filter(|name| name.starts_with("report")).collect()
    };
    let first = names().await;
    assert!(first.len() == 2 && first[0] != first[1] && first.iter().all(|name| name.len() <= 64), "{first:?}");
    assert_eq!(first, names().await);
    for (name, own) in first.iter().zip(&long) {
        ask(&server, None, "tools/call", json!({ "name": name, "arguments": {} })).await;
        assert_eq!(upstream.of("tools/call").pop().unwrap().body["params"]["name"], *own);
    }
}

/// A server that would expose less than was meant says so when it is made; what went away since then does not stand in the way of a change.
#[tokio::test]
async fn unknown_connectors_are_named() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Modern).await;
    let made = register(&node, "weather", &upstream).await;
    let body = |connectors: Value| json!({ "name": "Desk", "exposure": "direct", "connectors": connectors });
    node.post("/api/servers", body(json!(["weather", "wether"]))).await.refuses(400, "`connectors[1]` is \"wether\"");
    let server = node.server(body(json!(["weather"]))).await;
    let path = format!("/api/servers/{}", server.id);
    node.put(&path, json!({ "connectors": ["wether"] })).await.refuses(400, "Did you mean \"weather\"?");
    node.delete(&format!("/api/v1/user-mcp-servers/{}", made["id"].as_str().unwrap())).await.expect(200);
    node.put(&path, json!({ "connectors": ["weather"], "description": "still" })).await.expect(200);
}
