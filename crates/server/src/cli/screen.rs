//! What people see: tables that fit the terminal, and sentences; or with `--json` what the server answered, untouched.

use std::io::{ErrorKind, IsTerminal as _, Write as _, stderr, stdout};

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use serde_json::Value;

use super::{
    client::Answer,
    failure::{Failure, Result},
    terminal,
};
use crate::{connectors::brief::first_sentence, page::is_visible_char};

/// A column of a table or a line of details: its title, and the member of the answer that it shows.
pub type Column = (&'static str, &'static str);

/// Standard output, and how it is to be written.
pub struct Screen {
    /// Print answers as they came.
    pub json: bool,
    /// Columns of the terminal; absent when the output goes elsewhere.
    width: Option<u16>,
    colour: bool,
}

impl Screen {
    /// Looks at standard output.
    pub fn new(json: bool) -> Self {
        let terminal = stdout().is_terminal();
        Self { json, width: if terminal && !json { terminal::width() } else { None }, colour: wants_colour(terminal) }
    }

    /// Whether a person reads along.
    pub fn is_terminal(&self) -> bool {
        stdout().is_terminal()
    }

    /// Whether text may have colours.
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// What is wrong.
    pub fn red(&self, text: &str) -> String {
        self.painted("31", text)
    }

    /// What is right.
    pub fn green(&self, text: &str) -> String {
        self.painted("32", text)
    }

    /// What could be better.
    pub fn yellow(&self, text: &str) -> String {
        self.painted("33", text)
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Writes text and ends the line.
    pub fn line(&self, text: &str) -> Result {
        let mut out = stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") });
        written.and_then(|()| out.flush()).map_err(|e| match e.kind() {
            ErrorKind::BrokenPipe => Failure::closed(),
            _ => Failure::refused(format!("cannot write to standard output: {e}")),
        })
    }

    /// A remark for people beside the output proper.
    pub fn note(&self, text: &str) {
        if !self.json {
            let _ = writeln!(stderr(), "{}", clean(text));
        }
    }

    /// One sentence for people, or the answer.
    pub fn said(&self, answer: &Answer, sentence: &str) -> Result {
        self.line(if self.json { answer.text() } else { sentence })
    }

    /// The objects of the answer's list as a table, or the answer. Of a description the table has the first sentence: other MCP servers
    /// describe themselves by instructions of many lines.
    pub fn list(&self, answer: &Answer, member: &str, columns: &[Column]) -> Result {
        if self.json {
            return self.line(answer.text());
        }
        let value = answer.value()?;
        let items = value.get(member).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if items.is_empty() {
            self.note("There is nothing to list.");
            return Ok(());
        }
        let shown = |item: &Value, field: &str| match field {
            "description" => first_sentence(&cell(item, field)),
            _ => cell(item, field),
        };
        let rows = items.iter().map(|item| columns.iter().map(|(_, field)| shown(item, field)).collect()).collect();
        self.table(&columns.iter().map(|(title, _)| *title).collect::<Vec<_>>(), rows)?;
        if value.get("hasMore") == Some(&Value::Bool(true)) {
            let number = |name: &str| value.get(name).and_then(Value::as_i64).unwrap_or_default();
            let next = number("offset") + i64::try_from(items.len()).unwrap_or_default();
            self.note(&format!("{} of {}; the next ones: --offset {next}", items.len(), number("total")));
        }
        Ok(())
    }

    /// The members of an object, one a line, those that it has; or the answer.
    pub fn details(&self, answer: &Answer, fields: &[Column]) -> Result {
        if self.json { self.line(answer.text()) } else { self.members(&answer.value()?, fields) }
    }

    /// The members of an object, one a line, those that it has.
    pub fn members(&self, value: &Value, fields: &[Column]) -> Result {
        let present = fields.iter().filter(|(_, field)| value.get(field).is_some());
        self.table(&[], present.map(|(title, field)| vec![(*title).to_owned(), cell(value, field)]).collect())
    }

    /// A table without lines, as wide as the terminal at most. Its first column is never broken: ids are there to be copied.
    pub fn table(&self, titles: &[&str], rows: Vec<Vec<String>>) -> Result {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).add_rows(rows);
        if !titles.is_empty() {
            table.set_header(titles.iter().copied());
        }
        match self.width {
            Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        if let Some(first) = table.column_mut(0) {
            first.set_constraint(ColumnConstraint::ContentWidth);
        }
        let mut text = String::new();
        for (number, line) in table.lines().enumerate() {
            let line = line.trim_end();
            let title = number == 0 && !titles.is_empty() && self.colour;
            text.push_str(&if title { format!("\x1b[1m{line}\x1b[0m") } else { line.to_owned() });
            text.push('\n');
        }
        self.line(&text)
    }
}

/// A member of an object as people read it: `tokenExpiresAt` to the second, and a null one never comes.
pub fn cell(object: &Value, field: &str) -> String {
    let field_is_time = field == "at" || field.ends_with("At");
    match object.get(field) {
        Some(Value::Null) if field.to_ascii_lowercase().ends_with("expiresat") => "never".to_owned(),
        Some(Value::String(time)) if field_is_time => match (time.get(..10), time.get(10..11), time.get(11..19)) {
            (Some(day), Some("T"), Some(second)) => clean(&format!("{day} {second}Z")),
            _ => clean(time),
        },
        Some(value) => plain(value),
        None => "-".to_owned(),
    }
}

/// A value as people read it, on one line.
pub fn plain(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::Bool(flag) => (if *flag { "yes" } else { "no" }).to_owned(),
        Value::String(text) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        Value::Array(items) if !items.iter().any(|item| item.is_array() || item.is_object()) => {
            items.iter().map(plain).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    if text.is_empty() { "-".to_owned() } else { clean(&text) }
}

/// Without the characters that command a terminal, or that nobody sees: what others have written must not move its cursor, change its title
/// or look like something else.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if !is_visible_char(c) && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// Colours only on a terminal, and never with NO_COLOR (no-color.org).
pub fn wants_colour(terminal: bool) -> bool {
    terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// JSON text with one member a line. It works on the text, so that no number changes and no depth is too deep.
pub fn pretty(json: &str) -> String {
    /// Deeper than this, lines are not moved further to the right.
    const DEEPEST: usize = 40;
    let mut text = String::with_capacity(json.len() * 2);
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth.min(DEEPEST)));
    };
    let mut chars = json.chars().filter(|c| !matches!(c, '\n' | '\r')).peekable();
    while let Some(c) = chars.next() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            // JSON leaves these as they are; a terminal takes some for commands, and others turn the direction of reading.
            if !is_visible_char(c) {
                text.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")))
            } else {
                text.push(c)
            }
            continue;
        }
        match c {
            ' ' | '\t' => {}
            '"' => {
                quoted = true;
                text.push(c);
            }
            '{' | '[' => {
                text.push(c);
                while chars.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
                if let Some(end) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    text.push(end);
                } else {
                    depth += 1;
                    line(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut text, depth);
                text.push(c);
            }
            ',' => {
                text.push(c);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            _ => text.push(c),
        }
    }
    text
}

/// A word for a POSIX shell, quoted where it must be.
pub fn shell_word(text: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | ':' | '.' | '_' | '-' | '~' | '@' | '%' | '+' | ',');
    if !text.is_empty() && text.chars().all(harmless) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pretty_text_is_the_same_json() {
        let text = r#"{"a":[1,{"b":"x, {y} \" \\"}], "empty":{ },"none":[],"n":12345678901234567890.10}"#;
        let shown = pretty(text);
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        assert!(shown.contains("12345678901234567890.10"));
        assert!(shown.contains("\"empty\": {},\n  \"none\": []"), "{shown}");
        assert_eq!(pretty("3"), "3");
        assert_eq!(pretty("\"\u{9b}31m\""), "\"\\u009b31m\"");
        assert_eq!(pretty("\"\u{202e}\u{e0001}\""), "\"\\u202e\\udb40\\udc01\"");
    }

    #[test]
    fn cells_are_one_harmless_line() {
        let value = json!({"a": "x\n\ty\u{1b}[2J", "b": true, "c": ["p", 1], "expiresAt": null, "d": null, "e": {"f": 1}});
        assert_eq!(cell(&value, "a"), "x y\u{fffd}[2J");
        assert_eq!(cell(&json!({ "userId": "a\u{202e}b\u{200b}" }), "userId"), "a\u{fffd}b\u{fffd}");
        assert_eq!(cell(&value, "b"), "yes");
        assert_eq!(cell(&value, "c"), "p, 1");
        assert_eq!(cell(&value, "expiresAt"), "never");
        assert_eq!(cell(&json!({"at": "2026-11-21T09:00:00.123Z"}), "at"), "2026-11-21 09:00:00Z");
        assert_eq!(cell(&json!({"createdAt": "long ago"}), "createdAt"), "long ago");
        assert_eq!(cell(&value, "d"), "-");
        assert_eq!(cell(&value, "e"), r#"{"f":1}"#);
        assert_eq!(cell(&value, "missing"), "-");
    }

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(shell_word("http://127.0.0.1:3000/mcp/a-b/mcp_token_x"), "http://127.0.0.1:3000/mcp/a-b/mcp_token_x");
        assert_eq!(shell_word("a b"), "'a b'");
        assert_eq!(shell_word("it's $(x)"), r"'it'\''s $(x)'");
        assert_eq!(shell_word(""), "''");
    }
}
