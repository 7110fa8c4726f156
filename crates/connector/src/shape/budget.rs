//! How much of an answer fits into a budget of tokens.

use std::io;

use serde_json::Value;

use super::ShapeLimits;

/// What counts as one token of JSON text, in bytes. Prose has more in a token, identifiers and numbers have less; this is on the safe side
/// for most answers.
pub const BYTES_PER_TOKEN: usize = 3;
/// Cuts that are listed one by one where there is a budget.
pub(super) const LISTED: usize = 3;
/// What is told about an answer takes about so much, in bytes; a cursor is the longest part of it.
const TOLD: usize = 1_000;

/// The room for the answer itself.
pub(super) fn room(max: usize, next: Option<&Value>) -> usize {
    let cursor = next.map_or(0, |next| length(next) * 3 / 2);
    max.saturating_sub(TOLD + cursor).max(max / 4)
}

/// The length of a value as JSON text.
pub(super) fn length(value: &Value) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // A value can always be written, and so can a number of bytes.
    serde_json::to_writer(&mut count, value).map_or(usize::MAX, |()| count.0)
}

/// How many items of the list at `main` may stay so that the whole fits; at least one.
pub(super) fn items_within(body: &Value, main: &str, room: usize) -> usize {
    let Some(items) = body.pointer(main).and_then(Value::as_array) else { return 0 };
    let lengths: Vec<usize> = items.iter().map(|item| length(item) + 1).collect();
    let mut left = room.saturating_sub(length(body).saturating_sub(lengths.iter().sum()));
    let fitting = lengths.iter().take_while(|length| {
        let fits = **length <= left;
        left = left.saturating_sub(**length);
        fits
    });
    fitting.count().max(1).min(items.len())
}

/// The limits, tighter from step to step: inner lists, then strings, then depth, then members.
pub(super) fn tighter(limits: &ShapeLimits) -> impl Iterator<Item = (ShapeLimits, usize)> {
    const STEPS: [(usize, usize, usize, usize); 12] = [
        (usize::MAX, usize::MAX, usize::MAX, usize::MAX),
        (12, usize::MAX, usize::MAX, usize::MAX),
        (5, usize::MAX, usize::MAX, usize::MAX),
        (2, usize::MAX, usize::MAX, usize::MAX),
        (2, 1_280, usize::MAX, usize::MAX),
        (2, 320, usize::MAX, usize::MAX),
        (2, 80, usize::MAX, usize::MAX),
        (2, 80, 5, usize::MAX),
        (2, 80, 3, usize::MAX),
        (2, 80, 2, usize::MAX),
        (1, 80, 2, 40),
        (1, 80, 2, 5),
    ];
    let limits = *limits;
    STEPS.into_iter().map(move |(items, string_bytes, depth, members)| {
        let limits = ShapeLimits {
            items: limits.items.min(items),
            string_bytes: limits.string_bytes.min(string_bytes),
            depth: limits.depth.min(depth),
            ..limits
        };
        (limits, members)
    })
}
