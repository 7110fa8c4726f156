//! Puts many servers into a node's database while the node is stopped: copies of one server that was made through the API.

use std::path::Path;

use amalgam_vault::{hash_token, hex};
use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

/// How many rows one statement writes.
const BATCH: usize = 5_000;

/// The path of the token URL of a server that [`copies`] makes.
pub fn path(n: usize) -> String {
    format!("/mcp/{}/{}", server_id(n), token(n))
}

fn server_id(n: usize) -> String {
    format!("bench-{n:08}")
}

/// Known to us, so not random: 128 bits are needed against guessing only.
fn token(n: usize) -> String {
    format!("mcp_token_bench-0123456789-{n:08}")
}

/// Makes `count` copies of the server `original`, each with a token of its own that never expires.
///
/// # Errors
/// A sentence with what the database said.
pub fn copies(database: &Path, original: &str, count: usize) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(insert(database, original, count)).map_err(|e| format!("cannot write {}: {e}", database.display()))
}

async fn insert(database: &Path, original: &str, count: usize) -> Result<(), sqlx::Error> {
    let mut connection = SqliteConnectOptions::new().filename(database).connect().await?;
    let mut tx = connection.begin().await?;
    for start in (0..count).step_by(BATCH) {
        let rows: Vec<[String; 2]> = (start..count.min(start + BATCH)).map(|n| [server_id(n), hex(&hash_token(&token(n)))]).collect();
        let rows = serde_json::to_string(&rows).map_err(|e| sqlx::Error::Encode(e.into()))?;
        sqlx::query(
            "insert into servers (id, account_id, user_id, name, description, instructions, restrictions, settings, created_at, updated_at)
             select row.value ->> 0, account_id, user_id, row.value ->> 0, description, instructions, restrictions, settings,
                    created_at, updated_at
             from servers, json_each($1) as row where servers.id = $2",
        )
        .bind(&rows)
        .bind(original)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "insert into tokens (hash, server_id, sealed, is_current, created_at, expires_at)
             select row.value ->> 1, row.value ->> 0, null, 1, 0, null from json_each($1) as row",
        )
        .bind(&rows)
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    connection.close().await
}
