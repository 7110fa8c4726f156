//! From a platform's answer to what a model can use. The rules are in docs/mcp.md, section "What a model reads".

mod budget;
mod cut;
mod extent;
mod refine;
mod select;

use serde_json::{Map, Value, json};

use crate::arguments::ArgumentError;
use crate::connector::CompiledAction;
use crate::definition::{Action, Effect, Paging, Response};
use crate::text::name;
pub use budget::BYTES_PER_TOKEN;
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

impl ShapeLimits {
    /// For programs: nothing is cut but what they ask for.
    pub const NONE: Self = Self { items: usize::MAX, refine_over: usize::MAX, string_bytes: usize::MAX, depth: usize::MAX };
}

/// An answer as it is given to a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Shaped {
    /// The answer, without what is told about it.
    pub value: Value,
    /// What is told about it: what was left out, and how to get it.
    pub told: Map<String, Value>,
    /// Where what comes after it begins.
    pub rest: Option<Rest>,
    /// False: it is the platform's answer, member for member; the original bytes may be passed on.
    pub changed: bool,
    form: Form,
}

/// Where the rest of an answer begins.
#[derive(Debug, Clone, PartialEq)]
pub enum Rest {
    /// In the same answer, after so many items of its list, or bytes where it is a string.
    After(usize),
    /// In the platform's next page, which this value of the paging argument asks for.
    Page(Value),
}

/// Where that which is told of an answer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Among its members.
    Flat,
    /// In its member `metadata`.
    Within,
    /// Beside it: `{data, metadata}`.
    Around,
}

impl Shaped {
    /// The answer with what is told about it; `cursor` leads to the rest.
    #[must_use]
    pub fn with(self, cursor: Option<String>) -> Value {
        let Self { value, mut told, form, .. } = self;
        if let Some(cursor) = cursor {
            told.insert("nextCursor".into(), cursor.into());
        }
        match (form, value) {
            (_, value) if told.is_empty() => value,
            (Form::Flat, Value::Object(mut members)) => {
                members.extend(told);
                Value::Object(members)
            }
            (Form::Within, Value::Object(mut members)) => {
                members.insert("metadata".into(), told.into());
                Value::Object(members)
            }
            (_, value) => json!({"data": value, "metadata": told}),
        }
    }
}

/// What the caller wants to see of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// Dotted names of members, instead of those that the action shows first. Empty: those.
    pub fields: Vec<String>,
    /// The whole answer; only what is too long is cut.
    pub raw: bool,
    /// JSON pointer of the part that is wanted, in what would be shown without it.
    pub part: Option<String>,
    /// Items of the list, instead of the usual number.
    pub limit: Option<usize>,
    /// The longest text, in bytes of JSON; with what is told about it, about.
    pub max_bytes: Option<usize>,
    /// Where an answer before ended: [`Rest::After`].
    pub skip: usize,
    /// It goes on from an answer before, so that items are wanted and no advice.
    pub goes_on: bool,
}

/// Whether [`shape`] would leave an answer of so many bytes as it is; tells it without a value of the answer, for the usual small one.
#[must_use]
pub fn is_shown_as_is(
    action: &CompiledAction,
    (extent, bytes): (&Extent, usize),
    wanted: &Wanted,
    next: Option<&Value>,
    limits: &ShapeLimits,
) -> bool {
    let selects = action.action.response.as_ref().is_some_and(|response| response.select.is_some() || !response.fields.is_empty());
    (wanted.raw || (!selects && wanted.fields.is_empty()))
        && next.is_none()
        && extent.fits(limits)
        && !wanted.goes_on
        && wanted.part.is_none()
        && wanted.limit.is_none_or(|limit| extent.has_no_list_over(limit))
        && wanted.max_bytes.is_none_or(|max| bytes <= max)
}

/// Shapes an answer: takes the part that matters, counts its list, cuts what is too much, and says so. `next` is that of `paging::next`.
///
/// # Errors
/// Nothing stands where `part` says.
pub fn shape(
    action: &CompiledAction,
    mut body: Value,
    wanted: &Wanted,
    next: Option<Value>,
    limits: &ShapeLimits,
) -> Result<Shaped, ArgumentError> {
    let declared = action.action.response.as_ref();
    let response = declared.filter(|_| !wanted.raw);
    let select = response.and_then(|response| response.select.as_deref()).filter(|pointer| !pointer.is_empty());
    let mut taken = select.is_some_and(|pointer| take(&mut body, pointer));
    if let Some(part) = wanted.part.as_deref().filter(|part| !part.is_empty()) {
        if !take(&mut body, part) {
            let sentence = format!("The answer has nothing at `{}`: `part` is a `path` that an answer to the same call named.", name(part));
            return Err(ArgumentError::field("part", sentence));
        }
        taken = true;
    }
    if let Value::String(text) = &mut body {
        return Ok(part_of_text(&action.action, std::mem::take(text), wanted, (next, taken), limits));
    }
    let items = declared.filter(|_| wanted.part.is_none()).and_then(|response| items_of(response, wanted.raw));
    let items = items.as_deref();
    let fields = fields(&action.action, wanted);
    let part = match items {
        Some(items) => body.pointer_mut(items),
        None => Some(&mut body),
    };
    let left_out = !fields.is_empty() && part.is_some_and(|part| select::keep(part, &fields));
    let tells_next = next.is_some() && (!wanted.raw || action.action.pagination.as_ref().is_some_and(|paging| paging.kind == Paging::Link));
    let pointer = list_pointer(items, &body);
    let count = pointer.as_deref().and_then(|pointer| body.pointer(pointer)).and_then(Value::as_array).map_or(0, Vec::len);
    let fits = wanted.limit.is_none_or(|limit| count <= limit) && wanted.max_bytes.is_none_or(|max| budget::length(&body) <= max);
    if !left_out && !tells_next && !wanted.goes_on && fits && !needs_shaping(&body, limits) {
        return Ok(Shaped { value: body, told: Map::new(), rest: next.map(Rest::Page), changed: taken, form: Form::Flat });
    }
    let is_list = pointer.as_deref() == Some("") || items.is_some();
    let narrows = count > limits.refine_over && (is_list || refine::possible(&action.action));
    if narrows && is_read(&action.action) && !wanted.goes_on && wanted.limit.is_none() && wanted.part.is_none() {
        let mut told = Map::new();
        if left_out {
            say_left_out(&mut told, &fields);
        }
        let answer = refine::refinement(&action.action, &body, pointer.as_deref().unwrap_or_default(), limits);
        let value = Value::Object(answer);
        // Advice that does not fit is no help: then as much of the list as fits.
        if wanted.max_bytes.is_none_or(|max| budget::room(max, None) >= budget::length(&value)) {
            return Ok(Shaped { value, told, rest: Some(Rest::After(0)), changed: true, form: Form::Flat });
        }
    }
    let (cutter, shown) = cut(&mut body, pointer.as_deref(), wanted, next.as_ref(), limits);
    let view = View { action: &action.action, wanted, count, shown, limits };
    let whole = cutter.nothing_done() && wanted.skip == 0 && !view.cuts_the_list() && (wanted.limit.is_some() || count < limits.items);
    let (mut told, rest) = view.told(&cutter, next, tells_next);
    if left_out {
        say_left_out(&mut told, &fields);
    }
    let form = match &body {
        // Nothing is cut short, so the platform's own members stay where programs look for them.
        Value::Object(members) if whole && !members.contains_key("metadata") => Form::Within,
        _ => Form::Around,
    };
    let changed = taken || left_out || tells_next || !whole;
    Ok(Shaped { value: body, told, rest, changed, form })
}

/// Puts a part of a value in its place; false when there is none.
fn take(body: &mut Value, pointer: &str) -> bool {
    match body.pointer_mut(pointer).map(Value::take) {
        Some(part) => {
            *body = part;
            true
        }
        None => false,
    }
}

/// Where the list is, as declared; in the whole answer with `raw`.
fn items_of(response: &Response, raw: bool) -> Option<String> {
    let items = response.items.as_deref()?;
    let select = response.select.as_deref().filter(|_| raw).unwrap_or_default();
    Some(format!("{select}{items}"))
}

/// Cuts a value to the limits and to the budget; what was cut, and how many items of the main list are left.
fn cut<'p>(body: &mut Value, main: Option<&'p str>, wanted: &'p Wanted, next: Option<&Value>, limits: &ShapeLimits) -> (Cutter<'p>, usize) {
    let mut shown = 0;
    if let Some(items) = main.and_then(|main| body.pointer_mut(main)).and_then(Value::as_array_mut) {
        items.drain(..wanted.skip.min(items.len()));
        items.truncate(wanted.limit.unwrap_or(limits.items));
        shown = items.len();
    }
    let room = wanted.max_bytes.map(|max| budget::room(max, next));
    // What is cut twice would say that it was as long as it was after the first cut.
    let uncut = room.filter(|room| budget::length(body) > *room).map(|room| (room, body.clone()));
    let cutter_of = |limits| Cutter::new(limits).past(main, wanted.skip).below(wanted.part.as_deref());
    let mut cutter = cutter_of(*limits);
    cutter.cut(body);
    let Some((room, mut uncut)) = uncut.filter(|(room, _)| budget::length(body) > *room) else { return (cutter, shown) };
    shown = main.map_or(0, |main| budget::items_within(body, main, room));
    if let Some(items) = main.and_then(|main| uncut.pointer_mut(main)).and_then(Value::as_array_mut) {
        items.truncate(shown);
    }
    for (limits, members) in budget::tighter(limits) {
        let mut candidate = uncut.clone();
        cutter = cutter_of(limits).of_members(members);
        cutter.cut(&mut candidate);
        *body = candidate;
        if budget::length(body) <= room {
            break;
        }
    }
    (cutter, shown)
}

/// A string as the whole answer is read piece by piece.
fn part_of_text(action: &Action, mut text: String, wanted: &Wanted, (next, taken): (Option<Value>, bool), limits: &ShapeLimits) -> Shaped {
    let start = text.floor_char_boundary(wanted.skip);
    text.drain(..start);
    let whole = text.len();
    let room = wanted.max_bytes.map(|max| budget::room(max, None));
    let mut end = text.floor_char_boundary(room.unwrap_or(limits.string_bytes));
    // Escapes take more room than what they stand for.
    while end > 64 && room.is_some_and(|room| text.get(..end).is_some_and(|text| budget::length(&Value::from(text)) > room)) {
        end = text.floor_char_boundary(end / 2);
    }
    let mut told = Map::new();
    let mut rest = next.map(Rest::Page);
    if end < whole {
        let left_out = text.get(end..).unwrap_or_default().chars().count();
        text.truncate(end);
        told.insert("truncated".into(), true.into());
        told.insert("leftOutCharacters".into(), left_out.into());
        rest = Some(Rest::After(start + end)).filter(|_| is_read(action));
        say_rest(&mut told, action, rest.as_ref());
    }
    let changed = taken || start > 0 || !told.is_empty();
    Shaped { value: text.into(), told, rest, changed, form: Form::Around }
}

/// The members to keep: those that were asked for, else those that the action shows first.
fn fields<'a>(action: &'a Action, wanted: &'a Wanted) -> Vec<&'a str> {
    let declared = action.response.as_ref().filter(|_| wanted.part.is_none()).map_or(&[][..], |response| response.fields.as_slice());
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

/// A call that changes something is not repeated to read more of its answer.
fn is_read(action: &Action) -> bool {
    action.effect() == Effect::Read
}

fn say_rest(told: &mut Map<String, Value>, action: &Action, rest: Option<&Rest>) {
    let hint = match rest {
        Some(_) => "There is more: repeat the call as it was, with `cursor` set to `nextCursor`.",
        None if !is_read(action) => "The call is not repeated, because it changes something: look at the rest with an action that reads.",
        None => return,
    };
    told.insert("nextHint".into(), hint.into());
}

/// What is shown of an answer.
struct View<'a> {
    action: &'a Action,
    wanted: &'a Wanted,
    /// Items that the platform sent.
    count: usize,
    /// Items that are left.
    shown: usize,
    limits: &'a ShapeLimits,
}

impl View<'_> {
    fn end(&self) -> usize {
        self.wanted.skip.saturating_add(self.shown)
    }

    fn cuts_the_list(&self) -> bool {
        self.end() < self.count
    }

    fn told(&self, cutter: &Cutter<'_>, next: Option<Value>, tells_next: bool) -> (Map<String, Value>, Option<Rest>) {
        let mut told = Map::new();
        let (count, shown, skip) = (self.count, self.shown, self.wanted.skip);
        if skip > 0 || self.cuts_the_list() || (self.wanted.limit.is_none() && count >= self.limits.items) {
            told.insert("originalCount".into(), count.into());
            told.insert("displayedCount".into(), shown.into());
            if self.cuts_the_list() {
                told.insert("truncated".into(), true.into());
            }
            let hint = match (skip, self.cuts_the_list()) {
                (0, true) => format!("Showing first {shown} of {count} items."),
                (0, false) => format!("Showing all {count} items."),
                _ => format!("Showing items {} to {} of {count}.", skip + 1, self.end()),
            };
            told.insert("paginationHint".into(), hint.into());
        } else if !cutter.nothing_done() {
            told.insert("truncated".into(), true.into());
        }
        let rest = if self.cuts_the_list() { Some(Rest::After(self.end())).filter(|_| is_read(self.action)) } else { next.map(Rest::Page) };
        if self.cuts_the_list() || tells_next {
            say_rest(&mut told, self.action, rest.as_ref());
        }
        if !cutter.cuts.is_empty() {
            let listed = if self.wanted.max_bytes.is_some() { budget::LISTED } else { usize::MAX };
            let more = cutter.more + cutter.cuts.len().saturating_sub(listed);
            told.insert("cut".into(), cutter.cuts.iter().take(listed).cloned().collect());
            if more > 0 {
                told.insert("moreCuts".into(), more.into());
            }
            if is_read(self.action) {
                let hint = "To read one of them, repeat the call as it was, with `part` set to its `path`.";
                told.insert("cutHint".into(), hint.into());
            }
        }
        (told, rest)
    }
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
