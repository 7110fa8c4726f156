//! Files of users: what they upload for actions, and what platforms answer with that is no text. Sealed, in pieces, for a day.

use super::{
    Scope, Store,
    db::{Tx, execute, execute_in, fetch_all, fetch_all_in, fetch_optional},
    servers::Server,
};
use crate::{
    clock::now_ms,
    error::{Error, Kind, Result},
};

/// A file is kept for a day, in milliseconds.
pub const LIFETIME_MS: i64 = 24 * 60 * 60 * 1000;
/// One that is not complete is given up after an hour, in milliseconds.
pub const PENDING_MS: i64 = 60 * 60 * 1000;
/// The largest file, in bytes.
pub const MAX_FILE: usize = 100 * 1024 * 1024;
/// Files of one user together, in bytes.
const MAX_OF_USER: i64 = 1024 * 1024 * 1024;
/// Files of one account together, in bytes.
const MAX_OF_ACCOUNT: i64 = 10 * 1024 * 1024 * 1024;
/// Files of one user: lists are answered whole.
const MAX_COUNT: i64 = 1_000;

/// A file, without what is in it.
#[derive(Debug, Clone)]
pub struct File {
    /// `file_` and 32 characters.
    pub id: String,
    /// Whose it is.
    pub scope: Scope,
    /// The connector and action that answered with it; `None` for an upload.
    pub origin: Option<(String, String)>,
    /// A name without a path.
    pub name: String,
    /// A media type without parameters.
    pub media_type: String,
    /// Of its content in hex; until it is complete as it was announced, if it was.
    pub md5: Option<String>,
    /// In bytes; until it is complete the room that it may take.
    pub size: i64,
    /// All of it is there.
    pub is_complete: bool,
    /// Milliseconds.
    pub created_at: i64,
    /// Milliseconds.
    pub expires_at: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    account_id: String,
    user_id: String,
    connector_id: Option<String>,
    action_id: Option<String>,
    name: String,
    media_type: String,
    md5: Option<String>,
    size: i64,
    is_complete: i64,
    created_at: i64,
    expires_at: i64,
}

impl From<Row> for File {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            scope: Scope { account: row.account_id.into(), user: row.user_id.into() },
            origin: row.connector_id.zip(row.action_id),
            name: row.name,
            media_type: row.media_type,
            md5: row.md5,
            size: row.size,
            is_complete: row.is_complete == 1,
            created_at: row.created_at,
            expires_at: row.expires_at,
        }
    }
}

impl Store {
    /// Keeps a file that has nothing in it yet, where there is room for its size.
    pub async fn create_file(&self, file: &File) -> Result<()> {
        let mut tx = self.db.begin().await?;
        room_for(&mut tx, file, file.size).await?;
        execute_in!(
            &mut tx,
            "insert into files (id, account_id, user_id, connector_id, action_id, name, media_type, md5, size, is_complete, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11)",
            &file.id,
            &*file.scope.account,
            &*file.scope.user,
            file.origin.as_ref().map(|(connector, _)| connector.as_str()),
            file.origin.as_ref().map(|(_, action)| action.as_str()),
            &file.name,
            &file.media_type,
            file.md5.as_deref(),
            file.size,
            file.created_at,
            file.expires_at
        )?;
        tx.commit().await?;
        Ok(())
    }

    /// Begins to fill a file with at most `size` bytes; false where that has begun before.
    pub async fn begin_file(&self, file: &File, size: i64) -> Result<bool> {
        let mut tx = self.db.begin().await?;
        room_for(&mut tx, file, size).await?;
        let begun = execute_in!(&mut tx, "update files set is_complete = 2, size = $1 where id = $2 and is_complete = 0", size, &file.id)?;
        tx.commit().await?;
        Ok(begun > 0)
    }

    /// This user's complete file; through a server none that an action has answered with which the server denies.
    pub async fn file(&self, scope: &Scope, server: Option<&Server>, id: &str) -> Result<Option<File>> {
        let is_theirs = |file: &File| file.scope == *scope && file.is_complete && permits(server, file);
        Ok(self.file_by_id(id).await?.filter(is_theirs))
    }

    /// The file that an upload link is for. No scope: the sealed link is what names one.
    pub async fn file_by_id(&self, id: &str) -> Result<Option<File>> {
        let row = fetch_optional!(
            &self.db,
            Row,
            "select id, account_id, user_id, connector_id, action_id, name, media_type, md5, size, is_complete, created_at, expires_at from files
             where id = $1 and expires_at > $2",
            id,
            now_ms()
        )?;
        Ok(row.map(File::from))
    }

    /// This user's complete files, newest first; through a server none of the actions that the server denies.
    pub async fn files(&self, scope: &Scope, server: Option<&Server>) -> Result<Vec<File>> {
        let rows = fetch_all!(
            &self.db,
            Row,
            "select id, account_id, user_id, connector_id, action_id, name, media_type, md5, size, is_complete, created_at, expires_at from files
             where account_id = $1 and user_id = $2 and is_complete = 1 and expires_at > $3 order by created_at desc, id",
            &*scope.account,
            &*scope.user,
            now_ms()
        )?;
        Ok(rows.into_iter().map(File::from).filter(|file| permits(server, file)).collect())
    }

    /// Adds a piece to a file that is not complete.
    pub async fn add_piece(&self, file: &File, place: i64, bytes: &[u8]) -> Result<()> {
        let number = place.to_string();
        let sealed = self.sealer.seal_bytes(&piece(file, &number), bytes)?;
        execute!(&self.db, "insert into file_pieces (file_id, place, sealed) values ($1, $2, $3)", &file.id, place, sealed)?;
        Ok(())
    }

    /// A piece of a file; nothing after its end.
    pub async fn piece(&self, file: &File, place: i64) -> Result<Option<Vec<u8>>> {
        let row =
            fetch_optional!(&self.db, (Vec<u8>,), "select sealed from file_pieces where file_id = $1 and place = $2", &file.id, place)?;
        let number = place.to_string();
        row.map(|(sealed,)| self.sealer.unseal_bytes(&piece(file, &number), &sealed)).transpose()
    }

    /// Makes a file complete; false where somebody else has, or its time was over.
    pub async fn finish_file(&self, file: &File) -> Result<bool> {
        let done = execute!(
            &self.db,
            "update files set is_complete = 1, size = $1, md5 = $2, expires_at = $3 where id = $4 and is_complete <> 1",
            file.size,
            file.md5.as_deref(),
            file.expires_at,
            &file.id
        )?;
        Ok(done > 0)
    }

    /// Removes this file; false when it is gone already.
    pub async fn delete_file(&self, file: &File) -> Result<bool> {
        Ok(execute!(&self.db, "delete from files where id = $1", &file.id)? > 0)
    }

    /// Removes files whose time is over.
    pub async fn purge_files(&self) -> Result<u64> {
        Ok(execute!(&self.db, "delete from files where expires_at <= $1", now_ms())?)
    }
}

/// Whether the server, if there is one, permits what answered with a file.
fn permits(server: Option<&Server>, file: &File) -> bool {
    let (Some(server), Some((connector, action))) = (server, &file.origin) else { return true };
    server.restrictions.connector(connector).is_allowed() && server.restrictions.action(connector, action).is_allowed()
}

/// Refuses this file where there is no room for its size beside the others.
async fn room_for(tx: &mut Tx, file: &File, size: i64) -> Result<()> {
    let (account, user) = (&*file.scope.account, &*file.scope.user);
    let own = fetch_all_in!(
        tx,
        (i64, i64),
        "select cast(coalesce(sum(size), 0) as bigint), count(*) from files where account_id = $1 and user_id = $2 and id <> $3",
        account,
        user,
        &file.id
    )?;
    let all = fetch_all_in!(
        tx,
        (i64,),
        "select cast(coalesce(sum(size), 0) as bigint) from files where account_id = $1 and id <> $2",
        account,
        &file.id
    )?;
    let (own, count) = own.first().copied().unwrap_or_default();
    let all = all.first().map_or(0, |(all,)| *all);
    if own + size > MAX_OF_USER || count >= MAX_COUNT || all + size > MAX_OF_ACCOUNT {
        let sentence = "There is no room for another file: a user may have 1,000 files of 1 GB together, an account 10 GB; one that arrives without \
                        a length counts as 100 MB. Delete some with `DELETE /connectors/files/{s3Key}`; each is removed after a day, an unused \
                        upload link after an hour.";
        return Err(Error::new(Kind::Conflict, sentence));
    }
    Ok(())
}

/// A piece opens in its own place of its own file alone.
fn piece<'a>(file: &'a File, place: &'a str) -> [&'a str; 5] {
    ["file", &file.scope.account, &file.scope.user, &file.id, place]
}
