//! Credentials: entered, chosen, sent where they belong, never shown. Incident 10.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, TestNode, mcp::call, mcp::tool, shop};

#[tokio::test]
async fn each_kind_is_sent_where_it_belongs() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    for (user, kind, fields, header, value) in [
        ("key", "apiKey", json!({ "apiKey": "k-12345678" }), "x-shop-key", "k-12345678"),
        ("token", "bearer", json!({ "token": "t-12345678" }), "authorization", "Bearer t-12345678"),
        (
            "login",
            "basic",
            json!({ "username": "Aladdin", "password": "open sesame" }),
            "authorization",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
    ] {
        let arguments = json!({ "connectorId": "shop", "authenticationType": kind, "fields": fields });
        let made = tool(server.ask().user(user), "create_credential_alloy", arguments).await;
        let id = made.json["credentialId"].as_str().unwrap_or_else(|| panic!("{}", made.text)).to_owned();
        assert!(id.len() == 24 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)), "{id}");
        assert!(!made.answer.text.contains("12345678") && !made.answer.text.contains("sesame"));
        tool(server.ask().user(user), "execute_action_alloy", call("shop", "listItems", json!({}))).await.ok();
        assert_eq!(platform.last().header(header), value);
        let headers = ["x-shop-key", "authorization"].iter().filter(|name| !platform.last().header(name).is_empty()).count();
        assert_eq!(headers, 1, "no other credential goes with it");
        for path in ["/connectors/shop/credentials".to_owned(), format!("/users/{user}/credentials")] {
            let listed = node.ask("GET", &path).user(user).send().await.expect(200);
            assert!(listed.text.contains(&id) && listed.text.contains(&format!("shop-{kind}")), "{}", listed.text);
            assert!(!listed.text.contains("12345678") && !listed.text.contains("sesame"), "{}", listed.text);
        }
    }
}

#[tokio::test]
async fn wrong_fields_are_named_and_never_repeated() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    for (kind, fields, words) in [
        ("apiKey", json!({}), "apiKey"),
        ("apiKey", json!({ "apiKey": "" }), "apiKey"),
        ("apiKey", json!({ "apiKey": 7 }), "apiKey"),
        ("apiKey", json!({ "apiKey": "hush-hush-1", "extra": "hush-hush-2" }), "extra"),
        ("apiKey", json!({ "apikey": "hush-hush-1" }), "apiKey"),
        ("basic", json!({ "password": "hush-hush-3" }), "username"),
        ("bearer", json!({ "token": "hush\r\nX-Evil: hush-hush" }), "token"),
        ("oauth1", json!({ "token": "hush-hush" }), "authenticationType"),
        ("oauth2", json!({}), "authenticationType"),
    ] {
        let arguments = json!({ "connectorId": "shop", "authenticationType": kind, "fields": fields });
        let refused = server.tool("create_credential_alloy", arguments).await;
        refused.refuses(words);
        assert!(!refused.text.contains("hush-hush"), "{}", refused.text);
        let twin = node.post("/connectors/shop/credentials", json!({ "authenticationType": kind, "data": fields })).await;
        twin.refuses(400, words);
        assert!(!twin.text.contains("hush-hush"), "{}", twin.text);
    }
    let both = json!({ "authenticationType": "apiKey", "data": { "apiKey": "a" }, "fields": { "apiKey": "b" } });
    node.post("/connectors/shop/credentials", both).await.refuses(400, "not both");
    assert_eq!(node.get("/connectors/shop/credentials").await.body, json!({ "credentials": [] }));
}

#[tokio::test]
async fn argument_goes_before_header_and_header_before_the_newest() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    let missing = server.execute("shop", "listItems", json!({})).await;
    missing.refuses("Credential not found");
    assert!(missing.text.contains("create_credential_alloy"), "the way out is named: {}", missing.text);
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(shop::credential(&node, "admin", "apiKey", json!({ "apiKey": format!("key-number-{n}") })).await);
        if n == 0 {
            let only = server.execute("shop", "createItem", json!({ "name": "x" })).await.ok();
            assert!(only.get("credentialId").is_none(), "a single credential needs no mention: {only}");
        }
    }
    let execute = async |argument: Option<&str>, header: Option<&str>| {
        let mut arguments = call("shop", "createItem", json!({ "name": "x" }));
        if let Some(id) = argument {
            arguments["credentialId"] = json!(id);
        }
        let ask = match header {
            Some(id) => server.ask().header("x-credential-id", id),
            None => server.ask(),
        };
        let answer = tool(ask, "execute_action_alloy", arguments).await.ok();
        (platform.last().header("x-shop-key").to_owned(), answer["credentialId"].clone())
    };
    assert_eq!(execute(None, None).await, ("key-number-2".to_owned(), json!(ids[2])), "the newest, and it is named");
    assert_eq!(execute(None, Some(&ids[1])).await, ("key-number-1".to_owned(), Value::Null));
    assert_eq!(execute(Some(&ids[0]), Some(&ids[1])).await, ("key-number-0".to_owned(), Value::Null));
    let twin = async |body: Value, header: Option<&str>| {
        let ask = node.ask("POST", "/connectors/shop/actions/createItem/execute");
        let ask = match header {
            Some(id) => ask.header("x-credential-id", id),
            None => ask,
        };
        let answer = ask.json(&body).send().await.expect(200);
        (platform.last().header("x-shop-key").to_owned(), answer.body["credentialId"].clone())
    };
    let parameters = json!({ "parameters": { "name": "x" } });
    assert_eq!(twin(parameters.clone(), None).await, ("key-number-2".to_owned(), json!(ids[2])));
    assert_eq!(twin(parameters.clone(), Some(&ids[1])).await.0, "key-number-1");
    let named = json!({ "parameters": { "name": "x" }, "credentialId": ids[0] });
    assert_eq!(twin(named, Some(&ids[1])).await.0, "key-number-0");
}

/// Incident 8: an id is no right. Another user's credential, and one for another connector, are not found.
#[tokio::test]
async fn foreign_credentials_are_not_found() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    shop::import(&node, "shop2", &platform, shop::document()).await;
    let server = node.server(json!({ "name": "S" })).await;
    let anns = shop::credential(&node, "ann", "apiKey", json!({ "apiKey": "key-of-ann" })).await;
    shop::credential(&node, "bob", "apiKey", json!({ "apiKey": "key-of-bob" })).await;
    let slack = json!({ "authenticationType": "bearer", "data": { "token": "xoxb-12345678" }, "userId": "bob" });
    let slack = node.post("/connectors/slack/credentials", slack).await.expect(200).body["credentialId"].as_str().unwrap().to_owned();
    let mut texts = Vec::new();
    for id in [anns.as_str(), slack.as_str(), "0123456789abcdef01234567", "nonsense", "' or 1=1 --"] {
        let mut arguments = call("shop", "listItems", json!({}));
        arguments["credentialId"] = json!(id);
        let refused = tool(server.ask().user("bob"), "execute_action_alloy", arguments).await;
        refused.refuses("Credential not found");
        texts.push(refused.text);
        let twin = node.ask("POST", "/connectors/shop/actions/listItems/execute").user("bob").json(&json!({ "credentialId": id }));
        let twin = twin.send().await;
        twin.refuses(400, "Credential not found");
        assert_eq!(twin.body["error"]["code"], "CREDENTIAL_NOT_FOUND");
        let delete = node.ask("DELETE", &format!("/connectors/shop/credentials/{}", id.replace(' ', "%20").replace('\'', "%27")));
        delete.user("bob").send().await.refuses(404, "credential");
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "all alike: {texts:?}");
    assert_eq!(platform.count(), 0);
    node.ask("DELETE", &format!("/connectors/shop/credentials/{anns}")).user("ann").send().await.expect(200);
    tool(server.ask().user("ann"), "execute_action_alloy", call("shop", "listItems", json!({}))).await.refuses("Credential not found");
}

/// Incident 10: what a platform repeats of a secret does not reach the answer.
#[tokio::test]
async fn echoed_secrets_are_removed() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    for (user, kind, data, secrets) in [
        (
            "a",
            "apiKey",
            json!({ "apiKey": "sec\"ret-key-1234" }),
            vec!["sec\"ret-key-1234", "sec\\\"ret-key-1234", "sec\\\\\\\"ret-key-1234"],
        ),
        ("b", "bearer", json!({ "token": "secret-token-1234" }), vec!["secret-token-1234"]),
        ("d", "basic", json!({ "username": "sk-alone-12345678" }), vec!["sk-alone-12345678", "c2stYWxvbmUtMTIzNDU2Nzg6"]),
        (
            "c",
            "basic",
            json!({ "username": "someone", "password": "secret-password" }),
            vec!["secret-password", "c29tZW9uZTpzZWNyZXQtcGFzc3dvcmQ="],
        ),
    ] {
        shop::credential(&node, user, kind, data).await;
        for what in ["echo", "echo-error"] {
            let arguments = call("shop", "misbehave", json!({ "id": what }));
            let heard = tool(server.ask().user(user), "execute_action_alloy", arguments).await;
            assert_eq!(heard.is_error, what == "echo-error");
            let twin =
                node.ask("POST", "/connectors/shop/actions/misbehave/execute").user(user).json(&json!({ "parameters": { "id": what } }));
            let twin = twin.send().await;
            for secret in &secrets {
                assert!(!heard.text.contains(secret), "{kind} {what}: {}", heard.text);
                assert!(!twin.text.contains(secret), "{kind} {what}: {}", twin.text);
            }
        }
    }
}

#[tokio::test]
async fn a_deleted_user_leaves_no_credentials() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let user = node.post("/users", json!({ "username": "ann", "fullName": "Ann" })).await.expect(201);
    let id = user.body["userId"].as_str().unwrap().to_owned();
    node.post("/users", json!({ "username": "ann" })).await.refuses(409, "");
    shop::credential(&node, &id, "apiKey", json!({ "apiKey": "key-of-ann" })).await;
    assert_eq!(node.get(&format!("/users/{id}/credentials")).await.body["data"].as_array().unwrap().len(), 1);
    node.delete(&format!("/users/{id}")).await.expect(200);
    assert_eq!(node.get(&format!("/users/{id}/credentials")).await.body["data"], json!([]));
    node.get(&format!("/users/{id}")).await.refuses(404, "user");
}

/// Requests that come at the same time do not get past the limits together.
#[tokio::test]
async fn limits_of_number_hold_for_parallel_requests() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    let body = json!({ "authenticationType": "apiKey", "data": { "apiKey": "12345678" } });
    let credentials = (0..130).map(|_| node.post("/connectors/shop/credentials", body.clone()));
    let workflow = json!({ "steps": [{ "connectorId": "shop", "actionId": "listItems" }] });
    let path = |n: usize| format!("/api/servers/{}/workflows/w{n}", server.id);
    let paths: Vec<String> = (0..230).map(path).collect();
    let workflows = paths.iter().map(|path| node.put(path, workflow.clone()));
    let (credentials, workflows) = tokio::join!(join_all(credentials), join_all(workflows));
    let count = |answers: &[Answer], status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(&credentials, 200), count(&credentials, 409)), (100, 30));
    assert_eq!((count(&workflows, 201), count(&workflows, 409)), (200, 30));
    assert_eq!(node.get("/connectors/shop/credentials").await.body["credentials"].as_array().unwrap().len(), 100);
    let kept = workflows.iter().position(|answer| answer.status == 201).unwrap();
    node.put(&path(kept), workflow.clone()).await.expect(200);
}
