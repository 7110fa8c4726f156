//! The keys of this installation: data keys kept in the database, sealed with the master key.

use amalgam_vault::{DataKey, MasterKey, Secret, VaultError};

use super::db::{Db, execute, execute_in, fetch_all, fetch_optional};
use crate::{
    clock::{now_ms, random},
    error::{Error, Result},
};

/// The id of the data key that seals rows and session ids.
const ROWS: &str = "rows-1";

/// The data keys, still sealed.
async fn data_keys(db: &Db) -> Result<Vec<(String, String)>, String> {
    fetch_all!(db, (String, String), "select id, sealed from data_keys order by id").map_err(|e| format!("cannot read the data keys: {e}"))
}

fn unreadable(error: &VaultError) -> String {
    format!("the data keys of this database cannot be read: {error}")
}

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
                error => unreadable(&error),
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

    /// Whether this master key opens the keys of this database; a database without any is open to every key.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn opens(db: &Db, master: &MasterKey) -> Result<bool, String> {
        let keys = data_keys(db).await?;
        for (id, sealed) in &keys {
            match DataKey::open(master, id, sealed) {
                Ok(_) => {}
                Err(VaultError::WrongMasterKey) => return Ok(false),
                Err(error) => return Err(unreadable(&error)),
            }
        }
        Ok(true)
    }

    /// Seals the data keys of this database with another master key, all or none; those that are sealed with it already stay. Returns how
    /// many there were.
    ///
    /// # Errors
    /// A key that neither of the two opens.
    pub async fn reseal(db: &Db, old: &MasterKey, new: &MasterKey) -> Result<usize, String> {
        let failed = |e: &dyn std::fmt::Display| format!("cannot write the data keys: {e}");
        let mut tx = db.begin().await.map_err(|e| failed(&e))?;
        let mut resealed = 0;
        for (id, sealed) in data_keys(db).await? {
            match DataKey::open(new, &id, &sealed) {
                Ok(_) => continue,
                Err(VaultError::WrongMasterKey) => {}
                Err(error) => return Err(unreadable(&error)),
            }
            let key = DataKey::open(old, &id, &sealed).map_err(|error| match error {
                VaultError::WrongMasterKey => "neither the master key nor the new one opens this database; nothing was changed".to_owned(),
                error => unreadable(&error),
            })?;
            let anew = key.seal(new, random()).map_err(|e| e.to_string())?;
            // Another attempt at the same time has then been first.
            let done = execute_in!(&mut tx, "update data_keys set sealed = $1 where id = $2 and sealed = $3", &anew, &id, &sealed);
            if done.map_err(|e| failed(&e))? == 0 {
                return Err("the data keys were changed at the same time; nothing was changed here, so try again".to_owned());
            }
            resealed += 1;
        }
        tx.commit().await.map_err(|e| failed(&e))?;
        Ok(resealed)
    }

    /// Seals text for this owner; base64url.
    pub fn seal(&self, owner: &[&str], plain: &str) -> Result<String> {
        self.key.seal_text(owner, plain.as_bytes(), random()).map_err(Error::from)
    }

    /// Opens what `seal` made for the same owner.
    pub fn unseal(&self, owner: &[&str], sealed: &str) -> Result<Secret> {
        self.key.open_text(owner, sealed).map_err(Error::from)
    }

    /// Opens text that `seal_bytes` sealed for the same owner.
    pub fn unseal_secret(&self, owner: &[&str], sealed: &[u8]) -> Result<Secret> {
        self.key.open_secret(owner, sealed).map_err(Error::from)
    }

    /// Seals bytes for this owner.
    pub fn seal_bytes(&self, owner: &[&str], plain: &[u8]) -> Result<Vec<u8>> {
        amalgam_vault::seal(&self.key, random(), owner, plain).map_err(Error::from)
    }

    /// Opens what `seal_bytes` made for the same owner.
    pub fn unseal_bytes(&self, owner: &[&str], sealed: &[u8]) -> Result<Vec<u8>> {
        Ok(amalgam_vault::open(&self.key, owner, sealed)?.to_vec())
    }

    /// A secret text derived for one purpose and one name.
    pub fn derived(&self, purpose: &str, name: &str) -> Result<Secret> {
        let key = self.key.derive(purpose)?;
        Ok(Secret::new(amalgam_vault::hex(&amalgam_vault::keyed_hash(&key, name))))
    }

    /// Tells equal texts from different ones, and nothing else about them; the same on every node.
    pub fn fingerprint(&self, text: &[u8]) -> Result<String> {
        Ok(amalgam_vault::hex(&self.key.fingerprint(text)?))
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
