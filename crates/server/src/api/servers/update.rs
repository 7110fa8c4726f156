//! Change a server. Source: Alloy's API.

use axum::extract::State;

use super::view::{ServerBody, ServerView, judge_connectors, judge_prefixes};
use crate::{
    app::App,
    error::{Error, Kind, Result},
    request::{Json, Management, Path},
    store::Change,
};

/// Change the fields that are sent; `restrictions` is replaced whole.
#[utoipa::path(put, path = "/api/servers/{serverId}", tag = "Server Management", operation_id = "update-server",
    params(("serverId" = String, Path, description = "Server ID")), request_body = ServerBody,
    responses((status = 200, description = "The server", body = ServerView), (status = 400, description = "A field is wrong; `details.field` names it"),
        (status = 401, description = "Not authenticated"), (status = 404, description = "No such server"),
        (status = 409, description = "Server name already exists")))]
pub async fn update(
    State(app): State<App>,
    Management(caller): Management,
    Path(id): Path<String>,
    Json(body, ..): Json<ServerBody>,
) -> Result<axum::Json<ServerView>> {
    if body.token_expires_in_days.is_some() {
        let sentence = "`tokenExpiresInDays` belongs to the token: send it with POST /api/servers/{serverId}/token, which makes a new one.";
        return Err(Error::invalid("tokenExpiresInDays", sentence));
    }
    let known = app.store.server(&caller.scope, &id).await?;
    let mut server = (*known).clone();
    body.apply(&mut server)?;
    judge_connectors(&app, &caller.scope, &known.settings.connectors, &server).await?;
    judge_prefixes(&app, &caller.scope, &server).await?;
    server.touch();
    if !app.store.update_server(&caller.scope, &server, known.updated_at).await? {
        return Err(Error::new(
            Kind::Conflict,
            "The server was changed by somebody else at the same time; read it and send your change again.",
        ));
    }
    app.announce(Change::Server(server.id.clone()));
    ServerView::with_access_url(&app, &caller.scope, &server).await.map(axum::Json)
}
