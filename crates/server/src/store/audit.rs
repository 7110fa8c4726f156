//! The audit trail: who did what for whom, and what came of it. Never arguments, never secrets.

use std::sync::LazyLock;

use amalgam_vault::hex;
use http::StatusCode;

use super::{
    Page, Scope, Store,
    db::{InsertRows, Value, execute, fetch_all, fetch_optional, is_refused},
};
use crate::{clock::now_ms, error::Result};

/// One thing that somebody did, or was refused.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Entry {
    /// Sorts by time.
    pub id: String,
    /// Its tenant.
    pub account_id: String,
    /// Milliseconds.
    pub at: i64,
    /// Who: `key:<id>`, `token:<server id>`, `jwt:<issuer id>`, `grant:<id>`, `user:<user id>` who signs in.
    pub caller: String,
    /// For whom: the effective user.
    pub user_id: String,
    /// `mcp`, `rest`, or `web` for a person in a browser.
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
    /// 32 hex characters that tell equal arguments from different ones; see `Sealer::fingerprint`.
    pub arguments_digest: Option<String>,
}

static INSERT: LazyLock<InsertRows> = LazyLock::new(|| {
    InsertRows::new(
        "audit (id, account_id, at, caller, user_id, door, server_id, connector_id, action_id, operation, decision, status, duration_us, \
         request_id, arguments_digest, target_id)",
    )
});

impl Entry {
    /// The beginning of an entry: for whom, through which door, what. It is allowed unless something else is said.
    pub fn new(scope: &Scope, door: &str, operation: &str, request_id: &str) -> Self {
        Self {
            id: String::new(),
            account_id: scope.account.to_string(),
            at: now_ms(),
            caller: String::new(),
            user_id: scope.user.to_string(),
            door: door.to_owned(),
            server_id: None,
            connector_id: None,
            action_id: None,
            target_id: None,
            operation: operation.to_owned(),
            decision: "allowed".to_owned(),
            status: 200,
            duration_us: 0,
            request_id: request_id.to_owned(),
            arguments_digest: None,
        }
    }

    /// In the order of the columns of `INSERT`.
    fn values(self) -> [Value; 16] {
        [
            Value::Text(Some(self.id)),
            Value::Text(Some(self.account_id)),
            Value::Number(self.at),
            Value::Text(Some(self.caller)),
            Value::Text(Some(self.user_id)),
            Value::Text(Some(self.door)),
            Value::Text(self.server_id),
            Value::Text(self.connector_id),
            Value::Text(self.action_id),
            Value::Text(Some(self.operation)),
            Value::Text(Some(self.decision)),
            Value::Number(self.status),
            Value::Number(self.duration_us),
            Value::Text(Some(self.request_id)),
            Value::Text(self.arguments_digest),
            Value::Text(self.target_id),
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
    if id.len() <= 200 && !id.contains('\0') {
        return id.to_owned();
    }
    id.chars().filter(|c| *c != '\0').take(200).collect()
}

/// What the ids of entries from this time on do not sort before.
pub fn id_from(ms: i64) -> String {
    digits(ms.clamp(0, (1 << 48) - 1).unsigned_abs(), 12)
}

/// A number in so many hexadecimal digits, or more where it needs them: what `{:012x}` writes, at a tenth of its cost.
pub fn digits(number: u64, least: usize) -> String {
    let all = hex(&number.to_be_bytes());
    let zeros = all.len() - all.trim_start_matches('0').len();
    all.get(zeros.min(all.len().saturating_sub(least))..).unwrap_or_default().to_owned()
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
    /// Writes a batch, and answers those entries that the database refuses for good: they cost only themselves. No scope: entries carry the
    /// one they were made under.
    pub async fn write_audit<'a>(&self, entries: &'a [Entry]) -> Result<Vec<&'a Entry>> {
        let mut refused = Vec::new();
        match self.insert_audit(entries).await {
            Err(error) if is_refused(&error) => {}
            written => return written.map(|()| refused),
        }
        for entry in entries {
            match self.insert_audit(std::slice::from_ref(entry)).await {
                Err(error) if is_refused(&error) => refused.push(entry),
                written => written?,
            }
        }
        Ok(refused)
    }

    /// In one transaction, many rows to a statement.
    async fn insert_audit(&self, entries: &[Entry]) -> Result<()> {
        let mut tx = self.db.begin().await?;
        INSERT.run(&mut tx, entries.iter().cloned().map(Entry::values)).await?;
        tx.commit().await
    }

    /// Entries of the account, newest first, and how many match in all. With `own_only` those of the scope's user alone.
    pub async fn list_audit(&self, scope: &Scope, own_only: bool, filter: &Filter, page: Page) -> Result<(Vec<Entry>, i64)> {
        let stranger = filter.user_id.as_deref().is_some_and(|wanted| wanted != &*scope.user);
        if own_only && stranger {
            return Ok((Vec::new(), 0));
        }
        let user = if own_only { Some(&*scope.user) } else { filter.user_id.as_deref() };
        let (since, until) = (id_from(filter.since), id_from(filter.until));
        macro_rules! matching {
            ($fetch:ident, $row:ty, $select:literal, $then:literal $(, $arg:expr)*) => {
                $fetch!(
                    &self.db,
                    $row,
                    concat!(
                        $select,
                        " from audit
                          where account_id = $1 and id >= $2 and id < $3
                            and ($4 is null or user_id = $4) and ($5 is null or server_id = $5) and ($6 is null or connector_id = $6)
                            and ($7 is null or action_id = $7) and ($8 is null or target_id = $8) and ($9 is null or operation = $9)
                            and ($10 is null or decision = $10) and ($11 is null or request_id = $11) ",
                        $then
                    ),
                    &*scope.account,
                    since.as_str(),
                    until.as_str(),
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
            "order by id desc limit $12 offset $13",
            page.limit,
            page.offset
        )?;
        let total = matching!(fetch_optional, (i64,), "select count(*)", "")?;
        Ok((entries, total.map_or(0, |(n,)| n)))
    }

    /// Removes entries older than this.
    pub async fn purge_audit(&self, before_ms: i64) -> Result<u64> {
        let before = id_from(before_ms);
        Ok(execute!(&self.db, "delete from audit where account_id in (select id from accounts) and id < $1", before.as_str())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time() {
        for (number, least, text) in
            [(0, 2, "00".to_owned()), (0x1f, 3, "01f".to_owned()), (0xabc, 2, "abc".to_owned()), (u64::MAX, 8, "f".repeat(16))]
        {
            assert_eq!(digits(number, least), text);
        }
        assert_eq!(id_from(0x19a_0000_00ff), "019a000000ff");
    }
}
