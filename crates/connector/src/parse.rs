//! From the text of a `connector.toml` to a checked definition, with problems that name their place.

use std::fmt;

use crate::check::check;
use crate::definition::Definition;

/// The longest definition that is read, in bytes.
const LONGEST: usize = 16 * 1024 * 1024;

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
/// Every problem found: one when the text is not a definition at all, else all that `check` finds.
pub fn parse_toml(text: &str) -> Result<Definition, Vec<Problem>> {
    if text.len() > LONGEST {
        let message = format!("The definition is longer than {LONGEST} bytes; split it into several connectors.");
        return Err(vec![Problem { line: None, place: String::new(), message }]);
    }
    let definition: Definition = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| line_at(text, span.start));
        vec![Problem { line, place: String::new(), message: crate::text::cut(error.message(), 400).into_owned() }]
    })?;
    let mut problems = check(&definition);
    if problems.is_empty() {
        return Ok(definition);
    }
    for problem in &mut problems {
        problem.line = line_of(text, &problem.place);
    }
    Err(problems)
}

/// The line, counted from 1, that holds the byte at `offset`.
fn line_at(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The line of the table (or of the key in it) that comes closest to `place`. A guess that helps people, not a parser.
fn line_of(text: &str, place: &str) -> Option<usize> {
    let mut table = String::new();
    let mut best: Option<(usize, usize)> = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let path = if let Some(header) = line.strip_prefix('[') {
            table = header.split(']').next().unwrap_or_default().trim_start_matches('[').replace(['"', '\''], "");
            table.clone()
        } else if let Some((key, _)) = line.split_once('=') {
            let key = key.trim().replace(['"', '\''], "");
            if table.is_empty() { key } else { format!("{table}.{key}") }
        } else {
            continue;
        };
        let inside = place.strip_prefix(path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        if inside && best.is_none_or(|(length, _)| path.len() > length) {
            best = Some((path.len(), number + 1));
        }
    }
    best.map(|(_, line)| line)
}
