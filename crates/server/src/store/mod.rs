//! What is kept: one file per noun. Every function takes a `Scope`, or says why it does not need one.

pub mod accounts;
pub mod api_keys;
pub mod audit;
pub mod auth_configs;
pub mod cache;
pub mod connect_links;
pub mod connections;
pub mod connectors;
pub mod credentials;
pub mod db;
pub mod files;
pub mod grants;
pub mod issuers;
pub mod sealer;
pub mod servers;
pub mod sessions;
pub mod tokens;
pub mod upstream_clients;
pub mod upstream_grants;
pub mod upstreams;
pub mod users;
pub mod workflows;

use std::{sync::Arc, time::Duration};

use moka::sync::Cache;

use self::{cache::Cached, db::Db, sealer::Sealer};
use crate::{
    config::Maximums,
    connectors::folder::Folder,
    error::{Error, Kind, Result},
};

/// Whose data a query may touch: one account, and within it one user. Nothing crosses it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The tenant.
    pub account: Arc<str>,
    /// The user for whom something is done; any string of 1 to 10,000 characters.
    pub user: Arc<str>,
}

/// Longest user id, in characters.
const MAX_USER_ID: usize = 10_000;

/// Any text of 1 to 10,000 characters; U+0000 cannot be kept in every database.
pub fn is_user_id(user: &str) -> bool {
    !user.is_empty() && user.chars().count() <= MAX_USER_ID && !user.contains('\0')
}

/// SHA-256 of a token or key; the database has it in lower-case hex.
pub type TokenHash = [u8; 32];

/// Accounts' connectors that are kept compiled, in bytes: some 60 of a thousand actions each.
const CONNECTORS: u64 = 256 * 1024 * 1024;

/// The database with its seal and its caches. One per process, shared.
pub struct Store {
    db: Db,
    sealer: Sealer,
    maximums: Maximums,
    folder: Folder,
    api_keys: Cached<TokenHash, Option<Arc<api_keys::ApiKey>>>,
    tokens: Cached<TokenHash, Option<Arc<tokens::Token>>>,
    servers: Cached<String, Option<Arc<servers::Server>>>,
    connectors: Cached<Arc<str>, Arc<connectors::AccountConnectors>>,
    compiled: Cache<(Arc<str>, String), Arc<connectors::Stored>>,
    credentials: Cached<(Scope, String), Arc<[credentials::Credential]>>,
    issuers: Cached<Arc<str>, Arc<[issuers::Issuer]>>,
    issuers_named: Cached<Option<String>, Arc<[issuers::Issuer]>>,
    ended_sessions: Cached<String, bool>,
    access_tokens: Cached<TokenHash, Option<Arc<grants::Access>>>,
    upstreams: Cached<Arc<str>, Arc<upstreams::AccountUpstreams>>,
    upstream_grants: Cached<(String, Arc<str>), Option<Arc<upstream_grants::UpstreamGrant>>>,
    connections: Cached<(String, Arc<str>), Option<Arc<connections::Connection>>>,
}

/// Connectors of accounts that nobody asked for so long are given back, with their search indexes; compiling them again takes a moment.
const COMPILED_IDLE: Duration = Duration::from_secs(30 * 60);

impl Store {
    /// Over an open database and the keys that belong to it.
    pub fn new(db: Db, sealer: Sealer, maximums: Maximums, folder: Folder) -> Self {
        // One process alone knows of every change. Where other nodes may make changes, they are seen within a second.
        let life = match &db {
            Db::Sqlite { .. } => Duration::from_secs(60),
            Db::Postgres(_) => Duration::from_secs(1),
        };
        Self {
            api_keys: Cached::new(10_000, life),
            tokens: Cached::new(50_000, life),
            servers: Cached::weighed(32 * 1024 * 1024, life, |id: &String, server: &Option<Arc<servers::Server>>| {
                128 + id.len() + server.as_ref().map_or(0, |server| server.weight())
            }),
            connectors: Cached::weighed(CONNECTORS, life, |account: &Arc<str>, all: &Arc<connectors::AccountConnectors>| {
                256 + account.len() + connectors::weight_of_all(all)
            }),
            compiled: Cache::builder()
                .max_capacity(CONNECTORS)
                .weigher(|(account, id): &(Arc<str>, String), stored: &Arc<connectors::Stored>| {
                    u32::try_from(256 + account.len() + id.len() + stored.weight()).unwrap_or(u32::MAX)
                })
                .time_to_idle(COMPILED_IDLE)
                .build(),
            credentials: Cached::weighed(
                16 * 1024 * 1024,
                life,
                |(scope, connector): &(Scope, String), credentials: &Arc<[credentials::Credential]>| {
                    credentials.iter().fold(1_024 + scope.user.len() + connector.len(), |sum, credential| sum + credential.weight())
                },
            ),
            issuers: Cached::new(10_000, life),
            issuers_named: Cached::weighed(4 * 1024 * 1024, life, |name: &Option<String>, issuers: &Arc<[issuers::Issuer]>| {
                issuers.iter().fold(128 + name.as_ref().map_or(0, String::len), |sum, issuer| sum + issuer.weight())
            }),
            ended_sessions: Cached::new(50_000, life),
            access_tokens: Cached::new(50_000, life),
            upstreams: Cached::new(1_000, life),
            upstream_grants: Cached::new(10_000, life),
            connections: Cached::weighed(
                4 * 1024 * 1024,
                life,
                |(_, user): &(String, Arc<str>), connection: &Option<Arc<connections::Connection>>| {
                    256 + user.len() + connection.as_ref().map_or(0, |connection| connection.weight())
                },
            ),
            db,
            sealer,
            maximums,
            folder,
        }
    }

    /// Fails when the database does not answer.
    pub async fn ping(&self) -> Result<()> {
        self.db.ping().await
    }

    /// Seals and opens what belongs to nobody's row, such as session ids.
    pub fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// Lets go of what has not been used for long. The caches do so by themselves only while they are used.
    pub fn sweep(&self) {
        self.connectors.sweep();
        self.compiled.run_pending_tasks();
    }

    /// The operator's own connectors. They are not in the database; they are here so that all connectors are found in one place.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Writes everything down and lets go of the files.
    pub async fn close(&self) {
        self.db.close().await;
    }
}

/// Forgets what is cached under these hashes, which are as the database has them.
fn forget_hashes<V: Clone>(cache: &Cached<TokenHash, V>, rows: &[(String,)]) {
    for (hex,) in rows {
        let mut hash = TokenHash::default();
        // Nothing is kept under anything else than a hash.
        if amalgam_vault::read_hex(hex, &mut hash).is_some() {
            cache.forget(&hash);
        }
    }
}

/// Refuses one more where there are as many as the setting allows. Two that come at once may both pass: what bounds growth need not be exact.
fn room(count: Option<(i64,)>, most: u32, setting: &str) -> Result<()> {
    if count.is_none_or(|(n,)| n < i64::from(most)) {
        return Ok(());
    }
    // `max-servers-per-user` speaks of servers per user.
    let what = setting.trim_start_matches("max-").replace('-', " ");
    let sentence = format!("The limit is {most} {what}; delete one first, or ask the operator, whose setting `{setting}` it is.");
    Err(Error::new(Kind::Conflict, sentence).with_details(serde_json::json!({ "limit": setting, "maximum": most })))
}

/// Something that clients with an open stream want to know.
#[derive(Debug, Clone)]
pub enum Change {
    /// A server's settings or restrictions.
    Server(String),
    /// The connectors of an account.
    Connectors(Arc<str>),
    /// The connectors of the operator's folder, which all accounts have.
    AllConnectors,
    /// A server's workflows.
    Workflows(String),
    /// Somebody of an account was deleted, or the whole account: who listens may have no right to do so any more.
    People(Arc<str>),
}

/// A page of a list: `limit` 1-1,000 (default 100), `offset` from 0.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// At most this many rows.
    pub limit: i64,
    /// After this many rows.
    pub offset: i64,
}
