//! A node from start to stop: its directory, its keys, its listener, its last calls.

pub mod master_key;

use std::{
    fs::{self, File, OpenOptions},
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use amalgam_vault::Secret;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, broadcast, watch},
    task::JoinHandle,
};

use crate::{
    api_key::Made,
    app::{App, AppState},
    config::{Config, SecretSettings},
    connectors::folder::Folder,
    direct::DirectCache,
    egress::{Egress, EgressConfig},
    grants::Grants,
    http, jobs,
    jwt::UserTokens,
    limits::{Limits, Streams, bodies::Bodies},
    read_cache::ReadCache,
    store::{Store, accounts::DEFAULT_ACCOUNT, api_keys::Role},
    telemetry::audit::AuditLog,
    upstream::Upstreams,
};

/// Calls in flight have this long to finish when the node stops.
const GRACE: Duration = Duration::from_secs(10);
/// A connection must have sent its request's headers within this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// The head of a request is read into so many bytes: more than `http` takes, so that it can say so.
const READ_BUFFER: usize = 112 * 1024;
/// Connections at once; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 10_000;

/// A running node.
pub struct Node {
    /// Where it listens.
    pub address: SocketAddr,
    /// The first admin key, when this start made one.
    pub first_key: Option<Secret>,
    app: App,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    /// Keeps a second process out while it lives.
    _lock: File,
}

impl Node {
    /// Starts a node.
    ///
    /// # Errors
    /// A sentence for the operator: what cannot be done safely, and the way out.
    pub async fn start(config: Config, secrets: SecretSettings) -> Result<Self, String> {
        // What is in memory is nobody's to keep: no core dumps.
        let _ = rlimit::setrlimit(rlimit::Resource::CORE, 0, 0);
        let lock = prepare_directory(&config.data_dir)?;
        // Bind first: a port that is taken should not leave a half-made database behind.
        let listener = TcpListener::bind(config.listen).await.map_err(|e| format!("cannot listen on {}: {e}", config.listen))?;
        let address = listener.local_addr().map_err(|e| e.to_string())?;
        let oidc_secret = secrets.oidc_client_secret.clone().map(Secret::new);
        let (store, first_key) = open_store(&config, secrets).await?;
        store.sync_processes(&config.stdio).await.map_err(|e| cause(&e))?;
        let files = open_files();
        let app = assemble(config, store, address, oidc_secret, files)?;
        jobs::start(&app);
        let stop = app.stopping.clone();
        let serving = tokio::spawn(serve(listener, app.clone(), files));
        Ok(Self { address, first_key, app, stop, serving, _lock: lock })
    }

    /// Where clients reach the node.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.app.base_url
    }

    /// Stops: no new connections, calls in flight finish (10 seconds at most), everything is written down.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let _ = self.serving.await;
        self.app.grants.settle(GRACE).await;
        self.app.audit.flush().await;
        self.app.store.close().await;
    }
}

/// The data directory (mode 0700) and the lock that keeps a second process out.
fn prepare_directory(directory: &Path) -> Result<File, String> {
    let shown = directory.display();
    fs::create_dir_all(directory).map_err(|e| format!("cannot make the data directory {shown}: {e}"))?;
    set_mode(directory, 0o700).map_err(|e| format!("cannot protect the data directory {shown}: {e}"))?;
    let path = directory.join("lock");
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| format!("cannot write in the data directory {shown}: {e}"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => {
            Err(format!("another amalgam process is using the data directory {shown}. Stop it first, or give this one its own --data-dir"))
        }
        Err(fs::TryLockError::Error(e)) => Err(format!("cannot lock the data directory {shown}: {e}")),
    }
}

async fn open_store(config: &Config, secrets: SecretSettings) -> Result<(Arc<Store>, Option<Secret>), String> {
    // The key first: a database that is made without one would be lost.
    let master = master_key::current(config, &secrets)?;
    let db = master_key::database(config).await?;
    let sealer = master_key::open(config, &secrets, &db, master).await?;
    let folder = Folder::open(config.connectors_dir.clone())?;
    let store = Arc::new(Store::new(db, sealer, config.maximums, folder));
    let first_key = first_key(&store, secrets.admin_key).await?;
    Ok((store, first_key))
}

fn cause(error: &crate::error::Error) -> String {
    error.cause.as_ref().map_or_else(|| error.to_string(), ToString::to_string)
}

/// On an empty database: the account `default` and its first admin key. Returns a key only when it was made here.
async fn first_key(store: &Store, chosen: Option<String>) -> Result<Option<Secret>, String> {
    if !store.is_new().await.map_err(|e| cause(&e))? {
        if chosen.is_some() {
            tracing::info!("AMALGAM_ADMIN_KEY is not looked at: the database has its first admin key already");
        }
        return Ok(None);
    }
    let generated = chosen.is_none();
    let made = match chosen {
        Some(key) => {
            if key.chars().count() < 16 || !key.bytes().all(|b| b.is_ascii_graphic()) {
                return Err("AMALGAM_ADMIN_KEY must have 16 characters or more, all visible ASCII".to_owned());
            }
            if let Some(prefix) = [crate::auth::TOKEN_PREFIX, crate::auth::ACCESS_PREFIX].into_iter().find(|prefix| key.starts_with(prefix))
            {
                return Err(format!("AMALGAM_ADMIN_KEY must not start with {prefix}"));
            }
            if crate::auth::is_user_token(&key) {
                return Err("AMALGAM_ADMIN_KEY must not be a user token (JWT); choose random characters".to_owned());
            }
            Made::from_text(key)
        }
        None => Made::new(),
    };
    let new = made.as_new("First admin key", Role::Admin, None);
    match store.create_account(DEFAULT_ACCOUNT, "Default", "admin", &new).await {
        Ok(()) => Ok(generated.then_some(made.text)),
        // Another node on the same database was quicker.
        Err(error) if error.kind == crate::error::Kind::Conflict => Ok(None),
        Err(error) => Err(cause(&error)),
    }
}

fn assemble(config: Config, store: Arc<Store>, address: SocketAddr, oidc_secret: Option<Secret>, files: usize) -> Result<App, String> {
    let max_idle = (files / 8).min(EgressConfig::default().max_idle);
    let egress = EgressConfig { allow: config.egress_allow.clone(), max_idle, ..EgressConfig::default() };
    let egress = Egress::new(egress).map_err(|e| format!("cannot set up TLS: {e}"))?;
    let documents = EgressConfig { allow: config.client_metadata_allow.clone(), ..EgressConfig::default() };
    let documents = Egress::new(documents).map_err(|e| format!("cannot set up TLS: {e}"))?;
    Ok(Arc::new(AppState {
        base_url: config.base_url(address),
        oidc_secret,
        user_tokens: UserTokens::new(store.clone(), egress.clone()),
        grants: Grants::new(store.clone(), egress.clone()),
        upstreams: Upstreams::new(store.clone(), egress.clone(), &config),
        egress,
        documents,
        limits: Limits::new(),
        audit: AuditLog::start(store.clone()),
        reads: ReadCache::new(config.read_cache),
        direct: DirectCache::new(),
        streams: Streams::default(),
        bodies: Bodies::new(),
        imports: Arc::new(Semaphore::new(1)),
        changes: broadcast::channel(256).0,
        stopping: watch::channel(false).0,
        store,
        config,
    }))
}

/// Accepts connections until the node stops, then waits for the calls in flight.
async fn serve(listener: TcpListener, app: App, files: usize) {
    let mut stopping = app.stopping.subscribe();
    let front = http::Front::new(app);
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(READ_BUFFER).keep_alive(true);
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(connections(files)));
    loop {
        let Ok(place) = room.clone().acquire_owned().await else { break };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, usually: the next one may find a place.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = stopped(&mut stopping) => break,
        };
        let _ = stream.set_nodelay(true);
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), front.for_peer(peer.ip())));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("calls were still running after 10 seconds; stopping without them");
    }
}

/// How many files may be open, after that limit was raised as far as we need and the system allows.
fn open_files() -> usize {
    let files = rlimit::increase_nofile_limit(u64::try_from(2 * MAX_CONNECTIONS).unwrap_or(u64::MAX)).unwrap_or(1_024);
    usize::try_from(files).unwrap_or(usize::MAX)
}

/// As many connections as the limit of open files leaves room for.
fn connections(files: usize) -> usize {
    // Half for those that come in; the rest for calls to platforms, the database and the streams of the process.
    let room = (files / 2).clamp(64, MAX_CONNECTIONS);
    if room < MAX_CONNECTIONS {
        tracing::info!(connections = room, "the limit of open files bounds the number of connections");
    }
    room
}

/// Returns when the node is told to stop.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) -> std::io::Result<()> {
    Ok(())
}
