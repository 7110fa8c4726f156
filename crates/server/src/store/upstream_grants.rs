//! Upstream grants: what an upstream's authorization server has granted one user, with the client that it was granted to. Sealed.

use std::sync::Arc;

use amalgam_vault::Secret;

use super::{
    Scope, Store,
    connect_links::{self, ConnectLink},
    connections::{MAX_CONNECTIONS, too_many},
    db::{execute, execute_in, fetch_all, fetch_all_in, fetch_optional},
    upstreams::Upstream,
};
use crate::{
    clock::{now_ms, uuid7},
    error::Result,
};

/// A grant as the database knows it.
#[derive(sqlx::FromRow)]
pub struct UpstreamGrant {
    sealed: String,
    /// When the access token ends, in milliseconds.
    pub expires_at: Option<i64>,
    /// Milliseconds; another value means other tokens.
    pub updated_at: i64,
}

/// A grant that is about to be ended, with what it takes to open it: the upstream may be gone by then.
#[derive(sqlx::FromRow)]
pub struct Held {
    account_id: String,
    /// The upstream.
    pub upstream_id: String,
    /// Whose it is.
    pub user_id: String,
    url: String,
    sealed: String,
}

fn sealed_for<'a>(account: &'a str, upstream: &'a str, url: &'a str, user: &'a str) -> [&'a str; 5] {
    ["upstream grant", account, upstream, url, user]
}

fn owner<'a>(upstream: &'a Upstream, user: &'a str) -> [&'a str; 5] {
    sealed_for(&upstream.owner.account, &upstream.id, &upstream.url, user)
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
        self.sealer.unseal(&owner(upstream, user), &grant.sealed)
    }

    /// Keeps a grant in the place of the one before, and uses up the link that led to it. False where that is gone: then nothing is kept.
    pub async fn put_upstream_grant(
        &self,
        upstream: &Upstream,
        user: &Arc<str>,
        grant: &Secret,
        expires_at: Option<i64>,
        link: Option<&ConnectLink>,
    ) -> Result<bool> {
        let all = fetch_optional!(
            &self.db,
            (i64,),
            "select count(*) from upstream_grants where upstream_id = $1 and user_id <> $2",
            &upstream.id,
            &**user
        )?;
        if all.is_some_and(|(n,)| n >= MAX_CONNECTIONS) {
            return Err(too_many());
        }
        let (sealed, now) = (self.sealer.seal(&owner(upstream, user), grant.expose())?, now_ms());
        let mut tx = self.db.begin().await?;
        if let Some(link) = link
            && !connect_links::use_up(&mut tx, link).await?
        {
            return Ok(false);
        }
        // It may have moved since it was read.
        let here =
            fetch_all_in!(&mut tx, (i64,), "select count(*) from upstreams where id = $1 and url = $2", &upstream.id, &upstream.url)?;
        if here.first().is_none_or(|(n,)| *n == 0) {
            return Ok(false);
        }
        execute_in!(
            &mut tx,
            "insert into upstream_grants (id, upstream_id, user_id, url, sealed, expires_at, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $7)
             on conflict (upstream_id, user_id) do update set url = excluded.url, sealed = excluded.sealed, expires_at = excluded.expires_at,
               updated_at = case when excluded.updated_at > upstream_grants.updated_at then excluded.updated_at else upstream_grants.updated_at + 1 end,
               lease_until = null",
            uuid7(),
            &upstream.id,
            &**user,
            &upstream.url,
            &sealed,
            expires_at,
            now
        )?;
        tx.commit().await?;
        self.upstream_grants.forget(&(upstream.id.clone(), user.clone()));
        Ok(true)
    }

    /// Puts renewed tokens in the place of those that were seen. False where the grant was ended or replaced meanwhile: then nothing is kept.
    pub async fn replace_upstream_grant(
        &self,
        upstream: &Upstream,
        user: &Arc<str>,
        seen: &UpstreamGrant,
        grant: &Secret,
        expires_at: Option<i64>,
    ) -> Result<bool> {
        let sealed = self.sealer.seal(&owner(upstream, user), grant.expose())?;
        let done = execute!(
            &self.db,
            "update upstream_grants set sealed = $1, expires_at = $2, updated_at = $3, lease_until = null
             where upstream_id = $4 and user_id = $5 and updated_at = $6",
            &sealed,
            expires_at,
            now_ms().max(seen.updated_at + 1),
            &upstream.id,
            &**user,
            seen.updated_at
        )?;
        self.upstream_grants.forget(&(upstream.id.clone(), user.clone()));
        Ok(done > 0)
    }

    /// Lets one node at a time renew a grant: until when. `None` while another one does, or has done so since it was read.
    pub async fn lease_upstream_grant(&self, upstream: &Upstream, user: &str, seen: &UpstreamGrant, for_ms: i64) -> Result<Option<i64>> {
        let now = now_ms();
        let until = now + for_ms;
        let done = execute!(
            &self.db,
            "update upstream_grants set lease_until = $1
             where upstream_id = $2 and user_id = $3 and updated_at = $4 and (lease_until is null or lease_until < $5)",
            until,
            &upstream.id,
            user,
            seen.updated_at,
            now
        )?;
        Ok((done > 0).then_some(until))
    }

    /// Lets others renew it again, unless the lease has run out and is another's by now.
    pub async fn end_upstream_lease(&self, upstream: &Upstream, user: &str, until: i64) -> Result<()> {
        execute!(
            &self.db,
            "update upstream_grants set lease_until = null where upstream_id = $1 and user_id = $2 and lease_until = $3",
            &upstream.id,
            user,
            until
        )?;
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
    /// All grants for an upstream, with whatever address it had.
    pub async fn upstream_grants_at(&self, upstream: &Upstream) -> Result<Vec<Held>> {
        Ok(fetch_all!(
            &self.db,
            Held,
            "select u.account_id, g.upstream_id, g.user_id, g.url, g.sealed from upstream_grants g join upstreams u on u.id = g.upstream_id
             where g.upstream_id = $1",
            &upstream.id
        )?)
    }

    /// Those of all users of an account.
    pub async fn upstream_grants_of_account(&self, account: &str) -> Result<Vec<Held>> {
        Ok(fetch_all!(
            &self.db,
            Held,
            "select u.account_id, g.upstream_id, g.user_id, g.url, g.sealed from upstream_grants g join upstreams u on u.id = g.upstream_id
             where u.account_id = $1",
            account
        )?)
    }

    /// All grants that end with a user: the user's own, and everybody's for the upstreams that the user has registered.
    pub async fn upstream_grants_of(&self, scope: &Scope) -> Result<Vec<Held>> {
        Ok(fetch_all!(
            &self.db,
            Held,
            "select u.account_id, g.upstream_id, g.user_id, g.url, g.sealed from upstream_grants g join upstreams u on u.id = g.upstream_id
             where u.account_id = $1 and (g.user_id = $2 or u.user_id = $2)",
            &*scope.account,
            &*scope.user
        )?)
    }

    /// The grant with this id, for one of the scope's upstreams.
    pub async fn upstream_grant_named(&self, owner: &Scope, id: &str) -> Result<Option<Held>> {
        Ok(fetch_optional!(
            &self.db,
            Held,
            "select u.account_id, g.upstream_id, g.user_id, g.url, g.sealed from upstream_grants g join upstreams u on u.id = g.upstream_id
             where g.id = $1 and u.account_id = $2 and u.user_id = $3",
            id,
            &*owner.account,
            &*owner.user
        )?)
    }

    /// Removes these, however they have changed since they were read.
    pub async fn delete_upstream_grants(&self, all: &[Held]) -> Result<()> {
        for held in all {
            execute!(&self.db, "delete from upstream_grants where upstream_id = $1 and user_id = $2", &held.upstream_id, &held.user_id)?;
        }
        self.forget_upstream_grants(all);
        Ok(())
    }

    /// Forgets what is cached of grants that are gone.
    pub fn forget_upstream_grants(&self, all: &[Held]) {
        for held in all {
            self.upstream_grants.forget(&(held.upstream_id.clone(), held.user_id.as_str().into()));
        }
    }

    /// What is in one that was ended: JSON. Call it only where it is about to be revoked.
    pub fn open_held(&self, held: &Held) -> Result<Secret> {
        self.sealer.unseal(&sealed_for(&held.account_id, &held.upstream_id, &held.url, &held.user_id), &held.sealed)
    }
}
