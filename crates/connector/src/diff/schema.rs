//! What a change of a schema means for values that fitted the old one.

use serde_json::{Map, Value};

use crate::text::{literal, name};

/// Deeper members are compared as a whole.
const DEEPEST: usize = 6;
/// More differences of one parameter say nothing new.
const MOST: usize = 20;

/// Whether each breaks, and the end of the sentence that begins with the parameter's name.
pub(super) fn differences(old: &Value, new: &Value) -> Vec<(bool, String)> {
    let mut found = Vec::new();
    compare(&mut found, "", old, new, DEEPEST);
    found.truncate(MOST);
    found
}

fn compare(found: &mut Vec<(bool, String)>, at: &str, old: &Value, new: &Value, depth: usize) {
    if found.len() >= MOST || old == new {
        return;
    }
    let before = found.len();
    let (old_types, new_types) = (types(old), types(new));
    if old_types != new_types {
        // Integers are numbers too.
        let covered = new_types.is_empty()
            || old_types.iter().all(|kind| new_types.contains(kind) || (*kind == "integer" && new_types.contains(&"number")));
        let breaking = !covered || (old_types.is_empty() && !new_types.is_empty());
        found.push((breaking, format!("{at} was of type {} and is {}", listed(&old_types), listed(&new_types))));
        if breaking {
            return;
        }
    }
    choices(found, at, old, new);
    if depth > 0 {
        members(found, at, old, new, depth - 1);
        if let (Some(old), Some(new)) = (old.get("items"), new.get("items")) {
            compare(found, &format!("{at}[]"), old, new, depth - 1);
        }
    }
    let bare = |schema: &Value| {
        let mut schema = schema.clone();
        if let Value::Object(members) = &mut schema {
            for key in
                ["type", "enum", "properties", "required", "items", "description", "title", "default", "example", "examples", "deprecated"]
            {
                members.shift_remove(key);
            }
        }
        schema
    };
    if found.len() == before && bare(old) != bare(new) {
        found.push((false, format!("{at} has another schema")));
    }
}

fn choices(found: &mut Vec<(bool, String)>, at: &str, old: &Value, new: &Value) {
    let list = |schema: &Value| schema.get("enum").and_then(Value::as_array).cloned();
    let shown = |values: Vec<&Value>| values.into_iter().take(8).map(literal).collect::<Vec<_>>().join(", ");
    match (list(old), list(new)) {
        (Some(old), Some(new)) => {
            let gone: Vec<&Value> = old.iter().filter(|value| !new.contains(value)).collect();
            let more: Vec<&Value> = new.iter().filter(|value| !old.contains(value)).collect();
            if !gone.is_empty() {
                found.push((true, format!("{at} no longer takes {}", shown(gone))));
            }
            if !more.is_empty() {
                found.push((false, format!("{at} also takes {}", shown(more))));
            }
        }
        (None, Some(new)) => found.push((true, format!("{at} only takes {} now", shown(new.iter().collect())))),
        (Some(_), None) => found.push((false, format!("{at} takes any value of its type now"))),
        (None, None) => {}
    }
}

fn members(found: &mut Vec<(bool, String)>, at: &str, old: &Value, new: &Value, depth: usize) {
    let none = Map::new();
    let properties = |schema: &'_ Value| schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_else(|| none.clone());
    let requires = |schema: &Value, key: &str| {
        schema.get("required").and_then(Value::as_array).is_some_and(|names| names.iter().any(|name| name == key))
    };
    let (had, has) = (properties(old), properties(new));
    for (key, schema) in &has {
        let place = format!("{at}.{}", name(key));
        let required = requires(new, key);
        match had.get(key) {
            Some(before) => {
                if required && !requires(old, key) {
                    found.push((true, format!("{place} is required now")));
                }
                compare(found, &place, before, schema, depth);
            }
            None => found.push((required, format!("{place} is new{}", if required { " and required" } else { "" }))),
        }
    }
    for key in had.keys().filter(|key| !has.contains_key(*key)) {
        found.push((true, format!("{at}.{} is gone", name(key))));
    }
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => {
            let mut kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
            kinds.sort_unstable();
            kinds
        }
        _ => Vec::new(),
    }
}

fn listed(types: &[&str]) -> String {
    if types.is_empty() { "any".to_owned() } else { types.join(" or ") }
}
