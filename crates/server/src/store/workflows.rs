//! Workflows: saved recipes of action calls that a server offers as resources.

use serde_json::Value;

use super::{
    Store,
    db::{execute, execute_in, fetch_all, fetch_optional},
    servers::Server,
};
use crate::{
    clock::now_ms,
    error::{Error, Result},
};

/// A saved recipe.
#[derive(Debug)]
pub struct Workflow {
    /// Unique in its server.
    pub name: String,
    /// For people and models.
    pub description: String,
    /// `[{connectorId, actionId, parameters?, note?}]`.
    pub steps: Value,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds.
    pub updated_at: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    name: String,
    description: String,
    steps: String,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<Row> for Workflow {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            name: row.name,
            description: row.description,
            steps: serde_json::from_str(&row.steps).map_err(Error::internal)?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

// These take a `&Server`, which only its owner's scope or its own token can have found.
impl Store {
    /// Keeps a workflow under its name, new or changed. True when it is new; `None` when the server has as many others as `most`.
    pub async fn put_workflow(&self, server: &Server, name: &str, description: &str, steps: &Value, most: i64) -> Result<Option<bool>> {
        let known = self.workflow(server, name).await?.is_some();
        let now = now_ms();
        let mut tx = self.db.begin_alone(&format!("workflows {}", server.id)).await?;
        let done = execute_in!(
            &mut tx,
            "insert into workflows (server_id, name, description, steps, created_at, updated_at)
             select $1, $2, $3, $4, $5, $6 where (select count(*) from workflows where server_id = $1 and name <> $2) < $7
             on conflict (server_id, name)
             do update set description = excluded.description, steps = excluded.steps, updated_at = excluded.updated_at",
            &server.id,
            name,
            description,
            steps.to_string(),
            now,
            now,
            most
        )?;
        tx.commit().await?;
        Ok((done > 0).then_some(!known))
    }

    /// The server's workflows by name.
    pub async fn workflows(&self, server: &Server) -> Result<Vec<Workflow>> {
        let rows = fetch_all!(
            &self.db,
            Row,
            "select name, description, steps, created_at, updated_at from workflows where server_id = $1 order by name limit 1000",
            &server.id
        )?;
        rows.into_iter().map(Workflow::try_from).collect()
    }

    /// One workflow.
    pub async fn workflow(&self, server: &Server, name: &str) -> Result<Option<Workflow>> {
        let row = fetch_optional!(
            &self.db,
            Row,
            "select name, description, steps, created_at, updated_at from workflows where server_id = $1 and name = $2",
            &server.id,
            name
        )?;
        row.map(Workflow::try_from).transpose()
    }

    /// Removes a workflow. False when the server has none of this name.
    pub async fn delete_workflow(&self, server: &Server, name: &str) -> Result<bool> {
        Ok(execute!(&self.db, "delete from workflows where server_id = $1 and name = $2", &server.id, name)? > 0)
    }
}
