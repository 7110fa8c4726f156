//! Logs at their loudest hold no token, key or secret.

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Ask, Platform, Process, Server, mcp::call, mcp::request, node::ADMIN_KEY, process::log, shop};

const PLATFORM_SECRET: &str = "platform-secret-0123456789";
const JWT_SECRET: &str = "jwt-secret-0123456789-0123456789-abc";
const ARGUMENT: &str = "argument-that-is-nobodys-business";

#[tokio::test]
async fn the_loudest_log_tells_no_secret() {
    for format in ["text", "json"] {
        let home = TempDir::new().unwrap();
        let data = home.path().join("data");
        let platform = Platform::start().await;
        let mut process = Process::start(&data, &[("AMALGAM_LOG", "trace"), ("AMALGAM_LOG_FORMAT", format)]).await;
        let body = json!({ "id": "shop", "baseUrl": platform.url(), "spec": shop::document() });
        process.ask("POST", "/api/connectors").json(&body).send().await.expect(201);
        let made = process.ask("POST", "/api/servers").json(&json!({ "name": "S" })).send().await.expect(201);
        let server = Server::of(&made);
        let key = process.ask("POST", "/api/keys").json(&json!({})).send().await.expect(201).body["key"].as_str().unwrap().to_owned();
        process.ask("POST", "/api/jwt-issuers").json(&json!({ "issuer": "i", "secret": JWT_SECRET })).send().await.expect(201);
        let secret = json!({ "authenticationType": "apiKey", "data": { "apiKey": PLATFORM_SECRET } });
        process.ask("POST", "/connectors/shop/credentials").json(&secret).send().await.expect(200);
        for id in ["200", "401", "500", "echo", "echo-error", "garbage", ARGUMENT] {
            server.tool("execute_action_alloy", call("shop", "misbehave", json!({ "id": id }))).await;
        }
        server.tool("execute_action_alloy", call("shop", "misbehave", json!({ "id": "redirect", "to": "http://10.0.0.1/" }))).await;
        server.session().await;
        process.ask("GET", "/connectors").key(&key).send().await.expect(200);
        let wrong = format!("{}/mcp_token_wrong-but-somebodys", server.url);
        Ask::new("POST", wrong).header("accept", "*/*").json(&request("ping", json!({}))).send().await.expect(401);
        process.ask("GET", "/api/keys").key("wrong-but-somebodys-key").send().await.expect(401);
        process.ask("GET", "/api/keys").header("x-alloy-user-token", "wrong.but-somebodys.jwt").anonymous().send().await.expect(401);
        process
            .ask("POST", "/connectors/shop/credentials")
            .body("application/json", format!("{{\"data\": \"{PLATFORM_SECRET}"))
            .send()
            .await
            .expect(400);
        process.terminate();
        process.ended().await;
        let log = log(&data);
        assert!(log.len() > 1_000 && log.contains("DEBUG"), "it was loud: {} bytes", log.len());
        let master = std::fs::read_to_string(data.join("master.key")).unwrap();
        for told in
            [server.token.as_str(), &key, ADMIN_KEY, PLATFORM_SECRET, JWT_SECRET, ARGUMENT, "somebodys", master.trim(), "mcp_token_"]
        {
            let line = log.lines().find(|line| line.contains(told));
            assert_eq!(line, None, "the log tells {told}");
        }
    }
}

/// Whoever has the request id of an answer finds its line.
#[tokio::test]
async fn what_failed_is_in_the_log_by_its_request_id() {
    let home = TempDir::new().unwrap();
    let data = home.path().join("data");
    let platform = Platform::start().await;
    let mut process = Process::start(&data, &[]).await;
    let body = json!({ "id": "open", "baseUrl": platform.url(), "spec": shop::open_document() });
    process.ask("POST", "/api/connectors").json(&body).send().await.expect(201);
    let missing = process.ask("GET", "/api/servers/none").send().await.expect(404);
    let failed = json!({ "parameters": { "id": "500" } });
    let failed = process.ask("POST", "/connectors/open/actions/misbehave/execute").json(&failed).send().await.expect(502);
    process.terminate();
    process.ended().await;
    let log = log(&data);
    let line = |answer: &crate::support::Answer| {
        let id = answer.header("x-request-id").to_owned();
        log.lines().find(|line| line.contains(&id)).unwrap_or_else(|| panic!("{id} is not in the log: {log}")).to_owned()
    };
    assert!(line(&missing).contains("NOT_FOUND"), "{log}");
    assert!(line(&failed).contains("open/misbehave"), "{log}");
}
