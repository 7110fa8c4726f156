//! Subscriptions of the modern era.

use amalgam_protocol::Params;
use amalgam_protocol::listen::{Change, Filter, MAX_RESOURCES, ended};
use amalgam_protocol::present::Offer;
use serde_json::{Value, json};

use crate::{json as parsed, raw};

fn filter(notifications: &Value) -> Option<Filter> {
    let raw = raw(&json!({ "notifications": notifications }).to_string());
    Filter::parse(Some(&Params::parse(&raw).unwrap())).ok()
}

#[test]
fn reads_and_narrows() {
    let asked = json!({ "toolsListChanged": true, "promptsListChanged": false, "resourcesListChanged": true, "resourceSubscriptions": ["a", "b"], "x": 1 });
    let asked = filter(&asked).unwrap();
    assert!(asked.wants(&Change::Tools) && !asked.wants(&Change::Prompts) && asked.wants(&Change::Resource("b".into())));
    let offer = Offer { tools: true, list_changed: true, ..Offer::default() };
    let granted = asked.granted(&offer);
    assert_eq!(granted, Filter { tools_list_changed: true, ..Filter::default() });
    let first = parsed(&granted.acknowledged(&raw("\"s1\"")));
    assert_eq!(
        first,
        json!({ "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": {
            "notifications": { "toolsListChanged": true },
            "_meta": { "io.modelcontextprotocol/subscriptionId": "s1" } } })
    );
}

#[test]
fn refuses_other_shapes() {
    for wrong in [
        json!(null),
        json!([]),
        json!({ "toolsListChanged": 1 }),
        json!({ "resourceSubscriptions": "a" }),
        json!({ "resourceSubscriptions": [1] }),
    ] {
        assert_eq!(filter(&wrong), None, "{wrong}");
    }
    assert!(Filter::parse(None).is_err());
    assert!(filter(&json!({ "resourceSubscriptions": vec!["u"; MAX_RESOURCES] })).is_some());
    assert!(filter(&json!({ "resourceSubscriptions": vec!["u"; MAX_RESOURCES + 1] })).is_none());
    assert_eq!(filter(&json!({ "toolsListChanged": null })), Some(Filter::default()));
}

#[test]
fn changes_are_tagged_with_the_stream() {
    let tag = json!({ "io.modelcontextprotocol/subscriptionId": 5 });
    let message = parsed(&Change::Resource("test://\"x\"".into()).message(&raw("5")));
    assert_eq!(message["params"], json!({ "uri": "test://\"x\"", "_meta": tag }));
    let message = parsed(&Change::Tools.message(&raw("5")));
    assert_eq!((&message["method"], &message["params"]), (&json!("notifications/tools/list_changed"), &json!({ "_meta": tag })));
    assert_eq!(parsed(&Change::Prompts.legacy_message())["params"], json!({}));
    assert_eq!(parsed(&Change::Resource("u".into()).legacy_message())["params"], json!({ "uri": "u" }));
    let end = parsed(&ended(&raw("5"), br#"{"name":"s","version":"1"}"#));
    assert_eq!(end["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 5);
    assert_eq!(end["result"]["resultType"], "complete");
}
