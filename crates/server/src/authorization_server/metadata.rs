//! What clients read before they ask for anything: RFC 9728 for each server, RFC 8414 for the authorization server.

use axum::{Json, extract::State};
use http::HeaderMap;
use serde_json::{Value, json};

use super::Shared;
use crate::{
    app::App,
    auth::resource::{SCOPE, address},
    error::{Error, Result},
    request::Path,
};

/// The endpoint whose server a header names, or the person who signs in.
pub async fn endpoint(State(Shared { app, .. }): State<Shared>, headers: HeaderMap) -> Json<Value> {
    protected(&app, &headers, "/mcp")
}

/// A server's endpoint. Any id is answered: that a server exists is not said here.
pub async fn server(State(Shared { app, .. }): State<Shared>, Path(id): Path<String>, headers: HeaderMap) -> Result<Json<Value>> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(Error::not_found("server"));
    }
    Ok(protected(&app, &headers, &format!("/mcp/{id}")))
}

fn protected(app: &App, headers: &HeaderMap, path: &str) -> Json<Value> {
    let address = address(app, headers);
    Json(json!({
        "resource": format!("{address}{path}"),
        "authorization_servers": [app.config.authorization_server.as_ref().unwrap_or(&address)],
        "scopes_supported": [SCOPE],
        "bearer_methods_supported": ["header"],
        "resource_name": "Amalgam",
    }))
}

/// The authorization server, whose issuer is our address.
pub async fn authorization_server(State(Shared { app, .. }): State<Shared>, headers: HeaderMap) -> Json<Value> {
    described(&address(&app, &headers))
}

/// The same where our address has a path, which stands behind the well-known one (RFC 8414 section 3.1).
pub async fn authorization_server_at(
    State(Shared { app, .. }): State<Shared>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>> {
    let own = app.config.public_url.as_ref().map(|url| url.path().trim_matches('/'));
    if own.is_none_or(|own| own.is_empty() || own != path) {
        return Err(Error::not_found("path"));
    }
    Ok(described(&address(&app, &headers)))
}

fn described(address: &str) -> Json<Value> {
    let methods = json!(["none", "client_secret_basic", "client_secret_post"]);
    Json(json!({
        "issuer": address,
        "authorization_endpoint": format!("{address}/oauth/authorize"),
        "token_endpoint": format!("{address}/oauth/token"),
        "registration_endpoint": format!("{address}/oauth/register"),
        "revocation_endpoint": format!("{address}/oauth/revoke"),
        "introspection_endpoint": format!("{address}/oauth/introspect"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": methods,
        "revocation_endpoint_auth_methods_supported": methods,
        "scopes_supported": [SCOPE],
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": true,
    }))
}
