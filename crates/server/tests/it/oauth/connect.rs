//! From a wish for a credential to a call with it, and every way in which a consent must not end well.

use amalgam_vault::url_safe;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::{
    Ask, Browser, Mood, Provider, TestNode, contains,
    mcp::{call as action, tool},
    provider::{call, connected, link},
    until,
};

#[tokio::test]
async fn consent_makes_a_credential_that_calls_use() {
    let node = TestNode::start().await;
    let provider = Provider::start().await;
    provider.import(&node, "board").await;
    let server = node.server(json!({ "name": "S" })).await;
    for user in ["ann", "bob"] {
        let wish = json!({ "connectorId": "board", "authenticationType": "oauth2" });
        let made = tool(server.ask().user(user), "create_credential_alloy", wish).await.ok();
        let mut browser = Browser::default();
        let page = browser.get(made["oauthUrl"].as_str().unwrap()).await.expect(200);
        assert!(page.text.contains(user) && page.text.contains("Read notes") && page.text.contains("Continue to Board"), "{}", page.text);
        let hosts = "sign in at <strong>127.0.0.1</strong>. What you permit there is used at <strong>127.0.0.1</strong>";
        assert!(page.text.contains(hosts) && page.text.contains("somebody with the server&#39;s token URL"), "{}", page.text);
        let policy = page.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        let done = browser.connect(made["oauthUrl"].as_str().unwrap(), user).await.expect(200);
        assert!(done.text.contains("Board is connected"), "{}", done.text);
    }
    for user in ["ann", "bob"] {
        let told = tool(server.ask().user(user), "execute_action_alloy", action("board", "whoAmI", json!({}))).await.ok();
        assert_eq!(told["who"], user, "each by their own token");
        let listed = node.ask("GET", "/connectors/board/credentials").user(user).send().await.expect(200);
        let credential = &listed.body["credentials"][0];
        assert_eq!((&credential["type"], &credential["state"]), (&json!("board-oauth2"), &json!("active")), "{}", listed.text);
        assert!(credential["expiresAt"].is_string());
        assert!(!listed.text.contains("of-the-board"), "{}", listed.text);
    }
    let audit = node.get("/api/audit").await.expect(200);
    let made = |operation: &str| audit.body["entries"].as_array().unwrap().iter().filter(|entry| entry["operation"] == operation).count();
    assert_eq!((made("credential.link"), made("credential.create")), (2, 2), "{}", audit.text);
    assert!(!audit.text.contains("of-the-board"));
    if node.is_sqlite() {
        let mut node = node;
        node.stop().await;
        for file in std::fs::read_dir(node.directory()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(
                !contains(&bytes, b"of-the-board") && !contains(&bytes, b"client-secret-0123456789"),
                "no secret in the clear in any file of the node"
            );
        }
    }
}

/// State: forged, foreign, another browser's, another connector's, used, too old.
#[tokio::test]
async fn a_state_is_good_once_for_its_browser_and_connector() {
    let node = TestNode::start().await;
    let provider = Provider::start().await;
    provider.import(&node, "board").await;
    provider.import(&node, "other").await;
    let mut browser = Browser::default();
    let back = browser.consent(&link(&node, "board", "ann").await, "ann").await;
    let refused = "This consent cannot be finished";
    for (who, url) in [
        ("without a cookie", back.clone()),
        ("another connector's", back.replace("/default/board", "/default/other")),
        ("forged", back.replace("state=", "state=x")),
        ("without a state", back.split("&state").next().unwrap().to_owned()),
    ] {
        let mut visitor = if who == "without a cookie" { Browser::default() } else { browser.clone() };
        // A refusal for the wrong connector uses the state up, so that each is tried with a consent of its own.
        let url = if who == "another connector's" {
            visitor.consent(&link(&node, "board", "ann").await, "ann").await.replace("/default/board", "/default/other")
        } else {
            url
        };
        let page = visitor.get(&url).await;
        assert!(page.status == 400 && page.text.contains(refused), "{who}: {} {}", page.status, page.text);
    }
    let mut mallory = Browser::default();
    mallory.consent(&link(&node, "board", "mallory").await, "mallory").await;
    assert_eq!(mallory.get(&back).await.status, 400, "a browser that began another consent");
    let twice = format!("{back}&state=again");
    assert_eq!(browser.get(&twice).await.status, 400);
    browser.get(&back).await.expect(200);
    assert!(browser.get(&back).await.expect(400).text.contains(refused), "used");
    let late = browser.consent(&link(&node, "board", "bob").await, "bob").await;
    node.sql("update connect_links set expires_at = 1").await;
    assert!(browser.get(&late).await.expect(400).text.contains(refused), "too old");
    for (user, n) in [("ann", 1), ("bob", 0), ("mallory", 0)] {
        let listed = node.ask("GET", "/connectors/board/credentials").user(user).send().await.expect(200);
        assert_eq!(listed.body["credentials"].as_array().unwrap().len(), n, "{user}");
    }
    assert_eq!(provider.granted("authorization_code"), 1);
}

/// Consent clicked twice: the second click's state is the one that counts, and only one credential comes of it.
#[tokio::test]
async fn a_link_makes_one_credential_however_often_it_is_clicked() {
    let node = TestNode::start().await;
    let provider = Provider::start().await;
    provider.import(&node, "board").await;
    let mut browser = Browser::default();
    let link = link(&node, "board", "ann").await;
    let first = browser.consent(&link, "ann").await;
    let second = browser.consent(&link, "ann").await;
    assert_eq!(browser.get(&first).await.status, 400);
    browser.get(&second).await.expect(200);
    assert!(browser.get(&link).await.expect(404).text.contains("ask for a new one"));
    assert_eq!(browser.submit(&link, &[("authenticationType", "oauth2")]).await.status, 404);
    let listed = node.ask("GET", "/connectors/board/credentials").user("ann").send().await.expect(200);
    assert_eq!(listed.body["credentials"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_browser_goes_to_listed_addresses_alone() {
    let node = TestNode::start().await;
    let provider = Provider::start().await;
    provider.import(&node, "board").await;
    let wish = |uri: &str| json!({ "authenticationType": "oauth2", "redirectUri": uri });
    let app = format!("{}/connected?from=us", provider.url());
    let ask = async |uri: &str| node.post("/connectors/board/credentials", wish(uri)).await;
    ask(&app).await.refuses(400, "redirectUri");
    for bad in ["http://evil.example/", "javascript:alert(1)", "file:///etc/passwd", "https://user@app.example/", "//evil.example", "x"] {
        node.put("/api/redirect-uris", json!({ "redirectUris": [bad] })).await.refuses(400, "must be https");
    }
    node.put("/api/redirect-uris", json!({ "redirectUris": [app, "https://app.example/done"] })).await.expect(200);
    for near in [format!("{app}2"), app.to_uppercase(), "https://app.example/done/".into(), "https://app.example/done?x".into()] {
        ask(&near).await.refuses(400, "not on your account's list");
    }
    let twin = node.ask("POST", "/connectors/board/credentials").header("x-redirect-uri", "https://evil.example");
    twin.json(&json!({ "authenticationType": "oauth2" })).send().await.refuses(400, "redirectUri");
    let other = node.account("other").await;
    let foreign = Ask::new("GET", format!("{}/api/redirect-uris", node.url)).key(&other).send().await.expect(200);
    assert_eq!(foreign.body, json!({ "redirectUris": [] }));
    for (deny, status) in [("", "connected"), ("&deny=1", "failed")] {
        let made = ask(&app).await.expect(200);
        let mut browser = Browser::default();
        let onward = browser.submit(made.body["oauthUrl"].as_str().unwrap(), &[("authenticationType", "oauth2")]).await.expect(303);
        let there = Ask::new("GET", format!("{}{deny}", onward.header("location"))).send().await.expect(302);
        let back = browser.get(there.header("location")).await.expect(303);
        let to = back.header("location");
        assert!(to.starts_with(&format!("{app}&connectorId=board&status={status}")), "{to}");
        assert!(!to.contains("code") || deny.is_empty(), "{to}");
    }
    node.put("/api/redirect-uris", json!({ "redirectUris": [] })).await.expect(200);
}

/// A token endpoint that answers with a page, hangs up, grants another type or nothing: nothing is connected, and the page says what to do.
#[tokio::test]
async fn a_token_endpoint_that_fails_connects_nothing() {
    let node = TestNode::start().await;
    let provider = Provider::start().await;
    let config = provider.import(&node, "board").await;
    let mut browser = Browser::default();
    for (mood, status, words) in [
        (Mood::Html, 502, "not JSON"),
        (Mood::Down, 502, "503"),
        (Mood::OtherType, 502, "another type"),
        (Mood::Hangs, 502, "did not finish its answer"),
        (Mood::Endless, 502, "larger than the limit"),
        (Mood::Refuses("invalid_grant"), 400, "did not accept the code"),
        (Mood::Echoes, 400, "did not accept the code"),
        (Mood::Refuses("invalid_client"), 400, "PUT /api/auth-configs/"),
    ] {
        provider.be(mood);
        let back = browser.consent(&link(&node, "board", "ann").await, "ann").await;
        let page = browser.get(&back).await;
        assert!(page.status == status && page.text.contains(words), "{mood:?}: {} {}", page.status, page.text);
        assert!(!page.text.contains("of-the-board") && !page.text.contains("client-secret"), "{mood:?}: {}", page.text);
    }
    let listed = node.ask("GET", "/connectors/board/credentials").user("ann").send().await.expect(200);
    assert_eq!(listed.body, json!({ "credentials": [] }));
    provider.be(Mood::Well);
    node.put(&format!("/api/auth-configs/{config}"), json!({ "clientSecret": "another-secret" })).await.expect(200);
    let back = browser.consent(&link(&node, "board", "ann").await, "ann").await;
    assert!(browser.get(&back).await.expect(400).text.contains("does not accept the OAuth client"));
}

/// What the address of the callback says is never shown: anybody can write it.
#[tokio::test]
async fn pages_show_nothing_that_an_address_says() {
    let node = TestNode::start().await;
    let provider = Provider::start().await;
    provider.import(&node, "board").await;
    let mut browser = Browser::default();
    let back = browser.consent(&link(&node, "board", "<script>ann</script>").await, "x").await;
    let state = back.split("state=").nth(1).unwrap();
    let hostile = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    let url = format!("{}/connect/callback/default/board?error={hostile}&error_description={hostile}&state={state}", node.url);
    let page = browser.get(&url).await.expect(400);
    assert!(page.text.contains("Nothing was connected") && !page.text.contains("alert(1)"), "{}", page.text);
    let page = browser.get(&link(&node, "board", "<script>ann</script>").await).await.expect(200);
    assert!(!page.text.contains("<script>") && page.text.contains("ann"), "{}", page.text);
}

/// Mixed-up issuers (RFC 9207): the answer must come from the platform that was asked.
#[tokio::test]
async fn an_answer_of_another_issuer_is_refused() {
    let node = TestNode::start().await;
    let provider = Provider::start().await;
    provider.import_with(&node, "board", json!({ "issuer": "https://board.example" })).await;
    for (iss, connected) in [
        (None, false),
        (Some("https://evil.example"), false),
        (Some("https://board.example/"), false),
        (Some("https://board.example"), true),
    ] {
        provider.manner(|manner| manner.iss = iss.map(str::to_owned));
        let page = Browser::default().connect(&link(&node, "board", "ann").await, "ann").await;
        assert_eq!(page.status == 200, connected, "{iss:?} {}", page.text);
    }
    assert_eq!(provider.granted("authorization_code"), 1, "no code is sent before the issuer is known");
}

/// Quirks of platforms are data: tokens in other places, times as text, other names for scopes.
#[tokio::test]
async fn quirks_are_data() {
    let node = TestNode::start().await;
    let provider = Provider::start().await;
    provider.manner(|manner| {
        manner.nested = true;
        manner.expires_in = Some(json!("120"));
    });
    let quirks = json!({
        "scope_parameter": "user_scope", "scope_separator": ",", "authorize_params": { "access_type": "offline" }, "client_auth": "basic",
        "token_answer": { "token": "/authed_user/access_token", "refresh_token": "/authed_user/refresh_token",
            "expires_in": "/authed_user/expires_in" },
    });
    provider.import_with(&node, "board", quirks).await;
    let mut browser = Browser::default();
    let link = link(&node, "board", "ann").await;
    let onward = browser.submit(&link, &[("authenticationType", "oauth2")]).await.expect(303);
    let there = onward.header("location").to_owned();
    assert!(there.contains("user_scope=read%2Cwrite") && there.contains("access_type=offline") && !there.contains("&scope="), "{there}");
    browser.connect(&link, "ann").await.expect(200);
    assert_eq!(call(&node, "board", "ann").await.expect(200).body["responseData"]["who"], "ann");
    let scopes = json!({ "authenticationType": "oauth2", "scopes": ["read"] });
    let made = node.post("/connectors/board/credentials", scopes).await.expect(200);
    let onward = browser.submit(made.body["oauthUrl"].as_str().unwrap(), &[("authenticationType", "oauth2")]).await.expect(303);
    assert!(onward.header("location").contains("user_scope=read&") || onward.header("location").ends_with("user_scope=read"));
}

/// Auth configs belong to the account: nobody else sees or uses one, members cannot change them, and no answer has the secret.
#[tokio::test]
async fn auth_configs_are_the_accounts_own() {
    let node = TestNode::start().await;
    let provider = Provider::start().await;
    let config = provider.import(&node, "board").await;
    let (member, other) = (node.key("ann", "member").await, node.account("other").await);
    for (key, status) in [(&member, 403), (&other, 404)] {
        for method in ["GET", "DELETE"] {
            let ask = Ask::new(method, format!("{}/api/auth-configs/{config}", node.url)).key(key).send().await;
            assert_eq!(ask.status, status, "{method} {}", ask.text);
        }
    }
    let slack = json!({ "connectorId": "slack", "clientId": "c", "clientSecret": "hush-hush-secret" });
    let made = node.post("/api/auth-configs", slack).await.expect(201);
    assert_eq!(made.body["clientAuth"], "post");
    assert_eq!(made.body["redirectUri"], format!("{}/connect/callback/default/slack", node.url));
    assert!(!node.get("/api/auth-configs").await.expect(200).text.contains("hush-hush"));
    let foreign = json!({ "authenticationType": "oauth2", "authConfigId": made.body["id"] });
    node.post("/connectors/board/credentials", foreign.clone()).await.refuses(400, "no auth config with this id");
    let theirs = Ask::new("POST", format!("{}/connectors/slack/credentials", node.url)).key(&other).json(&foreign).send().await;
    theirs.refuses(400, "no auth config with this id");
    let none = Ask::new("POST", format!("{}/connectors/slack/credentials", node.url)).key(&other);
    none.json(&json!({ "authenticationType": "oauth2" })).send().await.refuses(400, "POST /api/auth-configs");
    for (body, words) in [
        (json!({ "connectorId": "matrix", "clientId": "c" }), "no signing in by OAuth"),
        (json!({ "connectorId": "slack", "clientId": "" , "clientSecret": "x" }), "clientId"),
        (json!({ "connectorId": "slack", "clientId": "c", "clientAuth": "basic" }), "clientSecret"),
        (json!({ "connectorId": "slack", "clientId": "c", "privateKey": "hush" }), "PEM"),
        (json!({ "connectorId": "slack", "clientId": "c", "clientSecret": "a", "privateKey": "b" }), "not both"),
        (json!({ "connectorId": "slack", "clientId": "c", "clientSecret": "a", "scopes": ["a b"] }), "scopes"),
    ] {
        let refused = node.post("/api/auth-configs", body).await;
        refused.refuses(400, words);
        assert!(!refused.text.contains("hush"));
    }
}

/// The line about clients: basic, post, none, `private_key_jwt`.
#[tokio::test]
async fn clients_prove_themselves_as_the_platform_wants_it() {
    let node = TestNode::start().await;
    let platform = crate::support::Platform::start().await;
    let provider = Provider::start().await;
    // Consent at the provider, tokens from a platform that shows what reached it.
    provider.import_with(&node, "board", json!({ "token_url": format!("{}/token", platform.url()) })).await;
    let (key, public) = key_pair();
    for (client, expected) in [
        (json!({ "clientSecret": "s3cr&t" }), vec![("client_secret", Some("s3cr&t"))]),
        (json!({ "clientSecret": "s3cr&t", "clientAuth": "basic" }), vec![("client_secret", None), ("client_id", None)]),
        (json!({ "clientAuth": "none" }), vec![("client_secret", None), ("client_id", Some("client-1"))]),
        (
            json!({ "privateKey": key, "keyId": "k1" }),
            vec![("client_secret", None), ("client_assertion_type", Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"))],
        ),
    ] {
        let mut body = json!({ "connectorId": "board", "clientId": "client-1" });
        body.as_object_mut().unwrap().extend(client.as_object().unwrap().clone());
        let config = node.post("/api/auth-configs", body).await.expect(201).body["id"].as_str().unwrap().to_owned();
        platform.prepare(200, &[], &json!({ "access_token": "access-of-the-board", "token_type": "bearer" }));
        let wish = json!({ "userId": "ann", "authenticationType": "oauth2", "authConfigId": config });
        let link = node.post("/connectors/board/credentials", wish).await.expect(200);
        Browser::default().connect(link.body["oauthUrl"].as_str().unwrap(), "ann").await.expect(200);
        let seen = platform.last();
        let form: Vec<(String, String)> = url::form_urlencoded::parse(seen.body.as_bytes()).into_owned().collect();
        let of = |name: &str| form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert!(of("code_verifier").is_some_and(|verifier| verifier.len() == 43), "PKCE always");
        for (name, value) in expected {
            assert_eq!(of(name), value, "{client} {name}");
        }
        // client-1:s3cr%26t
        let basic = if client["clientAuth"] == "basic" { "Basic Y2xpZW50LTE6czNjciUyNnQ=" } else { "" };
        assert_eq!(seen.header("authorization"), basic);
        if let Some(assertion) = of("client_assertion") {
            let validation = {
                let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
                validation.set_audience(&[format!("{}/token", platform.url())]);
                validation.set_issuer(&["client-1"]);
                validation
            };
            let public = jsonwebtoken::DecodingKey::from_ec_components(&public.0, &public.1).unwrap();
            let read = jsonwebtoken::decode::<Value>(assertion, &public, &validation).unwrap();
            assert_eq!((read.header.kid.as_deref(), &read.claims["sub"]), (Some("k1"), &json!("client-1")));
        }
    }
}

/// A private key in PEM and the coordinates of its public half.
fn key_pair() -> (String, (String, String)) {
    let random = aws_lc_rs::rand::SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
    let point = pair.public_key().as_ref();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(pkcs8.as_ref()));
    (pem, (url_safe(&point[1..33]), url_safe(&point[33..])))
}

/// Deleting ends it at the platform too.
#[tokio::test]
async fn deleting_revokes() {
    let node = TestNode::start().await;
    let provider = Provider::start().await;
    let revoke = json!({ "revoke_url": format!("{}/revoke", provider.url()) });
    provider.import_with(&node, "board", revoke).await;
    let id = connected(&node, "board", "ann").await;
    let deleted = node.ask("DELETE", &format!("/connectors/board/credentials/{id}")).user("ann").send().await.expect(200);
    assert_eq!(deleted.body["revoked"], true);
    assert_eq!(provider.revoked(), 2, "refresh token and access token");
    connected(&node, "board", "bob").await;
    node.delete("/users/bob").await.expect(200);
    until("what a deleted user had is revoked", async || (provider.revoked() == 4).then_some(())).await;
    let other = node.account("other").await;
    provider.import_as(&node, &other, "board", json!({ "revoke_url": format!("{}/revoke", provider.url()) })).await;
    for user in ["ann", "bob"] {
        let wish = json!({ "userId": user, "authenticationType": "oauth2" });
        let made = node.ask("POST", "/connectors/board/credentials").key(&other).json(&wish).send().await.expect(200);
        Browser::default().connect(made.body["oauthUrl"].as_str().unwrap(), user).await.expect(200);
    }
    node.delete("/api/accounts/other").await.expect(200);
    until("what a deleted account had is revoked", async || (provider.revoked() == 8).then_some(())).await;
    call(&node, "board", "ann").await.refuses(400, "Credential not found");
}

/// Whoever chose the host of the token endpoint would be sent the account's client secret.
#[tokio::test]
async fn users_do_not_choose_where_the_client_is_known() {
    let node = TestNode::start().await;
    let client = |connector: &str| json!({ "connectorId": connector, "clientId": "c", "clientSecret": "client-secret-0123456789" });
    for (connector, host, value) in [("gitlab", "instanceUrl", "https://gitlab.evil"), ("salesforce", "instance", "evil.my.salesforce.com")]
    {
        let config = node.post("/api/auth-configs", client(connector)).await.expect(201).body["id"].as_str().unwrap().to_owned();
        let credentials = format!("/connectors/{connector}/credentials");
        let wish = |data: Value| node.post(&credentials, json!({ "authenticationType": "oauth2", "data": data }));
        if connector == "gitlab" {
            wish(json!({ host: value })).await.refuses(400, "not yours to choose");
            let made = wish(json!({})).await.expect(200);
            let link = made.body["oauthUrl"].as_str().unwrap().to_owned();
            let page = Ask::new("GET", &link).anonymous().send().await.expect(200);
            assert!(!page.text.contains(host), "it is not asked for: {}", page.text);
            let form = format!("authenticationType=oauth2&{host}=https%3A%2F%2Fgitlab.evil");
            let answer = Ask::new("POST", &link).anonymous().body("application/x-www-form-urlencoded", form).send().await;
            assert!(answer.text.contains("not yours to choose"), "{}", answer.text);
        } else {
            wish(json!({ host: value })).await.refuses(409, "Nobody has said yet");
        }
        let own = if connector == "gitlab" { "https://gitlab.example.com" } else { "acme.my.salesforce.com" };
        let path = format!("/api/auth-configs/{config}");
        node.put(&path, json!({ "variables": { "elsewhere": own } })).await.refuses(400, host);
        // Nor does an admin who does not know the secret.
        node.put(&path, json!({ "variables": { host: own } })).await.refuses(400, "clientSecret");
        node.put(&path, json!({ "variables": { host: own }, "clientSecret": "client-secret-0123456789" })).await.expect(200);
        node.put(&path, json!({ "name": "Ours" })).await.expect(200);
        wish(json!({ host: value })).await.refuses(400, "not yours to choose");
        wish(json!({ host: own })).await.expect(200);
        wish(json!({})).await.expect(200);
    }
}

/// Whoever may change a connector does not get the secret of its client: it goes where it was entered for, or is entered again.
#[tokio::test]
async fn a_changed_token_endpoint_gets_no_secret() {
    let node = TestNode::start().await;
    let (provider, thief) = (Provider::start().await, Provider::start().await);
    let config = provider.import(&node, "board").await;
    let changed = thief.document(json!({}));
    node.put("/api/connectors/board", json!({ "baseUrl": format!("{}/api", provider.url()), "spec": changed })).await.expect(200);
    let page = Browser::default().connect(&link(&node, "board", "ann").await, "ann").await.expect(400);
    assert!(page.text.contains("enter the secret again"), "{}", page.text);
    assert_eq!(thief.granted("authorization_code"), 0);
    let path = format!("/api/auth-configs/{config}");
    node.put(&path, json!({ "name": "Other" })).await.refuses(400, "clientSecret");
    node.put(&path, json!({ "clientSecret": "client-secret-0123456789" })).await.expect(200);
    Browser::default().connect(&link(&node, "board", "ann").await, "ann").await.expect(200);
    assert_eq!(thief.granted("authorization_code"), 1);
}

/// Codes and secrets are sent where nobody on the way reads them.
#[tokio::test]
async fn nothing_is_sent_to_a_token_endpoint_in_the_clear() {
    let node = TestNode::start().await;
    let provider = Provider::start().await;
    provider.import_with(&node, "board", json!({ "token_url": "http://board.example/token" })).await;
    let page = Browser::default().connect(&link(&node, "board", "ann").await, "ann").await.expect(400);
    assert!(page.text.contains("not an https address"), "{}", page.text);
}

/// Mix-up (RFC 9700, 4.4): two accounts may call two platforms the same, and a code of one never reaches the other.
#[tokio::test]
async fn a_code_comes_back_to_the_account_that_asked_for_it() {
    let node = TestNode::start().await;
    let (ours, theirs) = (Provider::start().await, Provider::start().await);
    let other = node.account("other").await;
    ours.import(&node, "board").await;
    theirs.import_as(&node, &other, "board", json!({})).await;
    let configs = node.ask("GET", "/api/auth-configs").key(&other).send().await.expect(200);
    assert_eq!(configs.body["authConfigs"][0]["redirectUri"], format!("{}/connect/callback/other/board", node.url));
    let mut browser = Browser::default();
    let back = browser.consent(&link(&node, "board", "ann").await, "ann").await;
    assert!(back.contains("/connect/callback/default/board?"), "{back}");
    browser.get(&back.replace("/default/board", "/other/board")).await.expect(400);
    browser.get(&back).await.expect(400);
    assert_eq!((ours.granted("authorization_code"), theirs.granted("authorization_code")), (0, 0));
}

/// A browser that goes away while the code is exchanged, or a user who is deleted then.
#[tokio::test]
async fn what_is_granted_is_kept_or_revoked() {
    let node = TestNode::start().await;
    let provider = Provider::start().await;
    provider.import_with(&node, "board", json!({ "revoke_url": format!("{}/revoke", provider.url()) })).await;
    let mut browser = Browser::default();
    let back = browser.consent(&link(&node, "board", "ann").await, "ann").await;
    let gate = provider.hold();
    assert!(tokio::time::timeout(std::time::Duration::from_millis(300), browser.get(&back)).await.is_err());
    gate.notify_one();
    until("the browser is not waited for", async || (call(&node, "board", "ann").await.status == 200).then_some(())).await;

    let back = browser.consent(&link(&node, "board", "bob").await, "bob").await;
    let deleted = async {
        until("the code is exchanged", async || (provider.held() == 1).then_some(())).await;
        node.delete("/users/bob").await;
        gate.notify_one();
    };
    let (page, ()) = tokio::join!(browser.get(&back), deleted);
    assert_eq!(page.status, 404, "{}", page.text);
    assert_eq!(provider.revoked(), 2, "nobody will ever use them");
    assert_eq!(node.number("select count(*) from credentials where user_id = 'bob'").await, 0);
}
