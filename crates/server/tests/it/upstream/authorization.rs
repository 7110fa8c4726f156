//! Upstreams that want a token of each user: here other nodes, whose authorization server is real.

use serde_json::{Value, json};

use crate::support::{
    Answer, Ask, Platform, Server, TestNode, mcp,
    sign_in::{Browser, PASSWORD, parameter, request_of, user},
    until,
};

/// Two nodes: what the first one has behind it is a server of the second one.
pub struct Scene {
    /// Ours.
    pub node: TestNode,
    /// The other one, whose authorization server signs in.
    pub far: TestNode,
    /// What is behind ours.
    pub far_server: Server,
    /// As it is registered.
    pub upstream: Value,
    /// The server in front, with direct exposure.
    pub server: Server,
}

/// Two nodes, and nobody signed in.
pub async fn scene() -> Scene {
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
    /// The address of the upstream in the API.
    pub fn path(&self) -> String {
        format!("/api/v1/user-mcp-servers/{}", self.upstream["id"].as_str().unwrap())
    }

    /// The link for this user of ours.
    pub async fn link(&self, user: &str) -> String {
        let made = self.node.post(&format!("{}/sign-in", self.path()), json!({ "endUserId": user })).await.expect(200);
        made.body["url"].as_str().unwrap().to_owned()
    }

    /// Goes on from a link's page; where the browser is sent.
    pub async fn leave(&self, near: &Browser, link: &str) -> Answer {
        near.send(Ask::new("GET", link)).await.expect(200);
        near.send(Ask::new("POST", link)).await.expect(303)
    }

    /// Follows a link and signs in at the far node under this name; the address to come back to.
    pub async fn there(&self, near: &Browser, link: &str, name: &str) -> String {
        let left = self.leave(near, link).await;
        assert_eq!(parameter(&left, "resource").as_ref(), Some(&self.far_server.url));
        assert_eq!(parameter(&left, "code_challenge_method").as_deref(), Some("S256"));
        let browser = Browser::default();
        let page = browser.send(Ask::new("GET", left.header("location"))).await.expect(200);
        let page = submit(&browser, &self.far, &page, "sign-in", &[("username", name), ("password", PASSWORD)]).await.expect(200);
        let decided = submit(&browser, &self.far, &page, "consent", &[("decision", "allow")]).await.expect(303);
        decided.header("location").to_owned()
    }

    /// Signs our user in as this one there.
    pub async fn sign_in(&self, user: &str, name: &str) {
        let near = Browser::default();
        let back = self.there(&near, &self.link(user).await, name).await;
        let shown = near.send(Ask::new("GET", back)).await.expect(200);
        assert!(shown.text.contains("You can call Far now"), "{}", shown.text);
    }

    /// A tool of the far server, called by our user.
    pub async fn call(&self, user: &str) -> Value {
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
    let (_, link) = refused.split_once("passes through here: ").unwrap();
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
    // Many at once make one renewal.
    for called in futures_util::future::join_all((0..20).map(|_| scene.call("admin"))).await {
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

/// Nobody is sent away before a page of ours has said who is to be signed in, where, and who asked.
#[tokio::test]
async fn the_page_of_a_link_names_everybody_and_the_link_is_good_once() {
    let scene = scene().await;
    let link = scene.link("bob").await;
    let page = Ask::new("GET", &link).send().await.expect(200);
    for words in ["Sign in to Far", "127.0.0.1", "<strong>bob</strong>", "the holder of the API key", &scene.far_server.url] {
        assert!(page.text.contains(words), "{words} is not in {}", page.text);
    }
    assert_eq!((page.header("location"), page.header("set-cookie")), ("", ""));
    assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"), "{}", page.header("content-security-policy"));
    // Through a server, it is named as well.
    scene.sign_in("admin", "ann").await;
    let refused = scene.call("bob").await.to_string();
    let (_, through) = refused.split_once("passes through here: ").unwrap();
    let page = Ask::new("GET", through.split_once(' ').unwrap().0).send().await.expect(200);
    assert!(page.text.contains("<dd>Near</dd>") && page.text.contains("token URL"), "{}", page.text);
    // It is no link of a connector, and one of a connector is none of these.
    let text = link.rsplit('/').next().unwrap();
    Ask::new("GET", format!("{}/connect/{text}", scene.node.url)).send().await.expect(404);
    let near = Browser::default();
    let back = scene.there(&near, &link, "bob").await;
    near.send(Ask::new("GET", back)).await.expect(200);
    for method in ["GET", "POST"] {
        Ask::new(method, &link).send().await.expect(404);
    }
    // Nobody makes links for the upstream of another, not even of the same account.
    let member = scene.node.key("eve", "member").await;
    let path = format!("{}/sign-in", scene.path());
    scene.node.ask("POST", &path).key(&member).json(&json!({})).send().await.expect(404);
    for (body, words) in [
        (json!({ "redirectUri": "https://not.listed.example/" }), "redirectUri"),
        (json!({ "endUserId": "" }), "endUserId"),
        (json!({ "user": "bob" }), "user"),
    ] {
        scene.node.post(&path, body).await.refuses(400, words);
    }
}

/// A sign-in belongs to one browser, in its time, and to the server that it was begun at (RFC 9207).
#[tokio::test]
async fn answers_of_others_connect_nothing() {
    let scene = scene().await;
    let near = Browser::default();
    let callback = |fields: &[(&str, &str)]| {
        let mut url = url::Url::parse(&format!("{}/oauth/callback", scene.node.url)).unwrap();
        url.query_pairs_mut().extend_pairs(fields);
        Ask::new("GET", String::from(url))
    };
    let far = scene.far.url.as_str();
    let slash = format!("{far}/");
    // Each is judged before the code is shown to anybody, and uses the state up. `iss` was promised, so that it may not be missing.
    for (iss, status, words) in [
        (Some("https://evil.example"), 502, "is another"),
        (Some(slash.as_str()), 502, "is another"),
        (None, 502, "is another"),
        (Some(far), 502, "no token"),
    ] {
        let left = scene.leave(&near, &scene.link("admin").await).await;
        let state = parameter(&left, "state").unwrap();
        let mut fields = vec![("code", "another"), ("state", state.as_str())];
        fields.extend(iss.map(|iss| ("iss", iss)));
        let answer = near.send(callback(&fields)).await;
        assert!((answer.status == status || answer.status == 400) && answer.text.contains(words), "{iss:?}: {}", answer.text);
        near.send(callback(&fields)).await.expect(400);
    }
    let left = scene.leave(&near, &scene.link("admin").await).await;
    let declined = [("error", "access_denied"), ("state", &*parameter(&left, "state").unwrap()), ("iss", far)];
    let answer = near.send(callback(&declined)).await;
    assert!(answer.text.contains("access_denied") && answer.text.contains("Nothing was connected"), "{}", answer.text);
    let back = scene.there(&near, &scene.link("admin").await, "ann").await;
    Browser::default().send(Ask::new("GET", &back)).await.expect(400);
    near.copy().send(callback(&[("code", "x"), ("state", "forged"), ("iss", far)])).await.expect(400);
    near.copy().send(callback(&[("code", "x"), ("iss", far)])).await.expect(400);
    near.copy().send(Ask::new("GET", format!("{back}&code=another"))).await.expect(400);
    assert_eq!(scene.node.number("select count(*) from upstream_grants").await, 0);
    near.send(Ask::new("GET", &back)).await.expect(200);
    near.send(Ask::new("GET", &back)).await.expect(400);
    assert_eq!(scene.node.number("select count(*) from upstream_grants").await, 1);
    for link in ["AAAA", "..", "%00"] {
        let answer = Ask::new("GET", format!("{}/oauth/upstreams/{link}", scene.node.url)).send().await;
        assert!(matches!(answer.status, 400 | 404), "{link}: {}", answer.text);
    }
}

impl Scene {
    /// Waits until the far node knows so many grants.
    async fn until_granted(&self, count: i64) {
        until("the far node has ended the grants", || async {
            (self.far.number("select count(*) from grants").await == count).then_some(())
        })
        .await;
    }

    /// What end users have connected.
    async fn connections(&self) -> Vec<Value> {
        let listed = self.node.get("/api/v1/mcp-connections").await.expect(200);
        listed.body["connections"].as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn what_is_deleted_takes_its_grants_along() {
    let scene = scene().await;
    for (user, name) in [("admin", "ann"), ("bob", "bob"), ("cleo", "ann"), ("dora", "bob")] {
        scene.sign_in(user, name).await;
    }
    for user in ["bob", "cleo", "dora"] {
        let called = scene.call(user).await;
        assert_eq!(called["result"]["isError"], Value::Null, "{called}");
    }
    assert_eq!(scene.node.get(&scene.path()).await.expect(200).body["has_credential"], true);
    // A connection.
    let connections = scene.connections().await;
    assert_eq!(connections.len(), 4);
    let of_bob = connections.iter().find(|connection| connection["end_user_id"] == "bob").unwrap();
    assert_eq!((&of_bob["auth_type"], &of_bob["has_credential"]), (&json!("oauth"), &json!(true)));
    scene.node.delete(&format!("/api/v1/mcp-connections/{}", of_bob["id"].as_str().unwrap())).await.expect(200);
    scene.until_granted(3).await;
    assert!(scene.call("bob").await.to_string().contains("wants the user to sign in"));
    // A user.
    scene.node.delete("/users/cleo").await.expect(200);
    scene.until_granted(2).await;
    assert!(scene.call("cleo").await.to_string().contains("wants the user to sign in"));
    let called = scene.call("dora").await;
    assert_eq!(called["result"]["isError"], Value::Null, "{called}");
    // Another address: what was granted for the old one is not sent there.
    let elsewhere = format!("{}?x=1", scene.far_server.url);
    scene.node.ask("PATCH", &scene.path()).json(&json!({ "url": elsewhere })).send().await.expect(200);
    scene.until_granted(0).await;
    assert_eq!(scene.node.number("select count(*) from upstream_grants").await, 0);
    scene.node.ask("PATCH", &scene.path()).json(&json!({ "url": scene.far_server.url })).send().await.expect(200);
    // The upstream itself.
    scene.sign_in("dora", "bob").await;
    scene.node.delete(&scene.path()).await.expect(200);
    scene.until_granted(0).await;
    assert_eq!(scene.node.number("select count(*) from upstream_grants").await, 0);
}

/// A secret that was entered for one authorization server is not sent to the one that metadata names later.
#[tokio::test]
async fn a_secret_stays_with_its_issuer() {
    let node = TestNode::start().await;
    let (platform, evil) = (Platform::start().await, Platform::start().await);
    let (url, issuer) = (format!("{}/mcp", platform.url()), platform.url());
    let challenge = format!("Bearer resource_metadata=\"{issuer}/prm\"");
    let unknown = || platform.prepare(401, &[("www-authenticate", &challenge)], &json!({}));
    let resource = |server: &str| platform.prepare(200, &[], &json!({ "resource": url, "authorization_servers": [server] }));
    let describes = |of: &Platform| {
        let server = of.url();
        let metadata = json!({ "issuer": server, "token_endpoint": format!("{server}/token"), "authorization_endpoint": format!("{server}/authorize"),
            "code_challenge_methods_supported": ["S256"] });
        of.prepare(200, &[], &metadata);
    };
    // Bound when it is entered: nobody has named the issuer.
    unknown();
    resource(&issuer);
    describes(&platform);
    unknown();
    let config = json!({ "client_id": "known", "client_secret": "s3cret" });
    let body = json!({ "name": "Moved", "url": url, "auth_type": "oauth", "auth_config": config });
    let made = node.post("/api/v1/user-mcp-servers", body.clone()).await.expect(201);
    assert_eq!((&made.body["auth_config"]["issuer"], &made.body["auth_config"]["client_secret"]), (&json!(issuer), &json!("(hidden)")));
    // Now the metadata names another one.
    let path = format!("/api/v1/user-mcp-servers/{}/sign-in", made.body["id"].as_str().unwrap());
    let link = node.post(&path, json!({})).await.expect(200).body["url"].as_str().unwrap().to_owned();
    unknown();
    resource(&evil.url());
    describes(&evil);
    let shown = Ask::new("POST", &link).send().await;
    assert!(shown.status == 502 && shown.text.contains("another authorization server"), "{}", shown.text);
    // Without a user just the same.
    let mut machine = body;
    machine["auth_config"] =
        json!({ "client_id": "known", "client_secret": "s3cret", "grant_type": "client_credentials", "issuer": issuer });
    unknown();
    resource(&evil.url());
    describes(&evil);
    let made = node.post("/api/v1/user-mcp-servers", machine.clone()).await.expect(201);
    assert!(made.body["problem"]["message"].as_str().unwrap().contains("another authorization server"), "{}", made.text);
    assert!(evil.seen().iter().all(|seen| seen.method == "GET" && !format!("{seen:?}").contains("s3cret")), "{:?}", evil.seen());
    // Where it cannot be found out, it has to be said.
    machine["auth_config"].as_object_mut().unwrap().remove("issuer");
    unknown();
    platform.prepare(200, &[], &json!({ "resource": url, "authorization_servers": [] }));
    node.post("/api/v1/user-mcp-servers", machine).await.refuses(400, "auth_config` needs `issuer`");
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
        let shown = Ask::new("POST", &link).send().await;
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
    let config = json!({ "client_id": "machine", "client_secret": "s3cret", "grant_type": "client_credentials", "issuer": issuer });
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
        json!({ "client_id": "x", "client_secret": "x", "private_key": "x" }),
        json!({ "client_id": "x", "private_key": "x" }),
        json!({ "client_id": "x", "token_endpoint_auth_method": "client_secret_post" }),
        json!({ "client_secret": "x" }),
        json!({ "client_id": "x", "client_secret": "(hidden)" }),
        json!({ "unknown": true }),
    ] {
        let body = json!({ "name": "Wrong", "url": url, "auth_type": "oauth", "auth_config": config });
        node.post("/api/v1/user-mcp-servers", body).await.refuses(400, "auth_config");
    }
}

/// HTML in the place of tokens, and a token endpoint that never answers: an error in time, and nothing is kept.
#[tokio::test]
async fn a_token_endpoint_that_misbehaves_is_named() {
    let node = TestNode::start().await;
    for (place, status, words) in [("html", 502, "not JSON"), ("never", 504, "did not"), ("500", 502, "500")] {
        let platform = Platform::start().await;
        let (url, issuer) = (format!("{}/mcp", platform.url()), platform.url());
        let challenge = format!("Bearer resource_metadata=\"{issuer}/prm\"");
        let prepare = || {
            platform.prepare(401, &[("www-authenticate", &challenge)], &json!({}));
            platform.prepare(200, &[], &json!({ "resource": url, "authorization_servers": [issuer] }));
            platform.prepare(200, &[], &json!({ "issuer": issuer, "token_endpoint": format!("{issuer}/do/{place}") }));
        };
        prepare();
        let config = json!({ "client_id": "machine", "client_secret": "s3cret", "grant_type": "client_credentials", "issuer": issuer });
        let body = json!({ "name": place, "url": url, "auth_type": "oauth", "auth_config": config, "timeout_seconds": 1 });
        let made = node.post("/api/v1/user-mcp-servers", body).await.expect(201);
        prepare();
        let call = json!({ "mcp_server_id": made.body["id"], "tool_slug": "x" });
        let refused = node.post("/api/v1/mcp-tools/execute", call).await;
        assert!(refused.status == status && refused.text.contains(words) && !refused.text.contains("s3cret"), "{place}: {}", refused.text);
    }
    assert_eq!(node.number("select count(*) from upstream_grants").await, 0);
}

/// What was consented to for one address is for no other.
#[tokio::test]
async fn a_sign_in_does_not_follow_the_server_to_another_address() {
    let scene = scene().await;
    let near = Browser::default();
    let back = scene.there(&near, &scene.link("bob").await, "bob").await;
    let elsewhere = json!({ "url": format!("{}/elsewhere", scene.far_server.url) });
    scene.node.ask("PATCH", &scene.path()).json(&elsewhere).send().await.expect(200);
    let shown = near.send(Ask::new("GET", back)).await;
    assert!(shown.status >= 400 && shown.text.contains("another address"), "{}", shown.text);
    assert_eq!(scene.node.number("select count(*) from upstream_grants").await, 0);
}

/// Who is gone signs in nowhere: the answer that comes for them is not exchanged.
#[tokio::test]
async fn a_sign_in_ends_with_its_user() {
    let scene = scene().await;
    let near = Browser::default();
    let back = scene.there(&near, &scene.link("bob").await, "bob").await;
    scene.node.ask("DELETE", "/users/bob").send().await.expect(200);
    let shown = near.send(Ask::new("GET", back)).await;
    assert!(shown.status >= 400, "{}", shown.text);
    assert_eq!(scene.node.number("select count(*) from upstream_grants").await, 0);
    assert_eq!(scene.far.number("select count(*) from grant_tokens where kind in ('access', 'refresh')").await, 0);
}
