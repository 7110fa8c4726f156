//! Errors as OAuth clients read them (RFC 6749 section 5.2): `{error, error_description}`.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header::WWW_AUTHENTICATE};
use serde_json::json;

use crate::error::{Error, Kind};

/// What a client is told.
pub struct Refusal {
    status: StatusCode,
    error: &'static str,
    description: String,
    retry_after: Option<u32>,
}

impl Refusal {
    /// 400 with one of the registered codes.
    pub fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description: description.into(), retry_after: None }
    }

    /// The client is unknown, or its secret is wrong.
    pub fn client(description: impl Into<String>) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, ..Self::new("invalid_client", description) }
    }

    /// The code or refresh token is of no use, for whichever reason: the client starts again.
    pub fn grant() -> Self {
        Self::new("invalid_grant", "The code or refresh token is unknown, expired, used up, or not for this client. Sign in again.")
    }

    /// One of ours, logged.
    pub fn from(error: &Error, request_id: &str) -> Self {
        error.log(request_id);
        let code = match error.kind {
            Kind::Internal => "server_error",
            Kind::Unavailable | Kind::RateLimited => "temporarily_unavailable",
            _ => "invalid_request",
        };
        let retry_after = error.headers.iter().find(|(name, _)| *name == "retry-after").map(|(_, seconds)| *seconds);
        Self { status: error.kind.status(), retry_after, ..Self::new(code, error.message.clone()) }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "error_description": self.description });
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"amalgam\""));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert("retry-after", HeaderValue::from(seconds));
        }
        response
    }
}
