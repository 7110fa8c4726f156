//! Where in a text a dotted place is.

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// The line, counted from 1, that holds the byte at `offset`.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The byte at which the value at `place` begins, or the innermost one around it that is there. Names may hold dots themselves.
pub(super) fn offset(table: &DeTable<'_>, place: &str) -> Option<usize> {
    let mut found = None;
    let mut at = At::Table(table);
    let mut rest = place;
    while !rest.is_empty() {
        let Some((start, value, after)) = at.step(rest) else { break };
        found = Some(start);
        rest = after;
        at = match value {
            DeValue::Table(table) => At::Table(table),
            DeValue::Array(items) => At::List(items),
            _ => break,
        };
    }
    found
}

/// What is gone into.
enum At<'t, 'i> {
    Table(&'t DeTable<'i>),
    List(&'t DeArray<'i>),
}

impl<'t, 'i> At<'t, 'i> {
    /// The member that `place` begins with: where it starts, its value, and what of the place is left.
    fn step<'p>(&self, place: &'p str) -> Option<(usize, &'t DeValue<'i>, &'p str)> {
        match self {
            Self::Table(table) => {
                let named = table.iter().filter_map(|(key, value)| Some((key, value, after(place, key.get_ref())?)));
                let (key, value, rest) = named.min_by_key(|(_, _, rest)| rest.len())?;
                Some((key.span().start, value.get_ref(), rest))
            }
            // Ways to authenticate are named by their type, what they send by its name, other lists by number.
            Self::List(items) => items.iter().enumerate().find_map(|(number, item)| {
                let text = |key: &str| item.get_ref().get(key).and_then(|value: &'t Spanned<DeValue<'i>>| value.get_ref().as_str());
                let named = ["type", "name"].into_iter().filter_map(text).find_map(|name| after(place, name));
                let rest = named.or_else(|| after(place, &number.to_string()))?;
                Some((item.span().start, item.get_ref(), rest))
            }),
        }
    }
}

/// What follows `name` in a place that begins with it.
fn after<'p>(place: &'p str, name: &str) -> Option<&'p str> {
    let rest = place.strip_prefix(name)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('.') }
}
