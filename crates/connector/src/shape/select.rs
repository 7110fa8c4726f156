//! Keeps the members of an answer that matter, by their dotted names.

use serde_json::Value;

/// Keeps only `fields` of an object, or of each object in a list; tells whether something was left out. Depth is bounded by the parser
/// of the answer and by the dots of the names.
pub(super) fn keep(value: &mut Value, fields: &[&str]) -> bool {
    match value {
        // Every item is looked at, so this may not stop at the first that loses something.
        Value::Array(items) => items.iter_mut().filter_map(|item| keep(item, fields).then_some(())).count() > 0,
        Value::Object(members) => {
            let before = members.len();
            members.retain(|name, _| fields.iter().any(|field| *field == name || inner(field, name).is_some()));
            let mut left_out = members.len() < before;
            for (name, member) in members.iter_mut().filter(|(name, _)| !fields.contains(&name.as_str())) {
                let inner: Vec<&str> = fields.iter().filter_map(|field| inner(field, name)).collect();
                left_out |= keep(member, &inner);
            }
            left_out
        }
        _ => false,
    }
}

/// What of `a.b` lies within the member `a`. A member's own name may hold dots.
fn inner<'f>(field: &'f str, name: &str) -> Option<&'f str> {
    field.strip_prefix(name)?.strip_prefix('.')
}
