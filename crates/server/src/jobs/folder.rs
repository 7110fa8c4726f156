//! Looks for changes in the operator's folder of connectors. By looking, not by being told: that works in containers and on network drives too.

use std::time::Duration;

use crate::{app::App, store::Change};

const EVERY: Duration = Duration::from_secs(1);

pub async fn run(app: App) {
    if !app.store.folder().is_given() {
        return;
    }
    let mut stopping = app.stopping.subscribe();
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = async { drop(stopping.wait_for(|stopping| *stopping).await) } => return,
        }
        let store = app.store.clone();
        // A panic there is logged by its thread, and the next look may go well.
        if tokio::task::spawn_blocking(move || store.folder().scan()).await.unwrap_or(false) {
            app.announce(Change::AllConnectors);
        }
    }
}
