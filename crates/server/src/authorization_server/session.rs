//! Who has signed in in this browser: a sealed cookie, which ties every form to the browser that it was shown in.

use http::{HeaderMap, HeaderValue, header::COOKIE};
use serde::{Deserialize, Serialize};

use crate::{
    app::App,
    clock::{now_ms, random},
    error::{Error, Result},
};

/// Nobody stays signed in for longer, in milliseconds.
const LIFE_MS: i64 = 60 * 60 * 1000;
const NAME: &str = "amalgam-sign-in";

/// What the cookie holds.
#[derive(Serialize, Deserialize)]
pub struct Session {
    /// Random; forms carry it too.
    pub nonce: String,
    /// Who has signed in.
    pub user: Option<SignedIn>,
}

/// Who has signed in.
#[derive(Clone, Serialize, Deserialize)]
pub struct SignedIn {
    /// The tenant.
    pub account: String,
    /// The user's id.
    pub user: String,
    /// What the user is called.
    pub name: String,
    /// When, in milliseconds.
    pub at: i64,
    /// When the password was set that the user has signed in with, in milliseconds; `None`: the operator's provider has signed the user in.
    pub password_at: Option<i64>,
}

impl Session {
    /// A new one, so that whoever knew the one before knows nothing.
    pub fn new(user: Option<SignedIn>) -> Self {
        Self { nonce: amalgam_vault::url_safe(&random::<16>()), user }
    }

    /// That of this browser, if it has one.
    pub fn read(app: &App, address: &str, headers: &HeaderMap) -> Option<Self> {
        let name = cookie(address);
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
        let mut values = cookies.filter_map(|one| one.trim().split_once('=')).filter(|(known, _)| *known == name).map(|(_, value)| value);
        let sealed = values.next().filter(|value| value.len() <= 4_096)?;
        let text = app.store.sealer().unseal(&["sign-in"], sealed).ok()?;
        let mut session: Self = serde_json::from_str(text.expose()).ok()?;
        session.user = session.user.filter(|user| now_ms() - user.at < LIFE_MS);
        Some(session)
    }

    /// The `Set-Cookie` that keeps it.
    pub fn cookie(&self, app: &App, address: &str) -> Result<HeaderValue> {
        let text = serde_json::to_string(self).map_err(Error::internal)?;
        let sealed = app.store.sealer().seal(&["sign-in"], &text)?;
        let secure = if address.starts_with("https:") { "; Secure" } else { "" };
        HeaderValue::try_from(format!("{}={sealed}; Path=/; HttpOnly; SameSite=Lax{secure}", cookie(address))).map_err(Error::internal)
    }
}

/// With https no other host, and nobody on the way, can set it (the prefix of RFC 6265bis section 4.1.3).
fn cookie(address: &str) -> String {
    if address.starts_with("https:") { format!("__Host-{NAME}") } else { NAME.to_owned() }
}

impl SignedIn {
    /// Whether the user may still sign in, with the password that it had then; a provider is asked again when the session ends.
    pub async fn lives(&self, app: &App) -> Result<bool> {
        if self.password_at.is_none() {
            return Ok(app.config.oidc.is_some());
        }
        match app.store.user(&self.account, &self.user).await {
            Ok(user) => Ok(user.password_at == self.password_at),
            Err(error) if error.kind == crate::error::Kind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}
