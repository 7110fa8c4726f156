//! The sliding window, against what it promises.

use amalgam_policy::{Outcome, Window, judge};
use proptest::prelude::*;

const MINUTE: u32 = 60_000;

#[test]
fn a_fresh_window_allows_exactly_the_limit() {
    for limit in [1, 2, 100, 5_000] {
        let mut window = Window::default();
        for n in 0..limit {
            let outcome = window.check(1_000_000 + u64::from(n), limit, MINUTE);
            assert!(outcome.allowed, "request {n} of {limit}");
            assert_eq!(outcome.remaining, limit - n - 1);
        }
        let denied = window.check(1_000_000 + u64::from(limit), limit, MINUTE);
        assert!(!denied.allowed && denied.remaining == 0);
        assert!((1..=60).contains(&denied.retry_after_seconds));
        assert!((denied.retry_after_seconds..=60).contains(&denied.reset_seconds));
    }
}

#[test]
fn an_outcome_in_numbers() {
    let mut window = Window::default();
    let first = window.check(0, 2, MINUTE);
    assert_eq!(first, Outcome { allowed: true, remaining: 1, reset_seconds: 60, retry_after_seconds: 0 });
    window.check(500, 2, MINUTE);
    let denied = window.check(10_500, 2, MINUTE);
    assert_eq!(denied, Outcome { allowed: false, remaining: 0, reset_seconds: 50, retry_after_seconds: 50 });
    // The first request is out of the window, the second still counts.
    assert!(window.check(60_000, 2, MINUTE).allowed);
    assert!(!window.check(60_001, 2, MINUTE).allowed);
}

#[test]
fn the_whole_quota_is_back_after_two_idle_windows() {
    let mut window = Window::default();
    while window.check(7, 100, MINUTE).allowed {}
    assert!(!window.is_over(7 + 119_999, MINUTE) && window.is_over(7 + 120_000, MINUTE));
    assert_eq!(window.check(7 + 120_000, 100, MINUTE).remaining, 99);
}

#[test]
fn a_limit_of_zero_allows_nothing() {
    let mut window = Window::default();
    let outcome = window.check(5, 0, MINUTE);
    assert_eq!(outcome, Outcome { allowed: false, remaining: 0, reset_seconds: 60, retry_after_seconds: 60 });
}

#[test]
fn a_clock_that_was_far_ahead_locks_nobody_out() {
    let mut window = Window::default();
    let year = 31_536_000_000;
    while window.check(year, 3, MINUTE).allowed {}
    assert!(!window.check(1_000, 3, MINUTE).allowed, "the quota is not given away");
    assert!(window.check(1_000 + 2 * u64::from(MINUTE), 3, MINUTE).allowed);
}

#[test]
fn it_is_compact() {
    assert!(size_of::<Window>() <= 32);
}

/// A time for each request: mostly forward, sometimes far, sometimes back.
fn steps() -> impl Strategy<Value = Vec<i64>> {
    let step = prop_oneof![6 => 0..200i64, 2 => 0..30_000i64, 1 => 0..300_000i64, 1 => -5_000..0i64];
    prop::collection::vec(step, 1..300)
}

proptest! {
    #[test]
    fn retry_after_is_enough(steps in steps(), limit in 1u32..50, window_ms in 1u32..100_000) {
        let mut window = Window::default();
        let mut now = 10_000_000u64;
        for step in steps {
            now = now.saturating_add_signed(step);
            let outcome = window.check(now, limit, window_ms);
            if outcome.allowed {
                prop_assert_eq!(outcome.retry_after_seconds, 0);
                continue;
            }
            prop_assert!(outcome.retry_after_seconds >= 1);
            prop_assert!(outcome.reset_seconds >= outcome.retry_after_seconds);
            let later = now + u64::from(outcome.retry_after_seconds) * 1000;
            prop_assert!(window.clone().check(later, limit, window_ms).allowed, "{:?} {:?}", window, outcome);
        }
    }

    #[test]
    fn remaining_is_what_is_allowed_at_once(steps in steps(), limit in 0u32..50) {
        let mut window = Window::default();
        let mut now = 10_000_000u64;
        for step in steps {
            now = now.saturating_add_signed(step);
            let outcome = window.check(now, limit, MINUTE);
            let mut probe = window;
            let mut more = 0;
            while probe.check(now, limit, MINUTE).allowed {
                more += 1;
            }
            prop_assert_eq!(outcome.remaining, more);
        }
    }

    #[test]
    fn no_trailing_window_holds_more_than_twice_the_limit(steps in steps(), limit in 1u32..50) {
        let mut window = Window::default();
        let mut now = 10_000_000u64;
        let mut allowed = Vec::new();
        for step in steps {
            now = now.saturating_add_signed(step.max(0));
            if window.check(now, limit, MINUTE).allowed {
                allowed.push(now);
            }
            let trailing = allowed.iter().filter(|at| **at + u64::from(MINUTE) > now).count();
            prop_assert!(trailing <= 2 * limit as usize);
        }
    }

    #[test]
    fn evenly_spread_requests_within_the_rate_are_never_denied(limit in 1u32..200, start in 0u64..1_000_000) {
        let mut window = Window::default();
        let gap = u64::from(MINUTE.div_ceil(limit));
        for n in 0..3 * u64::from(limit) {
            prop_assert!(window.check(start + n * gap, limit, MINUTE).allowed, "request {}", n);
        }
    }

    #[test]
    fn no_numbers_break_it(times in prop::collection::vec(any::<u64>(), 1..20), limit in any::<u32>(), window_ms in any::<u32>()) {
        let mut window = Window::default();
        for now in times {
            window.check(now, limit, window_ms);
        }
    }

    #[test]
    fn shared_counters_break_nothing(previous in any::<u32>(), current in any::<u32>(), elapsed in any::<u64>(), limit in any::<u32>(), window_ms in any::<u32>()) {
        let outcome = judge(previous, current, elapsed, limit, window_ms);
        prop_assert_eq!(outcome.allowed, outcome.retry_after_seconds == 0);
    }
}
