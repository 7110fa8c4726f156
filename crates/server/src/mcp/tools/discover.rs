//! `discover_action_path_alloy`.

use serde_json::{Map, Value};

use super::{Outcome, optional, required};
use crate::{
    catalogue::discover::{self, Filter},
    error::Result,
    mcp::Context,
};

/// Ranks actions for a goal.
pub async fn discover(context: &Context<'_>, arguments: &Map<String, Value>) -> Result<Outcome> {
    let goal = required(arguments, "goal", "say in plain words what should be done, for example \"send a message to a Slack channel\"")?;
    let filter = Filter { connector: optional(arguments, "connectorId")?, category: optional(arguments, "category")? };
    discover::discover(&context.app.store, &context.caller.scope, Some(context.server), goal, &filter).await.map(Outcome::from)
}
