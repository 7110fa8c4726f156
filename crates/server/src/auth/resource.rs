//! What an MCP client without a token is told: where it reads how to get one (RFC 9728).

use http::{HeaderMap, HeaderValue, header::HOST};

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
