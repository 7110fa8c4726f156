//! `tasks/get`, `tasks/update`, `tasks/cancel` (SEP-2663): to the upstream that runs the task. A task's id is sealed for its caller.

use amalgam_protocol::{Fault, Params, splice::Object};
use serde_json::{json, value::RawValue};

use super::{Reply, upstream};
use crate::mcp::{
    Context,
    relay::{Route, task},
};

/// The extension that clients of tasks declare.
const EXTENSION: &str = "io.modelcontextprotocol/tasks";

fn declares_tasks(params: Option<&Params<'_>>) -> bool {
    let capabilities = params.and_then(|params| params.meta.as_ref()?.client_capabilities).map_or("{}", RawValue::get);
    let extensions = Object::parse(capabilities).ok().and_then(|all| all.get("extensions").map(str::to_owned));
    extensions.is_some_and(|all| Object::parse(&all).is_ok_and(|all| all.get(EXTENSION).is_some()))
}

/// Passes a request about a task on.
pub async fn pass(context: &Context<'_>, method: &str, id: &RawValue, params: Option<&Params<'_>>) -> Result<Reply, Fault> {
    // Whoever does not take tasks for answers has none to ask about (SEP-2663).
    if !declares_tasks(params) {
        return Err(Fault::missing_capability(json!({ "extensions": { EXTENSION: {} } })));
    }
    let Some((params, handle)) = params.and_then(|params| Some((params, params.task_id.as_deref()?))) else {
        return Err(Fault::invalid_params("`params.taskId` is missing: the id that a call answered with."));
    };
    let Some((connector_id, own)) = task::open(context.app, context.caller, handle) else {
        return Err(Fault::invalid_params("`params.taskId` names no task of yours; use the id that a call answered with."));
    };
    let route = Route { connector_id, action_id: method.to_owned(), renamed: Some(("taskId", own)) };
    upstream::pass(context, method, id, params, route).await
}
