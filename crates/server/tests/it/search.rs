//! Finding an action for a goal: what the answer says is true, filters, and connectors that come and go.

use serde_json::{Value, json};

use crate::support::{Answer, Server, TestNode, shop};

/// `connector/action` of what was found, best first.
fn found(answer: &Value) -> Vec<String> {
    let actions = answer["actions"].as_array().unwrap_or_else(|| panic!("{answer}"));
    actions.iter().map(|action| format!("{}/{}", action["connectorId"].as_str().unwrap(), action["actionId"].as_str().unwrap())).collect()
}

async fn discover(server: &Server, arguments: Value) -> Value {
    server.tool("discover_action_path_alloy", arguments).await.ok()
}

async fn search(node: &TestNode, query: &str) -> Answer {
    node.get(&format!("/connectors/search?{query}")).await
}

#[tokio::test]
async fn what_is_said_of_an_action_is_true() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    let goal = json!({ "goal": "delete an item", "connectorId": "shop" });
    let first = |answer: &Value| answer["actions"][0].clone();
    let without = first(&discover(&server, goal.clone()).await);
    assert_eq!((&without["actionId"], &without["effect"]), (&json!("deleteItem"), &json!("destructive")), "{without}");
    assert_eq!((&without["requiredParameters"], &without["matched"]), (&json!(["id"]), &json!(["delete", "item"])), "{without}");
    assert_eq!(without["hasCredential"], false, "{without}");
    server.execute("shop", "deleteItem", json!({ "id": "1" })).await.refuses("Credential not found");

    let fields = json!({ "apiKey": "k-12345678" });
    let arguments = json!({ "connectorId": "shop", "authenticationType": "apiKey", "fields": fields });
    let made = server.tool("create_credential_alloy", arguments).await.ok();
    let with = first(&discover(&server, goal.clone()).await);
    assert_eq!(with["hasCredential"], true, "{with}");
    let anna = crate::support::mcp::tool(server.ask().user("anna"), "discover_action_path_alloy", goal.clone()).await.ok();
    assert_eq!(first(&anna)["hasCredential"], false, "another user's is not this user's: {anna}");
    let open = first(&discover(&server, json!({ "goal": "create an item", "connectorId": "open" })).await);
    assert_eq!((&open["hasCredential"], &open["requiredParameters"]), (&json!(true), &json!(["name"])), "{open}");

    let id = made["credentialId"].as_str().unwrap();
    node.delete(&format!("/connectors/shop/credentials/{id}")).await.expect(200);
    assert_eq!(first(&discover(&server, goal).await)["hasCredential"], false);
}

#[tokio::test]
async fn goals_and_filters_are_bounded_and_named() {
    let node = TestNode::start().await;
    let _platform = shop::shop(&node).await;
    let server = node.server(json!({ "name": "S" })).await;
    let long = "send a message ".repeat(134);
    for (arguments, words) in [
        (json!({ "goal": long }), "`goal` has 2010 characters, and at most 2000"),
        (json!({ "goal": "list items", "connectorId": "slak" }), "Connector \"slak\" not found. Did you mean \"slack\"?"),
        (json!({ "goal": "list items", "category": "shoping" }), "No connector is of the category \"shoping\". There are: "),
    ] {
        server.tool("discover_action_path_alloy", arguments.clone()).await.refuses(words);
        let query: Vec<String> =
            arguments.as_object().unwrap().iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap())).collect();
        let status = if words.contains("Did you mean") { 404 } else { 400 };
        search(&node, &query.join("&").replace(' ', "+")).await.refuses(status, words);
    }
    search(&node, &format!("goal={}", &long[..2_000].replace(' ', "+"))).await.expect(200);
    let crm = search(&node, "goal=create+a+deal&category=CRM").await.expect(200);
    assert!(found(&crm.body).iter().any(|id| id == "hubspot/createDeal"), "{}", crm.text);
    assert!(
        found(&crm.body)
            .iter()
            .all(|id| ["hubspot", "pipedrive", "salesforce", "intercom", "zendesk", "freshdesk"].contains(&id.split('/').next().unwrap())),
        "{}",
        crm.text
    );
    let both = discover(&server, json!({ "goal": "create a deal", "category": "crm", "connectorId": "pipedrive" })).await;
    assert_eq!(found(&both)[0], "pipedrive/addDeal");
    assert!(found(&both).iter().all(|id| id.starts_with("pipedrive/")), "{both}");
}

#[tokio::test]
async fn connectors_are_found_from_the_moment_they_are_there() {
    let node = TestNode::start().await;
    let goal = "goal=catalogue+every+quokka";
    let quokkas = |answer: &Answer| found(&answer.body).contains(&"zoo/catalogueQuokkas".to_owned());
    assert!(!quokkas(&search(&node, goal).await.expect(200)));
    let document = |operation: &str, summary: &str| {
        json!({ "openapi": "3.0.3", "info": { "title": "Zoo", "version": "1" }, "servers": [{ "url": "https://zoo.invalid" }],
            "paths": { "/quokkas": { "get": { "operationId": operation, "summary": summary, "responses": { "200": { "description": "ok" } } } } } })
    };
    let body = json!({ "id": "zoo", "spec": document("catalogueQuokkas", "Catalogue quokkas") });
    node.post("/api/connectors", body).await.expect(201);
    assert!(quokkas(&search(&node, goal).await.expect(200)));
    node.put("/api/connectors/zoo", json!({ "spec": document("feedWombats", "Feed wombats") })).await.expect(200);
    assert!(!quokkas(&search(&node, goal).await.expect(200)));
    assert_eq!(found(&search(&node, "goal=feed+the+wombats").await.body)[0], "zoo/feedWombats");
    node.delete("/api/connectors/zoo").await.expect(200);
    assert!(!search(&node, "goal=feed+the+wombats").await.expect(200).text.contains("\"zoo\""));
}
