//! Tokens: the access tokens in servers' token URLs. Looked up by hash; kept sealed as well, because answers show `accessUrl` again.

use std::sync::Arc;

use amalgam_vault::{Secret, hex};

use super::{
    Scope, Store, TokenHash,
    db::{Tx, execute, execute_in, fetch_all_in, fetch_optional},
    forget_hashes,
    servers::Server,
};
use crate::{clock::now_ms, error::Result};

/// A token as the database knows it.
#[derive(Debug)]
pub struct Token {
    /// The server that it opens.
    pub server_id: String,
    /// Milliseconds; `None` = never.
    pub expires_at: Option<i64>,
}

/// A token in the clear, to be shown to its owner.
pub struct Revealed {
    /// The token itself.
    pub token: Secret,
    /// Milliseconds; `None` = never.
    pub expires_at: Option<i64>,
}

/// A token about to be made.
pub struct NewToken<'a> {
    /// Its hash.
    pub hash: &'a str,
    /// Itself, sealed for its server; `None` when tokens are not to be shown again.
    pub sealed: Option<&'a str>,
    /// Milliseconds; `None` = never.
    pub expires_at: Option<i64>,
}

pub(super) async fn insert(tx: &mut Tx, server_id: &str, token: &NewToken<'_>) -> Result<()> {
    execute_in!(
        tx,
        "insert into tokens (hash, server_id, sealed, is_current, created_at, expires_at) values ($1, $2, $3, 1, $4, $5)",
        token.hash,
        server_id,
        token.sealed,
        now_ms(),
        token.expires_at
    )?;
    Ok(())
}

impl Store {
    /// The server that this token opens. No scope: the token is what gives one. `None` for unknown, revoked and expired tokens alike.
    pub async fn server_of_token(&self, hash: TokenHash) -> Result<Option<Arc<Server>>> {
        let load = async {
            let row =
                fetch_optional!(&self.db, (String, Option<i64>), "select server_id, expires_at from tokens where hash = $1", hex(&hash))?;
            Ok::<_, crate::error::Error>(row.map(|(server_id, expires_at)| Arc::new(Token { server_id, expires_at })))
        };
        let Some(token) = self.tokens.get_or_load(hash, load).await? else { return Ok(None) };
        if token.expires_at.is_some_and(|at| at <= now_ms()) {
            return Ok(None);
        }
        self.server_by_id(&token.server_id).await
    }

    /// Replaces the server's token. The old one dies at once, or after `grace_ms`.
    pub async fn rotate_token(&self, server: &Server, new: &NewToken<'_>, grace_ms: i64) -> Result<()> {
        let mut tx = self.db.begin().await?;
        // Two rotations at once must not leave two current tokens: the second waits here for the first.
        execute_in!(&mut tx, "update servers set id = id where id = $1", &server.id)?;
        let touched = if grace_ms > 0 {
            let until = now_ms() + grace_ms;
            fetch_all_in!(
                &mut tx,
                (String,),
                "update tokens set is_current = 0, expires_at = case when expires_at is null or expires_at > $1 then $1 else expires_at end
                 where server_id = $2 returning hash",
                until,
                &server.id
            )?
        } else {
            fetch_all_in!(&mut tx, (String,), "delete from tokens where server_id = $1 returning hash", &server.id)?
        };
        insert(&mut tx, &server.id, new).await?;
        tx.commit().await?;
        forget_hashes(&self.tokens, &touched);
        Ok(())
    }

    /// Ends every token of the server at once. False when it had none.
    pub async fn revoke_tokens(&self, server: &Server) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let gone = fetch_all_in!(&mut tx, (String,), "delete from tokens where server_id = $1 returning hash", &server.id)?;
        tx.commit().await?;
        forget_hashes(&self.tokens, &gone);
        Ok(!gone.is_empty())
    }

    /// Removes tokens that opened something last before this time, and superseded ones as soon as they open nothing.
    pub async fn purge_tokens(&self, now: i64, before_ms: i64) -> Result<u64> {
        Ok(execute!(&self.db, "delete from tokens where expires_at <= $1 or (is_current = 0 and expires_at <= $2)", before_ms, now)?)
    }

    /// The server's current token in the clear, where it is kept; for `accessUrl`, which only the owner sees.
    pub async fn reveal_token(&self, scope: &Scope, server: &Server) -> Result<Option<Revealed>> {
        if server.owner != *scope {
            return Ok(None);
        }
        let row = fetch_optional!(
            &self.db,
            (Option<String>, Option<i64>),
            "select sealed, expires_at from tokens where server_id = $1 and is_current = 1",
            &server.id
        )?;
        row.map_or(Ok(None), |(sealed, expires_at)| self.reveal(&server.id, sealed, expires_at))
    }

    pub(super) fn reveal(&self, server_id: &str, sealed: Option<String>, expires_at: Option<i64>) -> Result<Option<Revealed>> {
        let Some(sealed) = sealed else { return Ok(None) };
        Ok(Some(Revealed { token: self.sealer.unseal(&["token", server_id], &sealed)?, expires_at }))
    }
}
