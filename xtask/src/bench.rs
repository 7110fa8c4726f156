//! `cargo xtask bench [--quick] [--json] …`: builds the node and the benchmark for release, and measures. See docs/performance.md.

use std::process::Command;

/// Passes the arguments on to `amalgam-bench run`.
///
/// # Errors
/// A sentence when cargo fails; a missed target is no error.
pub fn run(arguments: &[String]) -> Result<(), String> {
    // Two commands, so that the node is built with its own features alone, as users build it.
    cargo(&["build", "--release", "--package", "amalgam"], &[])?;
    cargo(&["run", "--release", "--package", "amalgam-bench", "--", "run"], arguments)
}

fn cargo(command: &[&str], arguments: &[String]) -> Result<(), String> {
    let status = Command::new("cargo").args(command).args(arguments).status().map_err(|e| format!("cannot run cargo: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("`cargo {}` failed: its words are above", command.join(" "))) }
}
