//! Arguments in the path. Each stays inside its segment.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::arguments::ArgumentError;
use crate::connector::{CompiledAction, PathPart};
use crate::plan::given;
use crate::text::{name, scalar, show};

/// Longest argument in a path, in bytes: many servers refuse longer addresses.
const LONGEST: usize = 8 * 1024;

/// Encoded in a segment: everything but RFC 3986 unreserved characters and the marks that no server splits at. `;` is encoded although
/// RFC 3986 allows it, because some servers cut a segment there, and `&` and `+` because some decode them as in a query.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b'@')
    .remove(b'!')
    .remove(b'$')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b'=');

/// Appends the action's path, its parameters and secrets replaced.
///
/// # Errors
/// A path argument or secret that is missing, empty, not a scalar, or could be read as another path.
pub(super) fn write(
    url: &mut String,
    action: &CompiledAction,
    args: &Map<String, Value>,
    secrets: &[(&str, String)],
) -> Result<(), ArgumentError> {
    for part in &action.path {
        let index = match part {
            PathPart::Fixed(text) => {
                url.push_str(text);
                continue;
            }
            PathPart::Secret(name) => {
                let secret = secrets.iter().find(|(secret, _)| *secret == &**name).map(|(_, value)| value.as_str());
                write_secret(url, name, secret)?;
                continue;
            }
            PathPart::Param(index) => *index,
        };
        let Some((key, param)) = action.action.params.get_index(index) else {
            continue;
        };
        let value = given(args, key, param).ok_or_else(|| {
            ArgumentError::field(key, format!("The path parameter `{}` is missing or null; it cannot be left out.", name(key)))
        })?;
        let text = text_of(value).ok_or_else(|| {
            ArgumentError::field(
                key,
                format!("The path parameter `{}` must be a string, number or boolean, got {}.", name(key), show(value)),
            )
        })?;
        encode_segment(url, &text).map_err(|why| ArgumentError::field(key, format!("The path parameter `{}` {why}.", name(key))))?;
    }
    Ok(())
}

/// Appends a secret.
///
/// # Errors
/// One that is missing or could be read as another path.
pub(super) fn write_secret(url: &mut String, name: &str, secret: Option<&str>) -> Result<(), ArgumentError> {
    // Why it cannot stand there would say something of it.
    encode_segment(url, secret.unwrap_or_default()).map_err(|_| {
        let sentence =
            format!("The credential is missing or cannot stand in a path as `{name}`; create the credential with another value.");
        ArgumentError::field(name, sentence)
    })
}

/// A scalar, or the scalars of an array joined by commas.
fn text_of(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Array(items) => {
            let parts: Option<Vec<_>> = items.iter().map(scalar).collect();
            parts.map(|parts| Cow::Owned(parts.join(",")))
        }
        value => scalar(value),
    }
}

/// Appends `text` as (a part of) one path segment.
///
/// # Errors
/// The end of a sentence that begins with the name of the parameter. A server in the chain may decode once more than it should, so the
/// text is judged as it is and after one and two rounds of percent-decoding.
pub(crate) fn encode_segment(url: &mut String, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    if text.len() > LONGEST {
        return Err(format!("must have at most {LONGEST} bytes; this one has {}", text.len()));
    }
    let mut seen = Cow::Borrowed(text);
    for _ in 0..3 {
        if seen.chars().any(char::is_control) {
            return Err("must not hold control characters".to_owned());
        }
        if holds_encoded_slash(&seen) {
            return Err("must not hold `%2f` or `%5c`: write the character itself; it is encoded for you".to_owned());
        }
        // What follows `;` in a segment is dropped by some servers, so `..;` counts as `..`.
        let dots = |part: &str| matches!(part.split(';').next().unwrap_or_default().trim(), "." | "..");
        if seen.split(['/', '\\']).any(dots) {
            return Err("must not be or hold a part `.` or `..`: name the thing itself".to_owned());
        }
        if !seen.contains('%') {
            break;
        }
        seen = Cow::Owned(percent_decode_str(&seen).decode_utf8_lossy().into_owned());
    }
    url.extend(utf8_percent_encode(text, SEGMENT));
    Ok(())
}

/// A secret as it stands in a path.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

fn holds_encoded_slash(text: &str) -> bool {
    text.as_bytes().windows(3).any(|window| matches!(window, [b'%', b'2', b'f' | b'F'] | [b'%', b'5', b'c' | b'C']))
}
