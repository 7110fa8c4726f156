//! `/api/v1/mcp-connections`: MCP servers as their owner and as end users reach them. Source: Splox's API.

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::user_mcp_servers::{UpstreamView, own, remove};
use crate::{
    app::App,
    error::{Error, Result},
    request::{Management, Path, Query},
};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(delete))
}

/// Which connections are asked for.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// `end_user` (the default): those that your end users have made; `owner_user`: your own.
    scope: Option<String>,
    /// Only those of this MCP server; with `end_user` only.
    mcp_server_id: Option<String>,
    /// Only those of this end user; with `end_user` only.
    end_user_id: Option<String>,
}

/// List connections.
#[utoipa::path(get, path = "/api/v1/mcp-connections", tag = "MCP Servers", operation_id = "list-mcp-connections", params(ListQuery),
    responses((status = 200, description = "`{connections, total}`", body = Object), (status = 400, description = "A query parameter is wrong"),
        (status = 401, description = "Not authenticated")))]
async fn list(State(app): State<App>, Management(caller): Management, Query(query): Query<ListQuery>) -> Result<axum::Json<Value>> {
    let connections: Vec<UpstreamView> = match query.scope.as_deref().unwrap_or("end_user") {
        "end_user" => {
            let mine = own(&app, &caller).await?;
            let made = app.store.connections(&caller.scope, query.mcp_server_id.as_deref(), query.end_user_id.as_deref()).await?;
            let mut views = Vec::with_capacity(made.len());
            for connection in &made {
                if let Some(registered) = mine.iter().find(|registered| registered.upstream.id == connection.upstream_id) {
                    views.push(UpstreamView::of(&app, registered).await?.of_end_user(connection));
                }
            }
            views
        }
        "owner_user" if query.mcp_server_id.is_some() || query.end_user_id.is_some() => {
            return Err(Error::invalid("scope", "`mcp_server_id` and `end_user_id` need `scope=end_user`."));
        }
        "owner_user" => UpstreamView::all(&app, &own(&app, &caller).await?).await?,
        _ => return Err(Error::invalid("scope", "`scope` must be \"end_user\" or \"owner_user\".")),
    };
    Ok(axum::Json(json!({ "total": connections.len(), "connections": connections })))
}

/// Delete a connection.
#[utoipa::path(delete, path = "/api/v1/mcp-connections/{connectionId}", tag = "MCP Servers", operation_id = "delete-mcp-connection",
    params(("connectionId" = String, Path, description = "Connection ID")),
    responses((status = 200, description = "`{status: \"deleted\"}`", body = Object), (status = 401, description = "Not authenticated"),
        (status = 404, description = "No such connection")))]
async fn delete(State(app): State<App>, Management(caller): Management, Path(id): Path<String>) -> Result<axum::Json<Value>> {
    caller.require_key()?;
    if let Some(held) = app.store.upstream_grant_named(&caller.scope, &id).await? {
        let ended = vec![held];
        app.store.delete_upstream_grants(&ended).await?;
        app.upstreams.end_grants(ended);
        return Ok(axum::Json(json!({ "status": "deleted" })));
    }
    if app.store.delete_connection(&caller.scope, &id).await? {
        return Ok(axum::Json(json!({ "status": "deleted" })));
    }
    remove(&app, &caller, &id).await.map(axum::Json)
}
