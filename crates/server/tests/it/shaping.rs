//! What of an answer a model reads: budgets, lists that go on, parts; whose cursors are good; and what is sent again.

use serde_json::{Value, json};

use crate::support::{
    Platform, TestNode, Tool,
    mcp::{Server, call, tool},
    shop,
};

/// A connector whose list pages by number, two items at a time unless asked otherwise.
async fn paged(node: &TestNode) -> Platform {
    let platform = Platform::start().await;
    let mut document = shop::open_document();
    document["paths"]["/items"]["get"]["parameters"] = json!([
        { "name": "filter", "in": "query", "schema": { "type": "string" } },
        { "name": "page", "in": "query", "schema": { "type": "integer" } },
        { "name": "per_page", "in": "query", "schema": { "type": "integer", "maximum": 50 } },
    ]);
    shop::import(node, "paged", &platform, document).await;
    platform
}

fn items(from: usize, count: usize) -> Value {
    (from..from + count).map(|n| json!({ "n": n, "text": "x".repeat(300) })).collect()
}

fn with(mut arguments: Value, more: Value) -> Value {
    arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    arguments
}

async fn list(server: &Server, more: Value) -> Tool {
    server.tool("execute_action_alloy", with(call("paged", "listItems", json!({ "filter": "f" })), more)).await
}

fn cursor(answer: &Value) -> &str {
    answer["metadata"]["nextCursor"].as_str().unwrap_or_else(|| panic!("no cursor in {answer}"))
}

/// The rest of a page, then the next page: one kind of cursor for both, whatever the platform calls its own.
#[tokio::test]
async fn a_list_is_read_to_its_end() {
    let node = TestNode::start().await;
    let platform = paged(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    platform.prepare(200, &[], &items(0, 40));
    let first = list(&server, json!({ "limit": 30 })).await.ok();
    assert_eq!(platform.last().target, "/items?filter=f&per_page=30");
    assert_eq!((&first["data"], &first["metadata"]["displayedCount"]), (&items(0, 30), &json!(30)));
    // The rest comes from the read cache, or from the platform where that has forgotten it.
    let second = list(&server, json!({ "cursor": cursor(&first), "limit": 30 })).await.ok();
    assert_eq!((&second["data"], platform.count()), (&items(30, 10), 1), "{second}");
    platform.prepare(200, &[], &items(40, 3));
    let third = list(&server, json!({ "cursor": cursor(&second) })).await.ok();
    assert_eq!(platform.last().target, "/items?filter=f&page=2&per_page=30", "the size stays, else items would be missed");
    assert_eq!(third, items(40, 3), "the last page is as the platform sent it");
    // The modern era and the REST twin go on in the same way.
    platform.prepare(200, &[], &items(0, 30));
    let arguments = with(call("paged", "listItems", json!({ "filter": "g" })), json!({ "limit": 10 }));
    let read = async |arguments: Value| {
        let answer =
            server.modern("tools/call", json!({ "name": "execute_action_alloy", "arguments": arguments })).send().await.expect(200);
        serde_json::from_str::<Value>(answer.body["result"]["content"][0]["text"].as_str().unwrap()).unwrap()
    };
    let first = read(arguments.clone()).await;
    let second = read(with(arguments, json!({ "cursor": cursor(&first) }))).await;
    assert_eq!((&first["data"], &second["data"]), (&items(0, 10), &items(10, 10)));
    platform.prepare(200, &[], &items(0, 30));
    let twin = async |more: Value| {
        let body = with(json!({ "queryParameters": { "filter": "h" } }), more);
        node.post("/connectors/paged/actions/listItems/execute", body).await.expect(200).body
    };
    let first = twin(json!({ "limit": 20 })).await;
    assert_eq!((&first["responseData"], &first["metadata"]["originalCount"]), (&items(0, 20), &json!(30)));
    let second = twin(json!({ "limit": 20, "cursor": first["nextCursor"] })).await;
    assert_eq!(second["responseData"], items(20, 10));
    assert!(second["nextCursor"].is_string(), "the platform has a next page: {second}");
    // What is whole and has no next page comes as it came.
    platform.prepare(200, &[], &json!({ "b": 1.0, "a": [] }));
    let whole = twin(json!({ "queryParameters": { "filter": "i" } })).await;
    assert!(whole.get("nextCursor").is_none() && whole.get("metadata").is_none(), "{whole}");
}

/// A list that is too long for a model can be gone through all the same.
#[tokio::test]
async fn advice_leads_to_the_items_as_well() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    let mut arguments = call("open", "misbehave", json!({ "id": "list" }));
    let advice = server.tool("execute_action_alloy", arguments.clone()).await.ok();
    assert_eq!(advice["needsRefinement"], true);
    let mut seen = Vec::new();
    arguments["cursor"] = advice["nextCursor"].clone();
    for _ in 0..3 {
        let page = server.tool("execute_action_alloy", arguments.clone()).await.ok();
        seen.extend(page["data"].as_array().unwrap_or_else(|| panic!("{page}")).iter().map(|item| item["n"].as_u64().unwrap()));
        arguments["cursor"] = page["metadata"]["nextCursor"].clone();
    }
    assert_eq!(seen, (0..60).collect::<Vec<_>>());
    assert_eq!(arguments["cursor"], Value::Null);
}

/// A cursor is one caller's, for one call, for an hour.
#[tokio::test]
async fn a_cursor_is_good_for_its_owner_and_its_call_alone() {
    let node = TestNode::start().await;
    let platform = paged(&node).await;
    let server = node.server(json!({ "name": "S", "isPublic": true })).await;
    platform.prepare(200, &[], &items(0, 40));
    let first = list(&server, json!({})).await.ok();
    let next = cursor(&first).to_owned();
    let before = platform.count();
    let arguments = |more: Value| with(call("paged", "listItems", json!({ "filter": "f" })), with(json!({ "cursor": next }), more));
    // Another user, another principal, another account.
    tool(server.ask().user("eve"), "execute_action_alloy", arguments(json!({}))).await.refuses("none that you got here");
    let key = node.key("admin", "member").await;
    tool(server.ask_as(&key), "execute_action_alloy", arguments(json!({}))).await.refuses("none that you got here");
    let twin = node.post("/connectors/paged/actions/listItems/execute", json!({ "parameters": { "filter": "f" }, "cursor": next })).await;
    twin.refuses(400, "none that you got here");
    assert_eq!(twin.body["error"]["details"]["field"], "cursor");
    // Other arguments, another action, other members.
    let (half, at) = (next.len() / 2, &next[next.len() / 2..=next.len() / 2]);
    let broken = format!("{}{}{}", &next[..half], if at == "A" { "B" } else { "A" }, &next[half + 1..]);
    for (other, words) in [
        (json!({ "parameters": { "filter": "other" } }), "comes from another call"),
        (json!({ "parameters": {} }), "comes from another call"),
        (json!({ "fields": ["n"] }), "comes from another call"),
        (json!({ "actionId": "getItem", "parameters": { "id": "1" } }), "comes from another call"),
        (json!({ "cursor": "amc_nothing" }), "none that you got here"),
        (json!({ "cursor": "abc" }), "none that you got here"),
        (json!({ "cursor": broken }), "none that you got here"),
        (json!({ "cursor": "x".repeat(10_000) }), "`cursor` must be"),
        (json!({ "cursor": 7 }), "`cursor` must be"),
        (json!({ "limit": 0 }), "`limit` must be"),
        (json!({ "maxTokens": 499 }), "`maxTokens` must be"),
        (json!({ "part": "items" }), "`part` must be"),
    ] {
        server.tool("execute_action_alloy", arguments(other)).await.refuses(words);
    }
    assert_eq!(platform.count(), before, "nothing of that reached the platform");
    let rest = tool(server.ask(), "execute_action_alloy", arguments(json!({}))).await.ok();
    assert_eq!(rest["data"], items(25, 15));
}

/// First what matters, then lists, then strings; whatever is cut can be had.
#[tokio::test]
async fn answers_keep_to_their_budget() {
    let node = TestNode::start().await;
    let platform = paged(&node).await;
    let server = node.server(json!({ "name": "S", "maxTokens": 1_000 })).await;
    assert_eq!(node.get(&format!("/api/servers/{}", server.id)).await.expect(200).body["maxTokens"], 1_000);
    platform.prepare(200, &[], &items(0, 24));
    let mut page = list(&server, json!({})).await;
    let mut seen = Vec::new();
    loop {
        assert!(page.text.len() <= 3_000, "{} bytes: {}", page.text.len(), page.text);
        let shown = page.ok();
        seen.extend(shown["data"].as_array().unwrap().iter().cloned());
        if seen.len() >= 24 {
            break;
        }
        page = list(&server, json!({ "cursor": cursor(&shown) })).await;
    }
    assert_eq!(Value::from(seen), items(0, 24));
    // A call may ask for less than its server gives, and not for more.
    let less = with(call("paged", "listItems", json!({ "filter": "f" })), json!({ "maxTokens": 500 }));
    assert!(server.tool("execute_action_alloy", less).await.text.len() <= 1_500);
    let more = with(call("paged", "listItems", json!({ "filter": "f" })), json!({ "maxTokens": 100_000 }));
    assert!(server.tool("execute_action_alloy", more).await.text.len() <= 3_000);
    // A long text is read piece by piece.
    let text = "ü\"x".repeat(2_000);
    platform.prepare(200, &[], &json!({ "id": 1, "body": text }));
    let of = |more: Value| with(call("paged", "getItem", json!({ "id": "1" })), more);
    let shown = server.tool("execute_action_alloy", of(json!({}))).await.ok();
    assert_eq!((&shown["data"]["id"], &shown["metadata"]["cut"][0]["path"]), (&json!(1), &json!("/body")), "{shown}");
    let (mut read, mut more) = (String::new(), json!({ "part": "/body" }));
    while read.len() < text.len() {
        let piece = server.tool("execute_action_alloy", of(more)).await;
        assert!(piece.text.len() <= 3_000, "{}", piece.text.len());
        let piece = piece.ok();
        read.push_str(piece["data"].as_str().or(piece.as_str()).unwrap());
        more = json!({ "part": "/body", "cursor": piece["metadata"]["nextCursor"] });
    }
    assert_eq!(read, text);
    // Programs ask for it too, and get the platform's answer whole where they do not.
    let body = json!({ "parameters": { "id": "3" } });
    let whole = node.post("/connectors/paged/actions/getItem/execute", body).await.expect(200);
    assert!(whole.body["responseData"]["target"].is_string(), "{}", whole.text);
    platform.prepare(200, &[], &json!({ "id": 1, "body": text }));
    let cut = with(json!({ "parameters": { "id": "2" } }), json!({ "maxTokens": 500 }));
    let cut = node.post("/connectors/paged/actions/getItem/execute", cut).await.expect(200);
    assert_eq!(cut.body["metadata"]["cut"][0]["path"], "/body");
    // A write is not done again to read more of its answer.
    platform.prepare(200, &[], &items(0, 60));
    let written = server.execute("paged", "createItem", json!({ "name": "Cup" })).await.ok();
    assert!(written.to_string().contains("changes something") && written["metadata"].get("nextCursor").is_none(), "{written}");
    for (wrong, status) in [(json!(499), 400), (json!("many"), 400), (json!(null), 200)] {
        assert_eq!(node.put(&format!("/api/servers/{}", server.id), json!({ "maxTokens": wrong })).await.status, status, "{wrong}");
    }
}

/// Tools of their own page in the same way, whatever arguments their platform has.
#[tokio::test]
async fn tools_of_their_own_page_as_well() {
    let node = TestNode::start().await;
    let platform = paged(&node).await;
    let server = node.server(json!({ "name": "D", "exposure": "direct", "connectors": ["paged"] })).await;
    let listed = server.rpc("tools/list", json!({})).await.expect(200);
    let tools = listed.body["result"]["tools"].as_array().unwrap();
    let takes = |name: &str| tools.iter().find(|tool| tool["name"] == name).unwrap()["inputSchema"]["properties"].clone();
    assert!(takes("listItems")["cursor"].is_object() && takes("listItems")["limit"].is_object());
    assert!(takes("createItem").get("cursor").is_none());
    platform.prepare(200, &[], &items(0, 40));
    let first = server.tool("listItems", json!({ "filter": "f", "limit": 20 })).await.ok();
    let second = server.tool("listItems", json!({ "filter": "f", "cursor": cursor(&first) })).await.ok();
    assert_eq!((&second["data"], platform.count()), (&items(20, 20), 1));
    // Matrix has an argument `limit` of its own, and Slack one called `cursor`.
    let platform = Platform::start().await;
    let body = json!({ "authenticationType": "bearer", "data": { "token": "syt_0123456789", "homeserver": platform.url() } });
    node.post("/connectors/matrix/credentials", body).await.expect(200);
    let server = node.server(json!({ "name": "M", "exposure": "direct", "connectors": ["matrix"] })).await;
    platform.prepare(200, &[], &json!({ "chunk": [], "end": "t2" }));
    let first = server.tool("getRoomEvents", json!({ "roomId": "!r", "dir": "b", "limit": 3 })).await.ok();
    server.tool("getRoomEvents", json!({ "roomId": "!r", "dir": "b", "cursor": cursor(&first) })).await.ok();
    assert!(
        platform.last().target.ends_with("?dir=b&limit=3&from=t2") || platform.last().target.contains("from=t2"),
        "{:?}",
        platform.last()
    );
    assert!(platform.last().target.contains("limit=3"), "{:?}", platform.last());
}

/// Reads are sent again when that may help, in the time that the call has; the platform's wish to wait is kept.
#[tokio::test]
async fn reads_are_sent_again() {
    let node = TestNode::start().await;
    let platform = paged(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    let read =
        async |id: &str, more: Value| server.tool("execute_action_alloy", with(call("paged", "getItem", json!({ "id": id })), more)).await;
    let busy = json!({ "message": "slow down" });
    let prepare = |status: u16, wait: &str| {
        let headers = if wait.is_empty() { Vec::new() } else { vec![("retry-after", wait)] };
        platform.prepare(status, &headers, &busy);
    };
    for (n, (status, wait)) in [(429, "1"), (429, ""), (502, ""), (503, "0"), (504, "")].into_iter().enumerate() {
        prepare(status, wait);
        let before = platform.count();
        read(&format!("a{n}"), json!({})).await.ok();
        assert_eq!(platform.count(), before + 2, "{status}");
    }
    // Not for ever, not where it cannot help, and not longer than the call may take.
    let before = platform.count();
    for _ in 0..3 {
        prepare(503, "");
    }
    read("b", json!({})).await.refuses("503 Service Unavailable: slow down. The platform failed, not the call: repeat it later.");
    assert_eq!(platform.count(), before + 3);
    for (status, wait) in [(500, ""), (404, ""), (409, ""), (429, "5")] {
        prepare(status, wait);
        let before = platform.count();
        assert!(read(&format!("c{status}"), json!({ "timeout": 3_000 })).await.is_error);
        assert_eq!(platform.count(), before + 1, "{status}");
    }
}

/// A write is sent again only where the platform knows it by its key.
#[tokio::test]
async fn writes_are_sent_once_unless_they_have_a_key() {
    let node = TestNode::start().await;
    let platform = paged(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    for (status, words) in [(429, "asks to wait"), (503, "may have been done all the same"), (500, "may have been done all the same")] {
        platform.prepare(status, &[], &json!({}));
        let before = platform.count();
        server.execute("paged", "createItem", json!({ "name": "Cup" })).await.refuses(words);
        platform.prepare(status, &[], &json!({}));
        assert!(server.execute("paged", "deleteItem", json!({ "id": "1" })).await.is_error);
        assert_eq!(platform.count(), before + 2, "{status}");
    }
    // One whose document has the usual header takes a key: the same one each time, and another for another call.
    let mut document = shop::open_document();
    document["paths"]["/items"]["post"]["parameters"] =
        json!([{ "name": "Idempotency-Key", "in": "header", "required": true, "schema": { "type": "string" } }]);
    shop::import(&node, "keyed", &platform, document).await;
    let before = platform.count();
    for status in [429, 503] {
        platform.prepare(status, &[], &json!({}));
        server.execute("keyed", "createItem", json!({ "name": "Cup" })).await.ok();
    }
    let keys: Vec<String> = platform.seen().iter().skip(before).map(|seen| seen.header("idempotency-key").to_owned()).collect();
    assert!(keys.len() == 4 && keys[0].len() == 32, "{keys:?}");
    assert!(keys[0] == keys[1] && keys[2] == keys[3] && keys[0] != keys[2], "{keys:?}");
}

/// What gateways answer is told in words, not as a page.
#[tokio::test]
async fn pages_for_people_are_named() {
    let node = TestNode::start().await;
    let platform = paged(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    for (status, words) in [(409, "read that again"), (422, "does not accept its parameters"), (304, "address may have changed")] {
        platform.prepare(status, &[], &json!({ "message": "no" }));
        server.execute("paged", "createItem", json!({ "name": "Cup" })).await.refuses(words);
    }
    let told = server.execute("paged", "misbehave", json!({ "id": "page" })).await;
    told.refuses("a web page titled \"Bad & \u{fc}\"");
    assert!(!told.text.contains("line 7"), "{}", told.text);
}
