//! What a node does by itself: one file per job.

mod folder;
mod purge;
mod sweep;

use crate::app::App;

/// Starts all jobs; they end with the node.
pub fn start(app: &App) {
    tokio::spawn(folder::run(app.clone()));
    tokio::spawn(purge::run(app.clone()));
    tokio::spawn(sweep::run(app.clone()));
}
