//! Registering what other programs have written down: the `mcpServers` of desktop clients, and `server.json` of the MCP registry.

use axum::extract::State;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{UpstreamView, ask, body::UpstreamBody, own, register};
use crate::{
    app::App,
    error::{Error, Kind, Result},
    request::{Json, Management, from_value},
};

/// Most servers in one document.
const MAX: usize = 100;
/// Servers of one document that are asked at once what they offer.
const AT_ONCE: usize = 16;

/// What became of a document.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ImportedMcpServers)]
pub struct Imported {
    servers: Vec<UpstreamView>,
    /// What was not registered: `[{name, reason}]`.
    #[schema(value_type = Vec<Object>)]
    omitted: Vec<Value>,
}

/// Register the MCP servers of a document: what Claude, Cursor, VS Code, Windsurf, Gemini CLI and Zed keep (`mcpServers`, `servers`,
/// `mcp.servers`, `context_servers`), or a `server.json` of the MCP registry (2025-12-11).
///
/// What cannot be registered is listed in `omitted` with the reason: processes come from the operator's configuration alone, and values
/// that only that program knows, such as `${TOKEN}`, have to be written out first. What you have registered already stays as it is.
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
    let known = own(&app, &caller).await?;
    let (mut ids, mut omitted) = (Vec::new(), Vec::new());
    for (name, entry) in entries {
        let is_known = |found: &Found| known.iter().any(|known| known.upstream.name == found.name && known.upstream.url == found.url);
        let registered = match entry {
            Ok(found) if is_known(&found) => Err("you have registered it already".to_owned()),
            Ok(found) => match from_value::<UpstreamBody>(found.body()) {
                Ok(body) => register(&app, &caller, body).await.map_err(|error| error.message.into_owned()),
                Err(error) => Err(error.message.into_owned()),
            },
            Err(reason) => Err(reason),
        };
        match registered {
            Ok(id) => ids.push(id),
            Err(reason) => omitted.push(json!({ "name": name, "reason": reason })),
        }
    }
    // Side by side, so that those which hang are waited for together.
    let (app, caller) = (&app, &caller);
    let asked = stream::iter(ids).map(|id| async move { ask(app, caller, &id).await });
    let asked: Vec<_> = asked.buffered(AT_ONCE).try_collect().await?;
    let mut servers = Vec::with_capacity(asked.len());
    for registered in asked {
        servers.push(UpstreamView::of(app, &registered).await?);
    }
    Ok((StatusCode::CREATED, axum::Json(Imported { servers, omitted })))
}

/// What one entry says.
#[derive(Debug)]
struct Found {
    name: String,
    url: String,
    is_sse: bool,
    headers: Map<String, Value>,
    description: Option<String>,
}

impl Found {
    fn body(self) -> Value {
        let transport = if self.is_sse { "sse" } else { "streamable_http" };
        let mut body = json!({ "name": self.name, "url": self.url, "transport_type": transport });
        if !self.headers.is_empty() {
            body["auth_type"] = "manual".into();
            body["auth_config"] = json!({ "headers": self.headers });
        }
        if let Some(description) = self.description {
            body["description"] = description.into();
        }
        body
    }
}

type Entry = (String, Result<Found, String>);

const PROCESS: &str = "it is a process (stdio), which comes from the operator's configuration alone: have it written there as `[stdio.NAME]` with its `command` and `args`";

fn entries(document: &Value) -> Result<Vec<Entry>> {
    // The registry's own answers hold the document in a member.
    let document = document.get("server").filter(|inner| inner.is_object()).unwrap_or(document);
    let named =
        ["/mcpServers", "/servers", "/mcp/servers", "/context_servers"].iter().find_map(|place| document.pointer(place)?.as_object());
    if let Some(named) = named {
        return Ok(named.iter().map(|(name, entry)| (name.clone(), desktop(name, entry))).collect());
    }
    if let Some(name) = document.get("name").and_then(Value::as_str)
        && (document.get("remotes").is_some() || document.get("packages").is_some())
    {
        return Ok(vec![(name.to_owned(), registry(document, name))]);
    }
    let sentence = "The body must be what a desktop client keeps, such as `{\"mcpServers\": {…}}` or `{\"servers\": {…}}`, or a `server.json` of the MCP registry with `name` and `remotes`.";
    Err(Error::new(Kind::InvalidRequest, sentence))
}

/// One entry of what a desktop client keeps.
fn desktop(name: &str, entry: &Value) -> Result<Found, String> {
    let text = |member: &str| entry.get(member).and_then(Value::as_str);
    if entry.get("disabled") == Some(&Value::Bool(true)) || entry.get("enabled") == Some(&Value::Bool(false)) {
        return Err("it is switched off in this document".to_owned());
    }
    if entry.get("command").is_some() {
        return bridged(name, entry).unwrap_or_else(|| Err(PROCESS.to_owned()));
    }
    let kind = text("type").or(text("transport")).unwrap_or_default().to_ascii_lowercase().replace(['-', '_'], "");
    // Gemini CLI: `httpUrl` is the newer transport, and `url` beside no type the older one; Windsurf: `serverUrl`.
    let Some(url) = text("httpUrl").or(text("url")).or(text("serverUrl")) else {
        return Err("it has no `url`".to_owned());
    };
    let is_sse = match kind.as_str() {
        "sse" => true,
        "" | "http" | "streamablehttp" | "remote" => false,
        _ => return Err(format!("its type {:?} is none that can be called; there are `http` and `sse`", text("type").unwrap_or_default())),
    };
    let mut headers = Map::new();
    if let Some(given) = entry.get("headers").filter(|headers| !headers.is_null()) {
        let given = given.as_object().ok_or("its `headers` are not an object")?;
        for (header, value) in given {
            let value = value.as_str().ok_or_else(|| format!("the value of its header `{header}` is not a string"))?;
            headers.insert(header.clone(), written_out(&format!("header `{header}`"), value)?.into());
        }
    }
    let description = text("description").map(str::to_owned);
    Ok(Found { name: name.to_owned(), url: written_out("`url`", url)?, is_sse, headers, description })
}

/// An entry that starts `mcp-remote`, which does nothing but reach an address: the address. `None` for any other process.
fn bridged(name: &str, entry: &Value) -> Option<Result<Found, String>> {
    let args: Vec<&str> = entry.get("args")?.as_array()?.iter().filter_map(Value::as_str).collect();
    let is_bridge = |arg: &&str| *arg == "mcp-remote" || arg.starts_with("mcp-remote@");
    let rest = args.iter().position(is_bridge).and_then(|at| args.get(at + 1..))?;
    let url = rest.iter().find(|arg| arg.starts_with("https://") || arg.starts_with("http://"))?;
    let after =
        |flag: &'static str| rest.windows(2).filter(move |pair| pair.first() == Some(&flag)).filter_map(|pair| pair.get(1).copied());
    let read = || {
        let mut headers = Map::new();
        for line in after("--header") {
            let (header, value) = line.split_once(':').ok_or("one of its headers has no `:`")?;
            headers.insert(header.trim().to_owned(), written_out(&format!("header `{}`", header.trim()), value.trim())?.into());
        }
        let is_sse = after("--transport").any(|transport| transport.starts_with("sse"));
        Ok(Found { name: name.to_owned(), url: written_out("`url`", url)?, is_sse, headers, description: None })
    };
    Some(read())
}

/// A text that refers to nothing which only the program knows that kept it: `${TOKEN}`, `${env:TOKEN}`, `${input:token}`.
fn written_out(what: &str, text: &str) -> Result<String, String> {
    let Some(at) = text.find("${") else { return Ok(text.to_owned()) };
    let reference: String = text.get(at..).unwrap_or_default().split_inclusive('}').next().unwrap_or_default().chars().take(80).collect();
    Err(format!("its {what} refers to `{reference}`, which only the program knows that kept it; write the value in its place"))
}

/// A `server.json`: its first remote for which nothing has to be filled in.
fn registry(document: &Value, name: &str) -> Result<Found, String> {
    let remotes = document.get("remotes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut first = None;
    for entry in remotes {
        match remote(document, name, entry) {
            Ok(found) => return Ok(found),
            Err(reason) => drop(first.get_or_insert(reason)),
        }
    }
    Err(first.unwrap_or_else(|| PROCESS.to_owned()))
}

fn remote(document: &Value, name: &str, remote: &Value) -> Result<Found, String> {
    let is_sse = match remote["type"].as_str().unwrap_or_default() {
        "sse" => true,
        "streamable-http" => false,
        other => return Err(format!("its remote has the type {other:?}; there are `streamable-http` and `sse`")),
    };
    let url = remote["url"].as_str().ok_or("its remote has no `url`")?;
    let url = filled("`url`", url, &remote["variables"])?;
    let mut headers = Map::new();
    for header in remote["headers"].as_array().into_iter().flatten() {
        let Some(name) = header["name"].as_str() else { return Err("a header of its remote has no `name`".to_owned()) };
        match header["value"].as_str().or(header["default"].as_str()) {
            Some(value) => drop(headers.insert(name.to_owned(), filled(&format!("header `{name}`"), value, &header["variables"])?.into())),
            None if header["isRequired"] == Value::Bool(true) => return Err(needs(&format!("a value for its header `{name}`"))),
            None => {}
        }
    }
    let title = document["title"].as_str().unwrap_or(name).to_owned();
    let description = document["description"].as_str().map(str::to_owned);
    Ok(Found { name: title, url, is_sse, headers, description })
}

/// A template of the registry with the values of its variables, where the document gives them.
fn filled(what: &str, template: &str, variables: &Value) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) = after.split_once('}').ok_or_else(|| format!("its {what} has a `{{` without a `}}`"))?;
        let variable = &variables[name];
        let value = variable["value"].as_str().or(variable["default"].as_str()).filter(|value| !value.contains('{'));
        let value = value.ok_or_else(|| needs(&format!("a value for `{{{name}}}` in its {what}")))?;
        text.push_str(before);
        text.push_str(value);
        rest = behind;
    }
    text.push_str(rest);
    Ok(text)
}

fn needs(what: &str) -> String {
    format!("it needs {what}; register it with POST /api/v1/user-mcp-servers, with the value in its place")
}
