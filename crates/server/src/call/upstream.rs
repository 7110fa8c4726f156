//! Calls to upstream MCP servers: the same restrictions, limits and audit trail as for platforms, but the answer is passed on as it came.

use std::{sync::Arc, time::Duration};

use amalgam_policy::Decision;
use amalgam_protocol::splice::{Object, elements, quoted};
use bytes::Bytes;

use super::{Answer, Arguments, Call, Door, Extent, entry_of, shown};
use crate::{
    app::App,
    auth::Caller,
    catalogue,
    connectors::Loaded,
    error::{Error, Kind, Result},
    store::upstreams::Registered,
    telemetry::audit::Trail,
    upstream::{Client, Demand, Heard, Recorded},
};

/// A request for an upstream, as a client sent it.
pub struct Forward<'a> {
    /// Who calls, for whom, through which server.
    pub caller: &'a Caller,
    /// Through which door.
    pub door: Door,
    /// The upstream, by its slug.
    pub connector_id: &'a str,
    /// What restrictions judge: a tool's name, or the method for what is no tool, such as `resources/read`.
    pub action_id: &'a str,
    /// The method.
    pub method: &'a str,
    /// JSON.
    pub params: &'a str,
    /// The same taken apart, where somebody has done that already.
    pub members: Option<&'a Object<'a>>,
    /// What they are a part of, where that is known.
    pub body: Option<&'a Bytes>,
    /// The upstream's own name for what is asked, where ours differs.
    pub renamed: Option<(&'static str, &'a str)>,
    /// The upstream's own `requestState`.
    pub request_state: Option<&'a str>,
    /// The lowest level of log messages that are wanted.
    pub log_level: Option<&'a str>,
    /// What the client can do.
    pub client: &'a Client,
    /// Instead of the upstream's own.
    pub timeout: Option<Duration>,
    /// As in the answer's `x-request-id`.
    pub request_id: &'a str,
}

/// Judges a request, begins it, and ties it to its audit entry.
pub async fn forward(app: &App, forward: &Forward<'_>) -> Result<Recorded> {
    let entry = super::Entry {
        connector_id: Some(shown(forward.connector_id)),
        action_id: Some(shown(forward.action_id)),
        ..entry_of(app, forward.caller, forward.door, forward.params.as_bytes(), forward.request_id)
    };
    let mut trail = Trail::new(app.audit.clone(), entry);
    match begin(app, forward).await {
        Ok(exchange) => Ok(Recorded::new(exchange, trail)),
        Err(error) => {
            trail.fail(&error).await;
            Err(error)
        }
    }
}

async fn begin(app: &App, forward: &Forward<'_>) -> Result<crate::upstream::Exchange> {
    let server = forward.caller.server.as_deref();
    if let Some(server) = server
        && let Decision::Deny(denial) = server.restrictions.action(forward.connector_id, forward.action_id)
    {
        return Err(Error::denied(denial));
    }
    let found = catalogue::upstream(&app.store, &forward.caller.scope, server, forward.connector_id).await?;
    let Some(registered) = found else { return Err(Error::new(Kind::NotFound, "MCP server not found")) };
    let offering = registered.loaded.upstream.as_deref();
    let tool = offering.filter(|_| forward.method == "tools/call").and_then(|offering| offering.tools.get(forward.action_id));
    // With the user's own headers, where this user has entered any.
    let upstream = app.store.upstream_for(&registered.upstream, &forward.client.scope.user).await?;
    let demand = Demand {
        upstream: &upstream,
        client: forward.client,
        method: forward.method,
        params: forward.params,
        members: forward.members,
        body: forward.body,
        renamed: forward.renamed,
        request_state: forward.request_state,
        log_level: forward.log_level,
        headers: tool.map_or(&[], |tool| tool.headers.as_slice()),
        forwarded: Some(&forward.caller.forwarded),
        timeout: forward.timeout.unwrap_or_else(|| app.upstreams.timeout(&registered.upstream)),
    };
    app.upstreams.begin(&demand).await
}

/// The end of a call whose client hears nothing before it: the JSON of the result.
///
/// # Errors
/// Also where the upstream refuses the call with an error of the protocol.
pub async fn end(call: &mut Recorded) -> Result<String> {
    loop {
        match call.next().await? {
            Heard::Done(Ok(result)) => return Ok(result.into_result()),
            Heard::Done(Err(error)) => return Err(refused(&call.exchange.upstream().name, &error)),
            Heard::Request { id, method, .. } => call.exchange.refuse(&id, &method).await?,
            Heard::Notification { .. } => {}
        }
    }
}

/// The upstream refused with an error of the protocol.
pub fn refused(name: &str, error: &str) -> Error {
    let object = Object::parse(error).unwrap_or_default();
    let text: String = object.text("message").unwrap_or_default().chars().take(500).collect();
    let code = object.get("code").unwrap_or("none");
    let sentence = format!("{name} refused the call: {} (code {code}).", text.trim_end_matches('.'));
    Error::new(Kind::PlatformRefused, sentence)
}

/// Runs a tool as an action, for callers that read one answer.
pub(super) async fn execute(app: &App, call: &Call<'_>, arguments: Arguments, loaded: Arc<Loaded>) -> Result<Answer> {
    let server = call.caller.server.as_deref();
    let registered = known(app, call, loaded).await?;
    let action = catalogue::action(&registered.loaded, server, call.action_id)?;
    let mut arguments = arguments.flatten(action)?;
    let skip = call.view.enter(app, call, action, &mut arguments)?;
    let tool = registered.loaded.upstream.as_deref().and_then(|offering| offering.tools.get(call.action_id));
    let sent = serde_json::to_string(&arguments).map_err(Error::internal)?;
    let params = format!("{{\"name\":{},\"arguments\":{sent}}}", quoted(call.action_id));
    let client = Client::plain(&call.caller.scope);
    let upstream = app.store.upstream_for(&registered.upstream, &client.scope.user).await?;
    let demand = Demand {
        upstream: &upstream,
        client: &client,
        method: "tools/call",
        params: &params,
        members: None,
        body: None,
        renamed: None,
        request_state: None,
        log_level: None,
        headers: tool.map_or(&[], |tool| tool.headers.as_slice()),
        forwarded: Some(&call.caller.forwarded),
        timeout: call.timeout.unwrap_or_else(|| app.upstreams.timeout(&registered.upstream)),
    };
    let result = app.upstreams.begin(&demand).await?.done().await?;
    let result = result.map_err(|error| refused(&registered.upstream.name, &error))?;
    if Object::parse(&result).is_ok_and(|result| result.get("isError") == Some("true")) {
        let value = amalgam_protocol::strict::parse_answer(result.as_bytes()).map_err(Error::internal)?;
        let sentence = format!("{}: {}", registered.upstream.name, words(&result));
        return Err(Error::new(Kind::PlatformRefused, sentence).with_details(serde_json::json!({ "status": 200, "responseData": value })));
    }
    let connector = registered.loaded.clone();
    let extent = Extent::of(&result).map_err(Error::internal)?;
    let body = Bytes::from(result);
    Ok(Answer { connector, status: 200, body, extent, next: None, skip, arguments, picked_credential: None, cached: false, file: None })
}

/// The upstream with what it offers, asked now where that was never known.
async fn known(app: &App, call: &Call<'_>, loaded: Arc<Loaded>) -> Result<Arc<Registered>> {
    let (scope, server) = (&call.caller.scope, call.caller.server.as_deref());
    let find = || catalogue::upstream(&app.store, scope, server, loaded.id());
    let gone = || Error::new(Kind::ConnectorNotFound, "MCP server not found");
    let registered = find().await?.ok_or_else(gone)?;
    if registered.upstream.offered_at.is_some() {
        return Ok(registered);
    }
    app.upstreams.refresh(&registered.upstream).await?;
    find().await?.ok_or_else(gone)
}

/// The text blocks of a result.
fn words(result: &str) -> String {
    let blocks = Object::parse(result).ok().and_then(|result| result.get("content").map(str::to_owned)).unwrap_or_default();
    let texts =
        elements(&blocks).unwrap_or_default().into_iter().filter_map(|block| Some(Object::parse(block).ok()?.text("text")?.into_owned()));
    let text: Vec<String> = texts.collect();
    if text.is_empty() { "the tool failed without saying why.".to_owned() } else { text.join("\n") }
}
