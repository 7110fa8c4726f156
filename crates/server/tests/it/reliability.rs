//! The binary under kill and stop: what was acknowledged is there, what was begun is finished.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Ask, Platform, Process, Server, Tool, mcp::call, mcp::request, shop, until};

/// The shop without authentication, imported into a process.
async fn import(process: &Process, platform: &Platform) {
    let body = json!({ "id": "open", "baseUrl": platform.url(), "spec": shop::open_document() });
    process.ask("POST", "/api/connectors").json(&body).send().await.expect(201);
}

/// What was answered with success survives a kill right after the answer.
#[tokio::test]
async fn acknowledged_writes_survive_a_kill() {
    let home = TempDir::new().unwrap();
    let data = home.path().join("data");
    let platform = Platform::start().await;
    let mut process = Process::start(&data, &[]).await;
    import(&process, &platform).await;
    let mut servers = Vec::new();
    for round in 0..3 {
        for n in 0..5 {
            let made = process.ask("POST", "/api/servers").json(&json!({ "name": format!("s{round}-{n}") })).send().await.expect(201);
            servers.push((made.body["serverId"].clone(), made.body["accessToken"].clone()));
        }
        let secret = json!({ "authenticationType": "bearer", "data": { "token": "xoxb-12345678" } });
        process.ask("POST", "/connectors/slack/credentials").json(&secret).send().await.expect(200);
        process.kill();
        process = Process::start(&data, &[]).await;
        let listed = process.ask("GET", "/api/servers").send().await.expect(200);
        assert_eq!(listed.body["count"], servers.len());
        let credentials = process.ask("GET", "/connectors/slack/credentials").send().await.expect(200);
        assert_eq!(credentials.body["credentials"].as_array().unwrap().len(), round + 1);
        for (id, token) in &servers {
            let url = format!("{}/mcp/{}/{}", process.url, id.as_str().unwrap(), token.as_str().unwrap());
            Ask::new("POST", url).header("accept", "*/*").json(&request("ping", json!({}))).send().await.expect(200);
        }
    }
    process.ask("POST", "/connectors/open/actions/listItems/execute").json(&json!({})).send().await.expect(200);
    assert_eq!(platform.count(), 1);
}

/// SIGTERM during a call: the call is answered, new connections are not taken, the exit code is 0, and the audit trail knows it.
#[tokio::test]
async fn a_stop_lets_calls_finish() {
    let home = TempDir::new().unwrap();
    let data = home.path().join("data");
    let platform = Platform::start().await;
    let mut process = Process::start(&data, &[]).await;
    import(&process, &platform).await;
    let made = process.ask("POST", "/api/servers").json(&json!({ "name": "S" })).send().await.expect(201);
    let server = Server::of(&made);
    let slow = tokio::spawn({
        let server = server.clone();
        async move { server.tool("execute_action_alloy", call("open", "misbehave", json!({ "id": "slow" }))).await }
    });
    until("the call is under way", || std::future::ready((platform.count() == 1).then_some(()))).await;
    process.terminate();
    let health = || process.ask("GET", "/health");
    until("new connections are refused", async || health().try_send().await.err()).await;
    assert!(!slow.is_finished(), "the call waits for its platform");
    platform.release();
    let tool: Tool = slow.await.unwrap();
    assert_eq!(tool.ok()["slow"], Value::Bool(true));
    assert_eq!(process.ended().await.code(), Some(0));
    let process = Process::start(&data, &[]).await;
    let audit = process.ask("GET", "/api/audit?actionId=misbehave").send().await.expect(200);
    assert_eq!((&audit.body["total"], &audit.body["entries"][0]["status"]), (&json!(1), &json!(200)));
}

/// A stop without work is quick: open streams and idle connections do not hold it up.
#[tokio::test]
async fn streams_do_not_hold_up_a_stop() {
    let home = TempDir::new().unwrap();
    let mut process = Process::start(&home.path().join("data"), &[]).await;
    let made = process.ask("POST", "/api/servers").json(&json!({ "name": "S" })).send().await.expect(201);
    let server = Server::of(&made);
    let mut events = server.stream(&server.session().await).await;
    let idle = tokio::net::TcpStream::connect(process.url.strip_prefix("http://").unwrap()).await.unwrap();
    let started = std::time::Instant::now();
    process.terminate();
    assert_eq!(events.next().await, None);
    assert_eq!(process.ended().await.code(), Some(0));
    assert!(started.elapsed().as_secs() < 9, "it did not wait for the last resort of 10 seconds");
    drop(idle);
}
