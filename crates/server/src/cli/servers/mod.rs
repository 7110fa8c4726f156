//! `amalgam servers`: virtual MCP servers.

mod config;
mod settings;

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use serde_json::{Map, Value, json};

pub use self::settings::Days;
use self::settings::{ServerSettings, restrictions_in_words};
use super::{
    client::{Answer, Client, Session},
    failure::{Failure, Result},
    page::Page,
    screen::{Column, Screen},
    terminal::confirm,
    workflows::Workflows,
};

const LIST: &[Column] = &[
    ("SERVER", "serverId"),
    ("NAME", "name"),
    ("EXPOSURE", "exposure"),
    ("RESTRICTED", "hasRestrictions"),
    ("PUBLIC", "isPublic"),
    ("TOKEN EXPIRES", "tokenExpiresAt"),
    ("CREATED", "createdAt"),
];

const DETAILS: &[Column] = &[
    ("Server", "serverId"),
    ("Name", "name"),
    ("Description", "description"),
    ("Instructions", "customInstructions"),
    ("URL", "url"),
    ("Exposure", "exposure"),
    ("Connectors", "connectors"),
    ("Tool prefix", "toolPrefix"),
    ("User override", "userOverride"),
    ("Rate limit", "rateLimitPerMinute"),
    ("Public", "isPublic"),
    ("Token expires", "tokenExpiresAt"),
    ("Created", "createdAt"),
    ("Updated", "updatedAt"),
];

/// What to do with servers. A server is named by its id, or by its name.
#[derive(Subcommand)]
pub enum Servers {
    /// List servers, oldest first
    #[command(after_help = "Example:\n  amalgam servers list --limit 20")]
    List(Page),
    /// Show a server with its access URL
    #[command(after_help = "Example:\n  amalgam servers get \"My server\"")]
    Get {
        /// Id or name
        server: String,
    },
    /// Create a server
    #[command(after_help = "\
Examples:
  amalgam servers create \"My server\"
  amalgam servers create Support --allow-connectors slack,hubspot --block-actions 'slack/chat_delete,slack/files_*'
  amalgam servers create Direct --exposure direct --connectors notion --expires-in-days never")]
    Create(Create),
    /// Change the settings that are given; the others stay as they are
    #[command(after_help = "\
Examples:
  amalgam servers update \"My server\" --allow-connectors slack,notion
  amalgam servers update \"My server\" --restrictions '{}'
  amalgam servers update \"My server\" --rate-limit default --public=false")]
    Update(Update),
    /// Delete a server with its tokens and workflows
    #[command(after_help = "Example:\n  amalgam servers delete my-server-a1b2c3d4 --yes")]
    Delete {
        /// Id or name
        server: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Make a new token; the old one ends at once, or after --grace
    #[command(after_help = "Example:\n  amalgam servers rotate-token \"My server\" --grace 3600")]
    RotateToken {
        /// Id or name
        server: String,
        /// Seconds that the old token still works: 0 to 86400
        #[arg(long, value_name = "SECONDS")]
        grace: Option<u32>,
        /// Days until the new token ends: 1 to 365, or `never` [default: 90]
        #[arg(long, value_name = "DAYS")]
        expires_in_days: Option<Days>,
    },
    /// End the token: the access URL stops working at once
    #[command(after_help = "Example:\n  amalgam servers revoke-token \"My server\"")]
    RevokeToken {
        /// Id or name
        server: String,
    },
    /// Print what to paste into an MCP client
    #[command(after_help = "\
Examples:
  amalgam servers config \"My server\" --client claude
  amalgam servers config \"My server\" --client cursor --json > ~/.cursor/mcp.json")]
    Config {
        /// Id or name
        server: String,
        /// Which client
        #[arg(long, value_parser = PossibleValuesParser::new(["claude", "cursor", "vscode"]), default_value = "claude")]
        client: String,
    },
    /// Workflows: saved recipes that a server offers as resources
    #[command(subcommand)]
    Workflows(Workflows),
}

/// A new server.
#[derive(Args)]
pub struct Create {
    /// 1 to 100 letters, digits, spaces, `-`, `_`
    name: String,
    /// Days until the token ends: 1 to 365, or `never` [default: 90]
    #[arg(long, value_name = "DAYS")]
    expires_in_days: Option<Days>,
    #[command(flatten)]
    settings: ServerSettings,
}

/// A changed server.
#[derive(Args)]
pub struct Update {
    /// Id or name
    server: String,
    /// A new name
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    settings: ServerSettings,
}

impl Servers {
    /// Runs the command.
    pub async fn run(self, session: Session) -> Result {
        let Session { client, screen } = &session;
        match self {
            Self::List(page) => screen.list(&client.get(&["api", "servers"], &[page.limit(), page.offset()]).await?, "servers", LIST),
            Self::Get { server } => show(screen, &Found::get(client, &server).await?.answer),
            Self::Create(create) => create.run(client, screen).await,
            Self::Update(update) => update.run(client, screen).await,
            Self::Delete { server, yes } => {
                let found = Found::get(client, &server).await?;
                confirm(&format!("Delete the server \"{}\" ({}) with its tokens and workflows?", found.name()?, found.id), yes)?;
                let answer = client.delete(&["api", "servers", &found.id]).await?;
                screen.said(&answer, &format!("Deleted the server {}.", found.id))
            }
            Self::RotateToken { server, grace, expires_in_days } => {
                let id = Found::get(client, &server).await?.id;
                let mut body = Map::new();
                if let Some(Days(days)) = expires_in_days {
                    body.insert("tokenExpiresInDays".to_owned(), days.into());
                }
                if let Some(seconds) = grace {
                    body.insert("graceSeconds".to_owned(), seconds.into());
                }
                let answer = client.post(&["api", "servers", &id, "token"], &body.into()).await?;
                made(screen, &answer, "Made a new token for the server")
            }
            Self::RevokeToken { server } => {
                let id = Found::get(client, &server).await?.id;
                let answer = client.delete(&["api", "servers", &id, "token"]).await?;
                screen.said(&answer, &format!("Ended the token of {id}. A new one: amalgam servers rotate-token {id}"))
            }
            Self::Config { server, client: kind } => config::print(screen, &Found::get(client, &server).await?.answer, &kind),
            Self::Workflows(workflows) => workflows.run(&session).await,
        }
    }
}

impl Create {
    async fn run(self, client: &Client, screen: &Screen) -> Result {
        let mut body = self.settings.body()?;
        body.insert("name".to_owned(), self.name.into());
        if let Some(Days(days)) = self.expires_in_days {
            body.insert("tokenExpiresInDays".to_owned(), days.into());
        }
        if let Some(restrictions) = self.settings.restrictions(&json!({}))? {
            body.insert("restrictions".to_owned(), restrictions);
        }
        let answer = client.post(&["api", "servers"], &body.into()).await?;
        made(screen, &answer, "Created the server")
    }
}

impl Update {
    async fn run(self, client: &Client, screen: &Screen) -> Result {
        let mut body = self.settings.body()?;
        if let Some(name) = self.name {
            body.insert("name".to_owned(), name.into());
        }
        let found = Found::get(client, &self.server).await?;
        // REST replaces `restrictions` whole; a new list of actions must not open the connectors that were closed.
        let known = found.answer.value()?;
        if let Some(restrictions) = self.settings.restrictions(known.get("restrictions").unwrap_or(&Value::Null))? {
            body.insert("restrictions".to_owned(), restrictions);
        }
        if body.is_empty() {
            return Err(Failure::usage("nothing to change: give at least one setting").with_next("amalgam servers update --help"));
        }
        show(screen, &client.put(&["api", "servers", &found.id], &body.into()).await?)
    }
}

/// A server that was asked for by its id or its name.
pub struct Found {
    /// Its id.
    pub id: String,
    answer: Answer,
}

impl Found {
    /// By id; where there is none, by name.
    pub async fn get(client: &Client, wanted: &str) -> Result<Self> {
        let refusal = match client.get(&["api", "servers", wanted], &[]).await {
            Ok(answer) => return Ok(Self { id: wanted.to_owned(), answer }),
            Err(failure) if failure.is_not_found() => failure,
            Err(failure) => return Err(failure),
        };
        let mut offset = 0_usize;
        loop {
            let page = client.get(&["api", "servers"], &[("limit", Some("1000")), ("offset", Some(&offset.to_string()))]).await?.value()?;
            let servers = page.get("servers").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let named = servers.iter().find(|server| server.get("name").and_then(Value::as_str) == Some(wanted));
            if let Some(id) = named.and_then(|server| server.get("serverId")?.as_str()) {
                return Ok(Self { id: id.to_owned(), answer: client.get(&["api", "servers", id], &[]).await? });
            }
            if servers.is_empty() || page.get("hasMore") != Some(&Value::Bool(true)) {
                return Err(refusal);
            }
            offset += servers.len();
        }
    }

    fn name(&self) -> Result<String> {
        Ok(self.answer.value()?.get("name").and_then(Value::as_str).unwrap_or_default().to_owned())
    }
}

/// A server with all that people want to know.
fn show(screen: &Screen, answer: &Answer) -> Result {
    screen.details(answer, DETAILS)?;
    if screen.json {
        return Ok(());
    }
    let server = answer.value()?;
    for sentence in restrictions_in_words(server.get("restrictions").unwrap_or(&Value::Null)) {
        screen.line(&format!("Restricted: {sentence}"))?;
    }
    access_url(screen, &server)
}

/// A server whose token has just been made.
fn made(screen: &Screen, answer: &Answer, what: &str) -> Result {
    if screen.json {
        return screen.line(answer.text());
    }
    let server = answer.value()?;
    let text = |field: &str| server.get(field).and_then(Value::as_str).unwrap_or("-");
    screen.line(&format!("{what} {}.", text("serverId")))?;
    access_url(screen, &server)?;
    screen.line(&format!("\nAccess token, shown this once:\n\n  {}", text("accessToken")))?;
    screen.line(&format!("\nNext: amalgam servers config {} --client claude", text("serverId")))
}

fn access_url(screen: &Screen, server: &Value) -> Result {
    match server.get("accessUrl").and_then(Value::as_str) {
        Some(url) => screen.line(&format!("\nAccess URL, works by itself in any MCP client and is as secret as a password:\n\n  {url}")),
        None => Ok(()),
    }
}
