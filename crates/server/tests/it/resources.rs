//! Resources, prompts and completion, as restricted as everything else; and workflows.

use serde_json::{Value, json};

use crate::support::{Server, TestNode, shop};

fn uris(answer: &Value) -> Vec<&str> {
    answer["result"]["resources"].as_array().unwrap().iter().map(|item| item["uri"].as_str().unwrap()).collect()
}

async fn restricted() -> (TestNode, crate::support::Platform, Server) {
    let node = TestNode::start().await;
    let platform = shop::shop(&node).await;
    let restrictions = json!({ "connectors": { "mode": "allowlist", "allowedIds": ["open"] },
        "actions": { "mode": "blocklist", "blockedActions": ["deleteItem"] } });
    let server = node.server(json!({ "name": "S", "restrictions": restrictions })).await;
    (node, platform, server)
}

#[tokio::test]
async fn connectors_are_resources_where_they_are_permitted() {
    let (_node, _platform, server) = restricted().await;
    let listed = server.rpc("resources/list", json!({})).await.expect(200);
    assert_eq!(uris(&listed.body), ["resource://connectors/open"]);
    let read = server.rpc("resources/read", json!({ "uri": "resource://connectors/open" })).await.expect(200);
    let contents = &read.body["result"]["contents"][0];
    assert_eq!(contents["mimeType"], "text/markdown");
    let text = contents["text"].as_str().unwrap();
    assert!(text.contains("getItem") && !text.contains("deleteItem"), "{text}");
    for uri in ["resource://connectors/shop", "resource://connectors/nothing", "resource://x", "file:///etc/passwd", ""] {
        let refused = server.rpc("resources/read", json!({ "uri": uri })).await;
        assert_eq!(refused.body["error"]["code"], -32002, "{uri}: {}", refused.text);
        let modern = server.modern("resources/read", json!({ "uri": uri })).send().await;
        assert_eq!(modern.body["error"]["code"], -32602, "{uri}: {}", modern.text);
    }
    let templates = server.rpc("resources/templates/list", json!({})).await.expect(200);
    assert_eq!(templates.body["result"]["resourceTemplates"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_workflow_that_names_a_denied_action_is_invisible() {
    let (node, _platform, server) = restricted().await;
    let path = |name: &str| format!("/api/servers/{}/workflows/{name}", server.id);
    let step = |connector: &str, action: &str| json!({ "connectorId": connector, "actionId": action, "parameters": { "id": "<which>" } });
    let good = json!({ "description": "Look", "steps": [step("open", "getItem"), step("open", "listItems")] });
    node.put(&path("look"), good.clone()).await.expect(201);
    node.put(&path("look"), good).await.expect(200);
    node.put(&path("remove"), json!({ "steps": [step("open", "getItem"), step("open", "deleteItem")] })).await.expect(201);
    node.put(&path("buy"), json!({ "steps": [step("shop", "getItem")] })).await.expect(201);
    assert_eq!(node.get(&format!("/api/servers/{}/workflows", server.id)).await.body["count"], 3, "the owner sees them all");
    let listed = server.rpc("resources/list", json!({})).await;
    assert_eq!(uris(&listed.body), ["resource://connectors/open", "resource://workflows/look"]);
    let read = server.rpc("resources/read", json!({ "uri": "resource://workflows/look" })).await.expect(200);
    assert!(read.body["result"]["contents"][0]["text"].as_str().unwrap().contains("<which>"));
    for hidden in ["remove", "buy"] {
        let refused = server.rpc("resources/read", json!({ "uri": format!("resource://workflows/{hidden}") })).await;
        assert_eq!(refused.body["error"]["code"], -32002, "{}", refused.text);
    }
    let argument =
        json!({ "ref": { "type": "ref/resource", "uri": "resource://workflows/{name}" }, "argument": { "name": "name", "value": "" } });
    let completed = server.rpc("completion/complete", argument).await.expect(200);
    assert_eq!(completed.body["result"]["completion"]["values"], json!(["look"]));
    for (name, body, field) in [
        ("bad%20name", json!({ "steps": [step("a", "b")] }), "name"),
        ("x", json!({ "steps": [] }), "steps"),
        ("x", json!({ "steps": vec![step("a", "b"); 101] }), "steps"),
        ("x", json!({ "steps": [{ "connectorId": "a" }] }), "actionId"),
    ] {
        node.put(&path(name), body).await.refuses(400, field);
    }
    node.delete(&path("look")).await.expect(200);
    node.get(&path("look")).await.refuses(404, "workflow");
}

#[tokio::test]
async fn prompts_and_completion_know_only_what_is_permitted() {
    let (_node, _platform, server) = restricted().await;
    let listed = server.rpc("prompts/list", json!({})).await.expect(200);
    let names: Vec<&str> =
        listed.body["result"]["prompts"].as_array().unwrap().iter().map(|prompt| prompt["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["workflow_builder", "connect_account"]);
    let get = async |name: &str, arguments: Value| server.rpc("prompts/get", json!({ "name": name, "arguments": arguments })).await;
    let goal = get("workflow_builder", json!({ "goal": "delete an item from the shop" })).await.expect(200);
    assert!(goal.text.contains("delete an item") && !goal.text.contains("deleteItem"), "{}", goal.text);
    let connect = get("connect_account", json!({})).await.expect(200);
    assert!(connect.text.contains("open") && !connect.text.contains("slack"), "{}", connect.text);
    let denied = get("connect_account", json!({ "connector": "shop" })).await;
    assert!(denied.sentence().contains("restrictions.connectors"), "{}", denied.text);
    assert_eq!(get("nothing", json!({})).await.body["error"]["code"], -32602);
    assert_eq!(get("workflow_builder", json!({ "goal": 7 })).await.body["error"]["code"], -32602);
    let complete = async |reference: Value, name: &str, value: &str| {
        server.rpc("completion/complete", json!({ "ref": reference, "argument": { "name": name, "value": value } })).await
    };
    for reference in
        [json!({ "type": "ref/prompt", "name": "connect_account" }), json!({ "type": "ref/resource", "uri": "resource://connectors/{id}" })]
    {
        let argument = if reference["name"].is_null() { "id" } else { "connector" };
        let all = complete(reference.clone(), argument, "").await.expect(200);
        assert_eq!(all.body["result"]["completion"], json!({ "values": ["open"], "total": 1, "hasMore": false }));
        let none = complete(reference, argument, "sla").await.expect(200);
        assert_eq!(none.body["result"]["completion"]["values"], json!([]));
    }
    assert_eq!(complete(json!({ "type": "ref/prompt", "name": "x" }), "y", "").await.body["error"]["code"], -32602);
}
