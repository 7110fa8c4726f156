//! Which calls are sent again, and when. A read may be; a write only where the platform knows a repeated one by its key: one that was refused for
//! its rate, or that failed on the way, may have been done all the same.

use std::time::Duration;

use amalgam_connector::{CompiledAction, Connector, definition::Effect};
use http::StatusCode;
use tokio::time::Instant;

use super::outcome;
use crate::{
    clock::random,
    egress::{EgressErrorKind, Incoming},
    error::{Error, Result},
    store::files::File,
};

/// A call is sent so often again.
const TIMES: u32 = 2;
/// Before the first time, where the platform does not say.
const PAUSE: Duration = Duration::from_millis(250);
/// What the platform must have left of the call's time to answer.
const LEFT: Duration = Duration::from_millis(500);

/// What became of one attempt.
pub enum Attempt {
    /// The platform answered; with a file, which the answer describes.
    Answered(Incoming, Option<Box<File>>),
    /// It did not; the error is of `egress`.
    Failed(crate::egress::EgressError),
    /// It was not sent, or its answer cannot be shown.
    Refused(Error),
}

impl Attempt {
    /// The answer, or the sentence that says why there is none.
    pub fn end(self) -> Result<(Incoming, Option<Box<File>>)> {
        match self {
            Self::Answered(incoming, file) => Ok((incoming, file)),
            Self::Failed(error) => Err(outcome::not_reached(error)),
            Self::Refused(error) => Err(error),
        }
    }
}

/// Whether an action may be done twice as well as once.
pub fn is_repeatable(connector: &Connector, action: &CompiledAction) -> bool {
    action.action.effect() == Effect::Read || action.has_idempotency_key(connector)
}

/// How long to wait before an action is sent again; `None` when it is not.
pub fn pause(connector: &Connector, action: &CompiledAction, attempt: &Attempt, times: u32, until: Instant) -> Option<Duration> {
    let asked = match attempt {
        Attempt::Answered(incoming, _) => match outcome::limit(connector, action, incoming) {
            Some(wait) => wait,
            None if is_passing(incoming.status) => outcome::retry_after(incoming),
            None => return None,
        },
        Attempt::Failed(error) if matches!(error.kind(), EgressErrorKind::Protocol(_)) || error.is_retryable_before_send() => None,
        Attempt::Failed(_) | Attempt::Refused(_) => return None,
    };
    if times >= TIMES || !is_repeatable(connector, action) {
        return None;
    }
    let wait = match asked {
        Some(seconds) => Duration::from_secs(seconds.into()),
        None => PAUSE * 2_u32.pow(times),
    };
    // Not all at the same moment.
    let wait = wait + PAUSE * u32::from(random::<1>()[0]) / 512;
    (Instant::now() + wait + LEFT < until).then_some(wait)
}

/// Failures of what stands between, which pass by themselves. A 500 is answered the same again.
fn is_passing(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}
