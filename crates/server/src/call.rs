//! The only way to reach a platform: resolve, restrict, credential, plan, send, record. MCP and the REST twin both pass through here
//! (they count the call against its rate limit at their door, so that a malformed one counts too).

mod again;
mod arguments;
mod credential;
pub mod exchange;
mod files;
pub mod outcome;
pub mod upstream;
pub mod view;

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
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};
use tokio::time::Instant;

pub use self::arguments::{Arguments, exact};
use self::{
    again::Attempt,
    credential::Chosen,
    exchange::{Bounds, outgoing},
    files::Attached,
    view::View,
};
use crate::{
    app::App,
    auth::Caller,
    catalogue,
    clock::random,
    connectors::Loaded,
    egress::{Arrived, EgressError, Incoming, OutgoingRequest},
    error::{Error, Result},
    read_cache::Kept,
    scrub,
    store::{
        audit::{Entry, shown},
        files::{File, MAX_FILE},
    },
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
    /// What of the answer is wanted.
    pub view: &'a View,
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
    /// What the action's paging argument takes for the next page, when there is one.
    pub next: Option<Value>,
    /// Where in it the caller wants to go on.
    pub skip: usize,
    /// What it was asked with.
    pub arguments: Map<String, Value>,
    /// The credential that was used although the user has several and named none.
    pub picked_credential: Option<String>,
    /// It comes from the read cache.
    pub cached: bool,
    /// The file that it describes, where the platform answered with one.
    pub file: Option<Box<File>>,
}

/// Does it, and leaves an audit entry whatever comes of it.
pub async fn run(app: &App, call: Call<'_>, arguments: impl Into<Arguments>) -> Result<Answer> {
    let mut trail = Trail::new(app.audit.clone(), entry(app, &call));
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
fn entry(app: &App, call: &Call<'_>) -> Entry {
    Entry {
        connector_id: Some(shown(call.connector_id)),
        action_id: Some(shown(call.action_id)),
        ..entry_of(app, call.caller, call.door, call.arguments_text, call.request_id)
    }
}

fn entry_of(app: &App, caller: &Caller, door: Door, arguments: &[u8], request_id: &str) -> Entry {
    Entry {
        status: 499,
        arguments_digest: app.store.sealer().fingerprint(arguments).ok(),
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
    let mut arguments = arguments.flatten(action)?;
    let skip = call.view.enter(app, call, action, &mut arguments)?;
    // The arguments as they came are what cursors know a call by.
    let attached = files::attach(app, call.caller, action, &mut arguments).await?;
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
        let arguments = chosen.into_arguments();
        return Ok(Answer { connector: loaded, status, body, extent, next, skip, arguments, picked_credential, cached: true, file: None });
    }
    chosen.renewed(app, scope, &loaded).await?;
    // In a place of its own: what sending needs is more than all before it, and is moved as often as this.
    let incoming = Box::pin(reach(app, call, &loaded, action, &mut chosen, &attached)).await;
    if action.action.effect() != Effect::Read {
        // Even a write that failed may have changed something.
        app.reads.invalidate(scope, call.connector_id);
    }
    let (incoming, file) = incoming?;
    let outcome::Read { status, body, extent, link, keep } = outcome::read(&loaded.connector, action, incoming)?;
    let next = next(&loaded, action, chosen.arguments(), link.as_deref(), &body)?;
    if let Some(key) = key.filter(|_| keep) {
        app.reads.put(key, Kept { status, body: body.clone(), link });
    }
    let arguments = chosen.into_arguments();
    Ok(Answer { connector: loaded, status, body, extent, next, skip, arguments, picked_credential, cached: false, file })
}

/// Sends the request until there is an answer to tell: again with a renewed token, and again where that may help and does no harm.
async fn reach(
    app: &App,
    call: &Call<'_>,
    loaded: &Arc<Loaded>,
    action: &CompiledAction,
    chosen: &mut Chosen,
    attached: &[Attached],
) -> Result<(Incoming, Option<Box<File>>)> {
    let until = Instant::now() + call.timeout.unwrap_or(app.config.action_timeout);
    // The same each time: it is how a platform knows a write that it has seen.
    let nonce = if action.needs_nonce(&loaded.connector) { hex(&random::<16>()) } else { String::from("unused") };
    let mut is_renewed = false;
    let mut times = 0;
    loop {
        let attempt = send(app, call, loaded, action, chosen, Once { nonce: &nonce, until, attached }).await;
        // A token can end before its time: it is renewed once. What was refused has not been done.
        if let Attempt::Answered(incoming, _) = &attempt
            && incoming.status == StatusCode::UNAUTHORIZED
            && !is_renewed
            && chosen.renewed_after_refusal(app, &call.caller.scope, loaded).await?
        {
            is_renewed = true;
            continue;
        }
        let Some(pause) = again::pause(&loaded.connector, action, &attempt, times, until) else { return attempt.end() };
        times += 1;
        tokio::time::sleep(pause).await;
    }
}

/// What the paging argument takes for the next page, where the action has pages.
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

/// What one attempt has of its call.
struct Once<'a> {
    nonce: &'a str,
    until: Instant,
    attached: &'a [Attached],
}

/// Builds the request and sends it once.
async fn send(app: &App, call: &Call<'_>, loaded: &Loaded, action: &CompiledAction, chosen: &Chosen, once: Once<'_>) -> Attempt {
    match request(app, call, loaded, action, chosen, once).await {
        Ok(Ok((incoming, file))) => Attempt::Answered(incoming, file),
        Ok(Err(error)) => Attempt::Failed(error),
        Err(error) => Attempt::Refused(error),
    }
}

/// One request. The secret is in the clear from here to the end of this function.
async fn request(
    app: &App,
    call: &Call<'_>,
    loaded: &Loaded,
    action: &CompiledAction,
    chosen: &Chosen,
    Once { nonce, until, attached }: Once<'_>,
) -> Result<Result<(Incoming, Option<Box<File>>), EgressError>> {
    let opened = chosen.open(app, &call.caller.scope, loaded.connector.definition())?;
    let (secrets, variables) = (opened.fields(), opened.variables());
    let account = Account {
        variables: &variables,
        auth: chosen.scheme(&loaded.connector).map(|scheme| (scheme, secrets.as_slice())),
        extra_headers: call.extra_headers,
        nonce,
    };
    let mut plan = plan(&loaded.connector, action, chosen.arguments(), &account).map_err(outcome::bad_argument)?;
    // The answer to HEAD has a type and no content.
    let has_content = plan.method != Method::Head;
    let bounds = Bounds { timeout: until.saturating_duration_since(Instant::now()), max_response_bytes: app.config.max_response_bytes };
    let request = outgoing(&mut plan, account.auth.is_some(), bounds)?;
    let (body, stream) = files::payload(app, request.body, attached)?;
    let request = OutgoingRequest { body, follow_redirects: stream.is_none(), ..request };
    let scope = &call.caller.scope;
    let egress = app.egress.of(&scope.account, &scope.user);
    let is_file = |status, headers: &HeaderMap| has_content && files::is_file(status, headers);
    match egress.send_or_stream(request, stream, is_file, MAX_FILE).await {
        Ok(Arrived::Whole(mut incoming)) => {
            scrub::scrub(&mut incoming.body, &plan.secrets);
            Ok(Ok((incoming, None)))
        }
        Ok(Arrived::File(stream)) => {
            let (incoming, file) = Box::pin(files::keep(app, call, &loaded.connector, stream, &plan.secrets, until)).await?;
            Ok(Ok((incoming, Some(Box::new(file)))))
        }
        Err(error) => Ok(Err(error)),
    }
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
