//! Is it alive, and can it serve. See docs/operations.md, section "Health".

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    clock::{now_ms, rfc3339},
    error::{Error, Kind, Result},
};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(ready))
}

/// Alive, since when it was asked.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Health {
    /// Always `healthy`.
    #[schema(example = "healthy")]
    status: &'static str,
    /// RFC 3339.
    timestamp: String,
}

/// Is the process alive.
#[utoipa::path(get, path = "/health", tag = "Health", operation_id = "health-check", security(()),
    responses((status = 200, description = "Server is healthy", body = Health)))]
async fn health() -> Json<Health> {
    Json(Health { status: "healthy", timestamp: rfc3339(now_ms()) })
}

/// Can it serve: the database answers and the node is not stopping.
#[utoipa::path(get, path = "/ready", tag = "Health", operation_id = "ready-check", security(()),
    responses((status = 200, description = "Ready", body = Health), (status = 503, description = "Not ready; try another node or later")))]
async fn ready(State(app): State<App>) -> Result<Json<Health>> {
    if *app.stopping.borrow() {
        return Err(Error::new(Kind::Unavailable, "This node is stopping."));
    }
    app.store.ping().await?;
    Ok(Json(Health { status: "ready", timestamp: rfc3339(now_ms()) }))
}
