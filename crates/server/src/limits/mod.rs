//! Rate limits: a sliding window for each principal, in memory. Each node counts alone.

use std::sync::{Arc, Mutex};

use amalgam_policy::{Outcome, Window};
use http::{HeaderMap, HeaderValue};
use moka::sync::Cache;

use crate::{
    clock::now_ms,
    error::{Error, Kind},
};

const MINUTE_MS: u32 = 60_000;

/// What a request did to its window; becomes the `RateLimit-*` headers.
#[derive(Debug, Clone, Copy)]
pub struct Limited {
    /// Requests a minute.
    pub limit: u32,
    /// What is left and when it is back.
    pub outcome: Outcome,
}

impl Limited {
    /// The error of a request that was one too many.
    pub fn error(&self) -> Error {
        let seconds = self.outcome.retry_after_seconds;
        let mut error = Error::new(
            Kind::RateLimited,
            format!("Rate limit exceeded: {} requests a minute. Try again in {seconds} seconds.", self.limit),
        );
        error.headers = vec![("retry-after", seconds)];
        error.headers.extend(self.headers());
        error
    }

    /// Writes the `RateLimit-*` headers.
    pub fn write(&self, headers: &mut HeaderMap) {
        for (name, value) in self.headers() {
            headers.insert(name, HeaderValue::from(value));
        }
    }

    fn headers(&self) -> [(&'static str, u32); 3] {
        [("ratelimit-limit", self.limit), ("ratelimit-remaining", self.outcome.remaining), ("ratelimit-reset", self.outcome.reset_seconds)]
    }
}

/// The windows of all principals that were active in the last minutes, bounded in number.
pub struct Limits {
    windows: Cache<u64, Arc<Mutex<Window>>>,
}

impl Limits {
    /// No requests yet.
    pub fn new() -> Self {
        let windows = Cache::builder().max_capacity(200_000).time_to_idle(std::time::Duration::from_secs(180)).build();
        Self { windows }
    }

    /// Counts a request of the principal whose key this is.
    pub fn check(&self, principal: u64, limit: u32) -> Limited {
        let window = self.windows.get_with(principal, || Arc::new(Mutex::new(Window::default())));
        let now = u64::try_from(now_ms()).unwrap_or(0);
        // A panic while holding this lock cannot leave the numbers half-written; go on with them.
        let mut window = window.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Limited { limit, outcome: window.check(now, limit, MINUTE_MS) }
    }
}
