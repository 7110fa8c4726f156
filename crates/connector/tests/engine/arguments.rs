//! What a model is told about its arguments.

use serde_json::{Value, json};

use super::{demo, load, object};

fn told(action: &str, args: Value) -> String {
    let connector = demo();
    let action = connector.action(action).unwrap();
    action.validate(&object(args)).err().map_or(String::new(), |error| format!("[{}] {}", error.field.unwrap_or_default(), error.message))
}

#[test]
fn good_arguments_pass() {
    assert_eq!(told("users_list", json!({})), "");
    assert_eq!(told("users_list", json!({"limit": 5.0, "query": null, "tags": ["a"]})), "");
    assert_eq!(told("send", json!({"roomId": "!a:b", "kind": "room", "txn": 1, "body": "x", "parent": null})), "");
    assert_eq!(
        told("send", json!({"roomId": "!a:b", "kind": "r", "txn": 1, "body": "x", "blocks": [{"type": "a", "child": {"type": "b"}}]})),
        ""
    );
}

#[test]
fn missing_parameters_are_described() {
    assert_eq!(
        told("send", json!({"kind": "room", "txn": 1})),
        "[roomId] The required parameter `roomId` (string) is missing: The room's id. The required parameter `body` (string) is missing: What to say."
    );
}

#[test]
fn unknown_parameters_get_a_suggestion() {
    let text = told("send", json!({"roomId": "a", "kind": "b", "txn": 1, "body": "x", "Mod": "rich"}));
    assert!(text.starts_with("[Mod] There is no parameter `Mod`. Did you mean `mode`? Known parameters: `roomId`, `kind`"), "{text}");
}

#[test]
fn types_choices_and_bounds_are_sentences() {
    let with = |extra: Value| {
        let mut args = object(json!({"roomId": "a", "kind": "b", "txn": 1, "body": "x"}));
        args.extend(object(extra));
        told("send", Value::Object(args))
    };
    assert_eq!(with(json!({"limit": "ten"})), "[limit] `limit` must be an integer, got the string \"ten\".");
    assert_eq!(with(json!({"mode": "fancy"})), "[mode] `mode` must be one of \"plain\", \"rich\"; got the string \"fancy\".");
    assert_eq!(with(json!({"parent": 3})), "[parent] `parent` must be null or a string, got the number 3.");
    assert_eq!(with(json!({"blocks": [{"type": "a"}, {}]})), "[blocks] `blocks[1]` needs the member \"type\".");
    assert_eq!(
        with(json!({"blocks": [{"type": "a", "child": {"type": 1}}]})),
        "[blocks] `blocks[0].child.type` must be a string, got the number 1."
    );
    assert_eq!(told("users_list", json!({"limit": 0})), "[limit] `limit` must be at least 1, got the number 0.");
    assert_eq!(with(json!({"body": null})), "[body] `body` must be a string, got null.");
}

#[test]
fn messages_are_bounded() {
    let long = "y".repeat(1_000_000);
    assert!(told("users_list", json!({"limit": long})).len() < 300);
    let many: serde_json::Map<String, Value> = (0..5_000).map(|n| (format!("p{n}{long:.200}"), json!(1))).collect();
    let text = told("users_list", Value::Object(many));
    assert!(text.len() < 3_000 && text.contains("And 4997 further problems."), "{}", text.len());
    let text = told("users_list", json!({"tags": vec![1; 200_000]}));
    assert_eq!(text, "[tags] `tags[0]` must be a string, got the number 1.");
}

/// Schemas that cannot be compiled, or that lead in circles, neither fail the call nor overflow the stack.
#[test]
fn odd_schemas_fall_back() {
    let connector = load(
        r##"
id = "x"
name = "X"
base_url = "https://example.com"
[actions.a]
method = "POST"
path = "/a"
[actions.a.params]
bad = { in = "body", schema = { type = "strin" } }
pattern = { in = "body", schema = { type = "string", pattern = "(" } }
slow = { in = "body", schema = { type = "string", pattern = "^(?=x)(a+)+$|^(a+)+$" } }
circle = { in = "body", schema = { "$ref" = "#/$defs/a", "$defs" = { a = { "$ref" = "#/$defs/b" }, b = { "$ref" = "#/$defs/a" } } } }
itself = { in = "body", schema = { "$ref" = "#" } }
any = { in = "body", schema = { anyOf = [{ "$ref" = "#" }, { type = "string" }] } }
good = { in = "body", type = "integer" }
"##,
    );
    let action = connector.action("a").unwrap();
    let aaa = "a".repeat(5_000) + "!";
    for key in ["bad", "pattern", "slow", "circle", "itself", "any"] {
        drop(action.validate(&object(json!({key: aaa}))));
    }
    assert!(action.validate(&object(json!({"bad": 1}))).is_ok());
    assert!(action.validate(&object(json!({"bad": 1, "good": "x"}))).is_err());
}

#[test]
fn alternatives_name_what_would_do() {
    let connector = load(
        r#"
id = "x"
name = "X"
base_url = "https://example.com"
[actions.a]
method = "POST"
path = "/a"
[actions.a.params]
one = { in = "body", schema = { oneOf = [{ type = "string" }, { type = "array", items = { type = "string" } }] } }
two = { in = "body", schema = { anyOf = [{ type = "string" }, { type = "object", required = ["id"], properties = { id = { type = "integer" } } }] } }
"#,
    );
    let action = connector.action("a").unwrap();
    let told = |args: Value| action.validate(&object(args)).unwrap_err().message;
    assert_eq!(told(json!({"one": 1})), "`one` must be a string or an array, got the number 1.");
    assert_eq!(told(json!({"two": {}})), "`two` fits none of the forms that are accepted; the nearest one needs the member \"id\".");
}
