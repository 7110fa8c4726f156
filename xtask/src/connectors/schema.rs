//! Whether what a connector sends is what a schema of the vendor's document takes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::documents::{Documents, Place};
use super::report::Report;

/// How deep schemas are compared.
const DEPTH: usize = 8;

/// Where a value stands: in JSON, or where everything is text (query, path, header, form).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum As {
    /// Types are as they are.
    Json,
    /// A number and its text are the same.
    Text,
}

/// Members of an object schema, `allOf` and variants taken together.
#[derive(Default)]
pub struct Members<'d> {
    /// By name; several where variants have it.
    pub schemas: BTreeMap<&'d str, Vec<Place<'d>>>,
    /// Those that every variant must have.
    pub required: BTreeSet<&'d str>,
    /// Others may stand there as well.
    pub open: bool,
    /// Not only an object may stand there, so that nothing can be said of its members.
    pub vague: bool,
}

/// The members of a schema.
pub fn members<'d>(documents: &'d Documents, schema: Place<'d>) -> Members<'d> {
    let mut found = Members::default();
    gather(documents, schema, &mut found, DEPTH);
    // What only the platform writes is never sent.
    let says =
        |schema: &Place<'d>, key: &str| documents.follow(*schema).is_some_and(|schema| schema.value.get(key) == Some(&Value::Bool(true)));
    let Members { schemas, required, .. } = &mut found;
    required.retain(|name| !schemas.get(name).into_iter().flatten().any(|schema| says(schema, "readOnly")));
    found
}

fn gather<'d>(documents: &'d Documents, schema: Place<'d>, found: &mut Members<'d>, depth: usize) {
    let Some(schema) = documents.follow(schema).filter(|_| depth > 0) else {
        found.vague = true;
        return;
    };
    for (name, member) in schema.get("properties").into_iter().flat_map(Place::members) {
        found.schemas.entry(name).or_default().push(member);
        if documents.follow(member).is_some_and(|member| member.value.get("required") == Some(&Value::Bool(true))) {
            found.required.insert(name);
        }
    }
    let required = schema.get("required").into_iter().flat_map(Place::items);
    found.required.extend(required.filter_map(|name| name.value.as_str()));
    found.open |= schema.value.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
    found.vague |=
        schema.value.get("properties").is_none() && !["allOf", "oneOf", "anyOf"].iter().any(|key| schema.value.get(key).is_some());
    for part in schema.get("allOf").into_iter().flat_map(Place::items) {
        let mut inner = Members::default();
        gather(documents, part, &mut inner, depth - 1);
        found.open |= inner.open;
        found.required.extend(inner.required);
        inner.schemas.into_iter().for_each(|(name, schemas)| found.schemas.entry(name).or_default().extend(schemas));
    }
    for key in ["oneOf", "anyOf"] {
        let mut common: Option<BTreeSet<&str>> = None;
        for variant in schema.get(key).into_iter().flat_map(Place::items) {
            let mut inner = Members::default();
            gather(documents, variant, &mut inner, depth - 1);
            found.open |= inner.open;
            found.vague |= inner.vague && inner.schemas.is_empty() && inner.required.is_empty();
            common = Some(common.map_or(inner.required.clone(), |common| common.intersection(&inner.required).copied().collect()));
            inner.schemas.into_iter().for_each(|(name, schemas)| found.schemas.entry(name).or_default().extend(schemas));
        }
        found.required.extend(common.unwrap_or_default());
    }
}

/// The types that a schema allows; nothing where it does not say.
fn kinds_there(documents: &Documents, schema: Place<'_>, depth: usize) -> Option<BTreeSet<String>> {
    let schema = documents.follow(schema)?;
    let left = depth.checked_sub(1)?;
    let named = kinds_named(schema.value);
    if named.is_some() {
        return named;
    }
    if schema.get("properties").is_some() {
        return Some(BTreeSet::from(["object".to_owned()]));
    }
    for key in ["oneOf", "anyOf"] {
        if schema.get(key).is_some() {
            let variants: Option<Vec<_>> =
                schema.get(key).into_iter().flat_map(Place::items).map(|variant| kinds_there(documents, variant, left)).collect();
            return variants.map(|variants| variants.into_iter().flatten().collect());
        }
    }
    schema.get("allOf").into_iter().flat_map(Place::items).find_map(|part| kinds_there(documents, part, left))
}

/// Whether a schema is that of a text.
pub fn is_text(documents: &Documents, schema: Place<'_>) -> bool {
    kinds_there(documents, schema, DEPTH).is_some_and(|kinds| kinds.contains("string"))
}

/// The types that a schema names itself.
fn kinds_named(schema: &Value) -> Option<BTreeSet<String>> {
    let mut kinds: BTreeSet<String> = match schema.get("type") {
        Some(Value::String(kind)) => BTreeSet::from([kind.clone()]),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => {
            let values = schema.get("enum").and_then(Value::as_array);
            let values: Vec<&Value> = values.into_iter().flatten().chain(schema.get("const")).collect();
            if values.is_empty() {
                return None;
            }
            values.into_iter().map(|value| kind_of(value).to_owned()).collect()
        }
    };
    // Spellings of generators.
    for (odd, kind) in [("int", "integer"), ("float", "number"), ("timestamp", "string"), ("date", "string"), ("datetime", "string")] {
        if kinds.remove(odd) {
            kinds.insert(kind.to_owned());
        }
    }
    if kinds.contains("any") { None } else { Some(kinds) }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Compares a schema of the connector with those of the document; `at` names it in the report.
pub fn compare(documents: &Documents, report: &mut Report, at: &str, here: &Value, there: &[Place<'_>], written: As) {
    compare_within(documents, report, at, here, there, written, DEPTH);
}

fn compare_within(documents: &Documents, report: &mut Report, at: &str, here: &Value, there: &[Place<'_>], written: As, depth: usize) {
    let Some(left) = depth.checked_sub(1) else { return };
    let there: Vec<Place<'_>> = there.iter().filter_map(|schema| documents.follow(*schema)).collect();
    let known: Option<Vec<BTreeSet<String>>> = there.iter().map(|schema| kinds_there(documents, *schema, DEPTH)).collect();
    let known: BTreeSet<String> = known.into_iter().flatten().flatten().collect();
    let sent = kinds_here(here);
    if let Some(sent) = sent.as_ref().filter(|_| !known.is_empty()) {
        let odd = sent.iter().any(|kind| !takes(&known, kind, written, here));
        if odd {
            let list = |kinds: &BTreeSet<String>| kinds.iter().map(String::as_str).collect::<Vec<_>>().join(" or ");
            return report.add(format!("{at}: type"), format!("{} here, {} there", list(sent), list(&known)));
        }
    }
    choices(documents, report, at, here, &there, written);
    if let Some(items) = here.get("items").filter(|items| items.is_object()) {
        let inner: Vec<Place<'_>> = there.iter().filter_map(|schema| schema.get("items")).collect();
        if !inner.is_empty() {
            compare_within(documents, report, &format!("{at}[]"), items, &inner, written, left);
        }
    }
    if let Some(properties) = here.get("properties").and_then(Value::as_object) {
        // A file, which the document only calls binary.
        let is_file = properties.contains_key("data") && known.contains("string");
        if !is_file {
            object(documents, report, at, (here, properties), &there, written, left);
        }
    }
    for key in ["anyOf", "oneOf"] {
        for variant in here.get(key).and_then(Value::as_array).into_iter().flatten() {
            compare_within(documents, report, at, variant, &there, written, left);
        }
    }
}

fn kinds_here(here: &Value) -> Option<BTreeSet<String>> {
    let kinds = kinds_named(here)?;
    // Whether a member may be null is what documents say least reliably.
    Some(kinds.into_iter().filter(|kind| kind != "null").collect())
}

/// Whether a document that names these types takes this one.
fn takes(known: &BTreeSet<String>, kind: &str, written: As, here: &Value) -> bool {
    let is_file = here.get("properties").is_some_and(|properties| properties.get("data").is_some());
    known.contains(kind)
        || (kind == "integer" && known.contains("number"))
        || (kind == "object" && is_file && (known.contains("string") || known.contains("file")))
        || (known.contains("file") && kind == "string")
        || (written == As::Text && known.contains("string") && matches!(kind, "integer" | "number" | "boolean"))
}

/// Values that the connector lists must be among those of the document.
fn choices(documents: &Documents, report: &mut Report, at: &str, here: &Value, there: &[Place<'_>], written: As) {
    let Some(offered) = here.get("enum").and_then(Value::as_array) else { return };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut known: Vec<String> = Vec::new();
    for schema in there {
        // A list of choices that holds in every variant, or none.
        let Some(listed) = listed(documents, *schema, DEPTH) else { return };
        known.extend(listed.iter().map(|value| if written == As::Text { text(value) } else { value.to_string() }));
    }
    let odd =
        offered.iter().filter(|value| !value.is_null()).map(|value| if written == As::Text { text(value) } else { value.to_string() });
    let odd: Vec<String> = odd.filter(|value| !known.contains(value)).collect();
    if !odd.is_empty() && !known.is_empty() {
        report.add(format!("{at}: choices"), format!("{} not there", odd.join(", ")));
    }
}

/// The values of an enumeration; nothing where other values may stand there too.
fn listed(documents: &Documents, schema: Place<'_>, depth: usize) -> Option<Vec<Value>> {
    let schema = documents.follow(schema)?;
    let left = depth.checked_sub(1)?;
    if let Some(values) = schema.value.get("enum").and_then(Value::as_array) {
        return Some(values.clone());
    }
    if let Some(value) = schema.value.get("const") {
        return Some(vec![value.clone()]);
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(variants) = schema.get(key) {
            let variants: Option<Vec<_>> = variants.items().map(|variant| listed(documents, variant, left)).collect();
            return variants.map(|variants| variants.into_iter().flatten().collect());
        }
    }
    schema.get("allOf").into_iter().flat_map(Place::items).find_map(|part| listed(documents, part, left))
}

fn object(
    documents: &Documents,
    report: &mut Report,
    at: &str,
    (here, properties): (&Value, &Map<String, Value>),
    there: &[Place<'_>],
    written: As,
    depth: usize,
) {
    let all: Vec<Members<'_>> = there.iter().map(|schema| members(documents, *schema)).collect();
    let open = all.iter().any(|members| members.open || members.vague) || all.is_empty();
    for (name, schema) in properties {
        let inner: Vec<Place<'_>> = all.iter().filter_map(|members| members.schemas.get(name.as_str())).flatten().copied().collect();
        if !inner.is_empty() {
            compare_within(documents, report, &format!("{at}.{name}"), schema, &inner, written, depth);
        } else if !open {
            report.add(format!("{at}.{name}: unknown"), "not in the document".to_owned());
        }
    }
    let required_here: BTreeSet<&str> =
        here.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let common = all.iter().map(|members| &members.required).fold(None, |common: Option<BTreeSet<&str>>, required| {
        Some(common.map_or_else(|| required.clone(), |common| common.intersection(required).copied().collect()))
    });
    for name in common.unwrap_or_default().into_iter().filter(|name| !required_here.contains(name)) {
        if properties.contains_key(name) {
            report.add(format!("{at}.{name}: required"), "only by the document".to_owned());
        } else {
            report.add(format!("{at}.{name}: missing"), "the document requires it".to_owned());
        }
    }
}
