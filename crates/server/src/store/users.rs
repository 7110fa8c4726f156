//! Users: end users that the account has registered. Any other string works as a user id too; registering one gives it a name.

use std::sync::Arc;

use super::{
    Page, Scope, Store,
    db::{execute_in, fetch_all, fetch_all_in, fetch_optional, is_duplicate},
    forget_hashes, room,
};
use crate::{
    clock::{now_ms, random_hex24},
    error::{Error, Kind, Result},
};

/// A registered end user.
#[derive(Debug, sqlx::FromRow)]
pub struct User {
    /// 24 lower-case hex characters.
    pub id: String,
    /// Unique in the account.
    pub username: String,
    /// Display name.
    pub full_name: Option<String>,
    /// Milliseconds.
    pub created_at: i64,
}

// These take the account alone: a registered user belongs to the account, and only its admins reach these functions.
impl Store {
    /// Registers a user.
    pub async fn create_user(&self, account: &str, username: &str, full_name: Option<&str>) -> Result<User> {
        let all = fetch_optional!(&self.db, (i64,), "select count(*) from users where account_id = $1", account)?;
        room(all, self.maximums.users_per_account, "max-users-per-account")?;
        let user =
            User { id: random_hex24(), username: username.to_owned(), full_name: full_name.map(str::to_owned), created_at: now_ms() };
        let mut tx = self.db.begin().await?;
        execute_in!(
            &mut tx,
            "insert into users (account_id, id, username, full_name, created_at) values ($1, $2, $3, $4, $5)",
            account,
            &user.id,
            username,
            full_name,
            user.created_at
        )
        .map_err(|e| {
            if is_duplicate(&e) {
                Error::new(Kind::Conflict, format!("A user called \"{username}\" exists already; choose another `username`."))
                    .with_details(serde_json::json!({ "field": "username" }))
            } else {
                e.into()
            }
        })?;
        tx.commit().await?;
        Ok(user)
    }

    /// The registered users, oldest first, and how many there are in all.
    pub async fn list_users(&self, account: &str, page: Page) -> Result<(Vec<User>, i64)> {
        let users = fetch_all!(
            &self.db,
            User,
            "select id, username, full_name, created_at from users where account_id = $1 order by created_at, id limit $2 offset $3",
            account,
            page.limit,
            page.offset
        )?;
        let total = fetch_optional!(&self.db, (i64,), "select count(*) from users where account_id = $1", account)?;
        Ok((users, total.map_or(0, |(n,)| n)))
    }

    /// A registered user.
    pub async fn user(&self, account: &str, id: &str) -> Result<User> {
        fetch_optional!(
            &self.db,
            User,
            "select id, username, full_name, created_at from users where account_id = $1 and id = $2",
            account,
            id
        )?
        .ok_or_else(|| Error::not_found("user"))
    }

    /// Removes a user with its credentials and servers, and revokes its member keys. False when nothing was there.
    pub async fn delete_user(&self, account: &Arc<str>, id: &str) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        let credentials = fetch_all_in!(
            &mut tx,
            (String,),
            "delete from credentials where account_id = $1 and user_id = $2 returning connector_id",
            &**account,
            id
        )?;
        execute_in!(&mut tx, "delete from connect_links where account_id = $1 and user_id = $2", &**account, id)?;
        let users = execute_in!(&mut tx, "delete from users where account_id = $1 and id = $2", &**account, id)?;
        let servers =
            fetch_all_in!(&mut tx, (String,), "delete from servers where account_id = $1 and user_id = $2 returning id", &**account, id)?;
        let keys = fetch_all_in!(
            &mut tx,
            (String,),
            "update api_keys set revoked_at = $1
             where account_id = $2 and user_id = $3 and revoked_at is null and role <> 'admin' returning hash",
            now_ms(),
            &**account,
            id
        )?;
        tx.commit().await?;
        let there_was = users > 0 || !(credentials.is_empty() && servers.is_empty() && keys.is_empty());
        let scope = Scope { account: account.clone(), user: id.into() };
        for (connector,) in credentials {
            self.credentials.forget(&(scope.clone(), connector));
        }
        for (server,) in &servers {
            self.servers.forget(server);
        }
        forget_hashes(&self.api_keys, &keys);
        Ok(there_was)
    }
}
