//! A call that lacks a credential leads to one.

use amalgam_connector::definition::AuthKind;
use serde_json::json;

use super::link::{Asked, make};
use crate::{
    app::App,
    auth::Caller,
    clock::rfc3339,
    error::{Error, Kind},
};

/// Where the sentence begins that an error gets about the link.
pub const LEAD: &str = " The user can connect";

/// Adds to an error about a missing credential the link that cures it: in its sentence, and as `connectUrl` in its details. Other errors
/// stay as they are.
pub async fn lead(app: &App, caller: &Caller, redirect_uri: Option<&str>, error: Error) -> Error {
    let details = error.details.as_deref().filter(|_| error.kind == Kind::CredentialNotFound);
    let Some(connector) = details.and_then(|details| details["connectorId"].as_str()) else { return error };
    let mut asked = Asked::of(caller);
    if let Some(details) = details.filter(|details| details["state"] == "reconnect_required") {
        asked.kind = Some(AuthKind::OAuth2);
        asked.replaces = details["credentialId"].as_str().map(str::to_owned);
    }
    if let Some(uri) = redirect_uri
        && super::redirect_uri(app, &caller.scope, uri).await.is_ok()
    {
        asked.redirect_uri = Some(uri.to_owned());
    }
    match make(app, &caller.scope, connector, &asked).await {
        Ok(link) => {
            let message = format!(
                "{}{LEAD} in a browser, where no secret passes through here: {} (good for 10 minutes). Then call this action again.",
                error.message, link.url
            );
            let mut details = details.cloned().unwrap_or_else(|| json!({}));
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
