//! `amalgam keys`: API keys; and the master key.

use std::path::PathBuf;

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use serde_json::{Map, Value};

use super::{
    client::Session,
    failure::Result,
    screen::{Column, cell},
    servers::Days,
};
use crate::{
    config::{SecretSettings, Settings},
    node::master_key,
};

const LIST: &[Column] = &[
    ("KEY", "id"),
    ("NAME", "name"),
    ("USER", "userId"),
    ("ROLE", "role"),
    ("BEGINS WITH", "hint"),
    ("EXPIRES", "expiresAt"),
    ("CREATED", "createdAt"),
];

/// What to do with keys.
#[derive(Subcommand)]
pub enum Keys {
    /// List the living keys: the account's for an admin, else your own
    #[command(after_help = "Example:\n  amalgam keys list")]
    List,
    /// Make a key; it is shown this once
    #[command(after_help = "\
Examples:
  amalgam keys create --name laptop
  amalgam keys create --name \"Ann's key\" --user-id ann --expires-in-days 90
  amalgam keys create --name operations --role admin")]
    Create {
        /// What the key is for
        #[arg(long)]
        name: Option<String>,
        /// The user it acts as [default: you]
        #[arg(long, value_name = "USER")]
        user_id: Option<String>,
        /// What it may do [default: member]
        #[arg(long, value_parser = PossibleValuesParser::new(["admin", "member"]))]
        role: Option<String>,
        /// Days until it ends: 1 to 3650, or `never` [default: never]
        #[arg(long, value_name = "DAYS")]
        expires_in_days: Option<Days>,
    },
    /// End a key at once
    #[command(after_help = "Example:\n  amalgam keys revoke key_a1b2c3d4e5f6")]
    Revoke {
        /// Its id
        key_id: String,
    },
    /// Change the master key, which seals all others; nodes may go on running
    RotateMaster(RotateMaster),
}

/// Works on the database itself, so that it takes the settings of the node instead of an address and a key.
#[derive(Args)]
#[command(after_help = "\
Examples:
  amalgam keys rotate-master
  amalgam keys rotate-master --data-dir /var/lib/amalgam
  AMALGAM_NEW_MASTER_KEY=$(openssl rand -hex 32) amalgam keys rotate-master --database-url postgres://…

Without a new key one is made, where the present one is in a file; the old one stays beside it as `master.key.old`, for backups.
Interrupted, it can be run again. AMALGAM_MASTER_KEY and AMALGAM_NEW_MASTER_KEY are read from the environment alone.")]
pub struct RotateMaster {
    /// Configuration file of the node [default: amalgam.toml, where it exists]
    #[arg(long, env = "AMALGAM_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// As for `serve`
    #[arg(long, env = "AMALGAM_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// As for `serve`
    #[arg(long, env = "AMALGAM_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
    /// As for `serve`: the present key
    #[arg(long, env = "AMALGAM_MASTER_KEY_FILE", value_name = "FILE")]
    master_key_file: Option<PathBuf>,
    /// As for `serve`: prints the present key
    #[arg(long, env = "AMALGAM_MASTER_KEY_COMMAND", value_name = "COMMAND")]
    master_key_command: Option<String>,
    /// The new key [default: a new one is made]
    #[arg(long, value_name = "FILE")]
    new_master_key_file: Option<PathBuf>,
}

impl RotateMaster {
    /// Runs the command.
    #[expect(clippy::print_stdout, reason = "the command line speaks to people")]
    pub fn run(self) -> std::result::Result<(), String> {
        let settings = Settings {
            data_dir: self.data_dir,
            database_url: self.database_url,
            master_key_file: self.master_key_file,
            master_key_command: self.master_key_command,
            ..Settings::default()
        };
        let config = settings.with_file(self.config.as_deref())?.build()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
        let rotated = runtime.block_on(master_key::rotate(&config, &SecretSettings::from_env(), self.new_master_key_file.as_deref()))?;
        let what =
            if rotated.resealed == 0 { "The data keys are sealed with the new master key already." } else { "The master key is changed." };
        match rotated.file {
            Some(file) => println!(
                "{what} It is in {}; the old one, which backups of before still need, is beside it and ends in `.old`. Nodes that run go on; other \
                 nodes need the new file before their next start.",
                file.display()
            ),
            None => println!(
                "{what} Nodes that run go on; give every node the new one before its next start. Backups of before need the old one."
            ),
        }
        Ok(())
    }
}

impl Keys {
    /// Runs the command.
    pub async fn run(self, Session { client, screen }: Session) -> Result {
        match self {
            // It speaks to no node; `cli::run` has it run by itself.
            Self::RotateMaster(_) => Ok(()),
            Self::List => screen.list(&client.get(&["api", "keys"], &[]).await?, "keys", LIST),
            Self::Create { name, user_id, role, expires_in_days } => {
                let texts = [("name", name), ("userId", user_id), ("role", role)];
                let mut body: Map<String, Value> =
                    texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?.into()))).collect();
                if let Some(Days(days)) = expires_in_days {
                    body.insert("expiresInDays".to_owned(), days.into());
                }
                let answer = client.post(&["api", "keys"], &body.into()).await?;
                if screen.json {
                    return screen.line(answer.text());
                }
                let key = answer.value()?;
                let about = format!("{}, user {}, expires {}", cell(&key, "role"), cell(&key, "userId"), cell(&key, "expiresAt"));
                screen.line(&format!("Made the key {} ({about}), shown this once:\n\n  {}", cell(&key, "id"), cell(&key, "key")))
            }
            Self::Revoke { key_id } => {
                let answer = client.delete(&["api", "keys", &key_id]).await?;
                screen.said(&answer, &format!("Ended the key {key_id}."))
            }
        }
    }
}
