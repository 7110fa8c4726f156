//! Passwords: who has one, how often one may be tried, and what ends with one.

use serde_json::{Value, json};

use crate::support::{
    TestNode,
    sign_in::{Browser, Client, PASSWORD, form, request_of, user},
};

#[tokio::test]
async fn admins_set_and_take_away_passwords() {
    let node = TestNode::start().await;
    let ann = user(&node, "ann").await;
    let server = node.server(json!({ "name": "Tools", "isPublic": true })).await;
    let client = Client::register(&node, &server.url).await;
    for body in [json!({}), json!({ "password": "short" }), json!({ "password": "x".repeat(1_001) }), json!({ "other": 1 })] {
        node.put(&format!("/users/{ann}/password"), body).await.expect(400);
    }
    node.post("/users", json!({ "username": "bob", "password": "short" })).await.refuses(400, "12 characters");
    node.post("/users", json!({ "username": "bob", "userId": "" })).await.refuses(400, "userId");
    node.post("/users", json!({ "username": "bob", "userId": ann })).await.refuses(409, "exists already");
    node.put("/users/nobody/password", json!({ "password": PASSWORD })).await.refuses(404, "user");
    let member = node.key(&ann, "member").await;
    let own = format!("/users/{ann}/password");
    node.ask("PUT", &own).key(&member).json(&json!({ "password": PASSWORD })).send().await.expect(403);
    node.ask("DELETE", &own).key(&member).send().await.expect(403);

    let shown = node.get(&format!("/users/{ann}")).await.expect(200);
    assert!(shown.body["passwordSetAt"].is_string() && !shown.text.contains("argon2"), "{}", shown.text);
    let tokens = client.tokens("ann").await;
    let next = "another password of ann";
    node.put(&own, json!({ "password": next })).await.expect(200);
    // What was allowed with the old password has ended.
    client.call(&tokens.access, "ping", json!({})).await.expect(401);
    let browser = Browser::default();
    let page = client.authorize(&browser, &client.fields()).await.expect(200);
    let page = client.sign_in(&browser, &page, "ann", PASSWORD).await.expect(401);
    let page = client.sign_in(&browser, &page, "ann", next).await.expect(200);
    // So has a sign-in: who is in a browser is asked again.
    node.delete(&own).await.expect(200);
    let page = client.decide(&browser, &page, "allow").await.expect(200);
    let page = client.sign_in(&browser, &page, "ann", next).await.expect(401);
    assert!(page.text.contains("The name or the password is wrong."), "{}", page.text);
    let shown = node.get(&format!("/users/{ann}")).await.expect(200);
    assert_eq!(shown.body["passwordSetAt"], Value::Null);
}

#[tokio::test]
async fn a_deleted_user_is_signed_out() {
    let node = TestNode::start().await;
    let ann = user(&node, "ann").await;
    let server = node.server(json!({ "name": "Tools", "isPublic": true })).await;
    let client = Client::register(&node, &server.url).await;
    let tokens = client.tokens("ann").await;
    client.call(&tokens.access, "ping", json!({})).await.expect(200);
    node.delete(&format!("/users/{ann}")).await.expect(200);
    client.call(&tokens.access, "ping", json!({})).await.expect(401);
    client.refresh(&tokens.refresh).await.expect(400);
}

/// OAuth 2.1, 7.4 and NIST SP 800-63B: guessing is bounded, and says nothing about who exists.
#[tokio::test]
async fn guessing_is_bounded_and_learns_nothing() {
    let node = TestNode::start().await;
    user(&node, "ann").await;
    let server = node.server(json!({ "name": "Tools", "isPublic": true })).await;
    let nothing = format!("{}/mcp/nothing-aaaaaaaa", node.url);
    let client = Client::register(&node, &server.url).await;
    let absent = Client { node: node.url.clone(), resource: nothing, id: client.id.clone() };
    let answers = async |client: &Client, name: &str| {
        let browser = Browser::default();
        let page = client.authorize(&browser, &client.fields()).await.expect(200);
        let shown = client.sign_in(&browser, &page, name, "a wrong password").await;
        (shown.status, shown.text.contains("The name or the password is wrong."))
    };
    // A user who exists, one who does not, and a server that does not.
    assert_eq!(answers(&client, "ann").await, (401, true));
    assert_eq!(answers(&client, "nobody").await, (401, true));
    assert_eq!(answers(&absent, "ann").await, (401, true));
    let browser = Browser::default();
    let mut page = client.authorize(&browser, &client.fields()).await.expect(200);
    for _ in 0..9 {
        page = client.sign_in(&browser, &page, "ann", "a wrong password").await.expect(401);
    }
    // Not even the right one, until a minute has passed; neither other names nor the same one elsewhere are held up.
    page = client.sign_in(&browser, &page, "ann", PASSWORD).await.expect(429);
    assert!(page.text.contains("too many attempts"), "{}", page.text);
    client.sign_in(&browser, &page, "bob", PASSWORD).await.expect(401);
    let from = async |source: &str, name: &str| {
        let browser = Browser::default();
        let page = client.authorize(&browser, &client.fields()).await.expect(200);
        let (request, url) = (request_of(&page), format!("{}/oauth/sign-in", node.url));
        let fields = [("request", request.as_str()), ("username", name), ("password", PASSWORD)];
        browser.send(form(url, &fields).header("x-forwarded-for", source)).await.status
    };
    assert_eq!(from("203.0.113.9", "ann").await, 200);
    // One address tries no more than so many names; a network of IPv6 is one address.
    for n in 0..60 {
        assert_eq!(from(&format!("2001:db8::{n}"), &format!("nobody-{n}")).await, 401);
    }
    assert_eq!(from("2001:db8::ffff", "ann").await, 429);
    assert_eq!(from("2001:db8:0:1::1", "ann").await, 200);
}

/// A password that is changed at the moment of consent, or a user who is deleted then, leaves no grant behind.
#[tokio::test]
async fn a_change_of_the_password_and_a_grant_do_not_pass_each_other() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "Tools", "isPublic": true })).await;
    let client = Client::register(&node, &server.url).await;
    for round in 0..10 {
        let name = format!("user-{round}");
        let id = user(&node, &name).await;
        let browser = Browser::default();
        let page = client.authorize(&browser, &client.fields()).await.expect(200);
        let page = client.sign_in(&browser, &page, &name, PASSWORD).await.expect(200);
        let path = format!("/users/{id}");
        let change = async {
            match round % 2 {
                0 => node.delete(&format!("{path}/password")).await.expect(200),
                _ => node.delete(&path).await.expect(200),
            }
        };
        let (decided, _) = tokio::join!(client.decide(&browser, &page, "allow"), change);
        assert!(matches!(decided.status, 200 | 303), "{}", decided.text);
        assert_eq!(node.number("select count(*) from grants").await, 0, "round {round}");
    }
}

/// A name of one account is another person in another one.
#[tokio::test]
async fn names_end_at_the_account() {
    let node = TestNode::start().await;
    user(&node, "ann").await;
    let other = node.account("other").await;
    let theirs = node.ask("POST", "/api/servers").key(&other).json(&json!({ "name": "Theirs", "isPublic": true })).send().await.expect(201);
    let client = Client::register(&node, theirs.body["url"].as_str().unwrap()).await;
    let browser = Browser::default();
    let page = client.authorize(&browser, &client.fields()).await.expect(200);
    client.sign_in(&browser, &page, "ann", PASSWORD).await.expect(401);
    // Signed in to one account, a browser is asked again for the other.
    let ours = node.server(json!({ "name": "Ours", "isPublic": true })).await;
    let here = Client { node: node.url.clone(), resource: ours.url, id: client.id.clone() };
    let page = here.authorize(&browser, &here.fields()).await.expect(200);
    here.sign_in(&browser, &page, "ann", PASSWORD).await.expect(200);
    let page = client.authorize(&browser, &client.fields()).await.expect(200);
    assert!(page.text.contains("type=\"password\""), "{}", page.text);
}
