//! The attacks of OAuth 2.1's security considerations and RFC 9700, and what became of them. Each test names its section.

use serde_json::json;

use crate::support::{
    Answer, Ask, Server, TestNode, mcp,
    sign_in::{Browser, Client, PASSWORD, REDIRECT, VERIFIER, challenge, form, parameter, request_of, user},
};

async fn scene() -> (TestNode, Server, Client) {
    let node = TestNode::start().await;
    user(&node, "ann").await;
    let server = node.server(json!({ "name": "Tools", "isPublic": true })).await;
    let client = Client::register(&node, &server.url).await;
    (node, server, client)
}

fn changed(client: &Client, name: &'static str, value: &str) -> Vec<(&'static str, String)> {
    let mut fields = client.fields();
    fields.retain(|(known, _)| *known != name);
    fields.push((name, value.to_owned()));
    fields
}

/// Shown to the person, sent nowhere.
fn stays(answer: &Answer) {
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert_eq!(answer.header("location"), "", "{:?}", answer.headers);
    assert!(answer.header("content-type").starts_with("text/html"), "{:?}", answer.headers);
}

/// RFC 9700, 2.1 and 4.1: redirect addresses match exactly. 4.11.2: we lead nobody away who has not decided so.
#[tokio::test]
async fn redirects_match_exactly_and_errors_lead_nowhere() {
    let (_node, _server, client) = scene().await;
    let browser = Browser::default();
    for uri in [
        "https://evil.example/",
        "http://127.0.0.1:7777/callback/",
        "http://127.0.0.1:7777/callback?x=y",
        "http://127.0.0.1:7777/Callback",
        "http://127.0.0.1:7777/callback#x",
        "http://127.0.0.1:7777/../callback",
        "http://localhost:7777/callback",
        "https://127.0.0.1:7777/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://evil@127.0.0.1:7777/callback",
        "javascript:alert(1)",
        "//evil.example",
        "",
    ] {
        stays(&client.authorize(&browser, &changed(&client, "redirect_uri", uri)).await);
    }
    // An application takes the port that is free (RFC 8252, 7.3).
    client.authorize(&browser, &changed(&client, "redirect_uri", "http://127.0.0.1:51004/callback")).await.expect(200);
    for (name, value) in [
        ("response_type", "token"),
        ("response_type", "code token"),
        ("response_mode", "fragment"),
        ("request_uri", "https://evil.example/"),
        ("request", "e30.e30."),
        ("client_id", "unknown"),
        ("client_id", "client_AAAA"),
    ] {
        stays(&client.authorize(&browser, &changed(&client, name, value)).await);
    }
    let mut twice = client.fields();
    twice.push(("redirect_uri", "https://evil.example/".to_owned()));
    stays(&client.authorize(&browser, &twice).await);
}

/// RFC 9700, 2.1.1: PKCE with S256 always; no downgrade.
#[tokio::test]
async fn nothing_goes_without_pkce() {
    let (_node, _server, client) = scene().await;
    let browser = Browser::default();
    for (name, value) in [
        ("code_challenge", ""),
        ("code_challenge_method", ""),
        ("code_challenge_method", "plain"),
        ("code_challenge", "short"),
        ("code_challenge", VERIFIER),
    ] {
        stays(&client.authorize(&browser, &changed(&client, name, value)).await);
    }
    for verifier in ["another-another-another-another-another-another", challenge().as_str(), "short", ""] {
        let code = client.code("ann").await;
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", &client.id),
            ("code", &code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", verifier),
        ];
        client.token(&fields).await.expect(400);
    }
}

/// OAuth 2.1, 4.1.3; RFC 9700, 4.5: a code is used once, by its client, with its redirect address; its second use ends what came of it.
#[tokio::test]
async fn a_code_works_once_and_for_its_client_alone() {
    let (node, _server, client) = scene().await;
    let code = client.code("ann").await;
    let tokens = Client::read(&client.exchange(&code).await.expect(200));
    client.call(&tokens.access, "ping", json!({})).await.expect(200);
    assert_eq!(client.exchange(&code).await.expect(400).body["error"], "invalid_grant");
    client.call(&tokens.access, "ping", json!({})).await.expect(401);
    client.refresh(&tokens.refresh).await.expect(400);

    // Code injection: another client has got hold of it.
    let body = json!({ "client_name": "Another", "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none" });
    let other = Ask::new("POST", format!("{}/oauth/register", node.url)).json(&body).send().await.expect(201);
    let other =
        Client { id: other.body["client_id"].as_str().unwrap().to_owned(), node: node.url.clone(), resource: client.resource.clone() };
    let code = client.code("ann").await;
    assert_eq!(other.exchange(&code).await.expect(400).body["error"], "invalid_grant");

    let code = client.code("ann").await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", &client.id),
        ("code", &code),
        ("redirect_uri", "http://127.0.0.1:7778/callback"),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(client.token(&fields).await.expect(400).body["error"], "invalid_grant");
    // A code is no refresh token, and neither opens anything.
    let code = client.code("ann").await;
    client.refresh(&code).await.expect(400);
    client.call(&code, "ping", json!({})).await.expect(401);
    let tokens = client.tokens("ann").await;
    client.exchange(&tokens.refresh).await.expect(400);
    client.refresh(&tokens.access).await.expect(400);
    client.call(&tokens.refresh, "ping", json!({})).await.expect(401);
}

/// RFC 9700, 4.14: a refresh token that is used again was stolen, from whichever side: the family ends.
#[tokio::test]
async fn a_refresh_token_that_comes_back_ends_its_family() {
    let (node, _server, client) = scene().await;
    let bystander = client.tokens("ann").await;
    let first = client.tokens("ann").await;
    let second = Client::read(&client.refresh(&first.refresh).await.expect(200));
    // Of another client, nothing happens to it.
    let stranger = Client::register(&node, &client.resource).await;
    stranger.refresh(&second.refresh).await.expect(400);
    client.call(&second.access, "ping", json!({})).await.expect(200);
    assert_eq!(client.refresh(&first.refresh).await.expect(400).body["error"], "invalid_grant");
    client.refresh(&second.refresh).await.expect(400);
    for token in [&first.access, &second.access] {
        client.call(token, "ping", json!({})).await.expect(401);
    }
    client.call(&bystander.access, "ping", json!({})).await.expect(200);
    // Two at once: one at most gets new tokens.
    let racing = client.tokens("ann").await;
    let (one, two) = tokio::join!(client.refresh(&racing.refresh), client.refresh(&racing.refresh));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
}

/// RFC 8707; RFC 9700, 4.10.2: a token is for one server. RFC 9700, 4.10.3 and MCP: it opens nothing else of ours either.
#[tokio::test]
async fn a_token_for_one_server_opens_no_other() {
    let (node, server, client) = scene().await;
    let other = node.server(json!({ "name": "Other", "isPublic": true })).await;
    let tokens = client.tokens("ann").await;
    let ping = mcp::request("ping", json!({}));
    let refused = other.ask_as(&tokens.access).json(&ping).send().await.expect(401);
    assert!(refused.header("www-authenticate").contains("invalid_token"));
    let endpoint = Ask::new("POST", format!("{}/mcp", node.url)).header("accept", mcp::ACCEPT).key(&tokens.access);
    endpoint.header("x-mcp-server-id", &other.id).json(&ping).send().await.expect(401);
    for path in ["/api/servers", "/api/keys", "/api/audit", "/connectors", "/users"] {
        node.ask("GET", path).key(&tokens.access).send().await.expect(401);
        node.ask("GET", path).key(&tokens.access).header("x-mcp-server-id", &server.id).send().await.expect(401);
    }
    // Never in the query.
    let url = format!("{}?access_token={}", server.url, tokens.access);
    Ask::new("POST", url).header("accept", mcp::ACCEPT).json(&ping).send().await.expect(401);
    let browser = Browser::default();
    for resource in [
        "",
        "https://elsewhere.example/mcp/x",
        &node.url,
        &format!("{}/mcp/", node.url),
        &format!("{}/", server.url),
        &format!("{}#x", server.url),
        &format!("{}/{}", server.url, server.token),
        &format!("{}.evil.example/mcp/x", node.url),
        &format!("{}x", node.url),
    ] {
        stays(&client.authorize(&browser, &changed(&client, "resource", resource)).await);
    }
    // A code or refresh token for one is not exchanged for another.
    let code = client.code("ann").await;
    let elsewhere = Client { node: node.url.clone(), resource: other.url.clone(), id: client.id.clone() };
    elsewhere.exchange(&code).await.expect(400);
    elsewhere.refresh(&tokens.refresh).await.expect(400);
    client.refresh(&tokens.refresh).await.expect(200);
}

/// RFC 9700, 4.7 and 4.16: nobody else's page sends our forms or shows them in a frame; a form works in its own browser alone.
#[tokio::test]
async fn forms_are_sent_from_our_pages_in_the_same_browser() {
    let (node, _server, client) = scene().await;
    let browser = Browser::default();
    let page = client.authorize(&browser, &client.fields()).await.expect(200);
    let stranger = Browser::default();
    // Signing a victim in as the attacker, with a form of the attacker's.
    client.sign_in(&stranger, &page, "ann", PASSWORD).await.expect(400);
    let signed_in = client.sign_in(&browser, &page, "ann", PASSWORD).await.expect(200);
    for page in [&page, &signed_in] {
        assert_eq!(page.header("x-frame-options"), "DENY");
        let policy = page.header("content-security-policy");
        for rule in ["frame-ancestors 'none'", "default-src 'none'", "base-uri 'none'"] {
            assert!(policy.contains(rule), "{policy}");
        }
        assert!(!page.text.contains("<script"), "{}", page.text);
        let cookie = page.header("set-cookie");
        assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Lax"), "{cookie}");
        assert_eq!(page.header("cache-control"), "no-store");
    }
    // The form of before the sign-in is of no use after it, and nobody else's browser can consent.
    client.decide(&browser, &page, "allow").await.expect(400);
    client.decide(&stranger, &signed_in, "allow").await.expect(400);
    let request = request_of(&signed_in);
    let fields = [("request", request.as_str()), ("decision", "allow")];
    let cross_site = form(format!("{}/oauth/consent", node.url), &fields).header("origin", "https://evil.example");
    browser.copy().send(cross_site).await.expect(403);
    let forged = form(format!("{}/oauth/consent", node.url), &[("request", "AAAA"), ("decision", "allow")]);
    browser.copy().send(forged).await.expect(400);
    // Without a decision nothing is allowed.
    let undecided = client.decide(&browser.copy(), &signed_in, "perhaps").await.expect(303);
    assert_eq!(parameter(&undecided, "error").as_deref(), Some("access_denied"));
    client.decide(&browser, &signed_in, "allow").await.expect(303);
}

/// RFC 9700, 4.4: the answer names its issuer, and carries nothing that was not asked for. 4.12: 303, so that the form stays here.
#[tokio::test]
async fn answers_name_their_issuer_and_carry_the_clients_state_untouched() {
    let (node, _server, client) = scene().await;
    let browser = Browser::default();
    let state = "a&b=c#d\r\nLocation: https://evil.example/ <script>\u{e9}";
    let page = client.authorize(&browser, &changed(&client, "state", state)).await.expect(200);
    let page = client.sign_in(&browser, &page, "ann", PASSWORD).await.expect(200);
    let answer = client.decide(&browser, &page, "allow").await.expect(303);
    assert_eq!(parameter(&answer, "state").as_deref(), Some(state));
    assert_eq!(parameter(&answer, "iss").as_ref(), Some(&node.url));
    assert!(answer.header("location").starts_with("http://127.0.0.1:7777/callback?code=mcp_code_"), "{:?}", answer.headers);
    assert_eq!(answer.header("referrer-policy"), "");
}

/// What clients say of themselves is shown as text.
#[tokio::test]
async fn names_of_clients_are_text() {
    let (node, server, _client) = scene().await;
    let name = "<img src=x onerror=alert(1)>\u{202e}\u{200b}evil\"";
    let body = json!({ "client_name": name, "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none" });
    let made = Ask::new("POST", format!("{}/oauth/register", node.url)).json(&body).send().await.expect(201);
    let client = Client { node: node.url.clone(), resource: server.url, id: made.body["client_id"].as_str().unwrap().to_owned() };
    let browser = Browser::default();
    let page = client.authorize(&browser, &client.fields()).await.expect(200);
    let page = client.sign_in(&browser, &page, "ann", PASSWORD).await.expect(200);
    assert!(!page.text.contains("<img") && !page.text.contains('\u{202e}') && page.text.contains("evil"), "{}", page.text);
}

/// OAuth 2.1, 7.5.1 and RFC 9700, 4.17: bad requests to the token endpoint are refused in its own shape, and nothing is guessed.
#[tokio::test]
async fn the_token_endpoint_refuses_in_its_own_words() {
    let (node, _server, client) = scene().await;
    let url = format!("{}/oauth/token", node.url);
    let id = client.id.as_str();
    for (fields, status, error) in [
        (vec![("grant_type", "password"), ("client_id", id), ("username", "ann"), ("password", PASSWORD)], 400, "unsupported_grant_type"),
        (vec![("grant_type", "client_credentials"), ("client_id", id)], 400, "unsupported_grant_type"),
        (vec![("client_id", id)], 400, "invalid_request"),
        (vec![("grant_type", "refresh_token"), ("client_id", id)], 400, "invalid_request"),
        (vec![("grant_type", "refresh_token"), ("refresh_token", "x")], 400, "invalid_request"),
        (vec![("grant_type", "refresh_token"), ("client_id", "unknown"), ("refresh_token", "x")], 401, "invalid_client"),
        (vec![("grant_type", "refresh_token"), ("client_id", id), ("client_secret", "x"), ("refresh_token", "x")], 401, "invalid_client"),
        (vec![("grant_type", "refresh_token"), ("client_id", id), ("refresh_token", "x")], 400, "invalid_grant"),
        (vec![("grant_type", "refresh_token"), ("grant_type", "x"), ("client_id", id), ("refresh_token", "x")], 400, "invalid_request"),
    ] {
        let answer = form(&url, &fields).send().await;
        assert_eq!((answer.status, answer.body["error"].as_str()), (status, Some(error)), "{fields:?}: {}", answer.text);
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    Ask::new("POST", &url).json(&json!({ "grant_type": "refresh_token" })).send().await.expect(415);
    Ask::new("POST", &url).body("application/x-www-form-urlencoded", vec![b'a'; 70_000]).send().await.expect(413);
    Ask::new("GET", &url).send().await.expect(405);
}
