//! Running actions: what reaches the platform, and what is refused before anything is sent.

use serde_json::{Value, json};

use crate::support::{
    Answer, TestNode,
    mcp::{call, request},
    shop,
};

/// An execution through the REST twin.
async fn twin(node: &TestNode, connector: &str, action: &str, body: Value) -> Answer {
    node.post(&format!("/connectors/{connector}/actions/{action}/execute"), body).await
}

#[tokio::test]
async fn arguments_go_where_they_belong() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    let answer = server.execute("open", "listItems", json!({ "filter": "a b&c=d/ü", "X-Trace": "t-1" })).await.ok();
    assert_eq!(answer["target"], "/items?filter=a%20b%26c%3Dd%2F%C3%BC");
    assert_eq!(platform.last().header("x-trace"), "t-1");
    server.execute("open", "createItem", json!({ "name": "Cup", "count": 3 })).await.ok();
    let seen = platform.last();
    assert_eq!((seen.method.as_str(), seen.target.as_str(), seen.json()), ("POST", "/items", json!({ "name": "Cup", "count": 3 })));
    assert_eq!(seen.header("content-type"), "application/json");
    server.execute("open", "deleteItem", json!({ "id": "7" })).await.ok();
    assert_eq!((platform.last().method.as_str(), platform.last().target.as_str()), ("DELETE", "/items/7"));
    // The twin takes arguments by their places or flat, and answers in its envelope.
    let by_place = twin(&node, "open", "createItem", json!({ "requestBody": { "name": "Cup" } })).await.expect(200);
    assert_eq!(platform.last().json(), json!({ "name": "Cup" }));
    assert_eq!((&by_place.body["success"], &by_place.body["status"]), (&json!(true), &json!(200)));
    assert_eq!(by_place.body["executionId"].as_str().unwrap().len(), 24);
    assert_eq!(by_place.body["responseData"]["method"], "POST");
    let headers = json!({ "pathParams": { "id": "9" }, "additionalHeaders": { "X-Extra": "yes" } });
    twin(&node, "open", "getItem", headers).await.expect(200);
    assert_eq!((platform.last().target.as_str(), platform.last().header("x-extra")), ("/items/9", "yes"));
    let twice = json!({ "pathParams": { "id": "9" }, "parameters": { "id": "8" } });
    twin(&node, "open", "getItem", twice).await.refuses(400, "given twice");
}

#[tokio::test]
async fn wrong_arguments_send_nothing() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    for (action, parameters, words) in [
        ("getItem", json!({}), "id"),
        ("getItem", json!({ "id": null }), "id"),
        ("createItem", json!({ "count": 3 }), "name"),
        ("createItem", json!({ "name": "Cup", "count": "three" }), "count"),
        ("createItem", json!({ "name": 7 }), "name"),
        ("listItems", json!({ "filtre": "x" }), "filter"),
        ("listItems", json!({ "filter": { "a": 1 } }), "filter"),
    ] {
        server.execute("open", action, parameters.clone()).await.refuses(words);
        let refused = twin(&node, "open", action, json!({ "parameters": parameters })).await;
        refused.refuses(400, words);
        assert_eq!(refused.body["error"]["code"], "INVALID_REQUEST");
    }
    for (arguments, words) in [
        (json!({ "actionId": "listItems" }), "connectorId"),
        (json!({ "connectorId": "open" }), "actionId"),
        (json!({ "connectorId": "open", "actionId": "listItems", "parameters": [] }), "parameters"),
        (json!({ "connectorId": "open", "actionId": "listItems", "timeout": 1 }), "timeout"),
        (json!({ "connectorId": "open", "actionId": "listItem", "parameters": {} }), "listItems"),
        (json!({ "connectorId": "opem", "actionId": "listItems", "parameters": {} }), "opem"),
        (json!({ "connectorId": "../open", "actionId": "listItems", "parameters": {} }), "../open"),
    ] {
        server.tool("execute_action_alloy", arguments).await.refuses(words);
    }
    assert_eq!(platform.count(), 0, "{:?}", platform.seen());
}

/// An argument stays inside its segment, whatever it holds.
#[tokio::test]
async fn path_arguments_cannot_leave_their_place() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    for id in [
        "..",
        ".",
        "../../admin",
        "%2e%2e",
        "..%2f..",
        "a/../../admin",
        "a/b",
        "a\\..\\b",
        "x?admin=1",
        "x#fragment",
        "x;y",
        "//evil.example",
        "http://evil.example/",
        "@evil.example",
        "\u{0}",
        "\r\nHost: evil",
        "\t",
        " ",
        "",
        "ü",
        "💥",
        "..;/",
        "%00",
        "%",
    ] {
        let before = platform.count();
        let tool = server.execute("open", "getItem", json!({ "id": id })).await;
        assert_eq!(platform.count() - before, usize::from(!tool.is_error), "{id:?}: {}", tool.text);
        if tool.is_error {
            assert!(tool.text.contains("id"), "{id:?}: {}", tool.text);
            continue;
        }
        let target = platform.last().target;
        let segment = target.strip_prefix("/items/").unwrap_or_else(|| panic!("{id:?} left its prefix: {target}"));
        assert!(!segment.is_empty() && !segment.contains(['/', '?', '#', '\\']), "{id:?} became {target}");
        assert!(!matches!(segment.to_lowercase().as_str(), "." | ".." | "%2e" | "%2e%2e" | ".%2e" | "%2e."), "{id:?} became {target}");
        assert_eq!(platform.last().header("host"), platform.address.to_string());
    }
}

/// No argument breaks a header apart, or replaces one that the connection or the credential needs.
#[tokio::test]
async fn header_arguments_cannot_break_or_replace_headers() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    shop::credential(&node, "admin", "bearer", json!({ "token": "right-token" })).await;
    for value in ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\u{0}b"] {
        assert!(server.execute("open", "listItems", json!({ "X-Trace": value })).await.is_error, "{value:?}");
        let body = json!({ "additionalHeaders": { "X-Extra": value } });
        assert_eq!(twin(&node, "open", "listItems", body).await.status, 400, "{value:?}");
    }
    for name in ["Host", "host", "Authorization", "Content-Length", "Transfer-Encoding", "Connection", "X Y", "X:Y", "X\r\nY", ""] {
        let answer = twin(&node, "shop", "listItems", json!({ "additionalHeaders": { name: "evil.example" } })).await;
        assert_eq!(answer.status, 400, "{name:?}: {}", answer.text);
    }
    assert_eq!(platform.count(), 0, "{:?}", platform.seen());
    // What a client sends to us is not passed on.
    let ask = server.ask().header("x-forwarded-host", "evil.example").header("cookie", "a=b").header("x-evil", "1");
    ask.json(&request("tools/call", json!({ "name": "execute_action_alloy", "arguments": call("shop", "listItems", json!({})) })))
        .send()
        .await
        .expect(200);
    let seen = platform.last();
    assert_eq!(seen.header("host"), platform.address.to_string());
    assert_eq!(seen.header("authorization"), "Bearer right-token");
    for name in ["x-forwarded-host", "cookie", "x-evil", "x-alloy-userid", "mcp-session-id"] {
        assert_eq!(seen.header(name), "", "{name}");
    }
    assert!(seen.headers.iter().all(|(_, value)| !value.contains(&server.token)), "our token goes nowhere");
}

#[tokio::test]
async fn long_answers_are_cut_for_models_and_whole_for_programs() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    let shaped = server.execute("open", "misbehave", json!({ "id": "list" })).await.ok();
    assert!(shaped["needsRefinement"] == true || shaped["metadata"].is_object(), "{shaped}");
    let whole = twin(&node, "open", "misbehave", json!({ "parameters": { "id": "list" } })).await.expect(200);
    assert_eq!(whole.body["responseData"].as_array().unwrap().len(), 60);
}

/// Reads may come from the cache, for the same user and the same arguments, until that user writes.
#[tokio::test]
async fn reads_are_cached_for_their_user_until_a_write() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    let read = async |user: &str, id: &str| {
        let arguments = call("open", "getItem", json!({ "id": id }));
        let tool = crate::support::mcp::tool(server.ask().user(user), "execute_action_alloy", arguments).await;
        let hit = tool.answer.header("x-cache-hit").to_owned();
        tool.ok();
        (hit, platform.count())
    };
    assert_eq!(read("ann", "1").await, (String::new(), 1));
    assert_eq!(read("ann", "1").await, ("true".to_owned(), 1));
    assert_eq!(read("ann", "2").await, (String::new(), 2), "other arguments");
    assert_eq!(read("bob", "1").await, (String::new(), 3), "another user");
    let rest = node.ask("POST", "/connectors/open/actions/getItem/execute").user("ann").json(&json!({ "parameters": { "id": "1" } }));
    let rest = rest.send().await.expect(200);
    assert_eq!(rest.body["responseData"]["target"], "/items/1");
    let before = platform.count();
    let write = call("open", "deleteItem", json!({ "id": "1" }));
    crate::support::mcp::tool(server.ask().user("ann"), "execute_action_alloy", write).await.ok();
    assert_eq!(read("ann", "1").await, (String::new(), before + 2), "the write made it stale");
    assert_eq!(read("bob", "1").await, ("true".to_owned(), before + 2), "not for others");
    // An answer that its platform does not want kept is not kept.
    for n in 1..=2 {
        let arguments = call("open", "misbehave", json!({ "id": "private" }));
        let tool = crate::support::mcp::tool(server.ask(), "execute_action_alloy", arguments).await;
        assert_eq!((tool.answer.header("x-cache-hit"), platform.count()), ("", before + 2 + n));
    }
}

#[tokio::test]
async fn the_cache_can_be_turned_off() {
    let node = TestNode::with(|config| config.read_cache = std::time::Duration::ZERO).await;
    let platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    for n in 1..=2 {
        server.execute("open", "getItem", json!({ "id": "1" })).await.ok();
        assert_eq!(platform.count(), n);
    }
}

/// Many users at once, and nobody gets another's answer or credential. A user's own key is cut out of an answer that
/// repeats it, so a key that is still there would be somebody else's.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn interleaved_users_stay_apart() {
    use futures_util::{StreamExt as _, stream};
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    for user in 0..8 {
        shop::credential(&node, &format!("u{user}"), "apiKey", json!({ "apiKey": format!("shop-key-of-u{user}") })).await;
    }
    let calls = (0..1_000).map(|n| {
        let server = server.clone();
        async move {
            let ask = server.ask().user(&format!("u{}", n % 8));
            let tool = crate::support::mcp::tool(ask, "execute_action_alloy", call("shop", "misbehave", json!({ "id": "echo" }))).await;
            assert!(tool.text.contains("[credential removed]") && !tool.text.contains("shop-key-of-"), "u{}: {}", n % 8, tool.text);
            if n % 10 == 0 {
                let ask = server.ask().user(&format!("u{}", n / 10 % 8));
                let write = call("shop", "createItem", json!({ "name": format!("by-u{}", n / 10 % 8) }));
                crate::support::mcp::tool(ask, "execute_action_alloy", write).await.ok();
            }
        }
    });
    stream::iter(calls).buffer_unordered(16).collect::<Vec<()>>().await;
    let writes: Vec<_> = platform.seen().into_iter().filter(|seen| seen.method == "POST").collect();
    assert_eq!(writes.len(), 100);
    for seen in writes {
        let user = seen.json()["name"].as_str().unwrap().replace("by-", "");
        assert_eq!(seen.header("x-shop-key"), format!("shop-key-of-{user}"));
    }
    let keys: std::collections::HashSet<String> = platform.seen().iter().map(|seen| seen.header("x-shop-key").to_owned()).collect();
    assert_eq!(keys.len(), 8, "everybody's own key was sent: {keys:?}");
}

/// A number reaches the platform as it came, or not at all.
#[tokio::test]
async fn numbers_are_not_changed_on_the_way() {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    for number in ["123456789012345678901234567890", "18446744073709551616", "-9223372036854775809"] {
        let parameters = format!(r#"{{"name": "\"1\\", "count": {number}}}"#);
        let rest = node.ask("POST", "/connectors/open/actions/createItem/execute");
        let refused = rest.body("application/json", format!(r#"{{"parameters": {parameters}}}"#)).send().await;
        refused.refuses(400, &format!("The number {number} is too large to be passed on exactly: send it as a string"));
        let tool = format!(r#"{{"connectorId": "open", "actionId": "createItem", "parameters": {parameters}}}"#);
        let rpc = format!(
            r#"{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {{"name": "execute_action_alloy", "arguments": {tool}}}}}"#
        );
        let told = server.ask().body("application/json", rpc).send().await.expect(200);
        assert!(told.text.contains(number) && told.text.contains("isError"), "{}", told.text);
    }
    assert_eq!(platform.count(), 0, "{:?}", platform.seen());
    let text = "123456789012345678901234567890";
    for number in ["18446744073709551615", "-9223372036854775808", "100"] {
        let body = format!(r#"{{"parameters": {{"name": "{text}", "count": {number}}}}}"#);
        node.ask("POST", "/connectors/open/actions/createItem/execute").body("application/json", body).send().await.expect(200);
        assert_eq!(platform.last().json()["count"].to_string(), number);
    }
}

/// Advice that cannot be followed is none.
#[tokio::test]
async fn without_a_credential_none_is_called_wrong() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    let told = server.execute("open", "misbehave", json!({ "id": "401" })).await;
    told.refuses("declares no way to authenticate");
    assert!(!told.text.contains("create_credential"), "{}", told.text);
    shop::credential(&node, "admin", "apiKey", json!({ "apiKey": "12345678" })).await;
    server.execute("shop", "misbehave", json!({ "id": "401" })).await.refuses("create a new one with create_credential_alloy");
    server.execute("shop", "misbehave", json!({ "id": "403" })).await.refuses("scope");
}
