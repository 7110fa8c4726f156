//! The keys of this installation: data keys kept in the database, sealed with the master key.

use amalgam_vault::{DataKey, MasterKey, Secret, VaultError};

use super::db::{Db, execute, fetch_optional};
use crate::{
    clock::{now_ms, random},
    error::{Error, Result},
};

/// The id of the data key that seals rows and session ids.
const ROWS: &str = "rows-1";

/// Seals rows and ids. The owner's parts are associated data: a row copied to another owner does not open.
pub struct Sealer {
    key: DataKey,
}

impl Sealer {
    /// Opens the data key of this database, or makes it when the database is new.
    ///
    /// # Errors
    /// A sentence for the operator when the master key is not the one this database was made with.
    pub async fn open(db: &Db, master: &MasterKey) -> Result<Self, String> {
        let row = fetch_optional!(db, (String,), "select sealed from data_keys where id = $1", ROWS)
            .map_err(|e| format!("cannot read the data keys: {e}"))?;
        if let Some((sealed,)) = row {
            let key = DataKey::open(master, ROWS, &sealed).map_err(|error| match error {
                VaultError::WrongMasterKey => "the master key does not open this database: it is not the key that the database was made with. Put the right key in place \
                 (`master.key` in the data directory, --master-key-file, or AMALGAM_MASTER_KEY) and start again"
                    .to_owned(),
                error => format!("the data keys of this database cannot be read: {error}"),
            })?;
            return Ok(Self { key });
        }
        let key = DataKey::new(ROWS, random()).map_err(|e| e.to_string())?;
        let sealed = key.seal(master, random()).map_err(|e| e.to_string())?;
        // Another node may be starting on the same new database: the first one to write wins, and this one reads its key.
        let made = execute!(
            db,
            "insert into data_keys (id, sealed, created_at) values ($1, $2, $3) on conflict (id) do nothing",
            ROWS,
            &sealed,
            now_ms()
        )
        .map_err(|e| format!("cannot write the data keys: {e}"))?;
        if made == 0 { Box::pin(Self::open(db, master)).await } else { Ok(Self { key }) }
    }

    /// Seals text for this owner; base64url.
    pub fn seal(&self, owner: &[&str], plain: &str) -> Result<String> {
        self.key.seal_text(owner, plain.as_bytes(), random()).map_err(Error::from)
    }

    /// Opens what `seal` made for the same owner.
    pub fn unseal(&self, owner: &[&str], sealed: &str) -> Result<Secret> {
        self.key.open_text(owner, sealed).map_err(Error::from)
    }

    /// A sealed id that any node can open: visible ASCII, bound to its purpose.
    pub fn seal_id(&self, purpose: &str, payload: &[u8]) -> Result<String> {
        amalgam_vault::seal_id(&self.key, random(), purpose, payload).map_err(Error::from)
    }

    /// What is in a sealed id; `None` for anything that we did not make for this purpose.
    pub fn open_id(&self, purpose: &str, id: &str) -> Option<Vec<u8>> {
        amalgam_vault::open_id(&self.key, purpose, id)
    }
}
