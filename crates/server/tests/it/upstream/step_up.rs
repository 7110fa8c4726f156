//! An upstream that wants more than was granted: the user is asked once for all of it, and not again for what was asked for in vain.

use serde_json::json;
use url::Url;

use crate::support::{
    Answer, Ask, Platform, TestNode,
    sign_in::{Browser, parameter},
};

struct Scene {
    node: TestNode,
    platform: Platform,
    id: String,
}

impl Scene {
    fn challenged(&self, status: u16, scope: &str) {
        let error = if status == 403 { "error=\"insufficient_scope\", " } else { "" };
        let challenge = format!("Bearer {error}resource_metadata=\"{}/prm\", scope=\"{scope}\"", self.platform.url());
        self.platform.prepare(status, &[("www-authenticate", &challenge)], &json!({}));
    }

    /// Follows a link, and comes back with tokens for these scopes; what was asked for.
    async fn sign_in(&self, link: &str, granted: &str) -> String {
        let (browser, issuer) = (Browser::default(), self.platform.url());
        self.challenged(401, "read");
        self.platform.prepare(200, &[], &json!({ "resource": format!("{issuer}/mcp"), "authorization_servers": [issuer] }));
        let metadata = json!({ "issuer": issuer, "token_endpoint": format!("{issuer}/token"), "authorization_endpoint": format!("{issuer}/authorize"),
            "code_challenge_methods_supported": ["S256"] });
        self.platform.prepare(200, &[], &metadata);
        let left = browser.send(Ask::new("POST", link)).await.expect(303);
        let mut back = Url::parse(&format!("{}/oauth/callback", self.node.url)).unwrap();
        back.query_pairs_mut().append_pair("code", "c").append_pair("state", &parameter(&left, "state").unwrap());
        self.platform.prepare(200, &[], &json!({ "access_token": "t", "token_type": "Bearer", "expires_in": 3600, "scope": granted }));
        browser.send(Ask::new("GET", String::from(back))).await.expect(200);
        parameter(&left, "scope").unwrap()
    }

    async fn call(&self) -> Answer {
        self.node.post("/api/v1/mcp-tools/execute", json!({ "mcp_server_id": self.id, "tool_slug": "x" })).await
    }
}

fn link(refused: &Answer) -> Option<&str> {
    refused.sentence().split_once("passes through here: ")?.1.split(' ').next()
}

#[tokio::test]
async fn what_was_asked_for_in_vain_is_not_asked_for_again() {
    let (node, platform) = (TestNode::start().await, Platform::start().await);
    let config = json!({ "client_id": "known", "issuer": platform.url() });
    let body = json!({ "name": "Strict", "url": format!("{}/mcp", platform.url()), "auth_type": "oauth", "auth_config": config });
    platform.prepare(401, &[], &json!({}));
    let made = node.post("/api/v1/user-mcp-servers", body).await.expect(201);
    let scene = Scene { node, platform, id: made.body["id"].as_str().unwrap().to_owned() };
    scene.platform.prepare(401, &[], &json!({}));
    let refused = scene.call().await;
    assert_eq!(scene.sign_in(link(&refused).unwrap_or_else(|| panic!("{}", refused.text)), "read").await, "read");
    // More is needed: asked for together with what there is.
    scene.challenged(403, "write");
    let refused = scene.call().await;
    let more = link(&refused).unwrap_or_else(|| panic!("{}", refused.text));
    assert_eq!(scene.sign_in(more, "read").await, "read write");
    // It was not granted, and the MCP server wants it still: its own refusal is the answer, however often.
    for _ in 0..3 {
        scene.challenged(403, "write");
        let refused = scene.call().await;
        assert!(refused.status >= 400 && link(&refused).is_none(), "{}", refused.text);
    }
}
