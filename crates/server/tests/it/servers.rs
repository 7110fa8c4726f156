//! `/api/servers`: the object, its names, its defaults, its changes.

use serde_json::{Value, json};

use crate::support::{Server, TestNode};

/// The example of Alloy's API for `POST /api/servers`, member for member.
#[tokio::test]
async fn creation_answers_as_the_example_shows() {
    let node = TestNode::start().await;
    let restrictions = json!({ "connectors": { "mode": "allowlist", "allowedIds": ["slack", "notion", "hubspot"] } });
    let body = json!({
        "name": "Production Server",
        "description": "Main production MCP server with restricted access",
        "tokenExpiresInDays": 90,
        "restrictions": restrictions,
    });
    let answer = node.post("/api/servers", body).await.expect(201);
    let server = Server::of(&answer);
    let body = &answer.body;
    let suffix = server.id.strip_prefix("production-server-").unwrap();
    assert!(suffix.len() == 8 && suffix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{suffix}");
    assert_eq!(body["name"], "Production Server");
    assert_eq!(body["description"], "Main production MCP server with restricted access");
    assert_eq!(server.url, format!("{}/mcp/{}", node.url, server.id));
    assert_eq!(server.access_url, format!("{}/{}", server.url, server.token));
    // 128 random bits are 22 characters of base64.
    assert!(server.token.strip_prefix("mcp_token_").unwrap().len() >= 22, "{}", server.token);
    assert!(server.token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    assert_eq!(body["restrictions"], restrictions);
    assert_eq!(body["hasRestrictions"], true);
    assert_eq!(body["mode"], "connectivity");
    for member in ["createdAt", "updatedAt"] {
        let at = body[member].as_str().unwrap();
        assert!(at.len() >= 20 && at.ends_with('Z') && at.as_bytes()[10] == b'T', "{at}");
    }
}

#[tokio::test]
async fn what_is_not_sent_has_its_default() {
    let node = TestNode::start().await;
    let answer = node.post("/api/servers", json!({ "name": "Plain" })).await.expect(201);
    let expected = json!({
        "name": "Plain", "description": "", "restrictions": {}, "hasRestrictions": false, "exposure": "dynamic", "connectors": [],
        "toolPrefix": "conflict", "userOverride": "header", "isPublic": false, "mode": "connectivity",
    });
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!(answer.body[member], *value, "{member}");
    }
    assert!(answer.body.get("rateLimitPerMinute").is_none());
}

/// The rule for names is in docs/rest.md, section "Servers".
#[tokio::test]
async fn names_are_judged_with_the_reason() {
    let node = TestNode::start().await;
    let long = "x".repeat(100);
    for name in ["a", "My Server 1", "my_server", "my-server-", "-", "Büro Überblick", "サーバー", long.as_str()] {
        node.post("/api/servers", json!({ "name": name })).await.expect(201);
    }
    let longer = "x".repeat(101);
    for (name, reason) in [
        ("", "1 to 100"),
        ("  ", "white space"),
        (" lead", "start or end"),
        ("trail ", "start or end"),
        ("server@123", "'@'"),
        ("a/b", "'/'"),
        ("a\u{0}b", "U+0000"),
        ("<script>", "'<'"),
        (longer.as_str(), "101"),
    ] {
        let answer = node.post("/api/servers", json!({ "name": name })).await;
        answer.refuses(400, reason);
        assert_eq!(answer.body["code"], "INVALID_REQUEST");
        assert_eq!(answer.body["details"]["field"], "name", "{name:?}");
    }
    for wrong in [json!({}), json!({ "name": null })] {
        node.post("/api/servers", wrong).await.refuses(400, "name");
    }
    node.post("/api/servers", json!({ "name": 7 })).await.refuses(400, "name");
}

#[tokio::test]
async fn names_are_unique_for_each_owner() {
    let node = TestNode::start().await;
    node.server(json!({ "name": "Twice" })).await;
    let again = node.post("/api/servers", json!({ "name": "Twice" })).await;
    again.refuses(409, "Server name already exists");
    assert_eq!(again.body["code"], "CONFLICT");
    let other = node.ask("POST", "/api/servers").user("somebody else").json(&json!({ "name": "Twice" })).send().await.expect(201);
    let third = node.server(json!({ "name": "Third" })).await;
    node.put(&format!("/api/servers/{}", third.id), json!({ "name": "Twice" })).await.refuses(409, "already exists");
    node.put(&format!("/api/servers/{}", third.id), json!({ "name": "Third" })).await.expect(200);
    assert_ne!(Server::of(&other).id, third.id);
}

#[tokio::test]
async fn expiry_is_in_days_or_never() {
    let node = TestNode::start().await;
    for (n, days) in [json!(1), json!(365), Value::Null].into_iter().enumerate() {
        let answer = node.post("/api/servers", json!({ "name": format!("n{n}"), "tokenExpiresInDays": days })).await.expect(201);
        assert_eq!(answer.body["tokenExpiresAt"].is_null(), days.is_null(), "{}", answer.text);
        assert!(answer.body.as_object().unwrap().contains_key("tokenExpiresAt"));
    }
    let absent = node.post("/api/servers", json!({ "name": "absent" })).await.expect(201);
    assert!(absent.body["tokenExpiresAt"].is_string(), "absent = 90 days");
    for wrong in [json!(0), json!(366), json!(-1), json!("x"), json!(1.5), json!(u64::MAX), json!([]), json!(true)] {
        let answer = node.post("/api/servers", json!({ "name": "wrong", "tokenExpiresInDays": wrong })).await;
        answer.refuses(400, "tokenExpiresInDays");
        assert_eq!(answer.body["details"]["field"], "tokenExpiresInDays", "{wrong}");
    }
}

#[tokio::test]
async fn a_change_touches_only_the_fields_sent() {
    let node = TestNode::start().await;
    let server = node
        .server(json!({ "name": "Before", "description": "kept", "customInstructions": "be kind", "userOverride": "jwt", "isPublic": true,
            "restrictions": { "connectors": { "mode": "allowlist", "allowedIds": ["slack"] }, "users": { "mode": "blocklist", "blockedIds": ["mallory"] } } }))
        .await;
    let path = format!("/api/servers/{}", server.id);
    let renamed = node.put(&path, json!({ "name": "After" })).await.expect(200);
    assert_eq!(renamed.body["name"], "After");
    assert_eq!(renamed.body["serverId"], server.id.as_str(), "the id stays");
    assert_eq!(renamed.body["description"], "kept");
    assert_eq!(renamed.body["customInstructions"], "be kind");
    assert_eq!(renamed.body["userOverride"], "jwt");
    assert_eq!(renamed.body["isPublic"], true);
    assert_eq!(renamed.body["restrictions"]["connectors"]["allowedIds"], json!(["slack"]));
    // Restrictions are replaced whole: the part that is not sent is gone.
    let users = json!({ "users": { "mode": "blocklist", "blockedIds": ["eve"] } });
    node.put(&path, json!({ "restrictions": users })).await.expect(200);
    let now = node.get(&path).await.expect(200);
    assert_eq!(now.body["restrictions"], users);
    node.put(&path, json!({ "restrictions": {} })).await.expect(200);
    assert_eq!(node.get(&path).await.body["hasRestrictions"], false);
    node.put(&path, json!({ "name": "bad@name" })).await.refuses(400, "name");
    assert_eq!(node.get(&path).await.body["name"], "After", "a refused change changes nothing");
    node.put("/api/servers/no-such-abcdefgh", json!({ "name": "x" })).await.refuses(404, "No such server");
}

#[tokio::test]
async fn restrictions_are_checked_when_they_are_sent() {
    let node = TestNode::start().await;
    let many: Vec<String> = (0..1001).map(|n| format!("c{n}")).collect();
    for (restrictions, field) in [
        (json!({ "connectors": { "mode": "allowlist", "blockedIds": ["slack"] } }), "connectors"),
        (json!({ "connectors": { "mode": "blocklist", "allowedIds": ["slack"], "blockedIds": ["slack"] } }), "connectors"),
        (json!({ "actions": { "mode": "sometimes" } }), "actions"),
        (json!({ "users": { "mode": "allowlist", "allowedIds": "me" } }), "users"),
        (json!({ "connectors": { "mode": "allowlist", "allowedIds": many } }), "connectors"),
        (json!([]), "restrictions"),
    ] {
        let answer = node.post("/api/servers", json!({ "name": "r", "restrictions": restrictions })).await;
        answer.refuses(400, field);
        assert!(answer.body["details"]["field"].as_str().unwrap().contains(field), "{}", answer.text);
    }
    let older = json!({ "permissions": [{ "connector": "slack", "actions": ["chat_postMessage"] }] });
    let shown = node.post("/api/servers", json!({ "name": "older", "restrictions": older })).await.expect(201);
    assert_eq!(shown.body["restrictions"]["connectors"], json!({ "mode": "allowlist", "allowedIds": ["slack"] }));
    assert_eq!(shown.body["restrictions"]["actions"]["mode"], "allowlist");
}

/// They would block nothing.
#[tokio::test]
async fn entries_that_name_nothing_are_refused() {
    let node = TestNode::start().await;
    for (part, list, entry, words) in [
        ("connectors", "blockedIds", " slack", "space"),
        ("actions", "blockedActions", "slack /chat_delete", "space"),
        ("actions", "blockedActions", "slack*", "slack/*"),
        ("actions", "allowedActions", "slack*", "slack/*"),
    ] {
        let mode = if list.starts_with("allowed") { "allowlist" } else { "blocklist" };
        let restrictions = json!({ part: { "mode": mode, list: [entry] } });
        let answer = node.post("/api/servers", json!({ "name": "S", "restrictions": restrictions })).await;
        answer.refuses(400, words);
        assert_eq!(answer.body["details"]["field"], format!("restrictions.{part}.{list}[0]"));
    }
    let server = node.server(json!({ "name": "S" })).await;
    let restrictions = json!({ "actions": { "mode": "blocklist", "blockedActions": ["list*", "slack*"] } });
    node.put(&format!("/api/servers/{}", server.id), json!({ "restrictions": restrictions })).await.refuses(400, "slack/*");
}

/// Whoever comes second finds nothing there, and no fault of ours.
#[tokio::test]
async fn what_is_deleted_meanwhile_is_not_there() {
    let node = TestNode::start().await;
    for round in 0..8 {
        let server = node.server(json!({ "name": format!("S {round}") })).await;
        let token = format!("/api/servers/{}/token", server.id);
        let rotations: Vec<_> = (0..8).map(|_| tokio::spawn(node.ask("POST", &token).send())).collect();
        node.delete(&format!("/api/servers/{}", server.id)).await.expect(200);
        for rotation in rotations {
            let answer = rotation.await.unwrap();
            assert!([200, 404, 409].contains(&answer.status), "{}", answer.text);
        }
    }
}

#[tokio::test]
async fn deletion_ends_everything() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "Gone" })).await;
    let path = format!("/api/servers/{}", server.id);
    let deleted = node.delete(&path).await.expect(200);
    assert_eq!(deleted.body, json!({ "message": "Server deleted", "serverId": server.id }));
    node.get(&path).await.refuses(404, "No such server");
    node.delete(&path).await.refuses(404, "No such server");
    server.rpc("ping", json!({})).await.expect(401);
    server.ask_as(crate::support::node::ADMIN_KEY).json(&crate::support::mcp::request("ping", json!({}))).send().await.expect(404);
    node.server(json!({ "name": "Gone" })).await;
}

#[tokio::test]
async fn the_list_has_pages() {
    let node = TestNode::start().await;
    for n in 0..5 {
        node.server(json!({ "name": format!("s{n}") })).await;
    }
    let all = node.get("/api/servers").await.expect(200);
    assert_eq!(all.body["servers"].as_array().unwrap().len(), 5);
    let mut seen = Vec::new();
    for offset in [0, 2, 4] {
        let page = node.get(&format!("/api/servers?limit=2&offset={offset}")).await.expect(200);
        assert_eq!((&page.body["count"], &page.body["total"]), (&json!(5), &json!(5)));
        assert_eq!((&page.body["limit"], &page.body["offset"]), (&json!(2), &json!(offset)));
        assert_eq!(page.body["hasMore"], offset != 4);
        for server in page.body["servers"].as_array().unwrap() {
            let url = server["accessUrl"].as_str().unwrap();
            assert!(url.contains("/mcp_token_"));
            assert!(server.get("accessToken").is_none(), "the token itself is shown on creation only");
            seen.push(server["serverId"].clone());
        }
    }
    seen.sort_by_key(Value::to_string);
    seen.dedup();
    assert_eq!(seen.len(), 5, "each server is on one page");
    for (query, field) in [("limit=0", "limit"), ("limit=1001", "limit"), ("limit=x", "limit"), ("offset=-1", "offset")] {
        node.get(&format!("/api/servers?{query}")).await.refuses(400, field);
    }
    let others = node.ask("GET", "/api/servers").user("nobody").send().await.expect(200);
    assert_eq!(others.body["count"], 0, "the list is the effective user's");
}

#[tokio::test]
async fn a_kept_token_is_shown_again_and_an_unkept_one_is_not() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "Shown" })).await;
    let path = format!("/api/servers/{}", server.id);
    for answer in [node.get(&path).await, node.put(&path, json!({ "description": "x" })).await] {
        assert_eq!(answer.body["accessUrl"], server.access_url.as_str());
        assert!(answer.body.get("accessToken").is_none());
    }
    let node = TestNode::with(|config| config.tokens_reveal = false).await;
    let server = node.server(json!({ "name": "Hidden" })).await;
    let path = format!("/api/servers/{}", server.id);
    for answer in [node.get(&path).await, node.put(&path, json!({ "description": "x" })).await, node.get("/api/servers").await] {
        assert!(!answer.text.contains("accessUrl") && !answer.text.contains("mcp_token_"), "{}", answer.text);
    }
    server.rpc("ping", json!({})).await.expect(200);
}

/// A page of large servers is cut, and says that there are more.
#[tokio::test]
async fn pages_of_large_servers_are_small() {
    let node = TestNode::start().await;
    let users: Vec<String> = (0..25).map(|n| format!("{n}{}", "x".repeat(9_900))).collect();
    for n in 0..25 {
        let restrictions = json!({ "users": { "mode": "allowlist", "allowedIds": users } });
        let body = json!({ "name": format!("S{n}"), "description": "d".repeat(99_000), "customInstructions": "i".repeat(99_000), "restrictions": restrictions });
        node.server(body).await;
    }
    let mut seen = 0;
    loop {
        let page = node.get(&format!("/api/servers?limit=1000&offset={seen}")).await.expect(200);
        let servers = page.body["servers"].as_array().unwrap();
        assert!(!servers.is_empty() && page.text.len() < 9_000_000, "{}", page.text.len());
        assert_eq!((&page.body["total"], &servers[0]["name"]), (&json!(25), &json!(format!("S{seen}"))));
        seen += servers.len();
        assert_eq!(page.body["hasMore"], seen < 25);
        if seen == 25 {
            break;
        }
    }
}
