//! `amalgam users`: end users of the account.

use clap::Subcommand;
use serde_json::json;

use super::{client::Session, credentials, failure::Result, input::secret, page::Page, screen::Column, terminal::confirm};

const LIST: &[Column] =
    &[("USER", "userId"), ("USERNAME", "username"), ("FULL NAME", "fullName"), ("CREATED", "createdAt"), ("PASSWORD SET", "passwordSetAt")];

/// What to do with users. Any text works as a user id; registering makes an id and keeps a name.
#[derive(Subcommand)]
pub enum Users {
    /// List the registered users
    #[command(after_help = "Example:\n  amalgam users list --limit 20")]
    List(Page),
    /// Show a registered user
    #[command(after_help = "Example:\n  amalgam users get 6565a1b2c3d4e5f6a7b8c9d0")]
    Get {
        /// Its id
        user_id: String,
    },
    /// Register a user
    #[command(after_help = "Example:\n  amalgam users create ann@example.com --full-name \"Ann Example\" --password -")]
    Create {
        /// Unique in the account
        username: String,
        /// For people
        #[arg(long)]
        full_name: Option<String>,
        /// An id that is in use already, such as that of a key's user [default: a new one]
        #[arg(long)]
        user_id: Option<String>,
        /// To sign in with, 12 characters or more: itself, `@FILE`, or `-` to be asked for it
        #[arg(long)]
        password: Option<String>,
    },
    /// Set a user's password, with which MCP clients sign it in; what they were allowed before ends
    #[command(after_help = "Example:\n  amalgam users password 6565a1b2c3d4e5f6a7b8c9d0")]
    Password {
        /// Its id
        user_id: String,
        /// 12 characters or more: itself, `@FILE`, or `-` to be asked for it
        #[arg(long, default_value = "-")]
        password: String,
        /// Take the password away instead
        #[arg(long, conflicts_with = "password")]
        delete: bool,
    },
    /// Delete a user with its credentials
    #[command(after_help = "Example:\n  amalgam users delete 6565a1b2c3d4e5f6a7b8c9d0 --yes")]
    Delete {
        /// Its id
        user_id: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// List a user's credentials for all connectors; never their secrets
    #[command(after_help = "Example:\n  amalgam users credentials ann")]
    Credentials {
        /// Any user id, registered or not
        user_id: String,
    },
}

impl Users {
    /// Runs the command.
    pub async fn run(self, Session { client, screen }: Session) -> Result {
        match self {
            Self::List(page) => screen.list(&client.get(&["users"], &[page.limit(), page.offset()]).await?, "users", LIST),
            Self::Get { user_id } => screen.details(&client.get(&["users", &user_id], &[]).await?, LIST),
            Self::Create { username, full_name, user_id, password } => {
                let password = match password {
                    Some(given) => Some(secret("password", &given).await?),
                    None => None,
                };
                let body = json!({ "username": username, "fullName": full_name, "userId": user_id, "password": password });
                screen.details(&client.post(&["users"], &body).await?, LIST)
            }
            Self::Password { user_id, delete: true, .. } => {
                let answer = client.delete(&["users", &user_id, "password"]).await?;
                screen.said(&answer, &format!("Took the password of the user {user_id} away."))
            }
            Self::Password { user_id, password, .. } => {
                let body = json!({ "password": secret("password", &password).await? });
                let answer = client.put(&["users", &user_id, "password"], &body).await?;
                screen.said(&answer, &format!("Set the password of the user {user_id}."))
            }
            Self::Delete { user_id, yes } => {
                confirm(&format!("Delete the user {user_id} with its credentials?"), yes)?;
                let answer = client.delete(&["users", &user_id]).await?;
                screen.said(&answer, &format!("Deleted the user {user_id}."))
            }
            Self::Credentials { user_id } => {
                screen.list(&client.get(&["users", &user_id, "credentials"], &[]).await?, "data", credentials::LIST)
            }
        }
    }
}
