//! Accounts: the tenants. Made by the operator; nothing of one is visible to another.

use super::{
    Store,
    db::{execute_in, fetch_all, fetch_optional, is_duplicate},
};
use crate::{
    clock::now_ms,
    error::{Error, Kind, Result},
};

/// The account that exists from the first start.
pub const DEFAULT_ACCOUNT: &str = "default";

/// Most accounts of an installation; they are listed whole.
const MAX_ACCOUNTS: i64 = 10_000;

/// A tenant.
#[derive(Debug, sqlx::FromRow)]
pub struct Account {
    /// `[a-z0-9-]{1,64}`, chosen by the operator.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Milliseconds.
    pub created_at: i64,
}

// No scope in this file: accounts are what scopes are made of. `api/accounts` lets only the operator in.
impl Store {
    /// True while no account exists, which is only before the first start is complete.
    pub async fn is_new(&self) -> Result<bool> {
        Ok(fetch_optional!(&self.db, (String,), "select id from accounts limit 1")?.is_none())
    }

    /// Makes an account together with its first admin key, so that there is never an account that nobody can enter.
    pub async fn create_account(&self, id: &str, name: &str, user: &str, key: &super::api_keys::NewApiKey<'_>) -> Result<()> {
        let all = fetch_optional!(&self.db, (i64,), "select count(*) from accounts")?;
        if all.is_some_and(|(n,)| n >= MAX_ACCOUNTS) {
            return Err(Error::new(Kind::Conflict, format!("There may be at most {MAX_ACCOUNTS} accounts; delete one first.")));
        }
        let mut tx = self.db.begin().await?;
        execute_in!(&mut tx, "insert into accounts (id, name, created_at) values ($1, $2, $3)", id, name, now_ms()).map_err(|e| {
            if is_duplicate(&e) {
                Error::new(Kind::Conflict, format!("An account with the id \"{id}\" exists already; choose another `id`."))
            } else {
                e.into()
            }
        })?;
        super::api_keys::insert(&mut tx, id, user, key).await?;
        tx.commit().await
    }

    /// All accounts, oldest first.
    pub async fn accounts(&self) -> Result<Vec<Account>> {
        Ok(fetch_all!(&self.db, Account, "select id, name, created_at from accounts order by created_at, id limit $1", MAX_ACCOUNTS)?)
    }

    /// Removes an account with everything that it owns. False when there is none.
    pub async fn delete_account(&self, id: &str) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        // The next account of this id must not read what happened in this one.
        execute_in!(&mut tx, "delete from audit where account_id = $1", id)?;
        let gone = execute_in!(&mut tx, "delete from accounts where id = $1", id)?;
        tx.commit().await?;
        // So rare that finding out what each cache holds of it is not worth the code.
        self.api_keys.forget_all();
        self.tokens.forget_all();
        self.servers.forget_all();
        self.connectors.forget_all();
        self.credentials.forget_all();
        self.issuers.forget_all();
        self.issuers_named.forget_all();
        self.access_tokens.forget_all();
        self.upstreams.forget_all();
        self.connections.forget_all();
        self.upstream_grants.forget_all();
        self.compiled.invalidate_all();
        Ok(gone > 0)
    }
}
