//! How a command ends that does not end well: an exit code, a sentence, the next step.

use std::{
    io::{IsTerminal as _, Write as _, stderr, stdout},
    process::ExitCode,
};

use super::screen::{clean, wants_colour};

/// What a command answers.
pub type Result<T = (), E = Failure> = std::result::Result<T, E>;

/// The server, or the person who was asked, said no.
const REFUSED: u8 = 1;
/// Wrong usage, as clap has it too.
const USAGE: u8 = 2;
/// No node answers.
const NO_CONNECTION: u8 = 3;
/// As shells name the end by Ctrl-C: 128 and the number of the signal.
const INTERRUPTED: u8 = 130;

/// An exit code with what people are told on standard error.
#[derive(Debug, Default)]
pub struct Failure {
    code: u8,
    sentence: String,
    request_id: Option<String>,
    next: Option<String>,
    body: Option<String>,
    not_found: bool,
}

impl Failure {
    /// The server said no, or a step on this machine failed: 1.
    pub fn refused(sentence: impl Into<String>) -> Self {
        Self { code: REFUSED, sentence: sentence.into(), ..Self::default() }
    }

    /// Wrong usage: 2. The sentence never repeats a value that may be a secret.
    pub fn usage(sentence: impl Into<String>) -> Self {
        Self { code: USAGE, sentence: sentence.into(), ..Self::default() }
    }

    /// No node answers: 3.
    pub fn no_connection(sentence: impl Into<String>) -> Self {
        Self { code: NO_CONNECTION, sentence: sentence.into(), ..Self::default() }
    }

    /// Ctrl-C at a question: 130, without a word.
    pub fn interrupted() -> Self {
        Self { code: INTERRUPTED, ..Self::default() }
    }

    /// Whoever reads our output has seen enough (`amalgam servers list | head -1`): 0, without a word.
    pub fn closed() -> Self {
        Self::default()
    }

    /// What was found is on the screen already: 1, without a word.
    pub fn silent() -> Self {
        Self { code: REFUSED, ..Self::default() }
    }

    /// What people are told.
    pub fn sentence(&self) -> &str {
        &self.sentence
    }

    /// Adds the way out.
    pub fn with_next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Marks that the server has no such object.
    pub fn with_not_found(mut self, not_found: bool) -> Self {
        self.not_found = not_found;
        self
    }

    /// Whether the server has no such object.
    pub fn is_not_found(&self) -> bool {
        self.not_found
    }

    /// Adds the id under which the server's log has the request.
    pub fn with_request_id(mut self, id: Option<String>) -> Self {
        self.request_id = id;
        self
    }

    /// Adds the server's answer, for standard output (`--json`).
    pub fn with_body(mut self, body: Option<String>) -> Self {
        self.body = body;
        self
    }

    /// Tells people, and gives the exit code.
    pub fn report(self) -> ExitCode {
        // Whether somebody still listens on either stream changes nothing about the exit code.
        if let Some(body) = self.body {
            let _ = writeln!(stdout(), "{body}");
        }
        if !self.sentence.is_empty() {
            let (red, plain) = if wants_colour(stderr().is_terminal()) { ("\x1b[31m", "\x1b[0m") } else { ("", "") };
            let mut text = format!("{red}error:{plain} {}\n", clean(&self.sentence));
            if let Some(next) = self.next {
                text.push_str(&format!("  next: {}\n", clean(&next)));
            }
            if let Some(id) = self.request_id {
                text.push_str(&format!("  request id: {}\n", clean(&id)));
            }
            let _ = stderr().write_all(text.as_bytes());
        }
        ExitCode::from(self.code)
    }
}
