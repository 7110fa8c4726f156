//! Tasks: `tasks/get`, `tasks/update`, `tasks/cancel` of the extension (SEP-2663), and `tasks/get`, `tasks/result`, `tasks/list`,
//! `tasks/cancel` of 2025-11-25: to the upstream that runs the task. A task's id is sealed for its caller.

use amalgam_protocol::{Fault, Params, ResultWriter, splice::Object};
use futures_util::{StreamExt as _, stream};
use serde_json::{json, value::RawValue};

use super::{Reply, upstream};
use crate::{
    call::{
        Door,
        upstream::{Forward, end, forward},
    },
    mcp::{
        Context, fault,
        relay::{Route, task},
    },
    upstream::Client,
};

/// Tasks that are asked about at once for one list.
const AT_ONCE: usize = 8;

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
    known(context, method, id, params).await
}

/// The same where no capability has to be declared: in the handshake era.
pub async fn known(context: &Context<'_>, method: &str, id: &RawValue, params: Option<&Params<'_>>) -> Result<Reply, Fault> {
    let Some((params, handle)) = params.and_then(|params| Some((params, params.task_id.as_deref()?))) else {
        return Err(Fault::invalid_params("`params.taskId` is missing: the id that a call answered with."));
    };
    let Some((connector_id, own)) = task::open(context.app, context.caller, context.era, handle) else {
        return Err(Fault::invalid_params("`params.taskId` names no task of yours; use the id that a call answered with."));
    };
    let route = Route { connector_id, action_id: method.to_owned(), renamed: Some(("taskId", own)) };
    upstream::pass(context, method, id, params, route).await
}

/// The tasks that were begun in this session, newest first. An upstream's own list is not asked for: users who share a credential there
/// would see each other's.
pub async fn list(context: &Context<'_>, id: &RawValue) -> Result<Reply, Fault> {
    let Some(session) = context.session else { return Err(fault(&upstream::no_session())) };
    let client = upstream::client(context, None);
    let handles = context.app.upstreams.waiting().lane(session.hash()).tasks();
    let found = stream::iter(handles).map(|handle| show(context, &client, handle)).buffered(AT_ONCE);
    // One whose upstream no longer knows it has ended long ago.
    let found: Vec<String> = found.filter_map(std::future::ready).collect().await;
    let mut writer = ResultWriter::new(context.era, id);
    writer.member("tasks", format!("[{}]", found.join(",")).as_bytes());
    Ok(Reply::Json(writer.finish(b"")))
}

/// A task as its upstream shows it now.
async fn show(context: &Context<'_>, client: &Client, handle: String) -> Option<String> {
    let (connector_id, own) = task::open(context.app, context.caller, context.era, &handle)?;
    let request = Forward {
        caller: context.caller,
        door: Door::Mcp,
        connector_id: &connector_id,
        action_id: "tasks/get",
        method: "tasks/get",
        params: "{}",
        members: None,
        body: None,
        renamed: Some(("taskId", &own)),
        request_state: None,
        log_level: None,
        client,
        timeout: None,
        request_id: context.request_id,
    };
    let mut call = Box::pin(forward(context.app, &request)).await.ok()?;
    let result = end(&mut call).await.ok()?;
    task::replaced(&result, &own, &handle)
}
