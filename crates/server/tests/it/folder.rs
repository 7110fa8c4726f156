//! The operator's folder of connectors: loaded at the start, followed while the node runs.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Platform, TestNode, until};

fn definition(id: &str, base_url: &str, path: &str) -> String {
    format!(
        "id = \"{id}\"\nname = \"Notes of {id}\"\nbase_url = \"{base_url}\"\n\n[actions.listNotes]\nname = \"List zebra notes\"\n\
         method = \"GET\"\npath = \"{path}\"\n"
    )
}

fn put(folder: &Path, name: &str, text: &str) {
    fs::create_dir_all(folder.join(name)).unwrap();
    // As editors do it: whole, by renaming.
    let written = folder.join(name).join(".new");
    fs::write(&written, text).unwrap();
    fs::rename(written, folder.join(name).join("connector.toml")).unwrap();
}

async fn node_with(folder: &Path) -> TestNode {
    let folder = folder.to_owned();
    TestNode::with(move |config| config.connectors_dir = Some(folder)).await
}

/// The entry of a definition once it is as `wanted` says.
async fn entry(node: &TestNode, file: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    until(&format!("{file} is seen"), async || {
        let all = node.get("/api/folder-connectors").await.expect(200).body;
        let entry = all["connectors"].as_array().unwrap().iter().find(|entry| entry["file"] == format!("{file}/connector.toml"))?.clone();
        wanted(&entry).then_some(entry)
    })
    .await
}

#[tokio::test]
async fn a_folder_is_followed_without_a_restart() {
    let (folder, platform) = (TempDir::new().unwrap(), Platform::start().await);
    put(folder.path(), "notes", &definition("notes", &platform.url(), "/one"));
    put(folder.path(), "bad", "id = \"bad\"\nnam = \"B\"\n");
    let node = node_with(folder.path()).await;
    let server = node.server(json!({ "name": "S" })).await;
    let call = async || {
        server.execute("notes", "listNotes", json!({})).await.ok();
        platform.last().target
    };
    // At the start, and beside one with mistakes.
    assert_eq!(call().await, "/one");
    let direct = node.server(json!({ "name": "D", "exposure": "direct", "connectors": ["notes"] })).await;
    assert_eq!(direct.rpc("tools/list", json!({})).await.expect(200).body["result"]["tools"][0]["name"], "listNotes");
    put(folder.path(), "files", &definition("files", &platform.url(), "/one"));
    let files = entry(&node, "files", |_| true).await;
    assert!(files["problems"].to_string().contains("fixed word"), "{files}");
    let bad = entry(&node, "bad", |_| true).await;
    assert_eq!((&bad["state"], &bad["problems"][0]["line"]), (&json!("broken"), &json!(1)));
    assert!(bad["problems"].to_string().contains("did you mean `name`?"), "{bad}");
    let found = async |goal: &str| node.get(&format!("/connectors/search?goal={goal}")).await.expect(200).text.contains("listNotes");
    assert!(found("zebra").await);

    // A change is used at once, in calls and in search.
    let changed = definition("notes", &platform.url(), "/number-two").replace("zebra", "giraffe");
    put(folder.path(), "notes", &changed);
    until("the change is used", async || (call().await == "/number-two").then_some(())).await;
    assert!(found("giraffe").await && !found("zebra").await);

    // A mistake leaves the last good one in place, and is told with its line.
    put(folder.path(), "notes", &changed.replace("method = \"GET\"", "method = \"GETS\""));
    let outdated = entry(&node, "notes", |entry| entry["state"] == "outdated").await;
    assert_eq!(outdated["problems"][0]["line"], 7);
    assert!(outdated["problems"][0]["message"].as_str().unwrap().contains("did you mean `GET`?"), "{outdated}");
    assert_eq!(call().await, "/number-two");

    // A new one, one with a taken id, and one that goes.
    put(folder.path(), "more", &definition("more", &platform.url(), "/more"));
    put(folder.path(), "twice", &definition("more", &platform.url(), "/twice"));
    let twice = entry(&node, "twice", |entry| entry["state"] == "broken").await;
    assert!(twice["problems"][0]["message"].as_str().unwrap().contains("more/connector.toml"), "{twice}");
    server.execute("more", "listNotes", json!({})).await.ok();
    assert_eq!(platform.last().target, "/more");
    fs::remove_dir_all(folder.path().join("notes")).unwrap();
    until("the connector is gone", async || (node.get("/connectors/notes").await.status == 404).then_some(())).await;
    server.execute("notes", "listNotes", json!({})).await.refuses("not found");
    assert!(!found("giraffe").await);
}

#[tokio::test]
async fn the_folder_is_the_operators_and_its_ids_are_for_all() {
    let (folder, platform) = (TempDir::new().unwrap(), Platform::start().await);
    put(folder.path(), "notes", &definition("notes", &platform.url(), "/notes"));
    put(folder.path(), "own-slack", &definition("slack", &platform.url(), "/own"));
    fs::write(folder.path().join("notes").join("icon.svg"), "<svg xmlns=\"http://www.w3.org/2000/svg\"/>").unwrap();
    let node = node_with(folder.path()).await;
    let document = json!({ "openapi": "3.0.3", "info": { "title": "T", "version": "1" }, "servers": [{ "url": platform.url() }],
        "paths": { "/a": { "get": { "operationId": "a", "responses": {} } } } });
    node.post("/api/connectors?id=notes", document.clone()).await.refuses(409, "that all accounts have");
    // What is called as a built-in one stands in its place, once.
    let list = node.get("/connectors").await.expect(200);
    let named: Vec<&Value> = list.body["connectors"].as_array().unwrap().iter().filter(|item| item["id"] == "slack").collect();
    assert_eq!((named.len(), &named[0]["name"]), (1, &json!("Notes of slack")));
    node.post("/connectors/slack/actions/listNotes/execute", json!({})).await.expect(200);
    assert_eq!(platform.last().target, "/own");

    // Another account uses them, and does not see the folder.
    let made = node.post("/api/accounts", json!({ "id": "other" })).await.expect(201);
    let key = made.body["adminKey"].as_str().unwrap().to_owned();
    node.ask("GET", "/connectors/notes").key(&key).send().await.expect(200);
    node.ask("GET", "/api/folder-connectors").key(&key).send().await.refuses(403, "operator");
}

#[tokio::test]
async fn each_node_follows_its_own_folder_and_a_missing_one_stops_the_start() {
    let (first, second) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    put(first.path(), "one", &definition("one", "https://one.invalid", "/"));
    put(second.path(), "two", &definition("two", "https://two.invalid", "/"));
    let (a, b) = (node_with(first.path()).await, node_with(second.path()).await);
    for (node, has, has_not) in [(&a, "one", "two"), (&b, "two", "one")] {
        node.get(&format!("/connectors/{has}")).await.expect(200);
        assert_eq!(node.get(&format!("/connectors/{has_not}")).await.status, 404);
    }
    let data = TempDir::new().unwrap();
    let missing = first.path().join("missing");
    let said = crate::support::process::run(&data.path().join("data"), &[("AMALGAM_CONNECTORS_DIR", missing.to_str().unwrap())]);
    assert!(!said.status.success() && crate::support::process::said(&said).contains("--connectors-dir"), "{said:?}");
}
