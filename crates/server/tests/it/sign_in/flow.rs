//! From an address to a call, and to the end of what was allowed.

use serde_json::json;

use crate::support::{
    Answer, Ask, Server, TestNode, mcp, shop,
    sign_in::{Browser, Client, PASSWORD, form, parameter, request_of, user},
    until,
};

/// A server that all users of the account may use.
async fn public(node: &TestNode, name: &str) -> Server {
    node.server(json!({ "name": name, "isPublic": true })).await
}

#[tokio::test]
async fn a_client_finds_everything_from_the_address_alone() {
    let node = TestNode::start().await;
    let server = public(&node, "Tools").await;
    let ask = || Ask::new("POST", &server.url).header("accept", mcp::ACCEPT).json(&mcp::request("ping", json!({})));
    let refused = ask().send().await.expect(401);
    let metadata = format!("{}/.well-known/oauth-protected-resource/mcp/{}", node.url, server.id);
    assert_eq!(refused.header("www-authenticate"), format!("Bearer resource_metadata=\"{metadata}\", scope=\"mcp\""));
    let refused = ask().key("mcp_access_wrong").send().await.expect(401);
    assert!(refused.header("www-authenticate").contains("error=\"invalid_token\""), "{:?}", refused.headers);
    // A token URL has its token in it: signing in would not help there.
    let refused = Ask::new("POST", format!("{}/mcp_token_wrong", server.url)).header("accept", mcp::ACCEPT).send().await.expect(401);
    assert_eq!(refused.header("www-authenticate"), "Bearer");

    let protected = Ask::new("GET", metadata).send().await.expect(200);
    assert_eq!(protected.body["resource"], server.url);
    assert_eq!(protected.body["authorization_servers"], json!([node.url]));
    assert_eq!(protected.body["scopes_supported"], json!(["mcp"]));
    let whole = Ask::new("GET", format!("{}/.well-known/oauth-protected-resource/mcp", node.url)).send().await.expect(200);
    assert_eq!(whole.body["resource"], format!("{}/mcp", node.url));
    // Whether a server exists is not said.
    let path = format!("{}/.well-known/oauth-protected-resource/mcp/nothing-aaaaaaaa", node.url);
    Ask::new("GET", path).send().await.expect(200);

    for name in ["oauth-authorization-server", "openid-configuration"] {
        let found = Ask::new("GET", format!("{}/.well-known/{name}", node.url)).send().await.expect(200);
        assert_eq!(found.body["issuer"], node.url);
        assert_eq!(found.body["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(found.body["authorization_response_iss_parameter_supported"], true);
        assert_eq!(found.body["client_id_metadata_document_supported"], true);
        for endpoint in ["authorization", "token", "registration", "revocation", "introspection"] {
            let address = found.body[format!("{endpoint}_endpoint")].as_str().unwrap();
            assert!(address.starts_with(&format!("{}/oauth/", node.url)), "{address}");
        }
    }
}

#[tokio::test]
async fn the_public_address_is_the_issuer() {
    let node = TestNode::with(|config| config.public_url = Some("https://mcp.example.com/tools".parse().unwrap())).await;
    let at = async |path: &str| Ask::new("GET", format!("{}{path}", node.listening())).header("host", "mcp.example.com").send().await;
    let found = at("/.well-known/oauth-authorization-server/tools").await.expect(200);
    assert_eq!(found.body["issuer"], "https://mcp.example.com/tools");
    at("/.well-known/oauth-authorization-server/other").await.expect(404);
    let found = at("/.well-known/oauth-protected-resource/mcp/a-1").await.expect(200);
    assert_eq!(found.body["resource"], "https://mcp.example.com/tools/mcp/a-1");
}

#[tokio::test]
async fn the_signed_in_user_is_the_effective_user() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let ann = user(&node, "ann").await;
    let server = public(&node, "Tools").await;
    shop::credential(&node, &ann, "apiKey", json!({ "apiKey": "key-of-ann-1" })).await;
    let client = Client::register(&node, &server.url).await;
    let tokens = client.tokens("ann").await;
    let credentials = async |ask: Ask| {
        let found = mcp::tool(ask, "get_credentials_alloy", json!({ "connectorId": "shop" })).await.ok();
        found["credentials"].as_array().unwrap().len()
    };
    let ask = || server.ask_as(&tokens.access);
    assert_eq!(credentials(ask()).await, 1);
    // Who has signed in is who it is, whatever a header says.
    assert_eq!(credentials(ask().user("somebody else")).await, 1);
    // The header form of the endpoint opens the same server.
    let endpoint = || Ask::new("POST", format!("{}/mcp", node.url)).header("accept", mcp::ACCEPT).key(&tokens.access);
    assert_eq!(credentials(endpoint()).await, 1);
    assert_eq!(credentials(endpoint().header("x-mcp-server-id", &server.id)).await, 1);
    for operation in ["user.sign-in", "grant.create"] {
        let entry = until(operation, async || {
            let entries = node.get("/api/audit").await.expect(200).body["entries"].take();
            entries.as_array().unwrap().iter().find(|entry| entry["operation"] == operation).cloned()
        });
        let entry = entry.await;
        assert_eq!((&entry["userId"], &entry["serverId"], &entry["door"]), (&json!(ann), &json!(server.id), &json!("web")));
    }
}

#[tokio::test]
async fn restrictions_and_ownership_hold_for_who_has_signed_in() {
    let node = TestNode::start().await;
    let ann = user(&node, "ann").await;
    user(&node, "bob").await;
    // Registered under the id of a key's user, who owns the server.
    let admin = json!({ "username": "boss", "userId": "admin", "password": PASSWORD });
    node.post("/users", admin).await.expect(201);
    let own = node.server(json!({ "name": "Own" })).await;
    let client = Client::register(&node, &own.url).await;
    let tokens = client.tokens("boss").await;
    client.call(&tokens.access, "ping", json!({})).await.expect(200);
    // A server of somebody else is as absent as one that does not exist.
    let browser = Browser::default();
    let page = client.authorize(&browser, &client.fields()).await.expect(200);
    let refused = client.sign_in(&browser, &page, "ann", PASSWORD).await.expect(404);
    assert!(refused.text.contains("No such server"), "{}", refused.text);

    let restrictions = json!({ "users": { "mode": "allowlist", "allowedIds": [ann] } });
    let shared = node.server(json!({ "name": "Shared", "isPublic": true, "restrictions": restrictions })).await;
    let client = Client::register(&node, &shared.url).await;
    let tokens = client.tokens("ann").await;
    client.call(&tokens.access, "ping", json!({})).await.expect(200);
    let browser = Browser::default();
    let page = client.authorize(&browser, &client.fields()).await.expect(200);
    client.sign_in(&browser, &page, "bob", PASSWORD).await.expect(403);
    // What changes later counts at once.
    node.put(&format!("/api/servers/{}", shared.id), json!({ "isPublic": false })).await.expect(200);
    client.call(&tokens.access, "ping", json!({})).await.expect(401);
    node.put(&format!("/api/servers/{}", shared.id), json!({ "isPublic": true, "restrictions": {} })).await.expect(200);
    client.call(&tokens.access, "ping", json!({})).await.expect(200);
    node.delete(&format!("/api/servers/{}", shared.id)).await.expect(200);
    client.call(&tokens.access, "ping", json!({})).await.expect(401);
    client.refresh(&tokens.refresh).await.expect(400);
}

#[tokio::test]
async fn who_has_signed_in_once_is_only_asked_for_consent() {
    let node = TestNode::start().await;
    user(&node, "ann").await;
    user(&node, "bob").await;
    let server = public(&node, "Tools").await;
    let client = Client::register(&node, &server.url).await;
    let browser = Browser::default();
    let page = client.authorize(&browser, &client.fields()).await.expect(200);
    assert!(page.text.contains("type=\"password\"") && page.text.contains("Test client"), "{}", page.text);
    let page = client.sign_in(&browser, &page, "ann", PASSWORD).await.expect(200);
    for shown in ["Test client", "Tools", "ann", "an application on this computer", "nobody vouches"] {
        assert!(page.text.contains(shown), "{shown} is not in {}", page.text);
    }
    let denied = client.decide(&browser, &page, "deny").await.expect(303);
    assert_eq!(parameter(&denied, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&denied, "iss").as_ref(), Some(&node.url));
    let page = client.authorize(&browser, &client.fields()).await.expect(200);
    assert!(!page.text.contains("type=\"password\""), "{}", page.text);
    // Somebody else at the same browser.
    let page = client.decide(&browser, &page, "switch").await.expect(200);
    let page = client.sign_in(&browser, &page, "bob", PASSWORD).await.expect(200);
    assert!(page.text.contains("bob") && !page.text.contains("ann"), "{}", page.text);
    // Clicked twice: each click has a code of its own, and the browser shows the client the last one.
    let first = client.decide(&browser, &page, "allow").await.expect(303);
    let second = client.decide(&browser, &page, "allow").await.expect(303);
    let (first, second) = (parameter(&first, "code").unwrap(), parameter(&second, "code").unwrap());
    assert_ne!(first, second);
    let tokens = Client::read(&client.exchange(&second).await.expect(200));
    client.call(&tokens.access, "ping", json!({})).await.expect(200);
}

#[tokio::test]
async fn without_a_named_server_the_user_chooses_one() {
    let node = TestNode::start().await;
    let boss = json!({ "username": "boss", "userId": "admin", "password": PASSWORD });
    node.post("/users", boss).await.expect(201);
    let (one, two) = (node.server(json!({ "name": "One" })).await, node.server(json!({ "name": "Two" })).await);
    let client = Client::register(&node, &format!("{}/mcp", node.url)).await;
    let browser = Browser::default();
    let page = client.authorize(&browser, &client.fields()).await.expect(200);
    let page = client.sign_in(&browser, &page, "boss", PASSWORD).await.expect(200);
    assert!(page.text.contains(&format!("<option value=\"{}\">Two</option>", two.id)), "{}", page.text);
    client.decide(&browser, &page, "allow").await.expect(400);
    let request = request_of(&page);
    let choose = async |server: &str| {
        let fields = [("request", request.as_str()), ("decision", "allow"), ("server", server)];
        browser.send(form(format!("{}/oauth/consent", node.url), &fields)).await
    };
    choose("nothing-aaaaaaaa").await.expect(404);
    let code = parameter(&choose(&two.id).await.expect(303), "code").unwrap();
    let tokens = Client::read(&client.exchange(&code).await.expect(200));
    let found = client.call(&tokens.access, "initialize", mcp::initialize("2025-11-25")).await.expect(200);
    assert_eq!(found.body["result"]["serverInfo"]["name"], "Two");
    let other = one.ask_as(&tokens.access).json(&mcp::request("ping", json!({})));
    other.send().await.expect(401);
}

#[tokio::test]
async fn refreshing_revoking_and_introspection() {
    let node = TestNode::start().await;
    let ann = user(&node, "ann").await;
    let server = public(&node, "Tools").await;
    let client = Client::register(&node, &server.url).await;
    let first = client.tokens("ann").await;
    let second = Client::read(&client.refresh(&first.refresh).await.expect(200));
    for token in [&first.access, &second.access] {
        client.call(token, "ping", json!({})).await.expect(200);
    }
    let introspect = async |token: &str| {
        let ask = form(format!("{}/oauth/introspect", node.url), &[("token", token)]).key(crate::support::node::ADMIN_KEY);
        ask.send().await.expect(200).body
    };
    let known = introspect(&second.access).await;
    assert_eq!((&known["active"], &known["sub"]), (&json!(true), &json!(ann)));
    assert_eq!((&known["aud"], &known["token_type"]), (&json!(server.url), &json!("Bearer")));
    assert_eq!(introspect(&second.refresh).await["active"], true);
    assert_eq!(introspect(&first.refresh).await, json!({ "active": false }));
    form(format!("{}/oauth/introspect", node.url), &[("token", &second.access)]).send().await.expect(401);
    // Another account learns nothing.
    let other = node.account("other").await;
    let ask = form(format!("{}/oauth/introspect", node.url), &[("token", &second.access)]).key(&other);
    assert_eq!(ask.send().await.expect(200).body, json!({ "active": false }));

    let revoke =
        async |token: &str, id: &str| form(format!("{}/oauth/revoke", node.url), &[("token", token), ("client_id", id)]).send().await;
    // Another client's token is unknown to this one, and a token that is unknown is as good as revoked.
    let stranger = Client::register(&node, &server.url).await;
    assert_ne!(stranger.id, client.id);
    revoke(&second.refresh, &stranger.id).await.expect(200);
    client.call(&second.access, "ping", json!({})).await.expect(200);
    revoke("mcp_refresh_unknown", &client.id).await.expect(200);
    revoke(&second.refresh, &client.id).await.expect(200);
    for token in [&first.access, &second.access] {
        client.call(token, "ping", json!({})).await.expect(401);
    }
    let refused = client.refresh(&second.refresh).await.expect(400);
    assert_eq!(refused.body["error"], "invalid_grant");
}

#[tokio::test]
async fn what_has_expired_is_gone() {
    let node = TestNode::start().await;
    user(&node, "ann").await;
    let server = public(&node, "Tools").await;
    let client = Client::register(&node, &server.url).await;
    let code = client.code("ann").await;
    let tokens = client.tokens("ann").await;
    node.sql("update grant_tokens set expires_at = 1").await;
    assert_eq!(client.exchange(&code).await.expect(400).body["error"], "invalid_grant");
    assert_eq!(client.refresh(&tokens.refresh).await.expect(400).body["error"], "invalid_grant");
    client.call(&tokens.access, "ping", json!({})).await.expect(401);
}

/// Users see what they have allowed, and end it; nobody sees another's.
#[tokio::test]
async fn grants_are_listed_and_ended_by_their_user() {
    let node = TestNode::start().await;
    let ann = user(&node, "ann").await;
    let server = public(&node, "Tools").await;
    let client = Client::register(&node, &server.url).await;
    let tokens = client.tokens("ann").await;
    let (own, bob, other) = (node.key(&ann, "member").await, node.key("bob", "member").await, node.account("other").await);
    let list = async |key: &str| node.ask("GET", "/api/grants").key(key).send().await.expect(200).body;
    let listed = list(&own).await;
    let grant = &listed["grants"][0];
    assert_eq!((&listed["count"], &grant["clientName"], &grant["serverId"]), (&json!(1), &json!("Test client"), &json!(server.id)));
    let path = format!("/api/grants/{}", grant["id"].as_str().unwrap());
    for key in [&bob, &other] {
        assert_eq!(list(key).await, json!({ "grants": [], "count": 0 }));
        node.ask("DELETE", &path).key(key).send().await.refuses(404, "grant");
    }
    // An admin in the user's name.
    let listed = node.ask("GET", "/api/grants").user(&ann).send().await.expect(200);
    assert_eq!(listed.body["count"], 1);
    client.call(&tokens.access, "ping", json!({})).await.expect(200);
    node.ask("DELETE", &path).key(&own).send().await.expect(200);
    client.call(&tokens.access, "ping", json!({})).await.expect(401);
    client.refresh(&tokens.refresh).await.expect(400);
    assert_eq!(list(&own).await["count"], 0);
}

/// However often a client refreshes, the user is asked again in the end.
#[tokio::test]
async fn a_grant_has_an_end() {
    let node = TestNode::with(|config| config.grant_life = std::time::Duration::from_secs(3_600 + 600)).await;
    user(&node, "ann").await;
    let server = public(&node, "Tools").await;
    let client = Client::register(&node, &server.url).await;
    let tokens = client.tokens("ann").await;
    node.sql("update grants set created_at = created_at - 4000000").await;
    let last = client.refresh(&tokens.refresh).await.expect(200);
    let left = last.body["expires_in"].as_i64().unwrap();
    assert!((100..=200).contains(&left), "{left}");
    assert_eq!(
        node.number(
            "select count(*) from grant_tokens where kind = 'refresh' and used_at is null and expires_at > (select min(created_at) + 4200000 from grants)"
        )
        .await,
        0
    );
    node.sql("update grants set created_at = created_at - 300000").await;
    let refused = client.refresh(&Client::read(&last).refresh).await.expect(400);
    assert_eq!(refused.body["error"], "invalid_grant");
}

/// What nobody has given out is refused without the one connection that writes.
#[tokio::test]
async fn unknown_tokens_wait_for_nobody() {
    let node = TestNode::start().await;
    if !node.is_sqlite() {
        return crate::support::does_not_apply("unknown_tokens_wait_for_nobody", "only SQLite has one writer");
    }
    let server = public(&node, "Tools").await;
    let client = Client::register(&node, &server.url).await;
    let _writer = node.hold_writer().await;
    let soon = async |what: std::pin::Pin<Box<dyn Future<Output = Answer> + '_>>| {
        tokio::time::timeout(std::time::Duration::from_secs(3), what).await.expect("it waits for the writer")
    };
    soon(Box::pin(client.exchange("mcp_code_unknown"))).await.expect(400);
    soon(Box::pin(client.refresh("mcp_refresh_unknown"))).await.expect(400);
    let callback = format!("{}/connect/callback/default/board?code=x&state=unknown", node.url);
    soon(Box::pin(Ask::new("GET", callback).send())).await.expect(400);
}

#[tokio::test]
async fn tokens_are_kept_as_hashes_and_work_after_a_restart() {
    let mut node = TestNode::start().await;
    user(&node, "ann").await;
    let server = public(&node, "Tools").await;
    let client = Client::register(&node, &server.url).await;
    let tokens = client.tokens("ann").await;
    client.call(&tokens.access, "ping", json!({})).await.expect(200);
    node.restart().await;
    client.call(&tokens.access, "ping", json!({})).await.expect(200);
    let next = Client::read(&client.refresh(&tokens.refresh).await.expect(200));
    node.stop().await;
    if node.is_sqlite() {
        for entry in std::fs::read_dir(node.directory()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            for secret in [&tokens.access, &tokens.refresh, &next.access, &next.refresh, &PASSWORD.to_owned()] {
                assert!(!crate::support::contains(&bytes, secret.as_bytes()), "a secret stands in the clear");
            }
            assert!(!crate::support::contains(&bytes, b"$argon2id$"), "a password's hash stands in the clear");
        }
    }
}
