//! MCP servers that are processes: `[stdio.NAME]` of the configuration file. Nothing else makes one.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

use super::FIXED_WORDS;

/// Variables that a process gets from our own environment: none of them is a secret.
const INHERITED: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"];

/// One process.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Process {
    /// The program.
    pub command: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its environment, beside `PATH`, `HOME`, `LANG`, `TZ` and `TMPDIR`.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Where it runs.
    #[serde(default)]
    pub directory: Option<PathBuf>,
    /// The account that has it.
    #[serde(default = "default_account")]
    pub account: String,
    /// The user who has it.
    #[serde(default = "default_user")]
    pub user: String,
    /// One process for all users; otherwise each has its own.
    #[serde(default)]
    pub shared: bool,
    /// Memory that it may take for its data, in MiB.
    #[serde(default)]
    pub memory_mb: Option<u64>,
    /// What it gets of our own environment.
    #[serde(skip)]
    pub inherited: Vec<(String, String)>,
}

fn default_account() -> String {
    "default".to_owned()
}

fn default_user() -> String {
    "admin".to_owned()
}

/// Checks what can be checked without starting anything.
#[expect(clippy::disallowed_methods, reason = "the environment is read in `config` only")]
pub fn checked(mut all: BTreeMap<String, Process>) -> Result<BTreeMap<String, Process>, String> {
    for (name, process) in &mut all {
        let is_slug = (1..=40).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !is_slug {
            return Err(format!("the name of [stdio.{name}] must be 1 to 40 of a-z, 0-9 and -"));
        }
        if FIXED_WORDS.contains(&name.as_str()) {
            return Err(format!("[stdio.{name}] needs another name: \"{name}\" is a fixed word in addresses under /connectors"));
        }
        if process.command.trim().is_empty() {
            return Err(format!("[stdio.{name}] needs a command"));
        }
        let value = |name: &str| std::env::var(name).ok().map(|value| (name.to_owned(), value));
        process.inherited = INHERITED.iter().filter_map(|name| value(name)).collect();
    }
    Ok(all)
}
