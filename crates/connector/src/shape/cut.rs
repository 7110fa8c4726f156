//! Cuts long lists, long strings and deep nesting, and keeps a list of what was cut.

use serde_json::{Map, Value, json};

use crate::shape::ShapeLimits;
use crate::text::count;

/// Cuts that are listed one by one; the rest are counted.
const LISTED: usize = 20;
/// Where members are few, names are not longer, in bytes.
const LONGEST_NAME: usize = 100;

/// One pass over an answer. It descends no deeper than the limit, so the recursion is bounded.
pub(super) struct Cutter<'a> {
    limits: ShapeLimits,
    /// Members that an object keeps.
    members: usize,
    /// The main list has been cut, and is counted in the metadata.
    main: Option<&'a str>,
    /// Items of it that were left out before the first one.
    skipped: usize,
    /// Where the value lies in the whole answer: a JSON pointer.
    base: &'a str,
    path: String,
    done: bool,
    pub(super) cuts: Vec<Value>,
    pub(super) more: usize,
}

impl<'a> Cutter<'a> {
    pub(super) fn new(limits: ShapeLimits) -> Self {
        Self { limits, members: usize::MAX, main: None, skipped: 0, base: "", path: String::new(), done: false, cuts: Vec::new(), more: 0 }
    }

    /// Leaves the main list as long as it is; its first item had so many before it.
    pub(super) fn past(mut self, main: Option<&'a str>, skipped: usize) -> Self {
        (self.main, self.skipped) = (main, skipped);
        self
    }

    /// The value lies at this place in the whole answer.
    pub(super) fn below(mut self, base: Option<&'a str>) -> Self {
        self.base = base.unwrap_or_default();
        self
    }

    /// Objects keep so many members, and none whose name alone would fill the room.
    pub(super) fn of_members(mut self, members: usize) -> Self {
        self.members = members;
        self
    }

    pub(super) fn cut(&mut self, value: &mut Value) {
        self.visit(value, 1);
    }

    pub(super) fn nothing_done(&self) -> bool {
        !self.done
    }

    fn visit(&mut self, value: &mut Value, depth: usize) {
        match value {
            Value::String(text) => {
                if let Some(left_out) = shorten(text, self.limits.string_bytes) {
                    self.note(json!({"path": self.shown_path(), "leftOutCharacters": left_out}));
                }
            }
            Value::Array(items) if depth > self.limits.depth => {
                let what = format!("an array of {}", count(items.len(), "item"));
                self.too_deep(value, &what);
            }
            Value::Object(members) if depth > self.limits.depth => {
                let what = format!("an object of {}", count(members.len(), "member"));
                self.too_deep(value, &what);
            }
            Value::Array(items) => {
                let length = items.len();
                let is_main = self.main == Some(self.path.as_str());
                if !is_main && length > self.limits.items {
                    items.truncate(self.limits.items);
                    self.note(json!({"path": self.shown_path(), "originalCount": length, "displayedCount": self.limits.items}));
                }
                // Paths lead into the answer as the platform sent it.
                let first = if is_main { self.skipped } else { 0 };
                for (index, item) in items.iter_mut().enumerate() {
                    self.step(&(first + index).to_string(), item, depth);
                }
            }
            Value::Object(members) => {
                if self.members != usize::MAX {
                    self.few(members);
                }
                for (key, member) in members.iter_mut() {
                    // A scalar that fits needs no path.
                    if matches!(member, Value::Array(_) | Value::Object(_) | Value::String(_)) {
                        self.step(&escape(key), member, depth);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn few(&mut self, members: &mut Map<String, Value>) {
        let (before, mut kept) = (members.len(), 0);
        members.retain(|name, _| {
            kept += 1;
            kept <= self.members && name.len() <= LONGEST_NAME
        });
        if members.len() < before {
            self.note(json!({"path": self.shown_path(), "originalMembers": before, "displayedMembers": members.len()}));
        }
    }

    fn step(&mut self, token: &str, value: &mut Value, depth: usize) {
        let length = self.path.len();
        self.path.push('/');
        self.path.push_str(token);
        self.visit(value, depth + 1);
        self.path.truncate(length);
    }

    fn too_deep(&mut self, value: &mut Value, what: &str) {
        *value = Value::String(format!("… ({what}, nested deeper than {} levels, left out)", self.limits.depth));
        self.note(json!({"path": self.shown_path(), "leftOut": what}));
    }

    fn note(&mut self, cut: Value) {
        self.done = true;
        if self.cuts.len() < LISTED { self.cuts.push(cut) } else { self.more += 1 }
    }

    fn shown_path(&self) -> String {
        crate::text::cut(&format!("{}{}", self.base, self.path), 200).into_owned()
    }
}

/// Cuts a string at a character boundary; the number of characters left out, if any.
fn shorten(text: &mut String, limit: usize) -> Option<usize> {
    if text.len() <= limit {
        return None;
    }
    let end = text.floor_char_boundary(limit);
    let left_out = text.get(end..).unwrap_or_default().chars().count();
    text.truncate(end);
    text.push_str(&format!("… ({} left out)", count(left_out, "character")));
    Some(left_out)
}

/// A member's name as a token of a JSON pointer (RFC 6901).
pub(super) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
