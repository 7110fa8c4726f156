//! What a definition must hold to be loaded. The engine relies on it: what passes here cannot make a request leave its host and path.

use std::collections::HashSet;

use serde_json::Value;

use crate::check_action::check_action;
use crate::check_auth::check_auth;
use crate::check_url::check_url;
use crate::definition::{Definition, Difference, Failure, RateLimit, Variable};
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
    check_url(&mut problems, "base_url", &definition.base_url, definition);
    check_headers(&mut problems, definition);
    check_auth(&mut problems, definition);
    check_failure(&mut problems, "failure", definition.failure.as_ref());
    check_errors(&mut problems, definition);
    check_rate_limit(&mut problems, "rate_limit", definition.rate_limit.as_ref());
    check_vendor(&mut problems, definition);
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
        if variable.optional && variable.default.is_some() {
            problems.add(&place, "A variable with a default need not be given anyway; leave `optional` or `default` out.");
        }
        if !definition.uses(key) {
            problems.add(
                &place,
                format!("`{{{}}}` stands nowhere; use it in a URL, in `headers` or in `send`, or leave the variable out.", name(key)),
            );
        }
        let values = variable.default.iter().chain(&variable.choices);
        for value in values.filter(|value| !value.is_empty()) {
            if let Err(message) = variables::judge(key, variable, value) {
                problems.add(&place, message);
            }
        }
    }
}

/// The variable of that name, or a problem.
pub(crate) fn declared<'a>(problems: &mut Problems, place: &str, key: &str, definition: &'a Definition) -> Option<&'a Variable> {
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
    if let Some(header) = &definition.idempotency_header {
        check_header_name(problems, "idempotency_header", header);
        if seen.contains(&header.to_ascii_lowercase()) {
            problems.add("idempotency_header", "This header is fixed in `headers`; leave one of them out.");
        }
    }
}

/// The pointers of a rule about answers that fail; `place` is where it stands.
pub(crate) fn check_failure(problems: &mut Problems, place: &str, failure: Option<&Failure>) {
    let Some(failure) = failure else { return };
    check_pointer(problems, &format!("{place}.pointer"), &failure.pointer);
    if let Some(message) = &failure.message {
        check_pointer(problems, &format!("{place}.message"), message);
    }
}

fn check_errors(problems: &mut Problems, definition: &Definition) {
    let Some(errors) = &definition.errors else { return };
    errors.code.iter().for_each(|pointer| check_pointer(problems, "errors.code", pointer));
    if let Some(message) = &errors.message {
        check_pointer(problems, "errors.message", message);
    }
    for (code, meaning) in &errors.meanings {
        let place = format!("errors.meanings.{}", name(code));
        if meaning.trim().is_empty() || !meaning.ends_with(['.', '!', '?']) {
            problems.add(&place, "Say in whole sentences what the code means and what to do.");
        }
        let is_status = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
        if errors.code.is_empty() && !is_status {
            problems
                .add(&place, "Only HTTP statuses can be told apart without `errors.code`, which says where the platform's code stands.");
        }
    }
}

/// A rate limit that can be waited for; `place` is where it stands.
pub(crate) fn check_rate_limit(problems: &mut Problems, place: &str, limit: Option<&RateLimit>) {
    let Some(limit) = limit else { return };
    if limit.requests == 0 || limit.seconds == 0 {
        problems.add(place, "A rate limit is at least one request in at least one second.");
    }
    if let Some(wait) = &limit.wait {
        check_pointer(problems, &format!("{place}.wait"), wait);
    }
    if limit.reset_header.as_ref().is_some_and(|header| !is_token(header)) {
        problems.add(format!("{place}.reset_header"), "This is not the name of a header.");
    }
    if limit.remaining_header.as_ref().is_some_and(|header| !is_token(header)) {
        problems.add(format!("{place}.remaining_header"), "This is not the name of a header.");
    }
    if limit.status.is_some_and(|status| !(400..600).contains(&status) || status == 429) {
        problems.add(format!("{place}.status"), "This is a status of a failed answer other than 429, which always means a limit.");
    }
    if limit.remaining_header.is_some() != limit.status.is_some() {
        problems.add(place, "`status` and `remaining_header` go together: the header tells a limit from other failures of that status.");
    }
}

fn check_vendor(problems: &mut Problems, definition: &Definition) {
    let Some(vendor) = &definition.vendor else { return };
    if vendor.documents.iter().any(|file| file.is_empty() || file.contains(['/', '\\'])) {
        problems.add("vendor.documents", "Write names of files, without folders.");
    }
    if vendor.documents.is_empty() == vendor.by_hand.is_none() {
        problems.add("vendor", "Name the vendor's `documents`, or say in `by_hand` which reference was read instead.");
    }
    check_differences(problems, "vendor", &vendor.differs);
}

/// Differences that are explained, each once; `place` is what they belong to.
pub(crate) fn check_differences(problems: &mut Problems, place: &str, differs: &[Difference]) {
    let mut seen = HashSet::new();
    for difference in differs {
        if difference.what.trim().is_empty() || difference.why.trim().is_empty() {
            problems.add(format!("{place}.differs"), "A difference has `what`, as the check names it, and `why` the connector is right.");
        }
        if !seen.insert(difference.what.as_str()) {
            problems.add(format!("{place}.differs"), format!("The difference `{}` stands twice.", name(&difference.what)));
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
