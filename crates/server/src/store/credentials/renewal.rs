//! Renewing the tokens of an OAuth credential: who may do it now, and writing down what came of it.

use std::sync::Arc;

use amalgam_vault::url_safe;

use super::{Credential, Grant, Opened, Renewal, Row, State, renewal_owner};
use crate::{
    clock::now_ms,
    error::{Error, Result},
    store::{
        Scope, Store,
        db::{execute, fetch_all, fetch_optional},
    },
};

/// A `Renewal` that nobody has opened.
pub struct SealedRenewal(String);

#[derive(sqlx::FromRow)]
struct GrantedRow {
    user_id: String,
    renewal: String,
    #[sqlx(flatten)]
    row: Row,
}

impl Store {
    /// The credential as the database has it now, past the cache: another node may have renewed it.
    pub async fn credential_now(&self, scope: &Scope, connector: &str, id: &str) -> Result<Option<Credential>> {
        let row = fetch_optional!(
            &self.db,
            Row,
            "select id, connector_id, kind, name, sealed, auth_config_id, state, refresh_at, expires_at, created_at, updated_at from credentials
             where id = $1 and account_id = $2 and user_id = $3 and connector_id = $4",
            id,
            &*scope.account,
            &*scope.user,
            connector
        )?;
        row.map(Credential::try_from).transpose()
    }

    /// What the credential is renewed and revoked with, in the clear: call it only where that is about to be sent.
    pub async fn renewal(&self, scope: &Scope, connector: &str, id: &str) -> Result<Option<Renewal>> {
        let row = fetch_optional!(
            &self.db,
            (Option<String>,),
            "select renewal from credentials where id = $1 and account_id = $2 and user_id = $3 and connector_id = $4",
            id,
            &*scope.account,
            &*scope.user,
            connector
        )?;
        let Some((Some(sealed),)) = row else { return Ok(None) };
        let text = self.sealer.unseal(&renewal_owner(scope, connector, id), &sealed)?;
        serde_json::from_str(text.expose()).map(Some).map_err(|_| Error::internal("a renewal holds something else than JSON"))
    }

    /// Of OAuth, what the users of an account were granted, or one of them; newest first, sealed. By the account, because only its admins
    /// and the operator delete users and accounts.
    pub async fn granted(&self, account: &str, user: Option<&str>, most: i64) -> Result<Vec<(Scope, Credential, SealedRenewal)>> {
        let rows = fetch_all!(
            &self.db,
            GrantedRow,
            "select user_id, renewal, id, connector_id, kind, name, sealed, auth_config_id, state, refresh_at, expires_at, created_at, updated_at
             from credentials where account_id = $1 and ($2 is null or user_id = $2) and renewal is not null
             order by created_at desc, id desc limit $3",
            account,
            user,
            most
        )?;
        let account: Arc<str> = account.into();
        let all = rows.into_iter().map(|GrantedRow { user_id, renewal, row }| {
            let scope = Scope { account: account.clone(), user: user_id.into() };
            Ok((scope, Credential::try_from(row)?, SealedRenewal(renewal)))
        });
        all.collect()
    }

    /// The same as `renewal`, of a row that was read before.
    pub fn open_renewal(&self, scope: &Scope, credential: &Credential, renewal: &SealedRenewal) -> Result<Renewal> {
        let text = self.sealer.unseal(&renewal_owner(scope, &credential.connector, &credential.id), &renewal.0)?;
        serde_json::from_str(text.expose()).map_err(|_| Error::internal("a renewal holds something else than JSON"))
    }

    /// Lets `holder` alone renew this credential for a while. False where another does, or where it is no longer the one that was read.
    pub async fn lease_credential(&self, scope: &Scope, credential: &Credential, holder: &str, until: i64) -> Result<bool> {
        let done = execute!(
            &self.db,
            "update credentials set lease = $1, lease_until = $2 where id = $3 and account_id = $4 and user_id = $5 and sealed = $6
             and (lease_until is null or lease_until <= $7)",
            holder,
            until,
            &credential.id,
            &*scope.account,
            &*scope.user,
            url_safe(&credential.sealed),
            now_ms()
        )?;
        Ok(done > 0)
    }

    /// When the lease of this credential ends, in milliseconds, or has run out; nothing where there is none.
    pub async fn lease_end(&self, scope: &Scope, id: &str) -> Result<Option<i64>> {
        let row = fetch_optional!(
            &self.db,
            (Option<i64>,),
            "select lease_until from credentials where id = $1 and account_id = $2 and user_id = $3",
            id,
            &*scope.account,
            &*scope.user
        )?;
        Ok(row.and_then(|(until,)| until))
    }

    /// Ends the lease without anything new.
    pub async fn end_lease(&self, scope: &Scope, id: &str, holder: &str) -> Result<()> {
        execute!(
            &self.db,
            "update credentials set lease = null, lease_until = null where id = $1 and account_id = $2 and user_id = $3 and lease = $4",
            id,
            &*scope.account,
            &*scope.user,
            holder
        )?;
        Ok(())
    }

    /// Writes new tokens down; where `unchanged`, only while the secret is still the one that was renewed: whoever has taken the lease over
    /// meanwhile, nobody can have newer ones then. Returns the credential with them, or nothing where it is gone or has others.
    pub async fn replace_credential(
        &self,
        scope: &Scope,
        before: &Credential,
        opened: &Opened,
        grant: &Grant<'_>,
        unchanged: bool,
    ) -> Result<Option<Credential>> {
        let sealed = self.seal_credential(scope, &before.connector, &before.id, opened)?;
        let renewal = self.seal_renewal(scope, &before.connector, &before.id, grant.renewal)?;
        let now = now_ms();
        let done = execute!(
            &self.db,
            "update credentials set sealed = $1, auth_config_id = $2, state = 'active', refresh_at = $3, expires_at = $4, renewal = $5,
             lease = null, lease_until = null, updated_at = $6
             where id = $7 and account_id = $8 and user_id = $9 and ($10 is null or sealed = $10)",
            url_safe(&sealed),
            grant.auth_config,
            grant.refresh_at,
            grant.expires_at,
            &renewal,
            now,
            &before.id,
            &*scope.account,
            &*scope.user,
            unchanged.then(|| url_safe(&before.sealed))
        )?;
        self.credentials.forget(&(scope.clone(), before.connector.clone()));
        Ok((done > 0).then(|| Credential {
            sealed,
            auth_config: Some(grant.auth_config.to_owned()),
            state: State::Active,
            refresh_at: grant.refresh_at,
            expires_at: grant.expires_at,
            updated_at: now,
            ..before.clone()
        }))
    }

    /// Marks a credential that the platform does not renew; its tokens stay. Only where it is still the one that was read.
    pub async fn require_reconnect(&self, scope: &Scope, credential: &Credential) -> Result<()> {
        execute!(
            &self.db,
            "update credentials set state = 'reconnect_required', lease = null, lease_until = null, updated_at = $1
             where id = $2 and account_id = $3 and user_id = $4 and sealed = $5",
            now_ms(),
            &credential.id,
            &*scope.account,
            &*scope.user,
            url_safe(&credential.sealed)
        )?;
        self.credentials.forget(&(scope.clone(), credential.connector.clone()));
        Ok(())
    }
}

impl Credential {
    /// True where both have the same secret: nobody has renewed it in between.
    pub fn is_same_secret(&self, other: &Self) -> bool {
        self.sealed == other.sealed
    }
}
