//! Users: end users that the account has registered. Any other string works as a user id too; registering one gives it a name.

use std::sync::Arc;

use amalgam_vault::Secret;

use super::{
    Page, Scope, Store,
    db::{execute_in, fetch_all, fetch_all_in, fetch_optional, is_duplicate},
    forget_hashes, grants, room,
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
    /// When its password was set, in milliseconds; `None` for one that cannot sign in with a password.
    pub password_at: Option<i64>,
}

/// What a user who signs in is checked against.
pub struct Password {
    /// The user.
    pub user_id: String,
    /// When it was set, in milliseconds: tells it from a later one.
    pub set_at: i64,
    /// A PHC string (Argon2id).
    pub hash: Secret,
}

/// A user about to be registered.
pub struct NewUser<'a> {
    /// Its id; `None` makes one.
    pub id: Option<&'a str>,
    /// Unique in the account.
    pub username: &'a str,
    /// Display name.
    pub full_name: Option<&'a str>,
    /// A PHC string (Argon2id).
    pub password: Option<&'a str>,
}

// These take the account alone: a registered user belongs to the account, and only its admins reach these functions.
impl Store {
    /// Registers a user.
    pub async fn create_user(&self, account: &str, new: &NewUser<'_>) -> Result<User> {
        let all = fetch_optional!(&self.db, (i64,), "select count(*) from users where account_id = $1", account)?;
        room(all, self.maximums.users_per_account, "max-users-per-account")?;
        let now = now_ms();
        let user = User {
            id: new.id.map_or_else(random_hex24, str::to_owned),
            username: new.username.to_owned(),
            full_name: new.full_name.map(str::to_owned),
            created_at: now,
            password_at: new.password.map(|_| now),
        };
        let password = new.password.map(|hash| self.seal_password(account, &user.id, hash)).transpose()?;
        let mut tx = self.db.begin().await?;
        execute_in!(
            &mut tx,
            "insert into users (account_id, id, username, full_name, created_at, password, password_at) values ($1, $2, $3, $4, $5, $6, $7)",
            account,
            &user.id,
            new.username,
            new.full_name,
            user.created_at,
            password,
            user.password_at
        )
        .map_err(|e| {
            if is_duplicate(&e) {
                let (name, id) = (new.username, &user.id);
                let sentence = match new.id {
                    None => format!("A user called \"{name}\" exists already; choose another `username`."),
                    Some(_) => format!("A user called \"{name}\", or one with the id \"{id}\", exists already; choose others."),
                };
                Error::new(Kind::Conflict, sentence)
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
            "select id, username, full_name, created_at, password_at from users where account_id = $1 order by created_at, id limit $2 offset $3",
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
            "select id, username, full_name, created_at, password_at from users where account_id = $1 and id = $2",
            account,
            id
        )?
        .ok_or_else(|| Error::not_found("user"))
    }

    /// What a user of this name is checked against, where it has a password. No scope: signing in is what gives one.
    pub async fn password(&self, account: &str, username: &str) -> Result<Option<Password>> {
        let row = fetch_optional!(
            &self.db,
            (String, String, i64),
            "select id, password, password_at from users where account_id = $1 and username = $2 and password is not null",
            account,
            username
        )?;
        let open = |(user_id, sealed, set_at): (String, String, i64)| {
            let hash = self.sealer.unseal(&["password", account, &user_id], &sealed)?;
            Ok(Password { user_id, set_at, hash })
        };
        row.map(open).transpose()
    }

    /// Sets a user's password, or takes it away; what clients were allowed with the old one ends. False when there is no such user.
    pub async fn set_password(&self, account: &str, id: &str, hash: Option<&str>) -> Result<bool> {
        let sealed = hash.map(|hash| self.seal_password(account, id, hash)).transpose()?;
        let mut tx = self.db.begin().await?;
        let done = execute_in!(
            &mut tx,
            "update users set password = $1, password_at = $2 where account_id = $3 and id = $4",
            sealed,
            hash.map(|_| now_ms()),
            account,
            id
        )?;
        let ended = grants::end_of_user(&mut tx, account, id).await?;
        tx.commit().await?;
        forget_hashes(&self.access_tokens, &ended);
        Ok(done > 0)
    }

    fn seal_password(&self, account: &str, id: &str, hash: &str) -> Result<String> {
        self.sealer.seal(&["password", account, id], hash)
    }

    /// Removes a user with its credentials and servers, revokes its member keys and ends what it allowed clients. False when nothing was there.
    pub async fn delete_user(&self, account: &Arc<str>, id: &str) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        // Before the credentials: what is being connected has used its link up by now, or finds it gone.
        let links = execute_in!(&mut tx, "delete from connect_links where account_id = $1 and user_id = $2", &**account, id)?;
        let credentials = fetch_all_in!(
            &mut tx,
            (String,),
            "delete from credentials where account_id = $1 and user_id = $2 returning connector_id",
            &**account,
            id
        )?;
        let files = execute_in!(&mut tx, "delete from files where account_id = $1 and user_id = $2", &**account, id)?;
        let connections = fetch_all_in!(
            &mut tx,
            (String,),
            "delete from connections where user_id = $1 and upstream_id in (select id from upstreams where account_id = $2)
             returning upstream_id",
            id,
            &**account
        )?;
        let grants = fetch_all_in!(
            &mut tx,
            (String,),
            "delete from upstream_grants where user_id = $1 and upstream_id in (select id from upstreams where account_id = $2)
             returning upstream_id",
            id,
            &**account
        )?;
        // Processes are the operator's, whoever they are for.
        let upstreams =
            execute_in!(&mut tx, "delete from upstreams where account_id = $1 and user_id = $2 and transport <> 'stdio'", &**account, id)?;
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
        let ended = grants::end_of_user(&mut tx, account, id).await?;
        tx.commit().await?;
        forget_hashes(&self.access_tokens, &ended);
        let there_was = users + upstreams + links + files > 0
            || !(connections.is_empty()
                && grants.is_empty()
                && ended.is_empty()
                && credentials.is_empty()
                && servers.is_empty()
                && keys.is_empty());
        let scope = Scope { account: account.clone(), user: id.into() };
        for (connector,) in credentials {
            self.credentials.forget(&(scope.clone(), connector));
        }
        for (upstream,) in connections {
            self.connections.forget(&(upstream, scope.user.clone()));
        }
        for (upstream,) in grants {
            self.upstream_grants.forget(&(upstream, scope.user.clone()));
        }
        self.upstreams.forget(account);
        for (server,) in &servers {
            self.servers.forget(server);
        }
        forget_hashes(&self.api_keys, &keys);
        Ok(there_was)
    }
}
