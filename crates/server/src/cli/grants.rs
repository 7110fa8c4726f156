//! `amalgam grants`: which MCP clients a user has allowed to use which servers.

use clap::Subcommand;

use super::{client::Session, failure::Result, page::Page, screen::Column};

const LIST: &[Column] = &[
    ("GRANT", "id"),
    ("CLIENT", "clientName"),
    ("SERVER", "serverId"),
    ("SCOPE", "scope"),
    ("CREATED", "createdAt"),
    ("EXPIRES", "expiresAt"),
];

/// What to do with grants. They are the key's own user's, or --user's.
#[derive(Subcommand)]
pub enum Grants {
    /// List the MCP clients that have signed the user in, newest first
    #[command(after_help = "\
Examples:
  amalgam grants list
  amalgam grants list --user usr_a1b2c3d4e5f6

A client's name is what it says of itself; with --json also the address that it had its user sent back to.")]
    List {
        #[command(flatten)]
        page: Page,
    },
    /// End what a client was allowed: its tokens stop working at once
    #[command(after_help = "Example:\n  amalgam grants revoke 0199a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b --user usr_a1b2c3d4e5f6")]
    Revoke {
        /// Its id
        grant_id: String,
    },
}

impl Grants {
    /// Runs the command.
    pub async fn run(self, Session { client, screen }: Session) -> Result {
        match self {
            Self::List { page } => screen.list(&client.get(&["api", "grants"], &[page.limit(), page.offset()]).await?, "grants", LIST),
            Self::Revoke { grant_id } => {
                let answer = client.delete(&["api", "grants", &grant_id]).await?;
                screen.said(&answer, &format!("Ended the grant {grant_id}."))
            }
        }
    }
}
