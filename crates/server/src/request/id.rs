//! The id of a request: ties an answer to its log line and audit entry.

use std::{convert::Infallible, ops::Deref, sync::Arc};

use axum::extract::FromRequestParts;
use http::{Extensions, HeaderMap, request::Parts};

use crate::clock::random_hex24;

/// The header that carries it, both ways.
pub const REQUEST_ID: &str = "x-request-id";
/// Longest id that we take from a client, in characters.
const MAX_REQUEST_ID: usize = 64;

/// Ties an answer to its log line and audit entry.
#[derive(Clone)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// As the outermost layer has put it.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_else(|| Self("".into()))
    }

    /// The client's own, when it is harmless, else a new one.
    pub fn new(headers: &HeaderMap) -> Self {
        let own = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        match own {
            Some(id)
                if (1..=MAX_REQUEST_ID).contains(&id.len())
                    && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) =>
            {
                Self(id.into())
            }
            _ => Self(random_hex24().into()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

impl Deref for RequestId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}
