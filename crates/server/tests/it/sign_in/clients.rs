//! Who clients are: metadata documents and registration.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::{
    Ask, Platform, Server, TestNode,
    sign_in::{Browser, Client, PASSWORD, REDIRECT, VERIFIER, form, user},
};

async fn scene() -> (TestNode, Server) {
    let node = TestNode::with(|config| config.client_metadata_allow = vec!["127.0.0.0/8".parse().unwrap()]).await;
    user(&node, "ann").await;
    let server = node.server(json!({ "name": "Tools", "isPublic": true })).await;
    (node, server)
}

#[tokio::test]
async fn a_metadata_document_makes_a_client() {
    let (node, server) = scene().await;
    let host = Platform::start().await;
    let id = format!("{}/client.json", host.url());
    let document = json!({ "client_id": id, "client_name": "Documented", "redirect_uris": ["http://127.0.0.1/callback"],
        "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"] });
    host.prepare(200, &[], &document);
    let client = Client { node: node.url.clone(), resource: server.url.clone(), id };
    let browser = Browser::default();
    let page = client.authorize(&browser, &client.fields()).await.expect(200);
    let page = client.sign_in(&browser, &page, "ann", PASSWORD).await.expect(200);
    assert!(page.text.contains("Documented") && page.text.contains("127.0.0.1 describes it"), "{}", page.text);
    // Fetched once, for all that follows.
    let tokens = client.tokens("ann").await;
    client.call(&tokens.access, "ping", json!({})).await.expect(200);
    client.refresh(&tokens.refresh).await.expect(200);
    assert_eq!(host.count(), 1);
    assert_eq!(host.last().header("accept"), "application/json");
}

/// Client ID Metadata Documents, 3 and 6; SSRF.
#[tokio::test]
async fn documents_that_vouch_for_nothing_are_refused() {
    let (node, server) = scene().await;
    let host = Platform::start().await;
    let id = format!("{}/client.json", host.url());
    let try_for = async |id: &str, status: u16| {
        let client = Client { node: node.url.clone(), resource: server.url.clone(), id: id.to_owned() };
        let answer = client.authorize(&Browser::default(), &client.fields()).await;
        assert_eq!((answer.status, answer.header("location")), (status, ""), "{id}: {}", answer.text);
        answer.text
    };
    let try_with = async |id: &str| try_for(id, 400).await;
    let good = json!({ "client_id": id, "redirect_uris": ["http://127.0.0.1/callback"] });
    let with = |name: &str, value: Value| {
        let mut document = good.clone();
        document[name] = value;
        document
    };
    for (document, words) in [
        (with("client_id", json!("https://elsewhere.example/client.json")), "own address"),
        (with("client_id", Value::Null), "own address"),
        (with("redirect_uris", json!([])), "redirect_uris"),
        (with("redirect_uris", json!(["javascript:alert(1)"])), "redirect URI"),
        (with("token_endpoint_auth_method", json!("client_secret_basic")), "token_endpoint_auth_method"),
        (with("client_name", json!(["x"])), "not the JSON"),
        (json!("text"), "not the JSON"),
    ] {
        host.prepare(200, &[], &document);
        let said = try_with(&id).await;
        assert!(said.contains(words), "{words} is not in {said}");
    }
    assert!(try_with(&format!("{}/do/html", host.url())).await.contains("not `application/json`"));
    // Whatever keeps us from reading it is said in the same words.
    let unread = "cannot be read at the moment. Try again shortly.";
    for (status, headers, document) in [
        (302, &[("location", "/do/200")][..], json!({})),
        (404, &[], good.clone()),
        (200, &[], with("client_name", json!("x".repeat(20_000)))),
    ] {
        host.prepare(status, headers, &document);
        assert!(try_for(&id, 503).await.contains(unread));
    }
    for id in ["https://10.0.0.1/client.json", "https://169.254.169.254/latest/meta-data", "https://[::1]/client.json"] {
        assert!(try_for(id, 503).await.contains(unread));
    }
    let before = host.count();
    for id in [
        "http://10.0.0.1/client.json",
        "http://example.com/client.json",
        "file:///etc/passwd",
        &format!("{}/", host.url()),
        &format!("{}/client.json?x=y", host.url()),
        &format!("{}/client.json#x", host.url()),
        &format!("{}/a/../client.json", host.url()),
        &host.url().replace("http://", "http://user@"),
    ] {
        try_with(id).await;
    }
    assert_eq!(host.count(), before);
}

/// What connectors may reach inside is nothing that strangers can look into: open, closed or forbidden, they read the same.
#[tokio::test]
async fn documents_are_fetched_from_public_addresses_alone() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "Tools", "isPublic": true })).await;
    let host = Platform::start().await;
    let mut said = Vec::new();
    for id in [format!("{}/client.json", host.url()), "http://127.0.0.1:1/client.json".into(), "https://127.0.0.2/x".into()] {
        let client = Client { node: node.url.clone(), resource: server.url.clone(), id };
        let page = client.authorize(&Browser::default(), &client.fields()).await.expect(503);
        said.push(page.text.replace("127.0.0.2", "127.0.0.1"));
    }
    assert!(said.iter().all(|text| *text == said[0]), "{said:?}");
    assert_eq!(host.count(), 0);
}

/// A client whose host does not answer is asked to come again, not told that it is none; and nobody uses up what others may ask for.
#[tokio::test]
async fn a_document_that_cannot_be_read_costs_no_client_its_grant() {
    let (mut node, server) = scene().await;
    let host = Platform::start().await;
    let id = format!("{}/client.json", host.url());
    let document = json!({ "client_id": id, "redirect_uris": ["http://127.0.0.1/callback"] });
    host.prepare(200, &[], &document);
    let client = Client { node: node.url.clone(), resource: server.url.clone(), id };
    let tokens = client.tokens("ann").await;
    // Nothing is kept of the document.
    node.restart().await;
    host.prepare(500, &[], &json!({}));
    let refused = client.refresh(&tokens.refresh).await.expect(503);
    assert_eq!(refused.body["error"], "temporarily_unavailable", "{}", refused.text);
    assert!(!refused.header("retry-after").is_empty());
    let ask = async |source: &str| {
        host.prepare(404, &[], &json!({}));
        let fields = [("grant_type", "refresh_token"), ("client_id", client.id.as_str()), ("refresh_token", tokens.refresh.as_str())];
        form(format!("{}/oauth/token", node.url), &fields).header("x-forwarded-for", source).send().await
    };
    for _ in 0..20 {
        ask("203.0.113.9").await.expect(503);
    }
    assert_eq!(ask("203.0.113.9").await.expect(429).body["error"], "temporarily_unavailable");
    // What the client says of where it is does not count, what the proxy says does.
    ask("198.51.100.1, 203.0.113.9").await.expect(429);
    ask("203.0.113.10").await.expect(503);
    // The two that were not asked for.
    for _ in 0..2 {
        Ask::new("GET", host.url()).send().await.expect(404);
    }
    host.prepare(200, &[], &document);
    client.refresh(&tokens.refresh).await.expect(200);
}

#[tokio::test]
async fn registration_keeps_nothing_and_refuses_what_leads_astray() {
    let (node, server) = scene().await;
    let register = async |body: Value| Ask::new("POST", format!("{}/oauth/register", node.url)).json(&body).send().await;
    for (body, error) in [
        (json!({ "redirect_uris": [] }), "invalid_redirect_uri"),
        (json!({}), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["http://evil.example/"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["javascript:alert(1)"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["ms-msdt:/id"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["https://a.example/#x"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": vec![REDIRECT; 21] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt" }), "invalid_client_metadata"),
        (json!({ "redirect_uris": [REDIRECT], "grant_types": ["implicit"] }), "invalid_client_metadata"),
        (json!({ "redirect_uris": [REDIRECT], "response_types": ["token"] }), "invalid_client_metadata"),
        (json!(["x"]), "invalid_client_metadata"),
    ] {
        let refused = register(body).await.expect(400);
        assert_eq!(refused.body["error"], error, "{}", refused.text);
    }
    // A client with a secret shows it, in either way, and nothing goes without it.
    let made = register(json!({ "client_name": "Confidential", "redirect_uris": [REDIRECT] })).await.expect(201).body;
    let (id, secret) = (made["client_id"].as_str().unwrap(), made["client_secret"].as_str().unwrap());
    assert_eq!((&made["token_endpoint_auth_method"], &made["client_secret_expires_at"]), (&json!("client_secret_basic"), &json!(0)));
    assert!(!id.contains(secret));
    let client = Client { node: node.url.clone(), resource: server.url.clone(), id: id.to_owned() };
    let code = client.code("ann").await;
    assert_eq!(client.exchange(&code).await.expect(401).body["error"], "invalid_client");
    let fields = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", REDIRECT), ("code_verifier", VERIFIER)];
    let basic = |secret: &str| {
        let value = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
        form(format!("{}/oauth/token", node.url), &fields).header("authorization", value)
    };
    basic("wrong").send().await.expect(401);
    let tokens = Client::read(&basic(secret).send().await.expect(200));
    client.refresh(&tokens.refresh).await.expect(401);
    let posted =
        [("grant_type", "refresh_token"), ("client_id", id), ("client_secret", secret), ("refresh_token", tokens.refresh.as_str())];
    client.token(&posted).await.expect(200);
}

#[tokio::test]
async fn registrations_are_counted() {
    let node = TestNode::start().await;
    let register = async || {
        let body = json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none" });
        Ask::new("POST", format!("{}/oauth/register", node.url)).json(&body).send().await
    };
    for _ in 0..120 {
        register().await.expect(201);
    }
    let refused = register().await.expect(429);
    assert_eq!(refused.body["error"], "temporarily_unavailable");
    assert!(!refused.header("retry-after").is_empty());
}
