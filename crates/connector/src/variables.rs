//! Variables of a platform account: judged by kind, then put into the base URL. This decides the host that a request goes to.

use std::borrow::Cow;

use url::Url;

use crate::arguments::ArgumentError;
use crate::definition::{Definition, Variable, VariableKind};
use crate::plan::path::encode_segment;
use crate::template::{Piece, pieces};
use crate::text::{cut, is_header_value};

/// Judges one value that a person entered for a variable.
///
/// # Errors
/// A sentence that names the variable and says what it holds.
pub fn judge(name: &str, variable: &Variable, value: &str) -> Result<(), String> {
    let shown = cut(value, 80);
    if !variable.choices.is_empty() {
        if !variable.choices.iter().any(|choice| choice == value) {
            let choices = variable.choices.iter().take(20).map(|choice| cut(choice, 80)).collect::<Vec<_>>();
            return Err(format!("The variable `{name}` is one of `{}`.", choices.join("`, `")));
        }
        // A choice of the author may hold dots, as in `eu.api`, but no empty label.
        if variable.kind == VariableKind::Label && value.split('.').all(is_label) {
            return Ok(());
        }
    }
    match variable.kind {
        VariableKind::Label if !is_label(value) => {
            Err(format!("The variable `{name}` is 1 to 63 letters, digits, `-` and `_`; {shown:?} is not."))
        }
        VariableKind::Host if !is_host(value) => Err(format!(
            "The variable `{name}` is a host name with an optional port, such as `matrix.example.org` or `localhost:8008`; {shown:?} is not."
        )),
        VariableKind::Url if clean_url(value).is_none() => Err(format!(
            "The variable `{name}` is a URL such as `https://matrix.example.org`, without user, query or fragment; {shown:?} is not."
        )),
        VariableKind::Text if value.is_empty() || value.len() > 1024 || !is_header_value(value) => {
            Err(format!("The variable `{name}` is visible ASCII text on one line, at most 1,024 characters."))
        }
        _ => Ok(()),
    }
}

fn is_label(value: &str) -> bool {
    (1..=63).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// A host name or address in its usual form, so that what a person reads is where the request goes: `0x7f.1` is refused.
fn is_host(value: &str) -> bool {
    if value.len() > 260 || !value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte)) {
        return false;
    }
    let Ok(url) = Url::parse(&format!("http://{value}/")) else {
        return false;
    };
    let host = url.host_str().unwrap_or_default();
    let lower = value.to_ascii_lowercase();
    let Some(port) = lower.strip_prefix(host) else {
        return false;
    };
    let no_empty_label = host.split('.').all(|label| !label.is_empty());
    let port_digits =
        |digits: &str| (1..=5).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) && url.port() != Some(0);
    url.path() == "/" && no_empty_label && (port.is_empty() || port.strip_prefix(':').is_some_and(port_digits))
}

/// The URL without a trailing slash, when it is http or https with nothing but host, port and path.
fn clean_url(value: &str) -> Option<&str> {
    let rest = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"))?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = path.trim_end_matches('/');
    let fixed = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~:@!$&'()*+,;=".contains(&byte);
    let plain = path.len() <= 1024 && path.bytes().all(fixed) && !path.contains("//");
    let no_dots = path.split('/').all(|segment| !matches!(segment.split(';').next(), Some("." | "..")));
    (is_host(host) && plain && no_dots).then(|| value.trim_end_matches('/'))
}

/// The value of a variable: given, else the default; nothing for an optional one without either.
///
/// # Errors
/// A variable that is missing or is not of its kind.
pub(crate) fn value<'a>(name: &str, definition: &'a Definition, given: &[(&'a str, &'a str)]) -> Result<Option<&'a str>, ArgumentError> {
    let Some(variable) = definition.variables.get(name) else {
        return Err(ArgumentError::field(name, format!("The connector `{}` does not declare the variable `{name}`.", definition.id)));
    };
    let found = given.iter().find(|(key, value)| *key == name && !value.is_empty()).map(|(_, value)| *value);
    let Some(value) = found.or(variable.default.as_deref()) else {
        if variable.optional {
            return Ok(None);
        }
        let about = if variable.description.is_empty() { String::new() } else { format!(" ({})", cut(&variable.description, 200)) };
        return Err(ArgumentError::field(name, format!("The variable `{name}`{about} is missing. {}", source(definition))));
    };
    judge(name, variable, value).map_err(|message| ArgumentError::field(name, format!("{message} {}", source(definition))))?;
    Ok(Some(value))
}

/// Where a person or a model sets variables.
fn source(definition: &Definition) -> String {
    if definition.auth.is_empty() {
        return "It is given with the arguments of the action.".to_owned();
    }
    format!("It is set with the credential of `{}`.", definition.id)
}

/// The base URL `template` without a trailing slash, its variables replaced.
///
/// # Errors
/// A variable that is missing or is not of its kind.
pub(crate) fn base_url(definition: &Definition, template: &str, given: &[(&str, &str)]) -> Result<String, ArgumentError> {
    address(definition, template.trim_end_matches('/'), given)
}

/// An address of the definition (a base URL, a token URL), its variables replaced.
///
/// # Errors
/// A variable that is missing or is not of its kind.
pub fn address(definition: &Definition, template: &str, given: &[(&str, &str)]) -> Result<String, ArgumentError> {
    if !template.contains('{') {
        return Ok(template.to_owned());
    }
    let mut url = String::with_capacity(template.len() + 64);
    for piece in pieces(template).map_err(ArgumentError::new)? {
        let name = match piece {
            Piece::Text(text) => {
                url.push_str(text);
                continue;
            }
            Piece::Name(name) => name,
        };
        let text = value(name, definition, given)?.unwrap_or_default();
        match definition.variables.get(name).map(|variable| variable.kind) {
            Some(VariableKind::Url) => url.push_str(text.trim_end_matches('/')),
            Some(VariableKind::Text) => {
                encode_segment(&mut url, text).map_err(|why| ArgumentError::field(name, format!("The variable `{name}` {why}.")))?
            }
            _ => url.push_str(text),
        }
    }
    // Labels are harmless one by one; together with the text around them they must still be a host (`{a}.{b}`, a port).
    match Url::parse(&url) {
        Ok(parsed) if parsed.username().is_empty() && parsed.password().is_none() => Ok(url),
        _ => Err(ArgumentError::new(format!("The variables of `{}` do not make a URL; correct them.", definition.id))),
    }
}

/// A fixed header's value, its variables replaced; nothing when an optional one is not given.
///
/// # Errors
/// As `value`.
pub(crate) fn header<'a>(
    template: &'a str,
    definition: &Definition,
    given: &[(&str, &str)],
) -> Result<Option<Cow<'a, str>>, ArgumentError> {
    if !template.contains('{') {
        return Ok(Some(Cow::Borrowed(template)));
    }
    let mut text = String::new();
    for piece in pieces(template).map_err(ArgumentError::new)? {
        match piece {
            Piece::Text(fixed) => text.push_str(fixed),
            Piece::Name(name) => match value(name, definition, given)? {
                Some(value) => text.push_str(value),
                None => return Ok(None),
            },
        }
    }
    Ok(Some(Cow::Owned(text)))
}
