//! The command line: `serve` runs a node, the other commands speak to one over REST.

mod accounts;
mod audit;
mod auth_configs;
mod call;
mod client;
mod connectors;
mod credentials;
mod doctor;
mod failure;
mod grants;
mod guard;
mod health;
mod input;
mod issuers;
mod keys;
mod openapi;
mod page;
mod screen;
mod serve;
mod servers;
mod terminal;
mod users;
mod workflows;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use self::{
    client::Connection,
    failure::{Failure, Result},
};

/// An MCP server platform in one binary.
#[derive(Parser)]
#[command(
    name = "amalgam",
    version,
    about,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "\
Start:
  amalgam serve
  export AMALGAM_KEY=…
  amalgam servers create \"My server\"

Most commands speak to a node: AMALGAM_URL or --url says where it is, AMALGAM_KEY who asks.
These need none: `serve`, `openapi`, `keys rotate-master`, `connectors new`, `lint`, `test`,
`record` and `schema`, and `connectors diff` of files.
Over REST alone: files, registering other MCP servers and signing in to them, connect links.
Exit codes: 0 done, 1 refused, 2 wrong usage, 3 no node answers."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a node
    Serve(Box<serve::Serve>),
    /// Virtual MCP servers: what an MCP client connects to
    Servers(Remote<servers::Servers>),
    /// Connectors and their actions; import of OpenAPI documents
    Connectors(Remote<connectors::Connectors>),
    /// Users' own secrets for platforms
    Credentials(Remote<credentials::Credentials>),
    /// Run an action
    Call(Box<call::Call>),
    /// API keys, and the master key
    Keys(Remote<keys::Keys>),
    /// End users
    Users(Remote<users::Users>),
    /// MCP clients that have signed a user in
    Grants(Remote<grants::Grants>),
    /// Whose user tokens are believed
    Issuers(Remote<issuers::Issuers>),
    /// The account's own OAuth clients at platforms
    AuthConfigs(Remote<auth_configs::AuthConfigs>),
    /// Who did what for whom
    Audit(Remote<audit::Audit>),
    /// Tenants (operator only)
    Accounts(Remote<accounts::Accounts>),
    /// Find out why something does not work
    Doctor(Remote<doctor::Doctor>),
    /// Ask whether a node can serve
    #[command(after_help = "Example:\n  amalgam health --url https://mcp.example.com")]
    Health(Connection),
    /// Run an MCP server for a node (started by nodes themselves)
    #[command(hide = true)]
    Guard(guard::Guard),
    /// Print the OpenAPI document of the REST API
    #[command(after_help = "Example:\n  amalgam openapi > openapi.json")]
    Openapi,
}

/// Commands about one noun, with the flags that say which node.
#[derive(Args)]
struct Remote<C: Subcommand> {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: C,
}

/// Runs the command line; 0 = done, 1 = refused, 2 = wrong usage, 3 = no node answers.
#[must_use]
pub fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(command: Command) -> Result {
    match command {
        Command::Serve(serve) => serve.run().map_err(Failure::refused),
        Command::Servers(Remote { connection, command }) => connection.run(|session| command.run(session)),
        Command::Connectors(Remote { connection, command }) => connection.run(|session| command.run(session)),
        Command::Credentials(Remote { connection, command }) => connection.run(|session| command.run(session)),
        Command::Call(call) => call.run(),
        Command::Keys(Remote { command: keys::Keys::RotateMaster(rotate), .. }) => rotate.run().map_err(Failure::refused),
        Command::Keys(Remote { connection, command }) => connection.run(|session| command.run(session)),
        Command::Users(Remote { connection, command }) => connection.run(|session| command.run(session)),
        Command::Grants(Remote { connection, command }) => connection.run(|session| command.run(session)),
        Command::Issuers(Remote { connection, command }) => connection.run(|session| command.run(session)),
        Command::AuthConfigs(Remote { connection, command }) => connection.run(|session| command.run(session)),
        Command::Audit(Remote { connection, command }) => connection.run(|session| command.run(session)),
        Command::Accounts(Remote { connection, command }) => connection.run(|session| command.run(session)),
        Command::Doctor(Remote { connection, command }) => connection.run(|session| command.run(session)),
        Command::Health(connection) => connection.run(health::run),
        Command::Guard(guard) => guard.run().map_err(Failure::refused),
        Command::Openapi => openapi::run(),
    }
}
