//! The only way to reach a platform: resolve, restrict, credential, plan, send, record. MCP and the REST twin both pass through here
//! (they count the call against its rate limit at their door, so that a malformed one counts too).

mod arguments;
mod credential;
pub mod exchange;
pub mod outcome;
pub mod scrub;
pub mod upstream;

use std::{sync::Arc, time::Duration};

use amalgam_connector::{
    CompiledAction,
    definition::{Effect, Method},
    paging,
    plan::{Account, plan},
    shape::Extent,
};
use amalgam_policy::Decision;
use amalgam_vault::hex;
use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value};

pub use self::arguments::{Arguments, exact};
use self::{
    credential::Chosen,
    exchange::{Bounds, exchange},
};
use crate::{
    app::App,
    auth::Caller,
    catalogue,
    clock::random,
    connectors::Loaded,
    egress::Incoming,
    error::{Error, Result},
    read_cache::Kept,
    store::audit::{Entry, shown},
    telemetry::audit::Trail,
};

/// Through which door a call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The MCP endpoint.
    Mcp,
    /// The REST twin.
    Rest,
}

impl Door {
    /// As in the audit trail.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mcp => "mcp",
            Self::Rest => "rest",
        }
    }
}

/// One action to be done for one user.
pub struct Call<'a> {
    /// Who calls, for whom, through which server.
    pub caller: &'a Caller,
    /// Through which door.
    pub door: Door,
    /// Which platform.
    pub connector_id: &'a str,
    /// Which operation.
    pub action_id: &'a str,
    /// The text that the arguments came as; its digest is kept in the audit trail.
    pub arguments_text: &'a [u8],
    /// `credentialId`, else `x-credential-id`.
    pub credential_id: Option<&'a str>,
    /// `additionalHeaders` of the REST twin.
    pub extra_headers: &'a [(&'a str, &'a str)],
    /// 1 to 300 seconds.
    pub timeout: Option<Duration>,
    /// As in the answer's `x-request-id`.
    pub request_id: &'a str,
}

/// What the platform answered.
pub struct Answer {
    /// The connector that was called.
    pub connector: Arc<Loaded>,
    /// The platform's HTTP status, 2xx.
    pub status: u16,
    /// JSON text; other kinds of answer are described in JSON.
    pub body: Bytes,
    /// How large it is.
    pub extent: Extent,
    /// The argument and value that ask for the next page, when there is one.
    pub next: Option<Value>,
    /// The credential that was used although the user has several and named none.
    pub picked_credential: Option<String>,
    /// It comes from the read cache.
    pub cached: bool,
}

/// Does it, and leaves an audit entry whatever comes of it.
pub async fn run(app: &App, call: Call<'_>, arguments: impl Into<Arguments>) -> Result<Answer> {
    let mut trail = Trail::new(app.audit.clone(), entry(&call));
    let mut result = execute(app, &call, arguments.into()).await;
    match &mut result {
        Ok(answer) => trail.end("allowed", i64::from(answer.status)).await,
        Err(error) => {
            error.platform = Some(format!("{}/{}", shown(call.connector_id), shown(call.action_id)).into());
            trail.fail(error).await;
        }
    }
    result
}

/// The entry of a call that has only begun; its status stays 499 where the caller goes away.
fn entry(call: &Call<'_>) -> Entry {
    Entry {
        connector_id: Some(shown(call.connector_id)),
        action_id: Some(shown(call.action_id)),
        ..entry_of(call.caller, call.door, call.arguments_text, call.request_id)
    }
}

fn entry_of(caller: &Caller, door: Door, arguments: &[u8], request_id: &str) -> Entry {
    let digest = digest(&SHA256, arguments);
    Entry {
        status: 499,
        arguments_digest: Some(hex(digest.as_ref().get(..16).unwrap_or_default())),
        ..caller.entry(door.as_str(), "execute", request_id)
    }
}

async fn execute(app: &App, call: &Call<'_>, arguments: Arguments) -> Result<Answer> {
    let scope = &call.caller.scope;
    // Restrict before resolving: what a server does not permit is denied by name, whether it exists or not.
    let server = call.caller.server.as_deref();
    if let Some(server) = server
        && let Decision::Deny(denial) = server.restrictions.action(call.connector_id, call.action_id)
    {
        return Err(Error::denied(denial));
    }
    let loaded = catalogue::resolve(&app.store, scope, server, call.connector_id).await?;
    if loaded.upstream.is_some() {
        return Box::pin(upstream::execute(app, call, arguments, loaded)).await;
    }
    let action = catalogue::action(&loaded, server, call.action_id)?;
    let arguments = arguments.flatten(action)?;
    let mut chosen = credential::choose(app, scope, &loaded.connector, action, call.credential_id, arguments).await?;
    let picked_credential = chosen.picked();
    action.validate(chosen.arguments()).map_err(outcome::bad_argument)?;

    let key = if cacheable(app, call, &loaded, action) {
        // As the action takes them, whichever door they came through and in whatever form.
        let arguments = serde_json::to_vec(&(chosen.arguments(), chosen.given())).map_err(Error::internal)?;
        Some(app.reads.key(scope, &loaded, call.action_id, chosen.id(), arguments))
    } else {
        None
    };
    if let Some(key) = &key
        && let Some(Kept { status, body, link }) = app.reads.get(key)
    {
        let extent = Extent::of(std::str::from_utf8(&body).map_err(Error::internal)?).map_err(Error::internal)?;
        let next = next(&loaded, action, chosen.arguments(), link.as_deref(), &body)?;
        return Ok(Answer { connector: loaded, status, body, extent, next, picked_credential, cached: true });
    }
    chosen.renewed(app, scope, &loaded).await?;
    let mut incoming = send(app, call, &loaded, action, &chosen).await;
    // A token can end before its time: it is renewed once. What was refused has not been done.
    if incoming.as_ref().is_ok_and(|incoming| incoming.status == StatusCode::UNAUTHORIZED)
        && chosen.renewed_after_refusal(app, scope, &loaded).await?
    {
        incoming = send(app, call, &loaded, action, &chosen).await;
    }
    if action.action.effect() != Effect::Read {
        // Even a write that failed may have changed something.
        app.reads.invalidate(scope, call.connector_id);
    }
    let outcome::Read { status, body, extent, link, keep } = outcome::read(&loaded.connector, action, incoming?)?;
    let next = next(&loaded, action, chosen.arguments(), link.as_deref(), &body)?;
    if let Some(key) = key.filter(|_| keep) {
        app.reads.put(key, Kept { status, body: body.clone(), link });
    }
    Ok(Answer { connector: loaded, status, body, extent, next, picked_credential, cached: false })
}

/// The argument and value that ask for the next page, where the action has pages.
fn next(
    loaded: &Loaded,
    action: &CompiledAction,
    arguments: &Map<String, Value>,
    link: Option<&str>,
    body: &[u8],
) -> Result<Option<Value>> {
    match action.action.pagination {
        Some(_) => outcome::value(&loaded.connector, body).map(|value| paging::next(&action.action, arguments, link, &value)),
        None => Ok(None),
    }
}

/// Builds the request and sends it. The secret is in the clear from here to the end of this function.
async fn send(app: &App, call: &Call<'_>, loaded: &Loaded, action: &CompiledAction, chosen: &Chosen) -> Result<Incoming> {
    let nonce = if action.needs_nonce(&loaded.connector) { hex(&random::<16>()) } else { String::from("unused") };
    let opened = chosen.open(app, &call.caller.scope, loaded.connector.definition())?;
    let (secrets, variables) = (opened.fields(), opened.variables());
    let account = Account {
        variables: &variables,
        auth: chosen.scheme(&loaded.connector).map(|scheme| (scheme, secrets.as_slice())),
        extra_headers: call.extra_headers,
        nonce: &nonce,
    };
    let plan = plan(&loaded.connector, action, chosen.arguments(), &account).map_err(outcome::bad_argument)?;
    let bounds = Bounds { timeout: call.timeout.unwrap_or(app.config.action_timeout), max_response_bytes: app.config.max_response_bytes };
    let scope = &call.caller.scope;
    exchange(&app.egress.of(&scope.account, &scope.user), plan, account.auth.is_some(), bounds).await
}

fn cacheable(app: &App, call: &Call<'_>, loaded: &Loaded, action: &CompiledAction) -> bool {
    let declared = &action.action;
    !app.config.read_cache.is_zero()
        && call.extra_headers.is_empty()
        && loaded.connector.definition().cache
        && declared.cache
        && declared.method == Method::Get
        && declared.effect() == Effect::Read
}
