//! The audit trail: who did what for whom, and what came of it. Never arguments, never secrets.

use std::sync::LazyLock;

use http::StatusCode;

use super::{
    Page, Scope, Store,
    db::{Value, execute, execute_rows, fetch_all, fetch_optional},
};
use crate::error::Result;

/// One thing that somebody did, or was refused.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Entry {
    /// Sorts by time.
    pub id: String,
    /// Its tenant.
    pub account_id: String,
    /// Milliseconds.
    pub at: i64,
    /// Who: `key:<id>`, `token:<server id>`, `jwt:<issuer id>`.
    pub caller: String,
    /// For whom: the effective user.
    pub user_id: String,
    /// `mcp` or `rest`.
    pub door: String,
    /// Through which server.
    pub server_id: Option<String>,
    /// On which connector.
    pub connector_id: Option<String>,
    /// Which action.
    pub action_id: Option<String>,
    /// What was written to: the id of a server, key, credential, …
    pub target_id: Option<String>,
    /// `execute`, or the noun and the verb of a write: `server.create`.
    pub operation: String,
    /// `allowed` or `denied`.
    pub decision: String,
    /// The platform's HTTP status for an execution that was sent, else ours.
    pub status: i64,
    /// Microseconds.
    pub duration_us: i64,
    /// As in the answer's `x-request-id`.
    pub request_id: String,
    /// The first 32 hex characters of the SHA-256 of the arguments.
    pub arguments_digest: Option<String>,
}

/// Rows of one statement: enough to make its overhead small, few enough for the databases' limits of parameters.
const ROWS: usize = 32;
/// Columns of a row.
const COLUMNS: usize = 16;

static INSERT_ONE: LazyLock<String> = LazyLock::new(|| insert(1));
static INSERT_MANY: LazyLock<String> = LazyLock::new(|| insert(ROWS));

fn insert(rows: usize) -> String {
    let row = |n: usize| (1..=COLUMNS).map(|column| format!("${}", n * COLUMNS + column)).collect::<Vec<_>>().join(", ");
    let rows = (0..rows).map(|n| format!("({})", row(n))).collect::<Vec<_>>().join(", ");
    format!(
        "insert into audit (id, account_id, at, caller, user_id, door, server_id, connector_id, action_id, operation, decision, status, \
         duration_us, request_id, arguments_digest, target_id) values {rows}"
    )
}

impl Entry {
    /// In the order of the columns of `insert`.
    fn values(&self) -> [Value<'_>; COLUMNS] {
        [
            Value::Text(Some(&self.id)),
            Value::Text(Some(&self.account_id)),
            Value::Number(self.at),
            Value::Text(Some(&self.caller)),
            Value::Text(Some(&self.user_id)),
            Value::Text(Some(&self.door)),
            Value::Text(self.server_id.as_deref()),
            Value::Text(self.connector_id.as_deref()),
            Value::Text(self.action_id.as_deref()),
            Value::Text(Some(&self.operation)),
            Value::Text(Some(&self.decision)),
            Value::Number(self.status),
            Value::Number(self.duration_us),
            Value::Text(Some(&self.request_id)),
            Value::Text(self.arguments_digest.as_deref()),
            Value::Text(self.target_id.as_deref()),
        ]
    }

    /// What came of it.
    pub fn end(&mut self, status: StatusCode) {
        self.status = status.as_u16().into();
        if status == StatusCode::FORBIDDEN {
            "denied".clone_into(&mut self.decision);
        }
    }
}

/// An id as somebody sent it, in a form that every database keeps.
pub fn shown(id: &str) -> String {
    id.chars().filter(|c| *c != '\0').take(200).collect()
}

/// Which entries are asked for; the fields are those of `Entry`.
#[derive(Debug, Default)]
pub struct Filter {
    pub user_id: Option<String>,
    pub server_id: Option<String>,
    pub connector_id: Option<String>,
    pub action_id: Option<String>,
    pub target_id: Option<String>,
    pub operation: Option<String>,
    pub decision: Option<String>,
    pub request_id: Option<String>,
    /// From this time on, milliseconds.
    pub since: i64,
    /// Before this time, milliseconds.
    pub until: i64,
}

impl Store {
    /// Writes a batch in one transaction, many rows to a statement. No scope: entries carry the one they were made under.
    pub async fn write_audit(&self, entries: &[Entry]) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let (many, rest) = entries.as_chunks::<ROWS>();
        for chunk in many {
            execute_rows(&mut tx, &INSERT_MANY, chunk.iter().flat_map(Entry::values)).await?;
        }
        for entry in rest {
            execute_rows(&mut tx, &INSERT_ONE, entry.values().into_iter()).await?;
        }
        tx.commit().await
    }

    /// Entries of the account, newest first, and how many match in all. With `own_only` those of the scope's user alone.
    pub async fn list_audit(&self, scope: &Scope, own_only: bool, filter: &Filter, page: Page) -> Result<(Vec<Entry>, i64)> {
        let stranger = filter.user_id.as_deref().is_some_and(|wanted| wanted != &*scope.user);
        if own_only && stranger {
            return Ok((Vec::new(), 0));
        }
        let user = if own_only { Some(&*scope.user) } else { filter.user_id.as_deref() };
        macro_rules! matching {
            ($fetch:ident, $row:ty, $select:literal, $then:literal $(, $arg:expr)*) => {
                $fetch!(
                    &self.db,
                    $row,
                    concat!(
                        $select,
                        " from audit
                          where account_id = $1 and at >= $2 and at < $3
                            and ($4 is null or user_id = $4) and ($5 is null or server_id = $5) and ($6 is null or connector_id = $6)
                            and ($7 is null or action_id = $7) and ($8 is null or target_id = $8) and ($9 is null or operation = $9)
                            and ($10 is null or decision = $10) and ($11 is null or request_id = $11) ",
                        $then
                    ),
                    &*scope.account,
                    filter.since,
                    filter.until,
                    user,
                    filter.server_id.as_deref(),
                    filter.connector_id.as_deref(),
                    filter.action_id.as_deref(),
                    filter.target_id.as_deref(),
                    filter.operation.as_deref(),
                    filter.decision.as_deref(),
                    filter.request_id.as_deref()
                    $(, $arg)*
                )
            };
        }
        let entries = matching!(
            fetch_all,
            Entry,
            "select id, account_id, at, caller, user_id, door, server_id, connector_id, action_id, target_id, operation, decision, status,
                    duration_us, request_id, arguments_digest",
            "order by at desc, id desc limit $12 offset $13",
            page.limit,
            page.offset
        )?;
        let total = matching!(fetch_optional, (i64,), "select count(*)", "")?;
        Ok((entries, total.map_or(0, |(n,)| n)))
    }

    /// Removes entries older than this.
    pub async fn purge_audit(&self, before_ms: i64) -> Result<u64> {
        // Account by account, as the index has them.
        Ok(execute!(&self.db, "delete from audit where account_id in (select id from accounts) and at < $1", before_ms)?)
    }
}
