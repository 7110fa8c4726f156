//! `/api/v1/user-mcp-servers` and execution by REST.

use serde_json::{Value, json};

use super::{ALL, direct, register};
use crate::support::{
    TestNode, contains,
    mcp::request,
    until,
    upstream::{Eras, Upstream},
};

#[tokio::test]
async fn an_upstream_is_registered_listed_and_called() {
    let node = TestNode::start().await;
    for eras in ALL {
        let upstream = Upstream::start(eras).await;
        let made = register(&node, &format!("My {eras:?}"), &upstream).await;
        assert_eq!(made["connectorId"], format!("my-{eras:?}").to_lowercase());
        assert_eq!(made["era"], if eras == Eras::Legacy { "legacy" } else { "modern" });
        assert_eq!(made["status"], "ok", "{made}");
        assert_eq!(made["transport_type"], "streamable_http");
        let id = made["id"].as_str().unwrap();
        let tools = node.get(&format!("/api/v1/user-mcp-servers/{id}/tools")).await.expect(200);
        assert_eq!(tools.body["total"], 20, "both pages: {}", tools.text);
        assert_eq!(tools.body["options"][0], json!({ "label": "echo", "value": "echo" }));
        for path in ["/api/v1/mcp-tools/execute", "/api/v1/runtime/mcp-tools/execute"] {
            let body = format!("{{\"mcp_server_id\":\"{id}\",\"tool_slug\":\"echo\",\"args\":{{\"b\":1.50,\"a\":12345678901234567890}}}}");
            let answer = node.ask("POST", path).body("application/json", body).send().await.expect(200);
            let end =
                "\"structuredContent\":{\"b\":1.50,\"a\":12345678901234567890},\"x-vendor\":1.50,\"isError\":false},\"is_error\":false}";
            assert!(answer.text.ends_with(end), "word for word: {}", answer.text);
        }
        let failed = node.post("/api/v1/mcp-tools/execute", json!({ "mcp_server_id": id, "tool_slug": "fail" })).await.expect(200);
        assert_eq!(failed.body["is_error"], true);
        assert_eq!(failed.body["result"]["content"][0]["text"], "it went wrong");
        let refused = node.post("/api/v1/mcp-tools/execute", json!({ "mcp_server_id": id, "tool_slug": "refuse" })).await;
        refused.refuses(400, "Bad arguments");
    }
    let all = node.get("/api/v1/user-mcp-servers").await.expect(200);
    assert_eq!(all.body["total"], 3);
    let owned = node.get("/api/v1/mcp-connections?scope=owner_user").await.expect(200);
    assert_eq!(owned.body["total"], 3);
}

#[tokio::test]
async fn an_upstream_is_its_owners_alone() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Dual).await;
    let made = register(&node, "Mine", &upstream).await;
    let path = format!("/api/v1/user-mcp-servers/{}", made["id"].as_str().unwrap());
    let other = node.key("somebody", "member").await;
    for (method, path, body) in [
        ("GET", path.clone(), Value::Null),
        ("PATCH", path.clone(), json!({ "name": "x" })),
        ("DELETE", path.clone(), Value::Null),
        ("GET", format!("{path}/tools"), Value::Null),
        ("POST", "/api/v1/mcp-tools/execute".to_owned(), json!({ "mcp_server_id": made["id"], "tool_slug": "echo" })),
    ] {
        let ask = node.ask(method, &path).key(&other);
        let answer = if body.is_null() { ask.send().await } else { ask.json(&body).send().await };
        answer.refuses(404, "MCP server not found");
    }
    node.ask("GET", "/connectors/mine").key(&other).send().await.expect(404);
    node.ask("GET", "/connectors/mine").send().await.expect(200);
    let second =
        node.ask("POST", "/api/v1/user-mcp-servers").key(&other).json(&json!({ "name": "Mine", "url": upstream.url() })).send().await;
    assert_ne!(second.expect(201).body["connectorId"], "mine", "two users never share a slug");
}

#[tokio::test]
async fn headers_are_sealed_and_go_to_the_upstream_alone() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Modern).await;
    let secret = "Bearer the-secret-of-the-upstream";
    let body = json!({ "name": "Closed", "url": upstream.url(), "auth_type": "manual", "auth_config": { "headers": { "Authorization": secret, "X-Team": "blue" } } });
    let made = node.post("/api/v1/user-mcp-servers", body).await.expect(201);
    assert!(!made.text.contains("the-secret") && made.body["has_credential"] == true, "{}", made.text);
    assert_eq!(made.body["auth_config"]["headers"]["Authorization"], "(hidden)");
    let call = json!({ "mcp_server_id": made.body["id"], "tool_slug": "echo" });
    node.ask("POST", "/api/v1/mcp-tools/execute").header("x-client", "not-for-upstreams").json(&call).send().await.expect(200);
    for got in upstream.got() {
        assert_eq!((got.header("authorization"), got.header("x-team")), (secret, "blue"));
        assert_eq!(got.header("x-client"), "", "client headers never reach an upstream");
    }
    if node.is_sqlite() {
        for entry in std::fs::read_dir(node.directory()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!contains(&bytes, b"the-secret-of-the-upstream"));
        }
    }
    // Elsewhere it is not sent.
    let path = format!("/api/v1/user-mcp-servers/{}", made.body["id"].as_str().unwrap());
    node.ask("PATCH", &path).json(&json!({ "url": "http://127.0.0.1:9/" })).send().await.refuses(400, "auth_config");
}

/// The operator may let headers of clients through; those of the owner and of the protocol are not replaced by them.
#[tokio::test]
async fn the_operator_lets_headers_of_clients_through() {
    let node =
        TestNode::with(|config| config.upstream_headers = ["x-tenant", "x-team", "x-request-id"].map(|name| name.parse().unwrap()).into())
            .await;
    let upstream = Upstream::start(Eras::Dual).await;
    let auth = json!({ "headers": { "X-Team": "blue" } });
    let body = json!({ "name": "One", "url": upstream.url(), "auth_type": "manual", "auth_config": auth });
    let made = node.post("/api/v1/user-mcp-servers", body).await.expect(201);
    let server = direct(&node, &["one"]).await;
    let with = |ask: crate::support::Ask| {
        let ask = ask.header("x-tenant", "north").header("x-team", "red").header("x-other", "no").header("cookie", "no");
        ask.header("x-request-id", "not taken")
    };
    let call = json!({ "name": "echo", "arguments": {} });
    with(server.modern("tools/call", call.clone())).send().await.expect(200);
    with(server.ask()).json(&request("tools/call", call)).send().await.expect(200);
    let call = json!({ "mcp_server_id": made.body["id"], "tool_slug": "echo" });
    with(node.ask("POST", "/api/v1/mcp-tools/execute")).json(&call).send().await.expect(200);
    with(node.ask("POST", "/connectors/one/actions/echo/execute")).json(&json!({ "parameters": {} })).send().await.expect(200);
    let calls = upstream.of("tools/call");
    assert_eq!(calls.len(), 4);
    for got in calls {
        assert_eq!((got.header("x-tenant"), got.header("x-team"), got.header("x-other"), got.header("cookie")), ("north", "blue", "", ""));
        assert_eq!(got.header("x-request-id").len(), 24, "ours");
    }
}

#[tokio::test]
async fn no_body_makes_a_process() {
    let node = TestNode::start().await;
    let url = "http://127.0.0.1:9/mcp";
    let refused = node.post("/api/v1/user-mcp-servers", json!({ "name": "P", "url": url, "transport_type": "stdio" })).await;
    refused.refuses(400, "operator's configuration");
    let made = node.post("/api/v1/user-mcp-servers", json!({ "name": "Down", "url": url })).await.expect(201);
    assert_eq!(made.body["status"], "failing", "{}", made.text);
    assert!(made.body["problem"]["message"].as_str().unwrap().contains("Down"), "{}", made.text);
    let path = format!("/api/v1/user-mcp-servers/{}", made.body["id"].as_str().unwrap());
    node.ask("PATCH", &path).json(&json!({ "transport_type": "stdio" })).send().await.refuses(400, "operator's configuration");
    let document =
        json!({ "mcpServers": { "p": { "command": "sh", "args": ["-c", "true"] }, "web": { "url": url, "headers": { "X-Key": "k" } } } });
    let imported = node.post("/api/v1/user-mcp-servers/import", document).await.expect(201);
    assert_eq!(imported.body["servers"].as_array().unwrap().len(), 1, "{}", imported.text);
    assert!(imported.body["omitted"][0]["reason"].as_str().unwrap().contains("process"), "{}", imported.text);
    let published = json!({ "name": "io.example/thing", "version": "1.0.0", "description": "A thing", "remotes": [{ "type": "streamable-http", "url": url }] });
    let imported = node.post("/api/v1/user-mcp-servers/import", published).await.expect(201);
    assert_eq!(imported.body["servers"][0]["name"], "io.example/thing");
}

/// What stands in the way is said where the MCP server is registered, with the way out.
#[tokio::test]
async fn an_address_that_is_not_called_is_a_problem() {
    let node = TestNode::with(|config| config.egress_allow.clear()).await;
    for (url, more) in [
        ("http://127.0.0.1:9/mcp", json!({})),
        ("http://localhost:9/mcp", json!({ "transport_type": "sse" })),
        ("http://10.0.0.1/mcp", json!({ "auth_type": "oauth" })),
    ] {
        let mut body = json!({ "name": "Inside", "url": url });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = node.post("/api/v1/user-mcp-servers", body).await.expect(201);
        let problem = made.body["problem"]["message"].as_str().unwrap_or_default();
        assert!(problem.contains("--egress-allow") && problem.contains("loopback"), "{url}: {}", made.text);
    }
}

/// The id of an upstream is nobody else's: not even a connector that is made later takes it.
#[tokio::test]
async fn a_connector_does_not_take_the_id_of_an_upstream() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Modern).await;
    register(&node, "Shop", &upstream).await;
    let spec = json!({ "openapi": "3.0.3", "info": { "title": "Shop", "version": "1" }, "servers": [{ "url": upstream.url() }],
        "paths": { "/x": { "get": { "operationId": "x", "responses": { "200": { "description": "ok" } } } } } });
    node.post("/api/connectors", json!({ "id": "shop", "spec": spec })).await.refuses(409, "shop");
    node.post("/api/connectors", json!({ "id": "shop-api", "spec": spec })).await.expect(201);
    let second = register(&node, "shop api", &upstream).await;
    assert_ne!(second["connectorId"], "shop-api", "nor the other way round");
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let node = TestNode::start().await;
    let url = "https://mcp.example.com/mcp";
    for (body, words) in [
        (json!({ "url": url }), "`name` is missing"),
        (json!({ "name": "x" }), "`url` is missing"),
        (json!({ "name": "x", "url": "ftp://x" }), "`url`"),
        (json!({ "name": "x", "url": "https://user:pass@x/" }), "auth_config"),
        (json!({ "name": "x", "url": url, "auth_type": "manual" }), "auth_config"),
        (json!({ "name": "x", "url": url, "auth_type": "oauth", "auth_config": { "headers": {} } }), "auth_config"),
        (
            json!({ "name": "x", "url": url, "auth_type": "manual", "auth_config": { "headers": { "Mcp-Session-Id": "x" } } }),
            "mcp-session-id",
        ),
        (json!({ "name": "x", "url": url, "auth_type": "manual", "auth_config": { "headers": { "Host": "x" } } }), "host"),
        (json!({ "name": "x", "url": url, "auth_type": "manual", "auth_config": { "headers": { "X-Key": "(hidden)" } } }), "(hidden)"),
        (
            json!({ "name": "x", "url": url, "auth_type": "manual", "auth_config": { "headers": { "X-Key": "x" }, "client_id": "x" } }),
            "`auth_config.client_id` needs `auth_type`",
        ),
        (json!({ "name": "x", "url": url, "timeout_seconds": 0 }), "timeout_seconds"),
        (json!({ "name": "x", "url": url, "image_url": "javascript:alert(1)" }), "image_url"),
        (json!({ "name": "x", "url": url, "image_url": "http:x" }), "image_url"),
        (json!({ "name": "x", "url": url, "image_url": " https://x/" }), "image_url"),
        (json!({ "name": "x", "url": url, "image_url": "https:///x" }), "image_url"),
        (json!({ "name": "x", "url": url, "image_url": "https://user:pass@x/" }), "user name or password"),
    ] {
        node.post("/api/v1/user-mcp-servers", body.clone()).await.refuses(400, words);
    }
    let shown = json!({ "name": "shown", "url": url, "image_url": "HTTPS://Pictures.example\\a b.png" });
    let shown = node.post("/api/v1/user-mcp-servers", shown).await.expect(201);
    assert_eq!(shown.body["image_url"], "https://pictures.example/a%20b.png", "{}", shown.text);
    for (body, words) in [
        (json!({}), "mcp_server_id"),
        (json!({ "mcp_server_id": "x" }), "tool_slug"),
        (json!({ "mcp_server_id": "x", "tool_slug": "y", "args": [] }), "args"),
    ] {
        node.post("/api/v1/mcp-tools/execute", body).await.refuses(400, words);
    }
    node.post("/api/v1/mcp-tools/execute", json!({ "mcp_server_id": "x", "tool_slug": "y" })).await.refuses(404, "MCP server not found");
}

#[tokio::test]
async fn thirty_executions_a_minute() {
    let node = TestNode::start().await;
    for _ in 0..30 {
        node.post("/api/v1/mcp-tools/execute", json!({ "mcp_server_id": "x", "tool_slug": "y" })).await.expect(404);
    }
    let refused = node.post("/api/v1/mcp-tools/execute", json!({ "mcp_server_id": "x", "tool_slug": "y" })).await.expect(429);
    assert!(refused.header("retry-after").parse::<u32>().is_ok() && refused.body["error"].is_string(), "{}", refused.text);
}

/// A tool of an upstream is an action like others.
#[tokio::test]
async fn a_tool_is_an_action() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Legacy).await;
    register(&node, "Tools", &upstream).await;
    let server = node.server(json!({ "name": "All" })).await;
    let listed = server.tool("list_connectors_alloy", json!({ "category": "mcp" })).await.ok();
    assert_eq!(listed["connectors"][0]["id"], "tools", "{listed}");
    let details = server.tool("get_action_details_alloy", json!({ "connectorId": "tools", "actionId": "region" })).await.ok();
    assert_eq!(details["action"]["inputSchema"]["properties"]["place"]["x-mcp-header"], "Place", "{details}");
    let found = server.tool("discover_action_path_alloy", json!({ "goal": "echo", "connectorId": "tools" })).await.ok();
    assert_eq!(found["actions"][0]["actionId"], "echo", "{found}");
    let done = server.execute("tools", "echo", json!({ "a": 1 })).await.ok();
    assert_eq!(done["structuredContent"], json!({ "a": 1 }), "{done}");
    server.execute("tools", "fail", json!({})).await.refuses("it went wrong");
    server.execute("tools", "nothing", json!({})).await.refuses("not found");
    let twin = node.post("/connectors/tools/actions/echo/execute", json!({ "parameters": { "a": 2 } })).await.expect(200);
    assert_eq!(twin.body["responseData"]["structuredContent"], json!({ "a": 2 }), "{}", twin.text);
    let restrictions = json!({ "actions": { "mode": "blocklist", "blockedActions": ["tools/echo"] } });
    let narrow = node.server(json!({ "name": "Narrow", "restrictions": restrictions })).await;
    narrow.execute("tools", "echo", json!({})).await.refuses("Access denied");
    let entries = until("the audit trail", || async {
        let entries = node.get("/api/audit?limit=100").await.expect(200);
        entries.text.contains("\"denied\"").then_some(entries)
    });
    let entries = entries.await;
    assert!(entries.text.contains("\"connectorId\":\"tools\""), "{}", entries.text);
}

/// Ids of users are free texts: whoever gets one again gets nothing of whoever had it.
#[tokio::test]
async fn a_deleted_users_upstreams_are_gone() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Legacy).await;
    let body = json!({ "name": "Theirs", "url": upstream.url(), "auth_type": "manual", "auth_config": { "headers": { "x-key": "of-the-first-ann" } } });
    node.ask("POST", "/api/v1/user-mcp-servers").user("ann").json(&body).send().await.expect(201);
    let of_ann = || node.ask("GET", "/api/v1/user-mcp-servers").user("ann").send();
    assert!(of_ann().await.expect(200).text.contains("Theirs"));
    node.delete("/users/ann").await.expect(200);
    assert!(!of_ann().await.expect(200).text.contains("Theirs"));
}

/// Null takes a field away, absence leaves it as it is, and what was entered for one address goes to no other.
#[tokio::test]
async fn a_registration_is_changed_field_by_field() {
    let node = TestNode::start().await;
    let (first, second) = (Upstream::start(Eras::Legacy).await, Upstream::start(Eras::Modern).await);
    let auth = json!({ "headers": { "X-Key": "one" } });
    let body =
        json!({ "name": "One", "url": first.url(), "auth_type": "manual", "auth_config": auth, "description": "d", "timeout_seconds": 7 });
    let made = node.post("/api/v1/user-mcp-servers", body).await.expect(201);
    let path = format!("/api/v1/user-mcp-servers/{}", made.body["id"].as_str().unwrap());
    let patch = async |body: Value| node.ask("PATCH", &path).json(&body).send().await;
    let same = patch(json!({})).await.expect(200);
    assert_eq!(
        (&same.body["description"], &same.body["timeout_seconds"], &same.body["has_credential"]),
        (&json!("d"), &json!(7), &json!(true))
    );
    let cleared = patch(json!({ "description": null, "timeout_seconds": null })).await.expect(200);
    assert_eq!((&cleared.body["description"], &cleared.body["timeout_seconds"]), (&Value::Null, &Value::Null), "{}", cleared.text);
    patch(json!({ "name": null })).await.refuses(400, "`name`");
    patch(json!({ "url": null })).await.refuses(400, "`url`");
    patch(json!({ "auth_config": null })).await.refuses(400, "auth_config");
    patch(json!({ "transport_type": "pigeon" })).await.expect(400);
    patch(json!({ "nmae": "x" })).await.refuses(400, "nmae");
    // The credential was entered for the first address.
    patch(json!({ "url": second.url() })).await.refuses(400, "auth_config");
    assert!(second.got().is_empty());
    let open = first.sessions();
    assert!(open > 0);
    let moved = patch(json!({ "url": second.url(), "auth_config": { "headers": { "X-Key": "two" } } })).await.expect(200);
    assert_eq!((&moved.body["era"], &moved.body["connectorId"]), (&json!("modern"), &made.body["connectorId"]), "{}", moved.text);
    until("sessions at the old address are ended", || async { (first.sessions() == 0).then_some(()) }).await;
    assert!(second.got().iter().all(|got| got.header("x-key") == "two"));
    let bare = patch(json!({ "auth_type": "none" })).await.expect(200);
    assert_eq!((&bare.body["has_credential"], &bare.body["auth_config"]), (&json!(false), &Value::Null), "{}", bare.text);
    assert_eq!(second.got().last().unwrap().header("x-key"), "");
    patch(json!({ "auth_type": "manual" })).await.refuses(400, "auth_config");
    // An address that speaks the older transport only does not answer here; it is registered with what it offers forgotten.
    let other = patch(json!({ "transport_type": "sse" })).await.expect(200);
    assert_eq!((&other.body["status"], &other.body["offers"]["tools"]), (&json!("failing"), &json!(0)), "{}", other.text);
    assert_eq!(patch(json!({ "transport_type": null })).await.expect(200).body["offers"]["tools"], 20);
}
