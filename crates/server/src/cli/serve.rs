//! `amalgam serve`: run a node until it is told to stop.

use std::path::PathBuf;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    config::{SecretSettings, Settings},
    node::Node,
    telemetry::logs,
};

/// Run a node.
#[derive(Args)]
#[command(after_help = "\
Examples:
  amalgam serve
  amalgam serve --listen 0.0.0.0:3000 --public-url https://mcp.example.com
  amalgam serve --database-url postgres://amalgam@db/amalgam
  amalgam serve --egress-allow 10.0.0.0/8

Every flag is also an AMALGAM_* variable and a key of amalgam.toml (listen = \"0.0.0.0:3000\").
AMALGAM_ADMIN_KEY (16 characters or more) is the first admin key of an empty database.
AMALGAM_MASTER_KEY (64 hex characters) is used instead of the master key file.")]
pub struct Serve {
    /// Configuration file [default: amalgam.toml, where it exists]
    #[arg(long, env = "AMALGAM_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    settings: Settings,
}

impl Serve {
    /// Runs until SIGTERM or Ctrl-C.
    pub fn run(self) -> Result<(), String> {
        let config = self.settings.with_file(self.config.as_deref())?.build()?;
        logs::init(&config)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())?;
        let ended = runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
            let node = Node::start(config, SecretSettings::from_env()).await?;
            greet(&node);
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            tracing::info!("stopping");
            node.stop().await;
            Ok(())
        });
        // Everything is written down; a thread that still takes a document apart is not waited for.
        runtime.shutdown_background();
        ended
    }
}

#[expect(clippy::print_stdout, reason = "the command line speaks to people; the key is shown once, here")]
fn greet(node: &Node) {
    let url = node.base_url();
    println!("Amalgam {} listens on {} ({url})", env!("CARGO_PKG_VERSION"), node.address);
    let Some(key) = &node.first_key else { return };
    // As it was called, so that the lines below work when they are pasted.
    let amalgam = std::env::args().next().unwrap_or_else(|| "amalgam".to_owned());
    println!(
        "
Your first admin key, shown this once:

  {key}

Next, in another terminal:

  export AMALGAM_URL={url} AMALGAM_KEY={key}
  {amalgam} servers create \"My server\"
  {amalgam} servers config \"My server\" --client claude
",
        key = key.expose()
    );
}
