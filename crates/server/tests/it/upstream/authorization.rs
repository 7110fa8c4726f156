//! Upstreams that want a token of each user: here other nodes, whose authorization server is real.

use serde_json::{Value, json};

use crate::support::{
    Answer, Ask, Platform, Server, TestNode, mcp,
    sign_in::{Browser, PASSWORD, parameter, request_of, user},
};

/// Two nodes: what the first one has behind it is a server of the second one.
struct Scene {
    node: TestNode,
    far: TestNode,
    far_server: Server,
    upstream: Value,
    server: Server,
}

async fn scene() -> Scene {
    let (node, far) = (TestNode::start().await, TestNode::start().await);
    for name in ["ann", "bob"] {
        user(&far, name).await;
    }
    let far_server = far.server(json!({ "name": "Far", "isPublic": true })).await;
    let body = json!({ "name": "Far", "url": far_server.url, "auth_type": "oauth" });
    let upstream = node.post("/api/v1/user-mcp-servers", body).await.expect(201).body;
    let body = json!({ "name": "Near", "exposure": "direct", "connectors": [upstream["connectorId"]], "toolPrefix": "never" });
    let server = node.server(body).await;
    Scene { node, far, far_server, upstream, server }
}

/// Sends a form of the far node's page.
async fn submit(browser: &Browser, node: &TestNode, page: &Answer, path: &str, fields: &[(&str, &str)]) -> Answer {
    let request = request_of(page);
    let fields = [&[("request", request.as_str())], fields].concat();
    browser.send(crate::support::sign_in::form(format!("{}/oauth/{path}", node.url), &fields)).await
}

impl Scene {
    /// The link for this user of ours.
    async fn link(&self, user: &str) -> String {
        let path = format!("/api/v1/user-mcp-servers/{}/sign-in", self.upstream["id"].as_str().unwrap());
        let made = self.node.ask("POST", &path).user(user).send().await.expect(200);
        made.body["url"].as_str().unwrap().to_owned()
    }

    /// Follows a link and signs in at the far node under this name; the address to come back to.
    async fn there(&self, near: &Browser, link: &str, name: &str) -> String {
        let left = near.send(Ask::new("GET", link)).await.expect(303);
        assert_eq!(parameter(&left, "resource").as_ref(), Some(&self.far_server.url));
        assert_eq!(parameter(&left, "code_challenge_method").as_deref(), Some("S256"));
        let browser = Browser::default();
        let page = browser.send(Ask::new("GET", left.header("location"))).await.expect(200);
        let page = submit(&browser, &self.far, &page, "sign-in", &[("username", name), ("password", PASSWORD)]).await.expect(200);
        let decided = submit(&browser, &self.far, &page, "consent", &[("decision", "allow")]).await.expect(303);
        decided.header("location").to_owned()
    }

    /// Signs our user in as this one there.
    async fn sign_in(&self, user: &str, name: &str) {
        let near = Browser::default();
        let back = self.there(&near, &self.link(user).await, name).await;
        let shown = near.send(Ask::new("GET", back)).await.expect(200);
        assert!(shown.text.contains("You can call Far now"), "{}", shown.text);
    }

    /// A tool of the far server, called by our user.
    async fn call(&self, user: &str) -> Value {
        let call = json!({ "name": "list_connectors_alloy", "arguments": {} });
        self.server.ask().user(user).json(&mcp::request("tools/call", call)).send().await.expect(200).body
    }
}

#[tokio::test]
async fn each_user_signs_in_and_calls_as_itself() {
    let scene = scene().await;
    // The owner's sign-in is what makes the far server's tools known; nobody else is signed in by it.
    scene.sign_in("admin", "ann").await;
    let tools = scene.server.rpc("tools/list", json!({})).await.expect(200);
    assert!(tools.text.contains("list_connectors_alloy"), "{}", tools.text);
    let called = scene.call("admin").await;
    assert_eq!(called["result"]["isError"], Value::Null, "{called}");
    let refused = scene.call("bob").await.to_string();
    assert!(refused.contains("wants the user to sign in") && refused.contains("/oauth/upstreams/"), "{refused}");
    // The link in the answer leads there.
    let (_, link) = refused.split_once("10 minutes: ").unwrap();
    let link = link.split_once(' ').unwrap().0.to_owned();
    let near = Browser::default();
    let back = scene.there(&near, &link, "bob").await;
    near.send(Ask::new("GET", back)).await.expect(200);
    let called = scene.call("bob").await;
    assert_eq!(called["result"]["isError"], Value::Null, "{called}");
    let grants = scene.far.number("select count(*) from grants").await;
    assert_eq!(grants, 2);
}

#[tokio::test]
async fn tokens_are_renewed_and_ended_grants_lead_back_to_the_link() {
    let scene = scene().await;
    scene.sign_in("admin", "ann").await;
    // Ahead of the end.
    scene.node.sql("update upstream_grants set expires_at = 1").await;
    let mut scene = scene;
    scene.node.restart().await;
    for _ in 0..2 {
        let called = scene.call("admin").await;
        assert_eq!(called["result"]["isError"], Value::Null, "{called}");
    }
    assert_eq!(scene.far.number("select count(*) from grant_tokens where kind = 'refresh' and used_at is not null").await, 1);
    // The token is refused before its time: it is renewed, and the call works.
    scene.far.sql("delete from grant_tokens where kind = 'access'").await;
    scene.far.restart().await;
    let called = scene.call("admin").await;
    assert_eq!(called["result"]["isError"], Value::Null, "{called}");
    // Nothing is left to renew it with: the user is led to sign in again, and that works.
    scene.far.sql("delete from grants").await;
    scene.far.restart().await;
    let refused = scene.call("admin").await.to_string();
    assert!(refused.contains("wants the user to sign in"), "{refused}");
    scene.sign_in("admin", "ann").await;
    let called = scene.call("admin").await;
    assert_eq!(called["result"]["isError"], Value::Null, "{called}");
}

/// A sign-in belongs to one browser, in its time, and to the server that it was begun at (RFC 9207).
#[tokio::test]
async fn answers_of_others_connect_nothing() {
    let scene = scene().await;
    let near = Browser::default();
    let back = scene.there(&near, &scene.link("admin").await, "ann").await;
    let with = |name: &str, value: Option<&str>| {
        let mut url = url::Url::parse(&back).unwrap();
        let kept: Vec<(String, String)> = url.query_pairs().into_owned().filter(|(known, _)| known != name).collect();
        url.query_pairs_mut().clear().extend_pairs(kept);
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, value);
        }
        String::from(url)
    };
    Browser::default().send(Ask::new("GET", &back)).await.expect(400);
    near.copy().send(Ask::new("GET", with("state", Some("forged")))).await.expect(400);
    near.copy().send(Ask::new("GET", with("state", None))).await.expect(400);
    near.copy().send(Ask::new("GET", with("iss", Some("https://evil.example")))).await.expect(502);
    near.copy().send(Ask::new("GET", with("iss", Some(&format!("{}/", scene.far.url))))).await.expect(502);
    // It was promised, and is missing.
    near.copy().send(Ask::new("GET", with("iss", None))).await.expect(502);
    near.copy().send(Ask::new("GET", with("code", Some("another")))).await.expect(400);
    let twice = format!("{back}&code=another");
    near.copy().send(Ask::new("GET", twice)).await.expect(400);
    near.send(Ask::new("GET", &back)).await.expect(200);
    // Again: the code is used up, and what came of it ends there.
    near.send(Ask::new("GET", &back)).await.expect(400);
    for link in ["AAAA", "..", "%00"] {
        let answer = Ask::new("GET", format!("{}/oauth/upstreams/{link}", scene.node.url)).send().await;
        assert!(matches!(answer.status, 400 | 404), "{link}: {}", answer.text);
    }
}

/// RFC 9728 section 7.6, RFC 8414 section 3.3, SSRF: metadata that speaks for another, or names inside addresses.
#[tokio::test]
async fn metadata_that_speaks_for_another_is_refused() {
    let node = TestNode::start().await;
    let platform = Platform::start().await;
    let url = format!("{}/mcp", platform.url());
    let body = json!({ "name": "Odd", "url": url, "auth_type": "oauth" });
    let made = node.post("/api/v1/user-mcp-servers", body).await.expect(201);
    let path = format!("/api/v1/user-mcp-servers/{}/sign-in", made.body["id"].as_str().unwrap());
    let metadata = |resource: &str, issuer: &str| json!({ "resource": resource, "authorization_servers": [issuer] });
    let server = |issuer: &str, endpoint: &str| {
        json!({ "issuer": issuer, "authorization_endpoint": endpoint, "token_endpoint": format!("{issuer}/token"),
            "registration_endpoint": format!("{issuer}/register"), "code_challenge_methods_supported": ["S256"] })
    };
    let issuer = platform.url();
    let registered = json!({ "client_id": "c" });
    let plain = {
        let mut plain = server(&issuer, "https://a.example/");
        plain["code_challenge_methods_supported"] = json!(["plain"]);
        plain
    };
    for (answers, words) in [
        (vec![metadata("https://elsewhere.example/mcp", &issuer)], "another resource"),
        (vec![metadata(&url, "https://169.254.169.254")], "cannot be discovered"),
        (vec![metadata(&url, "http://10.0.0.1/")], "cannot be discovered"),
        (vec![metadata(&url, &issuer), server("https://elsewhere.example", "https://a.example/")], "another issuer"),
        (vec![metadata(&url, &format!("{issuer}/")), server(&issuer, "https://a.example/")], "another issuer"),
        (vec![metadata(&url, &issuer), plain], "PKCE"),
        (vec![metadata(&url, &issuer), server(&issuer, "javascript:alert(1)"), registered.clone()], "browser"),
        (vec![metadata(&url, &issuer), server(&issuer, "http://evil.example/"), registered], "browser"),
    ] {
        let link = node.post(&path, json!({})).await.expect(200).body["url"].as_str().unwrap().to_owned();
        platform.prepare(401, &[("www-authenticate", &format!("Bearer resource_metadata=\"{issuer}/prm\""))], &json!({}));
        for answer in &answers {
            platform.prepare(200, &[], answer);
        }
        let shown = Ask::new("GET", &link).send().await;
        assert_eq!((shown.status, shown.header("location")), (502, ""), "{words}: {}", shown.text);
        assert!(shown.text.contains(words), "{words} is not in {}", shown.text);
    }
}

/// Without a user: the client's own secret (RFC 6749, section 4.4).
#[tokio::test]
async fn client_credentials_need_nobody() {
    let node = TestNode::start().await;
    let platform = Platform::start().await;
    let (url, issuer) = (format!("{}/mcp", platform.url()), platform.url());
    let challenge = format!("Bearer resource_metadata=\"{issuer}/prm\", scope=\"tools\"");
    // The registration asks what it offers: refused, found, granted, and asked again.
    platform.prepare(401, &[("www-authenticate", &challenge)], &json!({}));
    platform.prepare(200, &[], &json!({ "resource": url, "authorization_servers": [issuer] }));
    platform.prepare(200, &[], &json!({ "issuer": issuer, "token_endpoint": format!("{issuer}/token") }));
    platform.prepare(200, &[], &json!({ "access_token": "of-the-machine", "token_type": "Bearer", "expires_in": 3600 }));
    let config = json!({ "client_id": "machine", "client_secret": "s3cret", "grant_type": "client_credentials" });
    let body = json!({ "name": "Machine", "url": url, "auth_type": "oauth", "auth_config": config });
    let made = node.post("/api/v1/user-mcp-servers", body).await.expect(201);
    assert!(!made.text.contains("s3cret"), "{}", made.text);
    let seen = platform.seen();
    let token = seen.iter().find(|seen| seen.target == "/token").unwrap_or_else(|| panic!("{seen:?}"));
    assert!(token.body.contains("grant_type=client_credentials") && token.body.contains("scope=tools"), "{}", token.body);
    assert!(token.body.contains("resource=") && token.header("authorization").starts_with("Basic "), "{token:?}");
    let after = seen.iter().skip_while(|seen| seen.target != "/token").nth(1).unwrap();
    assert_eq!((after.target.as_str(), after.header("authorization")), ("/mcp", "Bearer of-the-machine"));
    for config in [
        json!({ "headers": { "X-Key": "x" } }),
        json!({ "grant_type": "password" }),
        json!({ "grant_type": "client_credentials" }),
        json!({ "unknown": true }),
    ] {
        let body = json!({ "name": "Wrong", "url": url, "auth_type": "oauth", "auth_config": config });
        node.post("/api/v1/user-mcp-servers", body).await.refuses(400, "auth_config");
    }
}
