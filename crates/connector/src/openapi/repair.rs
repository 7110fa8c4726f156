//! Keywords of one schema, shallow: what vendors write becomes what JSON Schema 2020-12 allows.

use serde_json::{Map, Number, Value, json};

/// The types of JSON Schema.
const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "object", "array", "null"];
/// More values than this are named in the description instead: a model does not read them all.
const MAX_CHOICES: usize = 100;
/// The longest default, constant or example that is kept, in bytes of JSON.
const MAX_SAMPLE: usize = 200;

/// The types of a schema and the format that an invented type implies (`date` is a string).
pub(super) fn types(schema: &Map<String, Value>) -> (Vec<&'static str>, Option<&'static str>) {
    let mut kinds = Vec::new();
    let mut format = None;
    let spelled: &[Value] = match schema.get("type") {
        Some(Value::Array(list)) => list.get(..list.len().min(8)).unwrap_or(list),
        Some(single) => std::slice::from_ref(single),
        None => &[],
    };
    for name in spelled.iter().filter_map(Value::as_str) {
        let name = name.trim().to_ascii_lowercase();
        let kind = match name.as_str() {
            "any" | "mixed" | "unknown" | "*" => return (Vec::new(), None),
            "int" | "int32" | "int64" | "long" | "short" => "integer",
            "float" | "double" | "decimal" | "numeric" => "number",
            "bool" => "boolean",
            "dict" | "map" | "hash" | "json" | "struct" => "object",
            "list" | "set" => "array",
            "file" | "binary" => {
                format = Some("binary");
                "string"
            }
            "date" => {
                format = Some("date");
                "string"
            }
            "datetime" | "date-time" | "timestamp" => {
                format = Some("date-time");
                "string"
            }
            "text" | "str" | "uuid" | "email" | "uri" | "url" | "enum" | "char" | "password" => "string",
            other => match TYPES.iter().find(|kind| **kind == other) {
                Some(kind) => kind,
                None => continue,
            },
        };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    (kinds, format)
}

/// Whether the schema says, in any dialect, that null is allowed.
pub(super) fn nullable(schema: &Map<String, Value>) -> bool {
    ["nullable", "x-nullable"].iter().any(|key| schema.get(*key) == Some(&Value::Bool(true)))
}

/// Copies the numeric limits that make sense, the boolean exclusive limits of OpenAPI 3.0 included.
pub(super) fn limits(schema: &Map<String, Value>, out: &mut Map<String, Value>) {
    for (limit, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        let value = schema.get(limit).and_then(number);
        match (schema.get(exclusive), value) {
            (Some(Value::Bool(true)), Some(value)) => drop(out.insert(exclusive.into(), Value::Number(value))),
            (other, value) => {
                insert(out, limit, value.map(Value::Number));
                insert(out, exclusive, other.and_then(number).map(Value::Number));
            }
        }
    }
    let step = schema.get("multipleOf").and_then(number).filter(|step| step.as_f64().is_some_and(|step| step > 0.0));
    insert(out, "multipleOf", step.map(Value::Number));
    for key in ["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"] {
        let value = schema.get(key).and_then(number).and_then(|value| value.as_u64());
        insert(out, key, value.map(Value::from));
    }
    if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
        out.insert("uniqueItems".into(), true.into());
    }
}

/// Keywords with a value that they cannot have, and that is not one of the spellings read here all the same. Null is as good as absent.
pub(super) fn unusable(schema: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    schema.iter().filter(|(keyword, value)| {
        let usable = match keyword.as_str() {
            "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => {
                number(value).is_some_and(|value| value.as_u64().is_some())
            }
            "minimum" | "maximum" => number(value).is_some(),
            "exclusiveMinimum" | "exclusiveMaximum" => value.is_boolean() || number(value).is_some(),
            "multipleOf" => number(value).and_then(|value| value.as_f64()).is_some_and(|value| value > 0.0),
            "properties" | "patternProperties" => value.is_object(),
            "pattern" | "format" => value.is_string(),
            "enum" | "allOf" | "oneOf" | "anyOf" | "prefixItems" => value.is_array(),
            "not" | "additionalProperties" => value.is_object() || value.is_boolean(),
            "items" => value.is_object() || value.is_boolean() || value.is_array(),
            _ => true,
        };
        !usable && !value.is_null()
    })
}

fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Number(number) => Some(match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && (0.0..9.0e15).contains(&float) => {
                format!("{float:.0}").parse::<u64>().map_or_else(|_| number.clone(), Number::from)
            }
            _ => number.clone(),
        }),
        Value::String(text) if text.len() < 32 => text.trim().parse::<i64>().ok().map(Number::from),
        _ => None,
    }
}

fn insert(out: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        out.insert(key.into(), value);
    }
}

/// What became of `enum`.
pub(super) enum Choices {
    None,
    Some(Vec<Value>),
    /// Too many; the first few, for a description.
    TooMany(String),
}

/// The values of `enum` that fit the types; those written in another scalar type are converted.
pub(super) fn choices(schema: &Map<String, Value>, kinds: &[&str]) -> Choices {
    let Some(Value::Array(list)) = schema.get("enum") else {
        return Choices::None;
    };
    if list.len() > MAX_CHOICES {
        let first: Vec<String> = list.iter().filter(|value| small(value)).take(10).map(plain).collect();
        return Choices::TooMany(format!("One of {} values, such as {}.", list.len(), first.join(", ")));
    }
    let mut kept: Vec<Value> = Vec::new();
    for value in list {
        let value = if kinds.is_empty() || kinds.iter().any(|kind| is(value, kind)) { Some(value.clone()) } else { convert(value, kinds) };
        if let Some(value) = value.filter(small).filter(|value| !kept.contains(value)) {
            kept.push(value);
        }
    }
    if kept.is_empty() { Choices::None } else { Choices::Some(kept) }
}

fn convert(value: &Value, kinds: &[&str]) -> Option<Value> {
    match value {
        Value::Number(_) | Value::Bool(_) if kinds.contains(&"string") => Some(Value::String(plain(value))),
        Value::String(text) => {
            let parsed: Value = serde_json::from_str(text).ok().filter(|parsed: &Value| !parsed.is_array() && !parsed.is_object())?;
            kinds.iter().any(|kind| is(&parsed, kind)).then_some(parsed)
        }
        _ => None,
    }
}

/// A scalar without quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The annotation values that are short and fit the types: `default`, `const`, and one example.
pub(super) fn samples(schema: &Map<String, Value>, kinds: &[&str], out: &mut Map<String, Value>) {
    let fits = |value: &&Value| small(value) && (kinds.is_empty() || kinds.iter().any(|kind| is(value, kind)));
    for key in ["const", "default"] {
        // OpenAPI 3.0 documents write `default: null` for "none".
        insert(out, key, schema.get(key).filter(fits).filter(|value| key == "const" || !value.is_null()).cloned());
    }
    let listed = schema.get("examples").and_then(Value::as_array).and_then(|list| list.first());
    let example = schema.get("example").or(listed).filter(fits).filter(|value| !value.is_null());
    insert(out, "examples", example.map(|value| json!([value])));
}

/// Whether a value is of a JSON Schema type.
pub(super) fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "null" => value.is_null(),
        _ => false,
    }
}

/// Whether a value is short, found out without walking all of a long one.
pub(super) fn small(value: &Value) -> bool {
    let mut left = MAX_SAMPLE;
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        let size = match value {
            Value::String(text) => text.len() + 2,
            Value::Array(items) => items.len() + 2,
            Value::Object(map) => map.len() * 4 + 2,
            _ => 4,
        };
        let Some(rest) = left.checked_sub(size) else {
            return false;
        };
        left = rest;
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(map) => {
                for (key, item) in map {
                    let Some(rest) = left.checked_sub(key.len()) else {
                        return false;
                    };
                    left = rest;
                    open.push(item);
                }
            }
            _ => {}
        }
    }
    true
}
