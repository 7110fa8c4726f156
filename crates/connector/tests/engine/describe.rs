//! What models and clients are shown of a connector.

use amalgam_connector::describe::{action_details, credential_metadata, resources};
use serde_json::json;

use super::demo;

#[test]
fn details_hold_what_a_call_needs() {
    let connector = demo();
    let details = action_details(&connector, connector.action("send").unwrap());
    assert_eq!(details["connectorId"], "demo");
    let action = &details["action"];
    assert_eq!(action["httpMethod"], "put");
    assert_eq!(action["effect"], "write");
    assert_eq!(action["displayName"], "Send");
    assert_eq!(
        action["parameters"][0],
        json!({"name": "roomId", "in": "path", "description": "The room's id.", "required": true, "schema": {"type": "string"}})
    );
    assert_eq!(action["parameters"].as_array().unwrap().len(), 3);
    assert_eq!(action["requestBody"]["required"], json!(["body"]));
    assert_eq!(action["required"], json!(["roomId", "kind", "txn", "body"]));
    assert_eq!(action["inputSchema"]["additionalProperties"], false);
    assert_eq!(action["inputSchema"]["properties"]["blocks"]["items"]["$ref"], "#/properties/blocks/$defs/block");
    assert_eq!(action["sample"], json!({"roomId": "<roomId>", "kind": "<kind>", "txn": 1, "body": "<body>"}));
    let sample = action["sample"].as_object().unwrap();
    assert!(connector.action("send").unwrap().validate(sample).is_ok());
}

#[test]
fn a_whole_body_is_its_own_schema() {
    let connector = demo();
    let details = action_details(&connector, connector.action("replace").unwrap());
    assert_eq!(details["action"]["requestBody"]["type"], "array");
    assert!(action_details(&connector, connector.action("users_list").unwrap())["action"].get("requestBody").is_none());
}

#[test]
fn resources_show_only_what_is_allowed() {
    let connector = demo();
    let shown = resources(&connector, &|id| id.starts_with("users") || id == "raw");
    assert_eq!(
        shown,
        json!({"connectorId": "demo", "resources": [
            {"name": "users", "displayName": "Users", "actions": [
                {"id": "users_list", "name": "users_list", "displayName": "List users", "description": "All users of the site.", "httpMethod": "get", "effect": "read"}]},
            {"name": "general", "displayName": "General", "actions": [
                {"id": "raw", "name": "raw", "displayName": "Raw", "description": "", "httpMethod": "put", "effect": "write"}]}]})
    );
}

#[test]
fn credential_metadata_has_an_entry_for_each_scheme() {
    let shown = credential_metadata(&demo());
    let kinds: Vec<_> = shown["metadata"].as_array().unwrap().iter().map(|entry| entry["authenticationType"].clone()).collect();
    assert_eq!(kinds, ["apiKey", "oauth2", "basic", "bearer"]);
    let key = &shown["metadata"][0];
    assert_eq!(key["sampleInput"], json!({"authenticationType": "apiKey", "data": {"apiKey": "YOUR_APIKEY", "site": "acme"}}));
    assert_eq!(key["inputSchema"]["properties"]["data"]["required"], json!(["apiKey", "site"]));
    let oauth = &shown["metadata"][1];
    assert_eq!(oauth["inputSchema"]["properties"]["redirectUri"]["format"], "uri");
    assert!(oauth["inputSchema"]["properties"]["data"]["properties"].get("token").is_none());
    let basic = &shown["metadata"][2];
    assert_eq!(basic["inputSchema"]["properties"]["data"]["required"], json!(["username", "site"]));
}
