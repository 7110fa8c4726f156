//! One refusal: the HTTP status and the JSON-RPC error it is answered with. Every case of the protocol has a constructor.

use std::borrow::Cow;
use std::fmt;

use serde_json::{Value, json};

use crate::revision::{Era, SUPPORTED};

/// The body was not JSON (JSON-RPC 2.0).
pub const PARSE_ERROR: i64 = -32700;
/// The JSON was not a JSON-RPC message (JSON-RPC 2.0).
pub const INVALID_REQUEST: i64 = -32600;
/// No such method in the revision that the message speaks (JSON-RPC 2.0).
pub const METHOD_NOT_FOUND: i64 = -32601;
/// The parameters have the wrong shape (JSON-RPC 2.0).
pub const INVALID_PARAMS: i64 = -32602;
/// We failed (JSON-RPC 2.0).
pub const INTERNAL_ERROR: i64 = -32603;
/// Headers and body disagree (2026-07-28, SEP-2243).
pub const HEADER_MISMATCH: i64 = -32020;
/// The call needs a client capability that the request did not declare (2026-07-28).
pub const MISSING_CAPABILITY: i64 = -32021;
/// The named revision is not served here (2026-07-28, SEP-2575).
pub const UNSUPPORTED_VERSION: i64 = -32022;
/// No such resource, in the revisions up to 2025-11-25. The modern era retired the code (SEP-2164).
pub const LEGACY_RESOURCE_NOT_FOUND: i64 = -32002;
/// Refused by the transport: authentication, negotiation, size, rate. The first code of the band that the protocol leaves to
/// implementations (-32000 to -32019), and the one that other servers use here.
pub const TRANSPORT: i64 = -32000;
/// The session does not exist any more: the code that the TypeScript server answers with.
pub const SESSION_NOT_FOUND: i64 = -32001;

/// At most this many characters of a client's own text are repeated in a message.
const QUOTED_CHARACTERS: usize = 64;

/// A refusal, ready to become a response.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// HTTP status, 200 where the protocol wants the error in band.
    pub http: u16,
    /// JSON-RPC error code.
    pub code: i64,
    /// A sentence for people: what is wrong, and the way out.
    pub message: String,
    /// Machine-readable detail, where the protocol defines one.
    pub data: Option<Value>,
}

impl Fault {
    fn new(http: u16, code: i64, message: impl Into<String>) -> Self {
        Self { http, code, message: message.into(), data: None }
    }

    fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// The body is not JSON. `detail` says where.
    #[must_use]
    pub fn parse_error(detail: impl fmt::Display) -> Self {
        Self::new(400, PARSE_ERROR, format!("The body is not valid JSON: {detail}"))
    }

    /// The body is JSON, but not a JSON-RPC message that may be sent here.
    #[must_use]
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(400, INVALID_REQUEST, message)
    }

    /// The revision has no such method: 404 in the modern era, in band in the legacy one.
    #[must_use]
    pub fn method_not_found(era: Era, method: &str) -> Self {
        let http = if era.is_modern() { 404 } else { 200 };
        Self::new(http, METHOD_NOT_FOUND, format!("Method {} does not exist in this protocol revision.", quote(method)))
    }

    /// A method's parameters are wrong; in band (HTTP 200).
    #[must_use]
    pub fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(200, INVALID_PARAMS, message)
    }

    /// The envelope around the parameters (`_meta`) is wrong; the one case of -32602 that is HTTP 400.
    #[must_use]
    pub fn invalid_envelope(message: impl Into<String>) -> Self {
        Self::new(400, INVALID_PARAMS, message)
    }

    /// Headers and body disagree, or a required header is missing, malformed or sent twice.
    #[must_use]
    pub fn header_mismatch(message: impl Into<String>) -> Self {
        Self::new(400, HEADER_MISMATCH, message)
    }

    /// The call needs client capabilities that the request did not declare. `required` is a `ClientCapabilities` object.
    #[must_use]
    pub fn missing_capability(required: Value) -> Self {
        Self::new(
            400,
            MISSING_CAPABILITY,
            "This call needs a client capability that the request does not declare; see requiredCapabilities.",
        )
        .with_data(json!({ "requiredCapabilities": required }))
    }

    /// The envelope names a revision that we do not serve.
    #[must_use]
    pub fn unsupported_version(requested: &str) -> Self {
        let requested = cut(requested);
        Self::new(
            400,
            UNSUPPORTED_VERSION,
            format!("Protocol version {requested:?} is not supported; use one of {}.", SUPPORTED.join(", ")),
        )
        .with_data(json!({ "supported": SUPPORTED, "requested": requested }))
    }

    /// No such resource: -32002 in the legacy era, -32602 in the modern one; in band.
    #[must_use]
    pub fn resource_not_found(era: Era, uri: &str) -> Self {
        let code = if era.is_modern() { INVALID_PARAMS } else { LEGACY_RESOURCE_NOT_FOUND };
        Self::new(200, code, format!("Resource {} does not exist; resources/list names those that do.", quote(uri)))
            .with_data(json!({ "uri": uri }))
    }

    /// We failed; the cause is in the log under the request's id, never here.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(200, INTERNAL_ERROR, "The server failed to answer; the log names the cause under this request's id.")
    }

    /// 401: no identity, or one that does not hold. One wording for wrong, expired and revoked.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(401, TRANSPORT, "Authentication is missing or not valid; send a current access token or API key.")
    }

    /// 403: known, but not allowed. `message` says what.
    #[must_use]
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, TRANSPORT, message)
    }

    /// 405: the endpoint has no such HTTP method here.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(405, TRANSPORT, "This HTTP method is not available here; send JSON-RPC by POST.")
    }

    /// 406: the client does not take event streams.
    #[must_use]
    pub fn not_acceptable() -> Self {
        Self::new(406, TRANSPORT, "The Accept header must allow text/event-stream; send \"application/json, text/event-stream\".")
    }

    /// 413: the body is larger than `limit` bytes.
    #[must_use]
    pub fn too_large(limit: usize) -> Self {
        Self::new(413, TRANSPORT, format!("The body is larger than {limit} bytes; send less in one request."))
    }

    /// 415: the body is not declared as JSON.
    #[must_use]
    pub fn unsupported_media() -> Self {
        Self::new(415, TRANSPORT, "The Content-Type header must be application/json.")
    }

    /// 429: too many requests; `retry_after` in seconds is also the `Retry-After` header.
    #[must_use]
    pub fn rate_limited(retry_after: u64) -> Self {
        Self::new(429, TRANSPORT, format!("Too many requests; try again in {retry_after} seconds."))
            .with_data(json!({ "retryAfter": retry_after }))
    }

    /// 400: the operation needs a session and the request names none.
    #[must_use]
    pub fn session_required() -> Self {
        Self::new(400, TRANSPORT, "The Mcp-Session-Id header is missing; send the one that initialize returned.")
    }

    /// 404: the session does not exist or has ended; the client must initialize again.
    #[must_use]
    pub fn session_not_found() -> Self {
        Self::new(404, SESSION_NOT_FOUND, "The session does not exist or has ended; send initialize again.")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (HTTP {}, code {})", self.message, self.http, self.code)
    }
}

impl std::error::Error for Fault {}

/// A client's text in quotes, escaped and cut, fit for a message and a log line.
pub(crate) fn quote(text: &str) -> String {
    format!("{:?}", cut(text))
}

/// A client's text, cut to what a message may repeat.
fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(QUOTED_CHARACTERS) {
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(text),
    }
}
