//! What comes from files, standard input and `name=value` flags.

use std::{
    fs::File,
    io::{Read, stdin},
};

use serde_json::{Map, Value};

use super::{
    failure::{Failure, Result},
    terminal,
};

/// Largest document that a node takes, in bytes.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Everything in a file, or in standard input for `-`; at most 64 MB.
pub fn read(source: &str) -> Result<Vec<u8>> {
    let cannot = |e: std::io::Error| Failure::usage(format!("cannot read {source:?}: {e}"));
    let mut bytes = Vec::new();
    let mut take = |reader: &mut dyn Read| reader.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(cannot);
    if source == "-" {
        take(&mut stdin().lock())?
    } else {
        take(&mut File::open(source).map_err(cannot)?)?
    };
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Failure::usage(format!("{source:?} is larger than 64 MB, the most that a node takes")));
    }
    Ok(bytes)
}

/// A JSON object that is given itself, by the name of a file, or as `-` on standard input.
pub fn object(flag: &str, source: &str) -> Result<Map<String, Value>> {
    let bytes = if source.trim_start().starts_with('{') { source.as_bytes().to_vec() } else { read(source)? };
    serde_json::from_slice(&bytes).map_err(|e| Failure::usage(format!("{flag} must be a JSON object, a file with one, or `-`: {e}")))
}

/// `name=value`. The error does not repeat the text, which may be a secret.
pub fn pair<'a>(flag: &str, text: &'a str) -> Result<(&'a str, &'a str)> {
    text.split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| Failure::usage(format!("{flag} takes name=value, and one of them has no name or no `=`")))
}

/// A value that may be secret: itself, `@FILE`, or `-` to be asked for it.
pub async fn secret(name: &str, value: &str) -> Result<String> {
    if value == "-" {
        return terminal::secret(name).await;
    }
    let Some(path) = value.strip_prefix('@') else { return Ok(value.to_owned()) };
    let text = String::from_utf8(read(path)?).map_err(|_| Failure::usage(format!("the file for `{name}` is not text")))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// JSON where the text is JSON and nothing of it gets lost, else the text itself: `1712345678.123400` is a time stamp of Slack, and
/// as a number it would end in `.1234`.
pub fn loose(text: &str) -> Value {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Number(number)) if number.to_string() != text.trim() => text.into(),
        Ok(value) => value,
        Err(_) => text.into(),
    }
}

/// The arguments that `--param` gives, each read by itself. What an action takes is not known here: `typed` is.
pub fn arguments(params: &[String]) -> Result<Map<String, Value>> {
    let mut arguments = Map::new();
    for text in params {
        let (name, value) = pair("--param", text)?;
        if arguments.insert(name.to_owned(), loose(value)).is_some() {
            return Err(Failure::usage(format!("the argument `{name}` is given twice")).with_next("give a list as JSON: name='[1, 2]'"));
        }
    }
    Ok(arguments)
}

/// The same arguments with text where the action's schema takes text: `12` is one, and what quotes make one is without them.
pub fn typed(mut arguments: Map<String, Value>, params: &[String], schema: &Value) -> Result<Map<String, Value>> {
    for text in params {
        let (name, text) = pair("--param", text)?;
        if let Some(value) = arguments.get_mut(name).filter(|value| is_text(&schema["properties"][name], value)) {
            *value = text.into();
        }
    }
    Ok(arguments)
}

/// Whether what reads as this value is text to a schema: it takes text, and nothing of the value's own kind.
fn is_text(schema: &Value, value: &Value) -> bool {
    let own: &[&str] = match value {
        Value::Null => &["null"],
        Value::Bool(_) => &["boolean"],
        Value::Number(_) => &["integer", "number"],
        Value::String(_) => return false,
        Value::Array(_) => &["array"],
        Value::Object(_) => &["object"],
    };
    let kinds = kinds(schema);
    kinds.contains(&"string") && !kinds.iter().any(|kind| own.contains(kind))
}

/// The types that a schema names, itself or by its alternatives.
fn kinds(schema: &Value) -> Vec<&str> {
    let all = |member: &str| schema[member].as_array().into_iter().flatten();
    let named = schema["type"].as_str().into_iter().chain(all("type").filter_map(Value::as_str));
    named.chain(all("anyOf").chain(all("oneOf")).filter_map(|one| one["type"].as_str())).collect()
}

/// The entries of a list flag, without empty ones: `''` is the empty list.
pub fn entries(list: &[String]) -> Vec<&str> {
    list.iter().map(|entry| entry.trim()).filter(|entry| !entry.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_becomes_json_only_where_nothing_is_lost() {
        assert_eq!(loose("3"), json!(3));
        assert_eq!(loose("1.5"), json!(1.5));
        assert_eq!(loose("true"), json!(true));
        assert_eq!(loose(r#"["a"]"#), json!(["a"]));
        assert_eq!(loose(r#""3""#), json!("3"));
        assert_eq!(loose("1712345678.123400"), json!("1712345678.123400"));
        assert_eq!(loose("123456789012345678901234"), json!("123456789012345678901234"));
        assert_eq!(loose("hello"), json!("hello"));
        assert_eq!(loose(""), json!(""));
    }

    #[test]
    fn text_stays_text_where_the_schema_takes_no_other() {
        for (schema, text, expected) in [
            (json!({ "type": "string" }), "1", true),
            (json!({ "type": "string" }), "null", true),
            (json!({ "type": "string" }), "[1]", true),
            (json!({ "type": ["string", "null"] }), "1", true),
            (json!({ "type": ["string", "null"] }), "null", false),
            (json!({ "type": ["string", "integer"] }), "1", false),
            (json!({ "anyOf": [{ "type": "string" }, { "type": "null" }] }), "true", true),
            (json!({ "oneOf": [{ "type": "string" }, { "type": "number" }] }), "1", false),
            (json!({ "type": "integer" }), "1", false),
            (json!({}), "1", false),
        ] {
            assert_eq!(is_text(&schema, &loose(text)), expected, "{schema} {text}");
        }
    }

    #[test]
    fn a_pair_without_equals_does_not_show_its_text() {
        assert_eq!(pair("--field", "a=b=c").unwrap(), ("a", "b=c"));
        assert!(!format!("{:?}", pair("--field", "s3cret").unwrap_err()).contains("s3cret"));
        assert!(pair("--field", "=x").is_err());
    }

    #[test]
    fn an_empty_text_is_the_empty_list() {
        assert_eq!(entries(&[String::new()]), Vec::<&str>::new());
        assert_eq!(entries(&["a".into(), " b".into()]), ["a", "b"]);
    }
}
