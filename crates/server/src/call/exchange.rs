//! A planned request on its way to the platform, and its answer without the secrets that went along.

use std::time::Duration;

use amalgam_connector::plan::Plan;

use super::outcome;
use crate::{
    egress::{Egress, Incoming, OutgoingRequest},
    error::Result,
    scrub,
};

/// How long an answer may take, and how long it may be.
#[derive(Clone, Copy)]
pub struct Bounds {
    /// From the first byte to the last.
    pub timeout: Duration,
    /// In bytes.
    pub max_response_bytes: usize,
}

/// The request of a plan, which gives its body away. `authenticates` says whether a credential goes along.
///
/// # Errors
/// A header cannot be written.
pub fn outgoing(plan: &mut Plan, authenticates: bool, bounds: Bounds) -> Result<OutgoingRequest<'_>> {
    let headers = outcome::headers(plan)?;
    let body = plan.body.take();
    Ok(OutgoingRequest {
        method: outcome::method(plan.method),
        url: &plan.url,
        headers,
        // A body that goes elsewhere takes along what the user meant for this platform alone.
        credential_bound: authenticates || body.is_some(),
        body: body.map(|body| body.bytes.into()).unwrap_or_default(),
        timeout: bounds.timeout,
        max_response_bytes: bounds.max_response_bytes,
        follow_redirects: true,
    })
}

/// Sends a plan and reads the answer whole.
///
/// # Errors
/// The platform was not reached.
pub async fn exchange(egress: &Egress, mut plan: Plan, authenticates: bool, bounds: Bounds) -> Result<Incoming> {
    let request = outgoing(&mut plan, authenticates, bounds)?;
    let mut incoming = egress.send(request).await.map_err(outcome::not_reached)?;
    scrub::scrub(&mut incoming.body, &plan.secrets);
    Ok(incoming)
}
