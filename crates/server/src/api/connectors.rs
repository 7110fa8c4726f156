//! `/connectors`: what platforms offer, as the caller may see it. Source: Alloy's API.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    catalogue::{
        self,
        discover::{self, Filter},
        visible_action,
    },
    connectors::{About, Loaded},
    error::{Error, Result, over_rest},
    request::{Path, Query, Twin},
};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(search))
        .routes(routes!(get))
        .routes(routes!(resources))
        .routes(routes!(actions))
        .routes(routes!(action))
}

/// A connector in a list.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorItem {
    id: String,
    name: String,
    category: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    /// A picture as a `data:` address: no other host learns who looks.
    icon: String,
}

impl ConnectorItem {
    /// Of a connector in use.
    pub fn of(loaded: &Loaded) -> Self {
        let About { id, name, description, categories } = loaded.about.clone();
        Self { id, name, category: categories, description, icon: loaded.icon() }
    }
}

/// The connectors that the caller may see.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ConnectorList {
    connectors: Vec<ConnectorItem>,
    count: usize,
}

/// Which connectors are asked for.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only those of this category.
    category: Option<String>,
}

/// List connectors.
#[utoipa::path(get, path = "/connectors", tag = "Connectors", operation_id = "list-connectors", params(ListQuery),
    responses((status = 200, description = "Connectors", body = ConnectorList), (status = 401, description = "Not authenticated")))]
async fn list(State(app): State<App>, twin: Twin, Query(query): Query<ListQuery>) -> Result<axum::Json<ConnectorList>> {
    freshen(&app, &twin).await?;
    let all = catalogue::visible(&app.store, &twin.caller.scope, twin.caller.server.as_deref()).await?;
    let connectors: Vec<ConnectorItem> = all
        .iter()
        .filter(|loaded| query.category.as_ref().is_none_or(|wanted| loaded.has_category(wanted)))
        .map(|loaded| ConnectorItem::of(loaded))
        .collect();
    Ok(axum::Json(ConnectorList { count: connectors.len(), connectors }))
}

/// What is searched for.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// What should be done, in plain words: `send a message to a Slack channel`. At most 2,000 characters.
    goal: Option<String>,
    /// Only actions of this connector.
    #[serde(rename = "connectorId")]
    connector_id: Option<String>,
    /// Only actions of connectors of this category.
    category: Option<String>,
}

/// Rank actions for a goal in plain words.
#[utoipa::path(get, path = "/connectors/search", tag = "Connectors", operation_id = "search-actions", params(SearchQuery),
    responses((status = 200, description = "`{actions: [{connectorId, actionId, …}], count}`", body = Object),
        (status = 400, description = "No goal, one of more than 2,000 characters, or an unknown category"),
        (status = 401, description = "Not authenticated"), (status = 403, description = "The connector is not allowed on this server"),
        (status = 404, description = "No such connector")))]
async fn search(State(app): State<App>, twin: Twin, Query(query): Query<SearchQuery>) -> Result<axum::Json<Value>> {
    let Some(goal) = query.goal.filter(|goal| !goal.trim().is_empty()) else {
        return Err(Error::invalid("goal", "`goal` is missing: say in plain words what should be done."));
    };
    freshen(&app, &twin).await?;
    let (scope, server) = (&twin.caller.scope, twin.caller.server.as_deref());
    let filter = Filter { connector: query.connector_id.as_deref(), category: query.category.as_deref() };
    let mut found = discover::discover(&app.store, scope, server, &goal, &filter).await?;
    let message = over_rest(found["message"].as_str().unwrap_or_default()).into_owned();
    found["message"] = message.into();
    Ok(axum::Json(found))
}

/// Asks the upstreams that the caller reaches what they offer, where that is not known.
async fn freshen(app: &App, twin: &Twin) -> Result<()> {
    let owner = twin.caller.server.as_ref().map_or(&twin.caller.scope, |server| &server.owner);
    app.upstreams.freshen(owner, None).await
}

async fn resolve(app: &App, twin: &Twin, id: &str) -> Result<std::sync::Arc<Loaded>> {
    freshen(app, twin).await?;
    catalogue::resolve(&app.store, &twin.caller.scope, twin.caller.server.as_deref(), id).await
}

/// Show a connector.
#[utoipa::path(get, path = "/connectors/{connectorId}", tag = "Connectors", operation_id = "get-connector",
    params(("connectorId" = String, Path, description = "Connector ID")),
    responses((status = 200, description = "The connector", body = Object), (status = 401, description = "Not authenticated"),
        (status = 403, description = "Not allowed on this server"), (status = 404, description = "No such connector")))]
async fn get(State(app): State<App>, twin: Twin, Path(id): Path<String>) -> Result<axum::Json<Value>> {
    let loaded = resolve(&app, &twin, &id).await?;
    let definition = loaded.connector.definition();
    let server = twin.caller.server.as_deref();
    let actions = loaded.connector.summaries().filter(|(id, _)| visible_action(server, &definition.id, id)).count();
    let mut view = serde_json::to_value(ConnectorItem::of(&loaded)).map_err(Error::internal)?;
    view["actionCount"] = actions.into();
    view["baseUrl"] = definition.base_url.clone().into();
    view["docs"] = definition.docs.clone().into();
    view["authenticationTypes"] = definition.auth.iter().map(|scheme| scheme.kind.as_str()).collect::<Vec<_>>().into();
    Ok(axum::Json(view))
}

/// List a connector's resources with their actions.
#[utoipa::path(get, path = "/connectors/{connectorId}/resources", tag = "Connectors", operation_id = "list-connector-resources",
    params(("connectorId" = String, Path, description = "Connector ID")),
    responses((status = 200, description = "`{resources: [{name, actions: [{id, name, …}]}]}`", body = Object),
        (status = 401, description = "Not authenticated"), (status = 403, description = "Not allowed on this server"), (status = 404, description = "No such connector")))]
async fn resources(State(app): State<App>, twin: Twin, Path(id): Path<String>) -> Result<axum::Json<Value>> {
    let loaded = resolve(&app, &twin, &id).await?;
    let server = twin.caller.server.as_deref();
    Ok(axum::Json(amalgam_connector::describe::resources(&loaded.connector, &|action| visible_action(server, loaded.id(), action))))
}

/// List a connector's actions.
#[utoipa::path(get, path = "/connectors/{connectorId}/actions", tag = "Connectors", operation_id = "list-connector-actions",
    params(("connectorId" = String, Path, description = "Connector ID")),
    responses((status = 200, description = "`{actions: [{id, name, …}]}`", body = Object), (status = 401, description = "Not authenticated"),
        (status = 403, description = "Not allowed on this server"), (status = 404, description = "No such connector")))]
async fn actions(State(app): State<App>, twin: Twin, Path(id): Path<String>) -> Result<axum::Json<Value>> {
    let loaded = resolve(&app, &twin, &id).await?;
    let server = twin.caller.server.as_deref();
    let by_resource = amalgam_connector::describe::resources(&loaded.connector, &|action| visible_action(server, loaded.id(), action));
    let actions: Vec<Value> = by_resource["resources"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|resource| resource["actions"].as_array().cloned().unwrap_or_default())
        .collect();
    Ok(axum::Json(json!({ "count": actions.len(), "actions": actions })))
}

/// Say what an action needs: parameters, their places and schemas, a sample.
#[utoipa::path(get, path = "/connectors/{connectorId}/actions/{actionId}", tag = "Connectors", operation_id = "get-action",
    params(("connectorId" = String, Path, description = "Connector ID"), ("actionId" = String, Path, description = "Action ID")),
    responses((status = 200, description = "`{action: {id, httpMethod, path, parameters, requestBody, …}}`", body = Object),
        (status = 401, description = "Not authenticated"), (status = 403, description = "Not allowed on this server"), (status = 404, description = "No such connector or action")))]
async fn action(State(app): State<App>, twin: Twin, Path((id, action_id)): Path<(String, String)>) -> Result<axum::Json<Value>> {
    let loaded = resolve(&app, &twin, &id).await?;
    let server = twin.caller.server.as_deref();
    let action = catalogue::permitted_action(&loaded, server, &action_id)?;
    Ok(axum::Json(amalgam_connector::describe::action_details(&loaded.connector, action)))
}
