//! Upstream grants: what an upstream's authorization server has granted one user, with the client that it was granted to. Sealed.

use std::sync::Arc;

use amalgam_vault::Secret;

use super::{
    Store,
    db::{execute, fetch_optional},
    upstreams::Upstream,
};
use crate::{clock::now_ms, error::Result};

/// A grant as the database knows it.
#[derive(sqlx::FromRow)]
pub struct UpstreamGrant {
    sealed: String,
    /// When the access token ends, in milliseconds.
    pub expires_at: Option<i64>,
    /// Milliseconds; another value means other tokens.
    pub updated_at: i64,
}

fn sealed_for<'a>(upstream: &'a Upstream, user: &'a str) -> [&'a str; 5] {
    ["upstream grant", &upstream.owner.account, &upstream.id, &upstream.url, user]
}

const SELECT: &str = "select sealed, expires_at, updated_at from upstream_grants where upstream_id = $1 and user_id = $2 and url = $3";

// An upstream that the caller could find stands for the account; the user is the effective one.
impl Store {
    /// This user's grant for the upstream at its present address.
    pub async fn upstream_grant(&self, upstream: &Upstream, user: &Arc<str>) -> Result<Option<Arc<UpstreamGrant>>> {
        let load = async { self.upstream_grant_now(upstream, user).await };
        self.upstream_grants.get_or_load((upstream.id.clone(), user.clone()), load).await
    }

    /// The same past the cache.
    pub async fn upstream_grant_now(&self, upstream: &Upstream, user: &str) -> Result<Option<Arc<UpstreamGrant>>> {
        Ok(fetch_optional!(&self.db, UpstreamGrant, SELECT, &upstream.id, user, &upstream.url)?.map(Arc::new))
    }

    /// What is in it: JSON. Call it only where a request is about to be sent.
    pub fn open_upstream_grant(&self, upstream: &Upstream, user: &str, grant: &UpstreamGrant) -> Result<Secret> {
        self.sealer.unseal(&sealed_for(upstream, user), &grant.sealed)
    }

    /// Keeps a grant in the place of the one before.
    pub async fn put_upstream_grant(&self, upstream: &Upstream, user: &Arc<str>, grant: &Secret, expires_at: Option<i64>) -> Result<()> {
        let sealed = self.sealer.seal(&sealed_for(upstream, user), grant.expose())?;
        execute!(
            &self.db,
            "insert into upstream_grants (upstream_id, user_id, url, sealed, expires_at, updated_at) values ($1, $2, $3, $4, $5, $6)
             on conflict (upstream_id, user_id) do update set url = excluded.url, sealed = excluded.sealed, expires_at = excluded.expires_at,
               updated_at = case when excluded.updated_at > upstream_grants.updated_at then excluded.updated_at else upstream_grants.updated_at + 1 end,
               lease_until = null",
            &upstream.id,
            &**user,
            &upstream.url,
            &sealed,
            expires_at,
            now_ms()
        )?;
        self.upstream_grants.forget(&(upstream.id.clone(), user.clone()));
        Ok(())
    }

    /// Lets one node at a time renew a grant. False while another one does, or has done so since it was read.
    pub async fn lease_upstream_grant(&self, upstream: &Upstream, user: &str, seen: &UpstreamGrant, for_ms: i64) -> Result<bool> {
        let now = now_ms();
        let done = execute!(
            &self.db,
            "update upstream_grants set lease_until = $1
             where upstream_id = $2 and user_id = $3 and updated_at = $4 and (lease_until is null or lease_until < $5)",
            now + for_ms,
            &upstream.id,
            user,
            seen.updated_at,
            now
        )?;
        Ok(done > 0)
    }

    /// Lets others renew it again.
    pub async fn end_upstream_lease(&self, upstream: &Upstream, user: &str) -> Result<()> {
        execute!(&self.db, "update upstream_grants set lease_until = null where upstream_id = $1 and user_id = $2", &upstream.id, user)?;
        Ok(())
    }

    /// Removes a grant that is of no use any more, unless it has been replaced.
    pub async fn delete_upstream_grant(&self, upstream: &Upstream, user: &Arc<str>, seen: &UpstreamGrant) -> Result<()> {
        execute!(
            &self.db,
            "delete from upstream_grants where upstream_id = $1 and user_id = $2 and updated_at = $3",
            &upstream.id,
            &**user,
            seen.updated_at
        )?;
        self.upstream_grants.forget(&(upstream.id.clone(), user.clone()));
        Ok(())
    }
}
