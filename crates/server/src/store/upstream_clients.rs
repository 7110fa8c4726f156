//! What we are at the authorization servers of upstreams where we have registered ourselves: one client for all users of an upstream.

use amalgam_vault::Secret;

use super::{
    Store,
    db::{execute, fetch_optional},
    upstreams::Upstream,
};
use crate::{clock::now_ms, error::Result};

/// It opens for this upstream at this server alone.
fn owner<'a>(upstream: &'a Upstream, issuer: &'a str, redirect_uri: &'a str) -> [&'a str; 5] {
    ["upstream client", &upstream.owner.account, &upstream.id, issuer, redirect_uri]
}

// An upstream that the caller could find stands for the account.
impl Store {
    /// Our client at this server with this redirect address, unless its secret has ended: JSON. And when it was last known there, in milliseconds.
    pub async fn upstream_client(&self, upstream: &Upstream, issuer: &str, redirect_uri: &str) -> Result<Option<(Secret, i64)>> {
        let found = fetch_optional!(
            &self.db,
            (String, i64),
            "select sealed, known_at from upstream_clients
             where upstream_id = $1 and issuer = $2 and redirect_uri = $3 and (expires_at is null or expires_at > $4)",
            &upstream.id,
            issuer,
            redirect_uri,
            now_ms()
        )?;
        let open = |(sealed, known_at): (String, i64)| Ok((self.sealer.unseal(&owner(upstream, issuer, redirect_uri), &sealed)?, known_at));
        found.map(open).transpose()
    }

    /// Notes that it is known there now.
    pub async fn upstream_client_known(&self, upstream: &Upstream) -> Result<()> {
        self.set_upstream_client_known(upstream, now_ms()).await
    }

    /// Notes that it may no longer be known there.
    pub async fn doubt_upstream_client(&self, upstream: &Upstream) -> Result<()> {
        self.set_upstream_client_known(upstream, 0).await
    }

    async fn set_upstream_client_known(&self, upstream: &Upstream, at: i64) -> Result<()> {
        execute!(&self.db, "update upstream_clients set known_at = $1 where upstream_id = $2", at, &upstream.id)?;
        Ok(())
    }

    /// Keeps it in the place of the one before: an upstream has one authorization server at a time.
    pub async fn put_upstream_client(
        &self,
        upstream: &Upstream,
        issuer: &str,
        redirect_uri: &str,
        client: &Secret,
        expires_at: Option<i64>,
    ) -> Result<()> {
        let sealed = self.sealer.seal(&owner(upstream, issuer, redirect_uri), client.expose())?;
        execute!(
            &self.db,
            "insert into upstream_clients (upstream_id, issuer, redirect_uri, sealed, expires_at, known_at) values ($1, $2, $3, $4, $5, $6)
             on conflict (upstream_id) do update set issuer = excluded.issuer, redirect_uri = excluded.redirect_uri, sealed = excluded.sealed,
               expires_at = excluded.expires_at, known_at = excluded.known_at",
            &upstream.id,
            issuer,
            redirect_uri,
            &sealed,
            expires_at,
            now_ms()
        )?;
        Ok(())
    }
}
