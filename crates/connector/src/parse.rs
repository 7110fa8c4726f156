//! From the text of a `connector.toml` to a checked definition, with problems that name their place.

mod mistakes;
mod place;

use std::fmt;

use toml::de::DeTable;

use crate::check::check;
use crate::definition::Definition;

/// The longest definition that is read, in bytes.
pub const LONGEST: usize = 16 * 1024 * 1024;

/// One thing that is wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line of the text, counted from 1, where it is known.
    pub line: Option<usize>,
    /// Dotted path of the value: `actions.chat_postMessage.params.channel`.
    pub place: String,
    /// What is wrong and what to write instead, as a sentence.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.place.is_empty()) {
            (Some(line), true) => write!(out, "line {line}: {}", self.message),
            (Some(line), false) => write!(out, "line {line}, {}: {}", self.place, self.message),
            (None, true) => write!(out, "{}", self.message),
            (None, false) => write!(out, "{}: {}", self.place, self.message),
        }
    }
}

/// Reads and checks a definition.
///
/// # Errors
/// Every problem that can be told at once, at most 100: mistakes of TOML; else names and types that a definition does not have, and
/// what `check` finds in the rest.
pub fn parse_toml(text: &str) -> Result<Definition, Vec<Problem>> {
    if text.len() > LONGEST {
        let message = format!("The definition is longer than {LONGEST} bytes; split it into several connectors.");
        return Err(vec![Problem { line: None, place: String::new(), message }]);
    }
    // The usual, correct text is read once.
    match toml::from_str::<Definition>(text) {
        Ok(definition) => {
            let problems = check(&definition);
            if problems.is_empty() { Ok(definition) } else { Err(locate(text, problems)) }
        }
        Err(_) => Err(mistakes::find(text)),
    }
}

/// Gives problems the lines of the places that they name.
#[must_use]
pub fn locate(text: &str, mut problems: Vec<Problem>) -> Vec<Problem> {
    let (table, _) = DeTable::parse_recoverable(text);
    for problem in &mut problems {
        problem.line = place::offset(table.get_ref(), &problem.place).map(|offset| place::line_at(text, offset));
    }
    problems.sort_by_key(|problem| problem.line);
    problems
}
