//! Connectors that an account has made for itself, compiled once and kept.

use std::sync::Arc;

use amalgam_connector::{Connector, PACKED_VERSION, definition::Definition};
use indexmap::IndexMap;
use serde_json::Value;

use super::{
    Scope, Store,
    db::{execute, execute_in, fetch_all, fetch_all_in, fetch_optional, is_duplicate},
    room,
};
use crate::{
    clock::now_ms,
    connectors::Loaded,
    error::{Error, Kind, Result},
};

/// The connectors of one account by id, in the order in which they were made.
pub type AccountConnectors = IndexMap<String, Arc<Stored>>;

/// A connector of an account.
pub struct Stored {
    /// Ready for use.
    pub loaded: Arc<Loaded>,
    /// Operations of its document that did not become actions: `[{operation, reason}]`.
    pub omitted: Value,
    /// What the importer had to guess or leave out.
    pub warnings: Value,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds.
    pub updated_at: i64,
}

impl Stored {
    /// About how many bytes of memory it takes, its search index included.
    pub fn weight(&self) -> usize {
        let connector = &self.loaded.connector;
        // What is said of an import is some hundred short sentences at most for each kind of value.
        let said = |value: &Value| value.as_array().map_or(0, |items| 300 * items.len());
        connector.weight() + 400 * connector.count() + said(&self.omitted) + said(&self.warnings)
    }
}

/// About how many bytes the connectors of an account take together.
pub fn weight_of_all(all: &AccountConnectors) -> usize {
    all.iter().map(|(id, stored)| 256 + id.len() + stored.weight()).sum()
}

#[derive(sqlx::FromRow)]
struct Row {
    compiled: Vec<u8>,
    compiled_version: i64,
    omitted: String,
    warnings: String,
    created_at: i64,
    updated_at: i64,
}

// These take the account alone: a connector belongs to the account, not to one of its users.
impl Store {
    /// The account's connectors. What has not changed since it was compiled is not compiled again.
    pub async fn connectors(&self, account: &Arc<str>) -> Result<Arc<AccountConnectors>> {
        let load = async {
            let heads = fetch_all!(
                &self.db,
                (String, i64),
                "select id, updated_at from connectors where account_id = $1 order by created_at, id limit 1000",
                &**account
            )?;
            let mut all = AccountConnectors::with_capacity(heads.len());
            for (id, updated_at) in heads {
                if let Some(stored) = self.compile(account, &id, updated_at).await? {
                    all.insert(id, stored);
                }
            }
            Ok(Arc::new(all))
        };
        self.connectors.get_or_load(account.clone(), load).await
    }

    /// One connector, compiled; `None` for one that cannot be read, which must not hide the others.
    async fn compile(&self, account: &Arc<str>, id: &str, updated_at: i64) -> Result<Option<Arc<Stored>>> {
        let key = (account.clone(), id.to_owned());
        if let Some(stored) = self.compiled.get(&key)
            && stored.updated_at == updated_at
        {
            return Ok(Some(stored));
        }
        let row = fetch_optional!(
            &self.db,
            Row,
            "select compiled, compiled_version, omitted, warnings, created_at, updated_at from connectors where account_id = $1 and id = $2",
            &**account,
            id
        )?;
        let Some(mut row) = row else { return Ok(None) };
        if row.compiled_version != PACKED_VERSION {
            let Some(compiled) = self.compile_again(account, id, row.updated_at).await? else { return Ok(None) };
            row.compiled = compiled;
        }
        match tokio::task::spawn_blocking(move || stored(row)).await.map_err(Error::internal)? {
            Ok(stored) => {
                let stored = Arc::new(stored);
                self.compiled.insert(key, stored.clone());
                Ok(Some(stored))
            }
            Err(error) => {
                unreadable(id, &error);
                Ok(None)
            }
        }
    }

    /// What another version of the program has compiled is compiled by this one, and kept.
    async fn compile_again(&self, account: &Arc<str>, id: &str, updated_at: i64) -> Result<Option<Vec<u8>>> {
        let text = fetch_optional!(
            &self.db,
            (String,),
            "select definition from connectors where account_id = $1 and id = $2 and updated_at = $3",
            &**account,
            id,
            updated_at
        )?;
        let Some((text,)) = text else { return Ok(None) };
        let compile = move || {
            let definition: Definition = serde_json::from_str(&text).map_err(Error::internal)?;
            if let Some(problem) = amalgam_connector::check(&definition).first() {
                return Err(Error::internal(problem.to_string()));
            }
            Connector::pack(definition).map_err(Error::internal)
        };
        let compiled = match tokio::task::spawn_blocking(compile).await.map_err(Error::internal)? {
            Ok(compiled) => compiled,
            Err(error) => {
                unreadable(id, &error);
                return Ok(None);
            }
        };
        execute!(
            &self.db,
            "update connectors set compiled = $1, compiled_version = $2 where account_id = $3 and id = $4 and updated_at = $5",
            &compiled,
            PACKED_VERSION,
            &**account,
            id,
            updated_at
        )?;
        tracing::info!(connector = id, "compiled again for this version");
        Ok(Some(compiled))
    }

    /// Keeps a new connector, or with `replace` a changed one. `definition` is one that the engine takes.
    pub async fn put_connector(
        &self,
        account: &Arc<str>,
        definition: Definition,
        omitted: &Value,
        warnings: &Value,
        replace: bool,
    ) -> Result<()> {
        let id = definition.id.clone();
        // Both take tenths of a second for the largest documents.
        let write = move || {
            let text = serde_json::to_string(&definition).map_err(Error::internal)?;
            Connector::pack(definition).map(|compiled| (text, compiled)).map_err(Error::internal)
        };
        let (text, compiled) = tokio::task::spawn_blocking(write).await.map_err(Error::internal)??;
        let now = now_ms();
        if replace {
            let done = execute!(
                &self.db,
                "update connectors set definition = $1, omitted = $2, warnings = $3,
                        updated_at = case when updated_at >= $4 then updated_at + 1 else $4 end,
                        compiled = $7, compiled_version = $8
                 where account_id = $5 and id = $6",
                &text,
                omitted.to_string(),
                warnings.to_string(),
                now,
                &**account,
                &id,
                &compiled,
                PACKED_VERSION
            )?;
            if done == 0 {
                return Err(Error::not_found("connector"));
            }
        } else {
            let all = fetch_optional!(&self.db, (i64,), "select count(*) from connectors where account_id = $1", &**account)?;
            room(all, self.maximums.connectors_per_account, "max-connectors-per-account")?;
            execute!(
                &self.db,
                "insert into connectors (account_id, id, definition, omitted, warnings, created_at, updated_at, compiled, compiled_version)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                &**account,
                &id,
                &text,
                omitted.to_string(),
                warnings.to_string(),
                now,
                now,
                &compiled,
                PACKED_VERSION
            )
            .map_err(|e| if is_duplicate(&e) { taken(&id) } else { e.into() })?;
        }
        self.connectors.forget(account);
        Ok(())
    }

    /// Removes a connector with the credentials for it. False when the account has none with this id.
    pub async fn delete_connector(&self, account: &Arc<str>, id: &str) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let done = execute_in!(&mut tx, "delete from connectors where account_id = $1 and id = $2", &**account, id)?;
        let users = if done > 0 {
            fetch_all_in!(
                &mut tx,
                (String,),
                "delete from credentials where account_id = $1 and connector_id = $2 returning user_id",
                &**account,
                id
            )?
        } else {
            Vec::new()
        };
        tx.commit().await?;
        self.compiled.invalidate(&(account.clone(), id.to_owned()));
        self.connectors.forget(account);
        for (user,) in users {
            self.credentials.forget(&(Scope { account: account.clone(), user: user.into() }, id.to_owned()));
        }
        Ok(done > 0)
    }
}

/// The account has a connector with this id.
pub fn taken(id: &str) -> Error {
    let sentence = format!("You have a connector \"{id}\" already; choose another `id`, or change that one with PUT.");
    Error::new(Kind::Conflict, sentence).with_details(serde_json::json!({ "field": "id" }))
}

fn stored(row: Row) -> Result<Stored> {
    let connector = Connector::unpack(row.compiled.into()).ok_or_else(|| Error::internal("damaged"))?;
    Ok(Stored {
        loaded: Arc::new(Loaded::new(connector)),
        omitted: serde_json::from_str(&row.omitted).map_err(Error::internal)?,
        warnings: serde_json::from_str(&row.warnings).map_err(Error::internal)?,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

/// A connector that cannot be read must not hide the others.
fn unreadable(id: &str, error: &Error) {
    tracing::error!(connector = id, cause = error.cause.as_ref().map(tracing::field::display), "a connector cannot be read");
}
