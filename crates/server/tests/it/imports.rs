//! `/api/connectors`: documents become connectors of one account.

use serde_json::{Value, json};

use crate::support::{Platform, TestNode, mcp::call, mcp::tool, shop};

const YAML: &str = "
openapi: 3.0.3
info: { title: Yaml Shop, version: '1' }
servers: [{ url: 'https://yaml.invalid' }]
paths:
  /items:
    get: { operationId: listItems, responses: { '200': { description: ok } } }
    trace: { operationId: traceItems, responses: { '200': { description: ok } } }
";

#[tokio::test]
async fn documents_come_in_four_forms() {
    let node = TestNode::start().await;
    let platform = Platform::start().await;
    let server = node.server(json!({ "name": "S" })).await;
    let url = platform.url();
    let document = shop::open_document();
    let query = |id: &str| format!("/api/connectors?id={id}&name=Named%20{id}&baseUrl={url}");
    let asks = [
        (
            "wrapped",
            node.ask("POST", "/api/connectors")
                .json(&json!({ "id": "wrapped", "name": "Named wrapped", "baseUrl": url, "spec": document })),
        ),
        ("text", node.ask("POST", "/api/connectors").json(&json!({ "id": "text", "name": "Named text", "baseUrl": url, "spec": YAML }))),
        ("body", node.ask("POST", &query("body")).json(&document)),
        ("yaml", node.ask("POST", &query("yaml")).body("application/yaml", YAML)),
    ];
    for (id, ask) in asks {
        let made = ask.send().await.expect(201);
        assert_eq!((&made.body["id"], &made.body["name"]), (&json!(id), &json!(format!("Named {id}"))));
        assert!(made.body["actions"].as_u64().unwrap() >= 1 && made.body["omitted"].is_array() && made.body["warnings"].is_array());
        server.execute(id, "listItems", json!({})).await.ok();
    }
    let omitted = node.get("/api/connectors/yaml").await.expect(200);
    assert!(omitted.body["omitted"].to_string().contains("race"), "what is left out is said: {}", omitted.text);
    assert_eq!(node.get("/api/connectors").await.body["count"], 4);
}

/// Nothing that a document refers to is fetched, by whatever way it says where it is; what cannot be followed is said.
#[tokio::test]
async fn references_to_elsewhere_are_never_fetched() {
    let node = TestNode::start().await;
    let (platform, elsewhere) = (Platform::start().await, Platform::start().await);
    let there = elsewhere.url();
    let places = [
        format!("{there}/schema.json"),
        format!("//{}/schema.json", &there[7..]),
        "file:///etc/passwd".to_owned(),
        "./other.yaml#/a".to_owned(),
    ];
    for (number, place) in places.iter().enumerate() {
        let body =
            json!({ "content": { "application/json": { "schema": { "type": "object", "properties": { "a": { "$ref": place } } } } } });
        let document = json!({ "openapi": "3.1.0", "info": { "title": "T", "version": "1" }, "servers": [{ "url": platform.url() }],
            "externalDocs": { "url": format!("{there}/docs") }, "paths": {
            "/a": { "post": { "operationId": "a", "requestBody": body, "responses": {} } },
            "/b": { "$ref": place },
            "/c": { "get": { "operationId": "c", "parameters": [{ "$ref": place }], "responses": { "200": { "$ref": place } } } },
            "/d": { "get": { "operationId": "d", "responses": {} } } } });
        let made = node.post(&format!("/api/connectors?id=c{number}"), document).await.expect(201);
        assert!(made.body["actions"].as_u64().unwrap() >= 1, "{}", made.text);
        assert!(made.text.contains("in another document, which is never fetched"), "{}", made.text);
        assert!(!made.text.contains("root:"), "{}", made.text);
    }
    assert_eq!((elsewhere.count(), platform.count()), (0, 0));
}

/// Another version of the program has compiled it: it is compiled again from its definition, once.
#[tokio::test]
async fn what_another_version_has_compiled_is_compiled_again() {
    let mut node = TestNode::start().await;
    let platform = Platform::start().await;
    node.post("/api/connectors", json!({ "id": "shop", "baseUrl": platform.url(), "spec": shop::open_document() })).await.expect(201);
    assert_eq!(node.sql("update connectors set compiled_version = 0, compiled = compiled || compiled").await, 1);
    node.restart().await;
    node.post("/connectors/shop/actions/listItems/execute", json!({})).await.expect(200);
    assert_eq!(platform.count(), 1);
    assert_eq!(node.number("select compiled_version from connectors").await, amalgam_connector::PACKED_VERSION);
    // Damage hides this connector, and no other one.
    node.post("/api/connectors", json!({ "id": "other", "baseUrl": platform.url(), "spec": shop::open_document() })).await.expect(201);
    node.sql("update connectors set compiled = substr(compiled, 1, 9) where id = 'shop'").await;
    node.restart().await;
    node.post("/connectors/shop/actions/listItems/execute", json!({})).await.refuses(404, "not found");
    node.post("/connectors/other/actions/listItems/execute", json!({})).await.expect(200);
}

#[tokio::test]
async fn bad_documents_are_refused_with_the_reason() {
    let node = TestNode::start().await;
    let minimal = |members: Value| {
        let mut document = json!({ "openapi": "3.0.3", "info": { "title": "T", "version": "1" }, "servers": [{ "url": "https://t.invalid" }], "paths": {} });
        document.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        document
    };
    for (body, words) in [
        (json!({}), "spec"),
        (json!({ "spec": 7 }), ""),
        (json!({ "spec": "" }), ""),
        (json!({ "spec": { "openapi": "9.9" } }), "openapi"),
        (json!({ "spec": "a: [" }), ""),
        (minimal(json!({ "servers": [{ "url": "file:///etc/passwd" }] })), ""),
        (minimal(json!({ "servers": [{ "url": "https://user:pass@t.invalid" }] })), ""),
        (json!({ "id": "bad id!", "spec": shop::open_document() }), "id"),
        (json!({ "id": "x".repeat(65), "spec": shop::open_document() }), "id"),
    ] {
        let answer = node.post("/api/connectors", body.clone()).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        assert!(answer.sentence().contains(words) && answer.sentence().len() > 10, "{body}: {}", answer.text);
    }
    let send = async |kind: &str, body: Vec<u8>| node.ask("POST", "/api/connectors").body(kind, body).send().await;
    for body in [b"".to_vec(), b"{".to_vec(), "[".repeat(1_000_000).into_bytes(), b"\xff\xfe\x00".to_vec()] {
        send("application/json", body).await.refuses(400, "");
    }
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned()
        + &(0..20)
            .map(|n| format!("{0}: &{0} [*{1},*{1},*{1},*{1},*{1},*{1},*{1},*{1}]\n", char::from(b'b' + n), char::from(b'a' + n)))
            .collect::<String>();
    send("application/yaml", bomb.into_bytes()).await.refuses(400, "");
    assert_eq!(node.get("/api/connectors").await.body["count"], 0);
}

/// Cycles and odd schemas neither break the import nor the action.
#[tokio::test]
async fn recursive_schemas_become_usable_actions() {
    let node = TestNode::start().await;
    let platform = Platform::start().await;
    let mut document = shop::open_document();
    document["components"] = json!({ "schemas": {
        "Node": { "type": "object", "properties": { "name": { "type": "string" }, "children": { "type": "array", "items": { "$ref": "#/components/schemas/Node" } } } },
        "Loop": { "$ref": "#/components/schemas/Loop" } } });
    let body =
        |schema: &str| json!({ "content": { "application/json": { "schema": { "$ref": format!("#/components/schemas/{schema}") } } } });
    document["paths"]["/tree"] =
        json!({ "post": { "operationId": "plant", "requestBody": body("Node"), "responses": { "200": { "description": "ok" } } } });
    document["paths"]["/loop"] =
        json!({ "post": { "operationId": "loop", "requestBody": body("Loop"), "responses": { "200": { "description": "ok" } } } });
    shop::import(&node, "tree", &platform, document).await;
    let server = node.server(json!({ "name": "S", "exposure": "dynamic" })).await;
    let tree = json!({ "name": "a", "children": [{ "name": "b", "children": [{ "name": "c", "children": [] }] }] });
    server.execute("tree", "plant", tree.clone()).await.ok();
    assert_eq!(platform.last().json(), tree);
    server.tool("get_action_details_alloy", json!({ "connectorId": "tree", "actionId": "plant" })).await.ok();
    let direct = node.server(json!({ "name": "D", "exposure": "direct", "connectors": ["tree"] })).await;
    assert!(direct.rpc("tools/list", json!({})).await.expect(200).text.contains("plant"));
}

#[tokio::test]
async fn ids_belong_to_one_connector() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    for id in ["slack", "notion", "shop"] {
        let body = json!({ "id": id, "baseUrl": platform.url(), "spec": shop::open_document() });
        node.post("/api/connectors", body).await.refuses(409, "");
        // Said before the document is looked at, wherever the id stands.
        node.post("/api/connectors", json!({ "id": id, "spec": "no document" })).await.refuses(409, "");
        node.post(&format!("/api/connectors?id={id}"), json!({ "spec": "no document" })).await.refuses(409, "");
    }
    node.put("/api/connectors/slack", json!({ "baseUrl": platform.url() })).await.refuses(404, "connector");
    node.delete("/api/connectors/slack").await.refuses(404, "connector");
}

#[tokio::test]
async fn a_connector_is_changed_and_deleted_with_its_credentials() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    shop::credential(&node, "admin", "apiKey", json!({ "apiKey": "12345678" })).await;
    let renamed = node.put("/api/connectors/shop", json!({ "name": "Renamed" })).await.expect(200);
    assert_eq!((&renamed.body["id"], &renamed.body["name"], &renamed.body["actions"]), (&json!("shop"), &json!("Renamed"), &json!(5)));
    let mut smaller = shop::document();
    smaller["paths"].as_object_mut().unwrap().remove("/do/{id}");
    let put = node.put(&format!("/api/connectors/shop?baseUrl={}", platform.url()), smaller).await.expect(200);
    assert_eq!(put.body["actions"], 4);
    server.execute("shop", "misbehave", json!({ "id": "200" })).await.refuses("misbehave");
    server.execute("shop", "listItems", json!({})).await.ok();
    assert_eq!(node.delete("/api/connectors/shop").await.expect(200).body, json!({ "message": "Connector deleted", "id": "shop" }));
    server.execute("shop", "listItems", json!({})).await.refuses("shop");
    node.get("/api/connectors/shop").await.refuses(404, "connector");
    shop::import(&node, "shop", &platform, shop::document()).await;
    assert_eq!(
        node.get("/connectors/shop/credentials").await.body["credentials"],
        json!([]),
        "a new connector of the same id gets no old secret"
    );
    server.execute("shop", "listItems", json!({})).await.refuses("Credential not found");
}

#[tokio::test]
async fn another_account_cannot_see_it() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let other = node.account("other").await;
    let ask = |method: &str, path: &str| node.ask(method, path).key(&other);
    assert_eq!(ask("GET", "/api/connectors").send().await.body["count"], 0);
    for path in ["/api/connectors/shop", "/connectors/shop", "/connectors/shop/actions", "/connectors/shop/credentials"] {
        ask("GET", path).send().await.expect(404);
    }
    assert!(!ask("GET", "/connectors").send().await.text.contains("\"shop\""));
    assert!(!ask("GET", "/connectors/search?goal=create+an+item").send().await.text.contains("\"shop\""));
    ask("DELETE", "/api/connectors/shop").send().await.expect(404);
    ask("PUT", "/api/connectors/shop").json(&json!({ "name": "Mine" })).send().await.expect(404);
    ask("POST", "/connectors/open/actions/listItems/execute").json(&json!({})).send().await.expect(404);
    // The same id is free there, and means another connector.
    let body = json!({ "id": "open", "baseUrl": format!("{}/theirs", platform.url()), "spec": shop::open_document() });
    ask("POST", "/api/connectors").json(&body).send().await.expect(201);
    ask("POST", "/connectors/open/actions/listItems/execute").json(&json!({})).send().await.expect(200);
    assert_eq!(platform.last().target, "/theirs/items");
    let server = node.server(json!({ "name": "S" })).await;
    tool(server.ask(), "execute_action_alloy", call("open", "listItems", json!({}))).await.ok();
    assert_eq!(platform.last().target, "/items");
}

/// Every schema refers to the next one thirty times, and takes it in five times more.
#[tokio::test]
async fn references_without_end_are_cut_and_said() {
    let reference = |n: usize| json!({ "$ref": format!("#/components/schemas/S{}", n + 1) });
    let schema = |n: usize| {
        let properties: serde_json::Map<String, Value> = (0..30).map(|p| (format!("p{p}"), reference(n))).collect();
        json!({ "type": "object", "properties": properties, "allOf": vec![reference(n); 5] })
    };
    let content = json!({ "content": { "application/json": { "schema": reference(0) } } });
    let operation = json!({ "post": { "requestBody": content, "responses": { "200": content } } });
    let mut document = shop::open_document();
    document["components"] = json!({ "schemas": (1..60).map(|n| (format!("S{n}"), schema(n))).collect::<serde_json::Map<_, _>>() });
    document["paths"] = (0..1_500).map(|n| (format!("/p{n}"), operation.clone())).collect::<serde_json::Map<_, _>>().into();
    let home = tempfile::TempDir::new().unwrap();
    let mut process = crate::support::Process::start(&home.path().join("data"), &[]).await;
    let import = || process.ask("POST", "/api/connectors?id=nested&baseUrl=https://t.invalid").json(&document);
    let made = import().send().await.expect(201);
    assert_eq!(made.body["actions"], 1_500);
    assert!(made.body["warnings"].to_string().contains("without details"), "{}", made.body["warnings"]);
    // A stop does not wait for the work of a client that has gone away.
    let gone = tokio::spawn(process.ask("PUT", "/api/connectors/nested").json(&document).try_send());
    process.ask("GET", "/health").send().await.expect(200);
    gone.abort();
    process.terminate();
    assert_eq!(process.ended().await.code(), Some(0));
}

/// Two readers of one body must not see two bodies; in a document the last key counts, and that is said.
#[tokio::test]
async fn what_stands_twice_is_refused_or_said() {
    let node = TestNode::start().await;
    let send = async |kind: &str, body: String| node.ask("POST", "/api/connectors").body(kind, body).send().await;
    let spec = shop::open_document().to_string();
    for (name, body) in [
        ("id", format!(r#"{{"id":"odd3","id":"odd4","spec":{spec}}}"#)),
        ("spec", format!(r#"{{"id":"odd3","spec":{{}},"spec":{spec}}}"#)),
        ("baseUrl", format!(r#"{{"baseUrl":"https://a.invalid","baseUrl":"https://b.invalid","spec":{spec}}}"#)),
    ] {
        let refused = send("application/json", body).await;
        refused.refuses(400, "stands twice");
        assert_eq!(refused.body["details"]["field"], name);
    }
    let paths = r#"{"/a": {"get": {"operationId": "one"}}, "/a": {"get": {"operationId": "two"}}}"#;
    let json =
        format!(r#"{{"openapi": "3.0.0", "info": {{"title": "t"}}, "servers": [{{"url": "https://t.invalid"}}], "paths": {paths}}}"#);
    let yaml = format!("openapi: 3.0.0\ninfo: {{title: t}}\nservers: [{{url: 'https://t.invalid'}}]\npaths: {paths}\n");
    for (id, kind, body) in [
        ("json", "application/json", json.clone()),
        ("yaml", "application/yaml", yaml),
        ("wrapped", "application/json", format!(r#"{{"spec": {json}}}"#)),
    ] {
        let made = node.ask("POST", &format!("/api/connectors?id={id}")).body(kind, body).send().await.expect(201);
        assert_eq!(made.body["warnings"], json!([r#"The key "/a" occurs twice in `paths`; the last one counts."#]), "{id}");
        assert_eq!(made.body["actions"], 1);
    }
    assert_eq!(node.get("/api/connectors").await.body["count"], 3);
}

#[tokio::test]
async fn a_fixed_word_is_no_id() {
    let node = TestNode::start().await;
    node.post("/api/connectors", json!({ "id": "search", "spec": shop::open_document() })).await.refuses(409, "choose another `id`");
    let mut document = shop::open_document();
    document["info"]["title"] = "Search".into();
    node.post("/api/connectors", json!({ "spec": document })).await.refuses(409, "choose another `id`");
}

#[tokio::test]
async fn a_base_url_is_refused_under_the_name_that_was_sent() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    for url in ["http://127.0.0.1:99999", "http://127.0.0.1:0", "http://a b", "http://[fe80::1%25eth0]", "http://a.example/x^y"] {
        let asks = [
            node.post("/api/connectors", json!({ "id": "bad", "baseUrl": url, "spec": shop::open_document() })).await,
            node.put("/api/connectors/open", json!({ "baseUrl": url })).await,
        ];
        for answer in asks {
            answer.refuses(400, "");
            assert_eq!(answer.body["details"]["field"], "baseUrl", "{url}: {}", answer.text);
            assert!(!answer.text.contains("base_url") && !answer.text.contains("is not absolute"), "{url}: {}", answer.text);
        }
    }
    node.put("/api/connectors/open", json!({ "baseUrl": platform.url() })).await.expect(200);
}

/// Where no credential is made, what belongs to an account of the platform comes with the arguments, and everything says so.
#[tokio::test]
async fn variables_without_a_credential_are_arguments() {
    let node = TestNode::start().await;
    let platform = Platform::start().await;
    let body = json!({ "id": "vv", "baseUrl": format!("{}/{{sub}}", platform.url()), "spec": shop::open_document() });
    node.post("/api/connectors", body).await.expect(201);
    let server = node.server(json!({ "name": "S" })).await;
    let details = server.tool("get_action_details_alloy", json!({ "connectorId": "vv", "actionId": "listItems" })).await.ok();
    assert_eq!(details["action"]["inputSchema"]["properties"]["sub"]["type"], "string", "{details}");
    assert_eq!(details["action"]["inputSchema"]["required"], json!(["sub"]));
    assert_eq!(details["action"]["required"], json!(["sub"]));
    assert!(details["action"]["sample"]["sub"].is_string());
    let direct = node.server(json!({ "name": "D", "exposure": "direct", "connectors": ["vv"] })).await;
    let tools = direct.rpc("tools/list", json!({})).await.expect(200);
    assert_eq!(tools.body["result"]["tools"][0]["inputSchema"]["required"], json!(["sub"]), "{}", tools.text);
    server
        .execute("vv", "listItems", json!({}))
        .await
        .refuses("The variable `sub` is missing. It is given with the arguments of the action.");
    server.execute("vv", "listItems", json!({ "sub": 7 })).await.refuses("`sub` must be a string");
    let wrong = json!({ "connectorId": "vv", "authenticationType": "apiKey", "fields": { "apiKey": "k" } });
    server.tool("create_credential_alloy", wrong).await.refuses("with `sub` among the arguments");
    for sub in ["abc", "xyz"] {
        server.execute("vv", "listItems", json!({ "sub": sub })).await.ok();
        assert_eq!(platform.last().target, format!("/{sub}/items"));
    }
}
