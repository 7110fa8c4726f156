//! Signing in through the operator's OpenID Connect provider.

use amalgam::config::Oidc;
use amalgam_vault::{hash_token, url_safe};
use serde_json::{Value, json};

use crate::support::{
    Answer, Ask, Platform, Server, TestNode,
    sign_in::{Browser, Client, parameter, request_of},
};

struct Scene {
    node: TestNode,
    provider: Platform,
    server: Server,
    client: Client,
}

async fn scene(user_claim: &str) -> Scene {
    let provider = Platform::start().await;
    let oidc = Oidc { issuer: provider.url(), client_id: "amalgam".to_owned(), user_claim: user_claim.to_owned() };
    let node = TestNode::with(|config| config.oidc = Some(oidc)).await;
    let server = node.server(json!({ "name": "Tools", "isPublic": true })).await;
    let client = Client::register(&node, &server.url).await;
    let metadata = json!({
        "issuer": provider.url(), "authorization_endpoint": format!("{}/auth?tenant=1", provider.url()),
        "token_endpoint": format!("{}/token", provider.url()),
    });
    provider.prepare(200, &[], &metadata);
    Scene { node, provider, server, client }
}

impl Scene {
    /// To the provider.
    async fn leave(&self, browser: &Browser) -> Answer {
        let page = self.client.authorize(browser, &self.client.fields()).await.expect(200);
        assert!(page.text.contains("Sign in with 127.0.0.1"), "{}", page.text);
        browser.send(Ask::new("GET", format!("{}/oauth/provider?request={}", self.node.url, request_of(&page)))).await
    }

    /// And back, with these claims in the id token.
    async fn back(&self, browser: &Browser, left: &Answer, change: impl FnOnce(&mut Value)) -> Answer {
        let mut claims = json!({ "iss": self.provider.url(), "aud": "amalgam", "sub": "u-1", "email": "ann@example.com",
            "exp": 4_000_000_000_u64, "nonce": parameter(left, "nonce").unwrap() });
        change(&mut claims);
        let id_token = format!("{}.{}.c2lnbmF0dXJl", url_safe(b"{\"alg\":\"RS256\"}"), url_safe(claims.to_string().as_bytes()));
        self.provider.prepare(200, &[], &json!({ "access_token": "a", "token_type": "Bearer", "id_token": id_token }));
        let state = parameter(left, "state").unwrap();
        browser.send(Ask::new("GET", format!("{}/oauth/signed-in?code=its-code&state={state}", self.node.url))).await
    }
}

#[tokio::test]
async fn the_provider_says_who_the_user_is() {
    let scene = scene("sub").await;
    let browser = Browser::default();
    let left = scene.leave(&browser).await.expect(303);
    assert!(left.header("location").starts_with(&format!("{}/auth?tenant=1&response_type=code&client_id=amalgam", scene.provider.url())));
    assert_eq!(parameter(&left, "scope").as_deref(), Some("openid"));
    assert_eq!(parameter(&left, "redirect_uri"), Some(format!("{}/oauth/signed-in", scene.node.url)));
    let page = scene.back(&browser, &left, |_| {}).await.expect(200);
    assert!(page.text.contains("ann@example.com"), "{}", page.text);
    // The code was exchanged with the verifier of the challenge.
    let seen = scene.provider.last();
    let verifier = seen.body.split('&').find_map(|field| field.strip_prefix("code_verifier=")).unwrap();
    assert_eq!(Some(url_safe(&hash_token(verifier))), parameter(&left, "code_challenge"));
    let decided = scene.client.decide(&browser, &page, "allow").await.expect(303);
    let tokens = Client::read(&scene.client.exchange(&parameter(&decided, "code").unwrap()).await.expect(200));
    scene.client.call(&tokens.access, "ping", json!({})).await.expect(200);
    // Deleting the user ends what it has allowed, though it was never registered.
    scene.node.delete("/users/u-1").await.expect(200);
    scene.client.call(&tokens.access, "ping", json!({})).await.expect(401);
}

#[tokio::test]
async fn a_token_that_is_not_for_this_sign_in_signs_nobody_in() {
    let scene = scene("sub").await;
    let browser = Browser::default();
    let left = scene.leave(&browser).await.expect(303);
    for (member, value) in [
        ("iss", json!("https://elsewhere.example")),
        ("aud", json!("another client")),
        ("aud", json!(["amalgam", "another client"])),
        ("exp", json!(1_000)),
        ("nonce", json!("of another sign-in")),
        ("nonce", Value::Null),
        ("sub", Value::Null),
        ("sub", json!("")),
        ("sub", json!("x".repeat(300))),
    ] {
        let shown = scene.back(&browser, &left, |claims| claims[member] = value.clone()).await;
        assert_eq!((shown.status, shown.header("set-cookie")), (502, ""), "{member} {value}: {}", shown.text);
    }
    // Another browser, a state that is forged, an answer in another's name, a refusal.
    let state = parameter(&left, "state").unwrap();
    scene.back(&Browser::default(), &left, |_| {}).await.expect(400);
    let at = async |query: String| browser.send(Ask::new("GET", format!("{}/oauth/signed-in?{query}", scene.node.url))).await;
    at("code=x&state=forged".to_owned()).await.expect(400);
    at("code=x".to_owned()).await.expect(400);
    at(format!("code=x&state={state}&iss=https://elsewhere.example")).await.expect(502);
    let refused = at(format!("error=access_denied&state={state}")).await.expect(502);
    assert!(refused.text.contains("access_denied"), "{}", refused.text);
}

#[tokio::test]
async fn an_address_counts_where_it_is_verified() {
    let scene = scene("email").await;
    let browser = Browser::default();
    let left = scene.leave(&browser).await.expect(303);
    assert_eq!(parameter(&left, "scope").as_deref(), Some("openid email profile"));
    scene.back(&browser, &left, |_| {}).await.expect(403);
    scene.back(&browser, &left, |claims| claims["email_verified"] = json!(true)).await.expect(200);
}

/// The operator's people are not those of another account.
#[tokio::test]
async fn the_provider_is_for_the_operators_account() {
    let mut scene = scene("sub").await;
    let other = scene.node.account("other").await;
    let theirs = scene.node.ask("POST", "/api/servers").key(&other).json(&json!({ "name": "Theirs", "isPublic": true }));
    scene.client.resource = theirs.send().await.expect(201).body["url"].as_str().unwrap().to_owned();
    let browser = Browser::default();
    let left = scene.leave(&browser).await.expect(303);
    scene.back(&browser, &left, |_| {}).await.expect(404);
    assert_ne!(scene.server.url, scene.client.resource);
}

#[tokio::test]
async fn a_provider_that_speaks_for_another_is_not_used() {
    let scene = scene("sub").await;
    // The prepared metadata is taken by this request.
    Ask::new("GET", scene.provider.url()).send().await.expect(200);
    let metadata = json!({ "issuer": "https://elsewhere.example", "authorization_endpoint": "https://a.example/", "token_endpoint": "https://a.example/" });
    scene.provider.prepare(200, &[], &metadata);
    scene.leave(&Browser::default()).await.expect(502);
    let metadata =
        json!({ "issuer": scene.provider.url(), "authorization_endpoint": "javascript:alert(1)", "token_endpoint": "https://a.example/" });
    scene.provider.prepare(200, &[], &metadata);
    scene.leave(&Browser::default()).await.expect(502);
}
