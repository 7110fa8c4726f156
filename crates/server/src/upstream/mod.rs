//! The client of other MCP servers: one call to one upstream, whatever transport and era it speaks.
//!
//! A call passes, in this order: a place is taken (`health`), the era is chosen (`era`), a session or process is opened or taken from
//! those that are open (`session`, `pipe`), the message goes out (`http`, `pipe`), and what comes back is read message by message
//! (`exchange`). What is open belongs to one account, effective user, upstream configuration and set of client capabilities.

pub mod authorization;
mod era;
mod exchange;
mod health;
mod http;
mod message;
mod offer;
mod pipe;
mod recorded;
mod session;
mod sse;
mod stdio;
mod stream;
mod waiting;
mod watch;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ::http::HeaderMap;
use amalgam_protocol::param_header::ParamHeader;
use amalgam_protocol::splice::Object;
use moka::sync::Cache;
use quick_cache::sync::Cache as QuickCache;
use tokio::{
    sync::{OnceCell, Semaphore},
    time::Instant,
};

pub use self::{
    exchange::Exchange,
    health::Report,
    message::{Answered, Heard},
    recorded::Recorded,
    waiting::{Cancellable, Question, Waiting},
    watch::{News, Wanted, Word, news},
};
use self::{health::Health, pipe::Pipe, session::Session, stdio::Stderr};
use crate::{
    config::{Config, Process},
    egress::Egress,
    error::Result,
    store::{
        Scope, Store,
        upstreams::{Transport, Upstream},
    },
};

/// Sessions and processes that are open at once on this node.
const MAX_LINKS: u64 = 10_000;
/// Processes that run at once on this node.
const MAX_PROCESSES: usize = 128;
/// An unused session is ended after this time.
const LINK_IDLE: Duration = Duration::from_secs(10 * 60);
/// What became of calls is forgotten after this time.
const HEALTH_IDLE: Duration = Duration::from_secs(60 * 60);
/// Calls to one upstream at once, unless its owner says otherwise.
const CONCURRENCY: usize = 128;

/// For whom a call is made and what that client can do; the upstream sees nothing else of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Client {
    /// Account and effective user.
    pub scope: Scope,
    /// `ClientCapabilities`, JSON.
    pub capabilities: Arc<str>,
    /// `Implementation`, JSON.
    pub info: Arc<str>,
    /// It speaks a revision with a handshake: where the upstream has both eras, the same one is used.
    pub is_legacy: bool,
    /// Keeps what belongs to one session apart from the user's other sessions; empty where there is no session.
    pub lane: Arc<str>,
}

impl Client {
    /// A client that can do nothing but read answers, such as a REST call.
    pub fn plain(scope: &Scope) -> Self {
        static PLAIN: LazyLock<[Arc<str>; 3]> = LazyLock::new(|| ["{}".into(), OUR_INFO.into(), "".into()]);
        let [capabilities, info, lane] = PLAIN.clone();
        Self { scope: scope.clone(), capabilities, info, is_legacy: false, lane }
    }
}

/// How we present ourselves where no client has.
pub const OUR_INFO: &str = concat!("{\"name\":\"amalgam\",\"version\":\"", env!("CARGO_PKG_VERSION"), "\"}");

/// One call.
pub struct Demand<'a> {
    /// To whom.
    pub upstream: &'a Arc<Upstream>,
    /// For whom.
    pub client: &'a Client,
    /// The method, of either era.
    pub method: &'a str,
    /// The parameters as the client sent them: JSON.
    pub params: &'a str,
    /// The same taken apart, where somebody has done that already.
    pub members: Option<&'a Object<'a>>,
    /// What they are a part of, where that is known.
    pub body: Option<&'a bytes::Bytes>,
    /// Another value for the member that names the target.
    pub renamed: Option<(&'static str, &'a str)>,
    /// The upstream's own `requestState`.
    pub request_state: Option<&'a str>,
    /// The lowest level of log messages that are wanted.
    pub log_level: Option<&'a str>,
    /// The arguments that headers repeat.
    pub headers: &'a [ParamHeader],
    /// Headers of the client that the operator lets through. Those of the owner and of the protocol count before them.
    pub forwarded: Option<&'a HeaderMap>,
    /// For the whole call.
    pub timeout: Duration,
}

impl<'a> Demand<'a> {
    /// A request that is no client's own.
    pub fn ours(upstream: &'a Arc<Upstream>, client: &'a Client, method: &'a str, params: &'a str, timeout: Duration) -> Self {
        Self {
            upstream,
            client,
            method,
            params,
            members: None,
            body: None,
            renamed: None,
            request_state: None,
            log_level: None,
            headers: &[],
            forwarded: None,
            timeout,
        }
    }
}

/// The client. Cheap to clone.
#[derive(Clone)]
pub struct Upstreams(Arc<Shared>);

/// What all calls share.
pub struct Shared {
    store: Arc<Store>,
    egress: Egress,
    max_message: usize,
    timeout: Duration,
    /// By id and version.
    eras: QuickCache<(String, i64), era::Known>,
    health: QuickCache<String, Arc<Health>>,
    sessions: Cache<Key, Arc<OnceCell<Arc<Session>>>>,
    pipes: Cache<Key, Arc<OnceCell<Arc<Pipe>>>>,
    processes: BTreeMap<String, Process>,
    process_places: Arc<Semaphore>,
    stderr: Cache<String, Arc<Stderr>>,
    freshening: Cache<String, Arc<tokio::sync::Mutex<offer::Turn>>>,
    /// The scopes that calls have needed, by upstream and user.
    wanted: Cache<(String, Arc<str>), Arc<str>>,
    /// Whose turn it is to renew a grant, by upstream and user.
    renewing: Cache<(String, Arc<str>), Arc<tokio::sync::Mutex<()>>>,
    /// Whose turn it is to register us at an authorization server, by upstream.
    registering: Cache<String, Arc<authorization::Registering>>,
    waiting: Arc<Waiting>,
    next: AtomicU64,
}

/// What something open is kept under: nothing that differs here is ever shared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    upstream: String,
    updated_at: i64,
    client: Client,
}

impl Key {
    fn of(demand: &Demand<'_>) -> Self {
        Self { upstream: demand.upstream.id.clone(), updated_at: demand.upstream.updated_at, client: demand.client.clone() }
    }

    /// The same for all sessions of a client together.
    fn of_all_lanes(&self) -> Self {
        Self { client: Client { lane: "".into(), ..self.client.clone() }, ..self.clone() }
    }
}

impl Upstreams {
    /// Knows no upstream yet.
    pub fn new(store: Arc<Store>, egress: Egress, config: &Config) -> Self {
        let hour = Duration::from_secs(60 * 60);
        Self(Arc::new(Shared {
            store,
            egress,
            max_message: config.max_response_bytes,
            timeout: config.action_timeout,
            eras: QuickCache::new(10_000),
            health: QuickCache::new(10_000),
            sessions: Cache::builder().max_capacity(MAX_LINKS).time_to_idle(LINK_IDLE).build(),
            pipes: Cache::builder().max_capacity(MAX_LINKS).time_to_idle(LINK_IDLE).build(),
            processes: config.stdio.clone(),
            process_places: Arc::new(Semaphore::new(MAX_PROCESSES)),
            stderr: Cache::new(1_000),
            freshening: Cache::new(10_000),
            wanted: Cache::builder().max_capacity(10_000).time_to_live(hour).build(),
            renewing: Cache::builder().max_capacity(10_000).time_to_idle(hour).build(),
            registering: Cache::builder().max_capacity(10_000).time_to_idle(hour).build(),
            waiting: Arc::new(Waiting::new()),
            next: AtomicU64::new(1),
        }))
    }

    /// Begins a call. Dropping what it returns, or the call before that, cancels it at the upstream.
    pub async fn begin(&self, demand: &Demand<'_>) -> Result<Exchange> {
        self.0.begin(demand).await
    }

    /// Whether a call of this client reaches the upstream in the modern era.
    pub async fn is_modern(&self, upstream: &Arc<Upstream>, client: &Client) -> Result<bool> {
        let timeout = self.timeout(upstream);
        let demand = Demand::ours(upstream, client, "", "{}", timeout);
        Ok(match self.0.choose(&demand, Instant::now() + timeout).await? {
            era::Chosen::Modern => true,
            era::Chosen::Legacy(_) => false,
            era::Chosen::Pipe(pipe) => pipe.greeting().is_some_and(|greeting| greeting.is_modern),
        })
    }

    /// What waits for a client.
    pub fn waiting(&self) -> &Arc<Waiting> {
        &self.0.waiting
    }

    /// How an upstream is doing, for its owner.
    pub fn report(&self, upstream: &Upstream) -> Report {
        self.0.health(upstream).report(&upstream.owner.user)
    }

    /// The last words of an upstream's processes.
    pub fn stderr(&self, upstream: &Upstream) -> Option<String> {
        self.0.stderr.get(&upstream.id).map(|kept| kept.text())
    }

    /// How long one call to an upstream may take.
    pub fn timeout(&self, upstream: &Upstream) -> Duration {
        upstream.settings.timeout_seconds.map_or(self.0.timeout, Duration::from_secs)
    }

    /// Ends what belongs to an upstream that was changed or removed.
    pub fn forget(&self, upstream: &Upstream) {
        self.0.health.remove(&upstream.id);
        let sessions: Vec<_> = self.0.sessions.iter().filter(|(key, _)| key.upstream == upstream.id).collect();
        for (key, _) in sessions {
            self.0.sessions.invalidate(&*key);
        }
        let pipes: Vec<_> = self.0.pipes.iter().filter(|(key, _)| key.upstream == upstream.id).collect();
        for (key, _) in pipes {
            self.0.pipes.invalidate(&*key);
        }
        self.sweep();
    }

    /// Ends what is open for one user of an account, or for all of its users.
    pub fn end_scope(&self, account: &str, user: Option<&str>) {
        let is_theirs = |key: &Key| *key.client.scope.account == *account && user.is_none_or(|user| *key.client.scope.user == *user);
        for (key, _) in self.0.sessions.iter().filter(|(key, _)| is_theirs(key)) {
            self.0.sessions.invalidate(&*key);
        }
        for (key, _) in self.0.pipes.iter().filter(|(key, _)| is_theirs(key)) {
            self.0.pipes.invalidate(&*key);
        }
        self.sweep();
    }

    /// Ends and forgets what was not used for a while. The caches let go of nothing by themselves while nobody uses them.
    pub fn sweep(&self) {
        self.0.sessions.run_pending_tasks();
        self.0.pipes.run_pending_tasks();
        self.0.eras.retain(|_, known| known.is_recent());
        // Whoever holds one has a call on its way.
        self.0.health.retain(|_, health| Arc::strong_count(health) > 1 || health.is_recent(HEALTH_IDLE));
    }

    /// Tells the legacy upstreams of a client's session something.
    pub fn tell_lane(&self, lane: &str, method: &'static str) {
        let open = self.0.sessions.iter().filter(|(key, _)| !lane.is_empty() && &*key.client.lane == lane);
        for session in open.filter_map(|(_, cell)| cell.get().cloned()) {
            let shared = self.0.clone();
            tokio::spawn(async move {
                let until = Instant::now() + shared.timeout;
                if let Err(error) = shared.tell(&session, method, "{}", until).await {
                    tracing::debug!(%error, method, "an upstream was not told");
                }
            });
        }
    }

    /// Ends a client's session with all upstreams, because it has ended its own.
    pub fn end_lane(&self, lane: &str) {
        let sessions: Vec<_> = self.0.sessions.iter().filter(|(key, _)| &*key.client.lane == lane).collect();
        for (key, _) in sessions {
            self.0.sessions.invalidate(&*key);
        }
        self.sweep();
    }
}

impl Shared {
    /// The connection of a client to an upstream that is no plain HTTP, opened if there is none.
    async fn pipe(self: &Arc<Self>, upstream: &Arc<Upstream>, client: &Client, until: Instant) -> Result<Arc<Pipe>> {
        let process = upstream.url.strip_prefix("stdio:").and_then(|name| self.processes.get(name));
        let client = match (upstream.transport, process) {
            (Transport::Stdio, Some(process)) if process.shared => Client::plain(&upstream.owner),
            // A process for each user, whatever sessions the user has.
            (Transport::Stdio, _) => Client { lane: "".into(), is_legacy: false, info: OUR_INFO.into(), ..client.clone() },
            _ => client.clone(),
        };
        let key = Key { upstream: upstream.id.clone(), updated_at: upstream.updated_at, client };
        for _ in 0..2 {
            let cell = self.pipes.get_with_by_ref(&key, Arc::default);
            let open = async || {
                let pipe = match upstream.transport {
                    Transport::Stdio => self.start_process(upstream).await?,
                    Transport::Sse | Transport::StreamableHttp => self.open_sse(upstream, until).await?,
                };
                pipe.greet(&key.client, upstream.transport == Transport::Stdio, until).await?;
                Ok::<_, crate::error::Error>(pipe)
            };
            let pipe = cell.get_or_try_init(open).await?;
            if !pipe.is_closed() {
                return Ok(pipe.clone());
            }
            // Another call may have opened a new one in the meantime.
            if self.pipes.get(&key).is_some_and(|known| Arc::ptr_eq(&known, &cell)) {
                self.pipes.invalidate(&key);
            }
        }
        Err(message::failed(upstream, "closes its connection at once"))
    }

    /// The next id of a request outside of any session: a call that is repeated is another request.
    fn next_id(&self) -> String {
        self.next.fetch_add(1, Ordering::Relaxed).to_string()
    }

    fn health(&self, upstream: &Upstream) -> Arc<Health> {
        let places = upstream.settings.max_concurrency.unwrap_or(CONCURRENCY);
        let Ok(health) = self.health.get_or_insert_with(upstream.id.as_str(), || Ok::<_, Infallible>(Arc::new(Health::new(places))));
        health
    }
}
