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
pub fn platform(name: &str, connector: &Connector, action: &CompiledAction, output: Option<&Value>, takes: &[&str]) -> Value {
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
    for name in takes {
        tool["inputSchema"]["properties"][name] = match *name {
            "fields" => {
                let about = "Members of the answer that you need, dotted for inner ones. Without it you get those that matter most.";
                json!({ "type": "array", "items": { "type": "string" }, "description": about })
            }
            "raw" => json!({ "type": "boolean", "description": "True for the whole answer of the platform." }),
            "cursor" => json!({ "type": "string", "description": "`nextCursor` of an answer to the same call: goes on there." }),
            "limit" => json!({ "type": "integer", "minimum": 1, "maximum": 1000, "description": "At most so many items." }),
            "part" => json!({ "type": "string", "description": "A `path` that was cut in an answer to the same call: shows that part." }),
            _ => json!({ "type": "integer", "minimum": 500, "description": "At most about so many tokens." }),
        };
    }
    tool
}

/// What says what of its answers is wanted, as far as its own arguments leave room for it: members, where only a part is shown unless more is
/// asked for; a place, where it may be asked again.
pub fn takes(action: &CompiledAction) -> Vec<&'static str> {
    let free = |name: &&str| !action.action.params.contains_key(*name);
    let response = action.action.response.as_ref();
    let partial = response.is_some_and(|response| !response.fields.is_empty() || response.select.is_some());
    let selecting = if partial && ["fields", "raw"].iter().all(free) { &["fields", "raw"][..] } else { &[] };
    let reads = action.action.effect() == Effect::Read;
    let pages = reads && action.action.pagination.is_some();
    let reading = if reads { &["cursor", "part", "maxTokens"][..] } else { &[] };
    let paging = if pages { &["limit"][..] } else { &[] };
    selecting.iter().chain(reading.iter().chain(paging).filter(|name| free(name))).copied().collect()
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
