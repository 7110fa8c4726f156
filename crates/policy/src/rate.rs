//! Sliding-window rate arithmetic. The caller passes the time in and keeps the windows.

/// The requests of one principal: two counters and the start of the newer one, 16 bytes.
///
/// The count of the trailing window is estimated as the current bucket's requests plus the share of the previous bucket's
/// requests that is still inside, as if those had come at even distances. So no bucket ever holds more than the limit; but the
/// requests of a burst at the very end of one bucket fade from its beginning on, and a trailing window laid across the border
/// can hold up to twice the limit. An exact log would cost 8 bytes a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Window {
    start_ms: u64,
    previous: u32,
    current: u32,
}

/// What a window says to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the request may go on. Only requests that may go on are counted.
    pub allowed: bool,
    /// How many further requests would be allowed at this moment (`RateLimit-Remaining`).
    pub remaining: u32,
    /// Seconds until the current bucket ends, at least 1 (`RateLimit-Reset`). Never less than `retry_after_seconds`.
    pub reset_seconds: u32,
    /// Seconds after which one request is allowed if none comes before it, at least 1 (`Retry-After`); 0 when this one was allowed.
    /// A limit of 0 allows none however long one waits: then it is the length of the window.
    pub retry_after_seconds: u32,
}

impl Window {
    /// Judges and counts one request at `now_ms`. A window of 0 ms counts as 1 ms.
    pub fn check(&mut self, now_ms: u64, limit: u32, window_ms: u32) -> Outcome {
        self.advance(now_ms, window_ms.max(1));
        let outcome = judge(self.previous, self.current, now_ms - self.start_ms, limit, window_ms);
        if outcome.allowed {
            self.current = self.current.saturating_add(1);
        }
        outcome
    }

    /// Whether nothing that was counted matters any more: a new window says the same.
    #[must_use]
    pub fn is_over(&self, now_ms: u64, window_ms: u32) -> bool {
        now_ms.saturating_sub(self.start_ms) / u64::from(window_ms.max(1)) >= 2
    }

    /// Moves to the bucket that holds `now_ms`; afterwards `start_ms <= now_ms < start_ms + window_ms`.
    fn advance(&mut self, now_ms: u64, window_ms: u32) {
        let window_ms = u64::from(window_ms);
        if now_ms < self.start_ms {
            // The clock went back. Keep what was counted, and let it fade from now on, so that a wrong clock neither
            // gives the quota away nor locks anybody out for longer than two windows.
            self.start_ms = now_ms;
        }
        match (now_ms - self.start_ms) / window_ms {
            0 => {}
            1 => {
                self.start_ms += window_ms;
                self.previous = std::mem::take(&mut self.current);
            }
            _ => {
                self.previous = 0;
                self.current = 0;
            }
        }
        if self.previous == 0 && self.current == 0 {
            // A window begins with its first request, so a fresh one lasts its full length.
            self.start_ms = now_ms;
        }
    }
}

/// Judges one request by two counters, wherever they are kept: `previous` of the bucket that ended, `current` of the one that
/// began `elapsed_ms` ago (both before this request). `Window` is this with the counters in memory.
pub fn judge(previous: u32, current: u32, elapsed_ms: u64, limit: u32, window_ms: u32) -> Outcome {
    let window = u64::from(window_ms.max(1));
    let elapsed = elapsed_ms.min(window - 1);
    let [previous, current, limit] = [previous, current, limit].map(u64::from);
    let used = current + fading(previous, elapsed, window);
    let allowed = used < limit;
    let left = limit.saturating_sub(used).saturating_sub(u64::from(allowed));
    let wait = if allowed { 0 } else { wait_ms(previous, current, elapsed, limit, window) };
    let retry_after_seconds = if allowed { 0 } else { seconds(wait) };
    Outcome {
        allowed,
        remaining: u32::try_from(left).unwrap_or(u32::MAX),
        reset_seconds: seconds(window - elapsed).max(retry_after_seconds),
        retry_after_seconds,
    }
}

/// How many of the previous bucket's `count` requests still count `elapsed` ms into this one. The first of them came when its
/// bucket began, so it is out of the window as soon as the bucket has ended: hence `elapsed + 1`.
fn fading(count: u64, elapsed: u64, window: u64) -> u64 {
    // Two factors below 2^32 each: the product fits.
    count * (window - elapsed - 1) / window
}

/// Milliseconds until one request is allowed, given that none is now and none comes before.
fn wait_ms(previous: u64, current: u64, elapsed: u64, limit: u64, window: u64) -> u64 {
    if limit == 0 {
        return window;
    }
    if current < limit {
        // In this bucket, once enough of the previous one has faded.
        return faded_at(previous, limit - current, window).saturating_sub(elapsed);
    }
    // Only in the next bucket, where the requests of this one fade.
    (window - elapsed) + faded_at(current, limit, window)
}

/// The smallest elapsed time at which `fading(count, …) < room`; `room` is at least 1.
fn faded_at(count: u64, room: u64, window: u64) -> u64 {
    // count * (window - e - 1) / window < room  <=>  count * (window - e - 1) < room * window, in whole numbers.
    let most = (room * window - 1).checked_div(count).unwrap_or(window);
    (window - 1).saturating_sub(most)
}

/// Whole seconds that are enough for so many milliseconds; at least 1.
fn seconds(ms: u64) -> u32 {
    u32::try_from(ms.div_ceil(1000).max(1)).unwrap_or(u32::MAX)
}
