//! How a client proves itself at a token endpoint.

use amalgam_vault::{Secret, Zeroizing, url_safe};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use url::form_urlencoded;

use crate::clock::{now_ms, random};

/// An assertion is used at once, so that it needs to live for no longer than clocks differ, in seconds.
const ASSERTION_LIFE: i64 = 60;

/// A client as one authorization server knows it.
pub struct Client {
    /// `client_id`.
    pub id: String,
    /// How it proves itself.
    pub authentication: Authentication,
}

/// The methods of `token_endpoint_auth_method` (RFC 7591 section 2).
pub enum Authentication {
    /// A public client: PKCE alone protects the code.
    None,
    /// `client_secret_post`.
    Post(Secret),
    /// `client_secret_basic`.
    Basic(Secret),
    /// `private_key_jwt`.
    PrivateKey(Box<PrivateKey>),
}

/// A private key and the algorithm that fits it.
pub struct PrivateKey {
    key: Key,
    id: Option<String>,
}

enum Key {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
}

impl PrivateKey {
    /// Reads a key in PEM (PKCS #8): P-256 or RSA. `id` becomes the `kid` of assertions.
    ///
    /// # Errors
    /// A sentence without the key.
    pub fn parse(pem: &str, id: Option<String>) -> Result<Self, &'static str> {
        const WANTED: &str = "it must be a private key in PEM (PKCS #8, `-----BEGIN PRIVATE KEY-----`), for P-256 or RSA";
        let inner = pem.split_once("-----BEGIN PRIVATE KEY-----").and_then(|(_, rest)| rest.split_once("-----END PRIVATE KEY-----"));
        let text = Zeroizing::new(inner.ok_or(WANTED)?.0.split_whitespace().collect::<String>());
        let der = Zeroizing::new(STANDARD.decode(&*text).map_err(|_| WANTED)?);
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der)
            .map(Key::Es256)
            .or_else(|_| RsaKeyPair::from_pkcs8(&der).map(Key::Rs256))
            .map_err(|_| WANTED)?;
        Ok(Self { key, id })
    }

    /// Signs a JWT with these claims.
    ///
    /// # Errors
    /// The library refused.
    pub fn sign(&self, claims: &serde_json::Value) -> Result<Secret, &'static str> {
        let mut header = json!({ "alg": match self.key { Key::Es256(_) => "ES256", Key::Rs256(_) => "RS256" }, "typ": "JWT" });
        if let Some(id) = &self.id {
            header["kid"] = id.as_str().into();
        }
        let mut text = format!("{}.{}", url_safe(header.to_string().as_bytes()), url_safe(claims.to_string().as_bytes()));
        let random = SystemRandom::new();
        let failed = |_| "the private key could not sign";
        let signature = match &self.key {
            Key::Es256(key) => url_safe(key.sign(&random, text.as_bytes()).map_err(failed)?.as_ref()),
            Key::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature).map_err(failed)?;
                url_safe(&signature)
            }
        };
        text.push('.');
        text.push_str(&signature);
        Ok(Secret::new(text))
    }
}

impl Client {
    /// Adds to a request's parameters what proves the client; a header's value where that is the method.
    pub(super) fn prove(&self, audience: &str, params: &mut Vec<(String, Zeroizing<String>)>) -> Result<Option<Secret>, &'static str> {
        let mut add = |name: &str, value: &str| params.push((name.to_owned(), Zeroizing::new(value.to_owned())));
        match &self.authentication {
            Authentication::None => add("client_id", &self.id),
            Authentication::Post(secret) => {
                add("client_id", &self.id);
                add("client_secret", secret.expose());
            }
            Authentication::Basic(secret) => return Ok(Some(self.basic(secret))),
            Authentication::PrivateKey(key) => {
                let now = now_ms() / 1_000;
                let claims = json!({
                    "iss": self.id, "sub": self.id, "aud": audience, "iat": now, "exp": now + ASSERTION_LIFE, "jti": url_safe(&random::<16>()),
                });
                add("client_id", &self.id);
                add("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
                add("client_assertion", key.sign(&claims)?.expose());
            }
        }
        Ok(None)
    }

    /// Id and secret are encoded as in a form before they are joined (RFC 6749 section 2.3.1).
    fn basic(&self, secret: &Secret) -> Secret {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = Zeroizing::new(format!("{}:{}", encoded(&self.id), encoded(secret.expose())));
        Secret::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
    }
}
