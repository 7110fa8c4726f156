//! `Mcp-Param-*`: the arguments of a tool call that its input schema mirrors into headers by `x-mcp-header` (SEP-2243).

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Number, Value};

use crate::fault::{Fault, quote};
use crate::header::decoded;
use crate::strict::MAX_DEPTH;

/// What a header's name starts with; the value of `x-mcp-header` follows.
pub const PREFIX: &str = "Mcp-Param-";

/// How many headers one tool may ask for.
pub const MAX_HEADERS: usize = 32;

/// How many schema positions may wait to be looked at; each holds its path.
const MAX_WAITING: usize = 10_000;

const ANNOTATION: &str = "x-mcp-header";

/// Keywords whose value is one schema, beside `properties`.
const SINGLE: [&str; 11] = [
    "items",
    "contains",
    "unevaluatedItems",
    "additionalProperties",
    "propertyNames",
    "unevaluatedProperties",
    "not",
    "if",
    "then",
    "else",
    "contentSchema",
];
/// Keywords whose value is a list of schemas.
const LIST: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// Keywords whose value maps names to schemas.
const MAP: [&str; 4] = ["patternProperties", "dependentSchemas", "$defs", "definitions"];

/// One argument and the header that repeats it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamHeader {
    /// The header's whole name, in the schema's spelling; header names compare without case.
    pub header: String,
    /// The member names that lead to the argument, outermost first.
    pub path: Vec<String>,
    /// Whether the schema says `integer`, so that `42` and `42.0` are the same.
    pub is_integer: bool,
}

/// A schema position that is still to be looked at; `path` is `None` where it is not reached by `properties` alone.
struct Position<'a> {
    schema: &'a Value,
    path: Option<Vec<&'a str>>,
    depth: usize,
}

/// The headers that an input schema asks for.
///
/// # Errors
/// A sentence when an annotation is invalid: not reached by `properties` alone, not an HTTP token, used twice, on a type other than
/// string, integer or boolean, or more than [`MAX_HEADERS`] of them. Clients must ignore such a tool, and drop it from their list.
pub fn param_headers(schema: &Value) -> Result<Vec<ParamHeader>, String> {
    let mut found = Vec::new();
    let mut names = HashSet::new();
    // An explicit stack: a schema may come from a stranger, and its depth is the stranger's choice.
    let mut stack = vec![Position { schema, path: Some(Vec::new()), depth: 0 }];
    while let Some(position) = stack.pop() {
        if position.depth > MAX_DEPTH {
            return Err(format!("The input schema nests deeper than {MAX_DEPTH} levels."));
        }
        if let Some(annotation) = position.schema.get(ANNOTATION) {
            let declared = declared(&position, annotation)?;
            if !names.insert(declared.header.to_ascii_lowercase()) {
                return Err(format!("The header {} is asked for twice.", quote(&declared.header)));
            }
            if names.len() > MAX_HEADERS {
                return Err(format!("The input schema asks for more than {MAX_HEADERS} headers."));
            }
            found.push(declared);
        }
        push_children(&position, &mut stack);
        if stack.len() > MAX_WAITING {
            return Err("The input schema has too many properties to look for headers in.".to_owned());
        }
    }
    Ok(found)
}

fn declared(position: &Position<'_>, annotation: &Value) -> Result<ParamHeader, String> {
    let Some(path) = position.path.as_ref().filter(|path| !path.is_empty()) else {
        return Err(format!("{ANNOTATION} may only stand on a property that \"properties\" alone leads to."));
    };
    let place = quote(&path.join("."));
    let Some(token) = annotation.as_str().filter(|token| is_token(token)) else {
        return Err(format!("{ANNOTATION} of property {place} must be a name that HTTP allows for a header."));
    };
    let kind = position.schema.get("type").and_then(Value::as_str);
    if !matches!(kind, Some("string" | "integer" | "boolean")) {
        return Err(format!("{ANNOTATION} of property {place} needs the type string, integer or boolean."));
    }
    Ok(ParamHeader {
        header: format!("{PREFIX}{token}"),
        path: path.iter().map(|name| (*name).to_owned()).collect(),
        is_integer: kind == Some("integer"),
    })
}

fn push_children<'a>(position: &Position<'a>, stack: &mut Vec<Position<'a>>) {
    let Value::Object(members) = position.schema else {
        return;
    };
    let depth = position.depth + 1;
    let mut unreachable = |schema| stack.push(Position { schema, path: None, depth });
    let mut properties = None;
    for (keyword, value) in members {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(named)) => properties = Some(named),
            (keyword, value) if SINGLE.contains(&keyword) => unreachable(value),
            (keyword, Value::Array(schemas)) if LIST.contains(&keyword) => schemas.iter().for_each(&mut unreachable),
            (keyword, Value::Object(named)) if MAP.contains(&keyword) => named.values().for_each(&mut unreachable),
            _ => {}
        }
    }
    let Some(properties) = properties else { return };
    // With more than may wait, the caller gives up, and the paths are not worth building.
    let path = position.path.as_ref().filter(|_| properties.len() <= MAX_WAITING);
    // In reverse, so that the stack yields them in the schema's own order.
    for (name, schema) in properties.iter().rev() {
        let path = path.map(|path| path.iter().copied().chain([name.as_str()]).collect());
        stack.push(Position { schema, path, depth });
    }
}

/// A token of RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Compares a tool call's `Mcp-Param-*` headers with its arguments. `lookup` gives a header's value by its whole name, without case;
/// a header that was sent twice must already have been refused.
///
/// A schema whose annotations are invalid asks for nothing: conforming clients do not offer such a tool.
///
/// # Errors
/// -32020 when a declared header and its argument are not both there or both absent, or differ. `null` counts as absent.
pub fn check_param_headers<'h>(schema: &Value, arguments: &Value, lookup: &dyn Fn(&str) -> Option<&'h str>) -> Result<(), Fault> {
    match param_headers(schema) {
        Ok(declared) => declared.iter().try_for_each(|declared| declared.check(arguments, lookup(&declared.header))),
        Err(_) => Ok(()),
    }
}

impl ParamHeader {
    /// The header value that repeats this argument, to be sent to an upstream; `None` when the argument is absent or has no header form.
    #[must_use]
    pub fn value(&self, arguments: &Value) -> Option<String> {
        let rendered = rendered(self.argument(arguments)?)?;
        Some(crate::header::encoded(&rendered).into_owned())
    }

    /// Compares one header with its argument; see [`check_param_headers`].
    ///
    /// # Errors
    /// -32020 when they disagree.
    pub fn check(&self, arguments: &Value, header: Option<&str>) -> Result<(), Fault> {
        let argument = self.argument(arguments);
        let rendered = argument.and_then(rendered);
        let (header, argument, rendered) = match (header, argument, rendered) {
            (None, _, None) => return Ok(()),
            (None, _, Some(_)) => return Err(self.mismatch("is missing, but the body carries")),
            (Some(_), _, None) => {
                return Err(self.mismatch("was sent, but the body does not carry"));
            }
            (Some(header), Some(argument), Some(rendered)) => (header, argument, rendered),
            (Some(_), None, Some(_)) => return Ok(()),
        };
        let Some(header) = decoded(header) else {
            return Err(self.mismatch("is too long or not canonical Base64 of UTF-8; it must repeat"));
        };
        let is_equal = header == rendered || (self.is_integer && is_same_integer(&header, argument));
        if is_equal { Ok(()) } else { Err(self.mismatch("differs from")) }
    }

    fn argument<'v>(&self, arguments: &'v Value) -> Option<&'v Value> {
        let argument = self.path.iter().try_fold(arguments, |value, name| value.as_object()?.get(name))?;
        (!argument.is_null()).then_some(argument)
    }

    fn mismatch(&self, relation: &str) -> Fault {
        Fault::header_mismatch(format!("The {} header {relation} the argument {}.", self.header, quote(&self.path.join("."))))
    }
}

/// An argument as a header spells it; arrays and objects have no such form.
fn rendered(argument: &Value) -> Option<Cow<'_, str>> {
    match argument {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Bool(true) => Some(Cow::Borrowed("true")),
        Value::Bool(false) => Some(Cow::Borrowed("false")),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether a plain decimal such as `42` or `42.0` is the integer that the body carries. Compared as digits: no rounding.
fn is_same_integer(header: &str, argument: &Value) -> bool {
    let (Some(header), Value::Number(number)) = (integer_digits(header), argument) else {
        return false;
    };
    spelled(number).as_deref().and_then(integer_digits) == Some(header)
}

/// A number in plain decimals. A large float has no exact decimal that a client would send, so that only exact integers count.
fn spelled(number: &Number) -> Option<String> {
    if number.is_f64() {
        let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0)?;
        return Some(format!("{float:.0}"));
    }
    Some(number.to_string())
}

/// Sign and significant digits of a decimal whose fraction is zero.
fn integer_digits(text: &str) -> Option<(bool, &str)> {
    let is_negative = text.starts_with('-');
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let is_decimal = !whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit());
    if !is_decimal || fraction.is_empty() || fraction.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let digits = whole.trim_start_matches('0');
    Some((is_negative && !digits.is_empty(), digits))
}
