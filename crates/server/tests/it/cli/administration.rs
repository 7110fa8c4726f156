//! `amalgam keys`, `users`, `grants`, `accounts`, `issuers`, `health`, `openapi`.

use serde_json::{Value, json};

use super::support::{Node, run};
use crate::support::{
    TestNode,
    node::ADMIN_KEY,
    sign_in::{Client, user},
};

#[test]
fn keys_work_until_they_are_revoked() {
    let node = Node::start();
    let made = node.run(&["keys", "create", "--name", "laptop", "--user-id", "ann", "--expires-in-days", "30"]).ok();
    let key = made.split_whitespace().last().unwrap().to_owned();
    let id = made.split_whitespace().find(|word| word.starts_with("key_")).unwrap().to_owned();
    assert!(made.contains("shown this once") && made.contains("member, user ann"), "{made}");

    node.run_as(&key, &["servers", "create", "Ann's own"], "").failed(1);
    node.run_as(&key, &["servers", "create", "Anns own"], "").ok();
    assert!(node.run(&["servers", "list"]).ok().is_empty());
    assert!(node.run(&["servers", "list", "--user", "ann"]).ok().contains("Anns own"));
    node.run_as(&key, &["users", "list"], "").failed(1);

    // From a file, before AMALGAM_KEY.
    let path = node.directory.path().join("key");
    std::fs::write(&path, format!("{key}\n")).unwrap();
    assert!(node.run(&["servers", "list", "--key-file", path.to_str().unwrap()]).ok().contains("Anns own"));

    assert!(node.run(&["keys", "list"]).ok().contains("laptop"));
    assert!(!node.run(&["keys", "list"]).ok().contains(&key));
    node.run(&["keys", "revoke", &id]).ok();
    let ended = node.run_as(&key, &["keys", "list"], "").failed(1);
    assert!(ended.contains("revoked or expired") && !ended.contains(&key), "{ended}");
}

#[test]
fn users_accounts_and_issuers() {
    let node = Node::start();
    let user = node.json(&["users", "create", "ann@example.com", "--full-name", "Ann"])["userId"].as_str().unwrap().to_owned();
    assert!(node.run(&["users", "list"]).ok().contains("ann@example.com"));
    assert!(node.run(&["users", "get", &user]).ok().contains("Ann"));
    let file = node.directory.path().join("password");
    std::fs::write(&file, "correct horse battery\n").unwrap();
    let file = format!("@{}", file.display());
    node.run(&["users", "password", &user, "--password", "short"]).failed(1);
    assert!(node.run(&["users", "password", &user, "--password", &file]).ok().contains("Set the password"));
    assert!(node.json(&["users", "get", &user])["passwordSetAt"].is_string());
    node.run(&["users", "password", &user, "--delete"]).ok();
    assert!(node.json(&["users", "get", &user])["passwordSetAt"].is_null());
    let boss = node.json(&["users", "create", "boss", "--user-id", "admin", "--password", &file]);
    assert!(boss["userId"] == "admin" && boss["passwordSetAt"].is_string(), "{boss}");
    node.run(&["users", "delete", &user]).failed(2);
    node.run(&["users", "delete", &user, "--yes"]).ok();
    node.run(&["users", "get", &user]).failed(1);

    let made = node.run(&["accounts", "create", "acme", "--name", "Acme"]).ok();
    let key = made.split_whitespace().last().unwrap().to_owned();
    assert!(node.run(&["accounts", "list"]).ok().contains("Acme"));
    assert!(node.run_as(&key, &["keys", "list"], "").ok().contains("First admin key"));
    node.run_as(&key, &["accounts", "list"], "").failed(1);
    node.run(&["accounts", "delete", "acme", "--yes"]).ok();
    node.run_as(&key, &["keys", "list"], "").failed(1);

    let args = ["issuers", "create", "--issuer", "https://app.example.com", "--secret", "-"];
    let short = node.pipe(&args, "short\n").failed(1);
    assert!(short.contains("32 bytes") && !short.contains("short\n"), "{short}");
    node.pipe(&args, "0123456789012345678901234567890123456789\n").ok();
    let list = node.json(&["issuers", "list"]);
    assert_eq!(list["issuers"][0]["issuer"], "https://app.example.com");
    node.run(&["issuers", "delete", list["issuers"][0]["id"].as_str().unwrap()]).ok();
    assert_eq!(node.json(&["issuers", "list"])["count"], 0);
}

#[tokio::test]
async fn grants_are_listed_and_ended() {
    let node = TestNode::start().await;
    let ann = user(&node, "ann").await;
    let server = node.server(json!({ "name": "Desk", "isPublic": true })).await;
    let client = Client::register(&node, &server.url).await;
    let tokens = client.tokens("ann").await;
    let url = node.url.clone();
    let run = async |args: &[&str]| {
        let (url, args): (_, Vec<String>) = (url.clone(), args.iter().map(|arg| (*arg).to_owned()).collect());
        let run = move || {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            run(&[("AMALGAM_URL", &url), ("AMALGAM_KEY", ADMIN_KEY)], &args, "")
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    };
    assert!(run(&["grants", "list"]).await.ok().is_empty());
    let list = run(&["grants", "list", "--user", &ann]).await.ok();
    assert!(list.contains("Test client") && list.contains(&server.id), "{list}");
    let listed: Value = serde_json::from_str(&run(&["grants", "list", "--user", &ann, "--json"]).await.ok()).unwrap();
    let id = listed["grants"][0]["id"].as_str().unwrap();
    client.call(&tokens.access, "ping", json!({})).await.expect(200);
    // Another user's is not found.
    run(&["grants", "revoke", id]).await.failed(1);
    assert!(run(&["grants", "revoke", id, "--user", &ann]).await.ok().contains("Ended the grant"));
    client.call(&tokens.access, "ping", json!({})).await.expect(401);
    run(&["grants", "revoke", id, "--user", &ann]).await.failed(1);
}

#[test]
fn health_needs_no_key_and_openapi_no_node() {
    let node = Node::start();
    assert!(node.run_as("", &["health"], "").ok().contains("ready"));
    let document: Value = serde_json::from_str(&run(&[], &["openapi"], "").ok()).unwrap();
    assert!(document["paths"]["/api/servers"]["post"].is_object());
    assert!(document["paths"].as_object().unwrap().keys().any(|path| path.starts_with("/mcp")));
}
