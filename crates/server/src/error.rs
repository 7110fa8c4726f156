//! One error: a kind, a sentence for whoever asked, and a cause for the log. It becomes a response at five edges only:
//! REST (`http`), JSON-RPC (`mcp`), HTML (`page`), OAuth (`authorization_server`), exit code (`cli`).

use std::{borrow::Cow, error::Error as StdError, fmt};

use amalgam_connector::closest;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

/// What a fallible function of the server answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is; decides the HTTP status and the `code` of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    InvalidRequest,
    CredentialNotFound,
    Unauthorized,
    Forbidden,
    NotFound,
    ConnectorNotFound,
    ActionNotFound,
    Conflict,
    TooLarge,
    UnsupportedMedia,
    RateLimited,
    /// The platform answered 4xx: the call reached it and was refused there.
    PlatformRefused,
    /// The platform answered garbage or 5xx.
    PlatformFailed,
    /// The platform cannot be reached, by nobody.
    PlatformUnreachable,
    PlatformTimeout,
    Internal,
    Unavailable,
}

impl Kind {
    /// The `code` of the answer, as in docs/rest.md, section "Errors".
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::CredentialNotFound => "CREDENTIAL_NOT_FOUND",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::ConnectorNotFound => "CONNECTOR_NOT_FOUND",
            Self::ActionNotFound => "ACTION_NOT_FOUND",
            Self::Conflict => "CONFLICT",
            Self::TooLarge => "PAYLOAD_TOO_LARGE",
            Self::UnsupportedMedia => "UNSUPPORTED_MEDIA_TYPE",
            Self::RateLimited => "RATE_LIMITED",
            Self::PlatformRefused => "PLATFORM_ERROR",
            Self::PlatformFailed | Self::PlatformUnreachable => "PLATFORM_UNAVAILABLE",
            Self::PlatformTimeout => "PLATFORM_TIMEOUT",
            Self::Internal => "INTERNAL_ERROR",
            Self::Unavailable => "UNAVAILABLE",
        }
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest | Self::CredentialNotFound | Self::PlatformRefused => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound | Self::ConnectorNotFound | Self::ActionNotFound => StatusCode::NOT_FOUND,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::PlatformFailed | Self::PlatformUnreachable => StatusCode::BAD_GATEWAY,
            Self::PlatformTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// The tools, and what does the same over REST.
const WAYS: [(&str, &str); 8] = [
    ("list_connectors_alloy", "`GET /connectors`"),
    ("discover_action_path_alloy", "`GET /connectors/search`"),
    ("get_connector_resources_alloy", "`GET /connectors/{connectorId}/resources`"),
    ("get_action_details_alloy", "`GET /connectors/{connectorId}/actions/{actionId}`"),
    ("execute_action_alloy", "`POST /connectors/{connectorId}/actions/{actionId}/execute`"),
    ("get_credentials_alloy", "`GET /connectors/{connectorId}/credentials`"),
    ("get_credential_metadata_alloy", "`GET /connectors/{connectorId}/credentials/metadata`"),
    ("create_credential_alloy", "`POST /connectors/{connectorId}/credentials`"),
];

/// A sentence for somebody who has no tools: sentences name the way out as models know it, and this is the same way over REST.
#[must_use]
pub fn over_rest(sentence: &str) -> Cow<'_, str> {
    if !sentence.contains("_alloy") {
        return Cow::Borrowed(sentence);
    }
    WAYS.iter().fold(sentence.to_owned(), |sentence, (tool, way)| sentence.replace(tool, way)).into()
}

/// What a reader of a body, a query or a file found wrong, in our words: it follows the name of the field, and never repeats what came,
/// because a secret may stand in the wrong place. The second part is the member that is missing, where one is.
#[must_use]
pub fn in_words(found: &str) -> (String, Option<&str>) {
    let quoted = |text| str::split(text, '`').skip(1).step_by(2).collect::<Vec<&str>>();
    if let Some(missing) = found.strip_prefix("missing field ").and_then(|rest| quoted(rest).first().copied()) {
        return ("is missing".to_owned(), Some(missing));
    }
    if let Some((unknown, known)) = found.strip_prefix("unknown field ").and_then(|rest| rest.split_once(", ")) {
        return (unknown_among(quoted(unknown).first().copied().unwrap_or_default(), &quoted(known)), None);
    }
    if found.starts_with("duplicate field ") {
        return ("is given twice".to_owned(), None);
    }
    let Some((_, expected)) = found.split_once("expected ") else { return ("is not acceptable".to_owned(), None) };
    let expected = match expected {
        "i64" | "i32" => "a whole number",
        "u64" | "u32" | "u16" | "u8" | "usize" => "a whole number that is not negative",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        "a map" => "an object",
        other if other.starts_with("struct ") => "an object",
        "socket address" => "an address and a port such as 127.0.0.1:3000",
        other => other,
    };
    (format!("must be {expected}"), None)
}

/// Follows the name of something that is not among these.
#[must_use]
pub fn unknown_among(name: &str, known: &[&str]) -> String {
    let meant = closest(name, known.iter().copied()).map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default();
    if known.is_empty() { "is not known here".to_owned() } else { format!("is not known here{meant}; there are `{}`", known.join("`, `")) }
}

/// A failure with a public sentence and a private cause.
#[derive(Debug)]
pub struct Error {
    /// What kind of failure.
    pub kind: Kind,
    /// One or two sentences for whoever asked: what is wrong and the way out. Never a secret, a path or SQL.
    pub message: Cow<'static, str>,
    /// Machine-readable particulars, such as `{"field": "name"}`.
    pub details: Option<Box<Value>>,
    /// For the log only.
    pub cause: Option<Box<dyn StdError + Send + Sync>>,
    /// For the log only: which platform, as `connector/action`.
    pub platform: Option<Box<str>>,
    /// Headers that go with it: `Retry-After` in seconds, `RateLimit-*`.
    pub headers: Vec<(&'static str, u32)>,
}

impl Error {
    /// A failure of this kind with this sentence.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), details: None, cause: None, platform: None, headers: Vec::new() }
    }

    /// 400 about one field of the request.
    pub fn invalid(field: &str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::InvalidRequest, message).with_details(json!({ "field": field }))
    }

    /// 403: a restriction of the server says no; the sentence names it.
    pub fn denied(denial: impl fmt::Display) -> Self {
        Self::new(Kind::Forbidden, denial.to_string())
    }

    /// 404: it does not exist, or it is another's; both look the same.
    pub fn not_found(what: &str) -> Self {
        Self::new(Kind::NotFound, format!("No such {what}. It does not exist, or it is not yours."))
    }

    /// 401, one wording for all reasons.
    pub fn unauthorized() -> Self {
        Self::new(
            Kind::Unauthorized,
            "Invalid or missing authentication. Send `Authorization: Bearer <API key>`; keys are made with `POST /api/keys`.",
        )
    }

    /// 500 whose cause goes to the log.
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            cause: Some(cause.into()),
            ..Self::new(Kind::Internal, "Something went wrong on our side. The log has the details under this request id.")
        }
    }

    /// Logs what the operator should know, once, where it is handled. Never a path: a token may stand in it. Never the sentence of a
    /// refusal: it may repeat what a client sent, or what a platform said of somebody's data.
    pub fn log(&self, request_id: &str) {
        let (code, cause) = (self.kind.code(), self.cause.as_ref().map(tracing::field::display));
        match self.kind {
            Kind::Internal => tracing::error!(request_id, cause, "{}", self.message),
            Kind::Unavailable => tracing::warn!(request_id, cause, "{}", self.message),
            Kind::PlatformFailed | Kind::PlatformUnreachable | Kind::PlatformTimeout => {
                tracing::info!(request_id, platform = self.platform.as_deref(), cause, code, "a platform failed");
            }
            // Whoever calls too often must not fill the log as well.
            Kind::RateLimited => tracing::debug!(request_id, code, "refused"),
            _ => tracing::info!(request_id, platform = self.platform.as_deref(), code, "refused"),
        }
    }

    /// Adds machine-readable particulars.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => Self {
                cause: Some(Box::new(error)),
                ..Self::new(Kind::Unavailable, "The database does not answer at the moment. Try again shortly.")
            },
            // PostgreSQL keeps no U+0000 in a text (SQLSTATE 22021).
            sqlx::Error::Database(refusal) if refusal.code().as_deref() == Some("22021") => {
                Self::new(Kind::InvalidRequest, "A value holds the character U+0000, which cannot be kept.")
            }
            sqlx::Error::Database(refusal) if refusal.is_foreign_key_violation() => {
                Self::new(Kind::NotFound, "What this belongs to has just been deleted by somebody else.")
            }
            error => Self::internal(error),
        }
    }
}

impl From<amalgam_vault::VaultError> for Error {
    fn from(error: amalgam_vault::VaultError) -> Self {
        Self::internal(error.to_string())
    }
}

/// Carries the error to the layer of its family (`http::edge`), which gives it its shape.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        response.extensions_mut().insert(std::sync::Arc::new(self));
        response
    }
}
