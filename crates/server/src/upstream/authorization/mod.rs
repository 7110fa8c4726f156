//! OAuth towards upstreams: each user signs in at the upstream's authorization server, and calls carry that user's token.
//!
//! A call without a token, or with one that is refused, leads to a link (`wanted`); the link's page leads to the authorization server
//! (`consent`) and back (`sign_in`). Tokens are renewed by one call at a time, ahead of their end and when they are refused.

mod client;
mod discover;
mod end;
mod enterprise;
mod registered;
mod sign_in;
mod trace;

use std::{sync::Arc, time::Duration};

use amalgam_vault::Secret;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use self::discover::{Challenge, Look, Server, discover};
pub(super) use self::registered::Registering;
pub use self::{
    client::{HIDDEN, Registration, STILL_HIDDEN, metadata, redirect_uri},
    trace::{Origin, Trace, Way},
};
use super::Shared;
use crate::{
    clock::now_ms,
    egress::Egress,
    error::{Error, Kind, Result},
    oauth::{Failure, Pointers, TokenRequest, Tokens, request},
    store::{Store, connect_links::ConnectLink, upstream_grants::UpstreamGrant, upstreams::Upstream},
};

/// Tokens are renewed this long before they end, or a fifth of their life, whichever is shorter, in milliseconds.
const AHEAD_MS: i64 = 60 * 1000;
/// A renewal is over within this time, or another node may try, in milliseconds.
const LEASE_MS: i64 = 60 * 1000;
/// A call waits this long for somebody else's renewal.
const PATIENCE: Duration = Duration::from_secs(20);
/// New tokens that cannot be written down are kept in memory and tried again for this long.
const WRITING_FOR: Duration = Duration::from_secs(10 * 60);

/// What is kept of a grant: sealed.
#[derive(Serialize, Deserialize)]
struct Kept {
    token_endpoint: String,
    issuer: String,
    registration: Registration,
    resource: Option<String>,
    /// What was granted.
    scope: String,
    /// What was asked for.
    asked: String,
    access: String,
    refresh: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revocation_endpoint: Option<String>,
    /// What the identity provider is shown for another token, with `id_jag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    /// When the access token is to be renewed, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    renew_at: Option<i64>,
}

impl Kept {
    /// Whether there is something to get another token with.
    fn is_renewable(&self) -> bool {
        self.refresh.is_some() || self.identity.is_some()
    }

    /// Before anything was granted.
    fn new(registration: Registration, server: &Server, resource: Option<String>, scope: &str) -> Self {
        Self {
            token_endpoint: server.token_endpoint.clone(),
            revocation_endpoint: server.revocation_endpoint.clone(),
            issuer: server.issuer.clone(),
            registration,
            resource,
            scope: scope.to_owned(),
            asked: scope.to_owned(),
            access: String::new(),
            refresh: None,
            identity: None,
            renew_at: None,
        }
    }
}

fn user(upstream: &Upstream) -> &Arc<str> {
    upstream.end_user.as_ref().unwrap_or(&upstream.owner.user)
}

fn wrong(upstream: &Upstream, what: impl std::fmt::Display) -> Error {
    Error::new(Kind::PlatformFailed, format!("{} {what}.", upstream.name))
}

impl Shared {
    /// The user must sign in; `scope` is what has to be asked for. It is remembered for the link that is made without a call.
    fn wanted(&self, upstream: &Upstream, scope: Option<&str>) -> Error {
        if let Some(scope) = scope {
            self.wanted.insert((upstream.id.clone(), user(upstream).clone()), scope.into());
        }
        let name = &upstream.name;
        let sentence = match self.entered(upstream) {
            Ok(entered) if entered.is_enterprise() => format!(
                "{name} wants an identity token of the user before it is called: send it with `POST /api/v1/user-mcp-servers/{}/sign-in` as `idToken`.",
                upstream.id
            ),
            _ => format!("{name} wants the user to sign in before it is called."),
        };
        let details = json!({ "mcpServerId": upstream.id, "connectorId": upstream.slug, "authenticationType": "oauth2", "scope": scope });
        Error::new(Kind::CredentialNotFound, sentence).with_details(details)
    }
}

impl Shared {
    /// The `Authorization` of a request of the upstream's user; none where there is no grant yet.
    pub(super) async fn authorization(&self, upstream: &Arc<Upstream>) -> Result<Option<HeaderValue>> {
        let user = user(upstream);
        let Some(grant) = self.store.upstream_grant(upstream, user).await? else { return Ok(None) };
        let kept = self.open(upstream, &grant)?;
        let due = kept.renew_at.filter(|_| kept.is_renewable()).or(grant.expires_at);
        if [due, grant.expires_at].into_iter().flatten().any(|at| at <= now_ms()) {
            match self.renewed(upstream, &grant).await {
                Ok(Some(header)) => return Ok(Some(header)),
                // What it has may still be good for this call.
                Err(error) if grant.expires_at.is_some_and(|at| at > now_ms()) => {
                    tracing::warn!(upstream = upstream.id, %error, "a token could not be renewed ahead of its end");
                }
                Ok(None) => {}
                Err(error) => return Err(error),
            }
        }
        bearer(&kept.access).map(Some)
    }

    /// After a 401 or 403: another token to try once, nothing where the answer is the upstream's own, or the way to sign in.
    pub(super) async fn challenged(
        &self,
        upstream: &Arc<Upstream>,
        status: StatusCode,
        headers: &HeaderMap,
        sent: Option<&HeaderValue>,
        again: bool,
    ) -> Result<Option<HeaderValue>> {
        let challenge = Challenge::read(headers);
        let user = user(upstream);
        let grant = self.store.upstream_grant_now(upstream, user).await?;
        let kept = grant.as_ref().map(|grant| self.open(upstream, grant)).transpose()?;
        if status == StatusCode::FORBIDDEN {
            let asked: Vec<&str> = kept.as_ref().map(|kept| kept.asked.split_whitespace().collect()).unwrap_or_default();
            let mut needed = challenge.scope.as_deref().unwrap_or_default().split_whitespace();
            // What was asked for already and not granted is not asked for again: the user would go round in circles.
            if challenge.error.as_deref() != Some("insufficient_scope") || needed.all(|scope| asked.contains(&scope)) {
                return Ok(None);
            }
            // What was granted and what is needed now, so that the next call does not lose the one before.
            let mut scopes: Vec<&str> = kept.as_ref().map(|kept| kept.scope.split_whitespace().collect()).unwrap_or_default();
            for scope in challenge.scope.as_deref().unwrap_or_default().split_whitespace() {
                if !scopes.contains(&scope) {
                    scopes.push(scope);
                }
            }
            return Err(self.wanted(upstream, Some(&scopes.join(" "))));
        }
        if !again {
            return Err(self.wanted(upstream, challenge.scope.as_deref()));
        }
        if self.entered(upstream)?.is_machine() {
            return self.machine(upstream, &challenge).await.map(Some);
        }
        let (Some(grant), Some(kept)) = (grant, kept) else { return Err(self.wanted(upstream, challenge.scope.as_deref())) };
        // Somebody else has renewed it in the meantime.
        let now = bearer(&kept.access)?;
        if sent.is_some_and(|sent| *sent != now) {
            return Ok(Some(now));
        }
        match self.renewed(upstream, &grant).await? {
            Some(header) => Ok(Some(header)),
            None => Err(self.wanted(upstream, challenge.scope.as_deref())),
        }
    }

    fn open(&self, upstream: &Upstream, grant: &UpstreamGrant) -> Result<Kept> {
        let text = self.store.open_upstream_grant(upstream, user(upstream), grant)?;
        serde_json::from_str(text.expose()).map_err(Error::internal)
    }

    /// What the owner has entered.
    fn entered(&self, upstream: &Upstream) -> Result<Registration> {
        match self.store.open_registration(upstream)? {
            Some(text) => serde_json::from_str(text.expose()).map_err(Error::internal),
            None => Ok(Registration::default()),
        }
    }

    /// Renews a grant, or waits for whoever does. None where it cannot be renewed: it is gone then.
    async fn renewed(&self, upstream: &Arc<Upstream>, seen: &UpstreamGrant) -> Result<Option<HeaderValue>> {
        let user = user(upstream);
        let slow = || wrong(upstream, "is being renewed by another call, which takes too long");
        let started = Instant::now();
        // On this node the calls stand in line; the lease is for the others.
        let turn = self.renewing.get_with((upstream.id.clone(), user.clone()), Arc::default);
        let _turn = timeout(PATIENCE, turn.lock()).await.map_err(|_| slow())?;
        loop {
            let Some(grant) = self.store.upstream_grant_now(upstream, user).await? else { return Ok(None) };
            if grant.updated_at != seen.updated_at {
                return bearer(&self.open(upstream, &grant)?.access).map(Some);
            }
            if let Some(lease) = self.store.lease_upstream_grant(upstream, user, &grant, LEASE_MS).await? {
                let kept = self.open(upstream, &grant)?;
                if !kept.is_renewable() {
                    self.store.delete_upstream_grant(upstream, user, &grant).await?;
                    return Ok(None);
                }
                // In a task of its own: new tokens are written down even where the caller goes away.
                let (store, egress, upstream, entered) =
                    (self.store.clone(), self.egress.clone(), upstream.clone(), self.entered(upstream)?);
                let renewing = tokio::spawn(async move { renew(&store, &egress, &upstream, &entered, (&grant, lease), kept).await });
                return renewing.await.map_err(Error::internal)?;
            }
            if started.elapsed() > PATIENCE {
                return Err(slow());
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// A token without a user: client credentials (RFC 6749 section 4.4), by secret or by key.
    async fn machine(&self, upstream: &Arc<Upstream>, challenge: &Challenge) -> Result<HeaderValue> {
        let entered = self.entered(upstream)?;
        let found = discover(&mut Look::new(&self.egress), &upstream.url, challenge).await.map_err(|what| wrong(upstream, what))?;
        let registration = entered.at(&found.server).map_err(|what| wrong(upstream, what))?;
        let scope = entered.scope.clone().unwrap_or_else(|| found.scope.clone());
        let mut params = vec![("grant_type", "client_credentials")];
        if !scope.is_empty() {
            params.push(("scope", &scope));
        }
        let kept = Kept::new(registration, &found.server, found.resource, &scope);
        let tokens = ask(&self.egress, &kept, &found.server, &params).await.map_err(|failure| refused(upstream, &failure))?;
        keep(self, upstream, kept, tokens, None).await
    }
}

/// Exchanges a refresh token, and writes the new tokens down before anybody uses them. None where the grant is of no more use.
async fn renew(
    store: &Store,
    egress: &Egress,
    upstream: &Arc<Upstream>,
    entered: &Registration,
    (grant, lease): (&UpstreamGrant, i64),
    mut kept: Kept,
) -> Result<Option<HeaderValue>> {
    let server = Server::of(&kept.issuer, &kept.token_endpoint);
    if entered.client_id.is_some() && entered.is_same_client(&kept.registration) {
        kept.registration = entered.renewed(&kept.registration);
    }
    let tokens = match (&kept.refresh, &kept.identity) {
        (None, Some(identity)) => enterprise::ask(egress, entered, &kept, &server, identity).await,
        (refresh, _) => {
            let refresh = refresh.clone().unwrap_or_default();
            ask(egress, &kept, &server, &[("grant_type", "refresh_token"), ("refresh_token", &refresh)]).await
        }
    };
    doubted(store, upstream, &tokens).await?;
    match tokens {
        Ok(tokens) => {
            let taken = Taken::of(kept, tokens)?;
            if write(store, upstream, grant, &taken).await? {
                return bearer(&taken.kept.access).map(Some);
            }
            // Ended meanwhile, so that nobody will ever use these.
            end::revoke(egress, &taken.kept).await;
            Ok(None)
        }
        // It is used up or revoked, or we are no longer known there and register again: the user signs in again.
        Err(failure)
            if matches!(failure, Failure::Refused { .. }) || (matches!(failure, Failure::Client { .. }) && entered.client_id.is_none()) =>
        {
            store.delete_upstream_grant(upstream, user(upstream), grant).await?;
            Ok(None)
        }
        Err(failure) => {
            store.end_upstream_lease(upstream, user(upstream), lease).await?;
            Err(refused(upstream, &failure))
        }
    }
}

/// Rotated tokens exist nowhere else, so that a database that does not answer is asked again.
async fn write(store: &Store, upstream: &Upstream, seen: &UpstreamGrant, taken: &Taken) -> Result<bool> {
    let (started, mut pause) = (Instant::now(), Duration::from_millis(100));
    loop {
        match store.replace_upstream_grant(upstream, user(upstream), seen, &taken.text, taken.expires_at).await {
            Err(error) if started.elapsed() < WRITING_FOR => {
                tracing::error!(
                    cause = error.cause.as_ref().map(tracing::field::display),
                    "new tokens cannot be written down; trying again"
                );
                sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
            written => return written,
        }
    }
}

/// One request to the token endpoint, for this resource.
async fn ask(egress: &Egress, kept: &Kept, server: &Server, params: &[(&str, &str)]) -> Result<Tokens, Failure> {
    let client = kept.registration.client(server);
    let client = client.map_err(|what| Failure::Client { code: "invalid_client".to_owned(), description: what })?;
    let mut params = params.to_vec();
    if let Some(resource) = &kept.resource {
        params.push(("resource", resource));
    }
    let ask = TokenRequest { url: &kept.token_endpoint, client: &client, params: &params, json: false, audience: &kept.issuer };
    request(egress, &ask, &Pointers::default()).await
}

/// Notes where an authorization server does not accept the client to which a code or a refresh token belongs: it may have forgotten the one
/// that we have registered, so that it is asked before the next sign-in.
async fn doubted(store: &Store, upstream: &Upstream, tokens: &Result<Tokens, Failure>) -> Result<()> {
    match tokens {
        Err(Failure::Client { .. }) => store.doubt_upstream_client(upstream).await,
        _ => Ok(()),
    }
}

/// New tokens, as they are kept.
struct Taken {
    kept: Kept,
    text: Secret,
    expires_at: Option<i64>,
}

impl Taken {
    fn of(kept: Kept, tokens: Tokens) -> Result<Self> {
        let life = tokens.expires_in.and_then(|seconds| i64::try_from(seconds).ok()).map(|seconds| seconds.saturating_mul(1_000));
        let expires_at = life.map(|life| now_ms().saturating_add(life));
        let kept = Kept {
            renew_at: life.zip(expires_at).map(|(life, at)| at - AHEAD_MS.min(life / 5)),
            access: tokens.access.expose().to_owned(),
            // An answer without one means that the old one stays good (RFC 6749 section 6).
            refresh: tokens.refresh.map(|refresh| refresh.expose().to_owned()).or(kept.refresh),
            scope: tokens.scope.unwrap_or(kept.scope),
            ..kept
        };
        let text = Secret::new(serde_json::to_string(&kept).map_err(Error::internal)?);
        Ok(Self { kept, text, expires_at })
    }
}

/// Keeps what a user, or our client, was granted anew, by the link that led to it where there is one.
async fn keep(this: &Shared, upstream: &Arc<Upstream>, kept: Kept, tokens: Tokens, link: Option<&ConnectLink>) -> Result<HeaderValue> {
    let taken = Taken::of(kept, tokens)?;
    let stored = this.store.put_upstream_grant(upstream, user(upstream), &taken.text, taken.expires_at, link).await;
    if !matches!(stored, Ok(true)) {
        // Nobody has these tokens.
        end::revoke(&this.egress, &taken.kept).await;
    }
    if !stored? {
        let sentence =
            "This link is of no more use: it has been used, or its user was removed. Go back to where you came from and ask for a new one.";
        return Err(Error::new(Kind::NotFound, sentence));
    }
    bearer(&taken.kept.access)
}

fn refused(upstream: &Upstream, failure: &Failure) -> Error {
    let kind = if matches!(failure, Failure::Transient(_)) { Kind::PlatformFailed } else { Kind::PlatformRefused };
    Error::new(kind, format!("{}: its authorization server gave no token ({failure}).", upstream.name))
}

fn bearer(token: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(Error::internal)?;
    value.set_sensitive(true);
    Ok(value)
}
