//! A call that lacks a credential asks the client to open the page where its user connects (URL elicitation), where the client can.
//! Sources: 2025-11-25, elicitation (`-32042`); 2026-07-28, multi-round-trip requests.

use std::time::Duration;

use amalgam_protocol::{Fault, Params, ResultWriter, bridge, splice::Object};
use serde_json::{Value, json, value::RawValue};
use tokio::time::{Instant, sleep};

use super::{Reply, client};
use crate::{
    clock::random_slug,
    connect::LEAD,
    error::{Error, Result as Outcome},
    mcp::Context,
    store::credentials::State,
};

/// `URL_ELICITATION_REQUIRED` of 2025-11-25; retired with the handshake.
const URL_ELICITATION_REQUIRED: i64 = -32042;
/// The name of what is asked for in the modern era.
const INPUT: &str = "connect";
/// A user who has been sent to the page is waited for this long; clients give a request a minute.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(250);

/// Where the error says that the user can connect, and what it says of to what.
fn way(error: &Error) -> Option<(&Value, &str)> {
    let details = error.details.as_deref()?;
    Some((details, details["connectUrl"].as_str()?))
}

/// Whether the user has what the error lacked.
async fn is_connected(context: &Context<'_>, details: &Value) -> Outcome<bool> {
    let (store, scope) = (&context.app.store, &context.caller.scope);
    if let Some(id) = details["mcpServerId"].as_str() {
        let all = store.upstreams(&scope.account).await?;
        let Some(found) = all.values().find(|registered| registered.upstream.id == id) else { return Ok(false) };
        let upstream = store.upstream_for(&found.upstream, &scope.user).await?;
        return context.app.upstreams.is_signed_in(&upstream, details["scope"].as_str()).await;
    }
    let Some(connector) = details["connectorId"].as_str() else { return Ok(false) };
    let credentials = store.credentials(scope, connector).await?;
    Ok(credentials.first().is_some_and(|newest| newest.state == State::Active))
}

/// What the client answered to being asked, in a modern request that is sent again.
fn answered(params: Option<&Params<'_>>) -> Option<Value> {
    let params = Object::parse(params?.raw.get()).ok()?;
    let responses: Value = serde_json::from_str(params.get("inputResponses")?).ok()?;
    responses.get(INPUT).cloned()
}

/// True once the user, who has agreed to open the page, has connected there: the call is then worth another attempt.
pub async fn connects(context: &Context<'_>, params: Option<&Params<'_>>, error: &Error) -> bool {
    let Some((details, _)) = way(error) else { return false };
    if !context.era.is_modern() || answered(params).is_none_or(|answer| answer["action"] != "accept") {
        return false;
    }
    let started = Instant::now();
    let mut stopping = context.app.stopping.subscribe();
    while started.elapsed() < PATIENCE {
        if is_connected(context, details).await.unwrap_or(false) {
            return true;
        }
        tokio::select! {
            () = sleep(PAUSE) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return false,
        }
    }
    false
}

/// Asks the client to open the page; nothing where the error is another, the client cannot, or its user has answered already.
pub fn ask(context: &Context<'_>, id: &RawValue, params: Option<&Params<'_>>, error: &Error) -> Option<Result<Reply, Fault>> {
    let (_, url) = way(error)?;
    if !bridge::can(&client(context, params).capabilities, "elicitation/create", "{\"mode\":\"url\"}") || answered(params).is_some() {
        return None;
    }
    // Without the link, which the client shows by itself.
    let message = error.message.split(LEAD).next().unwrap_or_default();
    let wanted = json!({ "mode": "url", "elicitationId": random_slug(16), "url": url, "message": message });
    if !context.era.is_modern() {
        let data = json!({ "elicitations": [wanted] });
        let message = "The user must connect an account first; open the page, then call again.".to_owned();
        return Some(Err(Fault { http: 200, code: URL_ELICITATION_REQUIRED, message, data: Some(data) }));
    }
    let requests = json!({ INPUT: { "method": "elicitation/create", "params": wanted } }).to_string();
    let writer = ResultWriter::input_required(id, requests.as_bytes());
    Some(Ok(Reply::Json(writer.finish(context.server_info().as_bytes()))))
}
