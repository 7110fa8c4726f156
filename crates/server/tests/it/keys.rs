//! `/api/keys`: shown once, hashed, with roles, and never the last admin key revoked.

use serde_json::json;

use crate::support::{Ask, TestNode, contains, does_not_apply, node::ADMIN_KEY};

#[tokio::test]
async fn a_key_is_shown_once_and_ends_when_it_is_revoked() {
    let node = TestNode::start().await;
    let made = node.post("/api/keys", json!({ "name": "CI", "role": "admin" })).await.expect(201);
    let (id, key) = (made.body["id"].as_str().unwrap(), made.body["key"].as_str().unwrap());
    assert_eq!(made.body["userId"], "admin");
    assert!(made.body["expiresAt"].is_null());
    let list = node.get("/api/keys").await.expect(200);
    assert_eq!(list.body["count"], 2);
    assert!(!list.text.contains(key) && !list.text.contains(ADMIN_KEY));
    assert!(
        key.starts_with(list.body["keys"].as_array().unwrap().iter().find(|shown| shown["id"] == id).unwrap()["hint"].as_str().unwrap())
    );
    let ask = || Ask::new("GET", format!("{}/api/servers", node.url)).key(key);
    ask().send().await.expect(200);
    node.delete(&format!("/api/keys/{id}")).await.expect(200);
    let refused = ask().send().await.expect(401);
    let unknown = Ask::new("GET", format!("{}/api/servers", node.url)).key("amk_unknown").send().await.expect(401);
    assert_eq!(refused.text, unknown.text, "one wording");
    node.delete(&format!("/api/keys/{id}")).await.refuses(404, "No such key");
}

#[tokio::test]
async fn the_last_admin_key_stays() {
    let node = TestNode::start().await;
    let first = node.get("/api/keys").await.body["keys"][0]["id"].as_str().unwrap().to_owned();
    node.key("someone", "member").await;
    node.delete(&format!("/api/keys/{first}")).await.refuses(409, "last admin key");
    let second = node.key("boss", "admin").await;
    node.delete(&format!("/api/keys/{first}")).await.expect(200);
    node.get("/api/keys").await.expect(401);
    Ask::new("GET", format!("{}/api/keys", node.url)).key(&second).send().await.expect(200);
}

/// An admin key that is about to expire does not count as one that can get in. Whoever is left must be able to.
#[tokio::test]
async fn expiry_is_checked_and_shown() {
    let node = TestNode::start().await;
    let made = node.post("/api/keys", json!({ "expiresInDays": 30 })).await.expect(201);
    assert!(made.body["expiresAt"].is_string());
    assert_eq!(made.body["role"], "member");
    for wrong in [json!(0), json!(3651), json!("x"), json!(-1), json!(1.5)] {
        node.post("/api/keys", json!({ "expiresInDays": wrong })).await.refuses(400, "expiresInDays");
    }
    for (body, field) in [
        (json!({ "name": "" }), "name"),
        (json!({ "name": "x".repeat(101) }), "name"),
        (json!({ "role": "owner" }), "role"),
        (json!({ "userId": "" }), "userId"),
        (json!({ "userId": "x".repeat(10_001) }), "userId"),
        (json!({ "userId": "a\u{0}b" }), "userId"),
    ] {
        node.post("/api/keys", body).await.refuses(400, field);
    }
}

#[tokio::test]
async fn members_stay_within_themselves() {
    let node = TestNode::start().await;
    let key = node.key("mia", "member").await;
    let ask = |method: &str, path: &str| node.ask(method, path).key(&key);
    ask("POST", "/api/keys").json(&json!({ "role": "admin" })).send().await.refuses(403, "admin");
    ask("POST", "/api/keys").json(&json!({ "userId": "someone" })).send().await.refuses(403, "admin");
    ask("POST", "/api/keys").json(&json!({ "name": "second" })).send().await.expect(201);
    let own = ask("GET", "/api/keys").send().await.expect(200);
    assert_eq!(own.body["count"], 2, "only the own keys are listed: {}", own.text);
    let admins = node.get("/api/keys").await;
    let foreign = admins.body["keys"].as_array().unwrap().iter().find(|key| key["role"] == "admin").unwrap()["id"].as_str().unwrap();
    ask("DELETE", &format!("/api/keys/{foreign}")).send().await.refuses(404, "No such key");
    let admin_only = [
        ("POST", "/api/connectors"),
        ("POST", "/api/jwt-issuers"),
        ("POST", "/api/accounts"),
        ("GET", "/api/accounts"),
        ("GET", "/users"),
        ("POST", "/users"),
    ];
    for (method, path) in admin_only {
        let answer = if method == "GET" { ask(method, path).send().await } else { ask(method, path).json(&json!({})).send().await };
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text);
    }
}

/// No secret in the clear in the database, its log or its other files.
#[tokio::test]
async fn nothing_in_the_data_directory_holds_a_secret() {
    let mut node = TestNode::start().await;
    if !node.is_sqlite() {
        return does_not_apply("nothing_in_the_data_directory_holds_a_secret", "PostgreSQL keeps its files itself; `./test tests` runs it");
    }
    let server = node.server(json!({ "name": "Sealed" })).await;
    let key = node.key("mia", "member").await;
    let jwt_secret = "jwt-secret-0123456789-0123456789-abc";
    node.post("/api/jwt-issuers", json!({ "issuer": "https://id.example", "secret": jwt_secret })).await.expect(201);
    let body = json!({ "authenticationType": "bearer", "data": { "token": "xoxb-very-secret-platform-token" } });
    node.post("/connectors/slack/credentials", body).await.expect(200);
    let session = server.session().await;
    let search = |what: &str| {
        let mut files = 0;
        for entry in std::fs::read_dir(node.directory()).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            files += 1;
            for secret in [&server.token, &key, &session, ADMIN_KEY, jwt_secret, "xoxb-very-secret-platform-token"] {
                assert!(!contains(&bytes, secret.as_bytes()), "{what}: {secret} stands in {}", path.display());
            }
        }
        assert!(files >= 3, "database, key and lock are there");
    };
    search("while it runs, with the write-ahead log");
    node.stop().await;
    let search_again = std::fs::read(node.directory().join("amalgam.db")).unwrap();
    assert!(contains(&search_again, server.id.as_bytes()), "the search would find what is there");
    for secret in [&server.token, &key, ADMIN_KEY, jwt_secret, "xoxb-very-secret-platform-token"] {
        assert!(!contains(&search_again, secret.as_bytes()), "{secret} stands in the database");
    }
}
