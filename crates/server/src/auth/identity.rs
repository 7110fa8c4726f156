//! The headers that say who calls and for whom, taken apart once.

use http::{HeaderMap, HeaderName, header::AUTHORIZATION};

use crate::{
    error::{Error, Result},
    store::is_user_id,
};

// Made once: a name that is looked up as text is parsed each time.
static USER_ID: HeaderName = HeaderName::from_static("x-alloy-userid");
static USER_TOKEN: HeaderName = HeaderName::from_static("x-alloy-user-token");
static SERVER_ID: HeaderName = HeaderName::from_static("x-mcp-server-id");
static CREDENTIAL_ID: HeaderName = HeaderName::from_static("x-credential-id");
static REDIRECT_URI: HeaderName = HeaderName::from_static("x-redirect-uri");
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The identity headers of a request. Several copies of one are refused: proxies and servers disagree on which one counts.
pub struct Identity<'a> {
    /// `Authorization: Bearer …`.
    pub bearer: Option<&'a str>,
    /// `x-alloy-userid`.
    pub user_id: Option<&'a str>,
    /// `x-alloy-user-token`: a JWT.
    pub user_token: Option<&'a str>,
    /// `x-mcp-server-id`.
    pub server_id: Option<&'a str>,
    /// `x-credential-id`.
    pub credential_id: Option<&'a str>,
    /// `x-redirect-uri`.
    pub redirect_uri: Option<&'a str>,
    /// `x-request-id`, as the outermost layer has put it.
    pub request_id: &'a str,
    headers: &'a HeaderMap,
}

impl<'a> Identity<'a> {
    /// Reads the headers.
    ///
    /// # Errors
    /// 400 that names the header.
    pub fn read(headers: &'a HeaderMap) -> Result<Self> {
        let mut identity = Self {
            bearer: None,
            user_id: single(headers, &USER_ID)?,
            user_token: single(headers, &USER_TOKEN)?,
            server_id: single(headers, &SERVER_ID)?,
            credential_id: single(headers, &CREDENTIAL_ID)?,
            redirect_uri: single(headers, &REDIRECT_URI)?,
            request_id: headers.get(&REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default(),
            headers,
        };
        if let Some(value) = single(headers, &AUTHORIZATION)? {
            identity.bearer =
                value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
        }
        if let Some(user) = identity.user_id {
            check_user_id("x-alloy-userid", user)?;
        }
        Ok(identity)
    }

    /// The headers that the operator lets through to MCP servers.
    pub fn forwarded(&self, names: &[HeaderName]) -> HeaderMap {
        let found = names.iter().flat_map(|name| self.headers.get_all(name).iter().map(move |value| (name.clone(), value.clone())));
        let mut forwarded = HeaderMap::new();
        for (name, value) in found {
            forwarded.append(name, value);
        }
        forwarded
    }
}

/// Refuses user ids that are empty or too long.
pub fn check_user_id(field: &str, user: &str) -> Result<()> {
    if !is_user_id(user) {
        return Err(Error::invalid(field, format!("`{field}` must have 1 to 10,000 characters, none of them U+0000.")));
    }
    Ok(())
}

fn single<'a>(headers: &'a HeaderMap, name: &'static HeaderName) -> Result<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Error::invalid(name.as_str(), format!("The header `{name}` is there more than once; send it once.")));
    }
    std::str::from_utf8(value.as_bytes())
        .map(Some)
        .map_err(|_| Error::invalid(name.as_str(), format!("The header `{name}` is not valid UTF-8.")))
}
