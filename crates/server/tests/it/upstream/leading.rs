//! Calls that lack a sign-in lead to it at every door, and the doctor says what stands in the way.

use serde_json::{Value, json};

use super::authorization::{Scene, scene};
use crate::support::{
    Ask, TestNode,
    mcp::{envelope, initialize, request},
    sign_in::{Browser, parameter},
};

const TOOL: &str = "list_connectors_alloy";

/// Signs in by this link at the far node.
async fn follow(scene: &Scene, link: &str, name: &str) {
    let near = Browser::default();
    let back = scene.there(&near, link, name).await;
    near.send(Ask::new("GET", back)).await.expect(200);
}

/// Clients that can open a page for their user are asked to, each in the words of its era; afterwards the same call works.
#[tokio::test]
async fn a_client_that_can_opens_the_page() {
    let scene = scene().await;
    scene.sign_in("admin", "ann").await;
    let arguments = json!({ "name": TOOL, "arguments": {} });

    let mut hello = initialize("2025-11-25");
    hello["capabilities"] = json!({ "elicitation": { "url": {} } });
    let begun = scene.server.ask().user("cleo").json(&request("initialize", hello)).send().await.expect(200);
    let session = begun.header("mcp-session-id").to_owned();
    let ask = || scene.server.ask().user("cleo").header("mcp-protocol-version", "2025-11-25").header("mcp-session-id", &session);
    let told = ask().json(&request("tools/call", arguments.clone())).send().await.expect(200);
    let error = &told.body["error"];
    assert_eq!(error["code"], -32042, "{}", told.text);
    let elicitation = &error["data"]["elicitations"][0];
    assert!(elicitation["mode"] == "url" && !elicitation["message"].to_string().contains("http"), "{}", told.text);
    follow(&scene, elicitation["url"].as_str().unwrap(), "ann").await;
    let told = ask().json(&request("tools/call", arguments.clone())).send().await.expect(200);
    assert_eq!((&told.body["error"], &told.body["result"]["isError"]), (&Value::Null, &Value::Null), "{}", told.text);

    let modern = async |more: Value| {
        let mut params = arguments.clone();
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut body = request("tools/call", params);
        body["params"]["_meta"] = envelope();
        body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({ "elicitation": { "url": {} } });
        let ask = scene.server.ask().user("bob").header("mcp-protocol-version", "2026-07-28").header("mcp-method", "tools/call");
        ask.header("mcp-name", TOOL).json(&body).send().await.expect(200)
    };
    let told = modern(json!({})).await;
    assert_eq!(told.body["result"]["resultType"], "input_required", "{}", told.text);
    let wanted = &told.body["result"]["inputRequests"]["connect"];
    assert_eq!((&wanted["method"], &wanted["params"]["mode"]), (&json!("elicitation/create"), &json!("url")), "{}", told.text);
    // Declined: a text says what is missing, and nobody is asked again.
    let declined = modern(json!({ "inputResponses": { "connect": { "action": "decline" } } })).await;
    assert!(declined.body["result"]["isError"] == true && declined.text.contains("/oauth/upstreams/"), "{}", declined.text);
    // Accepted: the call waits for the user, who is on the way.
    let accepted = modern(json!({ "inputResponses": { "connect": { "action": "accept" } } }));
    let (told, ()) = tokio::join!(accepted, follow(&scene, wanted["params"]["url"].as_str().unwrap(), "bob"));
    assert_eq!((&told.body["result"]["isError"], &told.body["result"]["resultType"]), (&Value::Null, &json!("complete")), "{}", told.text);
}

#[tokio::test]
async fn by_rest_the_error_has_the_link() {
    let scene = scene().await;
    let connector = scene.upstream["connectorId"].as_str().unwrap();
    let path = format!("/connectors/{connector}/actions/{TOOL}/execute");
    let refused = scene.node.post(&path, json!({})).await;
    refused.refuses(400, "wants the user to sign in");
    let link = refused.body["error"]["details"]["connectUrl"].as_str().unwrap_or_else(|| panic!("{}", refused.text));
    follow(&scene, link, "ann").await;
    scene.node.post(&path, json!({})).await.expect(200);
    // For one of the end users.
    let body = json!({ "mcp_server_id": scene.upstream["id"], "tool_slug": TOOL, "end_user_id": "bob" });
    let refused = scene.node.post("/api/v1/mcp-tools/execute", body.clone()).await;
    assert!(refused.status == 400 && refused.sentence().contains("/oauth/upstreams/"), "{}", refused.text);
    let (_, link) = refused.sentence().split_once("passes through here: ").unwrap();
    let page = Ask::new("GET", link.split(' ').next().unwrap()).send().await.expect(200);
    assert!(page.text.contains("<strong>bob</strong>"), "{}", page.text);
    follow(&scene, link.split(' ').next().unwrap(), "bob").await;
    let called = scene.node.post("/api/v1/mcp-tools/execute", body.clone()).await.expect(200);
    assert_eq!(called.body["is_error"], false, "{}", called.text);
    // Named as the connector that it is; for its owner alone.
    let mut named = body;
    named["mcp_server_id"] = scene.upstream["connectorId"].clone();
    let called = scene.node.post("/api/v1/mcp-tools/execute", named.clone()).await.expect(200);
    assert_eq!(called.body["is_error"], false, "{}", called.text);
    let member = scene.node.key("eve", "member").await;
    scene.node.ask("POST", "/api/v1/mcp-tools/execute").key(&member).json(&named).send().await.expect(404);
    // A connect link of the owner is such a page itself. Programs that look at it before people do make nothing and end nothing.
    let made = scene.node.post("/api/connect-links", json!({ "mcpServerId": scene.upstream["id"], "endUserId": "dora" })).await.expect(200);
    let link = made.body["link"].as_str().unwrap();
    let near = Browser::default();
    let back = scene.there(&near, link, "bob").await;
    let links = scene.node.number("select count(*) from connect_links").await;
    for _ in 0..120 {
        let page = Ask::new("GET", link).send().await.expect(200);
        assert!(
            page.text.contains("<strong>dora</strong>") && page.text.contains("the owner of the MCP server, with a connect link"),
            "{}",
            page.text
        );
    }
    assert_eq!(scene.node.number("select count(*) from connect_links").await, links);
    near.send(Ask::new("GET", back)).await.expect(200);
    assert_eq!(scene.node.number("select count(*) from upstream_grants").await, 3);
}

/// A program that makes links without end does not end the sign-in that a user is at.
#[tokio::test]
async fn further_links_end_no_sign_in_that_has_begun() {
    let scene = scene().await;
    let near = Browser::default();
    let back = scene.there(&near, &scene.link("bob").await, "bob").await;
    for _ in 0..110 {
        scene.link("bob").await;
    }
    assert_eq!(scene.node.number("select count(*) from connect_links").await, 100);
    near.send(Ask::new("GET", back)).await.expect(200);
}

/// Whoever has a link may send its form, but not without end.
#[tokio::test]
async fn the_form_of_a_link_is_counted() {
    let scene = scene().await;
    let link = scene.link("bob").await;
    for _ in 0..30 {
        Ask::new("POST", &link).send().await.expect(303);
    }
    let refused = Ask::new("POST", &link).send().await.expect(429);
    assert!(refused.text.contains("Please wait a moment") && !refused.header("retry-after").is_empty(), "{}", refused.text);
    // Another user's page is another matter.
    Ask::new("POST", scene.link("admin").await).send().await.expect(303);
    Ask::new("GET", &link).send().await.expect(200);
}

async fn look(node: &TestNode, connector: &Value, user: &str) -> Value {
    let body = json!({ "connectorId": connector, "userId": user, "renew": true });
    let answer = node.post("/api/doctor/connect", body).await.expect(200);
    assert!(!answer.text.contains("mcp_access_") && !answer.text.contains("mcp_refresh_"), "{}", answer.text);
    answer.body
}

fn step<'a>(report: &'a Value, name: &str) -> &'a Value {
    let steps = report["steps"].as_array().unwrap();
    steps.iter().find(|step| step["step"] == name).unwrap_or_else(|| panic!("no {name} in {report}"))
}

#[tokio::test]
async fn the_doctor_tries_every_step() {
    let scene = scene().await;
    let connector = &scene.upstream["connectorId"];
    let nobody = look(&scene.node, connector, "bob").await;
    for name in ["MCP server", "discovery", "registration", "consent page", "token endpoint"] {
        assert_eq!(step(&nobody, name)["ok"], true, "{name}: {nobody}");
    }
    let tried = step(&nobody, "discovery")["tried"].to_string();
    assert!(tried.contains("oauth-protected-resource") && tried.contains("oauth-authorization-server"), "{tried}");
    assert_eq!((&step(&nobody, "sign-in")["ok"], &step(&nobody, "first call")["ok"]), (&json!(false), &Value::Null), "{nobody}");
    scene.sign_in("bob", "bob").await;
    let well = look(&scene.node, connector, "bob").await;
    assert_eq!(well["ok"], true, "{well}");
    assert_eq!(step(&well, "renewal")["ok"], true, "{well}");
    // Still as good as before.
    let called = scene.call("bob").await;
    assert_eq!(called["result"]["isError"], Value::Null, "{called}");
    // By its own id as well, and for admins alone.
    assert_eq!(look(&scene.node, &scene.upstream["id"], "bob").await["ok"], true);
    let member = scene.node.key("eve", "member").await;
    scene.node.ask("POST", "/api/doctor/connect").key(&member).json(&json!({ "connectorId": connector })).send().await.expect(403);
    // One that is not there.
    let body = json!({ "name": "Gone", "url": "http://127.0.0.1:9/mcp?key=s3cret", "auth_type": "oauth" });
    let gone = scene.node.post("/api/v1/user-mcp-servers", body).await.expect(201);
    let report = look(&scene.node, &gone.body["connectorId"], "admin").await;
    let found = step(&report, "discovery");
    assert!(found["ok"] == false && found["advice"].is_string() && !report.to_string().contains("s3cret"), "{report}");
}

/// Nobody entered the client that the other side has forgotten: nothing is to be corrected, and the next sign-in registers another.
#[tokio::test]
async fn the_doctor_knows_a_forgotten_registration() {
    let mut scene = scene().await;
    let client = async |scene: &Scene| {
        let left = scene.leave(&Browser::default(), &scene.link("cleo").await).await;
        parameter(&left, "client_id").unwrap()
    };
    let before = client(&scene).await;
    scene.far.sql("delete from data_keys").await;
    scene.far.restart().await;
    let report = look(&scene.node, &scene.upstream["connectorId"], "cleo").await;
    let found = step(&report, "token endpoint");
    assert_eq!((&found["ok"], &found["advice"]), (&json!(false), &json!("The next sign-in registers again.")), "{report}");
    assert_ne!(client(&scene).await, before);
}
