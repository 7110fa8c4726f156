//! Rotate and revoke a server's token. See docs/rest.md, section "Servers".

use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::view::ServerView;
use crate::{
    api::token::{Made, expiry},
    app::App,
    clock::now_ms,
    error::{Error, Result},
    request::{Json, Management, Path, present},
};

/// How the new token and the old one live.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rotation {
    /// 1 to 365; absent = 90; null = never.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 365)]
    token_expires_in_days: Option<Option<i64>>,
    /// How long the old token still works: 0 to 86,400; absent = it dies at once.
    #[schema(minimum = 0, maximum = 86400)]
    grace_seconds: Option<i64>,
}

/// What is left of a token.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RevokedToken)]
pub struct Revoked {
    message: &'static str,
    server_id: String,
}

/// Make a new token; the old one dies at once, or after `graceSeconds`.
#[utoipa::path(post, path = "/api/servers/{serverId}/token", tag = "Server Management", operation_id = "rotate-token",
    params(("serverId" = String, Path, description = "Server ID")), request_body = Option<Rotation>,
    responses((status = 200, description = "The server with its new token", body = ServerView), (status = 400, description = "A field is wrong"),
        (status = 401, description = "Not authenticated"), (status = 404, description = "No such server")))]
pub async fn rotate(
    State(app): State<App>,
    Management(caller): Management,
    Path(id): Path<String>,
    body: Option<Json<Rotation>>,
) -> Result<axum::Json<ServerView>> {
    let rotation = body.map_or_else(Rotation::default, |Json(rotation, ..)| rotation);
    let grace = rotation.grace_seconds.unwrap_or(0);
    if !(0..=86_400).contains(&grace) {
        return Err(Error::invalid("graceSeconds", "`graceSeconds` must be a whole number from 0 to 86,400."));
    }
    let expires_at = expiry(rotation.token_expires_in_days, now_ms())?;
    let server = app.store.server(&caller.scope, &id).await?;
    let token = Made::new(&app, &server.id)?;
    app.store.rotate_token(&server, &token.as_new(expires_at), grace * 1000).await?;
    Ok(axum::Json(ServerView::with_new_token(&app, &server, token.text(), expires_at)))
}

/// End the token: the token URL stops working at once. Make a new one with POST.
#[utoipa::path(delete, path = "/api/servers/{serverId}/token", tag = "Server Management", operation_id = "revoke-token",
    params(("serverId" = String, Path, description = "Server ID")),
    responses((status = 200, description = "Revoked", body = Revoked), (status = 401, description = "Not authenticated"),
        (status = 404, description = "No such server, or it has no token")))]
pub async fn revoke(State(app): State<App>, Management(caller): Management, Path(id): Path<String>) -> Result<axum::Json<Revoked>> {
    let server = app.store.server(&caller.scope, &id).await?;
    if !app.store.revoke_tokens(&server).await? {
        return Err(Error::not_found("token"));
    }
    Ok(axum::Json(Revoked { message: "Token revoked", server_id: server.id.clone() }))
}
