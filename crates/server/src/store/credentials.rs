//! Credentials: one user's secret for one connector. Sealed with the owner as associated data, in the database and in the cache.

use std::sync::Arc;

use amalgam_connector::definition::AuthKind;
use amalgam_vault::Secret;

use super::{
    Scope, Store,
    db::{execute, execute_in, fetch_all},
};
use crate::{
    clock::now_ms,
    error::{Error, Result},
};

/// A credential as the database knows it: its secret is sealed.
#[derive(Debug, Clone)]
pub struct Credential {
    /// 24 lower-case hex characters.
    pub id: String,
    /// The connector it is for.
    pub connector: String,
    /// How it authenticates.
    pub kind: AuthKind,
    /// Display name.
    pub name: String,
    /// JSON object of the fields and variables, sealed.
    sealed: String,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds.
    pub updated_at: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    connector_id: String,
    kind: String,
    name: String,
    sealed: String,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<Row> for Credential {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            connector: row.connector_id,
            kind: serde_json::from_value(row.kind.into()).map_err(Error::internal)?,
            name: row.name,
            sealed: row.sealed,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

fn owner<'a>(scope: &'a Scope, connector: &'a str, id: &'a str) -> [&'a str; 5] {
    ["credential", &scope.account, &scope.user, connector, id]
}

impl Store {
    /// Keeps a secret (a JSON object) for the scope's user; `None` when the user has as many as `most` for the connector.
    pub async fn create_credential(
        &self,
        scope: &Scope,
        connector: &str,
        kind: AuthKind,
        name: &str,
        secret: &Secret,
        most: i64,
    ) -> Result<Option<Credential>> {
        let id = crate::clock::random_hex24();
        let now = now_ms();
        let sealed = self.sealer.seal(&owner(scope, connector, &id), secret.expose())?;
        let mut tx = self.db.begin_alone(&format!("credentials {} {} {connector}", scope.account, scope.user)).await?;
        let done = execute_in!(
            &mut tx,
            "insert into credentials (id, account_id, user_id, connector_id, kind, name, sealed, created_at, updated_at)
             select $1, $2, $3, $4, $5, $6, $7, $8, $9
             where (select count(*) from credentials where account_id = $2 and user_id = $3 and connector_id = $4) < $10",
            &id,
            &*scope.account,
            &*scope.user,
            connector,
            kind.as_str(),
            name,
            &sealed,
            now,
            now,
            most
        )?;
        tx.commit().await?;
        self.credentials.forget(&(scope.clone(), connector.to_owned()));
        let credential =
            Credential { id, connector: connector.to_owned(), kind, name: name.to_owned(), sealed, created_at: now, updated_at: now };
        Ok((done > 0).then_some(credential))
    }

    /// The user's credentials for a connector, newest first.
    pub async fn credentials(&self, scope: &Scope, connector: &str) -> Result<Arc<[Credential]>> {
        let load = async {
            let rows = fetch_all!(
                &self.db,
                Row,
                "select id, connector_id, kind, name, sealed, created_at, updated_at from credentials
                 where account_id = $1 and user_id = $2 and connector_id = $3 order by created_at desc, id desc limit 1000",
                &*scope.account,
                &*scope.user,
                connector
            )?;
            rows.into_iter().map(Credential::try_from).collect()
        };
        self.credentials.get_or_load((scope.clone(), connector.to_owned()), load).await
    }

    /// The user's credentials for all connectors, newest first.
    pub async fn all_credentials(&self, scope: &Scope) -> Result<Vec<Credential>> {
        let rows = fetch_all!(
            &self.db,
            Row,
            "select id, connector_id, kind, name, sealed, created_at, updated_at from credentials
             where account_id = $1 and user_id = $2 order by created_at desc, id desc limit 10000",
            &*scope.account,
            &*scope.user
        )?;
        rows.into_iter().map(Credential::try_from).collect()
    }

    /// The secret in the clear: call it only where a request is about to be sent.
    pub fn open_credential(&self, scope: &Scope, credential: &Credential) -> Result<Secret> {
        self.sealer.unseal(&owner(scope, &credential.connector, &credential.id), &credential.sealed)
    }

    /// Removes a credential. False when the user has none with this id for this connector.
    pub async fn delete_credential(&self, scope: &Scope, connector: &str, id: &str) -> Result<bool> {
        let done = execute!(
            &self.db,
            "delete from credentials where id = $1 and account_id = $2 and user_id = $3 and connector_id = $4",
            id,
            &*scope.account,
            &*scope.user,
            connector
        )?;
        self.credentials.forget(&(scope.clone(), connector.to_owned()));
        Ok(done > 0)
    }
}
