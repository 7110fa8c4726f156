//! `amalgam audit`: who did what for whom.

use clap::{Args, Subcommand, builder::PossibleValuesParser};

use super::{client::Session, failure::Result, page::Page, screen::Column};

const LIST: &[Column] = &[
    ("AT", "at"),
    ("CALLER", "caller"),
    ("USER", "userId"),
    ("OPERATION", "operation"),
    ("CONNECTOR", "connectorId"),
    ("ACTION", "actionId"),
    ("TARGET", "targetId"),
    ("DECISION", "decision"),
    ("STATUS", "status"),
    ("MS", "durationMs"),
    ("REQUEST", "requestId"),
];

/// What to do with the audit trail.
#[derive(Subcommand)]
pub enum Audit {
    /// List entries, newest first: the account's for an admin, else your own
    #[command(after_help = "\
Examples:
  amalgam audit list --decision denied --limit 20
  amalgam audit list --user ann --connector-id slack --since 2026-11-01T00:00:00Z")]
    List(Filter),
}

/// Which entries; `--user` and `--server` choose, too.
#[derive(Args)]
pub struct Filter {
    /// With this connector
    #[arg(long, value_name = "ID")]
    connector_id: Option<String>,
    /// With this action
    #[arg(long, value_name = "ID")]
    action_id: Option<String>,
    /// What was written to: the id of a server, key, credential, …
    #[arg(long, value_name = "ID")]
    target_id: Option<String>,
    /// `execute`, or a write: `server.create`, `token.rotate`, `credential.delete`, …
    #[arg(long)]
    operation: Option<String>,
    /// How it was decided
    #[arg(long, value_parser = PossibleValuesParser::new(["allowed", "denied"]))]
    decision: Option<String>,
    /// Of this request
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
    /// From this time on: 2026-11-21T09:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    #[command(flatten)]
    page: Page,
}

impl Audit {
    /// Runs the command.
    pub async fn run(self, Session { client, screen }: Session) -> Result {
        let Self::List(filter) = self;
        let query = [
            ("userId", client.user()),
            ("serverId", client.server()),
            ("connectorId", filter.connector_id.as_deref()),
            ("actionId", filter.action_id.as_deref()),
            ("targetId", filter.target_id.as_deref()),
            ("operation", filter.operation.as_deref()),
            ("decision", filter.decision.as_deref()),
            ("requestId", filter.request_id.as_deref()),
            ("since", filter.since.as_deref()),
            ("until", filter.until.as_deref()),
            filter.page.limit(),
            filter.page.offset(),
        ];
        screen.list(&client.get(&["api", "audit"], &query).await?, "entries", LIST)
    }
}
