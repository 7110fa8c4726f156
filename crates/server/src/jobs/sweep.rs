//! Ends sessions, processes and connections that nobody uses, and gives back what nobody asks for.

use std::time::Duration;

use crate::app::App;

const EVERY: Duration = Duration::from_secs(30);

pub async fn run(app: App) {
    let mut stopping = app.stopping.subscribe();
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = async { drop(stopping.wait_for(|stopping| *stopping).await) } => return,
        }
        app.upstreams.sweep();
        app.egress.sweep();
        app.limits.sweep();
        app.store.sweep();
    }
}
