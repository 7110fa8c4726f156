//! Methods of legacy sessions: `logging/setLevel`, `resources/subscribe`, `resources/unsubscribe`.

use amalgam_protocol::{Fault, Params, params::LOG_LEVELS, respond, splice::Object};
use serde_json::value::RawValue;

use super::{Reply, upstream};
use crate::mcp::{Context, fault};

/// Remembers the lowest level of log messages that the session wants.
pub fn set_level(context: &Context<'_>, id: &RawValue, params: Option<&Params<'_>>) -> Result<Reply, Fault> {
    let object = params.and_then(|params| Object::parse(params.raw.get()).ok()).unwrap_or_default();
    let level = object.text("level").filter(|level| LOG_LEVELS.contains(&&**level));
    let Some(level) = level else {
        return Err(Fault::invalid_params(format!("The member \"level\" must be one of {}.", LOG_LEVELS.join(", "))));
    };
    if let Some(session) = context.session {
        context.app.upstreams.waiting().lane(session.hash()).set_log_level(&level);
    }
    Ok(Reply::Json(respond::result(id, b"{}")))
}

/// Watches a resource of an upstream, or no longer does.
pub async fn subscribe(context: &Context<'_>, method: &str, id: &RawValue, params: Option<&Params<'_>>) -> Result<Reply, Fault> {
    let Some((params, uri)) = params.and_then(|params| Some((params, params.uri.as_deref()?))) else {
        return Err(Fault::invalid_params("`params.uri` is missing: the URI of a resource, as resources/list shows it."));
    };
    let Some(session) = context.session else { return Err(fault(&upstream::no_session())) };
    let all = upstream::upstreams(context).await?;
    let Some(route) = upstream::source_of(context, &all, "resources/read", uri) else {
        return Err(Fault::resource_not_found(context.era, uri));
    };
    let Some(registered) = crate::catalogue::upstream(&context.app.store, &context.caller.scope, Some(context.server), &route.connector_id)
        .await
        .map_err(|e| context.fault(&e))?
    else {
        return Err(Fault::resource_not_found(context.era, uri));
    };
    let client = upstream::client(context, Some(params));
    if context.app.upstreams.is_modern(&registered.upstream, &client).await.map_err(|e| context.fault(&e))? {
        // The modern era subscribes by the stream itself, which follows what the session wants.
        context.app.upstreams.waiting().lane(session.hash()).want(&route.connector_id, uri, method == "resources/subscribe");
        return Ok(Reply::Json(respond::result(id, b"{}")));
    }
    upstream::pass(context, method, id, params, route).await
}
