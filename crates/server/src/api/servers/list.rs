//! List servers. Source: Alloy's API.

use axum::{Json, extract::State};
use serde::Serialize;

use super::view::ServerView;
use crate::{
    app::App,
    error::Result,
    request::{Management, PageQuery, Query},
};

/// A page of servers.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerList {
    servers: Vec<ServerView>,
    /// How many there are in all.
    count: i64,
    /// The same.
    total: i64,
    limit: i64,
    offset: i64,
    has_more: bool,
}

/// List your servers, oldest first.
#[utoipa::path(get, path = "/api/servers", tag = "Server Management", operation_id = "list-servers", params(PageQuery,
    ("x-alloy-userid" = Option<String>, Header, description = "Owner whose servers an admin key lists")),
    responses((status = 200, description = "A page of servers", body = ServerList), (status = 401, description = "Not authenticated")))]
pub async fn list(State(app): State<App>, Management(caller): Management, Query(query): Query<PageQuery>) -> Result<Json<ServerList>> {
    let page = query.page()?;
    let (servers, total) = app.store.list_servers(&caller.scope, page).await?;
    let has_more = page.offset + i64::try_from(servers.len()).unwrap_or(0) < total;
    let views = servers.into_iter().map(|(server, token)| ServerView::new(&app, &server).revealing(token)).collect();
    Ok(Json(ServerList { servers: views, count: total, total, limit: page.limit, offset: page.offset, has_more }))
}
