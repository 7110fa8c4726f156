//! Reads an event stream piece by piece: server-sent events as the HTML standard defines them, each of bounded size.

use std::fmt;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its name; `message` where none was sent.
    pub name: String,
    /// Its data, the lines of one event joined by line feeds. Empty data counts as data: a priming event has it.
    pub data: String,
    /// The id to resume after, as it stands after this event.
    pub id: Option<String>,
}

/// Why a stream cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// One event, or one line, is larger than this many bytes.
    TooLarge(usize),
    /// It is not UTF-8.
    NotUtf8,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(limit) => write!(out, "an event is larger than {limit} bytes"),
            Self::NotUtf8 => out.write_str("the event stream is not UTF-8"),
        }
    }
}

impl std::error::Error for Unreadable {}

/// Turns pieces of bytes into events, wherever the pieces were cut.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    line: Vec<u8>,
    data: String,
    has_data: bool,
    name: String,
    id: Option<String>,
    retry_ms: Option<u64>,
    after_return: bool,
    is_first_line: bool,
}

impl Decoder {
    /// For events of at most `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            data: String::new(),
            has_data: false,
            name: String::new(),
            id: None,
            retry_ms: None,
            after_return: false,
            is_first_line: true,
        }
    }

    /// How long the server asks to wait before the stream is opened again, in milliseconds.
    #[must_use]
    pub const fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// Takes the next piece; whole events are added to `out`.
    ///
    /// # Errors
    /// As [`Unreadable`]; the stream is of no use afterwards.
    pub fn feed(&mut self, mut piece: &[u8], out: &mut Vec<Event>) -> Result<(), Unreadable> {
        while let Some(first) = piece.first() {
            if std::mem::take(&mut self.after_return) && *first == b'\n' {
                piece = piece.get(1..).unwrap_or_default();
                continue;
            }
            let end = piece.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (line, rest) = piece.split_at(end.unwrap_or(piece.len()));
            if self.line.len() + line.len() + self.data.len() > self.limit {
                return Err(Unreadable::TooLarge(self.limit));
            }
            self.line.extend_from_slice(line);
            let Some((ending, rest)) = rest.split_first() else { return Ok(()) };
            self.after_return = *ending == b'\r';
            piece = rest;
            let line = std::mem::take(&mut self.line);
            self.end_of_line(&line, out)?;
        }
        Ok(())
    }

    fn end_of_line(&mut self, line: &[u8], out: &mut Vec<Event>) -> Result<(), Unreadable> {
        let mut text = std::str::from_utf8(line).map_err(|_| Unreadable::NotUtf8)?;
        if std::mem::take(&mut self.is_first_line) {
            text = text.strip_prefix('\u{feff}').unwrap_or(text);
        }
        if text.is_empty() {
            self.end_of_event(out);
            return Ok(());
        }
        let (field, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.name),
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "retry" => self.retry_ms = value.parse().ok().or(self.retry_ms),
            // A comment, or a field that nobody knows.
            _ => {}
        }
        Ok(())
    }

    fn end_of_event(&mut self, out: &mut Vec<Event>) {
        let name = std::mem::take(&mut self.name);
        if std::mem::take(&mut self.has_data) {
            let name = if name.is_empty() { "message".to_owned() } else { name };
            out.push(Event { name, data: std::mem::take(&mut self.data), id: self.id.clone() });
        }
    }
}
