//! Rate limits: a sliding window for each principal, in memory. Each node counts alone.

pub mod bodies;

use std::{
    collections::HashMap,
    convert::Infallible,
    hash::{BuildHasher as _, Hash, RandomState},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use amalgam_policy::{Outcome, Window};
use http::{HeaderMap, HeaderName, HeaderValue};
use quick_cache::sync::Cache;

use crate::{
    clock::now_ms,
    error::{Error, Kind, Result},
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
        static NAMES: [HeaderName; 3] = [
            HeaderName::from_static("ratelimit-limit"),
            HeaderName::from_static("ratelimit-remaining"),
            HeaderName::from_static("ratelimit-reset"),
        ];
        for (name, (_, value)) in NAMES.iter().zip(self.headers()) {
            // `HeaderValue::from` a number allocates twice.
            headers.insert(name.clone(), HeaderValue::try_from(value.to_string()).unwrap_or_else(|_| HeaderValue::from(value)));
        }
    }

    fn headers(&self) -> [(&'static str, u32); 3] {
        [("ratelimit-limit", self.limit), ("ratelimit-remaining", self.outcome.remaining), ("ratelimit-reset", self.outcome.reset_seconds)]
    }
}

/// How many windows are kept.
const MAX_WINDOWS: usize = 200_000;

/// The windows of all principals that were active in the last minutes, bounded in number.
pub struct Limits {
    windows: Cache<u64, Arc<Mutex<Window>>>,
}

impl Limits {
    /// No requests yet.
    pub fn new() -> Self {
        Self { windows: Cache::new(MAX_WINDOWS) }
    }

    /// Counts a request of the principal whose key this is.
    pub fn check(&self, principal: u64, limit: u32) -> Limited {
        let Ok(window) = self.windows.get_or_insert_with(&principal, || Ok::<_, Infallible>(Arc::default()));
        let now = u64::try_from(now_ms()).unwrap_or(0);
        // A panic while holding this lock cannot leave the numbers half-written; go on with them.
        let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
        Limited { limit, outcome: window.check(now, limit, MINUTE_MS) }
    }

    /// Forgets windows in which nothing counts any more.
    pub fn sweep(&self) {
        let now = u64::try_from(now_ms()).unwrap_or(0);
        self.windows.retain(|_, window| {
            // Whoever holds one is about to count in it.
            Arc::strong_count(window) > 1 || window.lock().is_ok_and(|window| !window.is_over(now, MINUTE_MS))
        });
    }

    /// Counts one more of this in this minute; 429 when there were `limit`.
    pub fn within(&self, what: impl Hash, limit: u32) -> Result<()> {
        // Random for each process, so that nobody can choose names that collide with another's window.
        static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let limited = self.check(HASHER.hash_one(what), limit);
        if limited.outcome.allowed { Ok(()) } else { Err(limited.error()) }
    }
}

/// Open streams of one principal, whatever users it names: more are refused, so that one token cannot hold all connections.
const MAX_STREAMS: usize = 500;

/// How many streams each principal holds open.
#[derive(Default)]
pub struct Streams {
    open: Arc<Mutex<HashMap<String, usize>>>,
}

/// The place of one open stream; given back when it is dropped.
pub struct StreamPlace {
    open: Arc<Mutex<HashMap<String, usize>>>,
    principal: String,
}

impl Streams {
    /// A place for one more stream of this principal.
    pub fn take(&self, principal: String) -> Result<StreamPlace> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(principal.clone()).or_default();
        if *count >= MAX_STREAMS {
            let sentence = format!("Too many open streams: {MAX_STREAMS} at once for one token or key. Close some and try again.");
            let mut error = Error::new(Kind::RateLimited, sentence);
            error.headers.push(("retry-after", 30));
            return Err(error);
        }
        *count += 1;
        Ok(StreamPlace { open: self.open.clone(), principal })
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.principal) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.principal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_forgets_nothing_that_counts() {
        let limits = Limits::new();
        for left in [2, 1, 0] {
            assert_eq!(limits.check(1, 3).outcome.remaining, left);
            limits.sweep();
        }
        assert!(!limits.check(1, 3).outcome.allowed);
    }
}
