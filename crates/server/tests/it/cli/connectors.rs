//! `amalgam connectors`, `credentials` and `call`: from an OpenAPI document to a platform's answer.

use serde_json::{Value, json};

use super::support::{Node, Platform};

const DOCUMENT: &str = r##"
openapi: 3.0.3
info: { title: Tiny shop, version: "1", description: "Sells tiny things. Their buyers are tiny too." }
servers: [{ url: "https://shop.invalid" }]
components:
  securitySchemes: { key: { type: http, scheme: bearer } }
security: [{ key: [] }]
paths:
  /orders/{id}:
    get:
      operationId: get_order
      summary: Read an order
      parameters: [{ name: id, in: path, required: true, schema: { type: string }, description: Its number }]
      responses: { "200": { description: ok } }
  /orders:
    post:
      operationId: create_order
      summary: Place an order
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              required: [item]
              properties: { item: { type: string }, count: { type: integer } }
      responses: { "200": { description: ok } }
  /refuse:
    get:
      operationId: refuse
      responses: { "200": { description: ok } }
"##;

/// A node with the connector `shop`, whose platform is on loopback.
fn shop() -> (Node, Platform) {
    let (node, platform) = (Node::start(), Platform::start());
    let path = node.directory.path().join("shop.yaml");
    std::fs::write(&path, DOCUMENT).unwrap();
    let made =
        node.run(&["connectors", "import", path.to_str().unwrap(), "--id", "shop", "--name", "Shop", "--base-url", &platform.url]).ok();
    assert!(made.contains("shop") && made.contains("3 actions") && made.contains(&platform.url), "{made}");
    (node, platform)
}

#[test]
fn a_document_becomes_a_connector() {
    let (node, platform) = shop();
    assert!(node.run(&["connectors", "list", "--own"]).ok().contains(&platform.url));
    let list = node.run(&["connectors", "list"]).ok();
    assert!(list.contains("Shop") && list.contains("Sells tiny things.") && !list.contains("buyers"), "{list}");
    assert!(node.json(&["connectors", "list"]).to_string().contains("buyers"), "JSON is as it came");
    let shown = node.run(&["connectors", "get", "shop"]).ok();
    assert!(shown.contains("bearer") && shown.contains("buyers"), "{shown}");
    let actions = node.run(&["connectors", "actions", "shop"]).ok();
    assert!(actions.contains("get_order") && actions.contains("create_order"), "{actions}");
    let action = node.run(&["connectors", "action", "shop", "create_order"]).ok();
    assert!(action.contains("amalgam call shop create_order --params '{") && action.contains("integer"), "{action}");
    let found = node.run(&["connectors", "search", "place an order in the shop"]).ok();
    assert!(found.contains("create_order"), "{found}");

    let renamed = node.json(&["connectors", "update", "shop", "--name", "Other shop"]);
    assert_eq!((renamed["name"].as_str(), renamed["actions"].as_u64()), (Some("Other shop"), Some(3)));
    // The same document as JSON on standard input; the type is told by how it begins.
    let json = json!({ "openapi": "3.0.3", "info": { "title": "Json", "version": "1" }, "servers": [{ "url": platform.url }],
        "paths": { "/a": { "get": { "operationId": "a", "responses": { "200": { "description": "ok" } } } } } });
    node.pipe(&["connectors", "import", "-"], &json.to_string()).ok();

    let bad = node.pipe(&["connectors", "import", "-"], "not: openapi").failed(1);
    assert!(bad.starts_with("error: "), "{bad}");
    node.run(&["connectors", "import", "no-such-file.yaml"]).failed(2);
    node.run(&["connectors", "delete", "shop"]).failed(2);
    node.run(&["connectors", "delete", "shop", "--yes"]).ok();
    let gone = node.run(&["connectors", "actions", "shop"]).failed(1);
    assert!(gone.contains("amalgam connectors list"), "{gone}");
}

#[test]
fn a_call_sends_the_users_secret_and_prints_the_answer() {
    let (node, platform) = shop();
    let missing = node.run(&["call", "shop", "get_order", "--param", "id=1"]).failed(1);
    assert!(missing.contains("amalgam credentials create"), "{missing}");
    assert!(node.run(&["credentials", "metadata", "shop"]).ok().contains("token"));

    let create = ["credentials", "create", "shop", "--type", "bearer", "--name", "mine", "--field"];
    let made = node.pipe(&[&create[..], &["token=-"]].concat(), "s3cret-of-ann\n").ok();
    assert!(made.contains("mine") && !made.contains("s3cret"), "{made}");
    // A mistake in a flag does not show the secret that stands in it.
    let mistake = node.run(&[&create[..], &["s3cret-of-ann"]].concat()).failed(2);
    assert!(!mistake.contains("s3cret"), "{mistake}");
    node.run(&[&create[..], &["token=-"]].concat()).failed(2);

    let answer = node.run(&["call", "shop", "create_order", "--param", "item=a b", "--param", "count=2"]).ok();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["body"], json!({ "item": "a b", "count": 2 }));
    // The platform got the secret, and echoed it; the node takes it out of the answer.
    assert_eq!(platform.heard().last().unwrap()["authorization"], "Bearer s3cret-of-ann");
    assert!(!answer.to_string().contains("s3cret"), "{answer}");
    let whole = node.json(&["call", "shop", "get_order", "--param", "id=\"1712.00\""]);
    assert_eq!((whole["success"].as_bool(), whole["responseData"]["path"].as_str()), (Some(true), Some("/orders/1712.00")));
    // Text is what the schema calls text, whatever it looks like.
    for (given, kept) in [("item=12", json!("12")), ("item=true", json!("true")), ("item=[1]", json!("[1]")), ("item=\"12\"", json!("12"))]
    {
        node.run(&["call", "shop", "create_order", "--param", given, "--param", "count=2"]).ok();
        assert_eq!(platform.heard().last().unwrap()["body"], json!({ "item": kept, "count": 2 }), "{given}");
    }
    node.run(&["call", "shop", "create_order", "--param", "item=a", "--param", "count=many"]).failed(1);
    node.pipe(&["call", "shop", "create_order", "--params", "-"], r#"{"item": "piped"}"#).ok();
    assert_eq!(platform.heard().last().unwrap()["body"], json!({ "item": "piped" }));
    let twice = node.run(&["call", "shop", "create_order", "--param", "item=a", "--param", "item=b"]).failed(2);
    assert!(twice.contains("`item` is given twice"), "{twice}");

    let refused = node.run(&["call", "shop", "refuse"]).failed(1);
    assert!(refused.contains("not today"), "{refused}");
    let audit = node.run(&["audit", "list", "--connector-id", "shop", "--action-id", "refuse"]).ok();
    assert!(audit.lines().nth(1).unwrap().contains("execute"), "{audit}");
    node.run(&["audit", "list", "--since", "yesterday"]).failed(1);
}

#[test]
fn credentials_belong_to_their_user_and_server() {
    let (node, platform) = shop();
    let secret = node.directory.path().join("token.txt");
    std::fs::write(&secret, "of-bob\n").unwrap();
    let field = format!("token=@{}", secret.display());
    let made = node.json(&["credentials", "create", "shop", "--type", "bearer", "--field", &field, "--user", "bob"]);
    let id = made["credentialId"].as_str().unwrap();
    assert!(node.run(&["credentials", "list", "shop"]).ok().is_empty());
    assert!(node.run(&["credentials", "list", "shop", "--user", "bob"]).ok().contains(id));
    assert!(node.run(&["users", "credentials", "bob"]).ok().contains(id));
    node.run(&["call", "shop", "get_order", "--param", "id=x", "--user", "bob"]).ok();
    assert_eq!(platform.heard().last().unwrap()["authorization"], "Bearer of-bob");

    // Through a server its restrictions hold.
    let server = node.json(&["servers", "create", "Closed", "--block-connectors", "shop"]);
    let server = server["serverId"].as_str().unwrap();
    let denied = node.run(&["call", "shop", "get_order", "--param", "id=x", "--user", "bob", "--server", server]).failed(1);
    assert!(denied.contains("Access denied") && denied.contains("shop"), "{denied}");

    node.run(&["credentials", "delete", "shop", id]).failed(1);
    node.run(&["credentials", "delete", "shop", id, "--user", "bob"]).ok();
    assert!(node.run(&["credentials", "list", "shop", "--user", "bob"]).ok().is_empty());
}
