//! The command line.

mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An MCP server platform in one binary.
#[derive(Parser)]
#[command(name = "amalgam", version, about, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a node
    Serve(serve::Serve),
}

/// Runs the command line; 0 = done, 1 = failed, 2 = wrong usage.
#[must_use]
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(serve) => serve.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            #[expect(clippy::print_stderr, reason = "the command line speaks to people")]
            {
                eprintln!("error: {message}");
            }
            ExitCode::FAILURE
        }
    }
}
