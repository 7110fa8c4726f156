//! The id of a request: ties an answer to its log line and audit entry.

use std::{
    convert::Infallible,
    ops::Deref,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use amalgam_vault::hex;
use axum::extract::FromRequestParts;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, request::Parts};

use crate::clock::random;

/// The header that carries it, both ways.
pub static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that we take from a client, in characters.
const MAX_REQUEST_ID: usize = 64;

/// Ties an answer to its log line and audit entry. Cheap to clone; visible ASCII.
#[derive(Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// As the outermost layer has put it.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_else(|| Self(HeaderValue::from_static("")))
    }

    /// The client's own, when it is harmless, else a new one.
    pub fn new(headers: &HeaderMap) -> Self {
        match headers.get(&REQUEST_ID) {
            Some(own) if (1..=MAX_REQUEST_ID).contains(&own.len()) && own.as_bytes().iter().all(is_harmless) => Self(own.clone()),
            _ => Self(HeaderValue::try_from(unique()).unwrap_or_else(|_| HeaderValue::from_static(""))),
        }
    }

    /// As the header says it.
    pub fn header(&self) -> &HeaderValue {
        &self.0
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
        self.0.to_str().unwrap_or_default()
    }
}

fn is_harmless(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// 24 hex characters that no other request has: a random number of the node and a scrambled count. No secret, so no random
/// number is drawn for each.
fn unique() -> String {
    static NODE: LazyLock<[u8; 4]> = LazyLock::new(random);
    static COUNT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(u64::from_ne_bytes(random())));
    // An odd factor maps numbers one to one, and neighbours far apart.
    let count = COUNT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let [a, b, c, d] = *NODE;
    let [e, f, g, h, i, j, k, l] = count.to_be_bytes();
    hex(&[a, b, c, d, e, f, g, h, i, j, k, l])
}
