//! What an MCP client without a token is told: where it reads how to get one (RFC 9728).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header::HOST};
use serde_json::Value;

use crate::app::App;

/// The one scope that there is: to use a server in the user's name.
pub const SCOPE: &str = "mcp";

/// Where the sender of these headers reaches us, without a trailing slash: the public address, else the name that it used itself, which
/// `http` has found to be ours. Clients compare it with the address that they were given.
pub fn address(app: &App, headers: &HeaderMap) -> String {
    address_of(app, headers.get(HOST))
}

fn address_of(app: &App, host: Option<&HeaderValue>) -> String {
    match host.and_then(|host| host.to_str().ok()) {
        Some(host) if app.config.public_url.is_none() => format!("http://{host}"),
        _ => app.base_url.clone(),
    }
}

/// The `WWW-Authenticate` of a 401 on the endpoint of this server, or on the one that a header names. `presented` says that a token came.
pub fn challenge(app: &App, host: Option<&HeaderValue>, server_id: Option<&str>, presented: bool) -> HeaderValue {
    let error = if presented { "error=\"invalid_token\", " } else { "" };
    let server = server_id.map(|id| format!("/{}", percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC)));
    // A server's id has letters, digits and hyphens, of which the last need no escape either.
    let server = server.unwrap_or_default().replace("%2D", "-");
    let address = address_of(app, host);
    let text = format!("Bearer {error}resource_metadata=\"{address}/.well-known/oauth-protected-resource/mcp{server}\", scope=\"{SCOPE}\"");
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer"))
}

/// Whether a JWT may be used here. One of the external authorization server is for the server that its audience names, and for nothing
/// else of ours (RFC 8707): `server_id` is the server whose endpoint was called. The signature is judged elsewhere.
pub fn is_for(app: &App, jwt: &str, server_id: Option<&str>) -> bool {
    let Some(external) = &app.config.authorization_server else { return true };
    let payload = jwt.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    let claims: Value = payload.and_then(|payload| serde_json::from_slice(&payload).ok()).unwrap_or_default();
    if claims["iss"].as_str() != Some(external) {
        return true;
    }
    let own = server_id.map(|id| format!("{}/mcp/{id}", app.base_url));
    let names = |audience: &Value| own.is_some() && audience.as_str() == own.as_deref();
    match &claims["aud"] {
        Value::Array(all) => all.iter().any(names),
        one => names(one),
    }
}
