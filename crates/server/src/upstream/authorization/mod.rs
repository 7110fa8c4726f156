//! OAuth towards upstreams: each user signs in at the upstream's authorization server, and calls carry that user's token.
//!
//! A call without a token, or with one that is refused, leads to a link (`Wanted`); the link leads through `begin` to the authorization
//! server and back to `finish`. Tokens are renewed by one call at a time, ahead of their end and when they are refused.

mod client;
mod discover;

use std::{sync::Arc, time::Duration};

use amalgam_vault::{Secret, same, url_safe};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;
use url::Url;

pub use self::client::{Registration, metadata};
use self::{
    client::{redirect_uri, registration},
    discover::{Challenge, Found, Server, discover},
};
use super::{Shared, Upstreams};
use crate::{
    clock::{now_ms, random},
    error::{Error, Kind, Result},
    oauth::{Consent, Failure, Pkce, Pointers, TokenRequest, Tokens, request},
    store::{Scope, upstream_grants::UpstreamGrant, upstreams::Upstream},
};

/// A link, and the sign-in that begins with it, is good for so long, in milliseconds.
const LIFE_MS: i64 = 10 * 60 * 1000;
/// Tokens are renewed this long before they end, in milliseconds.
const AHEAD_MS: i64 = 60 * 1000;
/// A renewal is over within this time, or another node may try, in milliseconds.
const LEASE_MS: i64 = 60 * 1000;
/// A call waits this long for somebody else's renewal.
const PATIENCE: Duration = Duration::from_secs(20);

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
}

/// What a link holds: sealed.
#[derive(Serialize, Deserialize)]
struct Link {
    account: String,
    user: String,
    upstream: String,
    scope: Option<String>,
    until: i64,
}

/// What comes back with the browser: sealed.
#[derive(Serialize, Deserialize)]
struct Way {
    link: Link,
    nonce: String,
    verifier: String,
    token_endpoint: String,
    issuer: String,
    iss_supported: bool,
    registration: Registration,
    resource: Option<String>,
    scope: String,
}

/// The parameters of an authorization answer.
pub struct Returned<'a> {
    /// `code`.
    pub code: Option<&'a str>,
    /// `iss`.
    pub iss: Option<&'a str>,
    /// `error`.
    pub error: Option<&'a str>,
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
        wanted(upstream, scope)
    }
}

fn wanted(upstream: &Upstream, scope: Option<&str>) -> Error {
    let sentence = format!("{} wants the user to sign in before it is called.", upstream.name);
    let details = json!({ "mcpServerId": upstream.id, "authenticationType": "oauth2", "scope": scope });
    Error::new(Kind::CredentialNotFound, sentence).with_details(details)
}

impl Shared {
    /// The `Authorization` of a request of the upstream's user; none where there is no grant yet.
    pub(super) async fn authorization(&self, upstream: &Arc<Upstream>) -> Result<Option<HeaderValue>> {
        let user = user(upstream);
        let Some(grant) = self.store.upstream_grant(upstream, user).await? else { return Ok(None) };
        let kept = self.open(upstream, &grant)?;
        if grant.expires_at.is_some_and(|at| at < now_ms() + AHEAD_MS) {
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
        let started = Instant::now();
        loop {
            let Some(grant) = self.store.upstream_grant_now(upstream, user).await? else { return Ok(None) };
            if grant.updated_at != seen.updated_at {
                return bearer(&self.open(upstream, &grant)?.access).map(Some);
            }
            if self.store.lease_upstream_grant(upstream, user, &grant, LEASE_MS).await? {
                let kept = self.open(upstream, &grant)?;
                let Some(refresh) = kept.refresh.clone() else {
                    self.store.end_upstream_lease(upstream, user).await?;
                    return Ok(None);
                };
                // In a task of its own: new tokens are written down even where the caller goes away.
                let (store, egress, upstream) = (self.store.clone(), self.egress.clone(), upstream.clone());
                let renewing = tokio::spawn(async move { renew(&store, &egress, &upstream, &grant, kept, &refresh).await });
                return renewing.await.map_err(Error::internal)?;
            }
            if started.elapsed() > PATIENCE {
                return Err(wrong(upstream, "is being renewed by another call, which takes too long"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A token without a user: client credentials (RFC 6749 section 4.4), by secret or by key.
    async fn machine(&self, upstream: &Arc<Upstream>, challenge: &Challenge) -> Result<HeaderValue> {
        let entered = self.entered(upstream)?;
        let found = discover(&self.egress, &upstream.url, challenge).await.map_err(|what| wrong(upstream, what))?;
        let registration = registration(&self.egress, &entered, &found.server, "").await.map_err(|what| wrong(upstream, what))?;
        let scope = entered.scope.clone().unwrap_or_else(|| found.scope.clone());
        let mut params = vec![("grant_type", "client_credentials")];
        if !scope.is_empty() {
            params.push(("scope", &scope));
        }
        let kept = Kept {
            token_endpoint: found.server.token_endpoint.clone(),
            issuer: found.server.issuer.clone(),
            registration,
            resource: found.resource,
            scope: scope.clone(),
            asked: scope.clone(),
            access: String::new(),
            refresh: None,
        };
        let tokens = ask(&self.egress, &kept, &found.server, &params).await.map_err(|failure| refused(upstream, &failure))?;
        keep(&self.store, upstream, kept, tokens).await
    }
}

/// Exchanges a refresh token, and writes the new tokens down before anybody uses them.
async fn renew(
    store: &crate::store::Store,
    egress: &crate::egress::Egress,
    upstream: &Arc<Upstream>,
    grant: &UpstreamGrant,
    kept: Kept,
    refresh: &str,
) -> Result<Option<HeaderValue>> {
    let server = Server::of(&kept.issuer, &kept.token_endpoint);
    match ask(egress, &kept, &server, &[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await {
        Ok(tokens) => keep(store, upstream, kept, tokens).await.map(Some),
        // It is used up or revoked: the user signs in again.
        Err(Failure::Refused { .. }) => {
            store.delete_upstream_grant(upstream, user(upstream), grant).await?;
            Ok(None)
        }
        Err(failure) => {
            store.end_upstream_lease(upstream, user(upstream)).await?;
            Err(refused(upstream, &failure))
        }
    }
}

/// One request to the token endpoint, for this resource.
async fn ask(egress: &crate::egress::Egress, kept: &Kept, server: &Server, params: &[(&str, &str)]) -> Result<Tokens, Failure> {
    let client = kept.registration.client(server);
    let client = client.map_err(|what| Failure::Client { code: "invalid_client".to_owned(), description: what })?;
    let mut params = params.to_vec();
    if let Some(resource) = &kept.resource {
        params.push(("resource", resource));
    }
    let ask = TokenRequest { url: &kept.token_endpoint, client: &client, params: &params, json: false, audience: &kept.issuer };
    request(egress, &ask, &Pointers::default()).await
}

async fn keep(store: &crate::store::Store, upstream: &Arc<Upstream>, kept: Kept, tokens: Tokens) -> Result<HeaderValue> {
    let kept = Kept {
        access: tokens.access.expose().to_owned(),
        // An answer without one means that the old one stays good (RFC 6749 section 6).
        refresh: tokens.refresh.map(|refresh| refresh.expose().to_owned()).or(kept.refresh),
        scope: tokens.scope.unwrap_or(kept.scope),
        ..kept
    };
    let life = tokens.expires_in.and_then(|seconds| i64::try_from(seconds).ok()).map(|seconds| seconds.saturating_mul(1_000));
    let text = Secret::new(serde_json::to_string(&kept).map_err(Error::internal)?);
    store.put_upstream_grant(upstream, user(upstream), &text, life.map(|life| now_ms().saturating_add(life))).await?;
    bearer(&kept.access)
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

impl Upstreams {
    /// The text of a link by which this user signs in to an upstream, and when it ends.
    pub fn sign_in_link(&self, upstream: &Upstream, user: &str, scope: Option<&str>) -> Result<(String, i64)> {
        let until = now_ms() + LIFE_MS;
        let account = upstream.owner.account.to_string();
        let link = Link { account, user: user.to_owned(), upstream: upstream.id.clone(), scope: scope.map(str::to_owned), until };
        let text = serde_json::to_string(&link).map_err(Error::internal)?;
        Ok((self.0.store.sealer().seal(&["upstream link"], &text)?, until))
    }

    /// Where the browser that opened a link goes. `nonce` is what only that browser has.
    ///
    /// # Errors
    /// A sentence for the person.
    pub async fn begin_sign_in(&self, link: &str, nonce: &str, base_url: &str, allowed: &[ipnet::IpNet]) -> Result<Url> {
        let this = &self.0;
        let over = || Error::new(Kind::InvalidRequest, "This link is over, or was never one. Ask for a new one.");
        let text = this.store.sealer().unseal(&["upstream link"], link).map_err(|_| over())?;
        let link: Link = serde_json::from_str(text.expose()).map_err(|_| over())?;
        if link.until < now_ms() {
            return Err(over());
        }
        let upstream = self.named(&link).await?;
        let mut challenge = this.probe(&upstream).await?;
        // What a call has needed says more than what our probe was told.
        let remembered = || this.wanted.get(&(upstream.id.clone(), user(&upstream).clone())).map(|scope| scope.to_string());
        let needed = link.scope.clone().or_else(remembered);
        let is_needed = needed.is_some();
        challenge.scope = needed.or(challenge.scope);
        let found = discover(&this.egress, &upstream.url, &challenge).await.map_err(|what| wrong(&upstream, what))?;
        found.require_pkce().map_err(|what| wrong(&upstream, what))?;
        let entered = this.entered(&upstream)?;
        let Found { resource, server, scope } = found;
        let registration = this.known(&upstream, &entered, &server, base_url).await?;
        let scope = entered.scope.clone().filter(|_| !is_needed).unwrap_or(scope);
        let pkce = Pkce::new();
        let endpoint = server.authorization_endpoint.as_deref().ok_or_else(|| wrong(&upstream, "has no authorization endpoint"))?;
        let client_id = registration.client_id.clone().unwrap_or_default();
        let way = Way {
            link,
            nonce: nonce.to_owned(),
            verifier: pkce.verifier.expose().to_owned(),
            token_endpoint: server.token_endpoint.clone(),
            issuer: server.issuer.clone(),
            iss_supported: server.authorization_response_iss_parameter_supported,
            registration,
            resource: resource.clone(),
            scope: scope.clone(),
        };
        let state = this.store.sealer().seal(&["upstream state"], &serde_json::to_string(&way).map_err(Error::internal)?)?;
        let further: Vec<(&str, &str)> = resource.iter().map(|resource| ("resource", resource.as_str())).collect();
        let consent = Consent {
            endpoint,
            client_id: &client_id,
            redirect_uri: &redirect_uri(base_url),
            state: &state,
            challenge: &pkce.challenge,
            scope: &scope,
            scope_parameter: "scope",
            further: &further,
        };
        consent.url(allowed).map_err(|what| Error::new(Kind::PlatformFailed, format!("{}: {what}", upstream.name)))
    }

    /// Takes the browser back; answers with the upstream that its user can call now.
    ///
    /// # Errors
    /// A sentence for the person.
    pub async fn finish_sign_in(
        &self,
        state: &str,
        nonce: Option<&str>,
        base_url: &str,
        returned: &Returned<'_>,
    ) -> Result<(Scope, Arc<Upstream>)> {
        let this = &self.0;
        let over = || Error::new(Kind::InvalidRequest, "This sign-in is over, or was begun in another browser. Open the link again.");
        let text = this.store.sealer().unseal(&["upstream state"], state).map_err(|_| over())?;
        let way: Way = serde_json::from_str(text.expose()).map_err(|_| over())?;
        if way.link.until < now_ms() || nonce.is_none_or(|nonce| !same(nonce.as_bytes(), way.nonce.as_bytes())) {
            return Err(over());
        }
        let upstream = self.named(&way.link).await?;
        // Before anything else is believed (RFC 9207 section 2.4): byte by byte, and never absent where it was promised.
        let is_its_own = match returned.iss {
            Some(iss) => iss == way.issuer,
            None => !way.iss_supported,
        };
        if !is_its_own {
            return Err(wrong(&upstream, "did not send this answer: its `iss` is another. Nothing was connected"));
        }
        if let Some(error) = returned.error {
            let said: String = error.chars().filter(|c| c.is_ascii_graphic()).take(60).collect();
            return Err(Error::new(
                Kind::PlatformRefused,
                format!("{} did not sign you in ({said}). Nothing was connected.", upstream.name),
            ));
        }
        let code = returned.code.ok_or_else(|| wrong(&upstream, "sent the browser back without a code"))?;
        let server = Server::of(&way.issuer, &way.token_endpoint);
        let kept = Kept {
            token_endpoint: way.token_endpoint,
            issuer: way.issuer,
            registration: way.registration,
            resource: way.resource,
            asked: way.scope.clone(),
            scope: way.scope,
            access: String::new(),
            refresh: None,
        };
        let redirect_uri = redirect_uri(base_url);
        let params =
            [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", &redirect_uri), ("code_verifier", &way.verifier)];
        let tokens = ask(&this.egress, &kept, &server, &params).await.map_err(|failure| refused(&upstream, &failure))?;
        keep(&this.store, &upstream, kept, tokens).await?;
        this.wanted.invalidate(&(upstream.id.clone(), user(&upstream).clone()));
        this.health.invalidate(&upstream.id);
        let scope = Scope { account: upstream.owner.account.clone(), user: user(&upstream).clone() };
        Ok((scope, upstream))
    }

    /// The upstream of a link, as its user reaches it.
    async fn named(&self, link: &Link) -> Result<Arc<Upstream>> {
        let all = self.0.store.upstreams(&link.account.as_str().into()).await?;
        let found = all.values().find(|registered| registered.upstream.id == link.upstream);
        let found = found.ok_or_else(|| Error::new(Kind::NotFound, "MCP server not found"))?;
        self.0.store.upstream_for(&found.upstream, &link.user.as_str().into()).await
    }
}

impl Shared {
    /// What an upstream says to somebody whom it does not know.
    async fn probe(&self, upstream: &Arc<Upstream>) -> Result<Challenge> {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let params = format!("{{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{{}},\"clientInfo\":{}}}", super::OUR_INFO);
        let request = crate::egress::OutgoingRequest {
            method: Method::POST,
            url: &upstream.url,
            headers,
            body: amalgam_protocol::bridge::request("0", "initialize", &params).into(),
            timeout: Duration::from_secs(15),
            max_response_bytes: self.max_message,
            follow_redirects: false,
            credential_bound: false,
        };
        let answer =
            self.egress.send_streaming(request).await.map_err(|error| wrong(upstream, format_args!("cannot be reached: {error}")))?;
        Ok(Challenge::read(&answer.headers))
    }

    /// Who we are at this server: as before, where this user has a grant of it; never what we are at another server.
    async fn known(&self, upstream: &Arc<Upstream>, entered: &Registration, server: &Server, base_url: &str) -> Result<Registration> {
        if let Some(grant) = self.store.upstream_grant_now(upstream, user(upstream)).await? {
            let kept = self.open(upstream, &grant)?;
            if kept.issuer == server.issuer && entered.client_id.is_none() {
                return Ok(kept.registration);
            }
        }
        registration(&self.egress, entered, server, base_url).await.map_err(|what| wrong(upstream, what))
    }
}

/// Something that only one browser has.
pub fn nonce() -> String {
    url_safe(&random::<16>())
}
