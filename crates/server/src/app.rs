//! Every long-lived thing of a node, built once.

use std::sync::Arc;

use amalgam_vault::Secret;
use tokio::sync::{Semaphore, broadcast};

use crate::{
    config::Config,
    direct::DirectCache,
    egress::Egress,
    grants::Grants,
    jwt::UserTokens,
    limits::{Limits, Streams, bodies::Bodies},
    read_cache::ReadCache,
    store::{Change, Store},
    telemetry::audit::AuditLog,
    upstream::Upstreams,
};

/// A node. Cheap to clone.
pub type App = Arc<AppState>;

/// What a node consists of.
pub struct AppState {
    /// The settings.
    pub config: Config,
    /// Where clients reach us, without a trailing slash.
    pub base_url: String,
    /// Our secret at the provider that signs users in.
    pub oidc_secret: Option<Secret>,
    /// What is kept.
    pub store: Arc<Store>,
    /// The one client for requests that leave.
    pub egress: Egress,
    /// The same for addresses that strangers name: what connectors may reach inside is closed to it.
    pub documents: Egress,
    /// Rate windows.
    pub limits: Limits,
    /// The audit trail.
    pub audit: AuditLog,
    /// Answers of read actions.
    pub reads: ReadCache,
    /// Tools of servers with direct exposure.
    pub direct: DirectCache,
    /// User tokens.
    pub user_tokens: UserTokens,
    /// OAuth grants of users at platforms.
    pub grants: Grants,
    /// The client of other MCP servers.
    pub upstreams: Upstreams,
    /// Room for large bodies.
    pub bodies: Bodies,
    /// One document is made into a connector at a time: it takes many times its size.
    pub imports: Arc<Semaphore>,
    /// How many streams each principal holds open.
    pub streams: Streams,
    /// What changed, for open streams.
    pub changes: broadcast::Sender<Change>,
    /// Becomes true when the node stops: streams end, new work is refused.
    pub stopping: tokio::sync::watch::Sender<bool>,
}

impl AppState {
    /// Tells open streams; nobody listening is no error.
    pub fn announce(&self, change: Change) {
        let _ = self.changes.send(change);
    }
}
