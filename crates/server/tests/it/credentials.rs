//! Credentials: entered, chosen, sent where they belong, never shown.

use serde_json::{Value, json};

use crate::support::{Server, TestNode, mcp::call, mcp::tool, shop};

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

/// What the connector's way of sending could not carry is refused when it is entered, not at the first call.
#[tokio::test]
async fn what_cannot_be_sent_is_refused_at_once() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    for (kind, fields, field) in [
        ("apiKey", json!({ "apiKey": "hüsh-hush-1" }), Some("fields.apiKey")),
        ("apiKey", json!({ "apiKey": "hush\u{7f}hush-1" }), Some("fields.apiKey")),
        ("bearer", json!({ "token": "hush\u{1}hush-1" }), Some("fields.token")),
        ("bearer", json!({ "token": "hush\u{1f4a5}hush-1" }), Some("fields.token")),
        ("basic", json!({ "username": "hush:hush-1", "password": "x" }), Some("fields.username")),
        // What is encoded may be anything.
        ("basic", json!({ "username": "müller", "password": "hüsh:hush-1" }), None),
    ] {
        let body = json!({ "authenticationType": kind, "data": fields });
        let answer = node.post("/connectors/shop/credentials", body).await;
        match field {
            Some(field) => {
                answer.refuses(400, field.strip_prefix("fields.").unwrap());
                assert_eq!(answer.body["error"]["details"]["field"], field, "{}", answer.text);
                assert!(!answer.text.contains("hush"), "{}", answer.text);
            }
            None => drop(answer.expect(200)),
        }
    }
    assert_eq!(node.get("/connectors/shop/credentials").await.body["credentials"].as_array().unwrap().len(), 1);
    node.post("/connectors/shop/actions/listItems/execute", json!({})).await.expect(200);
    assert_eq!(platform.last().header("authorization"), "Basic bcO8bGxlcjpow7xzaDpodXNoLTE=");
}

/// The way out is a tool for those who have the eight tools, and a request for all others.
#[tokio::test]
async fn the_way_out_is_one_that_the_door_has() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    let direct = node.server(json!({ "name": "D", "exposure": "direct", "connectors": ["shop"] })).await;
    server.execute("shop", "listItems", json!({})).await.refuses("create_credential_alloy (connectorId \"shop\"");
    let way = "`POST /connectors/{connectorId}/credentials` (connectorId \"shop\"";
    let refused = direct.tool("listItems", json!({})).await;
    refused.refuses(way);
    assert!(!refused.text.contains("_alloy"), "{}", refused.text);
    for (path, status, words) in [
        ("/connectors/shop/actions/listItems/execute", 400, way),
        ("/connectors/shop/actions/nothing/execute", 404, "`GET /connectors/{connectorId}/resources` lists its actions"),
        ("/connectors/nowhere/actions/listItems/execute", 404, "`GET /connectors` lists them all"),
        ("/connectors/shop/credentials", 400, "`authenticationType` must be one of"),
    ] {
        let refused = node.post(path, json!({})).await;
        refused.refuses(status, words);
        assert!(!refused.text.contains("_alloy"), "{}", refused.text);
    }
    let body = json!({ "authenticationType": "basic", "data": { "password": "x" } });
    node.post("/connectors/shop/credentials", body).await.refuses(400, "`GET /connectors/{connectorId}/credentials/metadata` says");
    for goal in ["list%20items", "zzzzzz"] {
        let found = node.get(&format!("/connectors/search?goal={goal}")).await.expect(200);
        assert!(found.body["message"].as_str().unwrap().contains("GET /connectors") && !found.text.contains("_alloy"), "{}", found.text);
    }
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

/// An id is no right. Another user's credential, and one for another connector, are not found.
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

/// What a platform repeats of a secret does not reach the answer.
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

/// What the tool that describes says is what the tool that creates takes.
#[tokio::test]
async fn the_described_sample_is_accepted() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    let described = server.tool("get_credential_metadata_alloy", json!({ "connectorId": "shop" })).await.ok();
    for way in described["metadata"].as_array().unwrap() {
        let mut input = way["sampleInput"].clone();
        assert!(input["fields"].is_object() && input.get("data").is_none(), "{way}");
        assert!(way["inputSchema"]["required"].as_array().unwrap().contains(&json!("fields")), "{way}");
        input["connectorId"] = "shop".into();
        for value in input["fields"].as_object_mut().unwrap().values_mut() {
            *value = "a-value-of-a-person".into();
        }
        server.tool("create_credential_alloy", input).await.ok();
    }
}

/// A platform may write a secret as URLs, HTML and JSON inside of JSON do.
#[tokio::test]
async fn echoed_secrets_are_removed_however_they_are_written() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    shop::credential(&node, "a", "apiKey", json!({ "apiKey": "ab/cd&ef'gh\"ij-1" })).await;
    for written in [
        "ab/cd&ef'gh\"ij-1",
        "ab%2Fcd%26ef%27gh%22ij-1",
        "ab%2fcd%26ef%27gh%22ij-1",
        "ab/cd%26ef'gh%22ij-1",
        "%61b%2Fcd&ef%27gh%22ij-1",
        "ab%252Fcd%2526ef%2527gh%2522ij-1",
        "ab/cd&amp;ef&#39;gh&quot;ij-1",
        "ab\\/cd&ef'gh\\\"ij-1",
        "ab/cd&ef'gh\\\\\\\"ij-1",
    ] {
        // Short answers are searched in another way than long ones.
        for almost in ["ab/c".to_owned(), "ab/c".repeat(2_000)] {
            platform.prepare(200, &[], &json!({ "almost": almost, "message": format!("you sent {written}.") }));
            let execute = node.ask("POST", "/connectors/shop/actions/createItem/execute").user("a");
            let answer = execute.json(&json!({ "parameters": { "name": "x" } })).send().await.expect(200);
            assert_eq!(answer.body["responseData"]["message"], "you sent [credential removed].", "{written}: {}", answer.text);
            assert_eq!(answer.body["responseData"]["almost"], almost);
        }
    }
}

/// Writers of JSON make escapes of `+`, `=` or of every character, also inside of JSON that they quote.
#[tokio::test]
async fn echoed_secrets_are_removed_whatever_json_makes_of_them() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    let key = "k3yAbcdEfghQxyz+12==";
    shop::credential(&node, "a", "apiKey", json!({ "apiKey": key })).await;
    let all: String = key.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    for (status, written) in [
        (401, key.replace('+', "\\u002b")),
        (200, key.replace('=', "\\u003D")),
        (200, all.clone()),
        (400, key.replace('+', "\\\\u002b")),
        (200, all.replace('\\', "\\\\")),
    ] {
        let body = format!(r#"{{"error":"bad key {written}.","n":1.50}}"#);
        platform.prepare_text(status, body);
        let heard = tool(server.ask().user("a"), "execute_action_alloy", call("shop", "createItem", json!({ "name": "x" }))).await;
        assert!(heard.text.contains("bad key [credential removed]."), "{written}: {}", heard.text);
        assert!(!heard.text.contains("u00") && !heard.text.contains("Qxyz"), "{written}: {}", heard.text);
    }
}

/// A key in the query comes back percent-encoded, as the platform has seen it.
#[tokio::test]
async fn a_key_in_the_query_is_removed_from_answers() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let mut document = shop::document();
    document["components"]["securitySchemes"]["key"] = json!({ "type": "apiKey", "in": "query", "name": "api_key" });
    shop::import(&node, "asking", &platform, document).await;
    let server = node.server(json!({ "name": "S" })).await;
    for (user, secret, hidden) in
        [("a", "hush/and+more=hush&so?on", "hush"), ("b", "plain-key-0123456789", "plain-key"), ("c", "a b c d e f hush", "hush")]
    {
        let body = json!({ "userId": user, "authenticationType": "apiKey", "data": { "apiKey": secret } });
        node.post("/connectors/asking/credentials", body).await.expect(200);
        for (action, parameters) in
            [("listItems", json!({ "filter": "x" })), ("misbehave", json!({ "id": "echo" })), ("misbehave", json!({ "id": "echo-error" }))]
        {
            let heard = tool(server.ask().user(user), "execute_action_alloy", call("asking", action, parameters.clone())).await;
            assert!(platform.last().target.contains("api_key="), "{}", platform.last().target);
            assert!(!heard.text.contains(hidden), "{}", heard.text);
            let twin = node.ask("POST", &format!("/connectors/asking/actions/{action}/execute")).user(user);
            let twin = twin.json(&json!({ "parameters": parameters })).send().await;
            assert!(!twin.text.contains(hidden), "{}", twin.text);
        }
        let told = platform.last().target;
        platform.prepare(
            400,
            &[],
            &json!({ "message": format!("cannot {told}"), "target": told.replace("%2F", "%2f").replace("%20", "+") }),
        );
        let twin = node.ask("POST", "/connectors/asking/actions/createItem/execute").user(user);
        let twin = twin.json(&json!({ "parameters": { "name": "x" } })).send().await;
        twin.refuses(400, "api_key=[credential removed]");
        assert!(!twin.text.contains(hidden), "{}", twin.text);
    }
}

#[tokio::test]
async fn a_deleted_user_leaves_nothing_that_works() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let user = node.post("/users", json!({ "username": "ann", "fullName": "Ann" })).await.expect(201);
    let id = user.body["userId"].as_str().unwrap().to_owned();
    node.post("/users", json!({ "username": "ann" })).await.refuses(409, "");
    shop::credential(&node, &id, "apiKey", json!({ "apiKey": "key-of-ann" })).await;
    assert_eq!(node.get(&format!("/users/{id}/credentials")).await.body["data"].as_array().unwrap().len(), 1);
    // Everything is used once before, so that the node has it in mind.
    let server = Server::of(&node.ask("POST", "/api/servers").user(&id).json(&json!({ "name": "S" })).send().await.expect(201));
    server.execute("shop", "listItems", json!({})).await.ok();
    let (key, others) = (node.key(&id, "member").await, node.key("bob", "member").await);
    let with = async |key: &str| node.ask("GET", "/api/servers").key(key).send().await.status;
    assert_eq!((with(&key).await, with(&others).await), (200, 200));
    node.delete(&format!("/users/{id}")).await.expect(200);
    assert_eq!(node.get(&format!("/users/{id}/credentials")).await.body["data"], json!([]));
    node.get(&format!("/users/{id}")).await.refuses(404, "user");
    assert_eq!((with(&key).await, with(&others).await), (401, 200));
    server.rpc("ping", json!({})).await.expect(401);
    let own = node.server(json!({ "name": "Own" })).await;
    tool(own.ask().user(&id), "execute_action_alloy", call("shop", "listItems", json!({}))).await.refuses("Credential not found");
}

/// A connector that comes back under the same id is another one.
#[tokio::test]
async fn a_deleted_connector_leaves_no_credentials() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    for user in ["ann", "bob"] {
        shop::credential(&node, user, "apiKey", json!({ "apiKey": "key-of-somebody" })).await;
        let execute = node.ask("POST", "/connectors/shop/actions/listItems/execute").user(user).json(&json!({}));
        execute.send().await.expect(200);
    }
    node.delete("/api/connectors/shop").await.expect(200);
    shop::import(&node, "shop", &platform, shop::document()).await;
    for user in ["ann", "bob"] {
        let execute = node.ask("POST", "/connectors/shop/actions/listItems/execute").user(user).json(&json!({}));
        execute.send().await.refuses(400, "Credential not found");
    }
}
