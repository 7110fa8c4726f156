//! Schemas end closed: references are expanded, cycles cut, vendors' spellings repaired, all within a depth and a size.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::document::{Dialect, Document, Notes};
use super::repair::{self, Choices};
use super::{merge, text};

/// The deepest recursion, whatever the levels asked for: the stack of a small thread holds it.
const MAX_DEPTH: usize = 40;
/// More variants than this are cut to a permissive schema.
const MAX_VARIANTS: usize = 20;
/// The most patterns that are compiled in one import.
const MAX_PATTERNS: usize = 2000;
/// The longest description inside a schema, in characters, and what is left of it where room is short.
pub(super) const WORDS: usize = 240;
pub(super) const BRIEF: usize = 50;

/// Which way a schema's values travel: servers ignore `readOnly` in requests and never send `writeOnly`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Request,
    Response,
}

/// Expands the schemas of one document.
pub(super) struct Expander<'d> {
    pub document: &'d Document,
    pub notes: Notes,
    /// Bytes expanded so far: the measure of work that an import is given.
    pub work: usize,
    /// The longest description inside a schema: [`WORDS`] or [`BRIEF`].
    pub words: usize,
    /// The operation whose schemas are expanded, and the part of it, as warnings call them.
    pub operation: String,
    pub part: String,
    patterns: HashMap<String, bool>,
}

/// A closed schema, and whether all of the document's schema is in it.
pub(super) struct Expansion {
    pub schema: Value,
    pub complete: bool,
}

impl<'d> Expander<'d> {
    pub(super) fn new(document: &'d Document, notes: Notes) -> Self {
        Self { document, notes, work: 0, words: WORDS, operation: String::new(), part: String::new(), patterns: HashMap::new() }
    }

    /// Closes a schema: at most `levels` of nesting and roughly `cap` bytes are expanded.
    pub(super) fn close(&mut self, schema: &Value, levels: usize, cap: usize, direction: Direction) -> Expansion {
        let mut walk = Walk { expander: self, direction, left: cap, complete: true, open: Vec::new(), depth: 0 };
        let schema = walk.node(schema, levels);
        let complete = walk.complete;
        let spent = cap.saturating_sub(walk.left);
        self.work = self.work.saturating_add(spent);
        Expansion { schema, complete }
    }

    /// Says that a keyword was left out, because no value can be judged by it.
    fn unusable(&mut self, keyword: &str, value: &Value) {
        let shown: String = value.to_string().chars().take(80).collect();
        self.notes.warn(format!("{}, `{}`: the schema's `{keyword}` cannot be used and was left out: {shown}.", self.operation, self.part));
    }

    /// Whether a pattern is a regular expression that the validator understands.
    fn compiles(&mut self, pattern: &str) -> bool {
        if pattern.len() > 500 {
            return false;
        }
        if let Some(known) = self.patterns.get(pattern) {
            return *known;
        }
        if self.patterns.len() >= MAX_PATTERNS {
            return false;
        }
        let valid = jsonschema::validator_for(&json!({ "pattern": pattern })).is_ok();
        self.patterns.insert(pattern.to_owned(), valid);
        valid
    }
}

/// One expansion under way.
struct Walk<'e, 'd> {
    expander: &'e mut Expander<'d>,
    direction: Direction,
    left: usize,
    complete: bool,
    open: Vec<String>,
    depth: usize,
}

impl Walk<'_, '_> {
    fn spend(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }

    fn cut(&mut self, description: &str) -> Value {
        self.complete = false;
        json!({ "description": description })
    }

    fn node(&mut self, schema: &Value, levels: usize) -> Value {
        if self.depth >= MAX_DEPTH || self.left == 0 {
            return self.cut("Any value; details left out.");
        }
        self.depth += 1;
        self.spend(12);
        let closed = match schema {
            Value::Bool(false) => json!({ "not": {} }),
            Value::Object(map) => Value::Object(match map.get("$ref").and_then(Value::as_str) {
                Some(reference) => self.reference(reference, map, levels),
                None => self.object(map, levels),
            }),
            _ => Value::Object(Map::new()),
        };
        self.depth -= 1;
        closed
    }

    /// A reference with its siblings. OpenAPI 3.0 ignores siblings; descriptions and `nullable` are meant all the same.
    fn reference(&mut self, reference: &str, map: &Map<String, Value>, levels: usize) -> Map<String, Value> {
        let document = self.expander.document;
        let target = if self.open.iter().any(|open| open == reference) {
            let name: String = reference.rsplit('/').next().unwrap_or_default().chars().take(60).collect();
            let mut stub = Map::new();
            let kinds = document.target(reference).ok().and_then(Value::as_object).map(|target| repair::types(target).0);
            if let Some([kind]) = kinds.as_deref() {
                stub.insert("type".into(), (*kind).into());
            }
            stub.insert("description".into(), format!("A nested {name}: recursive, the same shape as above.").into());
            Value::Object(stub)
        } else {
            match document.target(reference) {
                Ok(target) => {
                    self.open.push(reference.to_owned());
                    let closed = self.node(target, levels);
                    self.open.pop();
                    closed
                }
                Err(problem) => {
                    self.expander.notes.warn(format!("A schema accepts any value because {}.", problem.sentence()));
                    json!({ "description": "Any value; its schema is not part of the document." })
                }
            }
        };
        if map.len() == 1 {
            return match target {
                Value::Object(map) => map,
                _ => Map::new(),
            };
        }
        let base = if document.dialect == Dialect::OpenApi31 {
            self.object(map, levels)
        } else {
            let meant = ["description", "title", "default", "deprecated"];
            let annotations = meant.iter().filter_map(|key| Some(((*key).to_owned(), map.get(*key)?.clone()))).collect();
            self.object(&annotations, levels)
        };
        let merged = merge::all_of(base, vec![target]);
        if repair::nullable(map) { allow_null(merged) } else { merged }
    }

    fn object(&mut self, map: &Map<String, Value>, levels: usize) -> Map<String, Value> {
        let mut out = Map::new();
        let (mut kinds, implied) = repair::types(map);
        if kinds.is_empty() && map.get("type").is_none() {
            if map.get("properties").is_some_and(Value::is_object) {
                kinds.push("object");
            } else if map.get("items").is_some_and(Value::is_object) {
                kinds.push("array");
            }
        }
        match kinds.as_slice() {
            [] => {}
            [kind] => drop(out.insert("type".into(), (*kind).into())),
            kinds => drop(out.insert("type".into(), json!(kinds))),
        }
        self.annotations(map, &kinds, implied, &mut out);
        repair::limits(map, &mut out);
        if let Some(pattern) = map.get("pattern").and_then(Value::as_str) {
            if self.expander.compiles(pattern) {
                self.spend(pattern.len() + 14);
                out.insert("pattern".into(), pattern.into());
            } else {
                self.expander.unusable("pattern", &pattern.into());
            }
        }
        for (keyword, value) in repair::unusable(map) {
            self.expander.unusable(keyword, value);
        }
        self.children(map, &kinds, levels, &mut out);
        let out = self.combinations(map, levels, out);
        if repair::nullable(map) { allow_null(out) } else { out }
    }

    fn annotations(&mut self, map: &Map<String, Value>, kinds: &[&str], implied: Option<&str>, out: &mut Map<String, Value>) {
        let mut description =
            map.get("description").and_then(Value::as_str).map_or_else(String::new, |text| text::describe(text, self.expander.words));
        if description.is_empty()
            && let Some(title) = map.get("title").and_then(Value::as_str)
        {
            description = text::describe(title, 80);
        }
        match repair::choices(map, kinds) {
            Choices::None => {}
            Choices::Some(values) => {
                self.spend(values.iter().map(|value| value.as_str().map_or(8, |text| text.len() + 3)).sum());
                out.insert("enum".into(), Value::Array(values));
            }
            Choices::TooMany(hint) => {
                description = if description.is_empty() { hint } else { format!("{description} {hint}") };
            }
        }
        let format = map.get("format").and_then(Value::as_str).or(implied).filter(|format| format.len() <= 40);
        match format {
            Some("binary" | "byte" | "base64") if kinds.contains(&"string") => {
                out.insert("contentEncoding".into(), "base64".into());
            }
            Some("" | "int32" | "int64" | "float" | "double") => {}
            Some(format) => drop(out.insert("format".into(), format.into())),
            _ => {}
        }
        repair::samples(map, kinds, out);
        if map.get("deprecated") == Some(&Value::Bool(true)) {
            out.insert("deprecated".into(), true.into());
        }
        self.spend(description.len() + 20 + 16 * out.len());
        if !description.is_empty() {
            out.insert("description".into(), description.into());
        }
    }

    /// Everything one level deeper: properties, items and their kin.
    fn children(&mut self, map: &Map<String, Value>, kinds: &[&str], levels: usize, out: &mut Map<String, Value>) {
        let has = |key: &str| map.get(key).is_some_and(|value| matches!(value, Value::Object(map) if !map.is_empty()));
        let Some(inner) = levels.checked_sub(1) else {
            if ["properties", "patternProperties", "additionalProperties"].iter().any(|key| has(key)) {
                self.complete = false;
                note(out, "Any object; details left out.");
            }
            if has("items") || map.contains_key("prefixItems") {
                self.complete = false;
                note(out, "Any items; details left out.");
            }
            if kinds.contains(&"array") {
                out.insert("items".into(), json!({}));
            }
            return;
        };
        if let Some(Value::Object(properties)) = map.get("properties") {
            self.properties(map, properties, inner, out);
        } else if let Some(required) = required(map) {
            out.insert("required".into(), json!(required));
        }
        match map.get("additionalProperties") {
            Some(Value::Bool(false)) => drop(out.insert("additionalProperties".into(), false.into())),
            Some(schema @ Value::Object(inner_map)) if !inner_map.is_empty() => {
                let closed = self.node(schema, inner);
                out.insert("additionalProperties".into(), closed);
            }
            _ => {}
        }
        if let Some(Value::Object(patterns)) = map.get("patternProperties") {
            let mut kept = Map::new();
            for (pattern, schema) in patterns.iter().take(20) {
                if self.expander.compiles(pattern) {
                    let closed = self.node(schema, inner);
                    kept.insert(pattern.clone(), closed);
                } else {
                    self.expander.unusable("patternProperties", &pattern.as_str().into());
                }
            }
            out.insert("patternProperties".into(), Value::Object(kept));
        }
        self.items(map, kinds, inner, out);
    }

    fn items(&mut self, map: &Map<String, Value>, kinds: &[&str], levels: usize, out: &mut Map<String, Value>) {
        // Draft 4 wrote tuples as a list of `items`.
        let tuple = map.get("prefixItems").or_else(|| map.get("items").filter(|items| items.is_array()));
        if let Some(Value::Array(list)) = tuple.filter(|list| list.as_array().is_some_and(|list| !list.is_empty())) {
            let closed: Vec<Value> = list.iter().take(20).map(|schema| self.node(schema, levels)).collect();
            out.insert("prefixItems".into(), Value::Array(closed));
        }
        match map.get("items") {
            Some(schema @ Value::Object(_)) => {
                let closed = self.node(schema, levels);
                out.insert("items".into(), closed);
            }
            // Several model vendors refuse an array without `items`.
            _ if kinds.contains(&"array") && tuple.is_none() => drop(out.insert("items".into(), json!({}))),
            _ => {}
        }
    }

    fn properties(&mut self, map: &Map<String, Value>, properties: &Map<String, Value>, levels: usize, out: &mut Map<String, Value>) {
        let mut needed: Vec<String> = required(map).unwrap_or_default();
        let mut kept = Map::new();
        let mut hidden = Vec::new();
        for (name, schema) in properties {
            if self.left == 0 {
                self.complete = false;
                break;
            }
            if self.expander.document.hides(schema, self.direction) || *schema == Value::Bool(false) {
                hidden.push(name.clone());
                continue;
            }
            if schema.get("required") == Some(&Value::Bool(true)) && !needed.contains(name) {
                needed.push(name.clone());
            }
            self.spend(name.len());
            let closed = self.node(schema, levels);
            kept.insert(name.clone(), closed);
        }
        needed.retain(|name| !hidden.contains(name));
        out.insert("properties".into(), Value::Object(kept));
        if !needed.is_empty() {
            self.spend(needed.iter().map(|name| name.len() + 3).sum());
            out.insert("required".into(), json!(needed));
        }
    }

    fn combinations(&mut self, map: &Map<String, Value>, levels: usize, mut out: Map<String, Value>) -> Map<String, Value> {
        for key in ["oneOf", "anyOf"] {
            let Some(Value::Array(list)) = map.get(key).filter(|list| list.as_array().is_some_and(|list| !list.is_empty())) else {
                continue;
            };
            if list.len() > MAX_VARIANTS {
                self.complete = false;
                note(&mut out, &format!("One of {} variants; details left out.", list.len()));
                continue;
            }
            let mut variants: Vec<Value> = Vec::new();
            for schema in list {
                let closed = self.node(schema, levels);
                if !variants.contains(&closed) {
                    variants.push(closed);
                }
            }
            // Vendors write `oneOf` for variants that overlap (an integer is a number too), and cut variants always do; "exactly
            // one" would refuse values that the platform takes.
            let key = if key == "oneOf" && disjoint(&variants) { "oneOf" } else { "anyOf" };
            match variants.pop() {
                Some(only) if variants.is_empty() => out = merge::all_of(out, vec![only]),
                Some(last) => {
                    variants.push(last);
                    if out.contains_key(key) {
                        continue;
                    }
                    out.insert(key.into(), Value::Array(variants));
                }
                None => {}
            }
        }
        if let Some(Value::Array(parts)) = map.get("allOf") {
            let (mut closed, left) = (Vec::new(), self.left);
            for part in parts {
                if self.left == 0 || closed.len() >= 50 {
                    self.complete = false;
                    break;
                }
                closed.push(self.node(part, levels));
            }
            // Each level of `allOf` copies again what is inside: work, though no size.
            self.expander.work = self.expander.work.saturating_add((left - self.left).saturating_mul(closed.len()));
            out = merge::all_of(out, closed);
        }
        if let Some(schema @ Value::Object(_)) = map.get("not") {
            let before = std::mem::replace(&mut self.complete, true);
            let closed = self.node(schema, levels);
            // A cut schema accepts more, so its negation would refuse valid values.
            if self.complete && closed.as_object().is_some_and(|closed| !closed.is_empty()) {
                out.insert("not".into(), closed);
            }
            self.complete = before;
        }
        out
    }
}

impl Document {
    /// Whether a property does not travel in this direction.
    pub(super) fn hides(&self, property: &Value, direction: Direction) -> bool {
        let key = if direction == Direction::Request { "readOnly" } else { "writeOnly" };
        let says = |schema: &Value| schema.get(key) == Some(&Value::Bool(true));
        says(property) || self.follow(property).is_ok_and(says)
    }
}

/// The names in `required` where that is a list, as it should be.
pub(super) fn required(map: &Map<String, Value>) -> Option<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for name in map.get("required")?.as_array()?.iter().take(300).filter_map(Value::as_str) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    (!names.is_empty()).then_some(names)
}

/// Appends a remark to the description.
fn note(out: &mut Map<String, Value>, remark: &str) {
    let description = match out.get("description").and_then(Value::as_str) {
        Some(description) if description.ends_with(remark) => return,
        Some(description) => format!("{description} ({remark})"),
        None => remark.to_owned(),
    };
    out.insert("description".into(), description.into());
}

/// The same schema, null allowed.
fn allow_null(mut schema: Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::Array(values)) = schema.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    if let Some(kind) = schema.get("type").cloned() {
        let mut kinds = match kind {
            Value::Array(kinds) => kinds,
            kind => vec![kind],
        };
        if !kinds.iter().any(|kind| kind == "null") {
            kinds.push("null".into());
        }
        schema.insert("type".into(), Value::Array(kinds));
    }
    if !["allOf", "oneOf", "anyOf", "const"].iter().any(|key| schema.contains_key(*key)) {
        return schema;
    }
    let description = schema.remove("description");
    if schema.len() == 1
        && let Some(key) = ["anyOf", "oneOf"].iter().find(|key| schema.contains_key(**key))
        && let Some(Value::Array(mut variants)) = schema.remove(*key)
    {
        let null = json!({ "type": "null" });
        if !variants.contains(&null) {
            variants.push(null);
        }
        if let Some(description) = description {
            schema.insert("description".into(), description);
        }
        schema.insert("anyOf".into(), Value::Array(variants));
        return schema;
    }
    let mut out = Map::new();
    if let Some(description) = description {
        out.insert("description".into(), description);
    }
    out.insert("anyOf".into(), json!([schema, { "type": "null" }]));
    out
}

/// Whether no value fits two variants, as far as their types tell.
fn disjoint(variants: &[Value]) -> bool {
    let mut seen: Vec<&str> = Vec::new();
    for variant in variants {
        let kinds = match variant.get("type") {
            Some(Value::String(kind)) => vec![kind.as_str()],
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => return false,
        };
        for kind in kinds {
            let kind = if kind == "integer" { "number" } else { kind };
            if seen.contains(&kind) {
                return false;
            }
            seen.push(kind);
        }
    }
    true
}
