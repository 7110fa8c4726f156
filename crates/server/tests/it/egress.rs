//! What leaves the node, and where to: private addresses, redirects, hosts of a credential.

use serde_json::json;

use crate::support::{Platform, TestNode, shop};

/// Without the operator's word no connector reaches a private address, however it is written.
#[tokio::test]
async fn private_addresses_are_refused_however_they_are_written() {
    let node = TestNode::with(|config| config.egress_allow = Vec::new()).await;
    let platform = Platform::start().await;
    let port = platform.address.port();
    let server = node.server(json!({ "name": "S" })).await;
    for (n, host) in [
        "127.0.0.1",
        "localhost",
        "0.0.0.0",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::]",
        "[64:ff9b::7f00:1]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "[fe80::1]",
        "[fd00::1]",
    ]
    .iter()
    .enumerate()
    {
        let body = json!({ "id": format!("c{n}"), "baseUrl": format!("http://{host}:{port}"), "spec": shop::open_document() });
        let made = node.post("/api/connectors", body).await;
        if made.status == 400 {
            continue;
        }
        made.expect(201);
        let refused = server.execute(&format!("c{n}"), "listItems", json!({})).await;
        assert!(refused.is_error, "{host}: {}", refused.text);
        assert!(refused.text.contains("--egress-allow") || refused.text.contains("cannot be sent"), "{host}: {}", refused.text);
    }
    assert_eq!(platform.count(), 0, "{:?}", platform.seen());
}

/// A redirect does not carry a credential to another host, nor a call into the private network.
#[tokio::test]
async fn redirects_are_judged_again() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let elsewhere = Platform::start().await;
    let server = node.server(json!({ "name": "S" })).await;
    shop::credential(&node, "admin", "apiKey", json!({ "apiKey": "key-for-shop-only" })).await;
    let follow = async |connector: &str, to: String| server.execute(connector, "misbehave", json!({ "id": "redirect", "to": to })).await;
    // To the same host: followed, with the credential.
    follow("shop", "/items/1".to_owned()).await.ok();
    assert_eq!((platform.last().target.as_str(), platform.last().header("x-shop-key")), ("/items/1", "key-for-shop-only"));
    // To another one: the secret stays, whether the call goes there or not.
    let crossed = follow("shop", format!("{}/items/2", elsewhere.url())).await;
    assert!(!crossed.text.contains("key-for-shop-only"));
    for seen in elsewhere.seen() {
        assert!(seen.headers.iter().all(|(_, value)| !value.contains("key-for-shop-only")), "{seen:?}");
    }
    follow("open", format!("{}/items/3", elsewhere.url())).await.ok();
    assert_eq!(elsewhere.last().target, "/items/3");
    let before = (platform.count(), elsewhere.count());
    for to in ["http://10.0.0.1/", "http://169.254.169.254/latest/meta-data/", "http://[::1]/", "file:///etc/passwd", "gopher://127.0.0.1/"]
    {
        assert!(follow("open", to.to_owned()).await.is_error, "{to}");
    }
    assert_eq!((platform.count(), elsewhere.count()), (before.0 + 5, before.1), "only the first hop of each was made");
    let before = platform.count();
    server.execute("open", "misbehave", json!({ "id": "round" })).await.refuses("redirect");
    assert!(platform.count() - before < 30, "a circle is left early");
}

/// The host is the connector's; nothing that a caller sends chooses another.
#[tokio::test]
async fn callers_do_not_choose_the_host() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let elsewhere = Platform::start().await;
    let server = node.server(json!({ "name": "S" })).await;
    shop::credential(&node, "admin", "apiKey", json!({ "apiKey": "key-for-shop-only" })).await;
    for name in ["baseUrl", "base_url", "server", "host", "url"] {
        server.execute("shop", "listItems", json!({ name: elsewhere.url() })).await.refuses(name);
        let body = json!({ "authenticationType": "apiKey", "data": { "apiKey": "12345678", name: elsewhere.url() } });
        node.post("/connectors/shop/credentials", body).await.refuses(400, name);
    }
    assert_eq!((elsewhere.count(), platform.count()), (0, 0));
}

/// An account's admin may move a connector to another address; the secrets that were entered for the old one stay behind.
#[tokio::test]
async fn a_new_base_url_takes_effect_without_the_old_secrets() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let elsewhere = Platform::start().await;
    let server = node.server(json!({ "name": "S" })).await;
    let old = shop::credential(&node, "admin", "apiKey", json!({ "apiKey": "key-for-shop-only" })).await;
    server.execute("open", "getItem", json!({ "id": "1" })).await.ok();
    server.execute("shop", "getItem", json!({ "id": "1" })).await.ok();
    for id in ["open", "shop"] {
        node.put(&format!("/api/connectors/{id}"), json!({ "baseUrl": elsewhere.url() })).await.expect(200);
    }
    server.execute("open", "getItem", json!({ "id": "2" })).await.ok();
    server.execute("shop", "getItem", json!({ "id": "2" })).await.refuses("has changed");
    assert_eq!((platform.count(), elsewhere.count()), (2, 1));
    let new = shop::credential(&node, "admin", "apiKey", json!({ "apiKey": "key-for-elsewhere" })).await;
    assert_ne!(new, old);
    server.execute("shop", "getItem", json!({ "id": "2" })).await.ok();
    assert_eq!(elsewhere.last().header("x-shop-key"), "key-for-elsewhere");
}
