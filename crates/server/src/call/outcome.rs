//! What a platform's answer means: JSON to pass on, or an error whose sentence says what to do.

use std::fmt::Display;

use amalgam_connector::{ArgumentError, CompiledAction, Connector, definition::Method, failure, plan::Plan, shape::Extent};
use amalgam_protocol::strict::parse_answer;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{Buf as _, Bytes};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, LINK, RETRY_AFTER},
};
use serde_json::{Value, json};

use super::again;
use crate::{
    clock::now_ms,
    egress::{EgressError, EgressErrorKind, Incoming},
    error::{Error, Kind, Result},
};

/// The platform's own words in our sentences are cut after this many characters.
const MAX_REASON: usize = 500;

/// So much of a page for people is looked at, in bytes.
const MAX_PAGE: usize = 16 * 1024;

/// An answer with a success status, as JSON.
pub struct Read {
    /// 2xx.
    pub status: u16,
    /// JSON text.
    pub body: Bytes,
    /// How large it is.
    pub extent: Extent,
    /// The header `Link`, which names the next page.
    pub link: Option<String>,
    /// Whether the platform lets it be kept.
    pub keep: bool,
}

/// A mistake in the arguments.
pub fn bad_argument(error: ArgumentError) -> Error {
    match &error.field {
        Some(field) => Error::invalid(field, error.message.to_string()),
        None => Error::new(Kind::InvalidRequest, error.message.to_string()),
    }
}

/// A request that never got its answer.
pub fn not_reached(error: EgressError) -> Error {
    let kind = match error.kind() {
        EgressErrorKind::Invalid(_) => Kind::InvalidRequest,
        EgressErrorKind::Timeout(_) => Kind::PlatformTimeout,
        _ => Kind::PlatformFailed,
    };
    let mut sentence = error.to_string();
    // Sentences that begin with a host's name stay as they are.
    if (sentence.starts_with("the ") || sentence.starts_with("no "))
        && let Some(first) = sentence.get_mut(0..1)
    {
        first.make_ascii_uppercase();
    }
    sentence.push('.');
    Error { cause: Some(error.cause().to_owned().into()), ..Error::new(kind, sentence) }
}

/// The method in the words of the `http` crate.
pub fn method(method: Method) -> http::Method {
    match method {
        Method::Get => http::Method::GET,
        Method::Head => http::Method::HEAD,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
        Method::Delete => http::Method::DELETE,
        Method::Options => http::Method::OPTIONS,
    }
}

/// The headers of a planned request. The planner has refused line breaks already; this is the second wall.
pub fn headers(plan: &Plan) -> Result<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(plan.headers.len() + 1);
    let bad = |name: &str| Error::invalid(name, format!("The value for the header `{name}` holds characters that a header may not have."));
    for (name, value) in &plan.headers {
        let key = HeaderName::try_from(name.as_str()).map_err(|_| bad(name))?;
        let mut value = HeaderValue::try_from(value.as_str()).map_err(|_| bad(name))?;
        value.set_sensitive(true);
        headers.try_append(key, value).map_err(|_| Error::new(Kind::InvalidRequest, "The call has too many headers to be sent."))?;
    }
    if let Some(body) = &plan.body {
        headers.insert(CONTENT_TYPE, HeaderValue::try_from(body.content_type.as_str()).map_err(|_| bad("content-type"))?);
    }
    Ok(headers)
}

/// Reads an answer.
pub fn read(connector: &Connector, action: &CompiledAction, mut incoming: Incoming) -> Result<Read> {
    // RFC 8259 section 8.1 lets readers ignore a byte order mark.
    if incoming.body.starts_with(b"\xef\xbb\xbf") {
        incoming.body.advance(3);
    }
    let name = &connector.definition().name;
    let status = incoming.status;
    if !status.is_success() {
        return Err(refused(connector, action, &incoming));
    }
    let keep = !incoming
        .headers
        .get(CACHE_CONTROL)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.to_ascii_lowercase().contains("no-store"));
    let kind = incoming.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    if is_json(&kind) || (kind.is_empty() && matches!(incoming.body.first(), Some(b'{' | b'['))) {
        if incoming.body.is_empty() {
            return described(status, &json!({ "status": status.as_u16(), "message": "The platform answered without content." }), keep);
        }
        if failure::may_succeed_in_name(connector, action) {
            let value = value(connector, &incoming.body)?;
            if let Some(reason) = failure::in_success(connector, action, &value) {
                let advice = failure::advice(connector, action, status.as_u16(), Some(&value), "");
                let sentence = format!("{name} refused the call: {}. {advice}", cut(&reason));
                let details = json!({ "status": status.as_u16(), "responseData": value });
                return Err(Error::new(Kind::PlatformRefused, sentence.trim_end().to_owned()).with_details(details));
            }
        }
        let text = std::str::from_utf8(&incoming.body).map_err(|e| unreadable(connector, e))?;
        let extent = Extent::of(text).map_err(|e| unreadable(connector, e))?;
        let links: Vec<&str> = incoming.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok()).collect();
        let link = (!links.is_empty()).then(|| links.join(", "));
        return Ok(Read { status: status.as_u16(), body: incoming.body, extent, link, keep });
    }
    let value = if incoming.body.is_empty() {
        json!({ "status": status.as_u16(), "message": "The platform answered without content." })
    } else if let Ok(text) = std::str::from_utf8(&incoming.body) {
        json!({ "status": status.as_u16(), "contentType": kind, "text": text })
    } else {
        let data = STANDARD.encode(&incoming.body);
        json!({ "status": status.as_u16(), "contentType": kind, "size": incoming.body.len(), "encoding": "base64", "data": data })
    };
    described(status, &value, keep)
}

fn described(status: StatusCode, value: &Value, keep: bool) -> Result<Read> {
    let text = value.to_string();
    let extent = Extent::of(&text).map_err(Error::internal)?;
    Ok(Read { status: status.as_u16(), body: Bytes::from(text), extent, link: None, keep })
}

/// The value of an answer's text, for those who need more than its bytes.
pub fn value(connector: &Connector, body: &[u8]) -> Result<Value> {
    parse_answer(body).map_err(|e| unreadable(connector, e))
}

fn unreadable(connector: &Connector, error: impl Display) -> Error {
    let name = &connector.definition().name;
    Error::new(Kind::PlatformFailed, format!("{name} answered with JSON that cannot be read: {error}"))
}

pub fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}

/// A header that is a number.
fn number(incoming: &Incoming, name: &str) -> Option<u64> {
    incoming.headers.get(name).and_then(|value| value.to_str().ok()?.parse::<u64>().ok())
}

/// The seconds that the platform asks to wait, in the usual header. A date in its place is not read: clocks differ.
pub fn retry_after(incoming: &Incoming) -> Option<u32> {
    number(incoming, RETRY_AFTER.as_str()).and_then(|seconds| u32::try_from(seconds).ok())
}

/// Whether an answer says that a rate limit is reached, and the seconds to wait, where the platform tells them.
#[expect(clippy::option_option, reason = "a limit without a time is one as well")]
pub fn limit(connector: &Connector, action: &CompiledAction, incoming: &Incoming) -> Option<Option<u32>> {
    if incoming.status.is_success() {
        return None;
    }
    let limit = action.action.rate_limit.as_ref().or(connector.definition().rate_limit.as_ref());
    let header = |name: &str| number(incoming, name);
    // A limit by another status is told, and waited for, like the usual one.
    if !failure::is_limit(limit, incoming.status.as_u16(), header) {
        return None;
    }
    let now = u64::try_from(now_ms() / 1_000).unwrap_or_default();
    let told = || limit.and_then(|limit| failure::wait(limit, parse_answer(&incoming.body).ok().as_ref(), header, now));
    Some(retry_after(incoming).or_else(|| told().and_then(|seconds| u32::try_from(seconds).ok())))
}

fn refused(connector: &Connector, action: &CompiledAction, incoming: &Incoming) -> Error {
    let status = incoming.status;
    let body = parse_answer(&incoming.body).ok();
    let reason = body.as_ref().and_then(|body| failure::reason(connector, body)).or_else(|| title(incoming));
    let reason = reason.map(|reason| format!(": {}", cut(&reason))).unwrap_or_default();
    let limit = limit(connector, action, incoming);
    let meant = if limit.is_some() { StatusCode::TOO_MANY_REQUESTS } else { status };
    let retry_after = limit.unwrap_or_else(|| retry_after(incoming));
    let usual = usual(connector, action, meant, retry_after);
    let wait = retry_after.map(|seconds| format!(" The platform asks to wait {seconds} seconds.")).unwrap_or_default();
    let advice = failure::advice(connector, action, meant.as_u16(), body.as_ref(), usual);
    let kind = match meant.as_u16() {
        429 => Kind::RateLimited,
        400..=499 => Kind::PlatformRefused,
        _ => Kind::PlatformFailed,
    };
    let mut details = json!({ "status": status.as_u16() });
    if let Some(body) = body {
        details["responseData"] = body;
    }
    let sentence = format!("{} answered {status}{reason}.{wait} {advice}", connector.definition().name);
    let mut error = Error::new(kind, sentence.trim_end().to_owned()).with_details(details);
    error.headers.extend(retry_after.map(|seconds| ("retry-after", seconds)));
    error
}

/// What a status usually means and what to do, where the connector does not say it.
fn usual(connector: &Connector, action: &CompiledAction, meant: StatusCode, retry_after: Option<u32>) -> &'static str {
    // Without a credential none can be wrong, and none can be made.
    let is_open = connector.definition().auth.is_empty() || !action.action.auth;
    let may_be_done = !again::is_repeatable(connector, action);
    match meant {
        StatusCode::UNAUTHORIZED if connector.definition().auth.is_empty() => {
            "The platform wants a credential, and this connector declares no way to authenticate: whoever imported it should import a document with \
             its security schemes."
        }
        StatusCode::UNAUTHORIZED if is_open => "The platform wants a credential, and this action is declared to need none.",
        StatusCode::FORBIDDEN if is_open => "The platform does not permit this without a credential, and none is sent with this action.",
        StatusCode::NOT_FOUND if is_open => "What the parameters name does not exist there.",
        StatusCode::UNAUTHORIZED => "The credential is wrong or no longer valid: create a new one with create_credential_alloy.",
        StatusCode::FORBIDDEN => "The credential does not permit this: it may lack a scope or a role on the platform.",
        StatusCode::NOT_FOUND => "What the parameters name does not exist there, or this credential cannot see it.",
        StatusCode::CONFLICT => "It does not go with what is there now: read that again, and repeat the call with what fits it.",
        StatusCode::UNPROCESSABLE_ENTITY => {
            "The platform understood the call and does not accept its parameters: correct them; get_action_details_alloy says what they mean."
        }
        StatusCode::TOO_MANY_REQUESTS if retry_after.is_none() => "The platform asks to wait before the next call.",
        status if status.is_redirection() => "It leads nowhere that can be followed: the connector's address may have changed.",
        status if status.is_server_error() && may_be_done => {
            "The platform failed, and what was asked may have been done all the same: look before you repeat it."
        }
        status if status.is_server_error() => "The platform failed, not the call: repeat it later.",
        _ => "",
    }
}

/// The title of a page for people, which gateways answer with.
fn title(incoming: &Incoming) -> Option<String> {
    let kind = incoming.headers.get(CONTENT_TYPE)?.to_str().ok()?;
    if !kind.to_ascii_lowercase().starts_with("text/html") {
        return None;
    }
    let page = String::from_utf8_lossy(incoming.body.get(..incoming.body.len().min(MAX_PAGE))?).into_owned();
    // As long as the page: only ASCII changes.
    let lower = page.to_ascii_lowercase();
    let start = lower.find("<title").and_then(|at| Some(at + lower.get(at..)?.find('>')? + 1));
    let title = start.and_then(|start| page.get(start..start + lower.get(start..)?.find('<')?)).map(str::trim).unwrap_or_default();
    Some(if title.is_empty() { "a web page instead of data".to_owned() } else { format!("a web page titled \"{title}\"") })
}

fn cut(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    match text.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
