//! What may be sent about an upstream, and the rules for it.

use amalgam_vault::Secret;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use crate::{
    auth::Caller,
    error::{Error, Result},
    request::present,
    store::upstreams::{Auth, Transport, Upstream},
    upstream::authorization::{HIDDEN, Registration, STILL_HIDDEN},
};

/// Most headers of one upstream.
const MAX_HEADERS: usize = 32;
/// All of them together, in bytes.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Headers that we write ourselves; others of these beginnings too.
const OWN: [&str; 9] =
    ["host", "content-length", "transfer-encoding", "connection", "accept", "accept-encoding", "content-type", "last-event-id", "expect"];

/// What may be sent to register or change an MCP server. On a change, absent fields stay as they are; null takes a field away or back to
/// its default, which those that are required do not have.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UserMcpServerBody)]
pub struct UpstreamBody {
    /// 1 to 100 characters. Required on registration.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub name: Option<Option<String>>,
    /// An http or https address. Required on registration.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub url: Option<Option<String>>,
    /// `streamable_http` (the default) or `sse`. Processes (`stdio`) come from the operator's configuration alone.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub transport_type: Option<Option<Transport>>,
    /// `none` (the default), `manual`, or `oauth`: each user signs in.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub auth_type: Option<Option<Auth>>,
    /// For `manual`: `{"headers": {"Authorization": "Bearer …"}}`. Sealed, and sent to `url` alone. For `oauth`, where we are registered
    /// there: `{"client_id", "client_secret" or "private_key", "scope", "grant_type", "issuer", "identity_provider"}`.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Object>)]
    pub auth_config: Option<Option<AuthConfig>>,
    /// For people.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub description: Option<Option<String>>,
    /// A picture's address.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub image_url: Option<Option<String>>,
    /// How long one call may take: 1 to 300; null takes the default again.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 300)]
    pub timeout_seconds: Option<Option<u64>>,
    /// How many calls may run at once: 1 to 1,000; null takes the default again.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<usize>, minimum = 1, maximum = 1000)]
    pub max_concurrency: Option<Option<usize>>,
    /// Other users of the account find it in the catalogue, without its headers. For admins.
    pub in_catalog: Option<bool>,
    /// The catalogue shows it first. For admins.
    pub is_featured: Option<bool>,
    /// For the catalogue.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub category: Option<Option<String>>,
}

/// How the MCP server knows its caller.
#[derive(Deserialize)]
pub struct AuthConfig {
    headers: Option<Map<String, Value>>,
    #[serde(flatten)]
    registration: Map<String, Value>,
}

impl AuthConfig {
    /// What is entered for `oauth`.
    fn registration(&self) -> Result<Secret> {
        let wrong = |why: String| Error::invalid("auth_config", format!("`auth_config` of `auth_type` \"oauth\" {why}."));
        if self.headers.is_some() {
            return Err(wrong("holds no `headers`: the token is sent by itself".to_owned()));
        }
        let value = Value::Object(self.registration.clone());
        let text = value.to_string();
        if text.len() > MAX_HEADER_BYTES {
            return Err(wrong(format!("may have at most {MAX_HEADER_BYTES} bytes")));
        }
        let entered: Registration = serde_json::from_value(value).map_err(|e| wrong(format!("is not acceptable: {e}")))?;
        entered.check().map_err(wrong)?;
        Ok(Secret::new(text))
    }
}

impl UpstreamBody {
    /// Puts the sent fields into an upstream. What is returned are new headers, where some were sent: `Some(None)` takes them away.
    pub fn apply(self, caller: &Caller, upstream: &mut Upstream, is_new: bool) -> Result<Option<Option<Secret>>> {
        match self.transport_type {
            Some(Some(Transport::Stdio)) => return Err(no_processes()),
            Some(_) if upstream.transport == Transport::Stdio => return Err(no_processes()),
            Some(transport) => upstream.transport = transport.unwrap_or(Transport::StreamableHttp),
            None => {}
        }
        match self.name {
            Some(Some(name)) => upstream.name = checked_name(name)?,
            Some(None) => return Err(Error::invalid("name", "`name` must not be null: every MCP server has one.")),
            None if is_new => {
                return Err(Error::invalid("name", "`name` is missing: what people call this MCP server, 1 to 100 characters."));
            }
            None => {}
        }
        match self.url {
            Some(_) if upstream.transport == Transport::Stdio => return Err(no_processes()),
            Some(Some(url)) => upstream.url = checked_url(&url)?,
            Some(None) => return Err(Error::invalid("url", "`url` must not be null: every MCP server has one.")),
            None if is_new => return Err(Error::invalid("url", "`url` is missing: the http or https address of the MCP server.")),
            None => {}
        }
        let (settings, has_image) = (&mut upstream.settings, self.image_url.is_some());
        for (field, text, place) in [
            ("description", self.description, &mut settings.description),
            ("image_url", self.image_url, &mut settings.image_url),
            ("category", self.category, &mut settings.category),
        ] {
            if let Some(text) = text {
                if text.as_ref().is_some_and(|text| text.len() > 2_000) {
                    return Err(Error::invalid(field, format!("`{field}` may have at most 2,000 bytes.")));
                }
                *place = text.filter(|text| !text.is_empty());
            }
        }
        if has_image {
            settings.image_url = settings.image_url.as_deref().map(checked_image).transpose()?;
        }
        if let Some(seconds) = self.timeout_seconds {
            if seconds.is_some_and(|seconds| !(1..=300).contains(&seconds)) {
                return Err(Error::invalid("timeout_seconds", "`timeout_seconds` must be from 1 to 300, or null for the default."));
            }
            settings.timeout_seconds = seconds;
        }
        if let Some(calls) = self.max_concurrency {
            if calls.is_some_and(|calls| !(1..=1_000).contains(&calls)) {
                return Err(Error::invalid("max_concurrency", "`max_concurrency` must be from 1 to 1,000, or null for the default."));
            }
            settings.max_concurrency = calls;
        }
        if self.in_catalog.is_some() || self.is_featured.is_some() {
            caller.require_admin()?;
            settings.in_catalog = self.in_catalog.unwrap_or(settings.in_catalog);
            settings.is_featured = self.is_featured.unwrap_or(settings.is_featured);
        }
        let auth = self.auth_type.map_or(upstream.auth, |auth| auth.unwrap_or(Auth::None));
        let is_taken_away = matches!(self.auth_config, Some(None));
        let config = self.auth_config.flatten();
        let sent = config.as_ref().and_then(|config| config.headers.clone());
        if let Some(member) = config.as_ref().filter(|_| auth != Auth::Oauth).and_then(|config| config.registration.keys().next()) {
            let sentence = format!("`auth_config.{member}` needs `auth_type` \"oauth\"; \"manual\" takes `auth_config.headers` alone.");
            return Err(Error::invalid("auth_config", sentence));
        }
        let headers = match (auth, sent) {
            (Auth::Oauth, _) => match config {
                Some(config) => Some(Some(config.registration()?)),
                None => (upstream.auth != Auth::Oauth || is_taken_away).then_some(None),
            },
            (Auth::None, None) => (upstream.auth != Auth::None).then_some(None),
            (Auth::None, Some(_)) => return Err(Error::invalid("auth_config", "`auth_config.headers` needs `auth_type` \"manual\".")),
            (Auth::Manual, Some(headers)) => Some(Some(checked_headers(&headers)?)),
            (Auth::Manual, None) if upstream.sealed.is_some() && !is_taken_away => None,
            (Auth::Manual, None) => {
                let sentence = "`auth_type` \"manual\" needs `auth_config`: {\"headers\": {\"Authorization\": \"Bearer …\"}}.";
                return Err(Error::invalid("auth_config", sentence));
            }
        };
        upstream.auth = auth;
        Ok(headers)
    }
}

fn no_processes() -> Error {
    let sentence = "`transport_type` must be \"streamable_http\" or \"sse\": MCP servers that are processes (\"stdio\") come from the operator's configuration alone.";
    Error::invalid("transport_type", sentence)
}

fn checked_name(name: String) -> Result<String> {
    let length = name.chars().count();
    if !(1..=100).contains(&length) || name.trim() != name || name.chars().any(char::is_control) {
        let sentence = "`name` must have 1 to 100 characters, none of them a control character, and no white space at its ends.";
        return Err(Error::invalid("name", sentence));
    }
    Ok(name)
}

fn checked_url(text: &str) -> Result<String> {
    let wrong = |why: &str| Error::invalid("url", format!("`url` {why}."));
    if text.len() > 2_000 {
        return Err(wrong("may have at most 2,000 bytes"));
    }
    let url = Url::parse(text).map_err(|_| wrong("must be an absolute address, such as https://mcp.example.com/mcp"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("must begin with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("must not hold a user name or password; send them in a header of `auth_config`"));
    }
    if url.fragment().is_some() {
        return Err(wrong("must not hold a fragment (`#…`)"));
    }
    Ok(text.to_owned())
}

/// Pages show it. In the form that every browser reads alike: `http:x` is an address to one reader, and a path of our own to another.
fn checked_image(text: &str) -> Result<String> {
    let wrong = |why: &str| Error::invalid("image_url", format!("`image_url` must {why}."));
    let rest = text.split_once("://").filter(|(scheme, _)| ["https", "http"].iter().any(|known| scheme.eq_ignore_ascii_case(known)));
    let has_host = rest.is_some_and(|(_, rest)| !rest.starts_with(['/', '\\']));
    let url = Url::parse(text).ok().filter(|_| has_host);
    let url = url.ok_or_else(|| wrong("be an absolute address that begins with https:// or http://"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("not hold a user name or password: everybody who sees it could read them"));
    }
    Ok(url.into())
}

fn checked_headers(headers: &Map<String, Value>) -> Result<Secret> {
    let wrong = |why: String| Error::invalid("auth_config.headers", why);
    if headers.is_empty() || headers.len() > MAX_HEADERS {
        return Err(wrong(format!("`auth_config.headers` must hold 1 to {MAX_HEADERS} headers.")));
    }
    let mut seen = std::collections::HashSet::new();
    for (name, value) in headers {
        let lower =
            HeaderName::try_from(name.as_str()).map_err(|_| wrong("A name in `auth_config.headers` is not one of a header.".to_owned()))?;
        if OWN.contains(&lower.as_str()) || lower.as_str().starts_with("mcp-") || lower.as_str().starts_with("proxy-") {
            return Err(wrong(format!("The header `{lower}` is written by this server; remove it from `auth_config.headers`.")));
        }
        if value == HIDDEN {
            return Err(wrong(format!("`auth_config.headers` {STILL_HIDDEN}.")));
        }
        let text = value.as_str().filter(|text| HeaderValue::try_from(*text).is_ok());
        if text.is_none() {
            return Err(wrong(format!("The value of the header `{lower}` must be a string that a header can hold.")));
        }
        if !seen.insert(lower) {
            return Err(wrong("A header stands in `auth_config.headers` twice.".to_owned()));
        }
    }
    let text = Value::Object(headers.clone()).to_string();
    if text.len() > MAX_HEADER_BYTES {
        return Err(wrong(format!("`auth_config.headers` may have at most {MAX_HEADER_BYTES} bytes together.")));
    }
    Ok(Secret::new(text))
}
