//! Making tokens for servers: their text, their seal, their expiry.

use amalgam_vault::{Secret, hash_token, hex, url_safe};

use crate::{
    app::App,
    auth::TOKEN_PREFIX,
    clock::random,
    error::{Error, Result},
    store::tokens::NewToken,
};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const DEFAULT_DAYS: i64 = 90;

/// A token that was just made: `mcp_token_` and 192 random bits.
pub struct Made {
    text: Secret,
    hash: String,
    sealed: Option<String>,
}

impl Made {
    /// Makes one for this server.
    pub fn new(app: &App, server_id: &str) -> Result<Self> {
        let text = format!("{TOKEN_PREFIX}{}", url_safe(&random::<24>()));
        let sealed = if app.config.tokens_reveal { Some(app.store.sealer().seal(&["token", server_id], &text)?) } else { None };
        Ok(Self { hash: hex(&hash_token(&text)), sealed, text: Secret::new(text) })
    }

    /// The token itself, for the one answer that shows it.
    pub fn text(&self) -> &str {
        self.text.expose()
    }

    /// For the store.
    pub fn as_new(&self, expires_at: Option<i64>) -> NewToken<'_> {
        NewToken { hash: &self.hash, sealed: self.sealed.as_deref(), expires_at }
    }
}

/// The expiry that `tokenExpiresInDays` asks for: absent = 90 days, null = never, else 1 to 365.
pub fn expiry(days: Option<Option<i64>>, now: i64) -> Result<Option<i64>> {
    match days {
        None => Ok(Some(now + DEFAULT_DAYS * DAY_MS)),
        Some(None) => Ok(None),
        Some(Some(days)) if (1..=365).contains(&days) => Ok(Some(now + days * DAY_MS)),
        Some(Some(_)) => {
            Err(Error::invalid("tokenExpiresInDays", "`tokenExpiresInDays` must be a whole number from 1 to 365, or null for never."))
        }
    }
}
