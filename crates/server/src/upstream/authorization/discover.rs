//! From an upstream's address to its authorization server: RFC 9728, then RFC 8414 or OpenID Connect Discovery, in the order that MCP says.

use std::time::Duration;

use amalgam_protocol::challenge::challenges;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use crate::egress::{Egress, OutgoingRequest};

const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_DOCUMENT: usize = 128 * 1024;

/// What a 401 or 403 says in `WWW-Authenticate`.
#[derive(Debug, Default)]
pub struct Challenge {
    /// Where the metadata of the resource is.
    pub metadata: Option<String>,
    /// What the request needs.
    pub scope: Option<String>,
    /// `insufficient_scope`, `invalid_token`.
    pub error: Option<String>,
}

impl Challenge {
    /// Of the first `Bearer` challenge, whatever other schemes stand beside it.
    pub fn read(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(http::header::WWW_AUTHENTICATE).iter();
        let bearer = lines.flat_map(|line| challenges(&String::from_utf8_lossy(line.as_bytes()))).find(|challenge| challenge.is("Bearer"));
        let get = |name: &str| bearer.as_ref()?.get(name).map(str::to_owned);
        Self { metadata: get("resource_metadata"), scope: get("scope"), error: get("error") }
    }
}

/// Metadata of a protected resource.
#[derive(Deserialize)]
struct Resource {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
}

/// Metadata of an authorization server.
#[derive(Clone, Deserialize)]
pub struct Server {
    /// Exactly what its answers say in `iss`.
    pub issuer: String,
    /// Where the browser goes.
    #[serde(default)]
    pub authorization_endpoint: Option<String>,
    /// Where tokens come from.
    pub token_endpoint: String,
    /// Where clients register.
    #[serde(default)]
    pub registration_endpoint: Option<String>,
    /// Where tokens are revoked.
    #[serde(default)]
    pub revocation_endpoint: Option<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
    /// How clients prove themselves.
    #[serde(default)]
    pub token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
    /// `iss` comes with every answer.
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
    /// Clients may be named by the address of their metadata.
    #[serde(default)]
    pub client_id_metadata_document_supported: bool,
    /// Made up from the upstream's address, for upstreams of 2025-03-26 that describe nothing.
    #[serde(skip)]
    is_assumed: bool,
}

impl Server {
    /// One that was found before.
    pub fn of(issuer: &str, token_endpoint: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: None,
            token_endpoint: token_endpoint.to_owned(),
            registration_endpoint: None,
            revocation_endpoint: None,
            scopes_supported: Vec::new(),
            token_endpoint_auth_methods_supported: Vec::new(),
            code_challenge_methods_supported: Vec::new(),
            authorization_response_iss_parameter_supported: false,
            client_id_metadata_document_supported: false,
            is_assumed: false,
        }
    }
}

/// What is known before anybody is asked.
pub struct Found {
    /// The `resource` to ask tokens for (RFC 8707); none for upstreams that describe none.
    pub resource: Option<String>,
    /// The authorization server.
    pub server: Server,
    /// The scopes to ask for.
    pub scope: String,
}

impl Found {
    /// Refuses servers that do not say that they know PKCE with S256, as MCP demands.
    pub fn require_pkce(&self) -> Result<(), String> {
        let known = self.server.is_assumed || self.server.code_challenge_methods_supported.iter().any(|method| method == "S256");
        if known { Ok(()) } else { Err("has an authorization server that does not say that it supports PKCE (S256)".to_owned()) }
    }
}

/// Finds the authorization server of the upstream at this address.
///
/// # Errors
/// What is wrong, without its subject.
pub async fn discover(look: &mut Look<'_>, address: &str, challenge: &Challenge) -> Result<Found, String> {
    let url = Url::parse(address).map_err(|_| "has an address that is no URL".to_owned())?;
    let Some(resource) = resource(look, &url, challenge).await? else { return assumed(look, &url, challenge).await };
    if !covers(&resource.resource, &url) {
        return Err("describes another resource than its own address".to_owned());
    }
    let issuer = resource.authorization_servers.first().ok_or("names no authorization server")?;
    let server = server(look, issuer).await?.ok_or("has an authorization server whose metadata cannot be read")?;
    let scope = challenge.scope.clone().unwrap_or_else(|| resource.scopes_supported.join(" "));
    Ok(Found { resource: Some(resource.resource), scope: with_refresh(scope, &server), server })
}

/// Where the server offers refresh tokens for a scope of its own, we ask for it.
fn with_refresh(scope: String, server: &Server) -> String {
    const OFFLINE: &str = "offline_access";
    if !server.scopes_supported.iter().any(|known| known == OFFLINE) || scope.split(' ').any(|known| known == OFFLINE) {
        return scope;
    }
    if scope.is_empty() { OFFLINE.to_owned() } else { format!("{scope} {OFFLINE}") }
}

async fn resource(look: &mut Look<'_>, url: &Url, challenge: &Challenge) -> Result<Option<Resource>, String> {
    if let Some(named) = &challenge.metadata {
        return look.get(named).await?.map(Some).ok_or_else(|| "names an address for its metadata where there is none".to_owned());
    }
    let path = url.path().trim_end_matches('/');
    for path in [path, ""] {
        if let Some(found) = look.get(&at(url, &format!("/.well-known/oauth-protected-resource{path}"))).await? {
            return Ok(Some(found));
        }
        if path.is_empty() {
            break;
        }
    }
    Ok(None)
}

/// The resource is the address itself, or a part of the same host that it lies in.
fn covers(resource: &str, url: &Url) -> bool {
    let Ok(resource) = Url::parse(resource) else { return false };
    let (outer, inner) = (resource.path().trim_end_matches('/'), url.path().trim_end_matches('/'));
    resource.origin() == url.origin() && inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The server with this issuer: path behind the well-known one, then before it.
pub async fn server(look: &mut Look<'_>, issuer: &str) -> Result<Option<Server>, String> {
    let url = Url::parse(issuer).map_err(|_| "names an authorization server whose address is no URL".to_owned())?;
    let path = url.path().trim_end_matches('/');
    let mut places = vec![
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("/.well-known/openid-configuration{path}"),
        format!("{path}/.well-known/openid-configuration"),
    ];
    places.dedup();
    for place in places {
        if let Some(found) = look.get::<Server>(&at(&url, &place)).await? {
            // Exactly: otherwise one server could speak for another (RFC 8414 section 3.3).
            return if found.issuer == issuer {
                Ok(Some(found))
            } else {
                Err("has an authorization server that names another issuer".to_owned())
            };
        }
    }
    Ok(None)
}

/// Upstreams of 2025-03-26 have no metadata of their own: the authorization server is at the same host, with or without metadata.
async fn assumed(look: &mut Look<'_>, url: &Url, challenge: &Challenge) -> Result<Found, String> {
    let issuer = url.origin().ascii_serialization();
    let found = match server(look, &issuer).await {
        Ok(Some(found)) => found,
        // Metadata at the root may spell the root with a slash.
        Err(_) => server(look, &format!("{issuer}/")).await?.ok_or("has an authorization server whose metadata cannot be read")?,
        Ok(None) => Server {
            authorization_endpoint: Some(format!("{issuer}/authorize")),
            registration_endpoint: Some(format!("{issuer}/register")),
            is_assumed: true,
            ..Server::of(&issuer, &format!("{issuer}/token"))
        },
    };
    let scope = challenge.scope.clone().unwrap_or_default();
    Ok(Found { resource: None, scope: with_refresh(scope, &found), server: found })
}

fn at(url: &Url, path: &str) -> String {
    format!("{}{path}", url.origin().ascii_serialization())
}

/// A look around: where it is asked, and what each address came to.
pub struct Look<'a> {
    egress: &'a Egress,
    /// In words, in order.
    pub tried: Vec<String>,
}

impl<'a> Look<'a> {
    /// Nothing was tried yet.
    pub fn new(egress: &'a Egress) -> Self {
        Self { egress, tried: Vec::new() }
    }

    /// Notes what an address came to. What stands behind its `?` may be a secret.
    pub fn note(&mut self, url: &str, what: impl std::fmt::Display) {
        let place = url.split(['?', '#']).next().unwrap_or_default();
        self.tried.push(format!("{place} {what}"));
    }

    /// The JSON at this address; `None` where there is none.
    async fn get<T: DeserializeOwned>(&mut self, url: &str) -> Result<Option<T>, String> {
        let answer = match self.egress.send(OutgoingRequest::document(url, TIMEOUT, MAX_DOCUMENT)).await {
            Ok(answer) => answer,
            Err(error) => {
                self.note(url, &error);
                return Err(format!("cannot be discovered: {error}"));
            }
        };
        let found = if answer.status == StatusCode::OK { serde_json::from_slice(&answer.body).ok() } else { None };
        let what = if answer.status == StatusCode::OK && found.is_none() { ", which is not the metadata that is looked for" } else { "" };
        self.note(url, format_args!("answered {}{what}", answer.status));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header::WWW_AUTHENTICATE};
    use url::Url;

    use super::{Challenge, covers};

    /// How challenges are taken apart is tested where it is done.
    #[test]
    fn the_first_bearer_challenge_of_all_lines_counts() {
        let mut headers = HeaderMap::new();
        for line in [
            &b"Basic realm=\"Z\xc3\xbcrich, scope=evil\", Negotiate"[..],
            b"Digest nonce=n, bearer Scope=\"a b\", realm=\"x, resource_metadata=https://evil.example\"",
            b"Bearer error=invalid_token",
        ] {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(line).unwrap());
        }
        let found = Challenge::read(&headers);
        assert_eq!((found.scope.as_deref(), found.metadata, found.error), (Some("a b"), None, None));
        headers.clear();
        assert!(Challenge::read(&headers).scope.is_none());
    }

    #[test]
    fn a_resource_covers_its_own_address() {
        let url = Url::parse("https://a.example/x/mcp").unwrap();
        for good in ["https://a.example/x/mcp", "https://a.example/x/mcp/", "https://a.example/x", "https://a.example"] {
            assert!(covers(good, &url), "{good}");
        }
        for bad in [
            "https://a.example/x/m",
            "https://b.example/x/mcp",
            "http://a.example/x/mcp",
            "https://a.example:444/",
            "x",
            "https://a.example/x/mcp/y",
        ] {
            assert!(!covers(bad, &url), "{bad}");
        }
    }
}
