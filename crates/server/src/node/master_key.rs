//! The master key: where it comes from, and its change while nodes run.
//!
//! It seals the data keys alone, so that a change touches a few rows and no node that runs. New key first, then the database in one
//! transaction, then the file: wherever it is interrupted, the next start or the next attempt finds one of the two keys that fits.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use amalgam_vault::{MasterKey, Secret};

use crate::{
    clock::random,
    config::{Config, SecretSettings},
    store::{db::Db, sealer::Sealer},
};

/// Opens the database that the configuration names.
pub async fn database(config: &Config) -> Result<Db, String> {
    match &config.database_url {
        Some(url) => Db::postgres(url).await,
        None => {
            let file = config.data_dir.join("amalgam.db");
            Db::sqlite(&file).await.map_err(|e| format!("cannot open the database {}: {}", file.display(), super::cause(&e)))
        }
    }
}

/// The keys of this database, opened with the master key; where a change of it was interrupted, that is finished first.
pub async fn open(config: &Config, secrets: &SecretSettings, db: &Db, master: MasterKey) -> Result<Sealer, String> {
    if let Some(file) = file_of(config, secrets)
        && let Some(next) = read(&pending(&file))?
        && !Sealer::opens(db, &master).await?
        && Sealer::opens(db, &next).await?
    {
        replace(&file)?;
        tracing::info!("the change of the master key that was interrupted is finished");
        return Sealer::open(db, &next).await;
    }
    Sealer::open(db, &master).await
}

/// The master key from the environment, from a command, or from its file, which is made at the first start.
pub fn current(config: &Config, secrets: &SecretSettings) -> Result<MasterKey, String> {
    if let Some(text) = &secrets.master_key {
        return MasterKey::parse(text).map_err(|e| format!("AMALGAM_MASTER_KEY: {e}"));
    }
    if let Some(command) = &config.master_key_command {
        return printed(command);
    }
    let own = config.data_dir.join("master.key");
    let path = config.master_key_file.as_deref().unwrap_or(&own);
    if let Some(key) = read(path)? {
        if config.master_key_file.is_none() {
            super::set_mode(path, 0o600).map_err(|e| format!("cannot protect the master key {}: {e}", path.display()))?;
        }
        return Ok(key);
    }
    if config.master_key_file.is_some() {
        return Err(format!("cannot read the master key {}: there is no such file", path.display()));
    }
    if config.data_dir.join("amalgam.db").exists() {
        return Err(format!(
            "the master key {} is missing, and the database beside it cannot be opened without it. Put it back, or name it with \
             --master-key-file",
            path.display()
        ));
    }
    make(path)
}

/// The file that the key is read from, when it is.
fn file_of(config: &Config, secrets: &SecretSettings) -> Option<PathBuf> {
    let elsewhere = secrets.master_key.is_some() || config.master_key_command.is_some();
    (!elsewhere).then(|| config.master_key_file.clone().unwrap_or_else(|| config.data_dir.join("master.key")))
}

/// What a key that is about to replace the one in this file is called.
fn pending(file: &Path) -> PathBuf {
    beside(file, "new")
}

fn beside(file: &Path, what: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(what);
    name.into()
}

/// The key in a file; nothing where there is no file.
fn read(path: &Path) -> Result<Option<MasterKey>, String> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let text = Secret::new(text);
            MasterKey::parse(text.expose()).map(Some).map_err(|e| format!("the master key file {}: {e}", path.display()))
        }
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(format!("cannot read the master key {}: {e}", path.display())),
    }
}

/// The key that a command prints: that of a key store, for example.
fn printed(command: &str) -> Result<MasterKey, String> {
    let output = Command::new("sh").arg("-c").arg(command).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|e| format!("cannot run --master-key-command: {e}"))?;
    if !output.status.success() {
        return Err(format!("--master-key-command failed ({}); it must print the master key and nothing else", output.status));
    }
    let text = String::from_utf8(output.stdout).map_err(|_| "--master-key-command printed something that is not text".to_owned())?;
    MasterKey::parse(Secret::new(text).expose()).map_err(|e| format!("--master-key-command: {e}"))
}

fn make(path: &Path) -> Result<MasterKey, String> {
    let key = MasterKey::generate(random());
    write(path, key.to_text().expose()).map_err(|e| format!("cannot write the master key {}: {e}", path.display()))?;
    Ok(key)
}

/// Only the owner may read it, and it is on the disk before anything is sealed with it.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

/// Puts the new key in the place of the old one, which stays beside it for the backups that it opens.
fn replace(file: &Path) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("cannot put the new master key in its place {}: {e}", file.display());
    let old = beside(file, "old");
    match fs::remove_file(&old) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    fs::hard_link(file, &old).map_err(failed)?;
    fs::rename(pending(file), file).map_err(failed)
}

/// What a change of the master key came to.
pub struct Rotated {
    /// Where the new key is, when it is in a file of ours.
    pub file: Option<PathBuf>,
    /// Data keys that were sealed anew.
    pub resealed: usize,
}

/// Changes the master key. Nodes that run go on: they have opened the data keys already.
///
/// # Errors
/// A sentence for the operator; afterwards the old key or the new one opens the database, never none.
pub async fn rotate(config: &Config, secrets: &SecretSettings, new_file: Option<&Path>) -> Result<Rotated, String> {
    if config.database_url.is_none() && !config.data_dir.join("amalgam.db").exists() {
        return Err(format!("there is no database in {}; name the node's --data-dir", config.data_dir.display()));
    }
    let own = file_of(config, secrets);
    let (next, is_ours) = match (&secrets.new_master_key, new_file, &own) {
        (Some(text), None, _) => (MasterKey::parse(text).map_err(|e| format!("AMALGAM_NEW_MASTER_KEY: {e}"))?, false),
        (None, Some(path), _) => {
            (read(path)?.ok_or_else(|| format!("cannot read the new master key {}: there is no such file", path.display()))?, false)
        }
        (Some(_), Some(_), _) => {
            return Err("give the new master key as AMALGAM_NEW_MASTER_KEY or as --new-master-key-file, not both".to_owned());
        }
        // Left by an attempt that was interrupted, or made now.
        (None, None, Some(file)) => match read(&pending(file))? {
            Some(key) => (key, true),
            None => (make(&pending(file))?, true),
        },
        (None, None, None) => {
            return Err("the master key does not come from a file, so that the new one cannot be put in its place: give it as \
                        --new-master-key-file or AMALGAM_NEW_MASTER_KEY, then have nodes read it at their next start"
                .to_owned());
        }
    };
    // After an interruption the old key may be gone from the database already.
    let old = current(config, secrets)?;
    let db = database(config).await?;
    let resealed = Sealer::reseal(&db, &old, &next).await?;
    db.close().await;
    if let (Some(file), true) = (&own, is_ours) {
        replace(file)?;
    }
    Ok(Rotated { file: own.filter(|_| is_ours), resealed })
}
