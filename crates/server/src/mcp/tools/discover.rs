//! `discover_action_path_alloy`.

use serde_json::{Map, Value};

use super::{Outcome, optional, required};
use crate::{catalogue::discover, error::Result, mcp::Context};

/// Ranks actions for a goal.
pub async fn discover(context: &Context<'_>, arguments: &Map<String, Value>) -> Result<Outcome> {
    let goal = required(arguments, "goal", "say in plain words what should be done, for example \"send a message to a Slack channel\"")?;
    let connector = optional(arguments, "connectorId")?;
    discover::discover(&context.app.store, &context.caller.scope, Some(context.server), goal, connector).await.map(Outcome::from)
}
