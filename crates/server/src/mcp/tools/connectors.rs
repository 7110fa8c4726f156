//! `list_connectors_alloy` and `get_connector_resources_alloy`.

use amalgam_connector::describe;
use serde_json::{Map, Value, json};

use super::{Outcome, optional, required};
use crate::{
    catalogue::{self, visible_action},
    error::Result,
    mcp::Context,
};

/// The connectors that the server permits.
pub async fn list(context: &Context<'_>, arguments: &Map<String, Value>) -> Result<Outcome> {
    let category = optional(arguments, "category")?.filter(|category| !category.is_empty());
    let all = catalogue::visible(&context.app.store, &context.caller.scope, Some(context.server)).await?;
    let connectors: Vec<Value> = all
        .iter()
        .filter(|loaded| category.is_none_or(|category| loaded.has_category(category)))
        .map(|loaded| {
            let about = &loaded.about;
            let mut item = json!({ "id": about.id, "name": about.name, "category": about.categories });
            if !about.description.is_empty() {
                item["description"] = about.description.clone().into();
            }
            item
        })
        .collect();
    let message = match (connectors.len(), category) {
        (0, Some(category)) => {
            let mut known: Vec<&String> = all.iter().flat_map(|loaded| &loaded.about.categories).collect();
            known.sort_unstable();
            known.dedup();
            format!("No connector has the category {category:?}; there are {known:?}. Leave `category` out to list all.")
        }
        (n, _) => format!("Found {n} available connectors"),
    };
    Ok(json!({ "connectors": connectors, "count": connectors.len(), "message": message }).into())
}

/// A connector's resources with the actions that the server permits.
pub async fn resources(context: &Context<'_>, arguments: &Map<String, Value>) -> Result<Outcome> {
    let id = required(arguments, "connectorId", "the id of a connector, as list_connectors_alloy shows it")?;
    let loaded = catalogue::resolve(&context.app.store, &context.caller.scope, Some(context.server), id).await?;
    Ok(describe::resources(&loaded.connector, &|action| visible_action(Some(context.server), loaded.id(), action)).into())
}
