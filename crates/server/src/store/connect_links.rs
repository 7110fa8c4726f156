//! Connect links: by which users connect themselves in a browser, each good once and for ten minutes.

use amalgam_vault::{Secret, hash_token, hex};

use super::{
    Scope, Store,
    db::{Tx, execute, execute_in, fetch_all_in, fetch_optional},
};
use crate::{clock::now_ms, error::Result};

/// How long a link, and the consent that began with it, is good, in milliseconds.
pub const LIFETIME_MS: i64 = 10 * 60 * 1000;
/// More open links of one user end the oldest, those of users who are at a consent page last.
const MAX_OPEN: i64 = 100;
/// The same for one account: a header may name any number of users.
const MAX_OPEN_OF_ACCOUNT: i64 = 10_000;

/// An open link.
pub struct ConnectLink {
    hash: String,
    /// Whose credential it makes.
    pub scope: Scope,
    /// For which connector; an upstream by its own id, which no connector has.
    pub connector: String,
    /// What was asked for, sealed.
    sealed: String,
    /// What the consent that has begun needs, sealed.
    attempt: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Row {
    hash: String,
    account_id: String,
    user_id: String,
    connector_id: String,
    sealed: String,
    attempt: Option<String>,
}

impl From<Row> for ConnectLink {
    fn from(row: Row) -> Self {
        Self {
            hash: row.hash,
            scope: Scope { account: row.account_id.into(), user: row.user_id.into() },
            connector: row.connector_id,
            sealed: row.sealed,
            attempt: row.attempt,
        }
    }
}

fn hash(secret: &str) -> String {
    hex(&hash_token(secret))
}

/// Uses a link up. False where that has happened already, or its user is gone.
pub(super) async fn use_up(tx: &mut Tx, link: &ConnectLink) -> Result<bool> {
    Ok(execute_in!(tx, "delete from connect_links where hash = $1", &link.hash)? > 0)
}

fn owner<'a>(scope: &'a Scope, connector: &'a str, hash: &'a str) -> [&'a str; 5] {
    ["connect-link", &scope.account, &scope.user, connector, hash]
}

// Those that find a link take no scope: it is the link, or the state with its browser, that names one.
impl Store {
    /// Keeps what was asked for under a new link; returns when it ends.
    pub async fn create_connect_link(&self, scope: &Scope, connector: &str, link: &str, asked: &str) -> Result<i64> {
        let (hash, now) = (hash(link), now_ms());
        let expires_at = now + LIFETIME_MS;
        let sealed = self.sealer.seal(&owner(scope, connector, &hash), asked)?;
        let mut tx = self.db.begin().await?;
        execute_in!(
            &mut tx,
            "delete from connect_links where hash in (select hash from connect_links where account_id = $1 and user_id = $2
             order by case when state_hash is null then 1 else 0 end, expires_at desc, hash limit 1000 offset $3)",
            &*scope.account,
            &*scope.user,
            MAX_OPEN - 1
        )?;
        execute_in!(
            &mut tx,
            "delete from connect_links where hash in (select hash from connect_links where account_id = $1
             order by case when state_hash is null then 1 else 0 end, expires_at desc, hash limit 1000 offset $2)",
            &*scope.account,
            MAX_OPEN_OF_ACCOUNT - 1
        )?;
        execute_in!(
            &mut tx,
            "insert into connect_links (hash, account_id, user_id, connector_id, sealed, expires_at) values ($1, $2, $3, $4, $5, $6)",
            &hash,
            &*scope.account,
            &*scope.user,
            connector,
            &sealed,
            expires_at
        )?;
        tx.commit().await?;
        Ok(expires_at)
    }

    /// The open link with this text.
    pub async fn connect_link(&self, link: &str) -> Result<Option<ConnectLink>> {
        let row = fetch_optional!(
            &self.db,
            Row,
            "select hash, account_id, user_id, connector_id, sealed, attempt from connect_links where hash = $1 and expires_at > $2",
            hash(link),
            now_ms()
        )?;
        Ok(row.map(ConnectLink::from))
    }

    /// What was asked for.
    pub fn open_connect_link(&self, link: &ConnectLink) -> Result<Secret> {
        self.sealer.unseal(&owner(&link.scope, &link.connector, &link.hash), &link.sealed)
    }

    /// Sends this browser on its way with this state. A second time, as by a second click, only the newer state is good.
    pub async fn begin_consent(&self, link: &ConnectLink, state: &str, browser: &str, attempt: &str) -> Result<bool> {
        let attempt = self.sealer.seal(&owner(&link.scope, &link.connector, &link.hash), attempt)?;
        let done = execute!(
            &self.db,
            "update connect_links set state_hash = $1, browser_hash = $2, attempt = $3 where hash = $4",
            hash(state),
            hash(browser),
            &attempt,
            &link.hash
        )?;
        Ok(done > 0)
    }

    /// The link whose consent has this state, begun by this browser. The state is used up by this; the link by what comes of it.
    pub async fn take_consent(&self, state: &str, browser: &str) -> Result<Option<ConnectLink>> {
        let (state, browser) = (hash(state), hash(browser));
        // Anybody may come with any state: one that does not exist must not wait for the one connection that writes.
        let known = fetch_optional!(&self.db, (i64,), "select count(*) from connect_links where state_hash = $1", &state)?;
        if known.is_none_or(|(n,)| n == 0) {
            return Ok(None);
        }
        let mut tx = self.db.begin().await?;
        let rows = fetch_all_in!(
            &mut tx,
            Row,
            "update connect_links set state_hash = null, browser_hash = null where state_hash = $1 and browser_hash = $2 and expires_at > $3
             returning hash, account_id, user_id, connector_id, sealed, attempt",
            &state,
            &browser,
            now_ms()
        )?;
        tx.commit().await?;
        Ok(rows.into_iter().next().map(ConnectLink::from))
    }

    /// What the consent needs.
    pub fn open_attempt(&self, link: &ConnectLink) -> Result<Option<Secret>> {
        let owner = owner(&link.scope, &link.connector, &link.hash);
        link.attempt.as_ref().map(|attempt| self.sealer.unseal(&owner, attempt)).transpose()
    }

    /// Uses a link up. False where that has happened already.
    pub async fn use_connect_link(&self, link: &ConnectLink) -> Result<bool> {
        Ok(execute!(&self.db, "delete from connect_links where hash = $1", &link.hash)? > 0)
    }

    /// Removes those whose time is over.
    pub async fn purge_connect_links(&self) -> Result<u64> {
        Ok(execute!(&self.db, "delete from connect_links where expires_at <= $1", now_ms())?)
    }
}
