//! What handlers take from a request: the caller, a JSON body, a page. Each refuses bad input with a sentence that names the field.

use std::convert::Infallible;

use amalgam_protocol::strict;
use axum::{
    body::{Body, HttpBody as _},
    extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request},
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
    request::Parts,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::time::Instant;

mod id;
mod objects;
mod peer;
mod trail;

use self::objects::Objects;
pub use self::{
    id::{REQUEST_ID, RequestId},
    peer::Peer,
    trail::{Target, audited},
};
use crate::{
    app::App,
    auth::{self, Caller, Identity},
    error::{Error, Kind, Result, in_words},
    limits::{
        Limited,
        bodies::{Arriving, Holder, STEP},
    },
    store::Page,
};

/// A body must have arrived within this time.
const BODY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// The caller of a management route (`/api`).
pub struct Management(pub Caller);

/// The caller of the REST twin (`/connectors`, `/users`), with what else its headers say.
pub struct Twin {
    /// Who calls, for whom, under which server's restrictions.
    pub caller: Caller,
    /// `x-credential-id`.
    pub credential_id: Option<String>,
    /// `x-redirect-uri`.
    pub redirect_uri: Option<String>,
    /// As in the answer's `x-request-id`.
    pub request_id: RequestId,
}

impl FromRequestParts<App> for Management {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let caller = auth::management(app, &Identity::read(&parts.headers, &RequestId::of(&parts.extensions))?).await?;
        trail::note(parts, app, &caller);
        parts.extensions.insert(caller.holder());
        Ok(Self(caller))
    }
}

impl FromRequestParts<App> for Twin {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let request_id = RequestId::of(&parts.extensions);
        let identity = Identity::read(&parts.headers, &request_id)?;
        let caller = auth::twin(app, &identity).await?;
        trail::note(parts, app, &caller);
        parts.extensions.insert(caller.holder());
        Ok(Self {
            caller,
            credential_id: identity.credential_id.map(str::to_owned),
            redirect_uri: identity.redirect_uri.map(str::to_owned),
            request_id,
        })
    }
}

/// A caller of the REST twin whose request is counted against its rate limit, before its body is looked at.
pub struct Counted {
    /// The caller.
    pub twin: Twin,
    /// What it did to the caller's window.
    pub limited: Limited,
}

impl FromRequestParts<App> for Counted {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let twin = Twin::from_request_parts(parts, app).await?;
        let limit = twin.caller.server.as_ref().and_then(|server| server.settings.rate_limit_per_minute);
        let limited = app.limits.check(twin.caller.rate_key(), limit.unwrap_or(app.config.rate_limit_per_minute));
        if limited.outcome.allowed { Ok(Self { twin, limited }) } else { Err(limited.error()) }
    }
}

/// A JSON body: strict about duplicate members and depth, and with the place in the sentence when a type is wrong. The bytes
/// beside the value keep the room that they take until the handler is done.
pub struct Json<T>(pub T, pub Bytes);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        require_json(request.headers())?;
        let (value, bytes) = parse(body_of(request, app).await?)?;
        from_value(value).map(|value| Self(value, bytes))
    }
}

/// A body that may be absent.
impl<T: DeserializeOwned> OptionalFromRequest<App> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Option<Self>> {
        let is_json = require_json(request.headers());
        let bytes = body_of(request, app).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        is_json?;
        let (value, bytes) = parse(bytes)?;
        from_value(value).map(|value| Some(Self(value, bytes)))
    }
}

/// In a task of its own: what has begun ends, also where the client goes away meanwhile.
pub async fn to_the_end<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(work).await.map_err(Error::internal)?
}

/// The whole body. Only the extractors of callers name a holder, so that nothing is read for somebody unknown.
async fn body_of(request: Request, app: &App) -> Result<Bytes> {
    let (parts, body) = request.into_parts();
    require_identity(&parts.headers)?;
    let holder: &Holder = parts.extensions.get().ok_or_else(|| Error::internal("a body without a caller"))?;
    read_body(app, holder, body, app.config.max_body_bytes).await
}

fn parse(bytes: Bytes) -> Result<(Value, Bytes)> {
    let value = strict::parse_slice(&bytes, strict::MAX_DEPTH)
        .map_err(|e| Error::new(Kind::InvalidRequest, format!("Invalid payload: the body is not acceptable JSON: {e}")))?;
    // It can only have come as an escape.
    if memchr::memmem::find(&bytes, b"\\u0000").is_some()
        && let Some(place) = nul(&value)
    {
        return Err(Error::invalid(&place, format!("Invalid payload: `{place}` holds the character U+0000, which cannot be kept.")));
    }
    Ok((value, bytes))
}

/// Where U+0000 stands: PostgreSQL keeps no such text, and no platform takes one.
fn nul(value: &Value) -> Option<String> {
    let below = |name: &str, value: &Value| nul(value).map(|rest| format!("{name}{}{rest}", if rest.is_empty() { "" } else { "." }));
    match value {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(items) => items.iter().enumerate().find_map(|(at, item)| below(&at.to_string(), item)),
        Value::Object(members) => members
            .iter()
            .find_map(|(name, value)| if name.contains('\0') { Some(name.replace('\0', "\u{fffd}")) } else { below(name, value) }),
        _ => None,
    }
}

/// A JSON body as it came, checked like [`Json`]: for what is passed on word for word.
pub struct JsonText(Bytes);

impl JsonText {
    /// The text; its bytes keep the room that they take until this is dropped.
    pub fn text(&self) -> &str {
        // The parser has found it to be UTF-8.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromRequest<App> for JsonText {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        require_json(request.headers())?;
        parse(body_of(request, app).await?).map(|(_, bytes)| Self(bytes))
    }
}

/// Reads a value into a type; the error names the place.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T> {
    serde_path_to_error::deserialize(Objects(value)).map_err(|e| {
        let path = e.path().to_string();
        let found = e.into_inner().to_string();
        let (reason, missing) = in_words(&found);
        let path = match (path.as_str(), missing) {
            (".", None) => return Error::new(Kind::InvalidRequest, format!("Invalid payload: the body {reason}.")),
            (".", Some(missing)) => missing.to_owned(),
            (path, Some(missing)) => format!("{path}.{missing}"),
            (path, None) => path.to_owned(),
        };
        Error::invalid(&path, format!("Invalid payload: `{path}` {reason}."))
    })
}

/// Reads the body of a request of this holder ([`Caller::holder`]), of limited size and in limited time. A large one takes room as it
/// arrives, until the bytes are dropped.
pub async fn read_body(app: &App, holder: &Holder, body: Body, limit: usize) -> Result<Bytes> {
    let too_large = || Error::new(Kind::TooLarge, format!("The body is larger than {limit} bytes: send less at once."));
    // What `Content-Length` says, if there is one.
    if usize::try_from(body.size_hint().lower()).is_ok_and(|length| length > limit) {
        return Err(too_large());
    }
    let declared = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
    let mut arriving = Arriving::new(declared.unwrap_or(limit));
    let mut chunks = body.into_data_stream();
    // Of the time that it may take, none goes by while it waits for room.
    let mut left = BODY_TIMEOUT;
    loop {
        let asked = Instant::now();
        let chunk = tokio::time::timeout_at(asked + left, chunks.next())
            .await
            .map_err(|_| Error::new(Kind::InvalidRequest, "The body did not arrive within 30 seconds."))?;
        let Some(chunk) = chunk else { return Ok(arriving.whole()) };
        let chunk = chunk.map_err(|_| Error::new(Kind::InvalidRequest, "The body could not be read to its end."))?;
        if arriving.len() + chunk.len() > limit {
            return Err(too_large());
        }
        // What came in one piece is not copied together.
        if declared == Some(chunk.len()) && chunk.len() <= STEP {
            return Ok(chunk);
        }
        left = left.saturating_sub(asked.elapsed());
        arriving.push(&app.bodies, holder, &chunk).await?;
    }
}

fn require_json(headers: &HeaderMap) -> Result<()> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if amalgam_protocol::accept::content_type_is_json(kind) {
        Ok(())
    } else {
        Err(Error::new(Kind::UnsupportedMedia, "Send the body as JSON, with the header `Content-Type: application/json`."))
    }
}

/// Nobody unpacks bodies here: a small one could become a very large one.
pub fn require_identity(headers: &HeaderMap) -> Result<()> {
    let plain = |coding: &http::HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().all(plain) {
        Ok(())
    } else {
        Err(Error::new(Kind::UnsupportedMedia, "Send the body as it is, without the header `Content-Encoding`."))
    }
}

/// `?limit=` (1-1,000, default 100) and `?offset=` (from 0).
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// At most this many items: 1 to 1,000, default 100.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 1000)]
    pub limit: Option<String>,
    /// After this many items, default 0.
    #[param(value_type = Option<i64>, minimum = 0)]
    pub offset: Option<String>,
}

impl PageQuery {
    /// The page, checked.
    pub fn page(&self) -> Result<Page> {
        let number = |name: &str, text: &Option<String>, default: i64, from: i64, to: i64| match text {
            None => Ok(default),
            Some(text) => text
                .parse()
                .ok()
                .filter(|n| (from..=to).contains(n))
                .ok_or_else(|| Error::invalid(name, format!("`{name}` must be a whole number from {from} to {to}."))),
        };
        Ok(Page { limit: number("limit", &self.limit, 100, 1, 1_000)?, offset: number("offset", &self.offset, 0, 0, 1_000_000_000)? })
    }
}

/// The query string; the error names the parameter.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        axum::extract::Query::try_from_uri(&parts.uri).map(|axum::extract::Query(query)| Self(query)).map_err(|e| {
            // Every parameter is a text, so that only its name can be wrong; the sentence quotes it.
            let text = e.body_text();
            let found = text.find(" field `").and_then(|at| text.get(..at)?.rfind(' ')).and_then(|at| text.get(at + 1..)).unwrap_or(&text);
            let name = found.split('`').nth(1).unwrap_or_default();
            Error::invalid(name, format!("The query parameter `{name}` {}.", in_words(found).0))
        })
    }
}

/// Path parameters, percent-decoded.
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .ok()
            // No id holds U+0000, and one of the databases cannot even be asked. A token URL has the one answer of every token that is wrong.
            .filter(|_| !parts.uri.path().contains("%00") || parts.uri.path().starts_with("/mcp/"))
            .map(|axum::extract::Path(path)| Self(path))
            .ok_or_else(|| Error::not_found("path"))
    }
}

/// What a page's address ends with; empty, which no link is, where it cannot be read: the page says then what is wrong with the link.
pub struct LinkText(pub String);

impl<S: Send + Sync> FromRequestParts<S> for LinkText {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        Ok(Self(Path::<String>::from_request_parts(parts, state).await.map_or_else(|_| String::new(), |Path(text)| text)))
    }
}

/// Tells "absent" from `null`: `None` = absent, `Some(None)` = null.
pub fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}
