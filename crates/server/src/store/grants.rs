//! Grants: what users have allowed MCP clients, with the tokens that came of it. A grant that is ended is deleted.

use std::sync::Arc;

use amalgam_vault::hex;

use super::{
    Page, Scope, Store, TokenHash,
    db::{Tx, execute_in, fetch_all, fetch_all_in, fetch_optional},
    forget_hashes,
};
use crate::{
    clock::now_ms,
    error::{Error, Kind, Result},
};

/// Most grants of one user.
const MAX_PER_USER: i64 = 1_000;

/// What a client presents, or is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// An authorization code: exchanged once.
    Code,
    /// Opens the server.
    Access,
    /// Exchanged once for a new pair.
    Refresh,
}

impl TokenKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Access => "access",
            Self::Refresh => "refresh",
        }
    }
}

/// What an access token opens.
#[derive(Debug)]
pub struct Access {
    /// The grant that it came of.
    pub grant_id: String,
    /// The account, and the user who signed in.
    pub scope: Scope,
    /// The one server.
    pub server_id: String,
    /// Milliseconds.
    pub expires_at: i64,
}

/// A grant as the database knows it.
#[derive(Debug, sqlx::FromRow)]
pub struct Grant {
    /// `grant_` and 16 characters.
    pub id: String,
    /// Its tenant.
    pub account_id: String,
    /// Who allowed it.
    pub user_id: String,
    /// The one server.
    pub server_id: String,
    /// SHA-256 of the client's id, in hex.
    pub client: String,
    /// What the client calls itself.
    pub client_name: String,
    /// Where the code was sent.
    pub redirect_uri: String,
    /// The code challenge (S256).
    pub challenge: String,
    /// The address that the client named.
    pub resource: String,
    /// Separated by spaces.
    pub scope: String,
    /// Milliseconds.
    pub created_at: i64,
}

/// What a list of grants shows.
#[derive(Debug, sqlx::FromRow)]
pub struct Allowed {
    /// `grant_` and 16 characters.
    pub id: String,
    /// What the client calls itself.
    pub client_name: String,
    /// Where the code was sent.
    pub redirect_uri: String,
    /// The one server.
    pub server_id: String,
    /// Separated by spaces.
    pub scope: String,
    /// Milliseconds.
    pub created_at: i64,
    /// When its last token ends, in milliseconds.
    pub expires_at: i64,
}

/// A token about to be made.
pub struct NewToken<'a> {
    /// What it is.
    pub kind: TokenKind,
    /// Its hash.
    pub hash: &'a TokenHash,
    /// Milliseconds.
    pub expires_at: i64,
}

/// What came of presenting a code or a refresh token.
pub enum Exchange {
    /// It is used up, and the new tokens work.
    Done(Box<Grant>),
    /// It was used before: somebody else has it, so that its grant has ended.
    Replayed(Box<Grant>),
    /// It is unknown or expired, or not for who presents it.
    Refused,
}

const COLUMNS: &str = "select id, account_id, user_id, server_id, client, client_name, redirect_uri, challenge, resource, scope, created_at from grants where id = $1";

async fn insert(tx: &mut Tx, grant_id: &str, token: &NewToken<'_>) -> Result<()> {
    execute_in!(
        tx,
        "insert into grant_tokens (hash, grant_id, kind, expires_at) values ($1, $2, $3, $4)",
        hex(token.hash),
        grant_id,
        token.kind.as_str(),
        token.expires_at
    )?;
    Ok(())
}

/// Ends a grant; the hashes of its tokens, which caches must forget once this is committed.
async fn end_one(tx: &mut Tx, id: &str) -> Result<Vec<(String,)>> {
    let hashes = fetch_all_in!(tx, (String,), "delete from grant_tokens where grant_id = $1 returning hash", id)?;
    execute_in!(tx, "delete from grants where id = $1", id)?;
    Ok(hashes)
}

/// Ends all grants of a user, likewise.
pub(super) async fn end_of_user(tx: &mut Tx, account: &str, user: &str) -> Result<Vec<(String,)>> {
    let hashes = fetch_all_in!(
        tx,
        (String,),
        "delete from grant_tokens where grant_id in (select id from grants where account_id = $1 and user_id = $2) returning hash",
        account,
        user
    )?;
    execute_in!(tx, "delete from grants where account_id = $1 and user_id = $2", account, user)?;
    Ok(hashes)
}

impl Store {
    /// Writes down what the scope's user has allowed, with its code. With `password_at` only while the password is the one with which the
    /// user has signed in; tells whether that is so.
    pub async fn create_grant(&self, scope: &Scope, grant: &Grant, code: &NewToken<'_>, password_at: Option<i64>) -> Result<bool> {
        let own = fetch_optional!(
            &self.db,
            (i64,),
            "select count(*) from grants where account_id = $1 and user_id = $2",
            &*scope.account,
            &*scope.user
        )?;
        if own.is_some_and(|(n,)| n >= MAX_PER_USER) {
            let sentence =
                format!("You have allowed {MAX_PER_USER} clients, which is the limit. End some with `DELETE /api/grants/{{grantId}}`.");
            return Err(Error::new(Kind::Conflict, sentence));
        }
        let mut tx = self.db.begin().await?;
        if let Some(at) = password_at {
            // Changes nothing but locks the row, so that who changes the password, or deletes the user, comes before this or finds the grant.
            let same = execute_in!(
                &mut tx,
                "update users set password_at = password_at where account_id = $1 and id = $2 and password_at = $3",
                &*scope.account,
                &*scope.user,
                at
            )?;
            if same == 0 {
                return Ok(false);
            }
        }
        execute_in!(
            &mut tx,
            "insert into grants (id, account_id, user_id, server_id, client, client_name, redirect_uri, challenge, resource, scope, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            &grant.id,
            &*scope.account,
            &*scope.user,
            &grant.server_id,
            &grant.client,
            &grant.client_name,
            &grant.redirect_uri,
            &grant.challenge,
            &grant.resource,
            &grant.scope,
            grant.created_at,
            code.expires_at
        )?;
        insert(&mut tx, &grant.id, code).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Exchanges a code or refresh token for new tokens, once. `accepts` judges whether it is for who presents it: a code that is not ends
    /// with its grant, a refresh token stays as it was. Nothing of a grant outlives `life` milliseconds from its creation. No scope: the
    /// token is what gives one.
    pub async fn exchange(
        &self,
        kind: TokenKind,
        hash: &TokenHash,
        accepts: impl FnOnce(&Grant) -> bool + Send,
        new: &[NewToken<'_>],
        life: i64,
    ) -> Result<Exchange> {
        let (now, hash) = (now_ms(), hex(hash));
        // Anybody may present anything: what does not exist must not wait for the one connection that writes.
        let known =
            fetch_optional!(&self.db, (i64,), "select count(*) from grant_tokens where hash = $1 and kind = $2", &hash, kind.as_str())?;
        if known.is_none_or(|(n,)| n == 0) {
            return Ok(Exchange::Refused);
        }
        let mut tx = self.db.begin().await?;
        // The row is locked from here, so that of two at once one comes second.
        let used = fetch_all_in!(
            &mut tx,
            (String,),
            "update grant_tokens set used_at = $1 where hash = $2 and kind = $3 and used_at is null and expires_at > $1 returning grant_id",
            now,
            &hash,
            kind.as_str()
        )?;
        let first = used.into_iter().next();
        let is_first = first.is_some();
        let found = match first {
            Some(found) => Some(found),
            None => fetch_all_in!(
                &mut tx,
                (String,),
                "select grant_id from grant_tokens where hash = $1 and kind = $2 and used_at is not null",
                &hash,
                kind.as_str()
            )?
            .into_iter()
            .next(),
        };
        let Some((id,)) = found else { return Ok(Exchange::Refused) };
        let Some(grant) = fetch_all_in!(&mut tx, Grant, COLUMNS, &id)?.into_iter().next() else { return Ok(Exchange::Refused) };
        let end = grant.created_at.saturating_add(life);
        if is_first && end > now && accepts(&grant) {
            for token in new {
                insert(&mut tx, &id, &NewToken { expires_at: token.expires_at.min(end), ..*token }).await?;
            }
            let until = new.iter().map(|token| token.expires_at.min(end)).max().unwrap_or(now);
            execute_in!(&mut tx, "update grants set expires_at = $1 where id = $2", until, &id)?;
            tx.commit().await?;
            return Ok(Exchange::Done(Box::new(grant)));
        }
        if is_first && kind == TokenKind::Refresh {
            // Nothing is written: the transaction is given up.
            return Ok(Exchange::Refused);
        }
        let ended = end_one(&mut tx, &id).await?;
        tx.commit().await?;
        forget_hashes(&self.access_tokens, &ended);
        Ok(if is_first { Exchange::Refused } else { Exchange::Replayed(Box::new(grant)) })
    }

    /// What this access token opens, if it lives. No scope: this is how a scope is found.
    pub async fn access(&self, hash: TokenHash) -> Result<Option<Arc<Access>>> {
        let load = async {
            let row = fetch_optional!(
                &self.db,
                (String, String, String, String, i64),
                "select g.id, g.account_id, g.user_id, g.server_id, t.expires_at
                 from grant_tokens t join grants g on g.id = t.grant_id where t.hash = $1 and t.kind = 'access'",
                hex(&hash)
            )?;
            Ok::<_, Error>(row.map(|(grant_id, account, user, server_id, expires_at)| {
                Arc::new(Access { grant_id, scope: Scope { account: account.into(), user: user.into() }, server_id, expires_at })
            }))
        };
        Ok(self.access_tokens.get_or_load(hash, load).await?.filter(|access| access.expires_at > now_ms()))
    }

    /// The grant of an access or refresh token that still works, the token's kind, and when it ends. No scope: the token gives one.
    pub async fn grant_of(&self, hash: &TokenHash) -> Result<Option<(Grant, TokenKind, i64)>> {
        let row = fetch_optional!(
            &self.db,
            (String, String, i64),
            "select grant_id, kind, expires_at from grant_tokens where hash = $1 and used_at is null and expires_at > $2",
            hex(hash),
            now_ms()
        )?;
        let Some((id, kind, expires_at)) = row else { return Ok(None) };
        let kind = match kind.as_str() {
            "access" => TokenKind::Access,
            "refresh" => TokenKind::Refresh,
            _ => return Ok(None),
        };
        Ok(fetch_optional!(&self.db, Grant, COLUMNS, &id)?.map(|grant| (grant, kind, expires_at)))
    }

    /// What the client of a grant of the account calls itself; for people.
    pub async fn grant_client(&self, account: &str, id: &str) -> Result<Option<String>> {
        let row = fetch_optional!(&self.db, (String,), "select client_name from grants where account_id = $1 and id = $2", account, id)?;
        Ok(row.map(|(name,)| name))
    }

    /// What the scope's user has allowed, newest first, and how much there is in all.
    pub async fn list_grants(&self, scope: &Scope, page: Page) -> Result<(Vec<Allowed>, i64)> {
        let grants = fetch_all!(
            &self.db,
            Allowed,
            "select id, client_name, redirect_uri, server_id, scope, created_at, expires_at from grants
             where account_id = $1 and user_id = $2 and expires_at > $3 order by created_at desc, id desc limit $4 offset $5",
            &*scope.account,
            &*scope.user,
            now_ms(),
            page.limit,
            page.offset
        )?;
        let total = fetch_optional!(
            &self.db,
            (i64,),
            "select count(*) from grants where account_id = $1 and user_id = $2 and expires_at > $3",
            &*scope.account,
            &*scope.user,
            now_ms()
        )?;
        Ok((grants, total.map_or(0, |(n,)| n)))
    }

    /// Ends a grant of the scope's user. False where there is none with this id.
    pub async fn revoke_grant(&self, scope: &Scope, id: &str) -> Result<bool> {
        let own = fetch_optional!(
            &self.db,
            (i64,),
            "select count(*) from grants where id = $1 and account_id = $2 and user_id = $3",
            id,
            &*scope.account,
            &*scope.user
        )?;
        let is_own = own.is_some_and(|(n,)| n > 0);
        if is_own {
            self.end_grant(id).await?;
        }
        Ok(is_own)
    }

    /// Ends a grant: its tokens stop working at once. No scope: whoever holds one of its tokens may end it.
    pub async fn end_grant(&self, id: &str) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let ended = end_one(&mut tx, id).await?;
        tx.commit().await?;
        forget_hashes(&self.access_tokens, &ended);
        Ok(())
    }

    /// Removes what has had its time. Refresh tokens that were used stay as long as they would have worked, to be noticed.
    pub async fn purge_grants(&self, now: i64) -> Result<u64> {
        let mut tx = self.db.begin().await?;
        execute_in!(&mut tx, "delete from grant_tokens where expires_at <= $1", now)?;
        let gone = execute_in!(&mut tx, "delete from grants where expires_at <= $1", now)?;
        tx.commit().await?;
        Ok(gone)
    }
}
