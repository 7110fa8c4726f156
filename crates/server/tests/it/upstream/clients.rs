//! What we are at the authorization server of an upstream: registered once, and not without end.

use serde_json::{Value, json};

use super::authorization::{Scene, scene};
use crate::support::{
    Ask, Platform, TestNode,
    sign_in::{Browser, parameter},
};

/// All users of an upstream are known at its authorization server by one client; once that is forgotten there, by another one.
#[tokio::test]
async fn users_share_one_registration() {
    let mut scene = scene().await;
    let client = async |scene: &Scene, user: &str| {
        let left = scene.leave(&Browser::default(), &scene.link(user).await).await;
        parameter(&left, "client_id").unwrap()
    };
    let (ann, bob) = tokio::join!(client(&scene, "ann"), client(&scene, "bob"));
    assert_eq!(ann, bob);
    // It is kept, sealed, and goes with the upstream. After a while the other side is asked whether it still knows it.
    scene.node.sql("update upstream_clients set known_at = 1").await;
    scene.node.restart().await;
    assert_eq!(client(&scene, "cleo").await, ann);
    assert_eq!(scene.node.number("select count(*) from upstream_clients where known_at > 1").await, 1);
    scene.sign_in("cleo", "ann").await;
    let kept = scene.node.number("select count(*) from upstream_clients where sealed not like '%client_id%'").await;
    assert_eq!(kept, 1);
    // Its secret has ended.
    scene.node.sql("update upstream_clients set expires_at = 1").await;
    let second = client(&scene, "bob").await;
    assert_ne!(second, ann);
    // The other side knows nobody any more, as after the loss of what it keeps: nobody is sent there as somebody unknown.
    scene.far.sql("delete from data_keys").await;
    scene.far.restart().await;
    scene.node.sql("update upstream_clients set known_at = 1").await;
    let third = client(&scene, "bob").await;
    assert_ne!(third, second);
    assert_eq!(client(&scene, "ann").await, third);
    scene.node.delete(&scene.path()).await.expect(200);
    assert_eq!(scene.node.number("select count(*) from upstream_clients").await, 0);
}

/// A server that forgets whom it registers does not have us register without end.
#[tokio::test]
async fn registrations_are_bounded() {
    let (node, platform) = (TestNode::start().await, Platform::start().await);
    let (url, issuer) = (format!("{}/mcp", platform.url()), platform.url());
    let made = node.post("/api/v1/user-mcp-servers", json!({ "name": "Forgetful", "url": url, "auth_type": "oauth" })).await.expect(201);
    let path = format!("/api/v1/user-mcp-servers/{}/sign-in", made.body["id"].as_str().unwrap());
    let metadata = json!({ "issuer": issuer, "token_endpoint": format!("{issuer}/token"), "authorization_endpoint": format!("{issuer}/authorize"),
        "registration_endpoint": format!("{issuer}/register"), "code_challenge_methods_supported": ["S256"] });
    for n in 0..22 {
        platform.prepare(401, &[("www-authenticate", &format!("Bearer resource_metadata=\"{issuer}/prm\""))], &json!({}));
        platform.prepare(200, &[], &json!({ "resource": url, "authorization_servers": [issuer] }));
        platform.prepare(200, &[], &metadata);
        if n > 0 {
            platform.prepare(401, &[], &json!({ "error": "invalid_client" }));
        }
        if n < 20 {
            platform.prepare(201, &[], &json!({ "client_id": format!("c{n}") }));
        }
        node.sql("update upstream_clients set known_at = 1").await;
        let link = node.post(&path, json!({})).await.expect(200).body["url"].as_str().unwrap().to_owned();
        let answer = Ask::new("POST", &link).send().await;
        if n < 20 {
            assert_eq!(parameter(&answer.expect(303), "client_id"), Some(format!("c{n}")));
        } else {
            assert!(answer.status == 429 && answer.text.contains("does not keep what it registers"), "{}", answer.text);
        }
    }
    assert_eq!(platform.seen().iter().filter(|seen| seen.target == "/register").count(), 20);
}

/// A secret that ended before it was given is one that does not end: else every sign-in would register once more.
#[tokio::test]
async fn a_registration_that_is_over_at_once_is_kept() {
    let (node, platform) = (TestNode::start().await, Platform::start().await);
    let (url, issuer) = (format!("{}/mcp", platform.url()), platform.url());
    let made = node.post("/api/v1/user-mcp-servers", json!({ "name": "Relative", "url": url, "auth_type": "oauth" })).await.expect(201);
    let path = format!("/api/v1/user-mcp-servers/{}/sign-in", made.body["id"].as_str().unwrap());
    let metadata = json!({ "issuer": issuer, "token_endpoint": format!("{issuer}/token"), "authorization_endpoint": format!("{issuer}/authorize"),
        "registration_endpoint": format!("{issuer}/register"), "code_challenge_methods_supported": ["S256"] });
    let sign_in = async |registered: Option<Value>| {
        platform.prepare(401, &[("www-authenticate", &format!("Bearer resource_metadata=\"{issuer}/prm\""))], &json!({}));
        platform.prepare(200, &[], &json!({ "resource": url, "authorization_servers": [issuer] }));
        platform.prepare(200, &[], &metadata);
        if let Some(registered) = registered {
            platform.prepare(201, &[], &registered);
        }
        let link = node.post(&path, json!({})).await.expect(200).body["url"].as_str().unwrap().to_owned();
        Ask::new("POST", &link).send().await
    };
    // What nobody could use is kept for nobody.
    for (registered, words) in [
        (json!({ "client_id": "" }), "no `client_id`"),
        (json!({ "client_id": "c", "client_secret": "s", "token_endpoint_auth_method": "private_key_jwt" }), "cannot be used"),
        (json!({ "client_id": "c", "client_secret": "s", "token_endpoint_auth_method": "by_pigeon" }), "by_pigeon is not supported"),
    ] {
        let refused = sign_in(Some(registered)).await;
        assert!(refused.status == 502 && refused.text.contains(words), "{words} is not in {}", refused.text);
    }
    let registered = json!({ "client_id": "kept", "client_secret": "s", "client_secret_expires_at": 3_600 });
    for registered in [Some(registered), None, None] {
        assert_eq!(parameter(&sign_in(registered).await.expect(303), "client_id").as_deref(), Some("kept"));
    }
    assert_eq!(platform.seen().iter().filter(|seen| seen.target == "/register").count(), 4);
}
