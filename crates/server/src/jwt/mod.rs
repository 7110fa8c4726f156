//! User tokens: JWTs signed by an issuer that the account has named. Never `alg: none`, never a key that does not fit the algorithm.

mod keys;

use std::{sync::Arc, time::Duration};

use amalgam_vault::hash_token;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use moka::sync::Cache;
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use self::keys::KeySets;
use crate::{
    clock::now_ms,
    egress::Egress,
    error::{Error, Kind, Result},
    store::{Store, TokenHash, is_user_id, issuers::Issuer},
};

/// Clocks may differ by this much, in seconds.
const SKEW: u64 = 60;
/// Longer tokens are refused unread, in bytes.
const MAX_LENGTH: usize = 16 * 1024;
/// A verified token is not verified again for this long, so that a key that was withdrawn ends.
const KEPT_FOR: Duration = Duration::from_secs(5 * 60);
/// Issuers whose keys are asked for at once.
const AT_ONCE: usize = 16;
/// No token is verified for longer, however many issuers may have signed it.
const ALL_TOGETHER: Duration = Duration::from_secs(6);
/// All of them together, in bytes.
const MAX_KEPT: u64 = 8 * 1024 * 1024;

/// A token whose signature, time and audience are right.
#[derive(Clone)]
pub struct Verified {
    /// The tenant of the issuer.
    pub account: Arc<str>,
    /// The user it names.
    pub user: Arc<str>,
    /// The id of the issuer.
    pub issuer: String,
    /// Milliseconds, clocks' difference included.
    until: i64,
}

/// Verifies user tokens, and keeps what it has verified.
pub struct UserTokens {
    store: Arc<Store>,
    keys: KeySets,
    /// By account, where one is known before, and the token's hash.
    verified: Cache<(Option<Arc<str>>, TokenHash), Verified>,
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

/// The claims of a token before anything is verified: only to find the key that must then fit.
pub fn unverified(token: &str) -> Option<Map<String, Value>> {
    object(parts(token)?.1)
}

fn invalid() -> Error {
    Error::new(
        Kind::Unauthorized,
        "The user token (JWT) is not valid: it must be signed by an issuer of this account, with `exp` in the future, the right `iss` and \
         `aud`, and a user in `userId` or `sub`.",
    )
}

/// What a token says before anything is verified: whose key must fit, and which one.
struct Claimed {
    issuer: Option<String>,
    algorithm: Algorithm,
    key_id: Option<String>,
}

impl Claimed {
    fn read(token: &str) -> Result<Self> {
        // `crit` names extensions that must be understood, and we know none. Source: RFC 7515, section 4.1.11.
        let (header, payload) = parts(token).filter(|(header, _)| !header.contains_key("crit")).ok_or_else(invalid)?;
        let issuer = match object(payload).ok_or_else(invalid)?.get("iss") {
            None => None,
            Some(Value::String(issuer)) => Some(issuer.clone()),
            Some(_) => return Err(invalid()),
        };
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        let algorithm = text("alg").and_then(|algorithm| algorithm.parse().ok()).ok_or_else(invalid)?;
        // Only compared with ids of keys that we have: it never names a place.
        Ok(Self { issuer, algorithm, key_id: text("kid").map(str::to_owned) })
    }
}

impl UserTokens {
    /// Over the issuers that are kept, and the way to their keys.
    pub fn new(store: Arc<Store>, egress: Egress) -> Self {
        let weigh = |_: &(Option<Arc<str>>, TokenHash), verified: &Verified| u32::try_from(256 + verified.user.len()).unwrap_or(u32::MAX);
        let verified = Cache::builder().max_capacity(MAX_KEPT).weigher(weigh).time_to_live(KEPT_FOR).build();
        Self { store, keys: KeySets::new(egress), verified }
    }

    /// Verifies a token against the issuers of one account.
    pub async fn verify(&self, account: &Arc<str>, token: &str) -> Result<Verified> {
        self.verified(Some(account), token).await
    }

    /// Verifies a token of a caller who shows nothing else, against the issuers of all accounts that it may come from.
    pub async fn verify_for_any(&self, token: &str) -> Result<Verified> {
        self.verified(None, token).await
    }

    async fn verified(&self, account: Option<&Arc<str>>, token: &str) -> Result<Verified> {
        if token.len() > MAX_LENGTH {
            return Err(invalid());
        }
        let key = (account.cloned(), hash_token(token));
        if let Some(kept) = self.verified.get(&key)
            && kept.until > now_ms()
            // An issuer that was deleted ends its tokens at once.
            && self.store.issuers(&kept.account).await?.iter().any(|issuer| issuer.id == kept.issuer)
        {
            return Ok(kept);
        }
        let claimed = Claimed::read(token)?;
        let issuers = match account {
            Some(account) => self.store.issuers(account).await?,
            None => self.store.issuers_named(claimed.issuer.as_deref()).await?,
        };
        let found = self.found(&issuers, &claimed, token).await?.ok_or_else(invalid)?;
        self.verified.insert(key, found.clone());
        Ok(found)
    }

    /// What the issuers of the token's `iss` make of it. Several ask for keys at once and all of them have one time together, so that
    /// slow ones of whichever account hold up nobody.
    async fn found(&self, issuers: &[Issuer], claimed: &Claimed, token: &str) -> Result<Option<Verified>> {
        let named = issuers.iter().filter(|known| known.issuer == claimed.issuer);
        let checks: Vec<_> = named.map(|issuer| self.check(issuer, claimed, token).boxed()).collect();
        let mut checks = stream::iter(checks).buffer_unordered(AT_ONCE);
        let end = Instant::now() + ALL_TOGETHER;
        let mut found: Option<Verified> = None;
        while let Ok(Some(checked)) = timeout_at(end, checks.next()).await {
            let Some(verified) = checked? else { continue };
            // One account's issuers are tried until one fits. Those of others must not fit as well: any account may name a public issuer,
            // and nobody's users shall land in another's account.
            match &found {
                None if issuers.iter().all(|issuer| *issuer.account_id == *verified.account) => return Ok(Some(verified)),
                None => found = Some(verified),
                Some(found) if found.account == verified.account => {}
                Some(_) => return Err(invalid()),
            }
        }
        Ok(found)
    }

    /// The algorithm is the issuer's to choose, not the token's: a shared secret verifies HS256 and nothing else, a public key what fits
    /// its type.
    async fn check(&self, issuer: &Issuer, claimed: &Claimed, token: &str) -> Result<Option<Verified>> {
        if let Some(url) = &issuer.jwks_url {
            if claimed.algorithm == Algorithm::HS256 {
                return Ok(None);
            }
            let keys = self.keys.fitting(url, claimed.algorithm, claimed.key_id.as_deref()).await;
            let keys = keys.iter().filter_map(|(keys, n)| keys.get(*n));
            return Ok(keys.map(|key| &key.key).find_map(|key| check(issuer, key, claimed.algorithm, token)));
        }
        let Some(secret) = self.store.open_issuer(issuer)? else { return Ok(None) };
        Ok(check(issuer, &DecodingKey::from_secret(secret.expose().as_bytes()), Algorithm::HS256, token))
    }
}

fn check(issuer: &Issuer, key: &DecodingKey, algorithm: Algorithm, token: &str) -> Option<Verified> {
    let mut validation = Validation::new(algorithm);
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
    let claims = jsonwebtoken::decode::<Map<String, Value>>(token, key, &validation).ok()?.claims;
    let named = match &issuer.user_claim {
        Some(claim) => claims.get(claim),
        None => claims.get("userId").or_else(|| claims.get("sub")),
    };
    // An address that nobody has verified is the user's own claim (OpenID Connect Core, section 5.7). An account's own program, which signs
    // with its secret, need not say that it knows it.
    if issuer.user_claim.as_deref() == Some("email") {
        match claims.get("email_verified") {
            Some(Value::Bool(true)) => {}
            None if issuer.jwks_url.is_none() => {}
            _ => return None,
        }
    }
    let user = named?.as_str().filter(|user| is_user_id(user))?;
    let end = claims.get("exp")?.as_f64()?;
    Some(Verified {
        account: issuer.account_id.as_str().into(),
        user: user.into(),
        issuer: issuer.id.clone(),
        until: ms(end).saturating_add(i64::try_from(SKEW * 1_000).unwrap_or(0)),
    })
}

#[expect(clippy::cast_possible_truncation, reason = "a cast of floating point saturates, and nothing lives that long")]
fn ms(seconds: f64) -> i64 {
    (seconds * 1_000.0) as i64
}
