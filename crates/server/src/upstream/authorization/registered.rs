//! Our client at the authorization server of an upstream, where it is one that we have registered: once, for all users of the upstream.

use amalgam_policy::Window;
use amalgam_vault::Secret;
use tokio::time::timeout;

use super::{
    Kept, PATIENCE, ask,
    client::{Registration, by_document, redirect_uri, register},
    discover::Server,
    wrong,
};
use crate::{
    clock::now_ms,
    error::{Error, Kind, Result},
    oauth::{Failure, Pkce},
    store::upstreams::Upstream,
    upstream::Shared,
};

/// Registrations for one upstream in an hour. One is enough, unless its authorization server forgets us, or becomes another.
const REGISTRATIONS_AN_HOUR: u32 = 20;
const HOUR_MS: u32 = 60 * 60 * 1_000;
/// For so long nobody asks again whether an authorization server knows us, unless it says that it does not.
const SURE_MS: i64 = 10 * 60 * 1_000;
/// A code that nobody has granted.
pub(super) const NO_CODE: &str = "amalgam-probe";

impl Shared {
    /// Who we are at this server: known there before, by the address of our metadata, or registered. In this order.
    pub(super) async fn known(&self, upstream: &Upstream, entered: &Registration, server: &Server, base_url: &str) -> Result<Registration> {
        if entered.client_id.is_some() {
            return entered.at(server).map_err(|what| wrong(upstream, what));
        }
        if let Some(client) = by_document(entered, server, base_url) {
            return Ok(client);
        }
        let client = self.registered(upstream, server, base_url).await?;
        Ok(Registration { scope: entered.scope.clone(), grant_type: entered.grant_type.clone(), ..client })
    }

    async fn registered(&self, upstream: &Upstream, server: &Server, base_url: &str) -> Result<Registration> {
        let here = redirect_uri(base_url);
        let gone = match self.kept_client(upstream, server, &here).await? {
            Some((client, known_at)) if known_at > now_ms() - SURE_MS => return Ok(client),
            Some((client, _)) if self.is_known(&client, server, &here).await => {
                self.store.upstream_client_known(upstream).await?;
                return Ok(client);
            }
            gone => gone.and_then(|(client, _)| client.client_id),
        };
        let turn = self.registering.get_with_by_ref(&upstream.id, Default::default);
        let slow = |_| wrong(upstream, "has an authorization server at which we are being registered, which takes too long; try again");
        let mut window = timeout(PATIENCE, turn.lock()).await.map_err(slow)?;
        // Somebody else may have registered us in the meantime.
        if let Some((client, _)) = self.kept_client(upstream, server, &here).await?
            && client.client_id != gone
        {
            return Ok(client);
        }
        let outcome = window.check(u64::try_from(now_ms()).unwrap_or(0), REGISTRATIONS_AN_HOUR, HOUR_MS);
        if !outcome.allowed {
            let what = format!(
                "has an authorization server at which we have registered {REGISTRATIONS_AN_HOUR} times within the last hour: it does not \
                 keep what it registers. Register a client there, and enter it as `auth_config.client_id`"
            );
            let mut error = Error::new(Kind::RateLimited, wrong(upstream, what).message);
            error.headers = vec![("retry-after", outcome.retry_after_seconds)];
            return Err(error);
        }
        let (client, ends) = register(&self.egress, server, base_url).await.map_err(|what| wrong(upstream, what))?;
        let text = Secret::new(serde_json::to_string(&client).map_err(Error::internal)?);
        self.store.put_upstream_client(upstream, &server.issuer, &here, &text, ends).await?;
        Ok(client)
    }

    async fn kept_client(&self, upstream: &Upstream, server: &Server, here: &str) -> Result<Option<(Registration, i64)>> {
        let kept = self.store.upstream_client(upstream, &server.issuer, here).await?;
        kept.map(|(text, at)| Ok((serde_json::from_str(text.expose()).map_err(Error::internal)?, at))).transpose()
    }

    /// Whether the server still knows us. It is asked before a browser is sent there: one that has forgotten us would show the user an error
    /// of its own, and send nobody back who could tell.
    async fn is_known(&self, client: &Registration, server: &Server, here: &str) -> bool {
        let kept = Kept::new(client.clone(), server, None, "");
        let pkce = Pkce::new();
        let params =
            [("grant_type", "authorization_code"), ("code", NO_CODE), ("redirect_uri", here), ("code_verifier", pkce.verifier.expose())];
        !matches!(ask(&self.egress, &kept, server, &params).await, Err(Failure::Client { .. }))
    }
}

/// How often we have registered for an upstream; whoever holds it registers.
pub(in crate::upstream) type Registering = tokio::sync::Mutex<Window>;
