//! A call with the entry that it leaves in the audit trail, whatever comes of it.

use tokio::time::Instant;

use super::{Exchange, Heard};
use crate::{
    error::{Error, Kind, Result},
    store::audit::Entry,
    telemetry::audit::AuditLog,
};

/// Leaves the entry of a call; where the caller goes away before its end, with the status 499 that it began with.
pub struct Trail {
    audit: AuditLog,
    entry: Option<Entry>,
    started: Instant,
}

impl Trail {
    /// Of a call that has only begun.
    pub fn new(audit: AuditLog, entry: Entry) -> Self {
        Self { audit, entry: Some(entry), started: Instant::now() }
    }

    /// The call has come to its end.
    pub async fn end(&mut self, decision: &str, status: i64) {
        if let Some(mut entry) = self.entry.take() {
            decision.clone_into(&mut entry.decision);
            entry.status = status;
            entry.duration_us = self.micros();
            self.audit.record(entry).await;
        }
    }

    /// The call has failed.
    pub async fn fail(&mut self, error: &Error) {
        let decision = if error.kind == Kind::Forbidden { "denied" } else { "allowed" };
        self.end(decision, i64::from(error.kind.status().as_u16())).await;
    }

    fn micros(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX)
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        if let Some(mut entry) = self.entry.take() {
            entry.duration_us = self.micros();
            let audit = self.audit.clone();
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { audit.record(entry).await });
            }
        }
    }
}

/// A call that has begun, with its entry.
pub struct Recorded {
    /// The call.
    pub exchange: Exchange,
    trail: Trail,
}

impl Recorded {
    /// Ties them together.
    pub fn new(exchange: Exchange, trail: Trail) -> Self {
        Self { exchange, trail }
    }

    /// What the upstream says next; its end is recorded.
    pub async fn next(&mut self) -> Result<Heard> {
        let heard = self.exchange.next().await;
        match &heard {
            // A result is the upstream's own success or failure; an error is its refusal.
            Ok(Heard::Done(Ok(_))) => self.trail.end("allowed", 200).await,
            Ok(Heard::Done(Err(_))) => self.trail.end("allowed", 400).await,
            Ok(_) => {}
            Err(error) => self.trail.fail(error).await,
        }
        heard
    }
}
