//! Why connecting to a platform, or to another MCP server, does not work: every step from the connector to the first call, tried one after the other, with what each
//! came to and what to change. No answer repeats a secret.

mod upstream;

use std::sync::Arc;

use amalgam_connector::definition::Effect;
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;

use crate::{
    app::App,
    auth::Caller,
    call::{self, Call, Door, view::View},
    catalogue,
    clock::{now_ms, rfc3339},
    connect::{self, Sent},
    connectors::Loaded,
    egress::OutgoingRequest,
    error::Result,
    grants::{Code, scheme},
    oauth::{Failure, Pkce, state},
    store::{
        Scope,
        auth_configs::AuthConfig,
        credentials::{Credential, State},
        upstreams::Registered,
    },
};

/// A page of a platform must begin to answer within this time.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
const PAGE: &str = "consent page";
/// As much of a consent page as is looked at, in bytes.
const MAX_PAGE: usize = 1024 * 1024;

/// One step and what came of it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = DoctorStep)]
pub struct Step {
    /// `connector`, `auth config`, `consent page`, `token endpoint`, `credential`, `renewal`, `first call`; of another MCP server
    /// `MCP server`, `discovery`, `registration`, `consent page`, `token endpoint`, `sign-in`, `renewal`, `first call`.
    pub step: &'static str,
    /// Null: there was nothing to try, or what was found is neither right nor wrong.
    pub ok: Option<bool>,
    /// What was found.
    pub found: String,
    /// Each address that was tried, and what it answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<String>,
    /// What to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Step {
    fn good(step: &'static str, found: impl Into<String>) -> Self {
        Self { step, ok: Some(true), found: found.into(), tried: Vec::new(), advice: None }
    }

    fn bad(step: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { step, ok: Some(false), found: found.into(), tried: Vec::new(), advice: Some(advice.into()) }
    }

    fn nothing(step: &'static str, found: impl Into<String>) -> Self {
        Self { step, ok: None, found: found.into(), tried: Vec::new(), advice: None }
    }

    fn advised(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }
}

/// What is looked into.
pub struct Look<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// For whom.
    pub scope: &'a Scope,
    /// Which connector: for another MCP server its slug, or its own id.
    pub connector_id: &'a str,
    /// Renew the user's tokens now, whether they are due or not.
    pub renew: bool,
    /// As in the answer's `x-request-id`.
    pub request_id: &'a str,
}

/// Tries each step.
///
/// # Errors
/// There is no such connector, or our own database fails.
pub async fn connect(app: &App, look: &Look<'_>) -> Result<Vec<Step>> {
    // An admin looks into those of all users of the account.
    let upstreams = app.store.upstreams(&look.scope.account).await?;
    let named =
        |registered: &&Arc<Registered>| [&registered.upstream.slug, &registered.upstream.id].contains(&&look.connector_id.to_owned());
    if let Some(registered) = upstreams.values().find(named) {
        return upstream::connect(app, look, registered).await;
    }
    let loaded = catalogue::resolve(&app.store, look.scope, None, look.connector_id).await?;
    let definition = loaded.connector.definition();
    let ways: Vec<&str> = definition.auth.iter().map(|scheme| scheme.kind.as_str()).collect();
    let ways = if ways.is_empty() { "no credential".to_owned() } else { ways.join(", ") };
    let mut steps = vec![Step::good("connector", format!("{} at {} takes {ways}.", definition.name, definition.base_url))];
    let credentials = app.store.credentials(look.scope, loaded.id()).await?;
    let credential = credentials.first();
    let is_other = credential.is_some_and(|credential| credential.auth_config.is_none());
    if scheme(&loaded).is_some() {
        let config = app.store.auth_configs(&look.scope.account, Some(loaded.id())).await?.into_iter().next();
        match config {
            Some(config) => {
                let redirect = connect::callback(app, &look.scope.account, loaded.id());
                let (id, client, proof) = (&config.id, &config.client_id, config.client_auth.as_str());
                let found = format!("{id} (client id {client}, client authentication `{proof}`); the platform must know {redirect}.");
                steps.push(Step::good("auth config", found));
                steps.push(consent_page(app, &loaded, &config, &redirect).await);
                steps.push(token_endpoint(app, look, &loaded, &config, &redirect).await);
            }
            None if is_other => {
                steps.push(Step::nothing(
                    "auth config",
                    "The account has no OAuth client for this connector; the user's credential needs none.",
                ));
            }
            None => steps.push(Step::bad(
                "auth config",
                "The account has no OAuth client for this connector.",
                format!("Make one at the platform, and enter it: `POST /api/auth-configs` (connectorId \"{}\").", loaded.id()),
            )),
        }
    }
    steps.push(kept(definition.auth.is_empty(), credential));
    if let Some(credential) = credential.filter(|credential| credential.auth_config.is_some()) {
        steps.push(renewal(app, look, &loaded, credential).await);
    }
    steps.push(first_call(app, look, &loaded, credential).await);
    Ok(steps)
}

/// Asks for the consent page as a browser would, without following it.
async fn consent_page(app: &App, loaded: &Loaded, config: &AuthConfig, redirect_uri: &str) -> Step {
    let Some((_, oauth2)) = scheme(loaded) else { return Step::nothing(PAGE, "The connector has no OAuth.") };
    let variables: Vec<(&str, &str)> = config.variables.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect();
    let sent = Sent { redirect_uri, variables: &variables, scopes: &[], state: &state(), challenge: &Pkce::new().challenge };
    match connect::consent_url(app, loaded, oauth2, config, &sent) {
        Ok(url) => page(app, &url, redirect_uri).await,
        Err(error) if error.details.as_ref().is_some_and(|details| details["field"] == "fields") => {
            Step::nothing(PAGE, "Its address holds variables, which each user enters.")
        }
        Err(error) => Step::bad(PAGE, error.message.into_owned(), "Correct `authorize_url` of the connector."),
    }
}

async fn page(app: &App, url: &Url, redirect_uri: &str) -> Step {
    let request = OutgoingRequest {
        method: Method::GET,
        url: url.as_str(),
        headers: HeaderMap::new(),
        body: amalgam_protocol::Pieces::default(),
        timeout: TIMEOUT,
        max_response_bytes: MAX_PAGE,
        follow_redirects: false,
        credential_bound: true,
    };
    let endpoint = format!("{}{}", url.origin().ascii_serialization(), url.path());
    match app.egress.send(request).await {
        Ok(incoming) if incoming.status.is_success() || incoming.status.is_redirection() => {
            Step::good(PAGE, format!("{endpoint} answered {}.", incoming.status))
        }
        // It is there, and shows itself to people who are signed in, or to browsers, alone.
        Ok(incoming) if matches!(incoming.status.as_u16(), 401 | 403 | 429) => Step::nothing(
            PAGE,
            format!(
                "{endpoint} answered {}, as pages do that want a person who is signed in, or a browser; look at it in one.",
                incoming.status
            ),
        )
        .advised(format!(
            "Where people see an error there, compare the client id, and enter {redirect_uri} as the address to come back to."
        )),
        Ok(incoming) => Step::bad(
            PAGE,
            format!("{endpoint} answered {}.", incoming.status),
            format!(
                "Servers answer so where they do not know the client id or the address to come back to: compare both, and enter {redirect_uri} there."
            ),
        ),
        Err(error) => Step::nothing(PAGE, format!("This node does not reach it: {error}."))
            .advised("It must be reachable for browsers; whether it is for this node as well is no matter."),
    }
}

/// Shows a code that nobody has granted: what the platform says to it tells whether it accepts the client.
async fn token_endpoint(app: &App, look: &Look<'_>, loaded: &Loaded, config: &AuthConfig, redirect_uri: &str) -> Step {
    const STEP: &str = "token endpoint";
    let (verifier, wrong) = (state(), "amalgam-doctor");
    let code = Code { code: wrong, verifier: &verifier, redirect_uri, variables: Map::new() };
    match app.grants.exchange(look.scope, loaded, config, code).await {
        Err(Failure::Refused { code, .. }) => {
            Step::good(STEP, format!("It accepts the client, and refuses a code that nobody granted ({code})."))
        }
        Err(failure @ Failure::Client { .. }) => Step::bad(
            STEP,
            format!("It does not accept the client ({failure})."),
            format!("Correct its id or secret: `PUT /api/auth-configs/{}`.", config.id),
        ),
        Err(failure) => Step::bad(
            STEP,
            failure.to_string(),
            "Check `token_url` and `token_answer` of the connector, and that this node reaches the address.",
        ),
        Ok(_) => {
            Step::bad(STEP, "It granted tokens for a code that nobody granted.", "Do not use this platform before that is understood.")
        }
    }
}

fn kept(needs_none: bool, credential: Option<&Credential>) -> Step {
    const STEP: &str = "credential";
    let Some(credential) = credential else {
        return match needs_none {
            true => Step::nothing(STEP, "The connector needs none."),
            false => Step::bad(
                STEP,
                "The user has none.",
                "`POST /connectors/{connectorId}/credentials`, or call an action: the answer has a link.",
            ),
        };
    };
    let end = credential.expires_at.map_or_else(|| "does not end".to_owned(), |at| format!("ends {}", rfc3339(at)));
    let found = format!("{} ({}), {end}.", credential.id, credential.kind.as_str());
    match credential.state {
        State::Active => Step::good(STEP, found),
        State::ReconnectRequired => {
            Step::bad(STEP, format!("{found} The platform no longer renews it."), "The user connects again: the next call has a link.")
        }
    }
}

async fn renewal(app: &App, look: &Look<'_>, loaded: &Arc<Loaded>, credential: &Credential) -> Step {
    const STEP: &str = "renewal";
    let renewable = app.grants.of(look.scope, credential).await.ok().flatten().is_some_and(|granted| granted.is_renewable());
    if !renewable {
        return Step::nothing(STEP, "The platform gave no refresh token: when the token ends, the user consents again.");
    }
    let due = credential.refresh_at.is_some_and(|at| at <= now_ms());
    if !(look.renew || due) || credential.state == State::ReconnectRequired {
        let at = credential.refresh_at.map_or_else(|| "when the platform refuses the token".to_owned(), rfc3339);
        return Step::nothing(STEP, format!("Due {at}. With `renew` it is tried now."));
    }
    match app.grants.fresh(look.scope, loaded, credential.clone()).await {
        Ok(fresh) if !fresh.is_same_secret(credential) => Step::good(STEP, "The platform gave new tokens, which are kept."),
        Ok(_) => Step::bad(
            STEP,
            "The platform gave no new tokens; the present one is still good.",
            "See the token endpoint above, and try again.",
        ),
        Err(error) => Step::bad(STEP, error.message.into_owned(), "See the token endpoint above."),
    }
}

/// The first action that reads and needs nothing.
async fn first_call(app: &App, look: &Look<'_>, loaded: &Loaded, credential: Option<&Credential>) -> Step {
    const STEP: &str = "first call";
    if credential.is_none() && !loaded.connector.definition().auth.is_empty() {
        return Step::nothing(STEP, "Without a credential there is no call.");
    }
    let harmless = |action: &amalgam_connector::Seen<'_>| {
        action.action.effect() == Effect::Read && action.action.params.values().all(|param| !param.must_be_given())
    };
    let Some(action) = loaded.connector.actions().find(harmless) else {
        return Step::nothing(STEP, "No action reads without arguments.");
    };
    let call = Call {
        caller: look.caller,
        door: Door::Rest,
        connector_id: loaded.id(),
        action_id: &action.id,
        arguments_text: b"{}",
        credential_id: credential.map(|credential| credential.id.as_str()),
        extra_headers: &[],
        timeout: Some(TIMEOUT),
        view: &View::default(),
        request_id: look.request_id,
    };
    match call::run(app, call, Map::<String, Value>::new()).await {
        Ok(answer) => Step::good(STEP, format!("`{}` answered {}.", action.id, StatusCode::from_u16(answer.status).unwrap_or_default())),
        Err(error) => Step::bad(
            STEP,
            format!("`{}`: {}", action.id, error.message),
            "What came of it is above: what the platform said, or why it was not reached.",
        ),
    }
}
