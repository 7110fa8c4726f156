//! API keys: who may call. Kept as SHA-256, shown once.

use std::sync::Arc;

use amalgam_vault::hex;

use super::{
    Scope, Store, TokenHash,
    db::{Tx, execute, execute_in, fetch_all, fetch_all_in, fetch_optional},
    forget_hashes, room,
};
use crate::{clock::now_ms, error::Result};

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Acts for any user of its account and manages keys, issuers and connectors.
    Admin,
    /// Acts for its own user only.
    Member,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }
}

/// A key as the database knows it.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// `key_` and 12 characters.
    pub id: String,
    /// Its tenant.
    pub account: Arc<str>,
    /// The user it acts as.
    pub user: Arc<str>,
    /// Display name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The first characters of the key, to tell keys apart.
    pub hint: String,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds; `None` = never.
    pub expires_at: Option<i64>,
}

/// A key about to be made.
pub struct NewApiKey<'a> {
    /// Its id.
    pub id: &'a str,
    /// Display name.
    pub name: &'a str,
    /// What it may do.
    pub role: Role,
    /// Hash of the key.
    pub hash: &'a str,
    /// The first characters of the key.
    pub hint: &'a str,
    /// Milliseconds; `None` = never.
    pub expires_at: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    account_id: String,
    user_id: String,
    name: String,
    role: String,
    hint: String,
    created_at: i64,
    expires_at: Option<i64>,
}

impl From<Row> for ApiKey {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            account: row.account_id.into(),
            user: row.user_id.into(),
            name: row.name,
            role: if row.role == "admin" { Role::Admin } else { Role::Member },
            hint: row.hint,
            created_at: row.created_at,
            expires_at: row.expires_at,
        }
    }
}

pub(super) async fn insert(tx: &mut Tx, account: &str, user: &str, key: &NewApiKey<'_>) -> Result<()> {
    execute_in!(
        tx,
        "insert into api_keys (id, account_id, user_id, name, role, hash, hint, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        key.id,
        account,
        user,
        key.name,
        key.role.as_str(),
        key.hash,
        key.hint,
        now_ms(),
        key.expires_at
    )?;
    Ok(())
}

impl Store {
    /// The key with this hash, if it lives. No scope: this is how a scope is found.
    pub async fn api_key(&self, hash: TokenHash) -> Result<Option<Arc<ApiKey>>> {
        let load = async {
            let row = fetch_optional!(
                &self.db,
                Row,
                "select id, account_id, user_id, name, role, hint, created_at, expires_at
                 from api_keys where hash = $1 and revoked_at is null",
                hex(&hash)
            )?;
            Ok(row.map(|row| Arc::new(ApiKey::from(row))))
        };
        self.api_keys.get_or_load(hash, load).await
    }

    /// What a key of the account is called; for people.
    pub async fn api_key_name(&self, account: &str, id: &str) -> Result<Option<String>> {
        let row = fetch_optional!(&self.db, (String,), "select name from api_keys where account_id = $1 and id = $2", account, id)?;
        Ok(row.map(|(name,)| name))
    }

    /// Makes a key that acts as the scope's user.
    pub async fn create_api_key(&self, scope: &Scope, key: &NewApiKey<'_>) -> Result<()> {
        let own = fetch_optional!(
            &self.db,
            (i64,),
            "select count(*) from api_keys where account_id = $1 and user_id = $2 and revoked_at is null",
            &*scope.account,
            &*scope.user
        )?;
        room(own, self.maximums.keys_per_user, "max-keys-per-user")?;
        let all = fetch_optional!(
            &self.db,
            (i64,),
            "select count(*) from api_keys where account_id = $1 and revoked_at is null",
            &*scope.account
        )?;
        room(all, self.maximums.keys_per_account, "max-keys-per-account")?;
        let mut tx = self.db.begin().await?;
        insert(&mut tx, &scope.account, &scope.user, key).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The living keys of the account, or of the scope's user alone.
    pub async fn list_api_keys(&self, scope: &Scope, whole_account: bool) -> Result<Vec<ApiKey>> {
        let rows = fetch_all!(
            &self.db,
            Row,
            "select id, account_id, user_id, name, role, hint, created_at, expires_at
             from api_keys where account_id = $1 and ($2 = 1 or user_id = $3) and revoked_at is null
             order by created_at, id limit 10000",
            &*scope.account,
            i64::from(whole_account),
            &*scope.user
        )?;
        Ok(rows.into_iter().map(ApiKey::from).collect())
    }

    /// Ends a key at once; never the account's last living admin key, and admin keys only with `whole_account`. False when nothing ended.
    pub async fn revoke_api_key(&self, scope: &Scope, whole_account: bool, id: &str) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        // Two revocations at once must not take the last two admin keys: the second waits here for the first.
        execute_in!(&mut tx, "update accounts set id = id where id = $1", &*scope.account)?;
        let done = fetch_all_in!(
            &mut tx,
            (String,),
            "update api_keys set revoked_at = $1
             where id = $2 and account_id = $3 and ($4 = 1 or (user_id = $5 and role <> 'admin')) and revoked_at is null
               and (role <> 'admin' or exists (
                 select 1 from api_keys other
                 where other.account_id = $3 and other.role = 'admin' and other.id <> $2 and other.revoked_at is null
                   and (other.expires_at is null or other.expires_at > $1)))
             returning hash",
            now_ms(),
            id,
            &*scope.account,
            i64::from(whole_account),
            &*scope.user
        )?;
        tx.commit().await?;
        forget_hashes(&self.api_keys, &done);
        Ok(!done.is_empty())
    }

    /// Removes keys that were revoked or expired before this time.
    pub async fn purge_api_keys(&self, before_ms: i64) -> Result<u64> {
        Ok(execute!(&self.db, "delete from api_keys where revoked_at <= $1 or expires_at <= $1", before_ms)?)
    }
}
