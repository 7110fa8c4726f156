//! Arguments made up from schemas, for actions whose author gave none.

use serde_json::{Map, Value, json};

use crate::definition::Action;

/// How deep a sample follows a schema.
const DEPTH: usize = 6;

/// A value for every argument that must be given.
pub(super) fn arguments(action: &Action) -> Value {
    let required = action.params.iter().filter(|(_, param)| param.must_be_given());
    let sample: Map<String, Value> = required
        .map(|(name, param)| {
            let schema = param.json_schema();
            (name.clone(), value(&schema, &schema, name, DEPTH))
        })
        .collect();
    Value::Object(sample)
}

/// A value that a schema accepts, as far as can be told: examples, defaults and choices first, then its type.
fn value(schema: &Value, root: &Value, name: &str, depth: usize) -> Value {
    let Value::Object(members) = schema else {
        return name.into();
    };
    let example = members.get("examples").and_then(Value::as_array).and_then(|examples| examples.first());
    let given = example.or_else(|| members.get("example")).or_else(|| members.get("default")).or_else(|| members.get("const"));
    if let Some(given) = given.or_else(|| members.get("enum").and_then(Value::as_array).and_then(|choices| choices.first())) {
        return given.clone();
    }
    let Some(left) = depth.checked_sub(1) else {
        return Value::Null;
    };
    if let Some(target) = members.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'))
        && let Some(target) = root.pointer(target)
    {
        return value(target, root, name, left);
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(branch) = members.get(key).and_then(Value::as_array).and_then(|branches| branches.first())
            && !members.contains_key("properties")
        {
            return value(branch, root, name, left);
        }
    }
    match members.get("type").map(|kind| kind.as_array().and_then(|kinds| kinds.first()).unwrap_or(kind)).and_then(Value::as_str) {
        Some("integer" | "number") => members.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        Some("array") => {
            let item = members.get("items").map(|items| value(items, root, name, left));
            Value::Array(item.into_iter().filter(|item| !item.is_null()).collect())
        }
        Some("object") => object(members, root, left),
        None if members.contains_key("properties") => object(members, root, left),
        _ => text(members, name),
    }
}

fn object(members: &Map<String, Value>, root: &Value, depth: usize) -> Value {
    let required = members.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let properties = members.get("properties").and_then(Value::as_object);
    let sample: Map<String, Value> = required
        .iter()
        .filter_map(Value::as_str)
        .take(30)
        .map(|name| {
            let schema = properties.and_then(|properties| properties.get(name)).unwrap_or(&Value::Null);
            (name.to_owned(), value(schema, root, name, depth))
        })
        .collect();
    Value::Object(sample)
}

fn text(members: &Map<String, Value>, name: &str) -> Value {
    match members.get("format").and_then(Value::as_str) {
        Some("date-time") => "2026-01-31T09:00:00Z".into(),
        Some("date") => "2026-01-31".into(),
        Some("email") => "person@example.com".into(),
        Some("uri" | "url") => "https://example.com".into(),
        Some("uuid") => "00000000-0000-4000-8000-000000000000".into(),
        _ => format!("<{name}>").into(),
    }
}
