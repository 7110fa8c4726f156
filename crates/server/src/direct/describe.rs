//! How a tool is described: an action's from its connector, an upstream's in its own words.

use amalgam_connector::{CompiledAction, Connector, definition::Effect};
use amalgam_protocol::splice::Object;
use serde_json::{Map, Value, json};

/// The description of an upstream's tool, as it is but for its name.
pub fn upstream(name: &str, own: &str, raw: &str) -> String {
    if name == own {
        return raw.to_owned();
    }
    // It was read when it was kept.
    let mut tool = Object::parse(raw).unwrap_or_default();
    tool.set_text("name", name);
    tool.to_string()
}

/// What of an action's answer is promised.
pub fn output(action: &CompiledAction) -> Option<Value> {
    action.action.response.as_ref().and_then(|response| response.schema.as_ref()).and_then(|schema| outline(schema, 3))
}

/// The description of an action as a tool.
pub fn platform(name: &str, connector: &Connector, action: &CompiledAction, output: Option<&Value>, selects: bool) -> Value {
    let effect = action.action.effect();
    let mut tool = json!({
        "name": name,
        "description": if action.action.description.is_empty() { format!("{} ({})", action.action.name, connector.definition().id) } else { action.action.description.clone() },
        "inputSchema": connector.input_schema(action),
        "annotations": {
            "readOnlyHint": effect == Effect::Read,
            "destructiveHint": effect == Effect::Destructive,
            "openWorldHint": true,
        },
    });
    if !action.action.name.is_empty() {
        tool["title"] = action.action.name.clone().into();
    }
    if let Some(output) = output {
        tool["outputSchema"] = output.clone();
    }
    if selects {
        let about = "Members of the answer that you need, dotted for inner ones. Without it you get those that matter most.";
        tool["inputSchema"]["properties"]["fields"] = json!({ "type": "array", "items": { "type": "string" }, "description": about });
        tool["inputSchema"]["properties"]["raw"] =
            json!({ "type": "boolean", "description": "True for the whole answer of the platform." });
    }
    tool
}

/// Whether only a part of its answers is shown unless more is asked for, and its own arguments leave room for asking.
pub fn selects(action: &CompiledAction) -> bool {
    let partial = action.action.response.as_ref().is_some_and(|response| !response.fields.is_empty() || response.select.is_some());
    partial && !["fields", "raw"].iter().any(|name| action.action.params.contains_key(*name))
}

/// What of a declared answer can be promised to clients, which refuse answers that break the promise: the names and descriptions of
/// members, not their types. Vendors' documents are wrong about those too often, and shaping may cut any of them.
fn outline(schema: &Value, depth: usize) -> Option<Value> {
    let properties = schema.get("properties")?.as_object()?;
    let mut members = Map::new();
    for (name, property) in properties {
        let mut member = Map::new();
        if let Some(description) = property.get("description").filter(|description| description.is_string()) {
            member.insert("description".to_owned(), description.clone());
        }
        if depth > 1
            && let Some(inner) = outline(property, depth - 1)
            && let Some(inner) = inner.get("properties")
        {
            // Without `type`, `properties` says nothing about values that are not objects.
            member.insert("properties".to_owned(), inner.clone());
        }
        members.insert(name.clone(), Value::Object(member));
    }
    Some(json!({ "type": "object", "properties": members }))
}
