//! Files of users: what they upload for actions, and what platforms answer with that is no text. Sealed, in pieces, for a day.

use super::{
    Scope, Store,
    db::{execute, fetch_all, fetch_optional},
};
use crate::{
    clock::now_ms,
    error::{Error, Kind, Result},
};

/// A file is kept for a day, in milliseconds.
pub const LIFETIME_MS: i64 = 24 * 60 * 60 * 1000;
/// One that is not complete is given up after an hour, in milliseconds.
const PENDING_MS: i64 = 60 * 60 * 1000;
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
    /// A name without a path.
    pub name: String,
    /// A media type without parameters.
    pub media_type: String,
    /// Of its content in hex; until it is complete as it was announced, if it was.
    pub md5: Option<String>,
    /// In bytes.
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
    /// Makes a file that has nothing in it yet, and has room for its size.
    pub async fn create_file(
        &self,
        scope: &Scope,
        id: String,
        name: &str,
        media_type: &str,
        md5: Option<String>,
        size: i64,
    ) -> Result<File> {
        self.room_for_file(scope, size).await?;
        let (account, user) = (&*scope.account, &*scope.user);
        let now = now_ms();
        execute!(
            &self.db,
            "insert into files (id, account_id, user_id, name, media_type, md5, size, is_complete, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9)",
            &id,
            account,
            user,
            name,
            media_type,
            md5.as_deref(),
            size,
            now,
            now + PENDING_MS
        )?;
        Ok(File {
            id,
            scope: scope.clone(),
            name: name.to_owned(),
            media_type: media_type.to_owned(),
            md5,
            size,
            is_complete: false,
            created_at: now,
            expires_at: now + PENDING_MS,
        })
    }

    /// Refuses a file of this size where there is no room for it.
    pub async fn room_for_file(&self, scope: &Scope, size: i64) -> Result<()> {
        let (account, user) = (&*scope.account, &*scope.user);
        let own = fetch_optional!(
            &self.db,
            (i64, i64),
            "select cast(coalesce(sum(size), 0) as bigint), count(*) from files where account_id = $1 and user_id = $2",
            account,
            user
        )?;
        let all =
            fetch_optional!(&self.db, (i64,), "select cast(coalesce(sum(size), 0) as bigint) from files where account_id = $1", account)?;
        // Two that come at once may both pass: what bounds growth need not be exact.
        let (own, count) = own.unwrap_or_default();
        if own + size > MAX_OF_USER || count >= MAX_COUNT || all.unwrap_or_default().0 + size > MAX_OF_ACCOUNT {
            let sentence = "There is no room for another file: a user may have 1,000 files of 1 GB together, an account 10 GB. Delete some with \
                            `DELETE /connectors/files/{s3Key}`; each is removed after a day.";
            return Err(Error::new(Kind::Conflict, sentence));
        }
        Ok(())
    }

    /// Begins to fill a file; false where that has begun before.
    pub async fn begin_file(&self, file: &File) -> Result<bool> {
        Ok(execute!(&self.db, "update files set is_complete = 2 where id = $1 and is_complete = 0", &file.id)? > 0)
    }

    /// This user's complete file.
    pub async fn file(&self, scope: &Scope, id: &str) -> Result<Option<File>> {
        Ok(self.file_by_id(id).await?.filter(|file| file.scope == *scope && file.is_complete))
    }

    /// The file that an upload link is for. No scope: the sealed link is what names one.
    pub async fn file_by_id(&self, id: &str) -> Result<Option<File>> {
        let row = fetch_optional!(
            &self.db,
            Row,
            "select id, account_id, user_id, name, media_type, md5, size, is_complete, created_at, expires_at from files
             where id = $1 and expires_at > $2",
            id,
            now_ms()
        )?;
        Ok(row.map(File::from))
    }

    /// This user's complete files, newest first.
    pub async fn files(&self, scope: &Scope) -> Result<Vec<File>> {
        let rows = fetch_all!(
            &self.db,
            Row,
            "select id, account_id, user_id, name, media_type, md5, size, is_complete, created_at, expires_at from files
             where account_id = $1 and user_id = $2 and is_complete = 1 and expires_at > $3 order by created_at desc, id",
            &*scope.account,
            &*scope.user,
            now_ms()
        )?;
        Ok(rows.into_iter().map(File::from).collect())
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

    /// Removes this user's file; false when there is none.
    pub async fn delete_file(&self, scope: &Scope, id: &str) -> Result<bool> {
        let gone =
            execute!(&self.db, "delete from files where id = $1 and account_id = $2 and user_id = $3", id, &*scope.account, &*scope.user)?;
        Ok(gone > 0)
    }

    /// Removes files whose time is over.
    pub async fn purge_files(&self) -> Result<u64> {
        Ok(execute!(&self.db, "delete from files where expires_at <= $1", now_ms())?)
    }
}

/// A piece opens in its own place of its own file alone.
fn piece<'a>(file: &'a File, place: &'a str) -> [&'a str; 5] {
    ["file", &file.scope.account, &file.scope.user, &file.id, place]
}
