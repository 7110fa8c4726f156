//! From a platform's answer to what a model can use. Source: section 6.2 of the API notes and the limits of the contract.

mod cut;
mod extent;
mod refine;

use serde_json::{Map, Value, json};

use crate::connector::{CompiledAction, Connector};
use crate::definition::Action;
use crate::text::cut as cut_text;
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

/// Whether [`shape`] would leave an answer as it is; tells it without a value of the answer, for the usual small one.
#[must_use]
pub fn is_shown_as_is(action: &CompiledAction, extent: &Extent, limits: &ShapeLimits) -> bool {
    let selects = action.action.response.as_ref().is_some_and(|response| response.select.is_some());
    !selects && extent.fits(limits)
}

/// Shapes an answer: takes the part that matters, counts its list, cuts what is too much, and says so.
#[must_use]
pub fn shape(action: &CompiledAction, mut body: Value, limits: &ShapeLimits) -> Shaped {
    let response = action.action.response.as_ref();
    let select = response.and_then(|response| response.select.as_deref()).filter(|pointer| !pointer.is_empty());
    let selected = select.is_some_and(|pointer| body.pointer(pointer).is_some());
    // An array in the answer that is selected away does not matter, so the cheap walk comes after; the cursor is outside the selection.
    let next = next_cursor(&action.action, &body);
    if selected && let Some(part) = select.and_then(|pointer| body.pointer_mut(pointer)) {
        body = part.take();
    }
    if !needs_shaping(&body, limits) {
        return Shaped { value: body, changed: selected };
    }
    let pointer = list_pointer(response.and_then(|response| response.items.as_deref()), &body);
    let count = pointer.as_deref().and_then(|pointer| body.pointer(pointer)).and_then(Value::as_array).map_or(0, Vec::len);
    let declared = pointer.as_deref() == Some("") || response.is_some_and(|response| response.items.is_some());
    if count > limits.refine_over && (declared || refine::possible(&action.action)) {
        let value = refine::refinement(&action.action, &body, pointer.as_deref().unwrap_or_default(), next, limits);
        return Shaped { value, changed: true };
    }
    let mut cutter = Cutter::new(limits, pointer.as_deref());
    cutter.cut(&mut body);
    if cutter.nothing_done() && count < limits.items {
        return Shaped { value: body, changed: selected };
    }
    let metadata = metadata(&action.action, count, &cutter, next, limits);
    Shaped { value: json!({"data": body, "metadata": metadata}), changed: true }
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
fn list_pointer(declared: Option<&str>, body: &Value) -> Option<String> {
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

/// The argument and value that ask for the next page, when the answer has one.
fn next_cursor(action: &Action, body: &Value) -> Option<Value> {
    let pagination = action.pagination.as_ref()?;
    let value = body.pointer(pagination.next.as_deref()?)?;
    let there = match value {
        Value::String(text) => !text.is_empty() && text.len() <= 4096,
        Value::Number(_) => true,
        _ => false,
    };
    there.then(|| match &pagination.cursor {
        Some(parameter) => json!({"parameter": parameter, "value": value}),
        None => json!({"value": value}),
    })
}

/// The platform's reason, when an answer with a success status means failure (`Definition.failure`).
#[must_use]
pub fn failure(connector: &Connector, body: &Value) -> Option<String> {
    let rule = connector.definition().failure.as_ref()?;
    if body.pointer(&rule.pointer) != Some(&rule.equals) {
        return None;
    }
    let reason = rule.message.as_deref().and_then(|pointer| body.pointer(pointer)).filter(|value| !value.is_null());
    Some(match reason {
        Some(Value::String(text)) => cut_text(text, 500).into_owned(),
        Some(value) => cut_text(&value.to_string(), 500).into_owned(),
        None => format!("{} reported a failure without a reason.", connector.definition().name),
    })
}
