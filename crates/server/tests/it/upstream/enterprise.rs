//! Upstreams whose users an identity provider answers for (SEP-990): an identity token becomes a grant there, the grant a token.

use serde_json::{Value, json};

use crate::support::{Platform, TestNode};

const GRANT: &str = "urn:ietf:params:oauth:token-type:id-jag";

struct Scene {
    node: TestNode,
    /// The MCP server, and its authorization server.
    platform: Platform,
    provider: Platform,
    path: String,
    challenge: String,
}

impl Scene {
    async fn start() -> Self {
        let (node, platform, provider) = (TestNode::start().await, Platform::start().await, Platform::start().await);
        let issuer = platform.url();
        let challenge = format!("Bearer resource_metadata=\"{issuer}/prm\", scope=\"tools\"");
        platform.prepare(401, &[("www-authenticate", &challenge)], &json!({}));
        let config = json!({ "grant_type": "id_jag", "issuer": issuer, "client_id": "known", "client_secret": "s3cret",
            "identity_provider": { "issuer": provider.url(), "client_id": "at-home", "client_secret": "h0me" } });
        let body = json!({ "name": "Office", "url": format!("{issuer}/mcp"), "auth_type": "oauth", "auth_config": config });
        let made = node.post("/api/v1/user-mcp-servers", body).await.expect(201);
        assert!(!made.text.contains("s3cret") && !made.text.contains("h0me"), "{}", made.text);
        assert!(made.body["problem"]["message"].as_str().unwrap().contains("`idToken`"), "{}", made.text);
        let path = format!("/api/v1/user-mcp-servers/{}/sign-in", made.body["id"].as_str().unwrap());
        Self { node, platform, provider, path, challenge }
    }

    /// What both servers answer, until the provider has issued a grant of this type.
    fn prepare(&self, issued: &str) {
        let issuer = self.platform.url();
        self.platform.prepare(401, &[("www-authenticate", &self.challenge)], &json!({}));
        self.platform.prepare(200, &[], &json!({ "resource": format!("{issuer}/mcp"), "authorization_servers": [issuer] }));
        self.platform.prepare(200, &[], &json!({ "issuer": issuer, "token_endpoint": format!("{issuer}/token") }));
        let provider = self.provider.url();
        self.provider.prepare(200, &[], &json!({ "issuer": provider, "token_endpoint": format!("{provider}/token") }));
        self.provider.prepare(200, &[], &json!({ "access_token": "of-the-provider", "issued_token_type": issued, "token_type": "N_A" }));
    }
}

#[tokio::test]
async fn an_identity_provider_answers_for_its_users() {
    let scene = Scene::start().await;
    scene.node.post(&scene.path, json!({})).await.refuses(400, "Nobody signs in");
    scene.prepare(GRANT);
    scene.platform.prepare(200, &[], &json!({ "access_token": "of-the-server", "token_type": "Bearer", "expires_in": 3600 }));
    let body = json!({ "endUserId": "ann", "idToken": "who-ann-is" });
    let signed_in = scene.node.post(&scene.path, body).await.expect(200);
    assert_eq!(signed_in.body, json!({ "signedIn": true }));
    let asked = scene.provider.last();
    assert!(asked.header("authorization").starts_with("Basic "), "{asked:?}");
    for words in [
        "token-exchange",
        "requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid-jag",
        "subject_token=who-ann-is",
        "audience=",
        "resource=",
        "scope=tools",
    ] {
        assert!(asked.body.contains(words), "{words} is not in {}", asked.body);
    }
    let seen = scene.platform.seen();
    let shown = seen.iter().find(|seen| seen.target == "/token").unwrap();
    assert!(
        shown.body.contains("jwt-bearer") && shown.body.contains("assertion=of-the-provider") && !shown.body.contains("who-ann-is"),
        "{shown:?}"
    );
    // What it offers was asked for at once, as ann.
    let call = seen.iter().skip_while(|seen| seen.target != "/token").find(|seen| seen.target == "/mcp").unwrap();
    assert_eq!(call.header("authorization"), "Bearer of-the-server");
    assert_eq!(scene.node.number("select count(*) from upstream_grants where user_id = 'ann'").await, 1);
}

/// A provider that issues something else, or refuses: nothing goes to the MCP server's authorization server.
#[tokio::test]
async fn what_is_no_grant_is_shown_to_nobody() {
    let scene = Scene::start().await;
    scene.prepare("urn:ietf:params:oauth:token-type:access_token");
    let body = json!({ "idToken": "who-ann-is" });
    let refused = scene.node.post(&scene.path, body).await;
    assert!(refused.status == 502 && refused.text.contains("ID-JAG") && !refused.text.contains("of-the-provider"), "{}", refused.text);
    assert!(scene.platform.seen().iter().all(|seen| seen.target != "/token"));
    assert_eq!(scene.node.number("select count(*) from upstream_grants").await, 0);
    let provider = json!({ "issuer": "https://idp.example", "client_id": "x" });
    for (config, words) in [
        (json!({ "client_id": "x", "grant_type": "id_jag" }), "identity_provider"),
        (json!({ "client_id": "x", "identity_provider": provider }), "id_jag"),
        (json!({ "grant_type": "id_jag", "identity_provider": provider }), "client_id"),
        (
            json!({ "client_id": "x", "grant_type": "id_jag", "identity_provider": { "issuer": "https://idp.example" } }),
            "identity_provider",
        ),
    ] {
        let body: Value = json!({ "name": "Wrong", "url": "https://mcp.example/", "auth_type": "oauth", "auth_config": config });
        scene.node.post("/api/v1/user-mcp-servers", body).await.refuses(400, words);
    }
}
