//! User tokens: JWTs signed by an issuer that the account has named. Never `alg: none`, never a key that does not fit the algorithm.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

use super::identity::is_user_id;
use crate::{
    app::App,
    error::{Error, Kind, Result},
    store::issuers::Issuer,
};

/// Clocks may differ by this much, in seconds.
const SKEW: u64 = 60;
/// Longer tokens are refused unread, in bytes.
const MAX_LENGTH: usize = 16 * 1024;

/// A token whose signature, time and audience are right.
pub struct Verified {
    /// The tenant of the issuer.
    pub account: Arc<str>,
    /// The user it names.
    pub user: Arc<str>,
    /// The id of the issuer.
    pub issuer: String,
}

/// True for what has the form of a JWT, which no API key has.
pub fn looks_like(token: &str) -> bool {
    parts(token).is_some()
}

/// The header and the still encoded payload of three dot-separated parts of which the first is a JSON object in base64url.
fn parts(token: &str) -> Option<(Map<String, Value>, &str)> {
    let mut parts = token.split('.');
    let (header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    if token.len() > MAX_LENGTH || parts.next().is_some() {
        return None;
    }
    Some((object(header)?, payload))
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// Verifies a token against the issuers of one account.
pub async fn verify(app: &App, account: &Arc<str>, token: &str) -> Result<Verified> {
    let issuer = unverified_issuer(token)?;
    let issuers = app.store.issuers(account).await?;
    first_match(app, issuers.iter().filter(|known| known.issuer == issuer), token)
}

/// Verifies a token of a caller who shows nothing else, against the issuers of all accounts that it may come from.
pub async fn verify_for_any(app: &App, token: &str) -> Result<Verified> {
    let issuer = unverified_issuer(token)?;
    let issuers = app.store.issuers_named(issuer.as_deref()).await?;
    first_match(app, issuers.iter(), token)
}

fn invalid() -> Error {
    Error::new(
        Kind::Unauthorized,
        "The user token (JWT) is not valid: it must be signed by an issuer of this account (HS256), with `exp` in the future, the right \
         `iss` and `aud`, and a user in `userId` or `sub`.",
    )
}

/// The `iss` claim, read before anything is verified, to choose the issuer whose key must then fit.
fn unverified_issuer(token: &str) -> Result<Option<String>> {
    // `crit` names extensions that must be understood, and we know none. Source: RFC 7515, section 4.1.11.
    let (_, payload) = parts(token).filter(|(header, _)| !header.contains_key("crit")).ok_or_else(invalid)?;
    match object(payload).ok_or_else(invalid)?.get("iss") {
        None => Ok(None),
        Some(Value::String(issuer)) => Ok(Some(issuer.clone())),
        Some(_) => Err(invalid()),
    }
}

fn first_match<'a>(app: &App, issuers: impl Iterator<Item = &'a Issuer>, token: &str) -> Result<Verified> {
    for issuer in issuers {
        let secret = app.store.open_issuer(issuer)?;
        if let Some(user) = check(issuer, secret.expose().as_bytes(), token) {
            return Ok(Verified { account: issuer.account_id.as_str().into(), user: user.into(), issuer: issuer.id.clone() });
        }
    }
    Err(invalid())
}

fn check(issuer: &Issuer, secret: &[u8], token: &str) -> Option<String> {
    // The algorithm is ours to choose, not the token's: an HS256 secret verifies HS256 and nothing else.
    let mut validation = Validation::new(Algorithm::HS256);
    validation.leeway = SKEW;
    validation.validate_nbf = true;
    validation.set_required_spec_claims(&["exp"]);
    match &issuer.audience {
        Some(audience) => {
            validation.set_audience(&[audience]);
            validation.set_required_spec_claims(&["exp", "aud"]);
        }
        None => validation.validate_aud = false,
    }
    if let Some(name) = &issuer.issuer {
        validation.set_issuer(&[name]);
    }
    let claims = jsonwebtoken::decode::<Map<String, Value>>(token, &DecodingKey::from_secret(secret), &validation).ok()?.claims;
    let named = match &issuer.user_claim {
        Some(claim) => claims.get(claim),
        None => claims.get("userId").or_else(|| claims.get("sub")),
    };
    let user = named?.as_str()?;
    is_user_id(user).then(|| user.to_owned())
}
