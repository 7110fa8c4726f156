//! The audit trail: who did what for whom, and what came of it. Never arguments, never secrets.
//!
//! A row of the table is a batch: entries of one account that were written together, as JSON. Many calls then cost the database what one
//! would. Whoever asks for entries is answered from the batches of the time in question, newest first.

use std::{borrow::Cow, sync::Arc};

use amalgam_protocol::{escape::write_string, splice::quoted};
use http::StatusCode;
use serde::Deserialize;

use super::{
    Page, Scope, Store,
    db::{execute, execute_in, fetch_all, fetch_optional, is_refused},
};
use crate::{
    clock::now_ms,
    error::{Error, Result},
};

/// One thing that somebody did, or was refused. In the table its names are short, and what is usual is left out ([`Entry::json_after_id`]).
#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    /// Sorts by the time when it was recorded.
    pub id: String,
    /// Its tenant; batches hold it once.
    #[serde(skip)]
    pub account_id: Arc<str>,
    /// Milliseconds.
    pub at: i64,
    /// Who: `key:<id>`, `token:<server id>`, `jwt:<issuer id>`, `grant:<id>`, `user:<user id>` who signs in.
    #[serde(rename = "by")]
    pub caller: String,
    /// For whom: the effective user.
    #[serde(rename = "u")]
    pub user_id: Arc<str>,
    /// `mcp`, `rest`, or `web` for a person in a browser.
    #[serde(rename = "d")]
    pub door: Cow<'static, str>,
    /// Through which server.
    #[serde(rename = "s", default)]
    pub server_id: Option<String>,
    /// On which connector.
    #[serde(rename = "c", default)]
    pub connector_id: Option<String>,
    /// Which action.
    #[serde(rename = "a", default)]
    pub action_id: Option<String>,
    /// What was written to: the id of a server, key, credential, …
    #[serde(rename = "t", default)]
    pub target_id: Option<String>,
    /// `execute`, or the noun and the verb of a write: `server.create`.
    #[serde(rename = "o", default = "execute_word")]
    pub operation: Cow<'static, str>,
    /// `allowed` or `denied`.
    #[serde(rename = "w", default = "allowed")]
    pub decision: Cow<'static, str>,
    /// The platform's HTTP status for an execution that was sent, else ours.
    #[serde(rename = "h", default = "ok")]
    pub status: i64,
    /// Microseconds.
    #[serde(rename = "us")]
    pub duration_us: i64,
    /// As in the answer's `x-request-id`.
    #[serde(rename = "r")]
    pub request_id: String,
    /// 32 hex characters that tell equal arguments from different ones; see `Sealer::fingerprint`.
    #[serde(rename = "g", default)]
    pub arguments_digest: Option<String>,
}

const EXECUTE: &str = "execute";
const ALLOWED: &str = "allowed";

fn execute_word() -> Cow<'static, str> {
    Cow::Borrowed(EXECUTE)
}

fn is_execute(operation: &str) -> bool {
    operation == EXECUTE
}

fn allowed() -> Cow<'static, str> {
    Cow::Borrowed(ALLOWED)
}

fn is_allowed(decision: &str) -> bool {
    decision == ALLOWED
}

fn ok() -> i64 {
    200
}

impl Entry {
    /// The beginning of an entry: for whom, through which door, what. It is allowed unless something else is said.
    pub fn new(scope: &Scope, door: &'static str, operation: &'static str, request_id: &str) -> Self {
        Self {
            id: String::new(),
            account_id: scope.account.clone(),
            at: now_ms(),
            caller: String::new(),
            user_id: scope.user.clone(),
            door: Cow::Borrowed(door),
            server_id: None,
            connector_id: None,
            action_id: None,
            target_id: None,
            operation: Cow::Borrowed(operation),
            decision: allowed(),
            status: ok(),
            duration_us: 0,
            request_id: request_id.to_owned(),
            arguments_digest: None,
        }
    }

    /// Its JSON after the id, as it is read again. Written by hand: most of what a busy node writes is this.
    pub fn json_after_id(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(384);
        let texts = [
            (",\"by\":", Some(&*self.caller)),
            (",\"u\":", Some(&self.user_id)),
            (",\"d\":", Some(&self.door)),
            (",\"s\":", self.server_id.as_deref()),
            (",\"c\":", self.connector_id.as_deref()),
            (",\"a\":", self.action_id.as_deref()),
            (",\"t\":", self.target_id.as_deref()),
            (",\"o\":", Some(&*self.operation).filter(|operation| !is_execute(operation))),
            (",\"w\":", Some(&*self.decision).filter(|decision| !is_allowed(decision))),
            (",\"r\":", Some(&self.request_id)),
            (",\"g\":", self.arguments_digest.as_deref()),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                out.extend_from_slice(name.as_bytes());
                write_string(&mut out, text);
            }
        }
        let numbers = [(",\"at\":", self.at), (",\"us\":", self.duration_us)];
        for (name, number) in numbers.into_iter().chain((self.status != ok()).then_some((",\"h\":", self.status))) {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(number.to_string().as_bytes());
        }
        out.push(b'}');
        out
    }

    /// What came of it.
    pub fn end(&mut self, status: StatusCode) {
        self.status = status.as_u16().into();
        if status == StatusCode::FORBIDDEN {
            self.decision = Cow::Borrowed("denied");
        }
    }
}

/// A row as it is read.
#[derive(sqlx::FromRow)]
struct Row {
    /// Of its first entry.
    id: String,
    /// JSON: an array of [`Entry`], in the order in which they were recorded.
    entries: String,
}

/// A row as it is written: entries of one account, in the order in which they were recorded.
#[derive(Debug)]
pub struct Batch {
    account_id: Arc<str>,
    /// Of its first entry.
    id: String,
    first_at: i64,
    last_at: i64,
    count: i64,
    /// JSON, without the end of the array.
    entries: Vec<u8>,
}

impl Batch {
    /// Of the account that this entry is of, to begin with it.
    pub fn new(entry: &Entry, id: String) -> Self {
        Self { account_id: entry.account_id.clone(), id, first_at: entry.at, last_at: entry.at, count: 0, entries: Vec::new() }
    }

    /// Whether another entry may be added.
    pub fn has_room(&self) -> bool {
        self.entries.len() < FULL
    }

    /// Adds an entry of the same account, whose JSON behind its id is this. The id is hexadecimal digits and `-`.
    pub fn push(&mut self, entry: &Entry, id: &str, json_after_id: &[u8]) {
        self.entries.push(if self.count == 0 { b'[' } else { b',' });
        for part in [b"{\"id\":\"", id.as_bytes(), b"\"", json_after_id] {
            self.entries.extend_from_slice(part);
        }
        (self.first_at, self.last_at, self.count) = (self.first_at.min(entry.at), self.last_at.max(entry.at), self.count + 1);
    }

    /// How many entries it holds.
    pub fn count(&self) -> i64 {
        self.count
    }

    /// Each entry with a batch of its own.
    fn split(&self) -> Result<Vec<(Entry, Self)>> {
        let entries: Vec<Entry> = serde_json::from_slice(&[self.entries.as_slice(), b"]"].concat()).map_err(Error::internal)?;
        let alone = entries.into_iter().map(|entry| {
            let entry = Entry { account_id: self.account_id.clone(), ..entry };
            let mut batch = Self::new(&entry, entry.id.clone());
            batch.push(&entry, &entry.id, &entry.json_after_id());
            (entry, batch)
        });
        Ok(alone.collect())
    }
}

/// Batches that are read at once.
const READ: i64 = 32;
/// A batch begins no further entry from this size on, in bytes.
const FULL: usize = 64 * 1024;
/// A batch may begin this long before an entry of it is recorded, in milliseconds: entries wait while the database does not answer.
const SPAN: i64 = 24 * 60 * 60 * 1000;
/// Sorts behind every id, whatever the order of the database: ids begin with a hexadecimal digit.
const BEHIND_ALL: &str = "g";

/// An id as somebody sent it, in a form that every database keeps.
pub fn shown(id: &str) -> String {
    if id.len() <= 200 && !id.contains('\0') {
        return id.to_owned();
    }
    id.chars().filter(|c| *c != '\0').take(200).collect()
}

/// What the ids of entries from this time on do not sort before.
pub fn id_from(ms: i64) -> String {
    // With room for the rest of an id.
    let mut id = String::with_capacity(32);
    push_digits(&mut id, ms.clamp(0, (1 << 48) - 1).unsigned_abs(), 12);
    id
}

/// Appends a number in so many hexadecimal digits, 16 at most, or more where it needs them: what `{:012x}` writes, at a tenth of its cost.
pub fn push_digits(text: &mut String, number: u64, least: u8) {
    let needed = u64::BITS.saturating_sub(number.leading_zeros()).div_ceil(4);
    let digit = |place: u32| char::from_digit(u32::try_from(number >> (4 * place) & 15).unwrap_or_default(), 16).unwrap_or('0');
    text.extend((0..needed.max(u32::from(least)).min(16)).rev().map(digit));
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

impl Filter {
    fn is_empty(&self) -> bool {
        let is_any = self.operation.is_none() && self.decision.is_none();
        is_any && self.since <= 0 && self.until == i64::MAX && self.texts(None).next().is_none()
    }

    /// What an entry must hold as a whole text.
    fn texts<'a>(&'a self, user: Option<&'a str>) -> impl Iterator<Item = &'a str> {
        let others = [&self.server_id, &self.connector_id, &self.action_id, &self.target_id, &self.request_id];
        let operation = self.operation.as_deref().filter(|operation| !is_execute(operation));
        let decision = self.decision.as_deref().filter(|decision| !is_allowed(decision));
        user.into_iter().chain(others.into_iter().filter_map(Option::as_deref)).chain(operation).chain(decision)
    }

    fn takes(&self, user: Option<&str>, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, text: Option<&str>| wanted.is_none() || wanted.as_deref() == text;
        (self.since..self.until).contains(&entry.at)
            && user.is_none_or(|user| *entry.user_id == *user)
            && is(&self.server_id, entry.server_id.as_deref())
            && is(&self.connector_id, entry.connector_id.as_deref())
            && is(&self.action_id, entry.action_id.as_deref())
            && is(&self.target_id, entry.target_id.as_deref())
            && is(&self.operation, Some(&entry.operation))
            && is(&self.decision, Some(&entry.decision))
            && is(&self.request_id, Some(&entry.request_id))
    }
}

impl Store {
    /// Writes batches, and answers those entries that the database refuses for good: they cost only themselves. No scope: batches carry the
    /// account they were made for.
    pub async fn write_audit(&self, batches: &[Batch]) -> Result<Vec<Entry>> {
        let mut refused = Vec::new();
        match self.insert_audit(batches).await {
            Err(error) if is_refused(&error) => {}
            written => return written.map(|()| refused),
        }
        for batch in batches {
            match self.insert_audit(std::slice::from_ref(batch)).await {
                Err(error) if is_refused(&error) => {}
                written => {
                    written?;
                    continue;
                }
            }
            for (entry, alone) in batch.split()? {
                match self.insert_audit(&[alone]).await {
                    Err(error) if is_refused(&error) => refused.push(entry),
                    written => written?,
                }
            }
        }
        Ok(refused)
    }

    /// In one transaction. A batch that is there already stays: the answer to its insert got lost.
    async fn insert_audit(&self, batches: &[Batch]) -> Result<()> {
        let mut tx = self.db.begin().await?;
        for Batch { account_id, id, first_at, last_at, count, entries } in batches {
            execute_in!(
                &mut tx,
                "insert into audit (account_id, id, first_at, last_at, count, entries) values ($1, $2, $3, $4, $5, $6)
                 on conflict do nothing",
                &**account_id,
                id.as_str(),
                *first_at,
                *last_at,
                *count,
                [std::str::from_utf8(entries).map_err(Error::internal)?, "]"].concat()
            )?;
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
        // Where nothing is asked for but a page, the rest is only counted, which needs no look into the batches.
        let all = if user.is_none() && filter.is_empty() { Some(self.count_audit(scope).await?) } else { None };
        let texts: Vec<String> = filter.texts(user).map(quoted).collect();
        let (mut entries, mut total, mut before) = (Vec::new(), 0, BEHIND_ALL.to_owned());
        loop {
            let batches: Vec<Row> = fetch_all!(
                &self.db,
                Row,
                "select id, entries from audit where account_id = $1 and id < $2 and id >= $3 and last_at >= $4 and first_at < $5
                 order by id desc limit $6",
                &*scope.account,
                before.as_str(),
                // Nothing is recorded before it began.
                id_from(filter.since.saturating_sub(SPAN)).as_str(),
                filter.since,
                filter.until,
                READ
            )?;
            let Some(last) = batches.last() else { break };
            last.id.clone_into(&mut before);
            for batch in &batches {
                // Most batches say by their text alone that nothing in them can match.
                if texts.iter().any(|text| !batch.entries.contains(text)) {
                    continue;
                }
                let kept: Vec<Entry> = serde_json::from_str(&batch.entries).map_err(Error::internal)?;
                for entry in kept.into_iter().rev().filter(|entry| filter.takes(user, entry)) {
                    if (page.offset..page.offset.saturating_add(page.limit)).contains(&total) {
                        entries.push(Entry { account_id: scope.account.clone(), ..entry });
                    }
                    total += 1;
                }
            }
            if let Some(all) = all.filter(|_| total >= page.offset.saturating_add(page.limit)) {
                return Ok((entries, all));
            }
        }
        Ok((entries, total))
    }

    async fn count_audit(&self, scope: &Scope) -> Result<i64> {
        let counted = fetch_optional!(
            &self.db,
            (i64,),
            "select cast(coalesce(sum(count), 0) as bigint) from audit where account_id = $1",
            &*scope.account
        )?;
        Ok(counted.map_or(0, |(count,)| count))
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
            let mut digits = String::new();
            push_digits(&mut digits, number, least);
            assert_eq!(digits, text);
        }
        assert_eq!(id_from(0x19a_0000_00ff), "019a000000ff");
    }

    #[test]
    fn entries_are_read_as_they_were_written() {
        let scope = Scope { account: "main".into(), user: "an\"n\n".into() };
        let usual = Entry { id: "1-a".to_owned(), caller: "key:k".to_owned(), ..Entry::new(&scope, "mcp", EXECUTE, "r") };
        let text = |n: usize| Some(format!("\\{n}\u{1}é"));
        let unusual = Entry {
            server_id: text(1),
            connector_id: text(2),
            action_id: text(3),
            target_id: text(4),
            at: usual.at - 5,
            operation: "server.create".into(),
            decision: "denied".into(),
            status: -1,
            duration_us: i64::MAX,
            arguments_digest: text(5),
            ..usual.clone()
        };
        let mut batch = Batch::new(&usual, usual.id.clone());
        let all = [usual, unusual];
        for entry in &all {
            batch.push(entry, &entry.id, &entry.json_after_id());
        }
        assert_eq!((batch.first_at, batch.last_at, batch.count), (all[1].at, all[0].at, 2));
        let json = String::from_utf8(all[0].json_after_id()).unwrap();
        assert!([",\"o\":", ",\"w\":", ",\"h\":"].iter().all(|usual| !json.contains(usual)), "{json}");
        let alone = batch.split().unwrap();
        assert_eq!(alone.len(), all.len());
        for (entry, (read, batch)) in all.iter().zip(&alone) {
            assert_eq!(format!("{read:?}"), format!("{entry:?}"));
            assert_eq!(format!("{:?}", batch.split().unwrap()[0].0), format!("{entry:?}"));
        }
    }
}
