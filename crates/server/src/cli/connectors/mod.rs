//! `amalgam connectors`: what platforms offer, and the account's own connectors.

mod import;

use clap::Subcommand;
use serde_json::Value;

use self::import::{Import, Update};
use super::{
    client::{Client, Session},
    failure::Result,
    screen::{Column, Screen, cell, plain, shell_word},
    terminal::confirm,
};

const LIST: &[Column] = &[("CONNECTOR", "id"), ("NAME", "name"), ("CATEGORY", "category"), ("DESCRIPTION", "description")];
const OWN: &[Column] = &[("CONNECTOR", "id"), ("NAME", "name"), ("ACTIONS", "actions"), ("BASE URL", "baseUrl"), ("UPDATED", "updatedAt")];
const DETAILS: &[Column] = &[
    ("Connector", "id"),
    ("Name", "name"),
    ("Category", "category"),
    ("Description", "description"),
    ("Actions", "actionCount"),
    ("Base URL", "baseUrl"),
    ("Documentation", "docs"),
    ("Authentication", "authenticationTypes"),
];
const ACTIONS: &[Column] = &[("ACTION", "id"), ("METHOD", "httpMethod"), ("EFFECT", "effect"), ("DESCRIPTION", "description")];
const ACTION: &[Column] = &[
    ("Action", "id"),
    ("Name", "displayName"),
    ("Description", "description"),
    ("Resource", "resource"),
    ("Method", "httpMethod"),
    ("Path", "path"),
    ("Effect", "effect"),
    ("Deprecated", "deprecated"),
];
const FOUND: &[Column] = &[
    ("CONNECTOR", "connectorId"),
    ("ACTION", "actionId"),
    ("SCORE", "score"),
    ("CREDENTIAL", "hasCredential"),
    ("REQUIRED", "requiredParameters"),
    ("DESCRIPTION", "description"),
];

/// What to do with connectors.
#[derive(Subcommand)]
pub enum Connectors {
    /// List connectors
    #[command(after_help = "\
Examples:
  amalgam connectors list --category communication
  amalgam connectors list --own")]
    List {
        /// Only those of this category
        #[arg(long)]
        category: Option<String>,
        /// Only those that the account has imported
        #[arg(long, conflicts_with = "category")]
        own: bool,
    },
    /// Show a connector
    #[command(after_help = "Example:\n  amalgam connectors get slack")]
    Get {
        /// The connector
        connector: String,
    },
    /// List a connector's actions
    #[command(after_help = "Example:\n  amalgam connectors actions slack")]
    Actions {
        /// The connector
        connector: String,
    },
    /// Show what an action takes
    #[command(after_help = "Example:\n  amalgam connectors action slack chat_postMessage")]
    Action {
        /// The connector
        connector: String,
        /// Its action
        action: String,
    },
    /// Find actions for a goal in plain words
    #[command(after_help = "Example:\n  amalgam connectors search \"send a message to a Slack channel\"")]
    Search {
        /// What should be done
        goal: String,
        /// Only actions of this connector
        #[arg(long, value_name = "ID")]
        connector: Option<String>,
    },
    /// Make a connector of an OpenAPI document
    #[command(after_help = "\
Examples:
  amalgam connectors import openapi.yaml --id billing --base-url https://billing.example.com
  curl https://api.example.com/openapi.json | amalgam connectors import -")]
    Import(Import),
    /// Change a connector of the account: a new document, or its name or base URL
    #[command(after_help = "\
Examples:
  amalgam connectors update billing openapi-2.yaml
  amalgam connectors update billing --base-url https://billing.example.org")]
    Update(Update),
    /// Delete a connector of the account, with its users' credentials for it
    #[command(after_help = "Example:\n  amalgam connectors delete billing --yes")]
    Delete {
        /// The connector
        connector: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

impl Connectors {
    /// Runs the command.
    pub async fn run(self, Session { client, screen }: Session) -> Result {
        match self {
            Self::List { own: true, .. } => screen.list(&client.get(&["api", "connectors"], &[]).await?, "connectors", OWN),
            Self::List { category, .. } => {
                screen.list(&client.get(&["connectors"], &[("category", category.as_deref())]).await?, "connectors", LIST)
            }
            Self::Get { connector } => screen.details(&client.get(&["connectors", &connector], &[]).await?, DETAILS),
            Self::Actions { connector } => screen.list(&client.get(&["connectors", &connector, "actions"], &[]).await?, "actions", ACTIONS),
            Self::Action { connector, action } => show_action(&client, &screen, &connector, &action).await,
            Self::Search { goal, connector } => {
                let query = [("goal", Some(goal.as_str())), ("connectorId", connector.as_deref())];
                screen.list(&client.get(&["connectors", "search"], &query).await?, "actions", FOUND)
            }
            Self::Import(import) => import.run(&client, &screen).await,
            Self::Update(update) => update.run(&client, &screen).await,
            Self::Delete { connector, yes } => {
                confirm(&format!("Delete the connector {connector} with its users' credentials for it?"), yes)?;
                let answer = client.delete(&["api", "connectors", &connector]).await?;
                screen.said(&answer, &format!("Deleted the connector {connector}."))
            }
        }
    }
}

async fn show_action(client: &Client, screen: &Screen, connector: &str, action: &str) -> Result {
    let answer = client.get(&["connectors", connector, "actions", action], &[]).await?;
    if screen.json {
        return screen.line(answer.text());
    }
    let value = answer.value()?;
    let about = value.get("action").unwrap_or(&Value::Null);
    screen.members(about, ACTION)?;
    let required = about.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let rows: Vec<Vec<String>> = about
        .pointer("/inputSchema/properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, schema)| {
            let needed = required.iter().any(|required| required.as_str() == Some(name));
            vec![
                plain(&name.as_str().into()),
                schema.get("type").map_or_else(|| "any".to_owned(), plain),
                (if needed { "yes" } else { "no" }).to_owned(),
                cell(schema, "description"),
            ]
        })
        .collect();
    if !rows.is_empty() {
        screen.line("")?;
        screen.table(&["PARAMETER", "TYPE", "REQUIRED", "DESCRIPTION"], rows)?;
    }
    let sample = about.get("sample").filter(|sample| sample.as_object().is_some_and(|members| !members.is_empty()));
    let params = sample.map(|sample| format!(" --params {}", shell_word(&sample.to_string()))).unwrap_or_default();
    screen.line(&format!("\nRun it:\n\n  amalgam call {} {}{params}", shell_word(connector), shell_word(action)))
}
