//! Delete a server. Source: Alloy's API.

use axum::{Json, extract::State};
use serde::Serialize;

use crate::{
    app::App,
    error::{Error, Result},
    request::{Management, Path},
    store::Change,
};

/// What is left of a server.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeletedServer)]
pub struct Deleted {
    message: &'static str,
    server_id: String,
}

/// Delete a server with its tokens and workflows. There is no way back.
#[utoipa::path(delete, path = "/api/servers/{serverId}", tag = "Server Management", operation_id = "delete-server",
    params(("serverId" = String, Path, description = "Server ID")),
    responses((status = 200, description = "Deleted", body = Deleted), (status = 401, description = "Not authenticated"),
        (status = 404, description = "No such server")))]
pub async fn delete(State(app): State<App>, Management(caller): Management, Path(id): Path<String>) -> Result<Json<Deleted>> {
    if !app.store.delete_server(&caller.scope, &id).await? {
        return Err(Error::not_found("server"));
    }
    app.announce(Change::Server(id.clone()));
    Ok(Json(Deleted { message: "Server deleted", server_id: id }))
}
