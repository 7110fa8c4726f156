//! Legacy MCP sessions that were ended before their time. Open sessions are sealed ids; any node opens them without a row.

use super::{
    Store,
    db::{execute, fetch_optional},
};
use crate::{clock::now_ms, error::Result};

// No scope: the hash of a sealed id, which only its holder can know, is the key.
impl Store {
    /// Remembers that a session was ended, until it would have expired anyway.
    pub async fn end_session(&self, hash: &str, until_ms: i64) -> Result<()> {
        execute!(&self.db, "insert into ended_sessions (hash, until_at) values ($1, $2) on conflict (hash) do nothing", hash, until_ms)?;
        self.ended_sessions.forget(&hash.to_owned());
        Ok(())
    }

    /// True when the session was ended.
    pub async fn session_ended(&self, hash: String) -> Result<bool> {
        let load = async {
            let row = fetch_optional!(&self.db, (String,), "select hash from ended_sessions where hash = $1", &hash)?;
            Ok(row.is_some())
        };
        self.ended_sessions.get_or_load(hash.clone(), load).await
    }

    /// Forgets sessions that have expired anyway.
    pub async fn purge_sessions(&self) -> Result<u64> {
        Ok(execute!(&self.db, "delete from ended_sessions where until_at < $1", now_ms())?)
    }
}
