//! From a platform's answer to what a model can use. Source: section 6.2 of the API notes and the limits of the contract.

mod cut;
mod extent;
mod refine;
mod select;

use serde_json::{Map, Value, json};

use crate::connector::CompiledAction;
use crate::definition::{Action, Paging};
use cut::Cutter;
pub use extent::Extent;

/// How much of an answer a model gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShapeLimits {
    /// Lists of fewer items are whole; of longer ones this many are shown.
    pub items: usize,
    /// A list of more items is not shown at all: the model is told how to narrow it.
    pub refine_over: usize,
    /// The longest string, in bytes.
    pub string_bytes: usize,
    /// The deepest nesting; the answer itself is level 1.
    pub depth: usize,
}

impl Default for ShapeLimits {
    fn default() -> Self {
        Self { items: 25, refine_over: 50, string_bytes: 5 * 1024, depth: 10 }
    }
}

/// An answer as it is given to a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Shaped {
    /// The answer.
    pub value: Value,
    /// False: it is the platform's answer, member for member; the original bytes may be passed on.
    pub changed: bool,
}

/// What the caller wants to see of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// Dotted names of members, instead of those that the action shows first. Empty: those.
    pub fields: Vec<String>,
    /// The whole answer; only what is too long is cut.
    pub raw: bool,
}

/// Whether [`shape`] would leave an answer as it is; tells it without a value of the answer, for the usual small one.
#[must_use]
pub fn is_shown_as_is(action: &CompiledAction, extent: &Extent, wanted: &Wanted, next: Option<&Value>, limits: &ShapeLimits) -> bool {
    let selects = action.action.response.as_ref().is_some_and(|response| response.select.is_some() || !response.fields.is_empty());
    (wanted.raw || (!selects && wanted.fields.is_empty())) && next.is_none() && extent.fits(limits)
}

/// Shapes an answer: takes the part that matters, counts its list, cuts what is too much, and says so. `next` is that of `paging::next`.
#[must_use]
pub fn shape(action: &CompiledAction, mut body: Value, wanted: &Wanted, next: Option<Value>, limits: &ShapeLimits) -> Shaped {
    let response = action.action.response.as_ref().filter(|_| !wanted.raw);
    let select = response.and_then(|response| response.select.as_deref()).filter(|pointer| !pointer.is_empty());
    let selected = select.is_some_and(|pointer| body.pointer(pointer).is_some());
    if selected && let Some(part) = select.and_then(|pointer| body.pointer_mut(pointer)) {
        body = part.take();
    }
    let items = response.and_then(|response| response.items.as_deref());
    let fields = fields(&action.action, wanted);
    let part = match items {
        Some(items) => body.pointer_mut(items),
        None => Some(&mut body),
    };
    let left_out = !fields.is_empty() && part.is_some_and(|part| select::keep(part, &fields));
    let next_is_hidden =
        next.is_some() && (selected || action.action.pagination.as_ref().is_some_and(|paging| paging.kind == Paging::Link));
    if !left_out && !next_is_hidden && !needs_shaping(&body, limits) {
        return Shaped { value: body, changed: selected };
    }
    let pointer = list_pointer(items, &body);
    let count = pointer.as_deref().and_then(|pointer| body.pointer(pointer)).and_then(Value::as_array).map_or(0, Vec::len);
    let declared = pointer.as_deref() == Some("") || items.is_some();
    if count > limits.refine_over && (declared || refine::possible(&action.action)) {
        let mut answer = refine::refinement(&action.action, &body, pointer.as_deref().unwrap_or_default(), next, limits);
        if left_out {
            say_left_out(&mut answer, &fields);
        }
        return Shaped { value: Value::Object(answer), changed: true };
    }
    let mut cutter = Cutter::new(limits, pointer.as_deref());
    cutter.cut(&mut body);
    let whole = cutter.nothing_done() && count < limits.items;
    if whole && !left_out && !next_is_hidden {
        return Shaped { value: body, changed: selected };
    }
    let mut metadata = metadata(&action.action, count, &cutter, next, limits);
    if left_out {
        say_left_out(&mut metadata, &fields);
    }
    let value = match body {
        // Nothing is cut short, so the platform's own members stay where programs look for them.
        Value::Object(mut members) if whole && !members.contains_key("metadata") => {
            members.insert("metadata".into(), metadata.into());
            Value::Object(members)
        }
        body => json!({"data": body, "metadata": metadata}),
    };
    Shaped { value, changed: true }
}

/// The members to keep: those that were asked for, else those that the action shows first.
fn fields<'a>(action: &'a Action, wanted: &'a Wanted) -> Vec<&'a str> {
    let declared = action.response.as_ref().map_or(&[][..], |response| response.fields.as_slice());
    let fields = if wanted.fields.is_empty() { declared } else { wanted.fields.as_slice() };
    if wanted.raw { Vec::new() } else { fields.iter().map(String::as_str).collect() }
}

fn say_left_out(told: &mut Map<String, Value>, fields: &[&str]) {
    told.insert("fields".into(), fields.iter().copied().collect());
    told.insert(
        "fieldsHint".into(),
        "Other members are left out: name them in `fields`, or set `raw` to true for the whole answer.".into(),
    );
}

fn metadata(action: &Action, count: usize, cutter: &Cutter<'_>, next: Option<Value>, limits: &ShapeLimits) -> Map<String, Value> {
    let mut metadata = Map::new();
    if count >= limits.items {
        let shown = count.min(limits.items);
        metadata.insert("originalCount".into(), count.into());
        metadata.insert("displayedCount".into(), shown.into());
        if count > shown {
            metadata.insert("truncated".into(), true.into());
        }
        let mut hint =
            if count > shown { format!("Showing first {shown} of {count} items.") } else { format!("Showing all {count} items.") };
        if count > shown
            && let Some(limit) = action.pagination.as_ref().and_then(|pagination| pagination.limit.as_deref())
        {
            hint.push_str(&format!(" Ask for at most {shown} at a time with `{limit}` to see the rest page by page."));
        }
        metadata.insert("paginationHint".into(), hint.into());
    } else if !cutter.nothing_done() {
        metadata.insert("truncated".into(), true.into());
    }
    if let Some(next) = next {
        metadata.insert("nextCursor".into(), next);
    }
    if !cutter.cuts.is_empty() {
        metadata.insert("cut".into(), Value::Array(cutter.cuts.clone()));
        if cutter.more > 0 {
            metadata.insert("moreCuts".into(), cutter.more.into());
        }
    }
    metadata
}

/// Whether a value holds a list, string or depth that might have to be cut. A walk without recursion, for the usual small answer.
#[must_use]
pub fn needs_shaping(value: &Value, limits: &ShapeLimits) -> bool {
    let mut open = vec![(value, 1_usize)];
    while let Some((value, depth)) = open.pop() {
        match value {
            Value::String(text) if text.len() > limits.string_bytes => return true,
            Value::Array(items) if items.len() >= limits.items || depth > limits.depth => {
                return true;
            }
            Value::Object(_) if depth > limits.depth => return true,
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(members) => open.extend(members.values().map(|member| (member, depth + 1))),
            _ => {}
        }
    }
    false
}

/// Where the list is: declared, the answer itself, or its longest direct array member.
pub(crate) fn list_pointer(declared: Option<&str>, body: &Value) -> Option<String> {
    if let Some(pointer) = declared.filter(|pointer| body.pointer(pointer).is_some_and(Value::is_array)) {
        return Some(pointer.to_owned());
    }
    match body {
        Value::Array(_) => Some(String::new()),
        Value::Object(members) => {
            let arrays = members.iter().filter_map(|(key, value)| Some((key, value.as_array()?.len())));
            // `max_by_key` keeps the last of equals; the first one reads as the main list.
            let longest = arrays.rev().max_by_key(|(_, length)| *length)?;
            Some(format!("/{}", cut::escape(longest.0)))
        }
        _ => None,
    }
}
