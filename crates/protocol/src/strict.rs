//! JSON parsed once and strictly: no member twice at any level, no deep nesting, no unbounded number of values.
//!
//! Two readers of one document must not see two documents: with `{"name":"a","name":"b"}` a policy could judge one name and
//! a platform act on the other.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::fault::quote;

/// How deep arrays and objects may nest in a client's JSON. A parsed value is dropped and walked recursively, so that this
/// also bounds the stack of everyone who handles it.
pub const MAX_DEPTH: usize = 64;

/// How many values one document may hold. An array of zeros takes two bytes a value on the wire and more than thirty times
/// that in memory.
pub const MAX_VALUES: usize = 1_000_000;

/// Names that `serde_json` itself gives a meaning when a value is read again: a second document could hide behind one.
pub const RESERVED: &str = "$serde_json::private::";

/// serde_json refuses to nest deeper than this by itself, whatever was asked for.
const PARSER_DEPTH: usize = 127;

/// Why a text was refused, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrictError {
    /// What is wrong, a sentence without its position.
    pub message: String,
    /// Line of the place, counted from 1; 0 when unknown.
    pub line: usize,
    /// Column of the place in bytes, counted from 1; 0 when unknown.
    pub column: usize,
}

impl fmt::Display for StrictError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (line {}, column {})", self.message, self.line, self.column)
    }
}

impl std::error::Error for StrictError {}

impl From<serde_json::Error> for StrictError {
    fn from(error: serde_json::Error) -> Self {
        let position = format!(" at line {} column {}", error.line(), error.column());
        let text = error.to_string();
        let message = text.strip_suffix(&position).unwrap_or(&text);
        Self { message: sentence(message), line: error.line(), column: error.column() }
    }
}

/// Capital letter and full stop, which the parser's own messages lack.
fn sentence(message: &str) -> String {
    let mut characters = message.chars();
    let head: String = characters.next().into_iter().flat_map(char::to_uppercase).collect();
    let stop = if message.ends_with('.') { "" } else { "." };
    format!("{head}{}{stop}", characters.as_str())
}

/// Parses a whole JSON text. `max_depth` counts nested arrays and objects (1 allows `[]`, not `[[]]`); more than 127 acts as 127.
///
/// # Errors
/// Text that is not one JSON value, a member that appears twice in one object, nesting below `max_depth`, more than
/// [`MAX_VALUES`] values.
pub fn parse(text: &str, max_depth: usize) -> Result<Value, StrictError> {
    read(text, max_depth, false)
}

fn read(text: &str, max_depth: usize, last_wins: bool) -> Result<Value, StrictError> {
    let left = Cell::new(MAX_VALUES);
    let max_depth = max_depth.min(PARSER_DEPTH);
    let mut parser = serde_json::Deserializer::from_str(text);
    let value = Strict { depth_left: max_depth, max_depth, values_left: &left, last_wins }.deserialize(&mut parser)?;
    parser.end()?;
    Ok(value)
}

/// Parses what a platform answered: as [`parse_slice`], but of members of one name the last one counts, because nobody acts on the
/// first.
///
/// # Errors
/// As [`parse_slice`], without the one about members that appear twice.
pub fn parse_answer(bytes: &[u8]) -> Result<Value, StrictError> {
    read(utf8(bytes)?, PARSER_DEPTH, true)
}

/// [`parse`] for bytes.
///
/// # Errors
/// As [`parse`], and for bytes that are not UTF-8.
pub fn parse_slice(bytes: &[u8], max_depth: usize) -> Result<Value, StrictError> {
    parse(utf8(bytes)?, max_depth)
}

fn utf8(bytes: &[u8]) -> Result<&str, StrictError> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        StrictError { message: "The text is not UTF-8.".to_owned(), line, column }
    })
}

/// The first whole number in a JSON text that a parsed value does not hold exactly: outside `i64` and `u64`, and written out.
#[must_use]
pub fn inexact(text: &[u8]) -> Option<&str> {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'-' | b'0'..=b'9')) {
        rest = rest.get(at..)?;
        if rest.first() == Some(&b'"') {
            rest = rest.get(1..)?;
            // To the quote that no backslash escapes.
            loop {
                let at = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
                let is_end = rest.get(at) == Some(&b'"');
                rest = rest.get(at + if is_end { 1 } else { 2 }..)?;
                if is_end {
                    break;
                }
            }
            continue;
        }
        let end = rest.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')).unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        rest = after;
        // The shortest that does not fit has 19 digits.
        if number.len() >= 19 && !number.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
            let number = std::str::from_utf8(number).ok()?;
            if number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
                return Some(number);
            }
        }
    }
    None
}

/// Builds one value; carries what the value may still use up.
#[derive(Clone, Copy)]
struct Strict<'a> {
    depth_left: usize,
    max_depth: usize,
    values_left: &'a Cell<usize>,
    last_wins: bool,
}

impl Strict<'_> {
    fn nested<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { depth_left, ..self }),
            None => Err(E::custom(format_args!("The JSON nests deeper than {} levels.", self.max_depth))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let Some(left) = self.values_left.get().checked_sub(1) else {
            return Err(D::Error::custom(format_args!("The JSON holds more than {MAX_VALUES} values.")));
        };
        self.values_left.set(left);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("The number is not finite."))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let element = self.nested()?;
        let mut array = Vec::new();
        while let Some(value) = access.next_element_seed(element)? {
            array.push(value);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let member = self.nested()?;
        let mut object = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            // Judged before its value is read, so that the position in the error is the second name's.
            if !self.last_wins && object.contains_key(&name) {
                return Err(A::Error::custom(duplicate(&name)));
            }
            if name.starts_with(RESERVED) {
                return Err(A::Error::custom(format_args!("The member name {} is reserved.", quote(&name))));
            }
            object.insert(name, access.next_value_seed(member)?);
        }
        Ok(Value::Object(object))
    }
}

/// The sentence for a member that appears twice, shared with the envelope parser.
pub(crate) fn duplicate(name: &str) -> String {
    format!("The member {} appears twice in one object; send it once.", quote(name))
}
