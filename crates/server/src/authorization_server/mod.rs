//! The embedded authorization server (OAuth 2.1): MCP clients that are given a server's address alone sign its user in here.
//!
//! A client names itself by the address of its metadata document or registers, which keeps nothing; the user signs in and consents; the
//! client exchanges its code, with PKCE, for an access token that opens this one server and a refresh token that is used once.

mod authorize;
mod client;
mod consent;
mod fields;
mod introspect;
mod metadata;
mod provider;
mod redirect;
mod refusal;
mod register;
mod session;
mod sign_in;
mod token;

use std::{hash::Hash, sync::Arc, time::Duration};

use axum::{
    Router,
    routing::{get, post},
};
use moka::sync::Cache;
use tokio::sync::Mutex;

use self::client::Client;
use crate::{app::App, error::Result};

/// A code must be exchanged within this time, in milliseconds.
const CODE_MS: i64 = 60 * 1000;
/// An access token works for so long, in milliseconds.
const ACCESS_MS: i64 = 60 * 60 * 1000;
/// A refresh token works for so long, in milliseconds; each comes with a new one.
const REFRESH_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
struct Shared {
    app: App,
    /// Metadata documents of clients, by their addresses.
    documents: Cache<String, Arc<Client>>,
    /// What the provider that signs users in says of itself, and when it was asked.
    provider: Arc<Mutex<provider::Kept>>,
}

/// The routes. They are not part of the REST API: clients find them through the metadata.
pub fn routes<S: Clone + Send + Sync + 'static>(app: App) -> Router<S> {
    let documents = Cache::builder().max_capacity(1_000).time_to_live(Duration::from_secs(600)).build();
    let resource = Router::new()
        .route("/.well-known/oauth-protected-resource/mcp", get(metadata::endpoint))
        .route("/.well-known/oauth-protected-resource/mcp/{serverId}", get(metadata::server));
    // Where another authorization server is configured, ours is not there.
    let routes = if app.config.authorization_server.is_some() { resource } else { resource.merge(own()) };
    routes.with_state(Shared { app, documents, provider: Arc::default() })
}

fn own() -> Router<Shared> {
    Router::new()
        .route("/.well-known/oauth-authorization-server", get(metadata::authorization_server))
        .route("/.well-known/oauth-authorization-server/{*path}", get(metadata::authorization_server_at))
        .route("/.well-known/openid-configuration", get(metadata::authorization_server))
        .route("/.well-known/openid-configuration/{*path}", get(metadata::authorization_server_at))
        .route("/oauth/authorize", get(authorize::authorize))
        .route("/oauth/sign-in", post(sign_in::by_password))
        .route("/oauth/provider", get(provider::leave))
        .route("/oauth/signed-in", get(provider::back))
        .route("/oauth/consent", post(consent::decide))
        .route("/oauth/token", post(token::exchange))
        .route("/oauth/register", post(register::register))
        .route("/oauth/revoke", post(token::revoke))
        .route("/oauth/introspect", post(introspect::introspect))
}

/// Counts one more of this in this minute; 429 when there were `limit`.
fn within(app: &App, what: impl Hash, limit: u32) -> Result<()> {
    app.limits.within(("authorization server", what), limit)
}
