//! Removes what has had its time: old audit entries, tokens and API keys that open nothing any more, ended sessions and grants, files.

use std::time::Duration;

use crate::{app::App, clock::now_ms};

const EVERY: Duration = Duration::from_secs(60 * 60);
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Owners may still see for so long when a token ended, and the operator whose a key was.
const REMEMBERED_MS: i64 = 30 * DAY_MS;

pub async fn run(app: App) {
    let mut stopping = app.stopping.subscribe();
    loop {
        purge(&app).await;
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = async { drop(stopping.wait_for(|stopping| *stopping).await) } => return,
        }
    }
}

async fn purge(app: &App) {
    let now = now_ms();
    let results = [
        app.store.purge_audit(now - i64::from(app.config.audit_days) * DAY_MS).await,
        app.store.purge_tokens(now, now - REMEMBERED_MS).await,
        app.store.purge_api_keys(now - REMEMBERED_MS).await,
        app.store.purge_sessions().await,
        app.store.purge_grants(now).await,
        app.store.purge_connect_links().await,
        app.store.purge_files().await,
    ];
    for error in results.into_iter().filter_map(Result::err) {
        tracing::warn!(cause = error.cause.as_ref().map(tracing::field::display), "cannot remove old rows");
    }
}
