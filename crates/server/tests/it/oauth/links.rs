//! Links to the page on which a user enters a key: made where a call lacks one, so that no key passes through a model.

use serde_json::{Value, json};

use crate::support::{
    Ask, Browser, Provider, TestNode,
    mcp::{call as action, initialize, request, tool},
    provider::call,
    shop,
};

/// The link in a text.
fn link_in(text: &str) -> &str {
    text.split_whitespace().find(|word| word.contains("/connect/")).unwrap_or_else(|| panic!("no link in {text}"))
}

#[tokio::test]
async fn a_missing_key_is_entered_in_the_browser_and_the_call_works() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    let call = async || tool(server.ask().user("ann"), "execute_action_alloy", action("shop", "listItems", json!({}))).await;
    let refused = call().await;
    refused.refuses("Credential not found");
    let link = link_in(&refused.text).to_owned();
    let mut browser = Browser::default();
    let page = browser.get(&link).await.expect(200);
    let to = format!("sent to <strong>{}</strong>", url::Url::parse(&platform.url()).unwrap().host_str().unwrap());
    for words in ["Connect Shop", "ann", &to, "token URL", "name=\"apiKey\" type=\"password\"", "With user name and password"] {
        assert!(page.text.contains(words), "{words}: {}", page.text);
    }
    assert!(page.header("content-security-policy").ends_with("form-action 'self'") && !page.text.contains("<script"));
    assert_eq!(page.header("x-frame-options"), "DENY");
    for (fields, words) in [
        (vec![("authenticationType", "apiKey")], "apiKey"),
        (vec![("authenticationType", "apiKey"), ("apiKey", "hüsh-hush")], "apiKey"),
        (vec![("authenticationType", "apiKey"), ("other", "hush-hush")], "other"),
        (vec![("authenticationType", "oauth2")], "authenticationType"),
        (vec![], "authenticationType"),
    ] {
        let again = browser.submit(&link, &fields).await.expect(400);
        assert!(again.text.contains("role=\"alert\"") && again.text.contains(words) && !again.text.contains("hush"), "{}", again.text);
    }
    let done = browser.submit(&link, &[("authenticationType", "apiKey"), ("apiKey", "k-12345678")]).await.expect(200);
    assert!(done.text.contains("Shop is connected") && !done.text.contains("k-12345678"));
    call().await.ok();
    assert_eq!(platform.last().header("x-shop-key"), "k-12345678");
    assert_eq!(browser.submit(&link, &[("authenticationType", "apiKey"), ("apiKey", "k-2")]).await.status, 404, "used");
    tool(server.ask().user("bob"), "execute_action_alloy", action("shop", "listItems", json!({}))).await.refuses("Credential not found");
    let audit = node.get("/api/audit").await.expect(200);
    let entry = audit.body["entries"].as_array().unwrap().iter().find(|entry| entry["door"] == "web" && entry["status"] == 200);
    let entry = entry.unwrap_or_else(|| panic!("{}", audit.text));
    assert_eq!(
        (&entry["operation"], &entry["userId"], &entry["connectorId"]),
        (&json!("credential.create"), &json!("ann"), &json!("shop"))
    );
    assert!(!audit.text.contains("12345678"));
}

/// A link is of one account, user and connector, and what its server does not permit any more it does not make.
#[tokio::test]
async fn a_link_does_what_it_was_made_for_and_nothing_else() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    let refused = server.execute("shop", "listItems", json!({})).await;
    let link = link_in(&refused.text).to_owned();
    let mut browser = Browser::default();
    for wrong in [format!("{link}x"), format!("{}/connect/{}", node.url, "a".repeat(43)), format!("{}/connect/callback", node.url)] {
        assert_eq!(browser.get(&wrong).await.status, 404, "{wrong}");
    }
    // Somebody else's page cannot send the form.
    let forged = Ask::new("POST", &link).header("origin", "https://evil.example");
    let forged = forged.body("application/x-www-form-urlencoded", "authenticationType=apiKey&apiKey=k-12345678").send().await;
    assert_eq!(forged.status, 403);
    let denied = json!({ "restrictions": { "connectors": { "mode": "blocklist", "blockedIds": ["shop"] } } });
    node.put(&format!("/api/servers/{}", server.id), denied).await.expect(200);
    assert_eq!(browser.get(&link).await.status, 403);
    assert_eq!(browser.submit(&link, &[("authenticationType", "apiKey"), ("apiKey", "k-12345678")]).await.status, 403);
    node.put(&format!("/api/servers/{}", server.id), json!({ "restrictions": {} })).await.expect(200);
    browser.get(&link).await.expect(200);
    node.sql("update connect_links set expires_at = 1").await;
    assert_eq!(browser.get(&link).await.status, 404, "too old");
    assert_eq!(node.get("/connectors/shop/credentials").await.body, json!({ "credentials": [] }));
}

/// Open links are bounded: a model that tries again and again fills nothing.
#[tokio::test]
async fn open_links_are_bounded() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    for _ in 0..120 {
        call_shop(&node).await;
    }
    assert_eq!(node.number("select count(*) from connect_links").await, 100);
    // So are those of all users of an account, whom a header may name as it likes; the oldest end.
    node.sql(
        "insert into connect_links (hash, account_id, user_id, connector_id, sealed, expires_at)
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 10050)
         select 'h' || i, 'default', 'u' || i, 'shop', '', 4000000000000 + i from n",
    )
    .await;
    call_shop(&node).await;
    assert_eq!(node.number("select count(*) from connect_links").await, 10_000);
}

async fn call_shop(node: &TestNode) -> String {
    let refused = node.post("/connectors/shop/actions/listItems/execute", json!({})).await;
    refused.refuses(400, "Credential not found");
    refused.body["error"]["details"]["connectUrl"].as_str().unwrap().to_owned()
}

/// Clients that can open a page for their user are asked to, each in the words of its era; afterwards the same call works.
#[tokio::test]
async fn a_client_that_can_opens_the_page() {
    let node = TestNode::start().await;
    let provider = Provider::start().await;
    provider.import(&node, "board").await;
    let server = node.server(json!({ "name": "S" })).await;
    let arguments = json!({ "name": "execute_action_alloy", "arguments": action("board", "whoAmI", json!({})) });

    let mut hello = initialize("2025-11-25");
    hello["capabilities"] = json!({ "elicitation": { "url": {} } });
    let session = server.rpc("initialize", hello).await.expect(200).header("mcp-session-id").to_owned();
    let ask = || server.ask().header("mcp-protocol-version", "2025-11-25").header("mcp-session-id", &session);
    let told = ask().json(&request("tools/call", arguments.clone())).send().await.expect(200);
    let error = &told.body["error"];
    assert_eq!(error["code"], -32042, "{}", told.text);
    let elicitation = &error["data"]["elicitations"][0];
    assert!(
        elicitation["mode"] == "url" && elicitation["elicitationId"].is_string() && elicitation["message"].is_string(),
        "{}",
        told.text
    );
    Browser::default().connect(elicitation["url"].as_str().unwrap(), "ann").await.expect(200);
    let told = ask().json(&request("tools/call", arguments.clone())).send().await.expect(200);
    assert!(told.text.contains("\\\"who\\\":\\\"ann\\\""), "{}", told.text);

    // The modern era: the same request, with the answer to what was asked for.
    let modern = async |more: Value| {
        let mut params = arguments.clone();
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let mut body = request("tools/call", params);
        body["params"]["_meta"] = crate::support::mcp::envelope();
        body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({ "elicitation": { "url": {} } });
        let ask = server.ask().user("bob").header("mcp-protocol-version", "2026-07-28").header("mcp-method", "tools/call");
        ask.header("mcp-name", "execute_action_alloy").json(&body).send().await.expect(200)
    };
    let told = modern(json!({})).await;
    let result = &told.body["result"];
    assert_eq!(result["resultType"], "input_required", "{}", told.text);
    let wanted = &result["inputRequests"]["connect"];
    assert_eq!((&wanted["method"], &wanted["params"]["mode"]), (&json!("elicitation/create"), &json!("url")), "{}", told.text);
    // Declined: a text says what is missing, and nobody is asked again.
    let declined = json!({ "inputResponses": { "connect": { "action": "decline" } } });
    let told_again = modern(declined).await;
    assert_eq!(told_again.body["result"]["isError"], true, "{}", told_again.text);
    Browser::default().connect(wanted["params"]["url"].as_str().unwrap(), "bob").await.expect(200);
    let accepted = json!({ "inputResponses": { "connect": { "action": "accept" } } });
    assert!(modern(accepted).await.text.contains("\\\"who\\\":\\\"bob\\\""));

    // A client that cannot gets the link in the text.
    let plain = tool(server.ask().user("eve"), "execute_action_alloy", action("board", "whoAmI", json!({}))).await;
    plain.refuses("Credential not found");
    Browser::default().connect(link_in(&plain.text), "eve").await.expect(200);
    assert_eq!(call(&node, "board", "eve").await.expect(200).body["responseData"]["who"], "eve");
}
