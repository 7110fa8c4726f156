//! `amalgam accounts`: tenants. Only the operator gets in.

use clap::Subcommand;
use serde_json::json;

use super::{
    client::Session,
    failure::Result,
    screen::{Column, cell},
    terminal::confirm,
};

const LIST: &[Column] = &[("ACCOUNT", "id"), ("NAME", "name"), ("CREATED", "createdAt")];

/// What to do with accounts; this needs an admin key of the account `default`.
#[derive(Subcommand)]
pub enum Accounts {
    /// List all accounts
    #[command(after_help = "Example:\n  amalgam accounts list")]
    List,
    /// Make an account; its first admin key is shown this once
    #[command(after_help = "Example:\n  amalgam accounts create acme --name \"Acme Inc\"")]
    Create {
        /// 1 to 64 of `a-z`, `0-9`, `-`
        id: String,
        /// Display name [default: the id]
        #[arg(long)]
        name: Option<String>,
    },
    /// Delete an account with everything that it owns
    #[command(after_help = "Example:\n  amalgam accounts delete acme --yes")]
    Delete {
        /// Its id
        id: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

impl Accounts {
    /// Runs the command.
    pub async fn run(self, Session { client, screen }: Session) -> Result {
        match self {
            Self::List => screen.list(&client.get(&["api", "accounts"], &[]).await?, "accounts", LIST),
            Self::Create { id, name } => {
                let answer = client.post(&["api", "accounts"], &json!({ "id": id, "name": name })).await?;
                if screen.json {
                    return screen.line(answer.text());
                }
                let key = cell(&answer.value()?, "adminKey");
                screen.line(&format!("Made the account {id}. Its first admin key, shown this once:\n\n  {key}"))
            }
            Self::Delete { id, yes } => {
                confirm(&format!("Delete the account {id} with everything that it owns?"), yes)?;
                let answer = client.delete(&["api", "accounts", &id]).await?;
                screen.said(&answer, &format!("Deleted the account {id}."))
            }
        }
    }
}
