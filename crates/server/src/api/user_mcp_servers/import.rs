//! Registering what other programs have written down: the `mcpServers` of desktop clients, and `server.json` of the MCP registry.

use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{UpstreamView, body::UpstreamBody, register};
use crate::{
    app::App,
    error::{Error, Kind, Result},
    request::{Json, Management, from_value},
};

/// Most servers in one document.
const MAX: usize = 100;

/// What became of a document.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ImportedMcpServers)]
pub struct Imported {
    servers: Vec<UpstreamView>,
    /// What was not registered: `[{name, reason}]`.
    #[schema(value_type = Vec<Object>)]
    omitted: Vec<Value>,
}

/// Register the MCP servers of a document: `{"mcpServers": {…}}` of desktop clients, or a `server.json` of the MCP registry (2025-12-11).
///
/// Processes are left out and listed in `omitted`: they come from the operator's configuration alone.
#[utoipa::path(post, path = "/api/v1/user-mcp-servers/import", tag = "MCP Servers", operation_id = "import-user-mcp-servers", request_body = Object,
    responses((status = 201, description = "What was registered, and what not", body = Imported), (status = 400, description = "The document is of neither kind"),
        (status = 401, description = "Not authenticated")))]
pub async fn import(
    State(app): State<App>,
    Management(caller): Management,
    Json(document, ..): Json<Value>,
) -> Result<(StatusCode, axum::Json<Imported>)> {
    caller.require_key()?;
    let entries = entries(&document)?;
    if entries.len() > MAX {
        return Err(Error::new(Kind::InvalidRequest, format!("One document may hold at most {MAX} MCP servers.")));
    }
    let (mut servers, mut omitted) = (Vec::new(), Vec::new());
    for (name, entry) in entries {
        let registered = match entry.and_then(|body| from_value::<UpstreamBody>(body).map_err(|error| error.message.into_owned())) {
            Ok(body) => register(&app, &caller, body).await.map_err(|error| error.message.into_owned()),
            Err(reason) => Err(reason),
        };
        match registered {
            Ok(registered) => servers.push(UpstreamView::of(&app, &registered).await?),
            Err(reason) => omitted.push(json!({ "name": name, "reason": reason })),
        }
    }
    Ok((StatusCode::CREATED, axum::Json(Imported { servers, omitted })))
}

type Entry = (String, Result<Value, String>);

fn entries(document: &Value) -> Result<Vec<Entry>> {
    if let Some(named) = document.get("mcpServers").and_then(Value::as_object) {
        return Ok(named.iter().map(|(name, entry)| (name.clone(), desktop(name, entry))).collect());
    }
    if let Some(name) = document.get("name").and_then(Value::as_str)
        && (document.get("remotes").is_some() || document.get("packages").is_some())
    {
        return Ok(vec![(name.to_owned(), registry(document, name))]);
    }
    let sentence = "The body must be `{\"mcpServers\": {…}}`, as desktop clients keep it, or a `server.json` of the MCP registry with `name` and `remotes`.";
    Err(Error::new(Kind::InvalidRequest, sentence))
}

/// One entry of `mcpServers`.
fn desktop(name: &str, entry: &Value) -> Result<Value, String> {
    if entry.get("command").is_some() {
        return Err(PROCESS.to_owned());
    }
    let Some(url) = entry.get("url").or(entry.get("serverUrl")) else { return Err("it has no `url`".to_owned()) };
    let kind = entry.get("type").or(entry.get("transport")).and_then(Value::as_str).unwrap_or_default();
    let transport = if kind.eq_ignore_ascii_case("sse") { "sse" } else { "streamable_http" };
    let headers = entry.get("headers").and_then(Value::as_object).filter(|headers| !headers.is_empty());
    Ok(body(name, url, transport, headers))
}

/// A `server.json`: its first remote that needs nothing to be filled in.
fn registry(document: &Value, name: &str) -> Result<Value, String> {
    let remotes = document.get("remotes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if remotes.is_empty() {
        return Err(PROCESS.to_owned());
    }
    let ready = remotes.iter().find(|remote| {
        let is_filled = |header: &Value| {
            header["isRequired"] != Value::Bool(true) || header["value"].as_str().is_some_and(|value| !value.contains('{'))
        };
        let url = remote["url"].as_str().unwrap_or("{");
        !url.contains('{') && remote["headers"].as_array().into_iter().flatten().all(is_filled)
    });
    let Some(remote) = ready else {
        return Err(
            "every remote of it has variables or headers to be filled in; register it with POST /api/v1/user-mcp-servers".to_owned()
        );
    };
    let transport = if remote["type"] == "sse" { "sse" } else { "streamable_http" };
    let pairs = remote["headers"].as_array().into_iter().flatten();
    let headers: Map<String, Value> =
        pairs.filter_map(|header| Some((header["name"].as_str()?.to_owned(), header.get("value")?.clone()))).collect();
    let title = document["title"].as_str().unwrap_or(name);
    let mut body = body(title, &remote["url"], transport, Some(&headers).filter(|headers| !headers.is_empty()));
    if let Some(description) = document["description"].as_str() {
        body["description"] = description.into();
    }
    Ok(body)
}

const PROCESS: &str = "it is a process (stdio), which comes from the operator's configuration alone";

fn body(name: &str, url: &Value, transport: &str, headers: Option<&Map<String, Value>>) -> Value {
    let mut body = json!({ "name": name, "url": url, "transport_type": transport });
    if let Some(headers) = headers {
        body["auth_type"] = "manual".into();
        body["auth_config"] = json!({ "headers": headers });
    }
    body
}
