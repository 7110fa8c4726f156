//! `amalgam servers workflows`: saved recipes that a server offers as resources.

use clap::Subcommand;
use serde_json::Value;

use super::{
    client::Session,
    failure::Result,
    input::object,
    screen::{Column, pretty},
    servers::Found,
};

const LIST: &[Column] = &[("NAME", "name"), ("DESCRIPTION", "description"), ("RESOURCE", "uri"), ("UPDATED", "updatedAt")];

/// What to do with workflows.
#[derive(Subcommand)]
pub enum Workflows {
    /// List a server's workflows
    #[command(after_help = "Example:\n  amalgam servers workflows list \"My server\"")]
    List {
        /// Id or name
        server: String,
    },
    /// Print a workflow as JSON
    #[command(after_help = "Example:\n  amalgam servers workflows get \"My server\" weekly-report")]
    Get {
        /// Id or name
        server: String,
        /// The workflow
        name: String,
    },
    /// Keep a workflow, new or changed
    #[command(after_help = "\
Example:
  amalgam servers workflows put \"My server\" weekly-report '{\"description\": \"…\", \"steps\": [
    {\"connectorId\": \"slack\", \"actionId\": \"chat_postMessage\", \"parameters\": {\"channel\": \"<channel>\", \"text\": \"<text>\"}}]}'")]
    Put {
        /// Id or name
        server: String,
        /// 1 to 64 letters, digits, `-`, `_`
        name: String,
        /// `{"description", "steps": [{"connectorId", "actionId", "parameters", "note"}]}`, a file with it, or `-`
        #[arg(value_name = "JSON|FILE")]
        workflow: String,
    },
    /// Delete a workflow
    #[command(after_help = "Example:\n  amalgam servers workflows delete \"My server\" weekly-report")]
    Delete {
        /// Id or name
        server: String,
        /// The workflow
        name: String,
    },
}

impl Workflows {
    /// Runs the command.
    pub async fn run(self, Session { client, screen }: &Session) -> Result {
        match self {
            Self::List { server } => {
                let id = Found::get(client, &server).await?.id;
                screen.list(&client.get(&["api", "servers", &id, "workflows"], &[]).await?, "workflows", LIST)
            }
            Self::Get { server, name } => {
                let id = Found::get(client, &server).await?.id;
                let answer = client.get(&["api", "servers", &id, "workflows", &name], &[]).await?;
                screen.said(&answer, &pretty(answer.text()))
            }
            Self::Put { server, name, workflow } => {
                let body: Value = object("the workflow", &workflow)?.into();
                let id = Found::get(client, &server).await?.id;
                let answer = client.put(&["api", "servers", &id, "workflows", &name], &body).await?;
                screen.said(&answer, &format!("Kept the workflow {name}. Clients read it as resource://workflows/{name}."))
            }
            Self::Delete { server, name } => {
                let id = Found::get(client, &server).await?.id;
                let answer = client.delete(&["api", "servers", &id, "workflows", &name]).await?;
                screen.said(&answer, &format!("Deleted the workflow {name}."))
            }
        }
    }
}
