//! `amalgam doctor`: why something does not work.

use clap::Subcommand;
use serde_json::json;

use super::{
    client::Session,
    failure::{Failure, Result},
    screen::{cell, plain},
};

/// What to look into.
#[derive(Subcommand)]
pub enum Doctor {
    /// Connecting a user to a platform or to another MCP server: every step, what came of it, what to change
    #[command(after_help = "\
Examples:
  amalgam doctor connect slack
  amalgam doctor connect weather --user ada@example.com
  amalgam doctor connect slack --user ada@example.com --renew")]
    Connect {
        /// The connector, or another MCP server
        connector_id: String,
        /// Renew the user's tokens now, whether they are due or not
        #[arg(long)]
        renew: bool,
    },
}

impl Doctor {
    /// Runs the command; what does not work is a refusal.
    pub async fn run(self, Session { client, screen }: Session) -> Result {
        let Self::Connect { connector_id, renew } = self;
        let body = json!({ "connectorId": connector_id, "renew": renew });
        let answer = client.post(&["api", "doctor", "connect"], &body).await?;
        if screen.json {
            return screen.line(answer.text());
        }
        let report = answer.value()?;
        for step in report["steps"].as_array().into_iter().flatten() {
            let mark = match step["ok"].as_bool() {
                Some(true) => "ok     ",
                Some(false) => "WRONG  ",
                None => "-      ",
            };
            screen.line(&format!("{mark}{}: {}", cell(step, "step"), cell(step, "found")))?;
            for tried in step["tried"].as_array().into_iter().flatten() {
                screen.line(&format!("         {}", plain(tried)))?;
            }
            if let Some(advice) = step["advice"].as_str() {
                screen.line(&format!("       {advice}"))?;
            }
        }
        if report["ok"] == true { Ok(()) } else { Err(Failure::refused("not all is well; see above".to_owned())) }
    }
}
