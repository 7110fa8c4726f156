//! `amalgam connectors new`, `lint`, `test`, `record` and `diff`: making a connector, without a node.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::support::{Node, Platform, Ran, run};

const TOKEN: &str = "tok-real-and-secret-1";

/// A folder with the connector that `new` makes, against this platform.
fn made(base_url: &str) -> TempDir {
    let home = TempDir::new().unwrap();
    let said = amalgam(&["connectors", "new", "notes", "--base-url", base_url, "--dir", text(home.path())]).ok();
    assert!(said.contains("3 actions") && said.contains("connectors test") && said.contains("--connectors-dir"), "{said}");
    home
}

fn amalgam(args: &[&str]) -> Ran {
    run(&[], args, "")
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn change(file: &Path, from: &str, to: &str) {
    let before = fs::read_to_string(file).unwrap();
    assert!(before.contains(from), "{from} in {before}");
    fs::write(file, before.replace(from, to)).unwrap();
}

#[test]
fn a_new_connector_lints_tests_and_works() {
    let platform = Platform::start();
    let home = made(&platform.url);
    let folder = home.path().join("notes");
    amalgam(&["connectors", "lint", "--strict", text(&folder)]).ok();
    let tested = amalgam(&["connectors", "test", text(home.path())]).ok();
    assert!(tested.contains("ok  notes/list_items") && tested.matches("ok  ").count() == 3, "{tested}");
    assert!(!tested.contains('\u{1b}'), "no colours in a pipe: {tested}");
    assert!(home.path().join("connector.schema.json").is_file(), "editors find the schema");
    let again = amalgam(&["connectors", "new", "notes", "--dir", text(home.path())]).failed(1);
    assert!(again.contains("is there already"), "{again}");
    amalgam(&["connectors", "new", "no good"]).failed(2);
    for command in ["new", "lint", "test", "record", "diff", "schema"] {
        assert!(amalgam(&["connectors", command, "--help"]).ok().contains("amalgam connectors"), "{command} has an example");
    }
}

#[test]
fn a_change_of_the_request_or_of_the_answer_is_shown_as_a_difference() {
    let home = made("https://notes.example.com/api");
    let (folder, file) = (home.path().join("notes"), home.path().join("notes/connector.toml"));
    change(&file, "path = \"/items\"\n# Arguments", "path = \"/v2/items\"\n# Arguments");
    change(&file, "\"id\", \"title\", \"done\"", "\"id\", \"title\"");
    let failed = amalgam(&["connectors", "test", text(&folder)]);
    let shown = failed.out.clone();
    failed.failed(1);
    let lines = [
        "FAILED  notes/list_items",
        "-     \"url\": \"https://notes.example.com/api/items?",
        "+     \"url\": \"https://notes.example.com/api/v2/items?",
    ];
    for line in lines.into_iter().chain(["-         \"done\": false", "ok  notes/create_item"]) {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    amalgam(&["connectors", "test", text(&folder), "--accept"]).ok();
    amalgam(&["connectors", "test", text(&folder)]).ok();
    // A case that cannot be read fails by its line, and so does one that would lead elsewhere.
    let case = folder.join("cases/create_item.json");
    change(
        &case,
        "\"content-type\": \"application/json\"\n    },\n    \"body\": {\n      \"id\"",
        "\"location\": \"https://elsewhere.example\"\n    },\n    \"body\": {\n      \"id\"",
    );
    assert!(amalgam(&["connectors", "test", text(&folder)]).failed(1).contains("1 of 3 cases failed"));
    fs::write(&case, "{ \"action\": \"create_item\", \"argument\": {} }").unwrap();
    let shown = amalgam(&["connectors", "test", text(&folder)]).out;
    assert!(shown.contains("line 1") && shown.contains("argument"), "{shown}");
}

#[test]
fn several_mistakes_are_told_with_file_and_line_and_the_others_still_count() {
    let home = made("https://notes.example.com");
    let bad = home.path().join("bad");
    fs::create_dir(&bad).unwrap();
    fs::write(
        bad.join("connector.toml"),
        "id = \"bad\"\nname = \"Bad\"\nbase_url = \"https://x.example.com\"\ncategorys = []\n\n[actions.a]\nmethod = \"get\"\npath = \"/a\"\n\n\
         [actions.b]\nmethod = \"GET\"\npath = \"/{id}\"\n",
    )
    .unwrap();
    let ran = amalgam(&["connectors", "lint", text(home.path())]);
    let shown = ran.out.clone();
    let said = ran.failed(1);
    for line in [
        "bad/connector.toml:4: error: categorys: `categorys` is not known here; did you mean `categories`?",
        "bad/connector.toml:7: error: actions.a.method: `get` is none of the values that this takes; did you mean `GET`?",
        "bad/connector.toml:12: error: actions.b.path: `{id}` has no parameter with `in = \"path\"`",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    assert!(said.contains("3 mistakes") && said.contains("1 other connector can be used"), "{said}");
    let ran = amalgam(&["connectors", "lint", "--json", text(home.path())]);
    let view: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(view["files"][0]["mistakes"][0]["line"], 4);
    fs::write(bad.join("connector.toml"), "id = \"bad\nname = x\n").unwrap();
    assert!(amalgam(&["connectors", "lint", text(&bad)]).out.contains("connector.toml:1: error: This is not TOML"));
    amalgam(&["connectors", "lint", text(&home.path().join("nowhere"))]).failed(2);
}

#[test]
fn a_recorded_case_holds_no_secret() {
    let platform = Platform::start();
    let home = made(&platform.url);
    let folder = home.path().join("notes");
    // Secrets in the query too: the platform on loopback repeats whatever it is sent.
    let file = folder.join("connector.toml");
    change(
        &file,
        "# Another place is said",
        "send = [{ in = \"header\", name = \"Authorization\", value = \"Bearer {token}\" }, { in = \"query\", name = \"key\", value = \"{token}\" }]\n# Another place is said",
    );
    let record = |more: &[&str]| {
        let field = format!("token={TOKEN}");
        let mut args = vec!["connectors", "record", text(&folder), "create_item", "-p", "title=Bread", "--field", &field];
        args.extend(more);
        amalgam(&args)
    };
    let refused = record(&["--name", "real"]).failed(1);
    assert!(refused.contains("--egress-allow"), "this machine is not called by chance: {refused}");
    let said = record(&["--name", "real", "--egress-allow", "127.0.0.1/32"]).ok();
    assert!(said.contains("cases/real.json") && !said.contains(TOKEN), "{said}");
    let case = fs::read_to_string(folder.join("cases/real.json")).unwrap();
    assert!(!case.contains("real-and-secret") && case.contains("secret-token") && case.contains("Bread"), "{case}");
    record(&["--name", "real", "--egress-allow", "127.0.0.1/32"]).failed(1);
    // As with `amalgam call`, text is what the action calls text, whatever it looks like.
    for given in ["title=12", "title=\"12\""] {
        let args = ["connectors", "record", text(&folder), "create_item", "-p", given, "-p", "done=true", "--name", "text", "--force"];
        let field = format!("token={TOKEN}");
        amalgam(&[&args[..], &["--field", &field, "--egress-allow", "127.0.0.1/32"]].concat()).ok();
        let case: Value = serde_json::from_slice(&fs::read(folder.join("cases/text.json")).unwrap()).unwrap();
        assert_eq!(case["arguments"], json!({ "title": "12", "done": true }), "{given}");
    }
    amalgam(&["connectors", "test", text(&folder), "--only", "real"]).ok();
    let short = amalgam(&["connectors", "record", text(&folder), "list_items", "--name", "short", "--field", "token=abc"]).failed(1);
    assert!(short.contains("shorter than 8"), "{short}");
    let missing = amalgam(&["connectors", "record", text(&folder), "list_items", "--name", "missing"]).failed(2);
    assert!(missing.contains("--field token=-"), "{missing}");
}

const OLD: &str = r#"{ "openapi": "3.0.3", "info": { "title": "Shop", "version": "1" }, "servers": [{ "url": "https://shop.example.com" }], "paths": {
  "/orders": { "get": { "operationId": "list_orders", "parameters": [{ "name": "limit", "in": "query", "schema": { "type": "integer" } }], "responses": {} },
               "post": { "operationId": "add_order", "responses": {} } } } }"#;

#[test]
fn a_difference_says_what_breaks() {
    let home = TempDir::new().unwrap();
    let (old, new) = (home.path().join("old.json"), home.path().join("new.json"));
    fs::write(&old, OLD).unwrap();
    let changed = OLD.replace(
        "\"schema\": { \"type\": \"integer\" }",
        "\"required\": true, \"schema\": { \"type\": \"string\", \"nullable\": true, \"enum\": [\"a\", null] }",
    );
    fs::write(&new, changed.replace("add_order", "place_order")).unwrap();
    amalgam(&["connectors", "diff", text(&old), text(&old)]).ok();
    let ran = amalgam(&["connectors", "diff", text(&old), text(&new)]);
    let shown = ran.out.clone();
    ran.failed(1);
    for line in
        ["list_orders\n", "BREAKS  ~ The parameter `limit` is required now.", "BREAKS  - The action is gone. It is `place_order` now."]
    {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    // A document becomes a folder, which takes all that the document takes.
    amalgam(&["connectors", "new", "shop", "--from-openapi", text(&new), "--dir", text(home.path())]).ok();
    amalgam(&["connectors", "lint", text(&home.path().join("shop"))]).ok();
    let same = amalgam(&["connectors", "diff", text(&new), text(&home.path().join("shop")), "--json"]);
    let same: Value = serde_json::from_str(&same.out).unwrap();
    assert_eq!(same["breaking"], 0, "{same}");

    // Of a connector on the node: what an update would change, which changes nothing.
    let node = Node::start();
    node.run(&["connectors", "import", text(&old), "--id", "shop"]).ok();
    let ran = node.run(&["connectors", "diff", "shop", text(&new)]);
    assert!(ran.out.contains("BREAKS  ~ The parameter `limit` is required now."), "{}", ran.out);
    assert!(node.run(&["connectors", "action", "shop", "add_order"]).ok().contains("add_order"));
    node.run(&["connectors", "diff", "no-such", text(&new)]).failed(1);
    node.run(&["connectors", "diff", text(&home.path().join("nowhere.json")), text(&new)]).failed(2);
}
