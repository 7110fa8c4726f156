//! Tasks of 2025-11-25: a call that is answered later, under an id that is good for its caller alone.

use serde_json::{Value, json};

use super::{direct, register};
use crate::support::{
    Server, TestNode,
    mcp::{initialize, request},
    upstream::{Eras, Upstream},
};

async fn ask(server: &Server, session: &str, method: &str, params: Value) -> Value {
    server.ask().header("mcp-session-id", session).json(&request(method, params)).send().await.body
}

async fn begun(server: &Server, session: &str) -> String {
    let params = json!({ "name": "echo", "arguments": {}, "task": { "ttl": 60_000 } });
    let began = ask(server, session, "tools/call", params).await;
    let id = began["result"]["task"]["taskId"].as_str().unwrap_or_else(|| panic!("{began}")).to_owned();
    assert!(!id.contains("own-task"), "sealed: {id}");
    assert_eq!(began["result"]["task"]["status"], "working");
    id
}

#[tokio::test]
async fn a_call_becomes_a_task() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Legacy).await;
    register(&node, "one", &upstream).await;
    let server = direct(&node, &["one"]).await;
    let mut hello = initialize("2025-11-25");
    hello["capabilities"] = json!({ "tasks": { "list": {}, "requests": { "elicitation": { "create": {} } } }, "elicitation": {} });
    let greeted = server.rpc("initialize", hello).await.expect(200);
    assert!(greeted.body["result"]["capabilities"]["tasks"]["requests"]["tools"]["call"].is_object(), "{}", greeted.text);
    let session = greeted.header("mcp-session-id").to_owned();
    let id = begun(&server, &session).await;
    assert_eq!(upstream.of("tools/call").pop().unwrap().body["params"]["task"]["ttl"], 60_000);
    let seen = upstream.of("initialize").pop().unwrap().body["params"]["capabilities"].clone();
    assert_eq!(seen, json!({ "elicitation": {} }), "a client's own tasks are not for upstreams");
    let shown = ask(&server, &session, "tasks/get", json!({ "taskId": id })).await;
    assert_eq!((&shown["result"]["taskId"], &shown["result"]["status"]), (&json!(id), &json!("completed")), "{shown}");
    let done = ask(&server, &session, "tasks/result", json!({ "taskId": id })).await;
    assert!(done["result"]["content"][0]["text"].as_str().unwrap().starts_with("the result of own-task-"), "{done}");
    assert_eq!(done["result"]["_meta"]["io.modelcontextprotocol/related-task"]["taskId"], id, "{done}");
    let second = begun(&server, &session).await;
    let listed = ask(&server, &session, "tasks/list", json!({})).await;
    let ids: Vec<&Value> = listed["result"]["tasks"].as_array().unwrap().iter().map(|task| &task["taskId"]).collect();
    assert_eq!(ids, [&json!(second), &json!(id)], "{listed}");
    let cancelled = ask(&server, &session, "tasks/cancel", json!({ "taskId": second })).await;
    assert_eq!((&cancelled["result"]["taskId"], &cancelled["result"]["status"]), (&json!(second), &json!("cancelled")), "{cancelled}");
}

/// Neither another user, nor another server, nor a client of the other era can use a task's id; an upstream's own id is none.
#[tokio::test]
async fn a_task_is_its_callers_alone() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Legacy).await;
    register(&node, "one", &upstream).await;
    let server = direct(&node, &["one"]).await;
    let other = node.server(json!({ "name": "Other", "exposure": "direct", "connectors": ["one"] })).await;
    let session = server.session().await;
    let id = begun(&server, &session).await;
    let foreign = other.session().await;
    let hello = server.ask().user("bob").json(&request("initialize", initialize("2025-11-25"))).send().await.expect(200);
    let bob = hello.header("mcp-session-id").to_owned();
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        let of_bob = server.ask().user("bob").header("mcp-session-id", &bob).json(&request(method, json!({ "taskId": id }))).send().await;
        assert_eq!(of_bob.body["error"]["code"], -32602, "{method}: {}", of_bob.text);
        let elsewhere = ask(&other, &foreign, method, json!({ "taskId": id })).await;
        assert_eq!(elsewhere["error"]["code"], -32602, "{method}: {elsewhere}");
        let own = ask(&server, &session, method, json!({ "taskId": "own-task-2" })).await;
        assert_eq!(own["error"]["code"], -32602, "{method}: {own}");
    }
    assert_eq!(ask(&other, &foreign, "tasks/list", json!({})).await["result"]["tasks"], json!([]));
    let modern = server.modern("tasks/get", json!({ "taskId": id })).header("mcp-name", &id).send().await;
    assert!(matches!(modern.body["error"]["code"].as_i64(), Some(-32021 | -32602)), "{}", modern.text);
    assert!(upstream.of("tasks/get").is_empty() && upstream.of("tasks/cancel").is_empty(), "nothing of it reached the upstream");
}

/// An upstream that has no tasks, in its own era or the other one, gets a plain call.
#[tokio::test]
async fn without_tasks_a_call_is_a_plain_one() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Modern).await;
    register(&node, "one", &upstream).await;
    let server = direct(&node, &["one"]).await;
    let greeted = server.rpc("initialize", initialize("2025-11-25")).await.expect(200);
    assert!(greeted.body["result"]["capabilities"]["tasks"].is_null(), "{}", greeted.text);
    let session = server.session().await;
    let called = ask(&server, &session, "tools/call", json!({ "name": "echo", "arguments": {}, "task": {} })).await;
    assert_eq!(called["result"]["content"][0]["text"], "ok", "{called}");
    assert!(upstream.of("tools/call")[0].body["params"]["task"].is_null());
    let older = server.rpc("initialize", initialize("2025-06-18")).await.expect(200);
    assert!(older.body["result"]["capabilities"]["tasks"].is_null(), "{}", older.text);
}
