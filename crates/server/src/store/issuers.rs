//! JWT issuers: whose signatures on user tokens an account believes.

use std::sync::Arc;

use amalgam_vault::Secret;

use super::{
    Store,
    db::{execute, fetch_all, fetch_all_in},
};
use crate::{clock::now_ms, error::Result};

/// Longest name of an issuer, in bytes.
pub const MAX_NAME: usize = 1_000;

/// An issuer as the database knows it: its secret is sealed.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Issuer {
    /// `iss_` and 12 characters.
    pub id: String,
    /// Its tenant.
    pub account_id: String,
    /// Must equal the token's `iss`; `None` matches only tokens without one.
    pub issuer: Option<String>,
    /// Must be in the token's `aud`, when set.
    pub audience: Option<String>,
    /// The claim that names the user; `None` = `userId`, else `sub`.
    pub user_claim: Option<String>,
    sealed: Option<String>,
    /// Where the issuer's public keys are, in the place of a secret.
    pub jwks_url: Option<String>,
    /// Milliseconds.
    pub created_at: i64,
}

impl Issuer {
    /// What it takes in memory, about, in bytes.
    pub(super) fn weight(&self) -> usize {
        let texts = [&self.issuer, &self.audience, &self.user_claim, &self.sealed, &self.jwks_url]
            .into_iter()
            .flatten()
            .map(String::len)
            .sum::<usize>();
        256 + texts
    }
}

/// An issuer about to be made.
pub struct NewIssuer<'a> {
    /// Its id.
    pub id: &'a str,
    /// See `Issuer`.
    pub issuer: Option<&'a str>,
    /// See `Issuer`.
    pub audience: Option<&'a str>,
    /// See `Issuer`.
    pub user_claim: Option<&'a str>,
    /// The HS256 secret.
    pub secret: Option<&'a str>,
    /// Where the public keys are.
    pub jwks_url: Option<&'a str>,
}

// These take the account alone: issuers belong to it, and only its admins reach the functions that change them.
impl Store {
    /// Makes an issuer.
    pub async fn create_issuer(&self, account: &str, new: &NewIssuer<'_>) -> Result<Issuer> {
        let sealed = new.secret.map(|secret| self.sealer.seal(&["issuer", account, new.id], secret)).transpose()?;
        let created_at = now_ms();
        execute!(
            &self.db,
            "insert into jwt_issuers (id, account_id, issuer, audience, user_claim, sealed, jwks_url, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
            new.id,
            account,
            new.issuer,
            new.audience,
            new.user_claim,
            &sealed,
            new.jwks_url,
            created_at
        )?;
        self.issuers.forget(&account.into());
        self.issuers_named.forget(&new.issuer.map(str::to_owned));
        Ok(Issuer {
            id: new.id.to_owned(),
            account_id: account.to_owned(),
            issuer: new.issuer.map(str::to_owned),
            audience: new.audience.map(str::to_owned),
            user_claim: new.user_claim.map(str::to_owned),
            sealed,
            jwks_url: new.jwks_url.map(str::to_owned),
            created_at,
        })
    }

    /// The account's issuers, oldest first.
    pub async fn issuers(&self, account: &str) -> Result<Arc<[Issuer]>> {
        let load = async {
            let rows = fetch_all!(
                &self.db,
                Issuer,
                "select id, account_id, issuer, audience, user_claim, sealed, jwks_url, created_at
                 from jwt_issuers where account_id = $1 order by created_at, id limit 100",
                account
            )?;
            Ok(rows.into())
        };
        self.issuers.get_or_load(account.into(), load).await
    }

    /// Issuers of any account that a token with this `iss` may come from; for a caller who shows nothing but a token.
    pub async fn issuers_named(&self, issuer: Option<&str>) -> Result<Arc<[Issuer]>> {
        // What no issuer can be called is not looked for, and takes no room in the cache.
        if issuer.is_some_and(|name| name.len() > MAX_NAME || name.contains('\0')) {
            return Ok(Arc::default());
        }
        let load = async {
            let rows = fetch_all!(
                &self.db,
                Issuer,
                "select id, account_id, issuer, audience, user_claim, sealed, jwks_url, created_at
             from jwt_issuers where issuer = $1 or ($1 is null and issuer is null) order by created_at, id limit 10000",
                issuer
            )?;
            Ok(rows.into())
        };
        self.issuers_named.get_or_load(issuer.map(str::to_owned), load).await
    }

    /// The HS256 secret in the clear, if the issuer has one.
    pub fn open_issuer(&self, issuer: &Issuer) -> Result<Option<Secret>> {
        let owner = ["issuer", &issuer.account_id, &issuer.id];
        issuer.sealed.as_ref().map(|sealed| self.sealer.unseal(&owner, sealed)).transpose()
    }

    /// Removes an issuer: tokens that it signed stop working at once. False when the account has none with this id.
    pub async fn delete_issuer(&self, account: &str, id: &str) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let gone = fetch_all_in!(
            &mut tx,
            (Option<String>,),
            "delete from jwt_issuers where id = $1 and account_id = $2 returning issuer",
            id,
            account
        )?;
        tx.commit().await?;
        self.issuers.forget(&account.into());
        for (name,) in &gone {
            self.issuers_named.forget(name);
        }
        Ok(!gone.is_empty())
    }
}
