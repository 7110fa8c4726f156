//! The three addresses of the endpoint, with their documentation. Source: Alloy's API.

use axum::{
    extract::{Request, State},
    response::Response,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::transport::{Target, serve};
use crate::{
    app::App,
    request::{Path, RequestId},
};

/// The routes of the endpoint.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(token_post, token_get, token_delete))
        .routes(routes!(server_post, server_get, server_delete))
        .routes(routes!(header_post, header_get, header_delete))
}

/// The target that a token URL's path names, for callers that do not need a router for it. `None` for every other path, and where one is
/// written with escapes: those are the router's.
pub fn token_target(path: &str) -> Option<Target> {
    let (server_id, token) = path.strip_prefix("/mcp/")?.split_once('/')?;
    let is_plain = |segment: &str| !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    (is_plain(server_id) && is_plain(token)).then(|| Target { server_id: Some(server_id.to_owned()), token: Some(token.to_owned()) })
}

/// Execute an MCP request (token URL). The token in the path is the whole authentication.
#[utoipa::path(post, path = "/mcp/{serverId}/{accessToken}", tag = "MCP Protocol", operation_id = "execute-mcp-token", security(()),
    params(("serverId" = String, Path, description = "Server ID"), ("accessToken" = String, Path, description = "Access token"),
        ("x-alloy-user-token" = Option<String>, Header, description = "JWT for user isolation"),
        ("x-alloy-userid" = Option<String>, Header, description = "Override user ID"),
        ("x-credential-id" = Option<String>, Header, description = "Specific credential to use")),
    request_body = Object,
    responses((status = 200, description = "A JSON-RPC response, or an event stream with it", body = Object), (status = 202, description = "A notification was taken"),
        (status = 400, description = "Invalid request"), (status = 401, description = "Invalid or expired token"),
        (status = 406, description = "`Accept` does not allow text/event-stream"), (status = 413, description = "Larger than 10 MB"), (status = 429, description = "Rate limit exceeded")))]
async fn token_post(State(app): State<App>, Path((server_id, token)): Path<(String, String)>, id: RequestId, request: Request) -> Response {
    serve(app, Target { server_id: Some(server_id), token: Some(token) }, id, request).await
}

/// Open the server's stream of a legacy session.
#[utoipa::path(get, path = "/mcp/{serverId}/{accessToken}", tag = "MCP Protocol", operation_id = "stream-mcp-token", security(()),
    params(("serverId" = String, Path, description = "Server ID"), ("accessToken" = String, Path, description = "Access token"),
        ("mcp-session-id" = Option<String>, Header, description = "From the answer to `initialize`")),
    responses((status = 200, description = "An event stream"), (status = 401, description = "Invalid or expired token"),
        (status = 404, description = "No such session"), (status = 405, description = "Without a session there is no stream")))]
async fn token_get(State(app): State<App>, Path((server_id, token)): Path<(String, String)>, id: RequestId, request: Request) -> Response {
    serve(app, Target { server_id: Some(server_id), token: Some(token) }, id, request).await
}

/// End a legacy session.
#[utoipa::path(delete, path = "/mcp/{serverId}/{accessToken}", tag = "MCP Protocol", operation_id = "end-mcp-token", security(()),
    params(("serverId" = String, Path, description = "Server ID"), ("accessToken" = String, Path, description = "Access token"),
        ("mcp-session-id" = Option<String>, Header, description = "From the answer to `initialize`")),
    responses((status = 204, description = "Ended"), (status = 401, description = "Invalid or expired token"),
        (status = 404, description = "No such session"), (status = 405, description = "There is no session to end")))]
async fn token_delete(
    State(app): State<App>,
    Path((server_id, token)): Path<(String, String)>,
    id: RequestId,
    request: Request,
) -> Response {
    serve(app, Target { server_id: Some(server_id), token: Some(token) }, id, request).await
}

/// Execute an MCP request with an API key.
#[utoipa::path(post, path = "/mcp/{serverId}", tag = "MCP Protocol", operation_id = "execute-mcp-api",
    params(("serverId" = String, Path, description = "Server ID"), ("x-alloy-userid" = Option<String>, Header, description = "For whom an admin key acts"),
        ("x-alloy-user-token" = Option<String>, Header, description = "JWT for user isolation"),
        ("x-credential-id" = Option<String>, Header, description = "Specific credential to use")),
    request_body = Object,
    responses((status = 200, description = "A JSON-RPC response, or an event stream with it", body = Object), (status = 202, description = "A notification was taken"),
        (status = 400, description = "Invalid request"), (status = 401, description = "Not authenticated"), (status = 404, description = "No such server"),
        (status = 406, description = "`Accept` does not allow text/event-stream"), (status = 413, description = "Larger than 10 MB"), (status = 429, description = "Rate limit exceeded")))]
async fn server_post(State(app): State<App>, Path(server_id): Path<String>, id: RequestId, request: Request) -> Response {
    serve(app, Target { server_id: Some(server_id), token: None }, id, request).await
}

/// Open the server's stream of a legacy session.
#[utoipa::path(get, path = "/mcp/{serverId}", tag = "MCP Protocol", operation_id = "stream-mcp-api",
    params(("serverId" = String, Path, description = "Server ID")),
    responses((status = 200, description = "An event stream"), (status = 401, description = "Not authenticated"), (status = 404, description = "No such server or session"),
        (status = 405, description = "Without a session there is no stream")))]
async fn server_get(State(app): State<App>, Path(server_id): Path<String>, id: RequestId, request: Request) -> Response {
    serve(app, Target { server_id: Some(server_id), token: None }, id, request).await
}

/// End a legacy session.
#[utoipa::path(delete, path = "/mcp/{serverId}", tag = "MCP Protocol", operation_id = "end-mcp-api",
    params(("serverId" = String, Path, description = "Server ID")),
    responses((status = 204, description = "Ended"), (status = 401, description = "Not authenticated"), (status = 404, description = "No such server or session"),
        (status = 405, description = "There is no session to end")))]
async fn server_delete(State(app): State<App>, Path(server_id): Path<String>, id: RequestId, request: Request) -> Response {
    serve(app, Target { server_id: Some(server_id), token: None }, id, request).await
}

/// Execute an MCP request; `x-mcp-server-id`, or the server's token as the bearer token, names the server.
#[utoipa::path(post, path = "/mcp", tag = "MCP Protocol", operation_id = "execute-mcp-header",
    params(("x-mcp-server-id" = Option<String>, Header, description = "Server ID")), request_body = Object,
    responses((status = 200, description = "A JSON-RPC response, or an event stream with it", body = Object), (status = 202, description = "A notification was taken"),
        (status = 400, description = "Invalid request, or no server named"), (status = 401, description = "Not authenticated"), (status = 404, description = "No such server"),
        (status = 406, description = "`Accept` does not allow text/event-stream"), (status = 413, description = "Larger than 10 MB"), (status = 429, description = "Rate limit exceeded")))]
async fn header_post(State(app): State<App>, id: RequestId, request: Request) -> Response {
    serve(app, Target { server_id: None, token: None }, id, request).await
}

/// Open the server's stream of a legacy session.
#[utoipa::path(get, path = "/mcp", tag = "MCP Protocol", operation_id = "stream-mcp-header",
    params(("x-mcp-server-id" = Option<String>, Header, description = "Server ID")),
    responses((status = 200, description = "An event stream"), (status = 401, description = "Not authenticated"), (status = 404, description = "No such server or session"),
        (status = 405, description = "Without a session there is no stream")))]
async fn header_get(State(app): State<App>, id: RequestId, request: Request) -> Response {
    serve(app, Target { server_id: None, token: None }, id, request).await
}

/// End a legacy session.
#[utoipa::path(delete, path = "/mcp", tag = "MCP Protocol", operation_id = "end-mcp-header",
    params(("x-mcp-server-id" = Option<String>, Header, description = "Server ID")),
    responses((status = 204, description = "Ended"), (status = 401, description = "Not authenticated"), (status = 404, description = "No such server or session"),
        (status = 405, description = "There is no session to end")))]
async fn header_delete(State(app): State<App>, id: RequestId, request: Request) -> Response {
    serve(app, Target { server_id: None, token: None }, id, request).await
}
