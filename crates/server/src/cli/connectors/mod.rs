//! `amalgam connectors`: what platforms offer, and the account's own connectors.

mod case;
mod diff;
mod import;
mod lint;
mod new;
mod record;
mod replay;
mod test;

use clap::Subcommand;
use serde_json::Value;

use self::{
    diff::Diff,
    import::{Import, Update},
    lint::Lint,
    new::New,
    record::Record,
    test::Test,
};
use super::{
    client::{Client, Session},
    failure::Result,
    screen::{Column, Screen, cell, plain, shell_word},
    terminal::confirm,
};

const LIST: &[Column] = &[("CONNECTOR", "id"), ("NAME", "name"), ("CATEGORY", "category"), ("DESCRIPTION", "description")];
const OWN: &[Column] = &[("CONNECTOR", "id"), ("NAME", "name"), ("ACTIONS", "actions"), ("BASE URL", "baseUrl"), ("UPDATED", "updatedAt")];
const FOLDER: &[Column] = &[("CONNECTOR", "id"), ("FILE", "file"), ("STATE", "state"), ("ACTIONS", "actions"), ("LOADED", "loadedAt")];
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
  amalgam connectors list --own
  amalgam connectors list --folder")]
    List {
        /// Only those of this category
        #[arg(long)]
        category: Option<String>,
        /// Only those that the account has imported
        #[arg(long, conflicts_with = "category")]
        own: bool,
        /// Only those of the operator's folder, with what is wrong there (operator only)
        #[arg(long, conflicts_with_all = ["category", "own"])]
        folder: bool,
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
    /// Make a folder with a connector that works, to be changed into yours
    #[command(after_help = "\
Examples:
  amalgam connectors new notes --base-url https://notes.example.com/api
  amalgam connectors new billing --from-openapi openapi.yaml
  amalgam connectors new notes --dir ./connectors && amalgam serve --connectors-dir ./connectors")]
    New(New),
    /// Say what is wrong with definitions: file, line, what was meant
    #[command(after_help = "\
Examples:
  amalgam connectors lint notes
  amalgam connectors lint connectors/ --strict

Exit codes: 0 nothing wrong, 1 mistakes (with --strict advice too), 2 wrong usage.")]
    Lint(Lint),
    /// Run recorded cases again, against a server on this machine that answers as the platform did
    #[command(after_help = "\
Examples:
  amalgam connectors test notes
  amalgam connectors test connectors/ --only list
  amalgam connectors test notes --accept

A case is a file in `cases/` beside connector.toml: arguments, the request that must go out, the answer, and what a model reads.
Exit codes: 0 all as recorded, 1 a difference or no cases, 2 wrong usage.")]
    Test(Test),
    /// Make a case from a real call; secrets are cut out
    #[command(after_help = "\
Examples:
  amalgam connectors record notes list_items --field token=- -p limit=2
  amalgam connectors record notes get_item --field token=@token.txt -p item_id=99 --name not-found
  amalgam connectors record notes list_items --field token=@token.txt --egress-allow 127.0.0.1/32")]
    Record(Record),
    /// Show what changes between two definitions or OpenAPI documents, and what of it breaks
    #[command(after_help = "\
Examples:
  amalgam connectors diff openapi-1.yaml openapi-2.yaml
  amalgam connectors diff connectors/notes ../other/notes
  amalgam connectors diff billing openapi-2.yaml        what `amalgam connectors update billing openapi-2.yaml` would change

Exit codes: 0 nothing breaks, 1 something may, 2 wrong usage.")]
    Diff(Diff),
    /// Print the JSON Schema of connector.toml, for editors
    #[command(after_help = "Example:\n  amalgam connectors schema > connector.schema.json")]
    Schema,
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
            Self::List { folder: true, .. } => {
                let answer = client.get(&["api", "folder-connectors"], &[]).await?;
                screen.list(&answer, "connectors", FOLDER)?;
                tell_problems(&screen, &answer.value()?);
                Ok(())
            }
            Self::List { category, .. } => {
                screen.list(&client.get(&["connectors"], &[("category", category.as_deref())]).await?, "connectors", LIST)?;
                // Only the operator may know, so that a refusal is no news.
                if let Ok(answer) = client.get(&["api", "folder-connectors"], &[]).await {
                    tell_problems(&screen, &answer.value()?);
                }
                Ok(())
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
            Self::New(new) => new.run(&screen).await,
            Self::Lint(lint) => lint.run(&screen),
            Self::Test(test) => test.run(&screen).await,
            Self::Record(record) => record.run(&screen).await,
            Self::Diff(diff) => diff.run(&client, &screen).await,
            Self::Schema => screen.line(new::SCHEMA),
            Self::Delete { connector, yes } => {
                confirm(&format!("Delete the connector {connector} with its users' credentials for it?"), yes)?;
                let answer = client.delete(&["api", "connectors", &connector]).await?;
                screen.said(&answer, &format!("Deleted the connector {connector}."))
            }
        }
    }
}

/// What is wrong in the operator's folder, beside the list.
fn tell_problems(screen: &Screen, folder: &Value) {
    if let Some(reason) = folder.get("unreadable") {
        screen.note(&format!("The folder of connectors cannot be read: {}", plain(reason)));
    }
    for entry in folder.get("connectors").and_then(Value::as_array).into_iter().flatten() {
        for problem in entry.get("problems").and_then(Value::as_array).into_iter().flatten() {
            let line = problem.get("line").map_or(String::new(), |line| format!(":{line}"));
            let kept = if cell(entry, "state") == "outdated" { " (the last good one is used)" } else { "" };
            screen.note(&format!("{}{line}: {}{kept}", cell(entry, "file"), cell(problem, "message")));
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
