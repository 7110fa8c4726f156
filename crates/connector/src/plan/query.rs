//! Arguments in the query, and the styles that a form body shares with it.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::arguments::ArgumentError;
use crate::check_action::split_query;
use crate::connector::CompiledAction;
use crate::definition::{Place, Style};
use crate::plan::given;
use crate::text::{name, scalar};

/// Encoded in a query or form: everything but RFC 3986 unreserved characters.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How deep an object may nest where it is flattened into names.
const DEEPEST: usize = 32;

/// Appends the query: the path's fixed one, then the arguments, then the credential.
///
/// # Errors
/// An argument that nests too deep, or an object whose member would be sent under the name of another parameter.
pub(super) fn write(
    url: &mut String,
    action: &CompiledAction,
    args: &Map<String, Value>,
    secrets: &[(&str, String)],
) -> Result<(), ArgumentError> {
    let fixed = split_query(&action.action.path).1.filter(|fixed| !fixed.is_empty());
    let mut pairs = Pairs { text: fixed.unwrap_or_default().to_owned() };
    let fixed_names: Vec<Cow<'_, str>> = url::form_urlencoded::parse(fixed.unwrap_or_default().as_bytes()).map(|(key, _)| key).collect();
    // The credential and the fixed query win over an argument of the same name.
    let reserved = |wire: &str| secrets.iter().any(|(secret, _)| *secret == wire) || fixed_names.iter().any(|fixed| fixed == wire);
    let taken = |wire: &str| reserved(wire) || action.action.params_in(Place::Query).any(|(key, param)| param.wire_name(key) == wire);
    for (key, param) in action.action.params_in(Place::Query) {
        let wire = param.wire_name(key);
        if let Some(value) = given(args, key, param)
            && !reserved(wire)
        {
            pairs.add(key, wire, param.style, value, &taken)?;
        }
    }
    for (wire, secret) in secrets {
        pairs.push(wire, secret);
    }
    if !pairs.text.is_empty() {
        url.push('?');
        url.push_str(&pairs.text);
    }
    Ok(())
}

/// `name=value` pairs joined by `&`, percent-encoded.
#[derive(Default)]
pub(super) struct Pairs {
    pub(super) text: String,
}

impl Pairs {
    /// Adds one argument in the style of its parameter. `taken` tells which names an object's members may not use.
    ///
    /// # Errors
    /// As `write`.
    pub(super) fn add(
        &mut self,
        key: &str,
        wire: &str,
        style: Option<Style>,
        value: &Value,
        taken: &dyn Fn(&str) -> bool,
    ) -> Result<(), ArgumentError> {
        if let Some(text) = scalar(value) {
            self.push(wire, &text);
            return Ok(());
        }
        match (style.unwrap_or_else(|| usual_style(value)), value) {
            (Style::Json, _) => self.push(wire, &value.to_string()),
            (Style::Repeat, Value::Array(items)) => items.iter().for_each(|item| self.push(wire, &flat(item))),
            (Style::Brackets, Value::Array(items)) => {
                let wire = if wire.ends_with("[]") { Cow::Borrowed(wire) } else { Cow::Owned(format!("{wire}[]")) };
                items.iter().for_each(|item| self.push(&wire, &flat(item)));
            }
            (Style::Repeat, Value::Object(members)) => {
                for (member, value) in members {
                    if taken(member) {
                        return Err(ArgumentError::field(
                            key,
                            format!("`{}` must not hold the member `{}`: that name is sent already.", name(key), name(member)),
                        ));
                    }
                    self.push(member, &flat(value));
                }
            }
            (Style::Comma, _) => self.joined(wire, value, ","),
            (Style::Space, _) => self.joined(wire, value, "%20"),
            (Style::Pipe, _) => self.joined(wire, value, "%7C"),
            (Style::Deep | Style::Brackets | Style::Repeat, _) => self
                .deep(wire.to_owned(), value, DEEPEST)
                .map_err(|()| ArgumentError::field(key, format!("`{}` nests deeper than {DEEPEST} levels; flatten it.", name(key))))?,
        }
        Ok(())
    }

    /// Adds one pair.
    pub(super) fn push(&mut self, key: &str, value: &str) {
        self.start(key);
        self.text.extend(utf8_percent_encode(value, VALUE));
    }

    fn start(&mut self, key: &str) {
        if !self.text.is_empty() {
            self.text.push('&');
        }
        self.text.extend(utf8_percent_encode(key, VALUE));
        self.text.push('=');
    }

    /// The items of an array, or the names and values of an object (RFC 6570 without explode), in one value.
    fn joined(&mut self, wire: &str, value: &Value, separator: &str) {
        let parts: Vec<Cow<'_, str>> = match value {
            Value::Array(items) => items.iter().map(flat).collect(),
            Value::Object(members) => members.iter().flat_map(|(key, value)| [Cow::Borrowed(key.as_str()), flat(value)]).collect(),
            _ => Vec::new(),
        };
        self.start(wire);
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.text.push_str(separator);
            }
            self.text.extend(utf8_percent_encode(part, VALUE));
        }
    }

    /// `a[k]=v`, and `a[0][k]=v` inside arrays.
    fn deep(&mut self, wire: String, value: &Value, depth: usize) -> Result<(), ()> {
        let left = depth.checked_sub(1).ok_or(())?;
        match value {
            Value::Null => {}
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.deep(format!("{wire}[{index}]"), item, left)?;
                }
            }
            Value::Object(members) => {
                for (key, member) in members {
                    self.deep(format!("{wire}[{key}]"), member, left)?;
                }
            }
            leaf => self.push(&wire, &flat(leaf)),
        }
        Ok(())
    }
}

/// A secret as it stands in a query or form.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, VALUE).to_string()
}

/// The style when the definition names none: repeated for plain lists, deep for all that has structure.
fn usual_style(value: &Value) -> Style {
    match value {
        Value::Array(items) if items.iter().all(|item| !item.is_array() && !item.is_object()) => Style::Repeat,
        _ => Style::Deep,
    }
}

/// One value as text: scalars as they are, null as nothing, structure as JSON.
pub(super) fn flat(value: &Value) -> Cow<'_, str> {
    scalar(value).unwrap_or_else(|| if value.is_null() { Cow::Borrowed("") } else { Cow::Owned(value.to_string()) })
}
