//! `get_action_details_alloy`.

use amalgam_connector::describe;
use serde_json::{Map, Value};

use super::{Outcome, required};
use crate::{catalogue, error::Result, mcp::Context};

/// What an action needs.
pub async fn get(context: &Context<'_>, arguments: &Map<String, Value>) -> Result<Outcome> {
    let id = required(arguments, "connectorId", "the id of a connector, as list_connectors_alloy shows it")?;
    let action = required(arguments, "actionId", "the id of an action, as get_connector_resources_alloy shows it")?;
    let loaded = catalogue::resolve(&context.app.store, &context.caller.scope, Some(context.server), id).await?;
    let action = catalogue::permitted_action(&loaded, Some(context.server), action)?;
    Ok(describe::action_details(&loaded.connector, action).into())
}
