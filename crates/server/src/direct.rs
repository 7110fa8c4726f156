//! Direct exposure: every permitted action of the named connectors is a tool of its own.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use amalgam_connector::{CompiledAction, closest, definition::Effect};
use moka::sync::Cache;
use serde_json::{Map, Value, json};

use crate::{
    catalogue::{self, visible_action},
    connectors::Loaded,
    error::Result,
    store::{
        Store,
        servers::{Server, ToolPrefix},
    },
};

/// Clients cut or refuse longer names.
const MAX_NAME: usize = 64;

/// The tools of all servers together, in bytes, about.
const MAX_TOTAL: u64 = 64 * 1024 * 1024;

/// A tool and the action that it stands for.
pub struct Tool {
    /// Which platform.
    pub connector_id: String,
    /// Which operation.
    pub action_id: String,
    /// Its answers carry `structuredContent`.
    pub has_output_schema: bool,
    /// It takes `fields` and `raw` beside the action's own arguments.
    pub selects: bool,
}

/// The tools of one server.
pub struct DirectTools {
    /// The `tools` array of `tools/list`, as JSON text.
    pub list: String,
    by_name: HashMap<String, Tool>,
}

impl DirectTools {
    /// The tool of this name.
    pub fn get(&self, name: &str) -> Option<&Tool> {
        self.by_name.get(name)
    }

    /// The tool that was probably meant.
    pub fn closest(&self, name: &str) -> Option<&str> {
        closest(name, self.by_name.keys().map(String::as_str))
    }
}

/// What a list was made of: the server's `updated_at` and the version of each connector.
type MadeOf = (i64, Vec<u64>);

/// The tools of servers with direct exposure, by server id.
pub struct DirectCache {
    tools: Cache<String, (MadeOf, Arc<DirectTools>)>,
}

impl DirectCache {
    /// Holds the tools of the servers that were used last.
    pub fn new() -> Self {
        // Names and descriptions stand in the text and in the map.
        let weigh = |_: &String, (_, tools): &(MadeOf, Arc<DirectTools>)| u32::try_from(1_024 + 2 * tools.list.len()).unwrap_or(u32::MAX);
        Self { tools: Cache::builder().max_capacity(MAX_TOTAL).weigher(weigh).build() }
    }

    /// The tools of a server; built again when its settings or one of its connectors have changed.
    pub async fn tools(&self, store: &Store, server: &Server) -> Result<Arc<DirectTools>> {
        let named = named(store, server).await?;
        let of = (server.updated_at, named.iter().map(|loaded| loaded.version).collect::<Vec<_>>());
        if let Some((known, tools)) = self.tools.get(&server.id)
            && known == of
        {
            return Ok(tools);
        }
        let tools = Arc::new(build(&named, server));
        self.tools.insert(server.id.clone(), (of, tools.clone()));
        Ok(tools)
    }
}

/// The connectors of the setting that the server permits, in its order, so that the list stays the same from call to call.
async fn named(store: &Store, server: &Server) -> Result<Vec<Arc<Loaded>>> {
    let all = catalogue::visible(store, &server.owner.account, Some(server)).await?;
    Ok(server.settings.connectors.iter().filter_map(|id| all.iter().find(|loaded| loaded.id() == id).cloned()).collect())
}

fn build(named: &[Arc<Loaded>], server: &Server) -> DirectTools {
    let actions: Vec<(&str, &CompiledAction)> = named
        .iter()
        .flat_map(|loaded| loaded.connector.actions().map(|action| (loaded.id(), action)))
        .filter(|(connector, action)| visible_action(Some(server), connector, &action.id))
        .collect();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (_, action) in &actions {
        *seen.entry(fit(&action.id)).or_default() += 1;
    }
    let mut list = Vec::with_capacity(actions.len());
    let mut by_name = HashMap::with_capacity(actions.len());
    for (connector, action) in actions {
        let bare = fit(&action.id);
        let name = match server.settings.tool_prefix {
            ToolPrefix::Always => fit(&format!("{connector}_{}", action.id)),
            ToolPrefix::Conflict if seen.get(&bare).is_some_and(|n| *n > 1) => fit(&format!("{connector}_{}", action.id)),
            ToolPrefix::Conflict | ToolPrefix::Never => bare,
        };
        let output = action.action.response.as_ref().and_then(|response| response.schema.as_ref()).and_then(|schema| outline(schema, 3));
        // Two tools never share a name; the one that was named first keeps it.
        let Entry::Vacant(place) = by_name.entry(name) else {
            tracing::warn!(server = server.id, connector, action = &*action.id, "left out of the tools: its name is taken");
            continue;
        };
        let selects = selects(action);
        list.push(describe(place.key(), connector, action, output.as_ref(), selects));
        let (connector_id, action_id) = (connector.to_owned(), action.id.to_string());
        place.insert(Tool { connector_id, action_id, has_output_schema: output.is_some(), selects });
    }
    DirectTools { list: Value::Array(list).to_string(), by_name }
}

/// Whether only a part of its answers is shown unless more is asked for, and its own arguments leave room for asking.
fn selects(action: &CompiledAction) -> bool {
    let partial = action.action.response.as_ref().is_some_and(|response| !response.fields.is_empty() || response.select.is_some());
    partial && !["fields", "raw"].iter().any(|name| action.action.params.contains_key(*name))
}

fn describe(name: &str, connector: &str, action: &CompiledAction, output: Option<&Value>, selects: bool) -> Value {
    let effect = action.action.effect();
    let mut tool = json!({
        "name": name,
        "description": if action.action.description.is_empty() { format!("{} ({connector})", action.action.name) } else { action.action.description.clone() },
        "inputSchema": action.input_schema(),
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

/// At most 64 characters that all clients take; what is cut ends in a digest of the whole, so that names stay apart.
fn fit(name: &str) -> String {
    let clean: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '_' }).collect();
    if clean.len() <= MAX_NAME {
        return clean;
    }
    let digest = crate::clock::hex(&amalgam_vault::hash_token(name));
    format!("{}_{}", &clean[..MAX_NAME - 9], &digest[..8])
}
