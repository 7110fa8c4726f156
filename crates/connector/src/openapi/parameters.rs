//! Parameters of an operation: path, query and header; what Swagger 2 puts in a body is handed on.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::arguments::{Argument, MAX_ARGUMENTS};
use super::document::{Dialect, Document, Notes};
use super::security::Secrets;
use super::template::Template;
use super::text;
use crate::definition::{Place, Style};
use crate::text::{is_owned_header, is_token};

/// Parameters of one operation, sorted by where they go.
#[derive(Default)]
pub(super) struct Parameters<'d> {
    pub arguments: Vec<Argument<'d>>,
    /// Swagger 2 `in: body`.
    pub body: Option<&'d Map<String, Value>>,
    /// Swagger 2 `in: formData`.
    pub form: Vec<&'d Map<String, Value>>,
}

/// Merges the parameters of the path item and the operation (the operation's win) and adds those that only the path names.
/// `at` is what warnings call the operation. An error is the reason why the operation cannot be an action.
pub(super) fn collect<'d>(
    document: &'d Document,
    notes: &mut Notes,
    secrets: &Secrets,
    at: &str,
    holders: [&'d Value; 2],
    template: &Template,
) -> Result<Parameters<'d>, String> {
    let mut collector = Collector { document, notes, secrets, at, template, out: Parameters::default() };
    for raw in collector.declared(holders)? {
        collector.add(raw)?;
    }
    collector.undeclared();
    let mut out = collector.out;
    let mut seen = HashSet::new();
    out.arguments.retain(|argument| seen.insert((argument.place, argument.wire.clone())));
    // What identifies comes first, then what is needed.
    out.arguments.sort_by_key(|argument| (argument.place != Place::Path, !argument.required));
    Ok(out)
}

struct Collector<'c, 'd> {
    document: &'d Document,
    notes: &'c mut Notes,
    secrets: &'c Secrets,
    at: &'c str,
    template: &'c Template,
    out: Parameters<'d>,
}

impl<'d> Collector<'_, 'd> {
    fn warn(&mut self, what: &str) {
        self.notes.warn(format!("{}: {what}.", self.at));
    }

    /// Resolved declarations, each (place, name) once.
    fn declared(&mut self, holders: [&'d Value; 2]) -> Result<Vec<&'d Map<String, Value>>, String> {
        let mut found: Vec<&Map<String, Value>> = Vec::new();
        for list in holders.iter().filter_map(|holder| holder.get("parameters")?.as_array()) {
            if list.len() > MAX_ARGUMENTS {
                return Err(format!("it has more than {MAX_ARGUMENTS} parameters"));
            }
            let known = found.len();
            for raw in list {
                let parameter = self.document.follow(raw).map_err(|problem| format!("a parameter is missing: {}", problem.sentence()))?;
                let Some(parameter) = parameter.as_object().filter(|parameter| parameter.get("name").is_some_and(Value::is_string)) else {
                    self.warn("a parameter without a name was left out");
                    continue;
                };
                match found.iter().position(|other| same(other, parameter)) {
                    None => found.push(parameter),
                    // Those of the path item stand behind those of the operation, which replace them.
                    Some(at) if at >= known && found.get(at).is_some_and(|first| *first != parameter) => {
                        let text =
                            |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default().chars().take(80).collect::<String>();
                        let what =
                            format!("the parameter \"{}\" in \"{}\" is declared twice; the first one counts", text("name"), text("in"));
                        self.warn(&what);
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(found)
    }

    fn add(&mut self, raw: &'d Map<String, Value>) -> Result<(), String> {
        let text = |key: &str| raw.get(key).and_then(Value::as_str).unwrap_or_default();
        let (name, place) = (text("name"), text("in"));
        let needed = raw.get("required") == Some(&Value::Bool(true));
        if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
            self.warn("a parameter whose name is empty or not printable was left out");
            return Ok(());
        }
        let secret = place != "path" && self.secrets.carries(name, place, text("description"));
        if secret {
            self.notes.warn(format!("The {place} parameter \"{name}\" carries the credential and was left out."));
            return Ok(());
        }
        let mut wire = name;
        let kind = match place {
            "path" if self.template.names.iter().any(|known| known == name) => Place::Path,
            "path" => match self.template.query.iter().find(|(_, known)| known == name) {
                Some((key, _)) => {
                    wire = key;
                    Place::Query
                }
                None => {
                    self.warn(&format!("the path parameter \"{name}\" does not occur in the path and was left out"));
                    return Ok(());
                }
            },
            "query" => Place::Query,
            // Set by the engine: the specification says to ignore them.
            "header" if ["accept", "content-type", "authorization"].contains(&name.to_ascii_lowercase().as_str()) => return Ok(()),
            "header" if name.eq_ignore_ascii_case("cookie") && needed => return Err("it requires cookies, and they are not sent".into()),
            "header" if is_owned_header(name) => {
                self.warn(&format!("the header \"{name}\" belongs to the connection; it is no argument"));
                return Ok(());
            }
            "header" if !is_token(name) && needed => {
                return Err(format!("it requires the header \"{name}\", and no header can have that name"));
            }
            "header" if !is_token(name) => {
                self.warn(&format!("the parameter \"{name}\" was left out, because no header can have that name"));
                return Ok(());
            }
            "header" => Place::Header,
            "body" => {
                self.out.body = self.out.body.or(Some(raw));
                return Ok(());
            }
            "formData" | "form" => {
                self.out.form.push(raw);
                return Ok(());
            }
            "cookie" if needed => {
                return Err(format!("it requires the cookie \"{name}\", and cookies are not sent"));
            }
            other => {
                let other: String = other.chars().take(40).collect();
                self.warn(&format!("the parameter \"{name}\" in \"{other}\" was left out"));
                return Ok(());
            }
        };
        let (schema, style) = schema(self.document, raw, kind);
        self.out.arguments.push(Argument {
            required: needed || kind == Place::Path,
            description: text::describe(text("description"), text::PARAMETER),
            style,
            ..Argument::new(wire, kind, schema)
        });
        Ok(())
    }

    /// Variables of the template that no parameter declares.
    fn undeclared(&mut self) {
        let template = self.template;
        let query = template.query.iter().map(|(key, name)| (key, name, Place::Query));
        for (wire, name, place) in template.names.iter().map(|name| (name, name, Place::Path)).chain(query) {
            if !self.out.arguments.iter().any(|argument| argument.place == place && argument.wire == *wire) {
                self.warn(&format!("the path names {{{name}}} but no parameter declares it; it became a required text"));
                let schema = Cow::Owned(json!({ "type": "string" }));
                self.out.arguments.push(Argument { required: true, ..Argument::new(wire, place, schema) });
            }
        }
    }
}

/// One place, one name; names of headers do not differ by case.
fn same(one: &Map<String, Value>, other: &Map<String, Value>) -> bool {
    let text = |map: &Map<String, Value>, key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (name, place) = (text(one, "name"), text(one, "in"));
    place == text(other, "in") && (name == text(other, "name") || (place == "header" && name.eq_ignore_ascii_case(&text(other, "name"))))
}

/// The schema of a parameter and how its value is written.
fn schema<'d>(document: &'d Document, raw: &'d Map<String, Value>, place: Place) -> (Cow<'d, Value>, Option<Style>) {
    if let Some(media) = raw.get("content").and_then(Value::as_object).and_then(|content| content.values().next()) {
        return (Cow::Borrowed(media.get("schema").unwrap_or(&Value::Null)), Some(Style::Json));
    }
    if let Some(schema) = raw.get("schema") {
        let style = style(document, raw, schema, place);
        let example = raw.get("example").filter(|_| schema.get("example").is_none() && schema.get("$ref").is_none());
        return match (example, schema) {
            (Some(example), Value::Object(map)) if map.len() < 20 && super::repair::small(example) => {
                let mut map = map.clone();
                map.insert("example".into(), example.clone());
                (Cow::Owned(Value::Object(map)), style)
            }
            _ => (Cow::Borrowed(schema), style),
        };
    }
    if document.dialect == Dialect::Swagger2 || raw.contains_key("type") {
        return (Cow::Owned(inline(raw)), collection(raw, place));
    }
    (Cow::Owned(json!({ "type": "string" })), None)
}

/// Swagger 2 writes the schema of a parameter into the parameter itself.
pub(super) fn inline(raw: &Map<String, Value>) -> Value {
    let outer = ["name", "in", "required", "description", "collectionFormat", "allowEmptyValue"];
    raw.iter()
        .filter(|(key, _)| !outer.contains(&key.as_str()) && !key.starts_with("x-"))
        .take(30)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// OpenAPI 3 `style` and `explode`; only what differs from repeating is said.
pub(super) fn style(document: &Document, raw: &Map<String, Value>, schema: &Value, place: Place) -> Option<Style> {
    let schema = document.follow(schema).ok()?;
    let says = |kind: &str| match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|one| one == kind),
        Some(one) => one == kind,
        None => false,
    };
    let list = says("array") || schema.get("items").is_some();
    let object = says("object") || schema.get("properties").is_some();
    if !list && !object && raw.get("style").is_none() {
        return None;
    }
    let spelled = raw.get("style").and_then(Value::as_str).unwrap_or(if place == Place::Query { "form" } else { "simple" });
    let explode = raw.get("explode").and_then(Value::as_bool).unwrap_or(spelled == "form" || spelled == "deepObject");
    match spelled {
        "deepObject" => Some(Style::Deep),
        "spaceDelimited" => Some(Style::Space),
        "pipeDelimited" => Some(Style::Pipe),
        "simple" | "label" | "matrix" if list || object => Some(Style::Comma),
        // `a=1&b=2`, the members without the name of the parameter.
        "form" if object => Some(if explode { Style::Repeat } else { Style::Comma }),
        "form" if list && !explode => Some(Style::Comma),
        _ => None,
    }
}

/// Swagger 2 `collectionFormat`, whose default is `csv`.
pub(super) fn collection(raw: &Map<String, Value>, place: Place) -> Option<Style> {
    if raw.get("type").and_then(Value::as_str) != Some("array") {
        return None;
    }
    match raw.get("collectionFormat").and_then(Value::as_str) {
        Some("multi") if place != Place::Path => None,
        Some("ssv") => Some(Style::Space),
        Some("pipes") => Some(Style::Pipe),
        _ => Some(Style::Comma),
    }
}
