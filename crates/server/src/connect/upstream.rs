//! Signing in to another MCP server: the link, its page, the way to the authorization server and back.

use std::sync::Arc;

use amalgam_policy::Decision;
use url::Url;

use super::{
    link::{Asked, Link, new_text, no_link, redirect_uri},
    record,
};
use crate::{
    app::App,
    error::{Error, Kind, Result},
    oauth::{Returned, state},
    store::{
        Change, Scope,
        audit::{Entry, shown},
        connect_links::ConnectLink,
        servers::Server,
        upstreams::{Auth, Upstream},
    },
};

/// Whether users sign in to an upstream in a browser.
///
/// # Errors
/// They do not.
pub fn check_sign_in(app: &App, upstream: &Upstream) -> Result<()> {
    if upstream.auth != Auth::Oauth {
        return Err(Error::invalid("auth_type", "Only an MCP server whose `auth_type` is \"oauth\" is signed in to."));
    }
    if !app.upstreams.takes_browsers(upstream)? {
        let sentence = "Nobody signs in to this MCP server in a browser: its `auth_config.grant_type` says how else a token comes about.";
        return Err(Error::invalid("auth_config.grant_type", sentence));
    }
    Ok(())
}

/// Makes the link by which this user signs in to an upstream.
///
/// # Errors
/// Nobody signs in to it, or the browser must not be sent on to the address that was named.
pub async fn sign_in_link(app: &App, user: &Scope, upstream: &Upstream, asked: &Asked) -> Result<Link> {
    let (text, expires_at) = made(app, user, upstream, asked).await?;
    Ok(Link { url: format!("{}/oauth/upstreams/{text}", app.base_url), expires_at })
}

/// Makes such a link and opens it, for a browser that is here already.
///
/// # Errors
/// As for both.
pub async fn begin_sign_in(app: &App, user: &Scope, upstream: &Upstream, asked: &Asked) -> Result<SignIn> {
    let (text, _) = made(app, user, upstream, asked).await?;
    open_sign_in(app, &text).await
}

async fn made(app: &App, user: &Scope, upstream: &Upstream, asked: &Asked) -> Result<(String, i64)> {
    check_sign_in(app, upstream)?;
    if let Some(uri) = &asked.redirect_uri {
        redirect_uri(app, user, uri).await?;
    }
    let (text, asked) = (new_text(), serde_json::to_string(asked).map_err(Error::internal)?);
    // Under the id, which no connector has and no other upstream gets.
    let expires_at = app.store.create_connect_link(user, &upstream.id, &text, &asked).await?;
    Ok((text, expires_at))
}

/// A link to sign in that somebody has opened.
pub struct SignIn {
    link: ConnectLink,
    asked: Asked,
    server: Option<Arc<Server>>,
    /// The upstream as the link's user reaches it.
    pub upstream: Arc<Upstream>,
}

/// Opens a link: what it was made for is judged again, because much may have changed since.
pub async fn open_sign_in(app: &App, text: &str) -> Result<SignIn> {
    let link = app.store.connect_link(text).await?.ok_or_else(no_link)?;
    opened(app, link).await
}

async fn opened(app: &App, link: ConnectLink) -> Result<SignIn> {
    let asked: Asked = serde_json::from_str(app.store.open_connect_link(&link)?.expose()).map_err(Error::internal)?;
    let server = match &asked.server {
        Some(id) => Some(app.store.server_in_account(&link.scope.account, id).await?.ok_or_else(no_link)?),
        None => None,
    };
    let all = app.store.upstreams(&link.scope.account).await?;
    let found = all.values().find(|registered| registered.upstream.id == link.connector && registered.upstream.auth == Auth::Oauth);
    let found = found.ok_or_else(no_link)?;
    if let Some(server) = &server
        && let Decision::Deny(denial) = server.restrictions.connector(&found.upstream.slug)
    {
        return Err(Error::denied(denial));
    }
    let upstream = app.store.upstream_for(&found.upstream, &link.scope.user).await?;
    Ok(SignIn { link, asked, server, upstream })
}

impl SignIn {
    /// Who will be signed in, with the account.
    pub fn scope(&self) -> &Scope {
        &self.link.scope
    }

    /// Who asked for it, for the person who opens it.
    pub async fn asker(&self, app: &App) -> Result<String> {
        self.asked.asker(app, &self.link.scope.account).await
    }

    /// The server that it goes through.
    pub fn server_name(&self) -> Option<&str> {
        self.server.as_ref().map(|server| server.name.as_str())
    }

    /// Where the browser goes in the end, where somebody named an address.
    pub fn next(&self) -> Option<Url> {
        Url::parse(self.asked.redirect_uri.as_deref()?).ok()
    }

    /// Sends this browser to the authorization server.
    ///
    /// # Errors
    /// Why it cannot be found or asked.
    pub async fn begin(&self, app: &App, browser: &str) -> Result<Url> {
        let (state, scope) = (state(), self.asked.scopes.join(" "));
        let scope = Some(scope.as_str()).filter(|scope| !scope.is_empty());
        let (url, attempt) = app.upstreams.consent(&self.upstream, scope, &state, &app.base_url, &app.config.egress_allow).await?;
        if !app.store.begin_consent(&self.link, &state, browser, attempt.expose()).await? {
            return Err(no_link());
        }
        Ok(url)
    }
}

/// How a sign-in ended.
pub struct SignedIn {
    /// The upstream's name.
    pub name: String,
    /// Where the browser is sent, if the asker named an address.
    pub next: Option<Url>,
    /// Why nothing was connected.
    pub outcome: Result<()>,
}

/// Takes the browser back: the state is used up, and the code becomes tokens.
///
/// # Errors
/// A state that is forged, used, too old or another browser's.
pub async fn finish_sign_in(app: &App, returned: &Returned, browser: &str, request_id: &str) -> Result<SignedIn> {
    let refused = || {
        Error::new(
            Kind::InvalidRequest,
            "This sign-in cannot be finished: it has been finished already, is more than ten minutes old, or was begun in another browser. Go \
             back to where you came from and ask for a new link.",
        )
    };
    let link = app.store.take_consent(&returned.state, browser).await?.ok_or_else(refused)?;
    let attempt = app.store.open_attempt(&link)?.ok_or_else(refused)?;
    let sign_in = opened(app, link).await?;
    let upstream = &sign_in.upstream;
    let entry = Entry {
        caller: sign_in.asked.caller.clone(),
        server_id: sign_in.asked.server.clone(),
        connector_id: Some(shown(&upstream.slug)),
        target_id: Some(upstream.id.clone()),
        ..Entry::new(&sign_in.link.scope, "web", "upstream.sign-in", request_id)
    };
    let outcome = record(app, entry, app.upstreams.sign_in(upstream, &sign_in.link, &attempt, &app.base_url, returned).await).await;
    if outcome.is_ok() {
        signed_in(app, upstream).await;
    }
    Ok(SignedIn { name: upstream.name.clone(), next: next(app, &sign_in, &outcome).await, outcome })
}

/// Somebody can call an upstream now, which could not say what it offers before.
pub async fn signed_in(app: &App, upstream: &Arc<Upstream>) {
    if upstream.offered_at.is_none()
        && let Err(error) = app.upstreams.refresh(upstream).await
    {
        // It is asked again when it is called.
        tracing::info!(upstream = upstream.id, %error, "an MCP server does not say what it offers");
    }
    app.announce(Change::Connectors(upstream.owner.account.clone()));
}

/// The browser's next address: judged again, with what came of it.
async fn next(app: &App, sign_in: &SignIn, outcome: &Result<()>) -> Option<Url> {
    let mut next = sign_in.next()?;
    redirect_uri(app, &sign_in.link.scope, sign_in.asked.redirect_uri.as_deref()?).await.ok()?;
    let mut query = next.query_pairs_mut();
    query.append_pair("connectorId", &sign_in.upstream.slug);
    match outcome {
        Ok(()) => query.append_pair("status", "connected"),
        Err(error) => query.append_pair("status", "failed").append_pair("error", error.kind.code()),
    };
    drop(query);
    Some(next)
}
