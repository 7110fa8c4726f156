//! The only file that knows that there are two databases: SQLite (WAL, one writer, many readers) and PostgreSQL.
//!
//! Statements are one text for both, with `$1`-style parameters. The macros run them on whichever is there.

use std::{path::Path, str::FromStr, time::Duration};

use sqlx::{
    Connection as _, PgPool, Postgres, Sqlite, SqlitePool, Transaction,
    postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::error::{Error, Kind, Result};

/// The database, whichever it is. Cheap to clone.
#[derive(Clone)]
pub enum Db {
    /// One process, one file.
    Sqlite {
        /// Never waits for the writer.
        read: SqlitePool,
        /// One connection, so that writers queue instead of failing with "database is locked".
        write: SqlitePool,
    },
    /// Several nodes may share it.
    Postgres(PgPool),
}

/// A transaction on whichever database. Never open another one inside: the writer pool has one connection.
pub enum Tx {
    /// On the writer connection.
    Sqlite(Transaction<'static, Sqlite>),
    /// On any connection.
    Postgres(Transaction<'static, Postgres>),
}

/// The rows of a query, as `Vec<$row>`.
macro_rules! fetch_all {
    ($db:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        match $db {
            $crate::store::db::Db::Sqlite { read, .. } =>
                sqlx::query_as::<sqlx::Sqlite, $row>($sql)$(.bind($arg))*.fetch_all(read).await,
            $crate::store::db::Db::Postgres(pool) =>
                sqlx::query_as::<sqlx::Postgres, $row>($sql)$(.bind($arg))*.fetch_all(pool).await,
        }
    };
}

/// The first row of a query, if any, as `Option<$row>`.
macro_rules! fetch_optional {
    ($db:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        match $db {
            $crate::store::db::Db::Sqlite { read, .. } =>
                sqlx::query_as::<sqlx::Sqlite, $row>($sql)$(.bind($arg))*.fetch_optional(read).await,
            $crate::store::db::Db::Postgres(pool) =>
                sqlx::query_as::<sqlx::Postgres, $row>($sql)$(.bind($arg))*.fetch_optional(pool).await,
        }
    };
}

/// Runs a statement by itself; the number of rows it changed.
macro_rules! execute {
    ($db:expr, $sql:expr $(, $arg:expr)* $(,)?) => {
        match $db {
            $crate::store::db::Db::Sqlite { write, .. } =>
                sqlx::query::<sqlx::Sqlite>($sql)$(.bind($arg))*.execute(write).await.map(|done| done.rows_affected()),
            $crate::store::db::Db::Postgres(pool) =>
                sqlx::query::<sqlx::Postgres>($sql)$(.bind($arg))*.execute(pool).await.map(|done| done.rows_affected()),
        }
    };
}

/// Runs a statement in a transaction; the number of rows it changed.
macro_rules! execute_in {
    ($tx:expr, $sql:expr $(, $arg:expr)* $(,)?) => {
        match $tx {
            $crate::store::db::Tx::Sqlite(tx) =>
                sqlx::query::<sqlx::Sqlite>($sql)$(.bind($arg))*.execute(&mut **tx).await.map(|done| done.rows_affected()),
            $crate::store::db::Tx::Postgres(tx) =>
                sqlx::query::<sqlx::Postgres>($sql)$(.bind($arg))*.execute(&mut **tx).await.map(|done| done.rows_affected()),
        }
    };
}

/// Runs a statement in a transaction; the rows that it returns, as `Vec<$row>`.
macro_rules! fetch_all_in {
    ($tx:expr, $row:ty, $sql:expr $(, $arg:expr)* $(,)?) => {
        match $tx {
            $crate::store::db::Tx::Sqlite(tx) =>
                sqlx::query_as::<sqlx::Sqlite, $row>($sql)$(.bind($arg))*.fetch_all(&mut **tx).await,
            $crate::store::db::Tx::Postgres(tx) =>
                sqlx::query_as::<sqlx::Postgres, $row>($sql)$(.bind($arg))*.fetch_all(&mut **tx).await,
        }
    };
}

pub(crate) use {execute, execute_in, fetch_all, fetch_all_in, fetch_optional};

impl Db {
    /// Opens SQLite in this file and brings its schema up to date.
    pub async fn sqlite(file: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // An acknowledged write survives a power cut, not only `kill -9`.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        let write = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        sqlx::migrate!("./migrations").run(&write).await.map_err(Error::internal)?;
        let read = SqlitePoolOptions::new().max_connections(4).min_connections(0).connect_with(options.read_only(true)).await?;
        Ok(Self::Sqlite { read, write })
    }

    /// Connects to PostgreSQL (15 or later) and brings its schema up to date.
    pub async fn postgres(url: &str) -> Result<Self, String> {
        let options = PgConnectOptions::from_str(url).map_err(|e| format!("--database-url is not a PostgreSQL URL: {e}"))?;
        let pool = PgPoolOptions::new().max_connections(16).acquire_timeout(Duration::from_secs(10)).connect_with(options.clone()).await;
        let pool = match pool {
            Ok(pool) => pool,
            Err(error) => {
                // The pool only says that it has waited; one connection says why.
                let why = match PgConnection::connect_with(&options).await {
                    Err(why) => why,
                    Ok(_) => error,
                };
                return Err(format!("cannot connect to the database of --database-url: {why}"));
            }
        };
        let (version,): (String,) = sqlx::query_as("show server_version_num")
            .fetch_one(&pool)
            .await
            .map_err(|e| format!("cannot ask the database for its version: {e}"))?;
        if version.parse::<u32>().unwrap_or(0) < 150_000 {
            return Err(format!("the database is PostgreSQL {version}; 15 or later is needed"));
        }
        sqlx::migrate!("./migrations").run(&pool).await.map_err(|e| format!("cannot bring the database schema up to date: {e}"))?;
        Ok(Self::Postgres(pool))
    }

    /// Begins a transaction for writing.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(match self {
            Self::Sqlite { write, .. } => Tx::Sqlite(write.begin().await?),
            Self::Postgres(pool) => Tx::Postgres(pool.begin().await?),
        })
    }

    /// True when the database answers.
    pub async fn ping(&self) -> Result<()> {
        fetch_optional!(self, (i64,), "select cast(1 as bigint)")?;
        Ok(())
    }

    /// Writes everything down and lets go of the files.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { read, write } => {
                read.close().await;
                write.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

impl Tx {
    /// Makes the writes durable.
    pub async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

/// True where the database refuses a row for what it holds, however often it is tried: a constraint, a value that cannot be kept.
pub fn is_refused(error: &Error) -> bool {
    let cause = error.cause.as_ref().and_then(|cause| cause.downcast_ref::<sqlx::Error>());
    let Some(refusal) = cause.and_then(sqlx::Error::as_database_error) else { return error.kind == Kind::InvalidRequest };
    let code = refusal.code().unwrap_or_default();
    match refusal.try_downcast_ref::<PgDatabaseError>() {
        // Classes of SQLSTATE: data exceptions, violated constraints.
        Some(_) => code.starts_with("22") || code.starts_with("23"),
        // The lowest byte: SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH.
        None => code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 18..=20)),
    }
}

/// True for a violation of a unique constraint.
pub fn is_duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
