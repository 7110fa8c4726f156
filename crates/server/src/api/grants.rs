//! `/api/grants`: which MCP clients a user has allowed to use which servers.

use axum::extract::State;
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::answers::Removed;
use crate::{
    app::App,
    clock::rfc3339,
    error::{Error, Result},
    request::{Management, PageQuery, Path, Query},
    store::grants::Allowed,
};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(delete))
}

/// What a user has allowed an MCP client.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrantView {
    id: String,
    /// What the client calls itself; nobody vouches for it.
    client_name: String,
    /// Where the client had its user sent back to.
    redirect_uri: String,
    /// The one server that it may use.
    server_id: String,
    scope: String,
    created_at: String,
    /// When it ends unless the client refreshes it.
    expires_at: String,
}

impl From<Allowed> for GrantView {
    fn from(allowed: Allowed) -> Self {
        Self {
            id: allowed.id,
            client_name: allowed.client_name,
            redirect_uri: allowed.redirect_uri,
            server_id: allowed.server_id,
            scope: allowed.scope,
            created_at: rfc3339(allowed.created_at),
            expires_at: rfc3339(allowed.expires_at),
        }
    }
}

/// A page of grants.
#[derive(Serialize, utoipa::ToSchema)]
pub struct GrantList {
    grants: Vec<GrantView>,
    /// How many there are in all.
    count: i64,
}

/// List the MCP clients that the effective user has allowed, newest first.
#[utoipa::path(get, path = "/api/grants", tag = "Users", operation_id = "list-grants", params(PageQuery),
    responses((status = 200, description = "Grants", body = GrantList), (status = 401, description = "Not authenticated")))]
async fn list(State(app): State<App>, Management(caller): Management, Query(query): Query<PageQuery>) -> Result<axum::Json<GrantList>> {
    let (grants, count) = app.store.list_grants(&caller.scope, query.page()?).await?;
    Ok(axum::Json(GrantList { grants: grants.into_iter().map(GrantView::from).collect(), count }))
}

/// End what the effective user has allowed a client: its tokens stop working at once.
#[utoipa::path(delete, path = "/api/grants/{grantId}", tag = "Users", operation_id = "revoke-grant",
    params(("grantId" = String, Path, description = "Grant ID")),
    responses((status = 200, description = "Ended", body = Removed), (status = 401, description = "Not authenticated"),
        (status = 404, description = "No such grant")))]
async fn delete(State(app): State<App>, Management(caller): Management, Path(id): Path<String>) -> Result<axum::Json<Removed>> {
    if !app.store.revoke_grant(&caller.scope, &id).await? {
        return Err(Error::not_found("grant"));
    }
    Ok(Removed::answer("Grant ended", id))
}
