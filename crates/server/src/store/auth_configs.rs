//! Auth configs: an account's own OAuth clients at platforms. Secret or private key sealed.

use amalgam_vault::Secret;
use serde_json::{Map, Value};

use super::{
    Scope, Store,
    db::{execute, fetch_all, fetch_optional},
};
use crate::{
    clock::now_ms,
    error::{Error, Kind, Result},
};

/// Most auth configs of an account.
const MAX_CONFIGS: i64 = 1_000;

/// How the client proves itself at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// A public client.
    None,
    /// `client_secret` in the body.
    Post,
    /// The header of basic authentication.
    Basic,
    /// A JWT signed with the client's private key (RFC 7523).
    PrivateKeyJwt,
}

impl ClientAuth {
    /// As in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Post => "post",
            Self::Basic => "basic",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }
}

/// An auth config as the database knows it: its secret is sealed.
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// `ac_` and 16 characters.
    pub id: String,
    /// The connector whose platform knows the client.
    pub connector: String,
    /// For people.
    pub name: String,
    /// The client's id at the platform.
    pub client_id: String,
    /// How it proves itself.
    pub client_auth: ClientAuth,
    /// The `kid` of its private key.
    pub key_id: Option<String>,
    /// Asked for instead of the connector's own, when there are any.
    pub scopes: Vec<String>,
    /// Where the platform is that knows the client: the variables of the addresses that its secret goes to.
    pub variables: Map<String, Value>,
    /// Where the secret goes that was entered, see `grants::destination`.
    pub sent_to: String,
    /// Secret or private key.
    sealed: Option<String>,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds.
    pub updated_at: i64,
}

/// What an auth config is made or changed to.
pub struct NewAuthConfig<'a> {
    /// See `AuthConfig`.
    pub name: &'a str,
    /// See `AuthConfig`.
    pub client_id: &'a str,
    /// See `AuthConfig`.
    pub client_auth: ClientAuth,
    /// See `AuthConfig`.
    pub key_id: Option<&'a str>,
    /// See `AuthConfig`.
    pub scopes: &'a [String],
    /// See `AuthConfig`.
    pub variables: &'a Map<String, Value>,
    /// Secret or private key.
    pub secret: Option<&'a Secret>,
    /// See `AuthConfig`.
    pub sent_to: &'a str,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    connector_id: String,
    name: String,
    client_id: String,
    client_auth: String,
    key_id: Option<String>,
    scopes: String,
    variables: String,
    sent_to: String,
    sealed: Option<String>,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<Row> for AuthConfig {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            connector: row.connector_id,
            name: row.name,
            client_id: row.client_id,
            client_auth: serde_json::from_value(row.client_auth.into()).map_err(Error::internal)?,
            key_id: row.key_id,
            scopes: serde_json::from_str(&row.scopes).map_err(Error::internal)?,
            variables: serde_json::from_str(&row.variables).map_err(Error::internal)?,
            sent_to: row.sent_to,
            sealed: row.sealed,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

fn owner<'a>(account: &'a str, connector: &'a str, id: &'a str) -> [&'a str; 4] {
    ["auth-config", account, connector, id]
}

// These take the account alone, or a scope for its account: auth configs belong to it, only its admins change them, and all its users
// connect with them.
impl Store {
    /// Makes an auth config.
    pub async fn create_auth_config(&self, account: &str, id: &str, connector: &str, new: &NewAuthConfig<'_>) -> Result<AuthConfig> {
        let all = fetch_optional!(&self.db, (i64,), "select count(*) from auth_configs where account_id = $1", account)?;
        if all.is_some_and(|(n,)| n >= MAX_CONFIGS) {
            return Err(Error::new(Kind::Conflict, format!("An account may have at most {MAX_CONFIGS} auth configs; delete one first.")));
        }
        let sealed = new.secret.map(|secret| self.sealer.seal(&owner(account, connector, id), secret.expose())).transpose()?;
        let scopes = serde_json::to_string(new.scopes).map_err(Error::internal)?;
        let variables = serde_json::to_string(new.variables).map_err(Error::internal)?;
        let now = now_ms();
        execute!(
            &self.db,
            "insert into auth_configs (id, account_id, connector_id, name, client_id, client_auth, key_id, scopes, variables, sent_to, sealed, created_at,
             updated_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
            id,
            account,
            connector,
            new.name,
            new.client_id,
            new.client_auth.as_str(),
            new.key_id,
            scopes,
            variables,
            new.sent_to,
            &sealed,
            now,
            now
        )?;
        Ok(AuthConfig {
            id: id.to_owned(),
            connector: connector.to_owned(),
            name: new.name.to_owned(),
            client_id: new.client_id.to_owned(),
            client_auth: new.client_auth,
            key_id: new.key_id.map(str::to_owned),
            scopes: new.scopes.to_vec(),
            variables: new.variables.clone(),
            sent_to: new.sent_to.to_owned(),
            sealed,
            created_at: now,
            updated_at: now,
        })
    }

    /// The account's auth configs, newest first; those of one connector, when it is named.
    pub async fn auth_configs(&self, account: &str, connector: Option<&str>) -> Result<Vec<AuthConfig>> {
        let rows = fetch_all!(
            &self.db,
            Row,
            "select id, connector_id, name, client_id, client_auth, key_id, scopes, variables, sent_to, sealed, created_at, updated_at
             from auth_configs
             where account_id = $1 and ($2 is null or connector_id = $2) order by created_at desc, id desc limit $3",
            account,
            connector,
            MAX_CONFIGS
        )?;
        rows.into_iter().map(AuthConfig::try_from).collect()
    }

    /// One auth config of the account.
    pub async fn auth_config(&self, account: &str, id: &str) -> Result<Option<AuthConfig>> {
        let row = fetch_optional!(
            &self.db,
            Row,
            "select id, connector_id, name, client_id, client_auth, key_id, scopes, variables, sent_to, sealed, created_at, updated_at
             from auth_configs
             where account_id = $1 and id = $2",
            account,
            id
        )?;
        row.map(AuthConfig::try_from).transpose()
    }

    /// Changes an auth config to this; without a secret the one that is there stays. False when the account has none with this id.
    pub async fn update_auth_config(&self, account: &str, before: &AuthConfig, new: &NewAuthConfig<'_>) -> Result<bool> {
        let sealed = match new.secret {
            Some(secret) => Some(self.sealer.seal(&owner(account, &before.connector, &before.id), secret.expose())?),
            None => before.sealed.clone().filter(|_| new.client_auth != ClientAuth::None),
        };
        let scopes = serde_json::to_string(new.scopes).map_err(Error::internal)?;
        let variables = serde_json::to_string(new.variables).map_err(Error::internal)?;
        let done = execute!(
            &self.db,
            "update auth_configs set name = $1, client_id = $2, client_auth = $3, key_id = $4, scopes = $5, variables = $6, sent_to = $7, sealed = $8,
             updated_at = $9 where account_id = $10 and id = $11",
            new.name,
            new.client_id,
            new.client_auth.as_str(),
            new.key_id,
            scopes,
            variables,
            new.sent_to,
            &sealed,
            now_ms(),
            account,
            &before.id
        )?;
        Ok(done > 0)
    }

    /// Removes an auth config: credentials that were granted to it work until their tokens end. False when the account has none with this id.
    pub async fn delete_auth_config(&self, account: &str, id: &str) -> Result<bool> {
        let done = execute!(&self.db, "delete from auth_configs where account_id = $1 and id = $2", account, id)?;
        Ok(done > 0)
    }

    /// Secret or private key in the clear: call it only where a token request is about to be sent.
    pub fn open_auth_config(&self, scope: &Scope, config: &AuthConfig) -> Result<Option<Secret>> {
        let owner = owner(&scope.account, &config.connector, &config.id);
        config.sealed.as_ref().map(|sealed| self.sealer.unseal(&owner, sealed)).transpose()
    }

    /// Where browsers may be sent after connecting.
    pub async fn redirect_uris(&self, account: &str) -> Result<Vec<String>> {
        let rows = fetch_all!(&self.db, (String,), "select uri from redirect_uris where account_id = $1 order by uri limit 1000", account)?;
        Ok(rows.into_iter().map(|(uri,)| uri).collect())
    }

    /// Replaces the list of them.
    pub async fn set_redirect_uris(&self, account: &str, uris: &[String]) -> Result<()> {
        let mut tx = self.db.begin().await?;
        super::db::execute_in!(&mut tx, "delete from redirect_uris where account_id = $1", account)?;
        for uri in uris {
            super::db::execute_in!(
                &mut tx,
                "insert into redirect_uris (account_id, uri) values ($1, $2) on conflict do nothing",
                account,
                uri
            )?;
        }
        tx.commit().await
    }
}
