//! The connect doctor: each step, what came of it, and what to change; no secret in any of it.

use serde_json::{Value, json};

use crate::support::{Mood, Platform, Provider, TestNode, provider::connected, shop, until};

async fn look(node: &TestNode, connector: &str, user: &str) -> Value {
    let body = json!({ "connectorId": connector, "userId": user, "renew": true });
    let answer = node.post("/api/doctor/connect", body).await.expect(200);
    assert!(!answer.text.contains("of-the-board") && !answer.text.contains("client-secret"), "{}", answer.text);
    answer.body
}

fn step<'a>(report: &'a Value, name: &str) -> &'a Value {
    let steps = report["steps"].as_array().unwrap();
    steps.iter().find(|step| step["step"] == name).unwrap_or_else(|| panic!("no {name} in {report}"))
}

/// A consent page that shows itself to people alone is not called wrong.
#[tokio::test]
async fn a_page_for_people_is_no_mistake() {
    let (node, provider, page) = (TestNode::start().await, Provider::start().await, Platform::start().await);
    provider.import_with(&node, "board", json!({ "authorize_url": format!("{}/authorize", page.url()) })).await;
    for (status, ok) in
        [(200, json!(true)), (302, json!(true)), (401, Value::Null), (403, Value::Null), (400, json!(false)), (404, json!(false))]
    {
        page.prepare(status, &[], &json!({}));
        let report = look(&node, "board", "ann").await;
        let found = step(&report, "consent page");
        assert_eq!(found["ok"], ok, "{status}: {found}");
        assert_eq!(found["advice"].is_string(), status >= 400, "{status}: {found}");
        assert_eq!(report["ok"].as_bool(), Some(false), "the user has no credential yet: {report}");
    }
    let address = page.address;
    drop(page);
    until("it is gone", async || tokio::net::TcpStream::connect(address).await.err()).await;
    let report = look(&node, "board", "ann").await;
    assert_eq!(step(&report, "consent page")["ok"], Value::Null, "{report}");
}

#[tokio::test]
async fn every_step_is_tried_and_says_what_to_change() {
    let node = TestNode::start().await;
    let provider = Provider::start().await;
    let config = provider.import(&node, "board").await;
    connected(&node, "board", "ann").await;
    let well = look(&node, "board", "ann").await;
    assert_eq!(well["ok"], true, "{well}");
    for name in ["connector", "auth config", "consent page", "token endpoint", "credential", "renewal", "first call"] {
        assert_eq!(step(&well, name)["ok"], true, "{name}: {well}");
    }
    let nobody = look(&node, "board", "bob").await;
    assert_eq!((&step(&nobody, "credential")["ok"], &step(&nobody, "first call")["ok"]), (&json!(false), &Value::Null));
    for (mood, words) in [(Mood::Down, "503"), (Mood::Html, "not JSON"), (Mood::Refuses("invalid_client"), "accept the client")] {
        provider.be(mood);
        let report = look(&node, "board", "bob").await;
        let found = step(&report, "token endpoint");
        assert!(found["ok"] == false && found["found"].as_str().unwrap().contains(words), "{mood:?} {found}");
        assert!(found["advice"].is_string());
    }
    provider.be(Mood::Well);
    node.delete(&format!("/api/auth-configs/{config}")).await.expect(200);
    let none = look(&node, "board", "ann").await;
    assert!(step(&none, "auth config")["advice"].as_str().unwrap().contains("POST /api/auth-configs"));
    let member = node.key("eve", "member").await;
    node.ask("POST", "/api/doctor/connect").key(&member).json(&json!({ "connectorId": "board" })).send().await.expect(403);
    node.post("/api/doctor/connect", json!({ "connectorId": "nothing" })).await.refuses(404, "not found");
    let _platform = shop::shop(&node).await;
    assert_eq!(look(&node, "open", "ann").await["ok"], true);
}
