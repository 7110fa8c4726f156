//! The headers that say who calls and for whom, taken apart once.

use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};

use crate::{
    error::{Error, Result},
    store::is_user_id,
};

/// Looked for in one pass over a request's headers.
static KNOWN: [HeaderName; 6] = [
    AUTHORIZATION,
    HeaderName::from_static("x-alloy-userid"),
    HeaderName::from_static("x-alloy-user-token"),
    HeaderName::from_static("x-mcp-server-id"),
    HeaderName::from_static("x-credential-id"),
    HeaderName::from_static("x-redirect-uri"),
];

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

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
    /// As in the answer's `x-request-id`.
    pub request_id: &'a str,
    headers: &'a HeaderMap,
}

impl<'a> Identity<'a> {
    /// Reads the headers of the request that has this id.
    ///
    /// # Errors
    /// 400 that names the header.
    pub fn read(headers: &'a HeaderMap, request_id: &'a str) -> Result<Self> {
        let mut found = [None; 6];
        for (name, value) in headers {
            let Some((known, place)) = KNOWN.iter().zip(&mut found).find(|(known, _)| **known == *name) else { continue };
            if place.is_some() {
                return Err(Error::invalid(known.as_str(), format!("The header `{known}` is there more than once; send it once.")));
            }
            let text = std::str::from_utf8(value.as_bytes())
                .map_err(|_| Error::invalid(known.as_str(), format!("The header `{known}` is not valid UTF-8.")))?;
            *place = Some(text);
        }
        let [authorization, user_id, user_token, server_id, credential_id, redirect_uri] = found;
        let bearer = authorization.and_then(|value| value.split_once(' '));
        let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
        let identity = Self { bearer, user_id, user_token, server_id, credential_id, redirect_uri, request_id, headers };
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
        // Ours, which is the client's own only where we have taken that.
        if names.contains(&REQUEST_ID)
            && let Ok(id) = HeaderValue::try_from(self.request_id)
        {
            forwarded.insert(REQUEST_ID, id);
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
