//! What a definition must hold to be loaded. The engine relies on it: what passes here cannot make a request leave its host and path.

use std::collections::HashSet;

use serde_json::Value;
use url::Url;

use crate::check_action::check_action;
use crate::definition::{AuthKind, AuthScheme, Definition, SecretPlace, Variable, VariableKind};
use crate::parse::Problem;
use crate::template::{Piece, pieces};
use crate::text::{closest, is_header_value, is_owned_header, is_token, name};
use crate::variables;

/// More problems than a person reads at once are not collected.
const MOST: usize = 100;

/// The problems found so far.
#[derive(Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn add(&mut self, place: impl Into<String>, message: impl Into<String>) {
        if self.0.len() < MOST {
            self.0.push(Problem { line: None, place: place.into(), message: message.into() });
        }
    }
}

/// All problems of a definition, at most 100; none when it can be loaded.
#[must_use]
pub fn check(definition: &Definition) -> Vec<Problem> {
    let mut problems = Problems::default();
    if !is_id(&definition.id) {
        problems.add("id", "An id is 1 to 64 letters, digits, `_` and `-`, and begins with a letter or digit.");
    }
    if definition.name.trim().is_empty() {
        problems.add("name", "Give the connector a name that people know the platform by.");
    }
    check_variables(&mut problems, definition);
    check_base_url(&mut problems, definition);
    check_headers(&mut problems, definition);
    for scheme in &definition.auth {
        check_scheme(&mut problems, scheme);
    }
    if let Some(failure) = &definition.failure {
        check_pointer(&mut problems, "failure.pointer", &failure.pointer);
        if let Some(message) = &failure.message {
            check_pointer(&mut problems, "failure.message", message);
        }
    }
    for (id, action) in &definition.actions {
        check_action(&mut problems, id, action, definition);
    }
    problems.0
}

fn is_id(id: &str) -> bool {
    id.len() <= 64
        && id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

fn check_variables(problems: &mut Problems, definition: &Definition) {
    for (key, variable) in &definition.variables {
        let place = format!("variables.{}", name(key));
        if key.is_empty() || key.len() > 64 || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            problems.add(&place, "The name of a variable is 1 to 64 letters, digits, `_` and `-`.");
        }
        // Both are entered with the credential, under their names.
        if definition.auth.iter().any(|scheme| scheme.field_names().any(|field| field == key)) {
            problems.add(&place, "A variable cannot have the name of a credential's field; rename it.");
        }
        let values = variable.default.iter().chain(&variable.choices);
        for value in values.filter(|value| !value.is_empty()) {
            if let Err(message) = variables::judge(key, variable, value) {
                problems.add(&place, message);
            }
        }
    }
}

/// The base URL is judged with a harmless value in the place of every variable.
fn check_base_url(problems: &mut Problems, definition: &Definition) {
    const PLACE: &str = "base_url";
    let base = definition.base_url.as_str();
    let parts = match pieces(base) {
        Ok(parts) => parts,
        Err(message) => return problems.add(PLACE, message),
    };
    let mut sample = String::new();
    for (index, part) in parts.iter().enumerate() {
        let key = match part {
            Piece::Text(text) => {
                sample.push_str(text);
                continue;
            }
            Piece::Name(key) => *key,
        };
        let Some(variable) = declared(problems, PLACE, key, definition) else {
            return;
        };
        let rest = parts.get(index + 1);
        if let Some(message) = misplaced(variable, &sample, rest, key) {
            return problems.add(PLACE, message);
        }
        sample.push_str(match variable.kind {
            VariableKind::Url => "https://example.org",
            VariableKind::Host => "example.org",
            VariableKind::Label | VariableKind::Text => "a1",
        });
    }
    check_sample_url(problems, &sample);
}

/// Why a variable may not stand where it does, given the sample URL before it and the piece after it.
fn misplaced(variable: &Variable, before: &str, after: Option<&Piece<'_>>, key: &str) -> Option<String> {
    let in_path = before.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    let ends = match after {
        None => true,
        Some(Piece::Text(text)) => text.starts_with('/'),
        Some(Piece::Name(_)) => false,
    };
    match variable.kind {
        VariableKind::Url if !before.is_empty() || !ends => {
            Some(format!("`{{{key}}}` is of kind `url`: it is the whole start of the base URL, and only a `/` may follow."))
        }
        VariableKind::Host if !before.ends_with("://") || !ends => {
            Some(format!("`{{{key}}}` is of kind `host`: it stands right after `https://`, and only a `/` may follow."))
        }
        VariableKind::Text if !in_path => {
            Some(format!("`{{{key}}}` is of kind `text`: it may stand in the path of the base URL or in `headers`, not in the host."))
        }
        VariableKind::Label if !before.contains("://") => {
            Some("The base URL begins with `https://`, `http://` or a variable of kind `url`.".to_owned())
        }
        _ => None,
    }
}

fn check_sample_url(problems: &mut Problems, sample: &str) {
    const PLACE: &str = "base_url";
    if !(sample.starts_with("https://") || sample.starts_with("http://")) {
        return problems.add(PLACE, "The base URL begins with `https://`, `http://` or a variable of kind `url`.");
    }
    if let Some(odd) = sample.chars().find(|c| !c.is_ascii_graphic() || "\\?#\"<>^`{|}".contains(*c)) {
        return problems.add(PLACE, format!("The base URL holds {odd:?}; it is scheme, host, port and path only, percent-encoded."));
    }
    match Url::parse(sample) {
        Err(error) => problems.add(PLACE, format!("The base URL is not a URL: {error}.")),
        Ok(url) if !url.username().is_empty() || url.password().is_some() || sample.contains("@") && !url.path().contains('@') => {
            problems.add(PLACE, "The base URL holds user information; credentials belong in `auth`.");
        }
        Ok(url) => {
            let written = sample.split_once("://").and_then(|(_, rest)| rest.find('/').and_then(|at| rest.get(at..))).unwrap_or("/");
            if url.path() != written || written.contains("//") {
                problems.add(PLACE, "The path of the base URL holds `.`, `..` or an empty segment; write it out.");
            }
        }
    }
}

/// The variable of that name, or a problem.
fn declared<'a>(problems: &mut Problems, place: &str, key: &str, definition: &'a Definition) -> Option<&'a Variable> {
    let variable = definition.variables.get(key);
    if variable.is_none() {
        let hint = closest(key, definition.variables.keys().map(String::as_str));
        let hint = hint.map_or_else(|| format!("add it under `variables.{}`", name(key)), |other| format!("did you mean `{other}`?"));
        problems.add(place, format!("`{{{}}}` is not a declared variable; {hint}", name(key)));
    }
    variable
}

fn check_headers(problems: &mut Problems, definition: &Definition) {
    let mut seen = HashSet::new();
    for (header, value) in &definition.headers {
        let place = format!("headers.{}", name(header));
        check_header_name(problems, &place, header);
        if !seen.insert(header.to_ascii_lowercase()) {
            problems.add(&place, "This header stands twice; header names do not differ by case.");
        }
        if !is_header_value(value) {
            problems.add(&place, "A header's value is visible ASCII on one line.");
        }
        match pieces(value) {
            Err(message) => problems.add(&place, message),
            Ok(parts) => {
                for part in parts {
                    if let Piece::Name(key) = part {
                        declared(problems, &place, key, definition);
                    }
                }
            }
        }
    }
}

/// A header that a definition may name: a token that is not the engine's own.
pub(crate) fn check_header_name(problems: &mut Problems, place: &str, header: &str) {
    if !is_token(header) {
        problems.add(place, "A header's name holds letters, digits and !#$%&'*+-.^_`|~ only.");
    } else if is_owned_header(header) {
        problems.add(place, format!("`{header}` belongs to the connection and is set by the engine; leave it out."));
    }
}

fn check_scheme(problems: &mut Problems, scheme: &AuthScheme) {
    let place = format!("auth.{}", scheme.kind.as_str());
    if scheme.kind == AuthKind::ApiKey && scheme.send.is_empty() {
        problems.add(
            &place,
            "An `apiKey` scheme says in `send` where the key goes: `{field = \"apiKey\", in = \"header\", name = \"X-Api-Key\"}`.",
        );
    }
    for sent in &scheme.send {
        let place = format!("{place}.send.{}", name(&sent.name));
        if !scheme.field_names().any(|field| field == sent.field) {
            let known = scheme.field_names().collect::<Vec<_>>().join("`, `");
            problems.add(&place, format!("`{}` is not a field of this scheme; it has `{known}`.", name(&sent.field)));
        }
        if !is_header_value(&sent.prefix) {
            problems.add(&place, "A prefix is visible ASCII on one line.");
        }
        match sent.place {
            SecretPlace::Header => check_header_name(problems, &place, &sent.name),
            SecretPlace::Query if sent.name.is_empty() => problems.add(&place, "Name the query parameter."),
            SecretPlace::Query => {}
        }
    }
    match &scheme.oauth2 {
        Some(_) if scheme.kind != AuthKind::OAuth2 => problems.add(&place, "`oauth2` belongs to a scheme of type `oauth2` only."),
        Some(oauth2) => {
            for (key, value) in [("authorize_url", &oauth2.authorize_url), ("token_url", &oauth2.token_url)] {
                if !value.contains('{') && !Url::parse(value).is_ok_and(|url| matches!(url.scheme(), "https" | "http")) {
                    problems.add(format!("{place}.oauth2.{key}"), "Write a full https URL.");
                }
            }
        }
        None => {}
    }
}

/// RFC 6901: empty, or begins with `/`, and `~` only in `~0` and `~1`.
pub(crate) fn check_pointer(problems: &mut Problems, place: &str, pointer: &str) {
    let well_formed = pointer.is_empty() || pointer.starts_with('/');
    let escapes = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if !well_formed || !escapes {
        problems.add(place, "A JSON pointer is empty or begins with `/`, and writes `~` as `~0` and `/` in a name as `~1`: `/data/items`.");
    }
}

/// How deep a schema may nest.
const SCHEMA_DEPTH: usize = 64;

/// A schema is an object or a boolean, of bounded depth, and points only into itself.
pub(crate) fn check_schema(problems: &mut Problems, place: &str, schema: &Value) {
    if !schema.is_object() && !schema.is_boolean() {
        return problems.add(place, "A schema is an object (or true or false).");
    }
    let mut open = vec![(schema, 0_usize)];
    while let Some((value, depth)) = open.pop() {
        if depth > SCHEMA_DEPTH {
            return problems.add(place, format!("The schema nests deeper than {SCHEMA_DEPTH} levels; simplify it."));
        }
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(members) => {
                for (key, member) in members {
                    if let Value::String(target) = member
                        && matches!(key.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef")
                        && target.strip_prefix('#').is_none_or(|pointer| schema.pointer(&unescape(pointer)).is_none())
                    {
                        problems.add(place, format!("The reference `{}` does not lead into the schema itself.", name(target)));
                    }
                    if !matches!(key.as_str(), "enum" | "const" | "default" | "example" | "examples") {
                        open.push((member, depth + 1));
                    }
                }
            }
            _ => {}
        }
    }
}

fn unescape(pointer: &str) -> String {
    percent_encoding::percent_decode_str(pointer).decode_utf8_lossy().into_owned()
}
