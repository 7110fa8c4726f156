//! A token taken apart, once: what it says, and what of it is signed. Nothing here believes it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny},
};
use serde_json::{Map, Value};

use crate::{
    clock::now_ms,
    store::{is_user_id, issuers::Issuer},
};

/// Clocks may differ by this much, in milliseconds.
const SKEW: i64 = 60_000;
/// Longer tokens are refused unread, in bytes.
pub const MAX_LENGTH: usize = 16 * 1024;

/// A token of which nothing is verified yet.
pub struct Token<'t> {
    header: Header,
    claims: Claims,
    payload: Vec<u8>,
    /// What is signed: the first two parts as they came.
    message: &'t str,
    signature: &'t str,
}

#[derive(Deserialize)]
struct Header {
    #[serde(deserialize_with = "algorithm")]
    alg: Algorithm,
    /// Only compared with ids of keys that we have: it never names a place.
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default, deserialize_with = "present")]
    iss: Option<String>,
    /// Seconds, as `nbf`.
    exp: f64,
    nbf: Option<f64>,
    #[serde(default)]
    aud: Value,
    #[serde(rename = "userId", default, deserialize_with = "present")]
    user_id: Option<Value>,
    #[serde(default)]
    sub: Value,
}

/// The name of an algorithm. Read as an enum, an object that holds the name would do as well.
fn algorithm<'de, D: Deserializer<'de>>(value: D) -> Result<Algorithm, D::Error> {
    String::deserialize(value)?.parse().map_err(D::Error::custom)
}

/// A member that is there says something, also where it is null.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

/// Header, payload and signature of three dot-separated parts, still encoded.
fn parts(token: &str) -> Option<(&str, &str, &str)> {
    let mut parts = token.split('.');
    let found = (parts.next()?, parts.next()?, parts.next()?);
    (token.len() <= MAX_LENGTH && parts.next().is_none()).then_some(found)
}

/// The text of a JSON object in base64url.
fn object(part: &str) -> Option<Vec<u8>> {
    let text = URL_SAFE_NO_PAD.decode(part).ok()?;
    // Else a list of its values would do as well.
    text.trim_ascii_start().starts_with(b"{").then_some(text)
}

/// True for what has the form of a JWT, which no API key has.
pub fn looks_like(token: &str) -> bool {
    let header = parts(token).and_then(|(header, _, _)| object(header));
    header.is_some_and(|header| serde_json::from_slice::<IgnoredAny>(&header).is_ok())
}

/// The claims of a token before anything is verified: only to find the key that must then fit.
pub fn unverified(token: &str) -> Option<Map<String, Value>> {
    let (_, payload, _) = parts(token)?;
    serde_json::from_slice(&object(payload)?).ok()
}

impl<'t> Token<'t> {
    /// Nothing where it is no JWT, or one without `exp`, or one that asks for what we do not know.
    pub fn read(text: &'t str) -> Option<Self> {
        let (header, payload, signature) = parts(text)?;
        let header: Header = serde_json::from_slice(&object(header)?).ok()?;
        let payload = object(payload)?;
        let claims = serde_json::from_slice(&payload).ok()?;
        let message = text.get(..text.len() - signature.len() - 1)?;
        // `crit` names extensions that must be understood, and we know none. Source: RFC 7515, section 4.1.11.
        header.crit.is_none().then_some(Self { header, claims, payload, message, signature })
    }

    /// `iss`.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.iss.as_deref()
    }

    /// The algorithm that it says it is signed with.
    pub fn algorithm(&self) -> Algorithm {
        self.header.alg
    }

    /// The key that it says it is signed with.
    pub fn key_id(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// Whether this finds it signed: what is signed, and the signature.
    pub fn is_signed(&self, verify: impl FnOnce(&[u8], &[u8]) -> bool) -> bool {
        URL_SAFE_NO_PAD.decode(self.signature).is_ok_and(|signature| verify(self.message.as_bytes(), &signature))
    }

    /// When it ends, in milliseconds, clocks' difference included. Nothing where that is over, or it has not begun.
    pub fn until(&self) -> Option<i64> {
        let (now, until) = (now_ms(), ms(self.claims.exp).saturating_add(SKEW));
        let has_begun = self.claims.nbf.is_none_or(|nbf| ms(nbf).saturating_sub(SKEW) <= now);
        (has_begun && until > now).then_some(until)
    }

    /// Whether it is for this audience.
    pub fn is_for(&self, audience: &str) -> bool {
        match &self.claims.aud {
            Value::Array(all) => all.iter().any(|one| one == audience),
            one => one == audience,
        }
    }

    /// The user whom it names for this issuer.
    pub fn user(&self, issuer: &Issuer) -> Option<String> {
        let named = match issuer.user_claim.as_deref() {
            None => self.claims.user_id.as_ref().unwrap_or(&self.claims.sub).as_str()?.to_owned(),
            Some(claim) => {
                let mut claims: Map<String, Value> = serde_json::from_slice(&self.payload).ok()?;
                // An address that nobody has verified is the user's own claim (OpenID Connect Core, section 5.7). An account's own program,
                // which signs with its secret, need not say that it knows it.
                match claims.get("email_verified") {
                    _ if claim != "email" => {}
                    Some(Value::Bool(true)) => {}
                    None if issuer.jwks_url.is_none() => {}
                    _ => return None,
                }
                match claims.swap_remove(claim)? {
                    Value::String(user) => user,
                    _ => return None,
                }
            }
        };
        is_user_id(&named).then_some(named)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a cast of floating point saturates, and nothing lives that long")]
fn ms(seconds: f64) -> i64 {
    (seconds * 1_000.0) as i64
}
