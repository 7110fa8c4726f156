//! `allOf` of closed schemas becomes one schema where nothing is lost; what cannot be merged stays in `allOf`.

use serde_json::{Map, Value};

/// Keywords that describe and do not judge: the first one counts.
const ANNOTATIONS: [&str; 6] = ["title", "description", "default", "examples", "deprecated", "format"];

/// Merges closed `parts` into `base`, whose annotations count before those of the parts.
pub(super) fn all_of(mut base: Map<String, Value>, parts: Vec<Value>) -> Map<String, Value> {
    let mut rest: Vec<Value> = Vec::new();
    for part in parts {
        match part {
            Value::Object(part) => {
                if let Some(merged) = merge(&base, &part) {
                    base = merged;
                } else if !rest.contains(&Value::Object(part.clone())) {
                    rest.push(Value::Object(part));
                }
            }
            other => rest.push(other),
        }
    }
    if !rest.is_empty() {
        base.insert("allOf".into(), Value::Array(rest));
    }
    base
}

/// One schema that accepts what both accept, or none if that needs `allOf`.
fn merge(base: &Map<String, Value>, part: &Map<String, Value>) -> Option<Map<String, Value>> {
    let mut out = base.clone();
    for (key, theirs) in part {
        let Some(ours) = base.get(key) else {
            // A closed list of properties means "no others" of that part alone; together they would exclude each other.
            out.insert(key.clone(), theirs.clone());
            continue;
        };
        if ours == theirs || ANNOTATIONS.contains(&key.as_str()) {
            continue;
        }
        let merged = match key.as_str() {
            "properties" => properties(ours, theirs)?,
            "required" => union(ours, theirs)?,
            "type" => common_type(ours, theirs)?,
            "minimum" | "minLength" | "minItems" | "minProperties" => larger(ours, theirs)?,
            "additionalProperties" if ours == &Value::Bool(true) => theirs.clone(),
            "additionalProperties" if theirs == &Value::Bool(true) => ours.clone(),
            _ => return None,
        };
        out.insert(key.clone(), merged);
    }
    let distinct = base.contains_key("properties") && part.contains_key("properties");
    if distinct && out.get("additionalProperties") == Some(&Value::Bool(false)) {
        out.remove("additionalProperties");
    }
    Some(out)
}

fn properties(ours: &Value, theirs: &Value) -> Option<Value> {
    let mut out = ours.as_object()?.clone();
    for (name, theirs) in theirs.as_object()? {
        let merged = match out.get(name) {
            None => theirs.clone(),
            Some(ours) if ours == theirs => continue,
            Some(ours) => {
                let base = ours.as_object()?.clone();
                Value::Object(all_of(base, vec![theirs.clone()]))
            }
        };
        out.insert(name.clone(), merged);
    }
    Some(Value::Object(out))
}

fn union(ours: &Value, theirs: &Value) -> Option<Value> {
    let mut out = ours.as_array()?.clone();
    for name in theirs.as_array()? {
        if !out.contains(name) {
            out.push(name.clone());
        }
    }
    Some(Value::Array(out))
}

fn common_type(ours: &Value, theirs: &Value) -> Option<Value> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    let theirs = list(theirs);
    let mut common: Vec<Value> = list(ours).into_iter().filter(|kind| theirs.contains(kind)).collect();
    match common.len() {
        0 => None,
        1 => common.pop(),
        _ => Some(Value::Array(common)),
    }
}

fn larger(ours: &Value, theirs: &Value) -> Option<Value> {
    Some(if ours.as_f64()? >= theirs.as_f64()? { ours.clone() } else { theirs.clone() })
}
