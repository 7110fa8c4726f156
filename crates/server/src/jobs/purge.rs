//! Removes what has had its time: old audit entries and ended sessions that have expired anyway.

use std::time::Duration;

use crate::{app::App, clock::now_ms};

const EVERY: Duration = Duration::from_secs(60 * 60);
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

pub async fn run(app: App) {
    let mut stopping = app.stopping.subscribe();
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = async { drop(stopping.wait_for(|stopping| *stopping).await) } => return,
        }
        let before = now_ms() - i64::from(app.config.audit_days) * DAY_MS;
        for result in [app.store.purge_audit(before).await, app.store.purge_sessions().await] {
            if let Err(error) = result {
                tracing::warn!(cause = error.cause.as_ref().map(tracing::field::display), "cannot remove old rows");
            }
        }
    }
}
