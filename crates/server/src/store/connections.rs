//! Connections: an upstream as one end user reaches it, with headers that this user has entered. Sealed with owner, end user and address
//! as associated data.

use std::sync::Arc;

use amalgam_vault::Secret;

use super::{
    Scope, Store,
    db::{execute, fetch_all, fetch_optional},
    upstreams::{Auth, Upstream},
};
use crate::{
    clock::{now_ms, uuid7},
    error::{Error, Kind, Result},
};

/// Connections of one upstream, and grants.
pub(super) const MAX_CONNECTIONS: i64 = 100_000;

pub(super) fn too_many() -> Error {
    let sentence = format!("An MCP server may have at most {MAX_CONNECTIONS} connections; delete one first.");
    Error::new(Kind::Conflict, sentence)
}

/// A connection as the database knows it.
#[derive(sqlx::FromRow)]
pub struct Connection {
    /// A UUID.
    pub id: String,
    /// The upstream.
    pub upstream_id: String,
    /// Whose it is.
    pub user_id: String,
    sealed: String,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds.
    pub updated_at: i64,
}

fn sealed_for<'a>(upstream: &'a Upstream, user: &'a str) -> [&'a str; 6] {
    ["connection", &upstream.owner.account, &upstream.owner.user, &upstream.id, &upstream.url, user]
}

impl Connection {
    /// What it takes in memory, about, in bytes.
    pub(super) fn weight(&self) -> usize {
        256 + self.user_id.len() + self.sealed.len()
    }
}

impl Store {
    /// Keeps an end user's headers for an upstream, in the place of earlier ones; returns the connection's id.
    pub async fn put_connection(&self, upstream: &Upstream, user: &str, headers: &Secret) -> Result<String> {
        let all = fetch_optional!(&self.db, (i64,), "select count(*) from connections where upstream_id = $1", &upstream.id)?;
        if all.is_some_and(|(n,)| n >= MAX_CONNECTIONS) {
            return Err(too_many());
        }
        let sealed = self.sealer.seal(&sealed_for(upstream, user), headers.expose())?;
        let (id, now) = (uuid7(), now_ms());
        execute!(
            &self.db,
            "insert into connections (id, upstream_id, user_id, url, sealed, created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7)
             on conflict (upstream_id, user_id) do update set url = excluded.url, sealed = excluded.sealed, updated_at = excluded.updated_at",
            &id,
            &upstream.id,
            user,
            &upstream.url,
            &sealed,
            now,
            now
        )?;
        self.connections.forget(&(upstream.id.clone(), user.into()));
        let row =
            fetch_optional!(&self.db, (String,), "select id from connections where upstream_id = $1 and user_id = $2", &upstream.id, user)?;
        Ok(row.map_or(id, |(id,)| id))
    }

    /// The upstream as this user reaches it: with the user's own headers where there are any, else as its owner has registered it.
    pub async fn upstream_for(&self, upstream: &Arc<Upstream>, user: &Arc<str>) -> Result<Arc<Upstream>> {
        if upstream.auth == Auth::Oauth {
            // Whoever calls it has signed in there, or is led there: nobody calls in another's name.
            return Ok(Arc::new(Upstream { end_user: Some(user.clone()), ..(**upstream).clone() }));
        }
        let load = async {
            fetch_optional!(
                &self.db,
                Connection,
                "select id, upstream_id, user_id, sealed, created_at, updated_at from connections
                 where upstream_id = $1 and user_id = $2 and url = $3",
                &upstream.id,
                &**user,
                &upstream.url
            )
            .map(|connection| connection.map(Arc::new))
        };
        let connection = self.connections.get_or_load((upstream.id.clone(), user.clone()), load).await?;
        Ok(match connection {
            Some(connection) => Arc::new(Upstream {
                sealed: Some(connection.sealed.clone()),
                end_user: Some(user.clone()),
                // Another configuration: what is open with other headers is not used for this one.
                updated_at: upstream.updated_at.max(connection.updated_at),
                ..(**upstream).clone()
            }),
            None => upstream.clone(),
        })
    }

    /// Opens the headers of an upstream as an end user reaches it.
    pub(super) fn open_connection(&self, upstream: &Upstream, user: &str, sealed: &str) -> Result<Secret> {
        self.sealer.unseal(&sealed_for(upstream, user), sealed)
    }

    /// The connections that end users have made to the scope's upstreams, by headers or by signing in, newest first.
    pub async fn connections(&self, owner: &Scope, upstream: Option<&str>, user: Option<&str>) -> Result<Vec<Connection>> {
        Ok(fetch_all!(
            &self.db,
            Connection,
            "select c.id, c.upstream_id, c.user_id, c.sealed, c.created_at, c.updated_at from
               (select id, upstream_id, user_id, url, sealed, created_at, updated_at from connections
                union all select id, upstream_id, user_id, url, sealed, created_at, updated_at from upstream_grants) c
             join upstreams u on u.id = c.upstream_id
             where u.account_id = $1 and u.user_id = $2 and ($3 is null or c.upstream_id = $3) and ($4 is null or c.user_id = $4)
             order by c.created_at desc, c.id desc limit 1000",
            &*owner.account,
            &*owner.user,
            upstream,
            user
        )?)
    }

    /// Removes a connection to one of the scope's upstreams. False when there is none with this id.
    pub async fn delete_connection(&self, owner: &Scope, id: &str) -> Result<bool> {
        let found = fetch_optional!(
            &self.db,
            (String, String),
            "select c.upstream_id, c.user_id from connections c join upstreams u on u.id = c.upstream_id
             where c.id = $1 and u.account_id = $2 and u.user_id = $3",
            id,
            &*owner.account,
            &*owner.user
        )?;
        let Some((upstream, user)) = found else { return Ok(false) };
        execute!(&self.db, "delete from connections where id = $1", id)?;
        self.connections.forget(&(upstream, user.into()));
        Ok(true)
    }

    /// The account of an upstream. No scope: a signed link names it, and its owner's key, which this leads to, judges the link.
    pub async fn account_of_upstream(&self, id: &str) -> Result<Option<Arc<str>>> {
        let row = fetch_optional!(&self.db, (String,), "select account_id from upstreams where id = $1", id)?;
        Ok(row.map(|(account,)| account.into()))
    }

    /// The key that the owner signs connect links with: derived for that purpose and this owner alone.
    pub fn connect_key(&self, owner: &Scope) -> Result<Secret> {
        self.sealer.derived("connect links", &format!("{}\0{}", owner.account, owner.user))
    }
}
