//! `/api/v1/mcp-catalog`: MCP servers that admins of the account recommend, without their secrets. Source: Splox's API.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    auth::Caller,
    clock::rfc3339,
    error::{Error, Kind, Result},
    request::{Management, Path, Query},
    store::upstreams::{Registered, Upstream},
};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

/// Which items are asked for.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CatalogQuery {
    /// From 1, default 1.
    #[param(value_type = Option<i64>, minimum = 1)]
    page: Option<String>,
    /// 1 to 100, default 20.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 100)]
    per_page: Option<String>,
    /// In name, description or address.
    search: Option<String>,
    /// Only those that the catalogue shows first.
    #[param(value_type = Option<bool>)]
    featured: Option<String>,
}

/// List the catalogue.
#[utoipa::path(get, path = "/api/v1/mcp-catalog", tag = "MCP Servers", operation_id = "list-mcp-catalog", params(CatalogQuery),
    responses((status = 200, description = "`{mcp_servers, current_page, per_page, total_count, total_pages}`", body = Object),
        (status = 400, description = "A query parameter is wrong"), (status = 401, description = "Not authenticated")))]
async fn list(State(app): State<App>, Management(caller): Management, Query(query): Query<CatalogQuery>) -> Result<axum::Json<Value>> {
    let number = |name: &str, text: &Option<String>, default: usize, to: usize| match text {
        None => Ok(default),
        Some(text) => {
            let wrong = || Error::invalid(name, format!("`{name}` must be a whole number from 1 to {to}."));
            text.parse().ok().filter(|n| (1..=to).contains(n)).ok_or_else(wrong)
        }
    };
    let (page, per_page) = (number("page", &query.page, 1, 1_000_000)?, number("per_page", &query.per_page, 20, 100)?);
    let featured = match query.featured.as_deref() {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Err(Error::invalid("featured", "`featured` must be true or false.")),
    };
    let mut found = all(&app, &caller).await?;
    found.retain(|registered| {
        let upstream = &registered.upstream;
        featured.is_none_or(|wanted| upstream.settings.is_featured == wanted) && matches(upstream, query.search.as_deref())
    });
    let total = found.len();
    let items: Vec<Value> = found.iter().skip((page - 1) * per_page).take(per_page).map(|registered| item(&registered.upstream)).collect();
    Ok(axum::Json(json!({
        "mcp_servers": items,
        "current_page": page,
        "per_page": per_page,
        "total_count": total,
        "total_pages": total.div_ceil(per_page),
    })))
}

/// Show one item of the catalogue.
#[utoipa::path(get, path = "/api/v1/mcp-catalog/{catalogId}", tag = "MCP Servers", operation_id = "get-mcp-catalog-item",
    params(("catalogId" = String, Path, description = "ID of the item")),
    responses((status = 200, description = "`{mcp_server}`", body = Object), (status = 401, description = "Not authenticated"), (status = 404, description = "No such item")))]
async fn get(State(app): State<App>, Management(caller): Management, Path(id): Path<String>) -> Result<axum::Json<Value>> {
    let found = all(&app, &caller).await?;
    let found = found.iter().find(|registered| registered.upstream.id == id);
    let found = found.ok_or_else(|| Error::new(Kind::NotFound, "MCP server not found"))?;
    Ok(axum::Json(json!({ "mcp_server": item(&found.upstream) })))
}

/// The whole catalogue of the caller's account: featured ones first.
pub async fn all(app: &App, caller: &Caller) -> Result<Vec<Arc<Registered>>> {
    let all = app.store.upstreams(&caller.scope.account).await?;
    let mut shown: Vec<_> = all.values().filter(|registered| registered.upstream.settings.in_catalog).cloned().collect();
    shown.sort_by_key(|registered| !registered.upstream.settings.is_featured);
    Ok(shown)
}

/// Whether a search finds it.
pub fn matches(upstream: &Upstream, search: Option<&str>) -> bool {
    let Some(search) = search.map(str::to_lowercase) else { return true };
    let texts = [Some(&upstream.name), upstream.settings.description.as_ref(), Some(&upstream.url)];
    texts.into_iter().flatten().any(|text| text.to_lowercase().contains(&search))
}

fn item(upstream: &Upstream) -> Value {
    json!({
        "id": upstream.id,
        "name": upstream.name,
        "url": upstream.url,
        "transport_type": upstream.transport.as_str(),
        "auth_type": upstream.auth.as_str(),
        "is_featured": upstream.settings.is_featured,
        "description": upstream.settings.description,
        "image_url": upstream.settings.image_url,
        "category": upstream.settings.category,
        "auth_config": Value::Null,
        "display_order": Value::Null,
        "created_at": rfc3339(upstream.created_at),
        "updated_at": rfc3339(upstream.updated_at),
    })
}
