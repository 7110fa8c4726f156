//! Another authorization server in place of ours: its tokens are JWTs of an issuer that the account has named.

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use crate::support::{Ask, TestNode, mcp};

const ISSUER: &str = "https://login.example.com/tenant/";
const SECRET: &str = "0123456789-0123456789-0123456789-ok";

fn token(claims: &Value) -> String {
    let text = format!("{}.{}", amalgam_vault::url_safe(b"{\"alg\":\"HS256\"}"), amalgam_vault::url_safe(claims.to_string().as_bytes()));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), text.as_bytes());
    format!("{text}.{}", amalgam_vault::url_safe(signature.as_ref()))
}

#[tokio::test]
async fn tokens_of_another_authorization_server_open_the_server_that_they_are_for() {
    let node = TestNode::with(|config| config.authorization_server = Some(ISSUER.to_owned())).await;
    node.post("/api/jwt-issuers", json!({ "issuer": ISSUER, "secret": SECRET })).await.expect(201);
    let (one, two) =
        (node.server(json!({ "name": "One", "isPublic": true })).await, node.server(json!({ "name": "Two", "isPublic": true })).await);
    let found = Ask::new("GET", format!("{}/.well-known/oauth-protected-resource/mcp/{}", node.url, one.id)).send().await.expect(200);
    assert_eq!(found.body["authorization_servers"], json!([ISSUER]));
    // Ours is not there beside it.
    for path in ["/.well-known/oauth-authorization-server", "/oauth/authorize"] {
        Ask::new("GET", format!("{}{path}", node.url)).send().await.expect(404);
    }
    let with = |audience: Value| token(&json!({ "iss": ISSUER, "sub": "ann", "aud": audience, "exp": 4_000_000_000_u64 }));
    let ping = async |url: &str, token: &str| {
        Ask::new("POST", url).header("accept", mcp::ACCEPT).key(token).json(&mcp::request("ping", json!({}))).send().await
    };
    let good = with(json!(one.url));
    ping(&one.url, &good).await.expect(200);
    ping(&one.url, &with(json!(["https://elsewhere.example", one.url]))).await.expect(200);
    let refused = ping(&two.url, &good).await.expect(401);
    assert!(refused.header("www-authenticate").contains("invalid_token"), "{:?}", refused.headers);
    for audience in [Value::Null, json!(node.url), json!([]), json!(format!("{}/", one.url)), json!({ "x": one.url })] {
        ping(&one.url, &with(audience.clone())).await.expect(401);
    }
    // It is for the endpoint alone, and never says for whom another caller acts.
    node.ask("GET", "/api/servers").key(&good).send().await.expect(401);
    node.ask("GET", "/connectors").key(&good).send().await.expect(401);
    node.ask("GET", "/api/servers").anonymous().header("x-alloy-user-token", &good).send().await.expect(401);
    one.ask().header("x-alloy-user-token", &good).json(&mcp::request("ping", json!({}))).send().await.expect(401);
    // A user token of an issuer that is no authorization server works as before.
    node.post("/api/jwt-issuers", json!({ "issuer": "https://app.example.com", "secret": SECRET })).await.expect(201);
    let plain = token(&json!({ "iss": "https://app.example.com", "sub": "ann", "exp": 4_000_000_000_u64 }));
    ping(&one.url, &plain).await.expect(200);
}
