//! Restrictions at every door: invisible in lists, named in refusals.

use serde_json::{Value, json};

use crate::support::{Answer, Ask, Platform, Server, TestNode, shop};

/// A node with the shop's platform, and servers under three regimes that all deny deleting and one connector.
async fn node_with_servers() -> (TestNode, Platform, Vec<(Server, &'static str)>) {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let mut servers = Vec::new();
    let all = node.get("/connectors").await.body;
    let others: Vec<&str> = ids(&all["connectors"]).into_iter().filter(|id| *id != "open").collect();
    for (name, restrictions, rule) in [
        (
            "allow",
            json!({ "connectors": { "mode": "allowlist", "allowedIds": ["open"] },
                "actions": { "mode": "allowlist", "allowedActions": ["open/getItem", "listItems", "create*"] } }),
            "allowlist",
        ),
        (
            "block",
            json!({ "connectors": { "mode": "blocklist", "blockedIds": others },
                "actions": { "mode": "blocklist", "blockedActions": ["open/delete*", "misbehave"] } }),
            "blocklist",
        ),
    ] {
        servers.push((node.server(json!({ "name": name, "restrictions": restrictions })).await, rule));
    }
    (node, platform, servers)
}

/// The twin under a server, by both of its doors.
fn twins<'a>(node: &'a TestNode, server: &'a Server, method: &'a str, path: &'a str) -> [Ask; 2] {
    [node.ask(method, path).header("x-mcp-server-id", &server.id), node.ask(method, path).key(&server.token)]
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn lists_show_only_what_is_permitted() {
    let (node, _platform, servers) = node_with_servers().await;
    for (server, _) in &servers {
        let connectors = server.tool("list_connectors_alloy", json!({})).await.ok();
        assert_eq!(ids(&connectors["connectors"]), ["open"]);
        assert_eq!(connectors["count"], 1);
        let resources = server.tool("get_connector_resources_alloy", json!({ "connectorId": "open" })).await;
        for hidden in ["deleteItem", "misbehave"] {
            assert!(!resources.text.contains(hidden), "{}", resources.text);
        }
        assert!(resources.text.contains("getItem") && resources.text.contains("createItem"), "{}", resources.text);
        let found = server.tool("discover_action_path_alloy", json!({ "goal": "delete an item from the shop" })).await;
        assert!(!found.text.contains("deleteItem") && !found.text.contains("\"connectorId\":\"shop\""), "{}", found.text);
        for ask in twins(&node, server, "GET", "/connectors") {
            assert_eq!(ids(&ask.send().await.expect(200).body["connectors"]), ["open"]);
        }
        for path in ["/connectors/open/actions", "/connectors/open/resources", "/connectors/search?goal=delete+an+item"] {
            for ask in twins(&node, server, "GET", path) {
                let answer = ask.send().await.expect(200);
                assert!(!answer.text.contains("deleteItem"), "{path}: {}", answer.text);
            }
        }
        for ask in twins(&node, server, "GET", "/connectors/open") {
            assert_eq!(ask.send().await.expect(200).body["actionCount"], 3);
        }
    }
}

#[tokio::test]
async fn every_refusal_names_its_rule() {
    let (node, platform, servers) = node_with_servers().await;
    shop::credential(&node, "admin", "apiKey", json!({ "apiKey": "12345678" })).await;
    for (server, rule) in &servers {
        let connector = json!({ "connectorId": "shop" });
        let fields = json!({ "connectorId": "shop", "authenticationType": "apiKey", "fields": { "apiKey": "12345678" } });
        let words = format!(
            "Access denied: connector \"shop\" is not allowed on this server (restrictions.connectors is a{}",
            if *rule == "allowlist" { "n allowlist" } else { " blocklist" }
        );
        for (tool, arguments) in [
            ("get_connector_resources_alloy", connector.clone()),
            ("get_action_details_alloy", json!({ "connectorId": "shop", "actionId": "getItem" })),
            ("execute_action_alloy", json!({ "connectorId": "shop", "actionId": "getItem", "parameters": { "id": "1" } })),
            ("create_credential_alloy", fields),
            ("get_credentials_alloy", connector.clone()),
            ("get_credential_metadata_alloy", connector.clone()),
        ] {
            let refused = server.tool(tool, arguments).await;
            assert!(refused.is_error && refused.text.contains("Access denied: connector \"shop\""), "{tool}: {} ({words})", refused.text);
            assert!(refused.text.contains("restrictions.connectors") && refused.text.contains(rule), "{tool}: {}", refused.text);
        }
        let denied = server.execute("open", "deleteItem", json!({ "id": "1" })).await;
        denied.refuses("Access denied: action \"open/deleteItem\"");
        assert!(denied.text.contains("restrictions.actions") && denied.text.contains(rule), "{}", denied.text);
        let details = server.tool("get_action_details_alloy", json!({ "connectorId": "open", "actionId": "deleteItem" })).await;
        details.refuses("restrictions.actions");
        for (method, path, body) in [
            ("GET", "/connectors/shop", None),
            ("GET", "/connectors/shop/actions", None),
            ("GET", "/connectors/shop/actions/getItem", None),
            ("GET", "/connectors/shop/credentials", None),
            ("GET", "/connectors/shop/credentials/metadata", None),
            ("DELETE", "/connectors/shop/credentials/0123456789abcdef01234567", None),
            ("POST", "/connectors/shop/credentials", Some(json!({ "authenticationType": "apiKey", "data": { "apiKey": "12345678" } }))),
            ("POST", "/connectors/shop/actions/getItem/execute", Some(json!({ "pathParams": { "id": "1" } }))),
            ("POST", "/connectors/open/actions/deleteItem/execute", Some(json!({ "pathParams": { "id": "1" } }))),
            ("POST", "/connectors/open/actions/deleteItem/execute", Some(json!({ "parameters": { "id": "1" } }))),
            ("GET", "/connectors/open/actions/deleteItem", None),
        ] {
            for ask in twins(&node, server, method, path) {
                let ask = if let Some(body) = &body { ask.json(body) } else { ask };
                let answer = ask.send().await;
                answer.refuses(403, "Access denied");
                assert_eq!(answer.body["error"]["code"], "FORBIDDEN");
                assert!(answer.sentence().contains(rule), "{method} {path}: {}", answer.text);
            }
        }
        for ask in twins(&node, server, "GET", "/users/admin/credentials") {
            assert_eq!(ask.send().await.expect(200).body["data"], json!([]));
        }
    }
    assert_eq!(platform.count(), 0, "{:?}", platform.seen());
    servers[0].0.execute("open", "getItem", json!({ "id": "1" })).await.ok();
}

/// What does not exist and what is denied are told alike, so that nobody learns what there is.
#[tokio::test]
async fn denied_names_are_no_oracle() {
    let (_node, _platform, servers) = node_with_servers().await;
    let (server, _) = &servers[0];
    let there = server.execute("shop", "getItem", json!({})).await.text.replace("shop", "X");
    let not = server.execute("nothing", "getItem", json!({})).await.text.replace("nothing", "X");
    assert_eq!(there, not);
}

/// An empty allowlist denies all and says so; an empty blocklist allows all.
#[tokio::test]
async fn empty_lists_mean_what_they_say() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    for part in ["connectors", "actions", "users"] {
        let closed = node.server(json!({ "name": format!("closed {part}"), "restrictions": { part: { "mode": "allowlist" } } })).await;
        if part == "users" {
            let refused = closed.rpc("tools/list", json!({})).await;
            refused.refuses(403, "restrictions.users");
            assert!(refused.sentence().contains("allowlist"), "{}", refused.text);
        } else {
            let refused = closed.execute("open", "listItems", json!({})).await;
            refused.refuses(&format!("restrictions.{part}"));
            assert!(refused.text.contains("allowlist"), "{}", refused.text);
        }
        let open = node.server(json!({ "name": format!("open {part}"), "restrictions": { part: { "mode": "blocklist" } } })).await;
        open.execute("open", "listItems", json!({})).await.ok();
    }
}

/// Ids are exact and case-sensitive; a trailing `*` is a prefix.
#[tokio::test]
async fn names_match_exactly() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let actions = json!({ "actions": { "mode": "allowlist", "allowedActions": ["GETITEM", "open/list", "delete*"] } });
    let server = node.server(json!({ "name": "exact", "restrictions": actions })).await;
    for action in ["getItem", "listItems", "createItem"] {
        server.execute("open", action, json!({ "id": "1", "name": "x" })).await.refuses("restrictions.actions");
    }
    server.execute("open", "deleteItem", json!({ "id": "1" })).await.ok();
    let connectors = json!({ "connectors": { "mode": "blocklist", "blockedIds": ["Open", "ope"] } });
    let server = node.server(json!({ "name": "case", "restrictions": connectors })).await;
    server.execute("open", "listItems", json!({})).await.ok();
    server.execute("OPEN", "listItems", json!({})).await.refuses("OPEN");
}

#[tokio::test]
async fn a_change_takes_effect_at_once() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    let read = async || server.execute("open", "getItem", json!({ "id": "1" })).await;
    read().await.ok();
    let closed = json!({ "restrictions": { "connectors": { "mode": "blocklist", "blockedIds": ["open"] } } });
    node.put(&format!("/api/servers/{}", server.id), closed).await.expect(200);
    read().await.refuses("restrictions.connectors");
    node.put(&format!("/api/servers/{}", server.id), json!({ "restrictions": {} })).await.expect(200);
    read().await.ok();
    assert_eq!(platform.count(), 1, "and the cache did not help");
}

/// Direct tools: hidden and refused alike. Names are unique, short and stable.
#[tokio::test]
async fn direct_tools_are_restricted_and_well_named() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let mut long = shop::open_document();
    let operation = |n: usize| format!("{}{n}", "averylongoperationname".repeat(4));
    for n in 0..3 {
        long["paths"][format!("/long/{n}")] =
            json!({ "get": { "operationId": operation(n), "responses": { "200": { "description": "ok" } } } });
    }
    shop::import(&node, "long", &platform, long).await;
    let restrictions = json!({ "actions": { "mode": "blocklist", "blockedActions": ["open/deleteItem"] } });
    let body = json!({ "name": "direct", "exposure": "direct", "connectors": ["open", "long"], "restrictions": restrictions });
    let server = node.server(body).await;
    let list = async || -> Vec<String> {
        let listed = server.rpc("tools/list", json!({})).await.expect(200);
        listed.body["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    };
    let names = list().await;
    assert_eq!(list().await, names, "stable");
    let mut unique = names.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), names.len());
    // 5 of open without one, 5 of long, 3 long ones; what both have bears its connector's name.
    assert_eq!(names.len(), 4 + 5 + 3, "{names:?}");
    for name in &names {
        assert!(name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')), "{name}");
    }
    assert!(!names.contains(&"open_deleteItem".to_owned()) && names.iter().any(|name| name.ends_with("deleteItem")), "{names:?}");
    let call =
        async |name: &str| -> Answer { server.rpc("tools/call", json!({ "name": name, "arguments": { "id": "7" } })).await.expect(200) };
    for hidden in ["open_deleteItem", "execute_action_alloy", "list_connectors_alloy"] {
        assert_eq!(call(hidden).await.body["error"]["code"], -32602, "{hidden}");
    }
    assert_eq!(platform.count(), 0);
    assert!(call("open_getItem").await.body["result"]["isError"] != true);
    assert_eq!(platform.last().target, "/items/7");
}

#[tokio::test]
async fn their_size_is_bounded() {
    let node = TestNode::start().await;
    let make = |name: &str, restrictions: Value| node.post("/api/servers", json!({ "name": name, "restrictions": restrictions }));
    let long = |length: usize| "x".repeat(length);
    let lists = |length: usize| {
        [
            ("restrictions.connectors.allowedIds[0]", json!({ "connectors": { "mode": "allowlist", "allowedIds": [long(length)] } })),
            ("restrictions.actions.blockedActions[0]", json!({ "actions": { "mode": "blocklist", "blockedActions": [long(length)] } })),
        ]
    };
    for (n, (_, restrictions)) in lists(200).into_iter().enumerate() {
        make(&format!("A{n}"), restrictions).await.expect(201);
    }
    for (field, restrictions) in lists(201) {
        let refused = make("B", restrictions).await;
        refused.refuses(400, "200 characters");
        assert_eq!(refused.body["details"]["field"], field);
    }
    let users = |count: usize| json!({ "users": { "mode": "allowlist", "allowedIds": vec![long(10_000); count] } });
    make("C", users(26)).await.expect(201);
    let refused = make("D", users(27)).await;
    refused.refuses(400, "restrictions");
    assert_eq!(refused.body["details"]["field"], "restrictions");
}
