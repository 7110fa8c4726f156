//! Making API keys: their text, their hash, the hint that tells them apart.

use amalgam_vault::{Secret, hash_token, hex, url_safe};

use crate::{
    clock::{random, random_slug},
    store::api_keys::{NewApiKey, Role},
};

/// What every generated key starts with.
const PREFIX: &str = "amk_";
/// Characters of a key that are shown again.
const HINT: usize = 8;

/// A key's text with what the store needs of it.
pub struct Made {
    /// `key_` and 12 characters.
    pub id: String,
    /// The key itself.
    pub text: Secret,
    /// SHA-256, lower-case hex.
    pub hash: String,
    /// How a key that we have made begins.
    pub hint: String,
}

impl Made {
    /// A random key.
    pub fn new() -> Self {
        let text = format!("{PREFIX}{}", url_safe(&random::<24>()));
        Self { hint: text.chars().take(HINT).collect(), ..Self::from_text(text) }
    }

    /// A key that the operator has chosen, of which nothing is shown.
    pub fn from_text(text: String) -> Self {
        Self { id: format!("key_{}", random_slug(12)), hash: hex(&hash_token(&text)), hint: String::new(), text: Secret::new(text) }
    }

    /// For the store.
    pub fn as_new<'a>(&'a self, name: &'a str, role: Role, expires_at: Option<i64>) -> NewApiKey<'a> {
        NewApiKey { id: &self.id, name, role, hash: &self.hash, hint: &self.hint, expires_at }
    }
}
