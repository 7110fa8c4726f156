//! The body of a request: one content type is chosen, and a plain object becomes one argument per property.

use std::borrow::Cow;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::arguments::{Argument, MAX_ARGUMENTS};
use super::document::{Document, Notes};
use super::expand::{self, Direction};
use super::parameters::{self, Parameters};
use super::security::Secrets;
use super::text;
use crate::definition::{BodyKind, Method, Place, Style};

/// The most schemas that `allOf` may bring together at the top of a body.
const MAX_PARTS: usize = 60;

/// How the body is sent and its arguments.
pub(super) type Body<'d> = (Option<BodyKind>, Vec<Argument<'d>>);

/// A body, and whether the document requires one.
struct Declared<'d> {
    kind: Option<BodyKind>,
    arguments: Vec<Argument<'d>>,
    needed: bool,
}

impl Declared<'_> {
    const NONE: Self = Self { kind: None, arguments: Vec::new(), needed: false };
}

/// Reads `requestBody`, or what Swagger 2 declares among its parameters. An error is the reason for leaving the operation out.
pub(super) fn read<'d>(
    document: &'d Document,
    notes: &mut Notes,
    secrets: &Secrets,
    (method, operation): (Method, &'d Value),
    old: &Parameters<'d>,
    at: &str,
) -> Result<Body<'d>, String> {
    let Declared { kind, arguments, needed } = declared(document, notes, secrets, operation, old)?;
    let needed = needed || arguments.iter().any(|argument| argument.required);
    match method {
        Method::Get | Method::Head if needed => Err("it needs a body, which GET and HEAD do not have".into()),
        Method::Get | Method::Head => {
            if !arguments.is_empty() {
                notes.warn(format!("{at}: the body was left out, because GET and HEAD have none."));
            }
            Ok((None, Vec::new()))
        }
        // What cannot be filled in is not sent, unless the platform asks for it.
        _ if arguments.is_empty() && (!needed || kind != Some(BodyKind::Json)) => Ok((None, arguments)),
        _ => Ok((kind, arguments)),
    }
}

fn declared<'d>(
    document: &'d Document,
    notes: &mut Notes,
    secrets: &Secrets,
    operation: &'d Value,
    old: &Parameters<'d>,
) -> Result<Declared<'d>, String> {
    if let Some(raw) = operation.get("requestBody") {
        let body = document.follow(raw).map_err(|problem| format!("its body is unknown: {}", problem.sentence()))?;
        return Ok(content(document, notes, secrets, body));
    }
    let consumes = operation.get("consumes").or_else(|| document.root.get("consumes")).and_then(Value::as_array);
    let accepts =
        |wanted: BodyKind| consumes.is_some_and(|list| list.iter().take(20).filter_map(Value::as_str).any(|media| kind(media) == wanted));
    if let Some(raw) = old.body {
        let schema = raw.get("schema").unwrap_or(&Value::Null);
        let first = consumes.and_then(|list| list.first()).and_then(Value::as_str).map_or(BodyKind::Json, kind);
        let kind = if accepts(BodyKind::Json) { BodyKind::Json } else { first };
        let needed = raw.get("required") == Some(&Value::Bool(true));
        let description = raw.get("description").and_then(Value::as_str).unwrap_or_default();
        let arguments = arguments(document, notes, secrets, kind, schema, None, needed, description);
        return Ok(Declared { kind: Some(kind), arguments, needed });
    }
    if old.form.is_empty() {
        return Ok(Declared::NONE);
    }
    let file = old.form.iter().any(|raw| raw.get("type").and_then(Value::as_str) == Some("file"));
    let multipart = file || (accepts(BodyKind::Multipart) && !accepts(BodyKind::Form));
    let kind = if multipart { BodyKind::Multipart } else { BodyKind::Form };
    let list = old.form.iter().map(|raw| Argument {
        wire: raw.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
        place: Place::Body,
        required: raw.get("required") == Some(&Value::Bool(true)),
        description: raw.get("description").and_then(Value::as_str).map_or_else(String::new, |text| text::describe(text, text::PARAMETER)),
        schema: Cow::Owned(parameters::inline(raw)),
        style: parameters::collection(raw, Place::Body),
        whole: false,
        file: raw.get("type").and_then(Value::as_str) == Some("file"),
    });
    Ok(Declared { kind: Some(kind), arguments: list.collect(), needed: false })
}

/// The kind of a content type.
fn kind(media: &str) -> BodyKind {
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media.as_str() {
        "application/json" | "*/*" | "text/json" | "application/*" => BodyKind::Json,
        "application/x-www-form-urlencoded" => BodyKind::Form,
        "multipart/form-data" => BodyKind::Multipart,
        media if media.ends_with("+json") => BodyKind::Json,
        media if media.starts_with("text/") => BodyKind::Text,
        _ => BodyKind::Binary,
    }
}

fn content<'d>(document: &'d Document, notes: &mut Notes, secrets: &Secrets, body: &'d Value) -> Declared<'d> {
    let Some(content) = body.get("content").and_then(Value::as_object) else {
        return Declared { needed: body.get("required") == Some(&Value::Bool(true)), ..Declared::NONE };
    };
    let rank = |kind: BodyKind| match kind {
        BodyKind::Json => 0,
        BodyKind::Form => 1,
        BodyKind::Multipart => 2,
        BodyKind::Text => 3,
        BodyKind::Binary => 4,
    };
    // Exactly `application/json` comes before its relatives.
    let best = content.iter().take(50).min_by_key(|(media, _)| (rank(kind(media)), !media.starts_with("application/json")));
    let Some((media, described)) = best else {
        return Declared { needed: body.get("required") == Some(&Value::Bool(true)), ..Declared::NONE };
    };
    let kind = kind(media);
    let needed = body.get("required") == Some(&Value::Bool(true));
    let description = body.get("description").and_then(Value::as_str).unwrap_or_default();
    let schema = described.get("schema").unwrap_or(&Value::Null);
    let encoding = described.get("encoding").and_then(Value::as_object);
    let arguments = arguments(document, notes, secrets, kind, schema, encoding, needed, description);
    Declared { kind: Some(kind), arguments, needed }
}

#[expect(clippy::too_many_arguments, reason = "the parts of one body, each read elsewhere in the two dialects")]
fn arguments<'d>(
    document: &'d Document,
    notes: &mut Notes,
    secrets: &Secrets,
    kind: BodyKind,
    schema: &'d Value,
    encoding: Option<&'d Map<String, Value>>,
    needed: bool,
    description: &str,
) -> Vec<Argument<'d>> {
    let flat = matches!(kind, BodyKind::Json | BodyKind::Form | BodyKind::Multipart);
    if let Some(object) = flat.then(|| plain_object(document, schema)).flatten() {
        let mut list = Vec::new();
        for (name, schema) in object.properties {
            let property = document.follow(&schema).ok();
            let text = |key: &str| schema.get(key).or_else(|| property?.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned();
            if secrets.carries_in_body(&name) {
                continue;
            }
            if kind != BodyKind::Json && secrets.carries(&name, "form", &text("description")) {
                notes.warn(format!("The form field \"{name}\" carries the credential and was left out."));
                continue;
            }
            list.push(Argument {
                place: Place::Body,
                required: needed_property(&object.required, &name, &schema),
                description: text::describe(&text("description"), text::PARAMETER),
                style: property.and_then(|property| form_style(document, kind, &name, property, encoding)),
                file: kind == BodyKind::Multipart && property.is_some_and(|property| is_file(document, property)),
                whole: false,
                // What begins with a slash is a pointer where bodies are JSON.
                wire: if kind == BodyKind::Json && name.starts_with('/') {
                    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
                } else {
                    name
                },
                schema,
            });
        }
        // What is needed comes first.
        list.sort_by_key(|argument| !argument.required);
        return list;
    }
    if flat && !needed && is_empty_object(document, schema) {
        return Vec::new();
    }
    let schema = match kind {
        BodyKind::Text => Cow::Owned(json!({ "type": "string" })),
        BodyKind::Binary => Cow::Owned(json!({
            "type": "object",
            "properties": {
                "s3Key": { "type": "string", "description": "An uploaded file, in place of `data`." },
                "contentType": { "type": "string" },
                "data": { "type": "string", "format": "byte", "description": "The bytes, in base64." },
            },
        })),
        _ => Cow::Borrowed(schema),
    };
    vec![Argument {
        wire: "body".into(),
        place: Place::Body,
        required: needed,
        description: text::describe(description, text::PARAMETER),
        schema,
        style: None,
        whole: true,
        file: false,
    }]
}

/// `{type: object, properties: {}}`: there is nothing to send.
fn is_empty_object(document: &Document, schema: &Value) -> bool {
    let Ok(Value::Object(map)) = document.follow(schema) else {
        return false;
    };
    let none = map.get("properties").is_some_and(|properties| properties.as_object().is_some_and(Map::is_empty));
    let free = map.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
    none && !free && !["allOf", "oneOf", "anyOf"].iter().any(|key| map.contains_key(*key))
}

/// A property is needed when the object lists it, or when it says so itself (an old mistake with one meaning).
fn needed_property(required: &[String], name: &str, schema: &Value) -> bool {
    required.iter().any(|needed| needed == name) || schema.get("required") == Some(&Value::Bool(true))
}

fn is_file(document: &Document, property: &Value) -> bool {
    let one = |schema: &Value| {
        let says = |key: &str, value: &str| schema.get(key).and_then(Value::as_str) == Some(value);
        says("format", "binary")
            || says("type", "file")
            || schema.get("contentMediaType").is_some_and(|media| media == "application/octet-stream")
    };
    one(property) || property.get("items").and_then(|items| document.follow(items).ok()).is_some_and(one)
}

/// How a list or an object is written in a form. OpenAPI 3: lists repeat; objects, and lists of them, are JSON text.
fn form_style(document: &Document, kind: BodyKind, name: &str, property: &Value, encoding: Option<&Map<String, Value>>) -> Option<Style> {
    if kind == BodyKind::Json {
        return None;
    }
    let encoded = encoding.and_then(|encoding| encoding.get(name)).and_then(Value::as_object);
    if let Some(encoded) = encoded.filter(|encoded| encoded.contains_key("style")) {
        return parameters::style(document, encoded, property, Place::Query).or(Some(Style::Repeat));
    }
    let object = |schema: &Value| {
        let says = schema
            .get("type")
            .is_some_and(|kind| kind == "object" || kind.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "object")));
        says || schema.get("properties").is_some_and(Value::is_object)
    };
    let item = property.get("items").and_then(|items| document.follow(items).ok());
    (object(property) || item.is_some_and(object)).then_some(Style::Json)
}

/// The properties of an object schema, `allOf` and references at its top taken together, nothing closed yet.
struct PlainObject<'d> {
    properties: IndexMap<String, Cow<'d, Value>>,
    required: Vec<String>,
    parts: usize,
}

/// None when the schema is not just an object with properties (a list, variants, a free map).
fn plain_object<'d>(document: &'d Document, schema: &'d Value) -> Option<PlainObject<'d>> {
    let mut object = PlainObject { properties: IndexMap::new(), required: Vec::new(), parts: 0 };
    gather(document, schema, &mut object, 0)?;
    let PlainObject { properties, required, .. } = &mut object;
    properties.retain(|_, schema| !document.hides(schema, Direction::Request));
    required.retain(|name| properties.contains_key(name));
    (!object.properties.is_empty()).then_some(object)
}

/// The members that a body which is a plain object must have.
pub(super) fn required_members(document: &Document, schema: &Value) -> Option<Vec<String>> {
    plain_object(document, schema).map(|object| object.required)
}

fn gather<'d>(document: &'d Document, schema: &'d Value, object: &mut PlainObject<'d>, depth: usize) -> Option<()> {
    object.parts += 1;
    if object.parts > MAX_PARTS || depth > 16 {
        return None;
    }
    let map = document.follow(schema).ok()?.as_object()?;
    let kind_fits = match map.get("type") {
        None => true,
        Some(Value::Array(kinds)) => {
            kinds.iter().any(|kind| kind == "object") && kinds.iter().all(|kind| kind == "object" || kind == "null")
        }
        Some(kind) => kind == "object",
    };
    // Variants that only say which properties are needed do not change what the properties are.
    let bare = |variant: &Value| {
        variant.as_object().is_some_and(|variant| variant.keys().all(|key| key == "required" || key == "title" || key == "description"))
    };
    let variants = ["oneOf", "anyOf"].iter().filter_map(|key| map.get(*key)?.as_array()).flatten().take(MAX_PARTS);
    if !kind_fits || !variants.into_iter().all(bare) {
        return None;
    }
    if let Some(properties) = map.get("properties").and_then(Value::as_object) {
        if properties.len() + object.properties.len() > MAX_ARGUMENTS {
            return None;
        }
        for (name, schema) in properties.iter().filter(|(name, schema)| !name.is_empty() && schema.is_object()) {
            match object.properties.get_mut(name) {
                Some(known) if **known != *schema => *known = Cow::Owned(json!({ "allOf": [&**known, schema] })),
                Some(_) => {}
                None => drop(object.properties.insert(name.clone(), Cow::Borrowed(schema))),
            }
        }
    }
    object.required.extend(expand::required(map).unwrap_or_default());
    for part in map.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        gather(document, part, object, depth + 1)?;
    }
    Some(())
}
