//! Credentials: one user's secret for one connector. Sealed with the owner as associated data, in the database and in the cache.

mod renewal;

pub use self::renewal::SealedRenewal;

use std::sync::Arc;

use amalgam_connector::definition::AuthKind;
use amalgam_vault::{Secret, Zeroizing, from_url_safe, url_safe};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Scope, Store,
    connect_links::{self, ConnectLink},
    db::{execute, execute_in, fetch_all, fetch_optional},
    room,
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
    /// JSON object of the fields and variables, sealed; in the database as base64url.
    sealed: Arc<[u8]>,
    /// The auth config whose client it was granted to.
    pub auth_config: Option<String>,
    /// Whether it can be used.
    pub state: State,
    /// From this moment on a call renews it first, in milliseconds; `None` = it does not end.
    pub refresh_at: Option<i64>,
    /// When its token ends, in milliseconds.
    pub expires_at: Option<i64>,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds.
    pub updated_at: i64,
}

/// Whether a credential can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CredentialState)]
pub enum State {
    /// As far as is known.
    Active,
    /// The platform does not renew it: the user must connect again.
    ReconnectRequired,
}

/// What is sealed in a credential.
#[derive(Default, Serialize, Deserialize)]
pub struct Opened {
    /// What a person entered: `{token}`, `{apiKey}`, `{username, password}`. Of OAuth: `{token}`.
    pub fields: Map<String, Value>,
    /// Where the platform is for this person.
    pub variables: Map<String, Value>,
    /// The origin of the connector when the secret was entered; it is sent nowhere else.
    pub origin: String,
}

impl Opened {
    /// Fields and variables as text.
    pub fn fields(&self) -> Vec<(&str, &str)> {
        pairs(&self.fields)
    }

    /// Fields and variables as text.
    pub fn variables(&self) -> Vec<(&str, &str)> {
        pairs(&self.variables)
    }
}

fn pairs(map: &Map<String, Value>) -> Vec<(&str, &str)> {
    map.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect()
}

/// What an OAuth credential is renewed and revoked with, sealed apart from what calls need.
#[derive(Serialize, Deserialize)]
pub struct Renewal {
    /// The refresh token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// Where it was granted; it is shown nowhere else.
    pub token_url: String,
    /// Where it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke_url: Option<String>,
}

/// What OAuth adds to a credential.
pub struct Grant<'a> {
    /// The auth config whose client it was granted to.
    pub auth_config: &'a str,
    /// See `Credential`.
    pub refresh_at: Option<i64>,
    /// See `Credential`.
    pub expires_at: Option<i64>,
    /// Kept sealed.
    pub renewal: &'a Renewal,
}

/// A credential about to be kept.
pub struct New<'a> {
    /// For which connector.
    pub connector: &'a str,
    /// How it authenticates.
    pub kind: AuthKind,
    /// Display name.
    pub name: &'a str,
    /// Kept sealed.
    pub opened: &'a Opened,
    /// Of OAuth.
    pub grant: Option<Grant<'a>>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    connector_id: String,
    kind: String,
    name: String,
    sealed: String,
    auth_config_id: Option<String>,
    state: String,
    refresh_at: Option<i64>,
    expires_at: Option<i64>,
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
            sealed: from_url_safe(&row.sealed).ok_or_else(|| Error::internal("a credential is not sealed"))?.into(),
            auth_config: row.auth_config_id,
            state: serde_json::from_value(row.state.into()).map_err(Error::internal)?,
            refresh_at: row.refresh_at,
            expires_at: row.expires_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

impl Credential {
    /// What it takes in memory, about, in bytes.
    pub(super) fn weight(&self) -> usize {
        256 + self.connector.len() + self.name.len() + self.sealed.len()
    }
}

fn renewal_owner<'a>(scope: &'a Scope, connector: &'a str, id: &'a str) -> [&'a str; 5] {
    ["renewal", &scope.account, &scope.user, connector, id]
}

fn owner<'a>(scope: &'a Scope, connector: &'a str, id: &'a str) -> [&'a str; 5] {
    ["credential", &scope.account, &scope.user, connector, id]
}

impl Store {
    /// Keeps a credential of the scope's user. With a link only while that is there, which it uses up: nothing comes of it once the user was
    /// deleted.
    pub async fn create_credential(&self, scope: &Scope, new: &New<'_>, link: Option<&ConnectLink>) -> Result<Option<Credential>> {
        let own = fetch_optional!(
            &self.db,
            (i64,),
            "select count(*) from credentials where account_id = $1 and user_id = $2",
            &*scope.account,
            &*scope.user
        )?;
        room(own, self.maximums.credentials_per_user, "max-credentials-per-user")?;
        let all = fetch_optional!(&self.db, (i64,), "select count(*) from credentials where account_id = $1", &*scope.account)?;
        room(all, self.maximums.credentials_per_account, "max-credentials-per-account")?;
        let (id, now) = (crate::clock::random_hex24(), now_ms());
        let sealed = self.seal_credential(scope, new.connector, &id, new.opened)?;
        let grant = new.grant.as_ref();
        let renewal = grant.map(|grant| self.seal_renewal(scope, new.connector, &id, grant.renewal)).transpose()?;
        let mut tx = self.db.begin().await?;
        if let Some(link) = link
            && !connect_links::use_up(&mut tx, link).await?
        {
            return Ok(None);
        }
        execute_in!(
            &mut tx,
            "insert into credentials (id, account_id, user_id, connector_id, kind, name, sealed, auth_config_id, state, refresh_at, expires_at,
             renewal, created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7, $8, 'active', $9, $10, $11, $12, $13)",
            &id,
            &*scope.account,
            &*scope.user,
            new.connector,
            new.kind.as_str(),
            new.name,
            url_safe(&sealed),
            grant.map(|grant| grant.auth_config),
            grant.and_then(|grant| grant.refresh_at),
            grant.and_then(|grant| grant.expires_at),
            renewal,
            now,
            now
        )?;
        tx.commit().await?;
        self.credentials.forget(&(scope.clone(), new.connector.to_owned()));
        Ok(Some(Credential {
            id,
            connector: new.connector.to_owned(),
            kind: new.kind,
            name: new.name.to_owned(),
            sealed,
            auth_config: grant.map(|grant| grant.auth_config.to_owned()),
            state: State::Active,
            refresh_at: grant.and_then(|grant| grant.refresh_at),
            expires_at: grant.and_then(|grant| grant.expires_at),
            created_at: now,
            updated_at: now,
        }))
    }

    fn seal_credential(&self, scope: &Scope, connector: &str, id: &str, opened: &Opened) -> Result<Arc<[u8]>> {
        let text = Zeroizing::new(serde_json::to_string(opened).map_err(Error::internal)?);
        Ok(self.sealer.seal_bytes(&owner(scope, connector, id), text.as_bytes())?.into())
    }

    fn seal_renewal(&self, scope: &Scope, connector: &str, id: &str, renewal: &Renewal) -> Result<String> {
        let text = Zeroizing::new(serde_json::to_string(renewal).map_err(Error::internal)?);
        self.sealer.seal(&renewal_owner(scope, connector, id), &text)
    }

    /// The user's credentials for a connector, newest first.
    pub async fn credentials(&self, scope: &Scope, connector: &str) -> Result<Arc<[Credential]>> {
        let load = async {
            let rows = fetch_all!(
                &self.db,
                Row,
                "select id, connector_id, kind, name, sealed, auth_config_id, state, refresh_at, expires_at, created_at, updated_at from credentials
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
            "select id, connector_id, kind, name, sealed, auth_config_id, state, refresh_at, expires_at, created_at, updated_at from credentials
             where account_id = $1 and user_id = $2 order by created_at desc, id desc limit 1000",
            &*scope.account,
            &*scope.user
        )?;
        rows.into_iter().map(Credential::try_from).collect()
    }

    /// The secret in the clear: call it only where a request is about to be sent.
    pub fn open_credential(&self, scope: &Scope, credential: &Credential) -> Result<Opened> {
        let secret: Secret = self.sealer.unseal_secret(&owner(scope, &credential.connector, &credential.id), &credential.sealed)?;
        serde_json::from_str(secret.expose()).map_err(|_| Error::internal("a credential holds something else than JSON"))
    }

    /// Forgets what is cached of a user's credentials for a connector: another node has changed one.
    pub fn forget_credentials(&self, scope: &Scope, connector: &str) {
        self.credentials.forget(&(scope.clone(), connector.to_owned()));
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
