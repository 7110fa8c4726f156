//! User tokens: JWTs signed by an issuer that the account has named. Never `alg: none`, never a key that does not fit the algorithm.

mod keys;
mod token;

use std::{sync::Arc, time::Duration};

use amalgam_vault::hash_token;
use aws_lc_rs::hmac;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use jsonwebtoken::Algorithm;
use quick_cache::{Weighter, sync::Cache};
use tokio::time::{Instant, timeout_at};

pub use self::token::{looks_like, unverified};
use self::{
    keys::KeySets,
    token::{MAX_LENGTH, Token},
};
use crate::{
    clock::now_ms,
    egress::Egress,
    error::{Error, Kind, Result},
    store::{Store, TokenHash, issuers::Issuer},
};

/// A verified token is not verified again for this long, in milliseconds, so that a key that was withdrawn ends.
const KEPT_FOR: i64 = 5 * 60 * 1000;
/// Issuers whose keys are asked for at once.
const AT_ONCE: usize = 16;
/// No token is verified for longer, however many issuers may have signed it.
const ALL_TOGETHER: Duration = Duration::from_secs(6);
/// All of them together, in bytes.
const MAX_KEPT: u64 = 8 * 1024 * 1024;
/// What a usual one takes, in bytes.
const USUAL: u64 = 256;

/// A token whose signature, time and audience are right.
#[derive(Clone)]
pub struct Verified {
    /// The tenant of the issuer.
    pub account: Arc<str>,
    /// The user it names.
    pub user: Arc<str>,
    /// The id of the issuer.
    pub issuer: Arc<str>,
    /// When it must be verified again, in milliseconds.
    until: i64,
}

/// Verifies user tokens, and keeps what it has verified.
pub struct UserTokens {
    store: Arc<Store>,
    keys: KeySets,
    verified: Cache<Shown, Verified, Weigh>,
}

/// The account, where one is known before, and the token's hash.
type Shown = (Option<Arc<str>>, TokenHash);

/// In bytes.
#[derive(Clone)]
struct Weigh;

impl Weighter<Shown, Verified> for Weigh {
    fn weight(&self, _: &Shown, verified: &Verified) -> u64 {
        USUAL + verified.user.len() as u64
    }
}

fn invalid() -> Error {
    Error::new(
        Kind::Unauthorized,
        "The user token (JWT) is not valid: it must be signed by an issuer of this account, with `exp` in the future, the right `iss` and \
         `aud`, and a user in `userId` or `sub`.",
    )
}

impl UserTokens {
    /// Over the issuers that are kept, and the way to their keys.
    pub fn new(store: Arc<Store>, egress: Egress) -> Self {
        let usual = usize::try_from(MAX_KEPT / USUAL).unwrap_or(usize::MAX);
        let verified = Cache::with_weighter(usual, MAX_KEPT, Weigh);
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
            && self.store.issuers(&kept.account).await?.iter().any(|issuer| *issuer.id == *kept.issuer)
        {
            return Ok(kept);
        }
        // Apart, so that what is seldom needed takes no room in the future of a call.
        let found = Box::pin(self.anew(account, token)).await?;
        self.verified.insert(key, found.clone());
        Ok(found)
    }

    async fn anew(&self, account: Option<&Arc<str>>, token: &str) -> Result<Verified> {
        let token = Token::read(token).ok_or_else(invalid)?;
        let issuers = match account {
            Some(account) => self.store.issuers(account).await?,
            None => self.store.issuers_named(token.issuer()).await?,
        };
        self.found(&issuers, &token).await?.ok_or_else(invalid)
    }

    /// What the issuers of the token's `iss` make of it. Several ask for keys at once and all of them have one time together, so that
    /// slow ones of whichever account hold up nobody.
    async fn found(&self, issuers: &[Issuer], token: &Token<'_>) -> Result<Option<Verified>> {
        let named = issuers.iter().filter(|known| known.issuer.as_deref() == token.issuer());
        let checks: Vec<_> = named.map(|issuer| self.check(issuer, token).boxed()).collect();
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

    async fn check(&self, issuer: &Issuer, token: &Token<'_>) -> Result<Option<Verified>> {
        Ok(if self.is_signed(issuer, token).await? { believed(issuer, token) } else { None })
    }

    /// The algorithm is the issuer's to choose, not the token's: a shared secret verifies HS256 and nothing else, a public key what fits
    /// its type.
    async fn is_signed(&self, issuer: &Issuer, token: &Token<'_>) -> Result<bool> {
        let algorithm = token.algorithm();
        match &issuer.jwks_url {
            Some(_) if algorithm == Algorithm::HS256 => Ok(false),
            Some(url) => {
                let keys = self.keys.fitting(url, algorithm, token.key_id()).await;
                Ok(keys.iter().filter_map(|(keys, n)| keys.get(*n)).any(|key| key.has_signed(token)))
            }
            None if algorithm != Algorithm::HS256 => Ok(false),
            None => {
                let Some(secret) = self.store.open_issuer(issuer)? else { return Ok(false) };
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
                Ok(token.is_signed(|message, signature| hmac::verify(&key, message, signature).is_ok()))
            }
        }
    }
}

/// What a token says that its issuer has signed: nothing outside its time, for another audience, or without a user.
fn believed(issuer: &Issuer, token: &Token<'_>) -> Option<Verified> {
    if issuer.audience.as_deref().is_some_and(|audience| !token.is_for(audience)) {
        return None;
    }
    Some(Verified {
        account: issuer.account_id.as_str().into(),
        user: token.user(issuer)?.into(),
        issuer: issuer.id.as_str().into(),
        until: token.until()?.min(now_ms().saturating_add(KEPT_FOR)),
    })
}
