//! A planned request on its way to the platform, and its answer without the secrets that went along.

use std::time::Duration;

use amalgam_connector::plan::Plan;
use bytes::Bytes;

use super::{outcome, scrub};
use crate::{
    egress::{Egress, Incoming, OutgoingRequest},
    error::Result,
};

/// How long an answer may take, and how long it may be.
#[derive(Clone, Copy)]
pub struct Bounds {
    /// From the first byte to the last.
    pub timeout: Duration,
    /// In bytes.
    pub max_response_bytes: usize,
}

/// Sends it. `authenticates` says whether a credential goes along.
///
/// # Errors
/// The platform was not reached, or its answer cannot be searched for the secrets.
pub async fn exchange(egress: &Egress, plan: Plan, authenticates: bool, bounds: Bounds) -> Result<Incoming> {
    let request = OutgoingRequest {
        method: outcome::method(plan.method),
        url: &plan.url,
        headers: outcome::headers(&plan)?,
        // A body that goes elsewhere takes along what the user meant for this platform alone.
        credential_bound: authenticates || plan.body.is_some(),
        body: plan.body.map_or_else(Bytes::new, |body| Bytes::from(body.bytes)),
        timeout: bounds.timeout,
        max_response_bytes: bounds.max_response_bytes,
        follow_redirects: true,
    };
    let mut incoming = egress.send(request).await.map_err(outcome::not_reached)?;
    scrub::scrub(&mut incoming, &plan.secrets)?;
    Ok(incoming)
}
