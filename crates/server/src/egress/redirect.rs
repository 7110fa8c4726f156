//! One request on its way: its URL, checked, and what a redirect changes in it.

use std::borrow::Cow;
use std::sync::Arc;

use amalgam_protocol::Pieces;
use http::header::{ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONTENT_TYPE, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use url::Url;

use super::error::{EgressError, EgressErrorKind};

/// `http::Uri` takes no more than 65,534 bytes; servers rarely take more than 16 KiB.
const MAX_URL: usize = 32 * 1024;

/// The headers that cross to another origin. A list of what may pass, because any other header can be a credential:
/// platforms name theirs as they like.
const CROSSING: [HeaderName; 5] = [ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONTENT_TYPE, USER_AGENT];

/// A URL that was parsed and checked, and what a request takes from it.
pub struct Address {
    /// As it was given.
    pub(super) text: String,
    pub(super) url: Url,
    /// Scheme, host and port.
    pub(super) origin: Arc<str>,
    /// The host as the caller wrote it, for sentences.
    pub(super) name: Arc<str>,
    /// Whom to connect to.
    pub(super) uri: Uri,
    /// Path and query: what a request names.
    pub(super) target: Uri,
    /// The header `host`.
    pub(super) host: HeaderValue,
}

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self, EgressError> {
        Self::new(text.to_owned(), parse(text)?)
    }

    fn new(text: String, url: Url) -> Result<Self, EgressError> {
        let wrong = || EgressError::invalid("its URL cannot be written into a request");
        let uri = Uri::try_from(url.as_str()).map_err(|cause| wrong().because(cause))?;
        let target = Uri::from(uri.path_and_query().cloned().ok_or_else(wrong)?);
        let authority = uri.authority().ok_or_else(wrong)?.as_str();
        let host = HeaderValue::try_from(authority).map_err(|cause| wrong().because(cause))?;
        let origin = format!("{}://{authority}", url.scheme()).into();
        Ok(Self { name: url.host_str().unwrap_or_default().into(), text, url, origin, uri, target, host })
    }
}

/// What the next exchange sends.
pub(super) struct Hop<'a> {
    pub(super) method: Method,
    pub(super) to: Arc<Address>,
    pub(super) headers: Cow<'a, HeaderMap>,
    pub(super) body: Pieces,
}

/// Parses what a caller gave. The `url` crate already turns decimal, octal and hexadecimal hosts into addresses.
pub(super) fn parse(text: &str) -> Result<Url, EgressError> {
    if text.len() > MAX_URL {
        return Err(EgressError::invalid(format!("its URL is longer than {MAX_URL} bytes")));
    }
    // The parser would silently drop tabs and line breaks and read `\` as `/`; who wrote the URL may have meant otherwise.
    if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f || byte == b'\\') {
        return Err(EgressError::invalid("its URL contains white space, a control character or a backslash; percent-encode it"));
    }
    let mut url = Url::parse(text)
        .map_err(|cause| EgressError::invalid("its URL is not an absolute URL such as https://api.example.com/path").because(cause))?;
    check(&url).map_err(EgressError::invalid)?;
    url.set_fragment(None);
    Ok(url)
}

fn check(url: &Url) -> Result<(), &'static str> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err("only http and https URLs are called");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("a URL with a user name or password in it is not called; send them in a header");
    }
    if url.port() == Some(0) {
        return Err("port 0 is not a port");
    }
    Ok(())
}

fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host_str() == b.host_str() && a.port_or_known_default() == b.port_or_known_default()
}

/// The `Location` of an answer that asks to be followed.
pub(super) fn target(status: StatusCode, headers: &HeaderMap) -> Option<&[u8]> {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308).then(|| headers.get(LOCATION))?.map(|value| value.as_bytes())
}

impl Hop<'_> {
    /// Turns this hop into the next one. `credential_bound` says that the URL or body carries a credential, which must not
    /// leave this origin. Methods change as in RFC 9110 section 15.4 and the Fetch standard.
    pub(super) fn follow(mut self, status: StatusCode, location: &[u8], credential_bound: bool, host: &str) -> Result<Self, EgressError> {
        let refuse = |what| EgressError::new(EgressErrorKind::Redirect(what), host);
        let mut url = std::str::from_utf8(location)
            .ok()
            .filter(|location| location.len() <= MAX_URL)
            .and_then(|location| self.to.url.join(location).ok())
            .ok_or_else(|| refuse("its target is not a URL"))?;
        check(&url).map_err(refuse)?;
        url.set_fragment(None);
        if self.to.url.scheme() == "https" && url.scheme() == "http" {
            return Err(refuse("it leads from https to http"));
        }
        if !same_origin(&self.to.url, &url) {
            if credential_bound {
                return Err(refuse("it leads to another host, and the request carries a credential for this one only"));
            }
            let crossing = CROSSING.into_iter().filter_map(|name| self.headers.get(&name).cloned().map(|value| (name, value)));
            self.headers = Cow::Owned(crossing.collect());
        }
        let to_get = match status {
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            _ => false,
        };
        if to_get {
            self.method = Method::GET;
            self.body = Pieces::default();
            self.headers.to_mut().remove(CONTENT_TYPE);
        }
        self.to = Arc::new(Address::new(url.as_str().to_owned(), url)?);
        Ok(self)
    }
}
