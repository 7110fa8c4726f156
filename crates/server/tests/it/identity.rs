//! Who calls, and for whom, by the rules of docs/credentials-and-identity.md.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::support::{Ask, Server, TestNode, mcp::request, mcp::tool, shop, until};

const SECRET: &str = "0123456789-0123456789-0123456789-ok";

fn sign(secret: &str, algorithm: Algorithm, claims: &Value) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

/// A good token with these claims and an `exp` in the future.
fn jwt(mut claims: Value) -> String {
    if claims.get("exp").is_none() {
        claims["exp"] = json!(4_000_000_000_u64);
    }
    sign(SECRET, Algorithm::HS256, &claims)
}

async fn issuer(node: &TestNode, mut body: Value) {
    body["secret"] = json!(SECRET);
    node.post("/api/jwt-issuers", body).await.expect(201);
}

/// The user that a request on a server acts for: the one whose credentials it lists.
async fn user_of(ask: Ask) -> String {
    let listed = tool(ask, "get_credentials_alloy", json!({ "connectorId": "shop" })).await.ok();
    listed["credentials"][0]["name"].as_str().unwrap_or("nobody").to_owned()
}

/// A node where each of these users has one credential that has its user's name.
async fn node_with(users: &[&str]) -> (TestNode, crate::support::Platform) {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    for user in users {
        let body = json!({ "userId": user, "authenticationType": "bearer", "data": { "token": "12345678" }, "name": user });
        node.post("/connectors/shop/credentials", body).await.expect(200);
    }
    (node, platform)
}

#[tokio::test]
async fn the_header_must_be_one_user_of_sane_length() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "S" })).await;
    let long = "ü".repeat(10_000);
    let longer = "x".repeat(10_001);
    let asks: [fn(&TestNode, &Server) -> Ask; 3] = [
        |node, _| node.ask("GET", "/api/servers"),
        |node, _| node.ask("GET", "/connectors"),
        |_, server| server.ask().json(&request("ping", json!({}))),
    ];
    for ask in asks {
        let ask = || ask(&node, &server);
        ask().user(&long).send().await.expect(200);
        for wrong in ["", longer.as_str()] {
            let answer = ask().user(wrong).send().await;
            answer.refuses(400, "x-alloy-userid");
        }
        ask().user("a").user("b").send().await.refuses(400, "more than once");
        ask().header("x-alloy-userid", b"\xff").send().await.refuses(400, "UTF-8");
        for name in ["authorization", "x-alloy-user-token", "x-mcp-server-id", "x-credential-id"] {
            let answer = ask().anonymous().header(name, "Bearer a").header(name, "Bearer b").send().await;
            answer.refuses(400, name);
        }
    }
}

#[tokio::test]
async fn admins_act_for_anybody_and_members_only_for_themselves() {
    let (node, _platform) = node_with(&["admin", "ann", "mia"]).await;
    let server = node.server(json!({ "name": "Shared", "isPublic": true })).await;
    let member = node.key("mia", "member").await;
    let admin = crate::support::node::ADMIN_KEY;
    assert_eq!(user_of(server.ask_as(admin)).await, "admin");
    assert_eq!(user_of(server.ask_as(admin).user("ann")).await, "ann");
    assert_eq!(user_of(server.ask_as(&member)).await, "mia");
    assert_eq!(user_of(server.ask_as(&member).user("mia")).await, "mia");
    server.ask_as(&member).user("ann").json(&request("ping", json!({}))).send().await.refuses(403, "member");
    for path in ["/api/servers", "/connectors", "/connectors/shop/credentials"] {
        node.ask("GET", path).key(&member).user("ann").send().await.refuses(403, "member");
    }
    node.ask("GET", "/users/ann/credentials").key(&member).send().await.refuses(404, "No such user for you");
    let body = json!({ "userId": "ann", "authenticationType": "bearer", "data": { "token": "12345678" } });
    node.ask("POST", "/connectors/shop/credentials").key(&member).json(&body).send().await.refuses(404, "No such user for you");
}

/// What a node remembers of issuers follows every change at once.
#[tokio::test]
async fn issuers_count_from_their_creation_to_their_end() {
    let node = TestNode::start().await;
    let other = node.account("other").await;
    let token = jwt(json!({ "iss": "https://id.example", "sub": "ann" }));
    let status = async || node.ask("GET", "/api/servers").key(&token).send().await.status;
    assert_eq!(status().await, 401);
    issuer(&node, json!({ "issuer": "https://id.example" })).await;
    assert_eq!(status().await, 200);
    let id = node.get("/api/jwt-issuers").await.body["issuers"][0]["id"].as_str().unwrap().to_owned();
    node.delete(&format!("/api/jwt-issuers/{id}")).await.expect(200);
    assert_eq!(status().await, 401);
    let theirs = json!({ "issuer": "https://id.example", "secret": SECRET });
    node.ask("POST", "/api/jwt-issuers").key(&other).json(&theirs).send().await.expect(201);
    assert_eq!(status().await, 200);
    node.delete("/api/accounts/other").await.expect(200);
    assert_eq!(status().await, 401);
}

/// A forged identity is refused, never ignored.
#[tokio::test]
async fn only_a_good_token_names_a_user() {
    let (node, _platform) = node_with(&["admin", "ann"]).await;
    issuer(&node, json!({ "issuer": "https://id.example" })).await;
    let server = node.server(json!({ "name": "S" })).await;
    let good = json!({ "iss": "https://id.example", "userId": "ann", "exp": 4_000_000_000_u64 });
    let with = |token: &str| server.ask().header("x-alloy-user-token", token);
    assert_eq!(user_of(with(&jwt(good.clone()))).await, "ann");
    let unsigned = |header: &str| {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as B64};
        format!("{}.{}.", B64.encode(header), B64.encode(good.to_string()))
    };
    let change = |member: &str, value: Value| {
        let mut claims = good.clone();
        claims[member] = value;
        claims
    };
    let without = |member: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(member);
        claims
    };
    let signed = jwt(good.clone());
    let headed = |header: &str| {
        let (message, key) = (unsigned(header), EncodingKey::from_secret(SECRET.as_bytes()));
        format!("{message}{}", jsonwebtoken::crypto::sign(message.trim_end_matches('.').as_bytes(), &key, Algorithm::HS256).unwrap())
    };
    assert_eq!(user_of(with(&headed(r#"{"alg":"HS256"}"#))).await, "ann");
    let (head, _) = signed.rsplit_once('.').unwrap();
    for (what, token) in [
        ("alg none", unsigned(r#"{"alg":"none"}"#)),
        ("alg None", unsigned(r#"{"alg":"None","typ":"JWT"}"#)),
        ("an extension that must be understood", headed(r#"{"alg":"HS256","crit":["x"],"x":1}"#)),
        ("an extension that is null", headed(r#"{"alg":"HS256","crit":null}"#)),
        ("a header that is a list", headed(r#"["HS256"]"#)),
        ("a header that says two things", headed(r#"{"alg":"HS256","alg":"HS256"}"#)),
        ("a key id that is a number", headed(r#"{"alg":"HS256","kid":7}"#)),
        ("an algorithm that is an object", headed(r#"{"alg":{"HS256":null}}"#)),
        ("an algorithm that nobody knows", headed(r#"{"alg":"HS999"}"#)),
        ("no signature", format!("{head}.")),
        ("a signature that goes on", format!("{signed}AA")),
        ("a fourth part", format!("{signed}.e30")),
        ("another secret", sign("another-secret-another-secret-xx", Algorithm::HS256, &good)),
        ("another algorithm", sign(SECRET, Algorithm::HS384, &good)),
        ("expired", jwt(change("exp", json!(1_000_000_000)))),
        ("exp is text", jwt(change("exp", json!("4000000000")))),
        ("exp is null", jwt(change("exp", json!(null)))),
        ("no exp", sign(SECRET, Algorithm::HS256, &without("exp"))),
        ("not yet", jwt(change("nbf", json!(3_999_999_999_u64)))),
        ("nbf is text", jwt(change("nbf", json!("1")))),
        ("another issuer", jwt(change("iss", json!("https://evil.example")))),
        ("no issuer", jwt(without("iss"))),
        ("issuer is a list", jwt(change("iss", json!(["https://id.example"])))),
        ("issuer is null", jwt(change("iss", json!(null)))),
        ("no user", jwt(without("userId"))),
        ("empty user", jwt(change("userId", json!("")))),
        ("a user that no database keeps", jwt(change("userId", json!("a\u{0}b")))),
        ("user is null", jwt(change("userId", json!(null)))),
        ("user is a number", jwt(change("userId", json!(7)))),
        ("long user", jwt(change("userId", json!("x".repeat(10_001))))),
        ("garbage", "a.b.c".to_owned()),
        ("empty", String::new()),
        ("long", format!("{}.b.c", "a".repeat(20_000))),
    ] {
        let answer = with(&token).json(&request("ping", json!({}))).send().await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text);
        // Not even beside an admin key.
        let answer = node.ask("GET", "/api/servers").header("x-alloy-user-token", &token).send().await;
        assert_eq!(answer.status, 401, "{what} beside a key: {}", answer.text);
    }
}

#[tokio::test]
async fn audience_claim_and_missing_issuer_are_as_registered() {
    let (node, _platform) = node_with(&["ann", "carl"]).await;
    let server = node.server(json!({ "name": "S" })).await;
    let with = |claims: Value| server.ask().header("x-alloy-user-token", jwt(claims));
    issuer(&node, json!({ "issuer": "aud", "audience": "amalgam", "userClaim": "email" })).await;
    assert_eq!(user_of(with(json!({ "iss": "aud", "aud": "amalgam", "email": "ann" }))).await, "ann");
    assert_eq!(user_of(with(json!({ "iss": "aud", "aud": ["x", "amalgam"], "email": "ann" }))).await, "ann");
    for wrong in [
        json!({ "iss": "aud", "aud": "other", "email": "ann" }),
        json!({ "iss": "aud", "email": "ann" }),
        json!({ "iss": "aud", "aud": "amalgam", "email": "ann", "email_verified": false }),
        json!({ "iss": "aud", "aud": "amalgam", "userId": "ann" }),
        json!({ "userId": "ann" }),
    ] {
        with(wrong).json(&request("ping", json!({}))).send().await.expect(401);
    }
    issuer(&node, json!({ "issuer": null })).await;
    assert_eq!(user_of(with(json!({ "sub": "carl" }))).await, "carl");
    assert_eq!(user_of(with(json!({ "sub": "carl", "userId": "ann" }))).await, "ann", "userId goes before sub");
    with(json!({ "iss": "unknown", "sub": "carl" })).json(&request("ping", json!({}))).send().await.expect(401);
}

#[tokio::test]
async fn issuers_end_and_never_show_their_secret() {
    let node = TestNode::start().await;
    let made = node.post("/api/jwt-issuers", json!({ "issuer": "i", "secret": SECRET })).await.expect(201);
    assert!(!made.text.contains(SECRET) && !node.get("/api/jwt-issuers").await.text.contains(SECRET));
    let ask =
        || Ask::new("GET", format!("{}/api/servers", node.url)).header("x-alloy-user-token", jwt(json!({ "iss": "i", "userId": "u" })));
    ask().send().await.expect(200);
    Ask::new("GET", format!("{}/api/servers", node.url)).key(&jwt(json!({ "iss": "i", "userId": "u" }))).send().await.expect(200);
    node.delete(&format!("/api/jwt-issuers/{}", made.body["id"].as_str().unwrap())).await.expect(200);
    ask().send().await.expect(401);
    node.post("/api/jwt-issuers", json!({ "issuer": "i", "secret": "short" })).await.refuses(400, "secret");
    node.post("/api/jwt-issuers", json!({ "issuer": "" , "secret": SECRET })).await.refuses(400, "issuer");
}

/// The issuer of one account vouches for nobody in another.
#[tokio::test]
async fn an_issuer_counts_in_its_account_only() {
    let node = TestNode::start().await;
    let other = node.account("other").await;
    issuer(&node, json!({ "issuer": "ours" })).await;
    let token = jwt(json!({ "iss": "ours", "userId": "ann" }));
    node.ask("GET", "/api/servers").header("x-alloy-user-token", &token).send().await.expect(200);
    node.ask("GET", "/api/servers").key(&other).header("x-alloy-user-token", &token).send().await.expect(401);
}

/// Any account may name an issuer that others know, too: its users must not land there.
#[tokio::test]
async fn a_token_that_two_accounts_believe_needs_a_key_beside_it() {
    let node = TestNode::start().await;
    let other = node.account("other").await;
    let token = jwt(json!({ "iss": "shared", "userId": "ann" }));
    let alone = || node.ask("GET", "/api/servers").anonymous().header("x-alloy-user-token", &token).send();
    issuer(&node, json!({ "issuer": "shared" })).await;
    let body = json!({ "issuer": "shared", "secret": SECRET });
    node.ask("POST", "/api/jwt-issuers").key(&other).json(&body).send().await.expect(201);
    alone().await.expect(401);
    // An address of a server says which of them is meant, and the user is that account's.
    for key in [crate::support::node::ADMIN_KEY, &other] {
        let made = node.ask("POST", "/api/servers").key(key).json(&json!({ "name": "S", "isPublic": true })).send().await.expect(201);
        let server = Server::of(&made);
        for bearer in [true, false] {
            let ask = Ask::new("POST", &server.url).header("accept", crate::support::mcp::ACCEPT);
            let ask = if bearer { ask.key(&token) } else { ask.header("x-alloy-user-token", &token) };
            ask.json(&request("ping", json!({}))).send().await.expect(200);
        }
    }
    let nowhere = Ask::new("POST", format!("{}/mcp/nothing-aaaaaaaa", node.url)).header("accept", crate::support::mcp::ACCEPT);
    nowhere.key(&token).json(&request("ping", json!({}))).send().await.expect(401);
    for key in [crate::support::node::ADMIN_KEY, &other] {
        node.ask("GET", "/api/servers").key(key).header("x-alloy-user-token", &token).send().await.expect(200);
    }
}

#[tokio::test]
async fn token_goes_before_header_and_header_before_owner() {
    let (node, _platform) = node_with(&["admin", "ann", "bob"]).await;
    issuer(&node, json!({ "issuer": "i" })).await;
    let server = node.server(json!({ "name": "S" })).await;
    let token = jwt(json!({ "iss": "i", "userId": "bob" }));
    let key = crate::support::node::ADMIN_KEY;
    for door in ["token URL", "key"] {
        let ask = || if door == "key" { server.ask_as(key) } else { server.ask() };
        assert_eq!(user_of(ask()).await, "admin", "{door}");
        assert_eq!(user_of(ask().user("ann")).await, "ann", "{door}");
        assert_eq!(user_of(ask().user("ann").header("x-alloy-user-token", &token)).await, "bob", "{door}");
    }
    // A user token alone is a whole identity, and the header does not change it.
    let own = node.ask("POST", "/api/servers").anonymous().header("x-alloy-user-token", &token).json(&json!({ "name": "Bobs own" }));
    let own = Server::of(&own.send().await.expect(201));
    assert_eq!(user_of(own.ask()).await, "bob");
    let ask = Ask::new("POST", &own.url).header("accept", crate::support::mcp::ACCEPT).header("x-alloy-user-token", &token).user("ann");
    assert_eq!(user_of(ask).await, "bob");
}

#[tokio::test]
async fn a_server_says_who_may_choose_the_user() {
    let (node, _platform) = node_with(&["admin", "ann", "bob"]).await;
    issuer(&node, json!({ "issuer": "i" })).await;
    let token = jwt(json!({ "iss": "i", "userId": "bob" }));
    for (rule, header, both) in [("header", "ann", "bob"), ("jwt", "admin", "bob"), ("none", "admin", "admin")] {
        let server = node.server(json!({ "name": rule, "userOverride": rule })).await;
        assert_eq!(user_of(server.ask()).await, "admin", "{rule}");
        assert_eq!(user_of(server.ask().user("ann")).await, header, "{rule}");
        assert_eq!(user_of(server.ask().user("ann").header("x-alloy-user-token", &token)).await, both, "{rule}");
    }
    node.post("/api/servers", json!({ "name": "x", "userOverride": "anyone" })).await.refuses(400, "userOverride");
}

#[tokio::test]
async fn the_users_restriction_judges_the_effective_user() {
    let (node, _platform) = node_with(&["ann"]).await;
    let users = json!({ "users": { "mode": "allowlist", "allowedIds": ["ann"] } });
    let server = node.server(json!({ "name": "S", "restrictions": users, "isPublic": true })).await;
    let ping = request("ping", json!({}));
    server.ask().json(&ping).send().await.refuses(403, "restrictions.users");
    server.ask().user("ann").json(&ping).send().await.expect(200);
    server.ask().user("eve").json(&ping).send().await.refuses(403, "\"eve\"");
    let key = crate::support::node::ADMIN_KEY;
    server.ask_as(key).user("ann").json(&ping).send().await.expect(200);
    server.ask_as(key).json(&ping).send().await.refuses(403, "\"admin\"");
    for path in ["/connectors", "/connectors/shop", "/connectors/shop/credentials", "/users/ann/credentials"] {
        let through = |user: &str| node.ask("GET", path).header("x-mcp-server-id", &server.id).user(user);
        through("ann").send().await.expect(200);
        through("eve").send().await.refuses(403, "restrictions.users");
        node.ask("GET", path).key(&server.token).send().await.refuses(403, "restrictions.users");
    }
    let body = json!({ "userId": "eve", "authenticationType": "bearer", "data": { "token": "12345678" } });
    let twin = node.ask("POST", "/connectors/shop/credentials").header("x-mcp-server-id", &server.id).user("ann").json(&body);
    twin.send().await.refuses(403, "\"eve\"");
}

/// Other users' servers are not there, unless they are public; admins see all of their account.
#[tokio::test]
async fn a_server_is_reached_by_its_owner() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "Own" })).await;
    let member = node.key("mia", "member").await;
    let ping = request("ping", json!({}));
    let before = server.ask_as(&member).json(&ping).send().await.expect(404);
    let unknown = Ask::new("POST", format!("{}/mcp/no-such-abcdefgh", node.url)).key(&member).header("accept", "*/*").json(&ping);
    assert_eq!(before.text, unknown.send().await.expect(404).text);
    node.ask("GET", &format!("/api/servers/{}", server.id)).key(&member).send().await.expect(404);
    node.put(&format!("/api/servers/{}", server.id), json!({ "isPublic": true })).await.expect(200);
    until("the change arrives", async || (server.ask_as(&member).json(&ping).send().await.status == 200).then_some(())).await;
    node.ask("PUT", &format!("/api/servers/{}", server.id)).key(&member).json(&json!({ "name": "Mine" })).send().await.expect(404);
}
