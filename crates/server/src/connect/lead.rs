//! A call that lacks a credential leads to one.

use amalgam_connector::definition::AuthKind;
use serde_json::Value;

use super::{
    link::{Asked, Link, make},
    upstream::sign_in_link,
};
use crate::{
    app::App,
    auth::Caller,
    clock::rfc3339,
    error::{Error, Kind, Result},
    store::Scope,
};

/// Where the sentence begins that an error gets about the link.
pub const LEAD: &str = " The user can connect";

/// Adds to an error about a missing credential the link that cures it: in its sentence, and as `connectUrl` in its details. Other errors
/// stay as they are.
pub async fn lead(app: &App, caller: &Caller, redirect_uri: Option<&str>, error: Error) -> Error {
    lead_user(app, caller, &caller.scope, redirect_uri, error).await
}

/// The same where another user than the caller's is to connect.
pub async fn lead_user(app: &App, caller: &Caller, user: &Scope, redirect_uri: Option<&str>, error: Error) -> Error {
    let Some(details) = error.details.as_deref().filter(|_| error.kind == Kind::CredentialNotFound) else { return error };
    let made = match (details["mcpServerId"].as_str(), details["connectorId"].as_str()) {
        (Some(upstream), _) => to_upstream(app, caller, user, upstream, details, redirect_uri).await,
        (None, Some(connector)) => to_connector(app, caller, user, connector, details, redirect_uri).await,
        (None, None) => return error,
    };
    match made {
        Ok(link) => {
            let message = format!(
                "{}{LEAD} in a browser, where no secret passes through here: {} (good for 10 minutes). Then call this action again.",
                error.message, link.url
            );
            let mut details = details.clone();
            details["connectUrl"] = link.url.into();
            details["expiresAt"] = rfc3339(link.expires_at).into();
            Error { message: message.into(), ..error }.with_details(details)
        }
        // The call has failed for another reason, which is the one to tell.
        Err(failed) => {
            tracing::warn!(cause = failed.cause.as_ref().map(tracing::field::display), "cannot make a connect link");
            error
        }
    }
}

async fn to_connector(
    app: &App,
    caller: &Caller,
    user: &Scope,
    connector: &str,
    details: &Value,
    redirect_uri: Option<&str>,
) -> Result<Link> {
    let mut asked = asked(app, caller, redirect_uri).await;
    if details["state"] == "reconnect_required" {
        asked.kind = Some(AuthKind::OAuth2);
        asked.replaces = details["credentialId"].as_str().map(str::to_owned);
    }
    make(app, user, connector, &asked).await
}

async fn to_upstream(app: &App, caller: &Caller, user: &Scope, id: &str, details: &Value, redirect_uri: Option<&str>) -> Result<Link> {
    let all = app.store.upstreams(&user.account).await?;
    let found = all.values().find(|registered| registered.upstream.id == id).ok_or_else(|| Error::not_found("MCP server"))?;
    let mut asked = asked(app, caller, redirect_uri).await;
    asked.scopes = details["scope"].as_str().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    sign_in_link(app, user, &found.upstream, &asked).await
}

async fn asked(app: &App, caller: &Caller, redirect_uri: Option<&str>) -> Asked {
    let mut asked = Asked::of(caller);
    if let Some(uri) = redirect_uri
        && super::redirect_uri(app, &caller.scope, uri).await.is_ok()
    {
        asked.redirect_uri = Some(uri.to_owned());
    }
    asked
}
