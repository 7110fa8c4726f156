//! Time and randomness enter here, so that tests can fix them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use amalgam_vault::hex;
use aws_lc_rs::rand;
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

/// RFC 3339 with three digits always, so that times sort as text.
const MILLISECONDS: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// Milliseconds since the Unix epoch.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// `2026-11-21T09:00:00.123Z`.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .ok()
        .and_then(|at| at.format(MILLISECONDS).ok())
        .unwrap_or_default()
}

/// Random bytes from the system's generator.
///
/// The generator of `aws-lc-rs` cannot fail on the platforms that we build for; if it ever did, no secret may be made.
#[must_use]
#[expect(clippy::expect_used, reason = "going on without randomness would be worse than stopping")]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the system's random generator works");
    bytes
}

/// `n` characters of `[a-z0-9]`, unbiased.
#[must_use]
pub fn random_slug(n: usize) -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut out = String::with_capacity(n);
    while out.len() < n {
        // 252 is the largest multiple of 36 in a byte; the rest would favour the first letters.
        out.extend(random::<16>().iter().filter(|b| **b < 252).map(|b| char::from(ALPHABET[usize::from(b % 36)])));
    }
    out.truncate(n);
    out
}

/// 24 lower-case hex characters: the form of user and credential ids.
#[must_use]
pub fn random_hex24() -> String {
    hex(&random::<12>())
}

/// A UUID of version 7 (RFC 9562): in the order in which they are made.
#[must_use]
pub fn uuid7() -> String {
    let mut bytes = random::<16>();
    let time = now_ms().to_be_bytes();
    for (byte, of_time) in bytes.iter_mut().zip(time.iter().skip(2)) {
        *byte = *of_time;
    }
    bytes[6] = (bytes[6] & 0x0f) | 0x70;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex(&bytes);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}
