//! `amalgam servers`.

use serde_json::{Value, json};

use super::support::Node;

#[test]
fn a_server_from_creation_to_deletion() {
    let node = Node::start();
    let made = node.run(&["servers", "create", "My server"]).ok();
    let id = made.split_whitespace().find(|word| word.starts_with("my-server-")).unwrap().trim_end_matches('.').to_owned();
    let url = made.split_whitespace().find(|word| word.contains("/mcp_token_")).unwrap().to_owned();
    assert!(url.starts_with(&format!("{}/mcp/{id}/", node.url)), "{made}");
    assert_eq!(made.matches("shown this once").count(), 1, "{made}");

    let list = node.run(&["servers", "list"]).ok();
    assert!(list.starts_with("SERVER") && list.lines().count() == 2 && list.contains(&id), "{list}");
    assert!(list.lines().all(|line| line == line.trim_end()), "{list}");
    assert_eq!(node.json(&["servers", "list"])["count"], 1);

    // By name as by id; the flags of the connection go anywhere.
    for args in [["servers", "get", "My server"], ["servers", "get", &id]] {
        assert!(node.run(&args).ok().contains(&url));
    }
    let details: Value = serde_json::from_str(&node.run(&["servers", "--json", "get", &id]).ok()).unwrap();
    assert_eq!(details["accessUrl"], *url);

    let rotated = node.run(&["servers", "rotate-token", "My server", "--grace", "60", "--expires-in-days", "never"]).ok();
    assert!(!rotated.contains(&url), "{rotated}");
    assert_eq!(node.json(&["servers", "get", &id])["tokenExpiresAt"], Value::Null);

    node.run(&["servers", "revoke-token", &id]).ok();
    let without = node.run(&["servers", "config", &id]).failed(1);
    assert!(without.contains("no access URL") && without.contains("rotate-token"), "{without}");

    let unasked = node.run(&["servers", "delete", &id]).failed(2);
    assert!(unasked.contains("--yes"), "{unasked}");
    assert_eq!(node.json(&["servers", "list"])["count"], 1);
    node.run(&["servers", "delete", "My server", "--yes"]).ok();
    let gone = node.run(&["servers", "get", &id]).failed(1);
    assert!(gone.contains("No such server") && gone.contains("request id: ") && gone.contains("next: "), "{gone}");
    assert!(node.run(&["servers", "list"]).ok().is_empty());
}

#[test]
fn every_setting_of_a_server_reaches_it() {
    let node = Node::start();
    let made = node.json(&[
        "servers",
        "create",
        "Direct",
        "--description",
        "d",
        "--instructions",
        "i",
        "--allow-connectors",
        "slack, github",
        "--block-actions",
        "slack/delete_*",
        "--allow-users",
        "",
        "--exposure",
        "direct",
        "--connectors",
        "slack",
        "--tool-prefix",
        "always",
        "--user-override",
        "jwt",
        "--rate-limit",
        "7",
        "--public",
        "--expires-in-days",
        "3",
    ]);
    let expected = json!({
        "name": "Direct", "description": "d", "customInstructions": "i", "exposure": "direct", "connectors": ["slack"],
        "toolPrefix": "always", "userOverride": "jwt", "rateLimitPerMinute": 7, "isPublic": true,
        "restrictions": {
            "connectors": { "mode": "allowlist", "allowedIds": ["slack", "github"] },
            "actions": { "mode": "blocklist", "blockedActions": ["slack/delete_*"] },
            "users": { "mode": "allowlist", "allowedIds": [] },
        },
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&made[name], value, "{name}");
    }
    let shown = node.run(&["servers", "get", "Direct"]).ok();
    assert!(shown.contains("only the connectors slack, github") && shown.contains("no users at all"), "{shown}");

    // What an update does not speak of stays: above all the other restrictions.
    let updated = node.json(&["servers", "update", "Direct", "--block-users", "eve", "--rate-limit", "default", "--public=false"]);
    assert_eq!(updated["restrictions"]["users"], json!({ "mode": "blocklist", "blockedIds": ["eve"] }));
    assert_eq!(updated["restrictions"]["connectors"], expected["restrictions"]["connectors"]);
    assert_eq!(updated["description"], "d");
    assert!(updated.get("rateLimitPerMinute").is_none());
    assert_eq!(updated["isPublic"], false);

    let path = node.directory.path().join("restrictions.json");
    std::fs::write(&path, r#"{"connectors": {"mode": "allowlist", "allowedIds": ["jira"]}}"#).unwrap();
    let replaced = node.json(&["servers", "update", "Direct", "--restrictions", path.to_str().unwrap()]);
    assert_eq!(replaced["restrictions"], json!({ "connectors": { "mode": "allowlist", "allowedIds": ["jira"] } }));
    assert_eq!(node.json(&["servers", "update", "Direct", "--restrictions", "{}"])["hasRestrictions"], false);

    node.run(&["servers", "update", "Direct"]).failed(2);
    node.run(&["servers", "create", "x", "--allow-users", "a", "--block-users", "b"]).failed(2);
    let taken = node.run(&["servers", "create", "Direct"]).failed(1);
    assert!(taken.contains("already exists"), "{taken}");
}

#[test]
fn the_configuration_of_each_client_is_what_it_reads() {
    let node = Node::start();
    let url = node.json(&["servers", "create", "My server"])["accessUrl"].as_str().unwrap().to_owned();
    let config = |client: &str| node.json(&["servers", "config", "My server", "--client", client]);
    assert_eq!(config("claude"), json!({ "mcpServers": { "my-server": { "type": "http", "url": url } } }));
    assert_eq!(config("cursor"), json!({ "mcpServers": { "my-server": { "url": url } } }));
    assert_eq!(config("vscode"), json!({ "servers": { "my-server": { "type": "http", "url": url } } }));

    let claude = node.run(&["servers", "config", "My server", "--client", "claude"]).ok();
    let command = format!("\nclaude mcp add --transport http my-server {url}\n");
    assert!(claude.contains(&command) && claude.contains("project:\n\n{\n"), "{claude}");
    // The JSON for people is the same, whole.
    let (from, to) = (claude.find("{\n").unwrap(), claude.rfind('}').unwrap());
    assert_eq!(serde_json::from_str::<Value>(&claude[from..=to]).unwrap(), config("claude"));
    node.run(&["servers", "config", "My server", "--client", "emacs"]).failed(2);
}

#[test]
fn workflows_of_a_server() {
    let node = Node::start();
    node.run(&["servers", "create", "W"]).ok();
    let recipe = r#"{"description": "d", "steps": [{"connectorId": "slack", "actionId": "chat_postMessage"}]}"#;
    node.pipe(&["servers", "workflows", "put", "W", "weekly", "-"], recipe).ok();
    assert!(node.run(&["servers", "workflows", "list", "W"]).ok().contains("resource://workflows/weekly"));
    let got: Value = serde_json::from_str(&node.run(&["servers", "workflows", "get", "W", "weekly"]).ok()).unwrap();
    assert_eq!(got["steps"][0]["actionId"], "chat_postMessage");
    node.run(&["servers", "workflows", "delete", "W", "weekly"]).ok();
    node.run(&["servers", "workflows", "get", "W", "weekly"]).failed(1);
}
