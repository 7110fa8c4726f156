//! Public keys of issuers (JWKS, RFC 7517): fetched through `egress`, kept, asked for again when a token names a key that is not among them.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm};
use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use moka::sync::Cache;
use serde_json::Value;
use tokio::{sync::Mutex, time::Instant};

use super::token::Token;
use crate::egress::{Egress, OutgoingRequest};

/// Keys are asked for again after this time, so that one that was withdrawn ends.
const LIFE: Duration = Duration::from_secs(10 * 60);
/// Where that fails, the old ones are good for this long.
const STALE: Duration = Duration::from_secs(60 * 60);
/// A key that is not known makes us ask again, but not more often: anybody can name one.
const PAUSE: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_BODY: usize = 256 * 1024;
const MAX_KEYS: usize = 100;
/// Addresses whose keys are kept.
const MAX_SETS: u64 = 1_000;

/// A public key and the algorithms that it may verify, each with the key made ready for it when it was first asked for: that costs a tenth of
/// what verifying does.
pub struct Key {
    id: Option<String>,
    algorithms: Vec<(Algorithm, OnceLock<Option<ParsedPublicKey>>)>,
    key: DecodingKey,
}

impl Key {
    /// Whether it has signed this token, with the algorithm that the token says, which must be one of its own.
    pub fn has_signed(&self, token: &Token<'_>) -> bool {
        let ready = self.algorithms.iter().find(|(algorithm, _)| *algorithm == token.algorithm());
        let ready = ready.and_then(|(algorithm, ready)| ready.get_or_init(|| made_ready(&self.key, *algorithm)).as_ref());
        ready.is_some_and(|key| token.is_signed(|message, signature| key.verify_sig(message, signature).is_ok()))
    }

    fn fits(&self, algorithm: Algorithm, id: Option<&str>) -> bool {
        self.algorithms.iter().any(|(own, _)| *own == algorithm) && (id.is_none() || self.id.as_deref() == id)
    }
}

#[derive(Default)]
struct Set {
    keys: Arc<[Key]>,
    fetched: Option<Instant>,
    asked: Option<Instant>,
}

/// The key sets of this node, by address.
pub struct KeySets {
    egress: Egress,
    sets: Cache<String, Arc<Mutex<Set>>>,
}

impl KeySets {
    /// None yet.
    pub fn new(egress: Egress) -> Self {
        Self { egress, sets: Cache::builder().max_capacity(MAX_SETS).time_to_idle(STALE).build() }
    }

    /// The keys at this address that can verify a token of this algorithm and key id. Several calls at once ask once.
    pub async fn fitting(&self, url: &str, algorithm: Algorithm, id: Option<&str>) -> Vec<(Arc<[Key]>, usize)> {
        let set = self.sets.get_with(url.to_owned(), Arc::default);
        let mut set = set.lock().await;
        let age = set.fetched.map(|at| at.elapsed());
        let fits =
            |keys: &[Key]| -> Vec<usize> { keys.iter().enumerate().filter(|(_, key)| key.fits(algorithm, id)).map(|(n, _)| n).collect() };
        let is_old = age.is_none_or(|age| age > LIFE);
        if (is_old || fits(&set.keys).is_empty()) && set.asked.is_none_or(|at| at.elapsed() > PAUSE) {
            set.asked = Some(Instant::now());
            match self.fetch(url).await {
                Ok(keys) => (set.keys, set.fetched) = (keys.into(), Some(Instant::now())),
                Err(cause) => tracing::warn!(cause, "the keys of an issuer cannot be read"),
            }
        }
        if set.fetched.is_none_or(|at| at.elapsed() > STALE) {
            return Vec::new();
        }
        fits(&set.keys).into_iter().map(|n| (set.keys.clone(), n)).collect()
    }

    async fn fetch(&self, url: &str) -> Result<Vec<Key>, String> {
        let request = OutgoingRequest::document(url, TIMEOUT, MAX_BODY);
        let incoming = self.egress.send(request).await.map_err(|error| format!("{error} {}", error.cause()))?;
        if !incoming.status.is_success() {
            return Err(format!("the answer is {}", incoming.status));
        }
        if !incoming.is_json() {
            return Err("the answer is not JSON by its `Content-Type`".to_owned());
        }
        let answer = amalgam_protocol::strict::parse_answer(&incoming.body).map_err(|error| error.to_string())?;
        let keys = answer.get("keys").and_then(Value::as_array).ok_or("there is no `keys`")?;
        // One that we cannot use must not hide the others.
        Ok(keys.iter().take(MAX_KEYS).filter_map(|key| usable(serde_json::from_value(key.clone()).ok()?)).collect())
    }
}

/// A public key for signatures. Never a shared secret: with one, whoever reads the keys could sign.
fn usable(jwk: Jwk) -> Option<Key> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    if jwk.common.public_key_use.as_ref().is_some_and(|usage| *usage != PublicKeyUse::Signature) {
        return None;
    }
    let family: &[Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => &[RS256, RS384, RS512, PS256, PS384, PS512],
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => &[ES256],
            EllipticCurve::P384 => &[ES384],
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[EdDSA],
        _ => return None,
    };
    let named = jwk.common.key_algorithm.map(|algorithm| algorithm.to_string().parse::<Algorithm>());
    let algorithms = match named {
        None => family.to_vec(),
        Some(named) => vec![named.ok().filter(|named| family.contains(named))?],
    };
    let algorithms = algorithms.into_iter().map(|algorithm| (algorithm, OnceLock::new())).collect();
    Some(Key { algorithms, key: DecodingKey::from_jwk(&jwk).ok()?, id: jwk.common.key_id })
}

/// Nothing where the key is none of this algorithm's, by its numbers. Source of the algorithms: RFC 7518, section 3.1, and RFC 8037.
fn made_ready(key: &DecodingKey, algorithm: Algorithm) -> Option<ParsedPublicKey> {
    let rsa: &'static RsaParameters = match algorithm {
        Algorithm::RS256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RS384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RS512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::PS256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::PS384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::PS512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::ES256 => return point(&signature::ECDSA_P256_SHA256_FIXED, key),
        Algorithm::ES384 => return point(&signature::ECDSA_P384_SHA384_FIXED, key),
        Algorithm::EdDSA => return point(&signature::ED25519, key),
        _ => return None,
    };
    match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, e } => RsaPublicKeyComponents { n, e }.to_parsed_public_key(rsa).ok(),
        DecodingKeyKind::SecretOrDer(_) => None,
    }
}

fn point(algorithm: &'static dyn VerificationAlgorithm, key: &DecodingKey) -> Option<ParsedPublicKey> {
    ParsedPublicKey::new(algorithm, key.try_get_as_bytes().ok()?).ok()
}
