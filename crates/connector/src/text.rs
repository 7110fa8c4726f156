//! Small helpers on text: cutting, first sentences, suggestions, header rules.

use std::borrow::Cow;

use serde_json::Value;

/// `text`, or its first `limit` characters and an ellipsis.
pub(crate) fn cut(text: &str, limit: usize) -> Cow<'_, str> {
    match text.char_indices().nth(limit) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
    }
}

/// The first sentence of a description, at most `limit` characters, without line breaks.
pub(crate) fn first_sentence(text: &str, limit: usize) -> String {
    let line = text.trim().lines().next().unwrap_or_default().trim();
    let end = line.find(". ").map_or(line.len(), |at| at + 1);
    cut(line.get(..end).unwrap_or(line), limit.saturating_sub(1)).into_owned()
}

/// A value as an error shows it: what it is and how it looks, at most 80 characters of it.
pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(yes) => format!("the boolean {yes}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the string {}", quote(text)),
        Value::Array(items) => format!("an array of {}", count(items.len(), "item")),
        Value::Object(members) => format!("an object of {}", count(members.len(), "member")),
    }
}

/// A scalar as it is written in a list of choices, at most 80 characters.
pub(crate) fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Array(_) | Value::Object(_) => show(value),
        other => other.to_string(),
    }
}

/// A name as an error shows it: at most 80 characters, without control characters.
pub(crate) fn name(text: &str) -> String {
    let clean: String = text.chars().take(81).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    cut(&clean, 80).into_owned()
}

fn quote(text: &str) -> String {
    Value::String(cut(text, 80).into_owned()).to_string()
}

/// `1 item`, `2 items`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A scalar as it stands in a URL, a form or a header; nothing for null, arrays and objects. A float without a fraction is written
/// as an integer, because JSON Schema counts `5.0` as one and platforms do not.
pub(crate) fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Bool(yes) => Some(Cow::Borrowed(if *yes { "true" } else { "false" })),
        Value::Number(number) => Some(Cow::Owned(match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 => {
                format!("{float:.0}")
            }
            _ => number.to_string(),
        })),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether `text` is an HTTP token (RFC 9110 section 5.6.2), as header names must be.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Whether `text` may be the value of a header: visible ASCII, spaces and tabs.
pub(crate) fn is_header_value(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
}

/// Whether `text` looks like a media type, its parameters included, and can stand in a header.
pub(crate) fn is_media_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim();
    let tokens = essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
    tokens && text.len() <= 256 && is_header_value(text)
}

/// Headers that belong to the connection or to the engine; no definition, argument or caller sets them.
const OWNED: [&str; 16] = [
    "host",
    "cookie",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "accept-encoding",
    "forwarded",
    "via",
    "x-real-ip",
    "set-cookie",
    "http2-settings",
];

/// Headers that a caller may not add although a definition may: credentials, the body's type, and those that make some servers treat
/// the request as another method or path, which would go round the restrictions.
const PRIVATE: [&str; 11] = [
    "authorization",
    "content-type",
    "content-encoding",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    "x-original-host",
    "x-original-uri",
    "proxy",
];

/// Whether the header belongs to the engine whoever asks.
pub(crate) fn is_owned_header(name: &str) -> bool {
    let lower = folded(name);
    OWNED.contains(&lower.as_str()) || lower.starts_with("proxy-") || lower.starts_with("x-forwarded-")
}

/// Whether a caller may not add this header to a call.
pub(crate) fn is_private_header(name: &str) -> bool {
    is_owned_header(name) || PRIVATE.contains(&folded(name).as_str())
}

/// In lower case, and with `_` as `-`: CGI and WSGI servers do not tell the two apart.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// The name of `names` that was probably meant by `wanted`, for "did you mean". Case and separators do not count; of the rest, a third
/// may differ, at most three characters.
pub fn closest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = plain(wanted);
    if wanted.is_empty() {
        return None;
    }
    let mut best: Option<(usize, &'a str)> = None;
    for name in names {
        let candidate = plain(name);
        let allowed = (wanted.len().max(candidate.len()) / 3).clamp(1, 3);
        let allowed = best.map_or(allowed, |(distance, _)| allowed.min(distance.saturating_sub(1)));
        if let Some(distance) = edits(&wanted, &candidate, allowed)
            && best.is_none_or(|(least, _)| distance < least)
        {
            best = Some((distance, name));
            if distance == 0 {
                break;
            }
        }
    }
    best.map(|(_, name)| name)
}

/// Lower-case letters and digits only, at most 64, which bounds the work of a comparison.
fn plain(text: &str) -> Vec<char> {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).take(64).collect()
}

/// Levenshtein distance, when it is at most `limit`.
fn edits(left: &[char], right: &[char], limit: usize) -> Option<usize> {
    if left.len().abs_diff(right.len()) > limit {
        return None;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (number, l) in left.iter().enumerate() {
        let mut diagonal = number;
        let mut before = number + 1;
        let mut least = before;
        for (cell, r) in row.iter_mut().skip(1).zip(right) {
            let above = *cell;
            before = (diagonal + usize::from(l != r)).min(above + 1).min(before + 1);
            diagonal = above;
            *cell = before;
            least = least.min(before);
        }
        if let Some(first) = row.first_mut() {
            *first = number + 1;
        }
        if least > limit {
            return None;
        }
    }
    row.last().copied().filter(|distance| *distance <= limit)
}
