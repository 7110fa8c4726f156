//! What the tests share: nodes, processes, platforms on loopback, and a client that shows status, headers and body.

pub mod ask;
pub mod database;
pub mod mcp;
pub mod node;
pub mod platform;
pub mod process;
pub mod provider;
pub mod shop;
pub mod sign_in;
pub mod upstream;

pub use self::{
    ask::{Answer, Ask},
    mcp::{Server, Tool},
    node::TestNode,
    platform::Platform,
    process::Process,
    provider::{Browser, Mood, Provider},
};

use std::time::{Duration, Instant};

/// Nothing that a test waits for takes longer.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Asks again until the answer is there. A deadline, never a fixed sleep: the pause only spares the processor.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(started.elapsed() < DEADLINE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Says that a test does not apply to this database, past the harness, which hides what passing tests say. `./test` counts such a line as a
/// skipped test.
pub fn does_not_apply(test: &str, why: &str) {
    use std::io::Write as _;
    std::io::stderr().write_all(format!("\ndoes not apply: {test}: {why}\n").as_bytes()).unwrap();
}

/// True when one of these byte strings is in the other.
pub fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
