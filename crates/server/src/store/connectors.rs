//! Connectors that an account has made for itself, compiled once and kept.

use std::sync::Arc;

use amalgam_connector::{Connector, definition::Definition};
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

#[derive(sqlx::FromRow)]
struct Row {
    definition: String,
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
            "select definition, omitted, warnings, created_at, updated_at from connectors where account_id = $1 and id = $2",
            &**account,
            id
        )?;
        let Some(row) = row else { return Ok(None) };
        // Definitions can be large; compiling them must not hold up other requests.
        match tokio::task::spawn_blocking(move || stored(&row)).await.map_err(Error::internal)? {
            Ok(stored) => {
                let stored = Arc::new(stored);
                self.compiled.insert(key, stored.clone());
                Ok(Some(stored))
            }
            Err(error) => {
                tracing::error!(connector = id, cause = error.cause.as_ref().map(tracing::field::display), "a connector cannot be read");
                Ok(None)
            }
        }
    }

    /// Keeps a new connector, or with `replace` a changed one.
    pub async fn put_connector(
        &self,
        account: &Arc<str>,
        definition: &Definition,
        omitted: &Value,
        warnings: &Value,
        replace: bool,
    ) -> Result<()> {
        let text = serde_json::to_string(definition).map_err(Error::internal)?;
        let now = now_ms();
        if replace {
            let done = execute!(
                &self.db,
                "update connectors set definition = $1, omitted = $2, warnings = $3,
                        updated_at = case when updated_at >= $4 then updated_at + 1 else $4 end
                 where account_id = $5 and id = $6",
                &text,
                omitted.to_string(),
                warnings.to_string(),
                now,
                &**account,
                &definition.id
            )?;
            if done == 0 {
                return Err(Error::not_found("connector"));
            }
        } else {
            let all = fetch_optional!(&self.db, (i64,), "select count(*) from connectors where account_id = $1", &**account)?;
            room(all, self.maximums.connectors_per_account, "max-connectors-per-account")?;
            execute!(
                &self.db,
                "insert into connectors (account_id, id, definition, omitted, warnings, created_at, updated_at)
                 values ($1, $2, $3, $4, $5, $6, $7)",
                &**account,
                &definition.id,
                &text,
                omitted.to_string(),
                warnings.to_string(),
                now,
                now
            )
            .map_err(|e| if is_duplicate(&e) { taken(&definition.id) } else { e.into() })?;
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

fn stored(row: &Row) -> Result<Stored> {
    let definition: Definition = serde_json::from_str(&row.definition).map_err(Error::internal)?;
    let connector = Connector::new(definition)
        .map_err(|problems| Error::internal(problems.first().map_or_else(|| "unusable definition".to_owned(), ToString::to_string)))?;
    Ok(Stored {
        loaded: Arc::new(Loaded::new(connector)),
        omitted: serde_json::from_str(&row.omitted).map_err(Error::internal)?,
        warnings: serde_json::from_str(&row.warnings).map_err(Error::internal)?,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
