//! What definitions say of platforms, as it reaches the platform and the model: secrets anywhere in a request, errors, pages, what is shown.

use serde_json::{Value, json};

use crate::support::{Platform, TestNode, mcp::Server, shop};

const SECRET: &str = "123456:secret/of-a-bot";

/// A document without security schemes, with one POST of these members.
fn document(required: Value, properties: Value) -> Value {
    let schema = json!({ "type": "object", "required": required, "properties": properties });
    let post = json!({ "operationId": "send", "requestBody": { "content": { "application/json": { "schema": schema } } } });
    json!({ "openapi": "3.0.3", "info": { "title": "Bot", "version": "1" }, "paths": { "/send": { "post": post } } })
}

async fn connect(node: &TestNode, connector: &str, data: Value) {
    let body = json!({ "authenticationType": if data.get("token").is_some() { "bearer" } else { "apiKey" }, "data": data });
    node.post(&format!("/connectors/{connector}/credentials"), body).await.expect(200);
}

/// Everything that shows a call afterwards: the audit trail and the connector itself.
async fn nothing_tells(node: &TestNode, connector: &str) {
    for path in ["/api/audit".to_owned(), format!("/connectors/{connector}/credentials"), format!("/api/connectors/{connector}")] {
        let text = node.get(&path).await.expect(200).text;
        assert!(!text.contains("secret"), "{path}: {text}");
    }
}

/// Telegram has the token in the path: models are not asked for it, and no answer shows it, whatever the platform says.
#[tokio::test]
async fn a_secret_in_the_path_is_sent_and_never_shown() {
    let node = TestNode::start().await;
    let platform = Platform::start().await;
    let base_url = format!("{}/bot{{token}}", platform.url());
    let body = json!({ "id": "bot", "baseUrl": base_url, "spec": document(json!([]), json!({ "text": { "type": "string" } })) });
    node.post("/api/connectors", body).await.expect(201);
    let server = node.server(json!({ "name": "S" })).await;
    server.execute("bot", "send", json!({ "text": "hi" })).await.refuses("Credential not found");
    connect(&node, "bot", json!({ "apiKey": SECRET })).await;
    let details = server.tool("get_action_details_alloy", json!({ "connectorId": "bot", "actionId": "send" })).await.ok();
    assert_eq!(details["action"]["inputSchema"]["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), ["text"]);
    let echo = server.execute("bot", "send", json!({ "text": SECRET })).await;
    assert_eq!(platform.last().target, "/bot123456:secret%2Fof-a-bot/send");
    assert!(!echo.text.contains("secret") && echo.ok()["target"] == "/bot[credential removed]/send");
    for status in [200, 400, 401, 500] {
        platform.prepare(status, &[], &json!({ "message": format!("bad {SECRET}"), "path": "/bot123456:secret%2Fof-a-bot/send" }));
        let told = server.execute("bot", "send", json!({})).await;
        assert!(told.is_error == (status != 200) && !told.text.contains("secret"), "{}", told.text);
        platform.prepare(status, &[], &json!({ "message": format!("bad {SECRET}") }));
        let twin = node.post("/connectors/bot/actions/send/execute", json!({})).await;
        assert!(twin.status >= 400 || status == 200, "{}", twin.text);
        assert!(!twin.text.contains("secret"), "{}", twin.text);
    }
    // The address of a redirect holds the secret, so that no other host may learn it.
    let elsewhere = Platform::start().await;
    platform.prepare(307, &[("location", &format!("{}/bot123456:secret%2Fof-a-bot/send", elsewhere.url()))], &json!({}));
    let told = server.execute("bot", "send", json!({})).await;
    assert!(told.is_error && !told.text.contains("secret") && elsewhere.count() == 0, "{}", told.text);
    // A secret that would be another path is refused by its place, not by its value.
    let before = platform.count();
    let body = json!({ "authenticationType": "apiKey", "data": { "apiKey": "secret/../../admin" } });
    let told = node.post("/connectors/bot/credentials", body).await;
    told.refuses(400, "cannot stand in a path");
    assert!(!told.text.contains("secret"), "{}", told.text);
    assert_eq!(platform.count(), before);
    nothing_tells(&node, "bot").await;
}

/// Mailchimp Transactional has the key in every body.
#[tokio::test]
async fn a_secret_in_the_body_is_sent_and_never_shown() {
    let node = TestNode::start().await;
    let platform = Platform::start().await;
    let properties = json!({ "key": { "type": "string" }, "text": { "type": "string" } });
    shop::import(&node, "mail", &platform, document(json!(["key"]), properties)).await;
    connect(&node, "mail", json!({ "apiKey": SECRET })).await;
    let server = node.server(json!({ "name": "S" })).await;
    let echo = server.execute("mail", "send", json!({ "text": "hi" })).await;
    assert_eq!(platform.last().json(), json!({ "text": "hi", "key": SECRET }));
    assert!(!echo.text.contains("secret"), "{}", echo.text);
    // Nobody else can say what stands there.
    server.execute("mail", "send", json!({ "key": "other" })).await.refuses("no parameter `key`");
    let twin = node.post("/connectors/mail/actions/send/execute", json!({ "requestBody": { "key": "other" } })).await;
    twin.refuses(400, "no parameter `key`");
    nothing_tells(&node, "mail").await;
}

/// A Matrix account on this platform.
async fn matrix(node: &TestNode, platform: &Platform) -> Server {
    connect(node, "matrix", json!({ "token": "syt_0123456789", "homeserver": platform.url() })).await;
    node.server(json!({ "name": "S" })).await
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let node = TestNode::start().await;
    let platform = Platform::start().await;
    let server = matrix(&node, &platform).await;
    platform.prepare(403, &[], &json!({ "errcode": "M_FORBIDDEN", "error": "You are not here" }));
    let told = server.execute("matrix", "whoami", json!({})).await;
    told.refuses("Matrix answered 403 Forbidden: You are not here. This account may not do that:");
    platform.prepare(400, &[], &json!({ "errcode": "M_ODD", "error": "Odd" }));
    let told = server.execute("matrix", "whoami", json!({})).await;
    assert_eq!(told.text.trim_end(), "Matrix answered 400 Bad Request: Odd.");
    platform.prepare(429, &[("retry-after", "70")], &json!({ "errcode": "M_LIMIT_EXCEEDED" }));
    let twin = node.post("/connectors/matrix/actions/whoami/execute", json!({})).await;
    twin.refuses(429, "The platform asks to wait 70 seconds. Too many requests");
    assert_eq!(twin.header("retry-after"), "70");
}

#[tokio::test]
async fn models_get_what_matters_and_can_ask_for_more() {
    let node = TestNode::start().await;
    let platform = Platform::start().await;
    let server = matrix(&node, &platform).await;
    let event =
        json!({ "event_id": "$1", "type": "m.room.message", "content": { "body": "hi" }, "unsigned": { "age": 1 }, "room_id": "!r" });
    let page = json!({ "chunk": [event], "end": "t2" });
    let read = async |more: Value| {
        platform.prepare(200, &[], &page);
        let mut arguments = json!({ "connectorId": "matrix", "actionId": "getRoomEvents", "parameters": { "roomId": "!r", "dir": "b" } });
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        server.tool("execute_action_alloy", arguments).await
    };
    let shown = read(json!({})).await.ok();
    assert_eq!(shown["chunk"][0], json!({ "event_id": "$1", "type": "m.room.message", "content": { "body": "hi" } }));
    assert!(shown["metadata"]["nextCursor"].as_str().unwrap().starts_with("amc_"), "{shown}");
    assert!(shown["metadata"]["fieldsHint"].as_str().unwrap().contains("`fields`"), "{shown}");
    let shown = read(json!({ "fields": ["unsigned.age"] })).await.ok();
    assert_eq!(shown["chunk"][0], json!({ "unsigned": { "age": 1 } }));
    assert_eq!(read(json!({ "raw": true })).await.ok(), page);
    read(json!({ "fields": "id" })).await.refuses("`fields` must be a list");
    read(json!({ "raw": "yes" })).await.refuses("`raw` must be true or false");
    // The same for tools of their own.
    let direct = node.server(json!({ "name": "D", "exposure": "direct", "connectors": ["matrix"] })).await;
    platform.prepare(200, &[], &page);
    let shown = direct.tool("getRoomEvents", json!({ "roomId": "!r", "dir": "b", "raw": true })).await;
    assert_eq!(shown.ok(), page);
    // Programs get it whole.
    platform.prepare(200, &[], &page);
    let body = json!({ "parameters": { "roomId": "!r", "dir": "b" } });
    assert_eq!(node.post("/connectors/matrix/actions/getRoomEvents/execute", body).await.expect(200).body["responseData"], page);
}

/// GitHub and others name the next page in a header, which models never see; the answer says it instead, also from the cache.
#[tokio::test]
async fn the_next_page_in_a_header_is_told() {
    let node = TestNode::start().await;
    let platform = Platform::start().await;
    let mut source = shop::open_document();
    source["paths"]["/items"]["get"]["parameters"] = json!([{ "name": "page", "in": "query", "schema": { "type": "integer" } }]);
    source["paths"]["/items"]["get"]["responses"]["200"]["headers"] = json!({ "Link": { "schema": { "type": "string" } } });
    shop::import(&node, "paged", &platform, source).await;
    let server = node.server(json!({ "name": "S" })).await;
    let link = "<https://e.com/items?page=3>; rel=\"last\", <https://e.com/items?page=2>; rel=\"next\"";
    platform.prepare(200, &[("link", link)], &json!([{ "id": 1 }]));
    for _ in 0..2 {
        let shown = server.execute("paged", "listItems", json!({})).await.ok();
        assert_eq!(shown["data"], json!([{ "id": 1 }]));
        let mut call = crate::support::mcp::call("paged", "listItems", json!({}));
        call["cursor"] = shown["metadata"]["nextCursor"].clone();
        server.tool("execute_action_alloy", call).await.ok();
        assert_eq!(platform.last().target, "/items?page=2");
    }
    assert_eq!(platform.count(), 2);
}

/// A name that begins with a slash is a name in a document, and no pointer.
#[tokio::test]
async fn a_member_with_a_slash_keeps_its_name() {
    let node = TestNode::start().await;
    let platform = Platform::start().await;
    let spec = document(json!([]), json!({ "/odd/~name": { "type": "string" } }));
    node.post("/api/connectors", json!({ "id": "odd", "baseUrl": platform.url(), "spec": spec })).await.expect(201);
    let sent = json!({ "/odd/~name": "x" });
    node.post("/connectors/odd/actions/send/execute", json!({ "requestBody": sent })).await.expect(200);
    assert_eq!(platform.last().json(), sent);
}
