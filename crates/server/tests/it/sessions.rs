//! The legacy era: the handshake, sealed sessions, and what happens to them.

use serde_json::json;

use crate::support::{
    Ask, TestNode, does_not_apply,
    mcp::{ACCEPT, initialize, request},
    until,
};

#[tokio::test]
async fn every_revision_is_agreed_on_and_others_get_the_newest() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "Greeter", "customInstructions": "Be brief." })).await;
    for (asked, agreed) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
        ("", "2025-11-25"),
    ] {
        let answer = server.rpc("initialize", initialize(asked)).await.expect(200);
        let result = &answer.body["result"];
        assert_eq!(result["protocolVersion"], agreed, "{asked}");
        assert_eq!(result["serverInfo"]["name"], "Greeter");
        assert_eq!(result["instructions"], "Be brief.");
        assert!(result["capabilities"]["tools"].is_object());
        let session = answer.header("mcp-session-id");
        assert!(!session.is_empty() && session.bytes().all(|b| (0x21..=0x7e).contains(&b)));
        // Later calls carry the session; the version header is compared, not required.
        let later = || server.ask().header("mcp-session-id", session).json(&request("tools/list", json!({})));
        later().send().await.expect(200);
        later().header("mcp-protocol-version", agreed).send().await.expect(200);
        later().header("mcp-protocol-version", "1999-01-01").send().await.expect(400);
    }
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let taken = server.ask().header("mcp-session-id", server.session().await).json(&initialized).send().await.expect(202);
    assert_eq!(taken.text, "");
}

#[tokio::test]
async fn calls_need_no_handshake() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "Open" })).await;
    let listed = server.rpc("tools/list", json!({})).await.expect(200);
    let names: Vec<&str> = listed.body["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    for name in [
        "list_connectors_alloy",
        "get_connector_resources_alloy",
        "get_action_details_alloy",
        "execute_action_alloy",
        "create_credential_alloy",
        "get_credentials_alloy",
        "get_credential_metadata_alloy",
        "discover_action_path_alloy",
    ] {
        assert!(names.contains(&name), "{name}");
    }
    assert_eq!(names.len(), 8);
    assert!(listed.header("mcp-session-id").is_empty(), "no session was asked for");
}

#[tokio::test]
async fn a_session_belongs_to_its_token_and_user() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "One" })).await;
    let other = node.server(json!({ "name": "Two" })).await;
    let session = server.session().await;
    let ping = request("ping", json!({}));
    server.ask().header("mcp-session-id", &session).json(&ping).send().await.expect(200);
    let mut altered = session.clone().into_bytes();
    altered[10] = if altered[10] == b'A' { b'B' } else { b'A' };
    let wrong = ["nonsense".to_owned(), String::new(), String::from_utf8(altered).unwrap(), "x".repeat(5_000)];
    for wrong in wrong {
        let answer = server.ask().header("mcp-session-id", &wrong).json(&ping).send().await.expect(404);
        assert_eq!(answer.body["error"]["code"], -32001, "{}", answer.text);
    }
    other.ask().header("mcp-session-id", &session).json(&ping).send().await.expect(404);
    server.ask().user("somebody").header("mcp-session-id", &session).json(&ping).send().await.expect(404);
    server.ask_as(crate::support::node::ADMIN_KEY).header("mcp-session-id", &session).json(&ping).send().await.expect(404);
}

#[tokio::test]
async fn an_ended_session_is_gone() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "Ended" })).await;
    let session = server.session().await;
    let delete = |session: Option<&str>| {
        let ask = Ask::new("DELETE", &server.access_url).header("accept", ACCEPT);
        match session {
            Some(session) => ask.header("mcp-session-id", session),
            None => ask,
        }
    };
    delete(None).send().await.expect(405);
    delete(Some("nonsense")).send().await.expect(404);
    delete(Some(&session)).send().await.expect(204);
    server.ask().header("mcp-session-id", &session).json(&request("ping", json!({}))).send().await.expect(404);
    delete(Some(&session)).send().await.expect(404);
    let stream = Ask::new("GET", &server.access_url).header("accept", ACCEPT).header("mcp-session-id", &session);
    stream.send().await.expect(404);
    server.session().await;
}

/// A restart does not lose anybody's session, and an ended one stays ended.
#[tokio::test]
async fn sessions_survive_a_restart() {
    let mut node = TestNode::start().await;
    let server = node.server(json!({ "name": "Lasting" })).await;
    let (kept, ended) = (server.session().await, server.session().await);
    Ask::new("DELETE", &server.access_url).header("mcp-session-id", &ended).send().await.expect(204);
    node.restart().await;
    let ping = request("ping", json!({}));
    server.ask().header("mcp-session-id", &kept).json(&ping).send().await.expect(200);
    server.ask().header("mcp-session-id", &ended).json(&ping).send().await.expect(404);
}

/// Any node of the same database and master key answers. What one ends or changes, the other knows.
#[tokio::test]
async fn sessions_open_on_another_node() {
    let node = TestNode::start().await;
    let Some(second) = node.second().await else {
        return does_not_apply("sessions_open_on_another_node", "SQLite has one node; `./test postgres` runs it");
    };
    let server = node.server(json!({ "name": "Shared" })).await;
    let session = server.session().await;
    let path = server.access_url.strip_prefix(&node.url).unwrap();
    let there = || Ask::new("POST", format!("{}{path}", second.url)).header("accept", ACCEPT).header("mcp-session-id", &session);
    let ping = request("ping", json!({}));
    there().json(&ping).send().await.expect(200);
    Ask::new("DELETE", &server.access_url).header("mcp-session-id", &session).send().await.expect(204);
    until("the other node knows that it ended", async || (there().json(&ping).send().await.status == 404).then_some(())).await;
    node.delete(&format!("/api/servers/{}/token", server.id)).await.expect(200);
    until("the other node knows that the token ended", async || (there().json(&ping).send().await.status == 401).then_some(())).await;
}
