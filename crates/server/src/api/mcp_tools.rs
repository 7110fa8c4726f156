//! `/api/v1/mcp-tools`: tools of MCP servers by one REST call each. Source: Splox's API.

use std::{collections::BTreeMap, time::Duration};

use amalgam_protocol::splice::{Object, quoted};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header::CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{mcp_catalog, user_mcp_servers::own};
use crate::{
    app::App,
    auth::{Caller, check_user_id},
    call::{
        Door,
        upstream::{Forward, end, forward},
    },
    connect,
    error::{Error, Kind, Result},
    limits::Limited,
    request::{Json, JsonText, Management, RequestId},
    store::Scope,
    upstream::Client,
};

/// Executions a minute for each user.
const LIMIT: u32 = 30;
/// The vendor's clients give up after 30 seconds, so that we answer before.
const DEADLINE: Duration = Duration::from_secs(28);

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(execute)).routes(routes!(execute_runtime)).routes(routes!(search)).routes(routes!(connections))
}

/// One call of a tool.
#[derive(utoipa::ToSchema)]
#[schema(as = McpToolExecution)]
#[expect(dead_code, reason = "documents the shape that `run` takes apart by hand")]
pub struct ExecuteBody {
    /// One of your MCP servers: its id, or that of the connector that it is.
    mcp_server_id: String,
    /// The name of one of its tools.
    tool_slug: String,
    /// The tool's arguments; absent = `{}`.
    #[schema(value_type = Option<Object>)]
    args: Option<Value>,
    /// Your end user for whom the tool runs; the MCP server sees a session of its own for each.
    end_user_id: Option<String>,
}

/// Call a tool of one of your MCP servers. `result` is what the MCP server answered, word for word.
#[utoipa::path(post, path = "/api/v1/mcp-tools/execute", tag = "MCP Servers", operation_id = "execute-mcp-tool", request_body = ExecuteBody,
    responses((status = 200, description = "`{result, is_error}`", body = Object), (status = 400, description = "Missing or wrong input"),
        (status = 401, description = "Not authenticated"), (status = 404, description = "No such MCP server"), (status = 429, description = "More than 30 a minute"),
        (status = 502, description = "The MCP server is not reachable or failed"), (status = 504, description = "The MCP server was too slow")))]
async fn execute(State(app): State<App>, Management(caller): Management, id: RequestId, body: JsonText) -> Result<Response> {
    run(&app, &caller, &id, body.text()).await
}

/// The same under the path that current clients of the vendor use.
#[utoipa::path(post, path = "/api/v1/runtime/mcp-tools/execute", tag = "MCP Servers", operation_id = "execute-mcp-tool-runtime", request_body = ExecuteBody,
    responses((status = 200, description = "`{result, is_error}`", body = Object), (status = 400, description = "Missing or wrong input"),
        (status = 401, description = "Not authenticated"), (status = 404, description = "No such MCP server"), (status = 429, description = "More than 30 a minute"),
        (status = 502, description = "The MCP server is not reachable or failed"), (status = 504, description = "The MCP server was too slow")))]
async fn execute_runtime(State(app): State<App>, Management(caller): Management, id: RequestId, body: JsonText) -> Result<Response> {
    run(&app, &caller, &id, body.text()).await
}

fn count(app: &App, caller: &Caller) -> Result<Limited> {
    let limited = app.limits.check(caller.window("mcp-tools"), LIMIT);
    if limited.outcome.allowed { Ok(limited) } else { Err(limited.error()) }
}

async fn run(app: &App, caller: &Caller, request_id: &str, body: &str) -> Result<Response> {
    let limited = count(app, caller)?;
    let wrong = || Error::new(Kind::InvalidRequest, "Invalid payload: the body must be an object with `mcp_server_id` and `tool_slug`.");
    let body = Object::parse(body).map_err(|_| wrong())?;
    let text = |name: &str| match body.get(name).filter(|json| *json != "null") {
        None => Ok(None),
        Some(_) => match body.text(name).filter(|text| !text.is_empty()) {
            Some(text) => Ok(Some(text.into_owned())),
            None => Err(Error::invalid(name, format!("`{name}` must be a string that is not empty."))),
        },
    };
    let required = |name: &str| text(name)?.ok_or_else(|| Error::invalid(name, format!("`{name}` is missing.")));
    let (id, tool) = (required("mcp_server_id")?, required("tool_slug")?);
    let args = body.get("args").filter(|json| *json != "null").unwrap_or("{}");
    if !args.starts_with('{') {
        return Err(Error::invalid("args", "`args` must be an object with the tool's arguments."));
    }
    let user = match text("end_user_id")? {
        Some(user) => {
            check_user_id("end_user_id", &user)?;
            user.into()
        }
        None => caller.scope.user.clone(),
    };
    let registered = app.store.upstream_named(&caller.scope, &id).await?;
    let user = Scope { account: caller.scope.account.clone(), user };
    let call = Forward {
        caller,
        door: Door::Rest,
        connector_id: &registered.upstream.slug,
        action_id: &tool,
        method: "tools/call",
        params: &format!("{{\"name\":{},\"arguments\":{args}}}", quoted(&tool)),
        members: None,
        body: None,
        renamed: None,
        request_state: None,
        log_level: None,
        client: &Client::plain(&user),
        timeout: Some(DEADLINE.min(app.upstreams.timeout(&registered.upstream))),
        request_id,
    };
    let late =
        |_| Err(Error::new(Kind::PlatformTimeout, format!("{} did not finish its answer within 28 seconds.", registered.upstream.name)));
    let result = tokio::time::timeout(DEADLINE, async { end(&mut Box::pin(forward(app, &call)).await?).await }).await;
    let result = match result.unwrap_or_else(late) {
        Ok(result) => result,
        Err(error) => return Err(connect::lead_user(app, caller, &user, None, error).await),
    };
    let is_error = Object::parse(&result).is_ok_and(|result| result.get("isError") == Some("true"));
    let mut response = format!("{{\"result\":{result},\"is_error\":{is_error}}}").into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    limited.write(response.headers_mut());
    Ok(response)
}

/// What is looked for.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[schema(as = McpServerSearch)]
#[serde(default)]
pub struct SearchBody {
    /// In name, description and address; absent = all.
    search_query: Option<String>,
    /// 1 to 100, default 10.
    limit: Option<usize>,
    /// After this many, default 0.
    offset: Option<usize>,
}

/// Look for MCP servers: yours, and those of the catalogue.
#[utoipa::path(post, path = "/api/v1/mcp-tools/search", tag = "MCP Servers", operation_id = "search-mcp-servers", request_body = SearchBody,
    responses((status = 200, description = "`{results: [{name, description, is_user_connected, connect_link, mcp_url}], total, limit, offset}`", body = Object),
        (status = 400, description = "A field is wrong"), (status = 401, description = "Not authenticated"), (status = 429, description = "More than 30 a minute")))]
async fn search(State(app): State<App>, Management(caller): Management, Json(body, ..): Json<SearchBody>) -> Result<axum::Json<Value>> {
    count(&app, &caller)?;
    let (limit, offset) = (body.limit.unwrap_or(10), body.offset.unwrap_or(0));
    if !(1..=100).contains(&limit) {
        return Err(Error::invalid("limit", "`limit` must be a whole number from 1 to 100."));
    }
    let mine = own(&app, &caller).await?;
    let mut found: BTreeMap<String, Value> = BTreeMap::new();
    let offered = mcp_catalog::all(&app, &caller).await?;
    for registered in mine.iter().chain(&offered) {
        let upstream = &registered.upstream;
        if mcp_catalog::matches(upstream, body.search_query.as_deref()) {
            let is_mine = upstream.owner == caller.scope;
            found.entry(upstream.url.clone()).or_insert_with(|| {
                json!({
                    "name": upstream.name,
                    "description": upstream.settings.description,
                    "is_user_connected": is_mine,
                    "connect_link": (!is_mine).then(|| format!("{}/api/v1/mcp-catalog/{}", app.base_url, upstream.id)),
                    "mcp_url": upstream.url,
                })
            });
        }
    }
    let total = found.len();
    let results: Vec<Value> = found.into_values().skip(offset).take(limit).collect();
    Ok(axum::Json(json!({ "results": results, "total": total, "limit": limit, "offset": offset })))
}

/// List your MCP servers with their tools, one entry for each address.
#[utoipa::path(post, path = "/api/v1/mcp-tools/list-user-connections", tag = "MCP Servers", operation_id = "list-mcp-user-connections", request_body = Object,
    responses((status = 200, description = "`{connections: [{mcp_url, tools: [{slug, description}], connections: [{mcp_server_id, name}]}], total}`", body = Object),
        (status = 401, description = "Not authenticated"), (status = 429, description = "More than 30 a minute")))]
async fn connections(
    State(app): State<App>,
    Management(caller): Management,
    Json(_body, ..): Json<serde_json::Map<String, Value>>,
) -> Result<axum::Json<Value>> {
    count(&app, &caller)?;
    app.upstreams.freshen(&caller.scope, None).await?;
    let mut by_url: indexmap::IndexMap<String, (Vec<Value>, Vec<Value>)> = indexmap::IndexMap::new();
    for registered in own(&app, &caller).await? {
        let (tools, connections) = by_url.entry(registered.upstream.url.clone()).or_default();
        connections.push(json!({ "mcp_server_id": registered.upstream.id, "name": registered.upstream.name }));
        if tools.is_empty() {
            let actions = registered.loaded.connector.summaries();
            tools.extend(actions.map(|(id, action)| json!({ "slug": id, "description": action.description })));
        }
    }
    let all: Vec<Value> = by_url
        .into_iter()
        .map(|(url, (tools, connections))| json!({ "mcp_url": url, "tools": tools, "connections": connections }))
        .collect();
    Ok(axum::Json(json!({ "total": all.len(), "connections": all })))
}
