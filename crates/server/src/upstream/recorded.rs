//! A call with the entry that it leaves in the audit trail, whatever comes of it.

use super::{Exchange, Heard};
use crate::{error::Result, telemetry::audit::Trail};

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
