//! Measures a node: CPU for each request beside a bare axum program, latency, memory, start. One binary, one process for each role.

mod api;
mod client;
mod floor;
mod gateway;
mod identity;
mod imports;
mod job;
mod listen;
mod load;
mod process;
mod proxy;
mod report;
mod scenarios;
mod search;
mod seed;
mod upstream;
mod world;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

// The same as the node's: allocators must not make the difference.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures speed and memory of Amalgam.
#[derive(Parser)]
#[command(name = "amalgam-bench", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Measure everything and print a table
    Run(scenarios::Options),
    /// The floor: a bare axum program that parses the same envelope and answers a constant
    #[command(hide = true)]
    Floor {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        tools_list: PathBuf,
        #[arg(long)]
        tools_call: PathBuf,
    },
    /// The platform that actions call
    #[command(hide = true)]
    Api {
        #[arg(long)]
        listen: SocketAddr,
    },
    /// The MCP server behind node and proxy
    #[command(hide = true)]
    Upstream {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        tools: usize,
    },
    /// The bare proxy
    #[command(hide = true)]
    Proxy {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        to: SocketAddr,
    },
    /// The load generator: one job a line on stdin, one result a line on stdout
    #[command(hide = true)]
    Load,
}

fn main() -> ExitCode {
    let result = match Cli::parse().role {
        Role::Run(options) => scenarios::run(&options),
        Role::Floor { listen, tools_list, tools_call } => floor::run(listen, &tools_list, &tools_call),
        Role::Api { listen } => api::run(listen),
        Role::Upstream { listen, tools } => upstream::run(listen, tools),
        Role::Proxy { listen, to } => proxy::run(listen, to),
        Role::Load => load::run(),
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
