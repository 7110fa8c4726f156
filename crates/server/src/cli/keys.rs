//! `amalgam keys`: API keys.

use clap::{Subcommand, builder::PossibleValuesParser};
use serde_json::{Map, Value};

use super::{
    client::Session,
    failure::Result,
    screen::{Column, cell},
    servers::Days,
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
}

impl Keys {
    /// Runs the command.
    pub async fn run(self, Session { client, screen }: Session) -> Result {
        match self {
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
