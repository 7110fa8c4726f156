//! End users of an upstream enter headers of their own by a connect link, and calls for them send these.

use amalgam_vault::hash_token;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::support::{
    Browser, TestNode,
    upstream::{Eras, Upstream},
};

async fn manual(node: &TestNode, upstream: &Upstream) -> String {
    let body = json!({ "name": "Board", "url": upstream.url(), "transport_type": "streamable_http", "auth_type": "manual",
        "auth_config": { "headers": { "Authorization": "Bearer of-the-owner", "X-Team": "ours" } } });
    node.post("/api/v1/user-mcp-servers", body).await.expect(201).body["id"].as_str().unwrap().to_owned()
}

async fn called(node: &TestNode, upstream: &Upstream, id: &str, user: Option<&str>) -> String {
    let mut body = json!({ "mcp_server_id": id, "tool_slug": "echo", "args": {} });
    if let Some(user) = user {
        body["end_user_id"] = json!(user);
    }
    node.post("/api/v1/mcp-tools/execute", body).await.expect(200);
    upstream.of("tools/call").last().unwrap().header("authorization").to_owned()
}

#[tokio::test]
async fn end_users_send_their_own_headers() {
    let node = TestNode::start().await;
    for eras in super::ALL {
        let upstream = Upstream::start(eras).await;
        let id = manual(&node, &upstream).await;
        let made = node.post("/api/connect-links", json!({ "mcpServerId": id, "endUserId": "ann" })).await.expect(200);
        let link = made.body["link"].as_str().unwrap();
        let mut browser = Browser::default();
        let page = browser.get(link).await.expect(200);
        assert!(page.text.contains("ann") && page.text.contains("name=\"X-Team\" type=\"password\""), "{}", page.text);
        assert!(!page.text.contains("of-the-owner") && !page.text.contains("\"ours\""));
        for (fields, words) in [
            (vec![("Authorization", "Bearer of-ann")], "fill in"),
            (vec![("Authorization", "Bearer of-ann"), ("X-Team", "a\r\nX-Evil: b")], "X-Team"),
            (vec![("Authorization", "Bearer of-ann"), ("Host", "evil")], "form on this page"),
        ] {
            let again = browser.submit(link, &fields).await.expect(400);
            assert!(again.text.contains(words) && !again.text.contains("of-ann"), "{}", again.text);
        }
        assert_eq!(called(&node, &upstream, &id, Some("ann")).await, "Bearer of-the-owner");
        browser.submit(link, &[("Authorization", "Bearer of-ann"), ("X-Team", "hers")]).await.expect(200);
        assert_eq!(called(&node, &upstream, &id, Some("ann")).await, "Bearer of-ann");
        assert_eq!(called(&node, &upstream, &id, Some("bob")).await, "Bearer of-the-owner");
        assert_eq!(called(&node, &upstream, &id, None).await, "Bearer of-the-owner");
        let listed = node.get(&format!("/api/v1/mcp-connections?mcp_server_id={id}")).await.expect(200);
        let connection = &listed.body["connections"][0];
        assert_eq!((&listed.body["total"], &connection["end_user_id"], &connection["name"]), (&json!(1), &json!("ann"), &json!("Board")));
        assert!(!listed.text.contains("of-ann"), "{}", listed.text);
        let other = node.key("somebody", "member").await;
        let path = format!("/api/v1/mcp-connections/{}", connection["id"].as_str().unwrap());
        node.ask("DELETE", &path).key(&other).send().await.refuses(404, "");
        node.delete(&path).await.expect(200);
        assert_eq!(called(&node, &upstream, &id, Some("ann")).await, "Bearer of-the-owner");
        // At another address what was entered for this one is not sent.
        browser.submit(link, &[("Authorization", "Bearer of-ann"), ("X-Team", "hers")]).await.expect(200);
        let moved = Upstream::start(eras).await;
        let change = json!({ "url": moved.url(), "auth_config": { "headers": { "Authorization": "Bearer of-the-owner" } } });
        node.ask("PATCH", &format!("/api/v1/user-mcp-servers/{id}")).json(&change).send().await.expect(200);
        assert_eq!(called(&node, &moved, &id, Some("ann")).await, "Bearer of-the-owner");
    }
    let audit = node.get("/api/audit?operation=connection.create").await.expect(200);
    assert!(audit.body["total"].as_i64().unwrap() >= 6 && !audit.text.contains("of-ann"), "{}", audit.text);
}

/// The vendor's clients sign links by themselves; what another key signed, or what is too old, opens nothing.
#[tokio::test]
async fn links_are_signed_with_the_owners_key() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Dual).await;
    let id = manual(&node, &upstream).await;
    let key = node.get("/api/connect-links/key").await.expect(200).body["key"].as_str().unwrap().to_owned();
    let member = node.key("somebody", "member").await;
    let foreign = node.ask("GET", "/api/connect-links/key").key(&member).send().await.expect(200).body["key"].as_str().unwrap().to_owned();
    assert_ne!(key, foreign, "each owner has a key of their own");
    let now = i64::try_from(jsonwebtoken::get_current_timestamp()).unwrap();
    let good = json!({ "mcp_server_id": id, "owner_user_id": "admin", "end_user_id": "ann", "iss": "splox-mcp-connection", "iat": now,
        "exp": now + 3_600 });
    let sign = |algorithm: Algorithm, key: &str, claims: &Value| {
        let key = EncodingKey::from_secret(&hash_token(&format!("mcp-connection-jwt:{key}")));
        format!("{}/tools/connect?token={}", node.url, encode(&Header::new(algorithm), claims, &key).unwrap())
    };
    let with = |member: &str, value: Value| {
        let mut claims = good.clone();
        claims[member] = value;
        sign(Algorithm::HS256, &key, &claims)
    };
    let mut browser = Browser::default();
    browser.get(&sign(Algorithm::HS256, &key, &good)).await.expect(200);
    for (what, link) in [
        ("another owner's key", sign(Algorithm::HS256, &foreign, &good)),
        ("another algorithm", sign(Algorithm::HS512, &key, &good)),
        ("another owner", with("owner_user_id", json!("somebody"))),
        ("another issuer", with("iss", json!("us"))),
        ("another MCP server", with("mcp_server_id", json!("0199e001-a23b-7c8d-8000-000000000000"))),
        ("over", with("exp", json!(now - 61))),
        ("too long", with("exp", json!(now + 7_200))),
        ("from the future", with("iat", json!(now + 600))),
        ("no user", with("end_user_id", json!(""))),
        ("nothing", format!("{}/tools/connect", node.url)),
        ("garbage", format!("{}/tools/connect?token=a.b.c", node.url)),
    ] {
        let page = browser.get(&link).await;
        assert!(page.status == 401 && page.text.contains("more than an hour old"), "{what}: {} {}", page.status, page.text);
        assert_eq!(browser.submit(&link, &[("Authorization", "x"), ("X-Team", "y")]).await.status, 401, "{what}");
    }
    node.ask("POST", "/api/connect-links").key(&member).json(&json!({ "mcpServerId": id, "endUserId": "x" })).send().await.refuses(404, "");
    assert_eq!(node.get("/api/v1/mcp-connections").await.expect(200).body["total"], 0);
}
