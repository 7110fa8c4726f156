//! Consent in a browser: on the way to the platform's page with state and proof key, and back with a code.

use amalgam_connector::{
    definition::{AuthKind, OAuth2},
    variables::address,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::link::{Opening, client_for, opening, scopes_of};
use crate::{
    app::App,
    connectors::Loaded,
    error::{Error, Kind, Result},
    grants::Code,
    oauth::{Consent, Failure, Pkce, Returned, state},
    store::{
        auth_configs::AuthConfig,
        credentials::{Credential, New},
    },
};

/// What is kept, sealed, while the browser is away.
#[derive(Serialize, Deserialize)]
struct Attempt {
    verifier: String,
    auth_config: String,
    variables: Map<String, Value>,
}

/// Where platforms send the browser back to: one address for each connector of each account, so that a code of one can never be taken for
/// another's (RFC 9700 section 4.4.2.2).
pub fn callback(app: &App, account: &str, connector: &str) -> String {
    format!("{}/connect/callback/{account}/{connector}", app.base_url)
}

/// What goes with the browser to a consent page.
pub struct Sent<'a> {
    /// From `callback`.
    pub redirect_uri: &'a str,
    /// The connector's, which its address may hold.
    pub variables: &'a [(&'a str, &'a str)],
    /// Those of this wish; none for the usual ones.
    pub scopes: &'a [String],
    /// From `oauth::state`.
    pub state: &'a str,
    /// From `Pkce`.
    pub challenge: &'a str,
}

/// The address of a platform's consent page.
///
/// # Errors
/// A variable is missing, or a browser must not be sent there.
pub fn consent_url(app: &App, loaded: &Loaded, oauth2: &OAuth2, config: &AuthConfig, sent: &Sent<'_>) -> Result<Url> {
    let definition = loaded.connector.definition();
    let endpoint =
        address(definition, &oauth2.authorize_url, sent.variables).map_err(|error| Error::invalid("fields", error.message.to_string()))?;
    let further: Vec<(&str, &str)> = oauth2.authorize_params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let consent = Consent {
        endpoint: &endpoint,
        client_id: &config.client_id,
        redirect_uri: sent.redirect_uri,
        state: sent.state,
        challenge: sent.challenge,
        scope: &scopes_of(oauth2, config, sent.scopes).join(oauth2.scope_separator.as_deref().unwrap_or(" ")),
        scope_parameter: oauth2.scope_parameter.as_deref().unwrap_or("scope"),
        further: &further,
    };
    consent
        .url(&app.config.egress_allow)
        .map_err(|why| Error::new(Kind::Conflict, format!("The consent page of {} cannot be opened. {why}", definition.name)))
}

/// Sends this browser to the platform's consent page.
///
/// # Errors
/// What is missing, or why the page cannot be shown.
pub async fn begin(app: &App, opening: &Opening, values: Map<String, Value>, browser: &str) -> Result<Url> {
    let config = client_for(app, &opening.link.scope, &opening.loaded, opening.asked.auth_config.as_deref()).await?;
    let (scheme, opened) = opening.entered(AuthKind::OAuth2.as_str(), values, Some(&config))?;
    let oauth2 = scheme.oauth2.as_ref().ok_or_else(|| Error::internal("an OAuth scheme without its data"))?;
    let (pkce, state) = (Pkce::new(), state());
    let redirect_uri = callback(app, &opening.link.scope.account, opening.loaded.id());
    let sent = Sent {
        redirect_uri: &redirect_uri,
        variables: &opened.variables(),
        scopes: &opening.asked.scopes,
        state: &state,
        challenge: &pkce.challenge,
    };
    let url = consent_url(app, &opening.loaded, oauth2, &config, &sent)?;
    let attempt = Attempt { verifier: pkce.verifier.expose().to_owned(), auth_config: config.id, variables: opened.variables };
    let attempt = serde_json::to_string(&attempt).map_err(Error::internal)?;
    if !app.store.begin_consent(&opening.link, &state, browser, &attempt).await? {
        return Err(Error::new(Kind::NotFound, "This link has been used. Go back to where you came from and ask for a new one."));
    }
    Ok(url)
}

/// How a consent ended.
pub struct Finished {
    /// The platform's name.
    pub name: String,
    /// Where the browser is sent, if the asker named an address.
    pub next: Option<Url>,
    /// The credential, or why there is none.
    pub outcome: Result<Credential>,
}

/// Takes the browser back: the state is used up, the code becomes tokens, the tokens a credential.
///
/// # Errors
/// A state that is forged, used, too old, another browser's, another connector's or another account's.
pub async fn finish(app: &App, account: &str, connector: &str, returned: &Returned, browser: &str, request_id: &str) -> Result<Finished> {
    let refused = || {
        Error::new(
            Kind::InvalidRequest,
            "This consent cannot be finished: it has been finished already, is more than ten minutes old, or was begun in another browser. Go \
             back to where you came from and ask for a new link.",
        )
    };
    let link = app.store.take_consent(&returned.state, browser).await?.ok_or_else(refused)?;
    if link.connector != connector || *link.scope.account != *account {
        app.store.use_connect_link(&link).await?;
        return Err(refused());
    }
    let opening = opening(app, link).await?;
    let mut entry = opening.asked.entry(&opening.link, request_id);
    let outcome = connect(app, &opening, returned).await;
    // Whatever came of it, there is no second time.
    app.store.use_connect_link(&opening.link).await?;
    entry.target_id = outcome.as_ref().ok().map(|credential| credential.id.clone());
    let outcome = super::record(app, entry, outcome).await;
    Ok(Finished { name: opening.loaded.connector.definition().name.clone(), next: next(app, &opening, &outcome).await, outcome })
}

async fn connect(app: &App, opening: &Opening, returned: &Returned) -> Result<Credential> {
    let (link, definition) = (&opening.link, opening.loaded.connector.definition());
    let name = &definition.name;
    let oauth2 = definition.auth.iter().find_map(|scheme| scheme.oauth2.as_ref());
    let oauth2 = oauth2.ok_or_else(|| Error::new(Kind::Conflict, format!("{name} no longer offers signing in by OAuth.")))?;
    if oauth2.issuer.is_some() && oauth2.issuer != returned.iss {
        return Err(Error::new(
            Kind::InvalidRequest,
            format!("The answer does not come from {name}: its `iss` is another. Nothing was connected."),
        ));
    }
    if let Some(code) = &returned.error {
        return Err(declined(name, code));
    }
    let Some(code) = returned.code.as_deref().filter(|code| !code.is_empty()) else {
        return Err(Error::new(
            Kind::InvalidRequest,
            format!("{name} sent the browser back without a code. Nothing was connected; please try again."),
        ));
    };
    let attempt = app.store.open_attempt(link)?.ok_or_else(|| Error::internal("a consent without its attempt"))?;
    let attempt: Attempt = serde_json::from_str(attempt.expose()).map_err(Error::internal)?;
    let config = client_for(app, &link.scope, &opening.loaded, Some(&attempt.auth_config)).await?;
    let redirect_uri = callback(app, &link.scope.account, &definition.id);
    let code = Code { code, verifier: &attempt.verifier, redirect_uri: &redirect_uri, variables: attempt.variables };
    let granted = app.grants.exchange(&link.scope, &opening.loaded, &config, code).await.map_err(|failure| not_granted(name, &failure))?;
    if let Some(id) = &opening.asked.replaces
        && let Some(before) = app.store.credential_now(&link.scope, &definition.id, id).await?
        && let Some(credential) = app.store.replace_credential(&link.scope, &before, &granted.opened, &granted.grant(), false).await?
    {
        app.reads.invalidate(&link.scope, &definition.id);
        return Ok(credential);
    }
    let name = opening.credential_name()?;
    let new = New { connector: &definition.id, kind: AuthKind::OAuth2, name: &name, opened: &granted.opened, grant: Some(granted.grant()) };
    let kept = super::store(app, &link.scope, &new, Some(link)).await;
    if kept.is_err() {
        // Nobody will ever use it: the user was deleted meanwhile, for one.
        app.grants.revoke(&link.scope, &definition.id, &granted).await;
    }
    kept
}

/// The browser's next address: judged again, with what came of it.
pub async fn next(app: &App, opening: &Opening, outcome: &Result<Credential>) -> Option<Url> {
    let uri = opening.asked.redirect_uri.as_deref()?;
    super::redirect_uri(app, &opening.link.scope, uri).await.ok()?;
    let mut next = Url::parse(uri).ok()?;
    let mut query = next.query_pairs_mut();
    query.append_pair("connectorId", opening.loaded.id());
    match outcome {
        Ok(credential) => query.append_pair("status", "connected").append_pair("credentialId", &credential.id),
        Err(error) => query.append_pair("status", "failed").append_pair("error", error.kind.code()),
    };
    drop(query);
    Some(next)
}

/// `error` of RFC 6749 section 4.1.2.1. Only known words are repeated: anybody can write the address that the browser comes back to.
fn declined(name: &str, code: &str) -> Error {
    let sentence = match code {
        "access_denied" | "user_denied" | "user_cancelled_login" | "user_cancelled_authorize" => {
            format!("Consent was not given, so nothing was connected to {name}.")
        }
        "invalid_scope" => format!(
            "{name} does not know one of the scopes that were asked for. An admin corrects `scopes` of the auth config, or the OAuth client at {name}."
        ),
        "unauthorized_client" | "unsupported_response_type" | "invalid_request" => {
            format!(
                "{name} does not let this OAuth client ask for consent. An admin checks the auth config and the OAuth client at {name}."
            )
        }
        _ => format!("{name} could not finish the consent. Nothing was connected; please try again."),
    };
    Error::new(Kind::PlatformRefused, sentence)
}

fn not_granted(name: &str, failure: &Failure) -> Error {
    match failure {
        Failure::Refused { .. } => {
            Error::new(Kind::PlatformRefused, format!("{name} did not accept the code ({failure}). Please try again."))
        }
        Failure::Client { .. } => Error::new(
            Kind::PlatformRefused,
            format!(
                "{name} does not accept the OAuth client ({failure}). An admin corrects its id and secret with `PUT /api/auth-configs/{{id}}`."
            ),
        ),
        Failure::Transient(_) => {
            Error::new(Kind::PlatformFailed, format!("{name} could not finish the consent: {failure}. Please try again."))
        }
    }
}
