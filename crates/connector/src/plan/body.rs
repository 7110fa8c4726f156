//! The body of a request, in the five ways that platforms take one.

use std::borrow::Cow;

use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine as _};
use indexmap::IndexMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::arguments::ArgumentError;
use crate::connector::CompiledAction;
use crate::definition::{BodyKind, Definition, Method, Parameter, Place};
use crate::plan::query::{Pairs, flat};
use crate::plan::{Body, given};
use crate::text::{is_media_type, name, show};

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Builds the body, if the action sends one; `secrets` are the members that the credential adds.
///
/// # Errors
/// An argument that the kind of body cannot hold: broken base64, a file without `data`, an object where text is sent.
pub(super) fn build(
    definition: &Definition,
    action: &CompiledAction,
    args: &Map<String, Value>,
    boundary: &str,
    secrets: &[(&str, String)],
) -> Result<Option<Body>, ArgumentError> {
    let mut params = action.action.params_in(Place::Body).peekable();
    let first = params.peek().copied();
    if first.is_none() && secrets.is_empty() && action.action.graphql.is_none() && action.action.body.is_none() {
        return Ok(None);
    }
    let only = || first.and_then(|(key, param)| Some((key, given(args, key, param)?)));
    match action.action.body.unwrap_or(BodyKind::Json) {
        BodyKind::Json => Ok(json(definition, action, args, secrets)),
        BodyKind::Form => form(action, args, secrets),
        BodyKind::Multipart => multipart(params, args, boundary, secrets),
        BodyKind::Text => only().map(|(key, value)| text(key, value)).transpose(),
        BodyKind::Binary => only().map(|(key, value)| binary(key, value)).transpose(),
    }
}

/// One JSON value. Null is sent where the schema allows it, else it means "not given". POST, PUT and PATCH send `{}` rather than nothing.
/// A GraphQL document has the object around it as its `variables`.
fn json(definition: &Definition, action: &CompiledAction, args: &Map<String, Value>, secrets: &[(&str, String)]) -> Option<Body> {
    let sent = |key: &str, param: &Parameter| args.get(key).is_some_and(|value| value.is_null() && param.allows_null());
    let value = |key: &str, param: &'_ Parameter| {
        if sent(key, param) { Some(&Value::Null) } else { None }
    };
    let mut bytes = Vec::with_capacity(256);
    let mut params = action.action.params_in(Place::Body).peekable();
    let mut is_empty = false;
    if let Some((key, param)) = params.peek().filter(|(_, param)| param.whole) {
        let whole = value(key, param).or_else(|| given(args, key, param))?;
        serde_json::to_writer(&mut bytes, whole).ok()?;
    } else {
        let mut members = IndexMap::new();
        for (key, param) in params {
            if let Some(value) = value(key, param).or_else(|| given(args, key, param)) {
                Member::put(&mut members, action.action.body_path(key, param).into_iter(), value);
            }
        }
        members.extend(secrets.iter().map(|(key, secret)| (Cow::Borrowed(*key), Member::Secret(secret))));
        is_empty = members.is_empty();
        if let Some(document) = &action.action.graphql {
            bytes.extend_from_slice(b"{\"query\":");
            serde_json::to_writer(&mut bytes, document).ok()?;
            bytes.extend_from_slice(b",\"variables\":");
        }
        serde_json::to_writer(&mut bytes, &Member::Object(members)).ok()?;
        if action.action.graphql.is_some() {
            bytes.push(b'}');
        }
    }
    let empty_counts = matches!(action.action.method, Method::Post | Method::Put | Method::Patch);
    let fixed = definition.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case("content-type")).map(|(_, value)| value.clone());
    let content_type = fixed.filter(|value| is_media_type(value)).unwrap_or_else(|| "application/json".to_owned());
    (!is_empty || empty_counts).then_some(Body { content_type, bytes })
}

/// A member of a JSON body.
enum Member<'a> {
    Value(&'a Value),
    Secret(&'a str),
    Object(IndexMap<Cow<'a, str>, Self>),
}

impl<'a> Member<'a> {
    /// Puts a value at a place below some members; the check has seen to it that nothing else lies on the way.
    fn put(members: &mut IndexMap<Cow<'a, str>, Self>, mut path: impl Iterator<Item = Cow<'a, str>>, value: &'a Value) {
        let mut at = members;
        let Some(mut key) = path.next() else { return };
        for next in path {
            let inner = at.entry(key).or_insert_with(|| Self::Object(IndexMap::new()));
            let Self::Object(inner) = inner else { return };
            at = inner;
            key = next;
        }
        at.insert(key, Self::Value(value));
    }
}

impl Serialize for Member<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Secret(secret) => serializer.serialize_str(secret),
            Self::Object(members) => serializer.collect_map(members),
        }
    }
}

fn form(action: &CompiledAction, args: &Map<String, Value>, secrets: &[(&str, String)]) -> Result<Option<Body>, ArgumentError> {
    let mut pairs = Pairs::default();
    let taken = |wire: &str| {
        secrets.iter().any(|(secret, _)| *secret == wire)
            || action.action.params_in(Place::Body).any(|(key, param)| param.wire_name(key) == wire)
    };
    for (key, param) in action.action.params_in(Place::Body) {
        match given(args, key, param) {
            // The whole body as one object: each member is a field of the form.
            Some(Value::Object(members)) if param.whole => {
                for (member, value) in members.iter().filter(|(_, value)| !value.is_null()) {
                    pairs.add(key, member, param.style, value, &|_| false)?;
                }
            }
            Some(value) => pairs.add(key, param.wire_name(key), param.style, value, &taken)?,
            None => {}
        }
    }
    secrets.iter().for_each(|(key, secret)| pairs.push(key, secret));
    let body = Body { content_type: "application/x-www-form-urlencoded".to_owned(), bytes: pairs.text.into_bytes() };
    Ok((!body.bytes.is_empty()).then_some(body))
}

fn multipart<'a>(
    params: impl Iterator<Item = (&'a str, &'a Parameter)>,
    args: &Map<String, Value>,
    boundary: &str,
    secrets: &[(&str, String)],
) -> Result<Option<Body>, ArgumentError> {
    let fits =
        (1..=70).contains(&boundary.len()) && boundary.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if !fits {
        return Err(ArgumentError::new("The multipart boundary is not 1 to 70 letters, digits, `-` and `_`."));
    }
    let mut parts = Parts { bytes: Vec::new(), boundary };
    for (key, param) in params {
        match given(args, key, param) {
            Some(Value::Object(members)) if param.whole => {
                for (member, value) in members.iter().filter(|(_, value)| !value.is_null()) {
                    parts.add(key, member, value, false)?;
                }
            }
            Some(Value::Array(items)) => {
                for item in items.iter().filter(|item| !item.is_null()) {
                    parts.add(key, param.wire_name(key), item, is_file(param))?;
                }
            }
            Some(value) => parts.add(key, param.wire_name(key), value, is_file(param))?,
            None => {}
        }
    }
    secrets.iter().for_each(|(key, secret)| parts.push(key, None, None, secret.as_bytes()));
    if parts.bytes.is_empty() {
        return Ok(None);
    }
    parts.bytes.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok(Some(Body { content_type: format!("multipart/form-data; boundary={boundary}"), bytes: parts.bytes }))
}

/// Whether the schema says that a plain string is the content of a file.
fn is_file(param: &Parameter) -> bool {
    let member = |schema: &Value, key: &str, wanted: &str| schema.get(key).and_then(Value::as_str) == Some(wanted);
    param.schema.as_ref().is_some_and(|schema| {
        member(schema, "format", "binary") || schema.get("items").is_some_and(|items| member(items, "format", "binary"))
    })
}

struct Parts<'a> {
    bytes: Vec<u8>,
    boundary: &'a str,
}

impl Parts<'_> {
    /// Adds one part; `key` names the parameter in errors, `wire` the part.
    fn add(&mut self, key: &str, wire: &str, value: &Value, file: bool) -> Result<(), ArgumentError> {
        match value {
            Value::Object(members) if is_file_object(members) => {
                let (content_type, data) = decoded(key, members)?;
                let filename = members.get("filename").and_then(Value::as_str).filter(|text| !text.is_empty()).unwrap_or(wire);
                self.push(wire, Some(filename), Some(&content_type), &data);
            }
            Value::String(text) if file => self.push(wire, Some(wire), Some("application/octet-stream"), text.as_bytes()),
            Value::Object(_) | Value::Array(_) => self.push(wire, None, Some("application/json"), value.to_string().as_bytes()),
            scalar => self.push(wire, None, None, flat(scalar).as_bytes()),
        }
        Ok(())
    }

    fn push(&mut self, wire: &str, filename: Option<&str>, content_type: Option<&str>, data: &[u8]) {
        let mut head = format!("--{}\r\nContent-Disposition: form-data; name=\"{}\"", self.boundary, escape(wire));
        if let Some(filename) = filename {
            head.push_str("; filename=\"");
            head.push_str(&escape(filename));
            head.push('"');
        }
        if let Some(content_type) = content_type {
            head.push_str("\r\nContent-Type: ");
            head.push_str(content_type);
        }
        head.push_str("\r\n\r\n");
        self.bytes.reserve(head.len() + data.len() + 2);
        self.bytes.extend_from_slice(head.as_bytes());
        self.bytes.extend_from_slice(data);
        self.bytes.extend_from_slice(b"\r\n");
    }
}

/// Names as browsers write them (HTML, multipart form data): quotes and line breaks percent-encoded; other control characters left out.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => safe.push_str("%22"),
            '\r' => safe.push_str("%0D"),
            '\n' => safe.push_str("%0A"),
            c if c.is_control() => {}
            c => safe.push(c),
        }
    }
    safe
}

/// `{filename?, contentType?, data}` and nothing else.
fn is_file_object(members: &Map<String, Value>) -> bool {
    members.get("data").is_some_and(Value::is_string)
        && members.keys().all(|key| matches!(key.as_str(), "data" | "filename" | "contentType"))
}

/// Content type and bytes of a file object.
fn decoded(key: &str, members: &Map<String, Value>) -> Result<(String, Vec<u8>), ArgumentError> {
    let content_type = members.get("contentType").and_then(Value::as_str).unwrap_or("application/octet-stream");
    if !is_media_type(content_type) {
        return Err(ArgumentError::field(key, format!("`{}.contentType` must be a media type such as `image/png`.", name(key))));
    }
    let data = members.get("data").and_then(Value::as_str).unwrap_or_default();
    let engine = if data.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    let bytes = engine
        .decode(data)
        .map_err(|error| ArgumentError::field(key, format!("`{}.data` must be base64; {}.", name(key), odd(data, &error))))?;
    Ok((content_type.to_owned(), bytes))
}

/// What is wrong with a base64 text.
fn odd(data: &str, error: &DecodeError) -> String {
    match error {
        DecodeError::InvalidByte(at, _) => {
            let character = data.get(*at..).and_then(|rest| rest.chars().next()).unwrap_or_default();
            format!("its character {} is {character:?}", at + 1)
        }
        _ => "it is cut off or badly padded".to_owned(),
    }
}

fn text(key: &str, value: &Value) -> Result<Body, ArgumentError> {
    if value.is_object() || value.is_array() {
        return Err(ArgumentError::field(key, format!("`{}` is sent as plain text: it must be a string, got {}.", name(key), show(value))));
    }
    Ok(Body { content_type: "text/plain; charset=utf-8".to_owned(), bytes: flat(value).into_owned().into_bytes() })
}

fn binary(key: &str, value: &Value) -> Result<Body, ArgumentError> {
    let Value::Object(members) = value else {
        return Err(ArgumentError::field(
            key,
            format!("`{}` must be an object `{{contentType?, data: <base64>}}`, got {}.", name(key), show(value)),
        ));
    };
    if !is_file_object(members) {
        return Err(ArgumentError::field(
            key,
            format!("`{}` must be an object `{{contentType?, data: <base64>}}` without other members.", name(key)),
        ));
    }
    let (content_type, bytes) = decoded(key, members)?;
    Ok(Body { content_type, bytes })
}
