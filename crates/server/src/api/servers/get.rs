//! Show a server. Source: Alloy's API.

use axum::{Json, extract::State};

use super::view::ServerView;
use crate::{
    app::App,
    error::Result,
    request::{Management, Path},
};

/// Show one of your servers.
#[utoipa::path(get, path = "/api/servers/{serverId}", tag = "Server Management", operation_id = "get-server",
    params(("serverId" = String, Path, description = "Server ID")),
    responses((status = 200, description = "The server", body = ServerView), (status = 401, description = "Not authenticated"),
        (status = 404, description = "No such server")))]
pub async fn get(State(app): State<App>, Management(caller): Management, Path(id): Path<String>) -> Result<Json<ServerView>> {
    let server = app.store.server(&caller.scope, &id).await?;
    ServerView::with_access_url(&app, &caller.scope, &server).await.map(Json)
}
