//! A user's way to the authorization server of an upstream and back.

use std::{sync::Arc, time::Duration};

use amalgam_vault::Secret;
use http::{
    HeaderMap, HeaderValue, Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    Kept, ask,
    client::{Registration, redirect_uri},
    discover::{Challenge, Found, Look, Server, discover},
    doubted, keep, refused, user, wrong,
};
use crate::{
    egress::OutgoingRequest,
    error::{Error, Kind, Result},
    oauth::{Consent, Failure, Pkce, Returned, Tokens},
    store::{
        connect_links::ConnectLink,
        upstreams::{Auth, Upstream},
    },
    upstream::{OUR_INFO, Shared, Upstreams},
};

/// An upstream must begin to answer a probe within this time.
const PROBE: Duration = Duration::from_secs(15);

/// What is kept, sealed, while the browser is away.
#[derive(Serialize, Deserialize)]
pub(super) struct Attempt {
    /// Where the tokens will be sent: what was consented to for one address is for no other.
    url: String,
    verifier: String,
    token_endpoint: String,
    revocation_endpoint: Option<String>,
    issuer: String,
    iss_supported: bool,
    registration: Registration,
    resource: Option<String>,
    scope: String,
}

impl Upstreams {
    /// Where the upstream's user consents, and what has to be kept until the browser is back. `scope` is what a call has needed.
    ///
    /// # Errors
    /// A sentence for the person.
    pub async fn consent(
        &self,
        upstream: &Arc<Upstream>,
        scope: Option<&str>,
        state: &str,
        base_url: &str,
        allowed: &[IpNet],
    ) -> Result<(Url, Secret)> {
        let this = &self.0;
        let found = this.found(upstream, scope, &mut Look::new(&this.egress)).await?;
        found.require_pkce().map_err(|what| wrong(upstream, what))?;
        let registration = this.known(upstream, &this.entered(upstream)?, &found.server, base_url).await?;
        let (url, attempt) = this.prepared(upstream, found, registration, state, base_url, allowed)?;
        Ok((url, Secret::new(serde_json::to_string(&attempt).map_err(Error::internal)?)))
    }

    /// Takes what the browser came back with; after it the upstream's user can call it.
    ///
    /// # Errors
    /// A sentence for the person.
    pub async fn sign_in(
        &self,
        upstream: &Arc<Upstream>,
        link: &ConnectLink,
        attempt: &Secret,
        base_url: &str,
        returned: &Returned,
    ) -> Result<()> {
        let this = &self.0;
        let attempt: Attempt = serde_json::from_str(attempt.expose()).map_err(Error::internal)?;
        // Before anything else is believed (RFC 9207 section 2.4): byte by byte, and never absent where it was promised.
        let is_its_own = match &returned.iss {
            Some(iss) => *iss == attempt.issuer,
            None => !attempt.iss_supported,
        };
        if !is_its_own {
            return Err(wrong(upstream, "did not send this answer: its `iss` is another. Nothing was connected"));
        }
        if attempt.url != upstream.url {
            return Err(wrong(upstream, "has another address now than when you left. Nothing was connected; ask for a new link"));
        }
        if let Some(error) = &returned.error {
            let said: String = error.chars().filter(char::is_ascii_graphic).take(60).collect();
            let sentence = format!("{} did not sign you in ({said}). Nothing was connected.", upstream.name);
            return Err(Error::new(Kind::PlatformRefused, sentence));
        }
        let code = returned.code.as_deref().filter(|code| !code.is_empty());
        let code = code.ok_or_else(|| wrong(upstream, "sent the browser back without a code"))?;
        let (kept, tokens) = this.exchanged(upstream, attempt, code, base_url).await?;
        let tokens = tokens.map_err(|failure| refused(upstream, &failure))?;
        this.signed_in(upstream, kept, tokens, Some(link)).await
    }

    /// Whether the upstream's user has signed in, and has been asked for these scopes.
    pub async fn is_signed_in(&self, upstream: &Upstream, scope: Option<&str>) -> Result<bool> {
        let Some(grant) = self.0.store.upstream_grant_now(upstream, user(upstream)).await? else { return Ok(false) };
        let kept = self.0.open(upstream, &grant)?;
        let mut needed = scope.unwrap_or_default().split_whitespace();
        Ok(needed.all(|needed| kept.asked.split_whitespace().any(|asked| asked == needed)))
    }

    /// Whether grants for the one are still good for the other: both are signed in to, as the same client.
    pub fn has_same_client(&self, before: &Upstream, after: &Upstream) -> Result<bool> {
        if (before.auth, after.auth) != (Auth::Oauth, Auth::Oauth) {
            return Ok(before.auth == after.auth);
        }
        Ok(self.0.entered(before)?.is_same_client(&self.0.entered(after)?))
    }

    /// What was entered for an upstream, with the one authorization server that its client is known at: that of now, unless one was named.
    /// Its secret is never sent to another, whatever the upstream's metadata says later.
    ///
    /// # Errors
    /// There is a client, and nobody says where it is known.
    pub async fn bound(&self, upstream: &Upstream, entered: Secret) -> Result<Secret> {
        let mut registration: Registration = serde_json::from_str(entered.expose()).map_err(Error::internal)?;
        if registration.client_id.is_none() || registration.issuer.is_some() {
            return Ok(entered);
        }
        let found = async {
            let mut look = Look::new(&self.0.egress);
            let challenge = self.0.probe(upstream, &mut look).await.map_err(|error| error.message.into_owned())?;
            discover(&mut look, &upstream.url, &challenge).await.map_err(|what| format!("{} {what}.", upstream.name))
        };
        let found = found.await.map_err(|why| {
            let sentence = format!(
                "`auth_config` needs `issuer`, the authorization server that knows this client, because it cannot be found out: {why}"
            );
            Error::invalid("auth_config.issuer", sentence)
        })?;
        registration.issuer = Some(found.server.issuer);
        serde_json::to_string(&registration).map(Secret::new).map_err(Error::internal)
    }
}

impl Shared {
    /// The authorization server, and what to ask it for.
    pub(super) async fn found(&self, upstream: &Arc<Upstream>, scope: Option<&str>, look: &mut Look<'_>) -> Result<Found> {
        let mut challenge = self.probe(upstream, look).await?;
        // What a call has needed says more than what our probe was told.
        let remembered = || self.wanted.get(&(upstream.id.clone(), user(upstream).clone())).map(|scope| scope.to_string());
        let needed = scope.map(str::to_owned).or_else(remembered);
        let is_needed = needed.is_some();
        challenge.scope = needed.or(challenge.scope);
        let mut found = discover(look, &upstream.url, &challenge).await.map_err(|what| wrong(upstream, what))?;
        if let Some(entered) = self.entered(upstream)?.scope.filter(|_| !is_needed) {
            found.scope = entered;
        }
        Ok(found)
    }

    /// The address of the consent page, and what belongs to it.
    pub(super) fn prepared(
        &self,
        upstream: &Upstream,
        found: Found,
        registration: Registration,
        state: &str,
        base_url: &str,
        allowed: &[IpNet],
    ) -> Result<(Url, Attempt)> {
        let (pkce, Found { resource, server, scope }) = (Pkce::new(), found);
        let endpoint = server.authorization_endpoint.as_deref().ok_or_else(|| wrong(upstream, "has no authorization endpoint"))?;
        let mut further: Vec<(&str, &str)> = resource.iter().map(|resource| ("resource", resource.as_str())).collect();
        if scope.split(' ').any(|scope| scope == "offline_access") {
            // Without it, servers of OpenID Connect ignore this scope (OpenID Connect Core section 11).
            further.push(("prompt", "consent"));
        }
        let consent = Consent {
            endpoint,
            client_id: registration.client_id.as_deref().unwrap_or_default(),
            redirect_uri: &redirect_uri(base_url),
            state,
            challenge: &pkce.challenge,
            scope: &scope,
            scope_parameter: "scope",
            further: &further,
        };
        let url = consent.url(allowed).map_err(|what| Error::new(Kind::PlatformFailed, format!("{}: {what}", upstream.name)))?;
        let attempt = Attempt {
            url: upstream.url.clone(),
            verifier: pkce.verifier.expose().to_owned(),
            token_endpoint: server.token_endpoint,
            revocation_endpoint: server.revocation_endpoint,
            issuer: server.issuer,
            iss_supported: server.authorization_response_iss_parameter_supported,
            registration,
            resource,
            scope,
        };
        Ok((url, attempt))
    }

    /// Keeps what a user was granted. Whoever has signed in may be another person there than before.
    pub(super) async fn signed_in(&self, upstream: &Arc<Upstream>, kept: Kept, tokens: Tokens, link: Option<&ConnectLink>) -> Result<()> {
        keep(self, upstream, kept, tokens, link).await?;
        self.close(&upstream.id, user(upstream));
        self.health.remove(&upstream.id);
        Ok(())
    }

    /// Shows a code at the token endpoint.
    pub(super) async fn exchanged(
        &self,
        upstream: &Upstream,
        attempt: Attempt,
        code: &str,
        base_url: &str,
    ) -> Result<(Kept, Result<Tokens, Failure>)> {
        let mut server = Server::of(&attempt.issuer, &attempt.token_endpoint);
        server.revocation_endpoint = attempt.revocation_endpoint;
        let kept = Kept::new(attempt.registration, &server, attempt.resource, &attempt.scope);
        let redirect_uri = redirect_uri(base_url);
        let params =
            [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", &redirect_uri), ("code_verifier", &attempt.verifier)];
        let tokens = ask(&self.egress, &kept, &server, &params).await;
        doubted(&self.store, upstream, &tokens).await?;
        Ok((kept, tokens))
    }

    /// What an upstream says to somebody whom it does not know.
    async fn probe(&self, upstream: &Upstream, look: &mut Look<'_>) -> Result<Challenge> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let params = format!("{{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{{}},\"clientInfo\":{OUR_INFO}}}");
        let mut request = OutgoingRequest {
            method: Method::POST,
            url: &upstream.url,
            headers,
            body: amalgam_protocol::bridge::request("0", "initialize", &params).into(),
            timeout: PROBE,
            max_response_bytes: self.max_message,
            follow_redirects: false,
            credential_bound: false,
        };
        let answer = self.egress.send_streaming(&mut request).await.map_err(|error| {
            look.note(&upstream.url, &error);
            wrong(upstream, format_args!("cannot be reached: {error}"))
        })?;
        let challenge = Challenge::read(&answer.headers);
        let names = if challenge.metadata.is_some() { " and names its metadata" } else { "" };
        look.note(&upstream.url, format_args!("answered {}{names}", answer.status));
        Ok(challenge)
    }
}
