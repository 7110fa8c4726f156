//! Changes single members of a JSON object and leaves the text of all others as it came: number forms, order, unknown members.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::escape::write_string;
use crate::members::{lookalike, resembles, text_of};
use crate::pieces::Sink;
use crate::scan;
use crate::strict::{StrictError, duplicate};

/// The names of so many members are compared one by one.
const FEW: usize = 32;

/// One JSON object, taken apart one level deep. The values are the texts that stood there.
#[derive(Clone, Debug, Default)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Object<'a> {
    /// Takes the object in `text` apart.
    ///
    /// # Errors
    /// Text that is not one JSON object, and a member that appears twice.
    pub fn parse(text: &'a str) -> Result<Self, StrictError> {
        match Self::scanned(text) {
            Some(object) => Ok(object),
            None => serde_json::from_str(text).map_err(StrictError::from),
        }
    }

    /// The same at once, for what has nothing unusual about it.
    fn scanned(text: &'a str) -> Option<Self> {
        let mut object = Self::default();
        scan::members(text, |name, value| object.push(name, value))?;
        Some(object)
    }

    /// Adds a member of the text that is taken apart. `None` where it is there already, or there are many.
    pub(crate) fn push(&mut self, name: &'a str, json: &'a str) -> Option<()> {
        if self.members.len() == FEW || self.members.iter().any(|(known, _)| known == name) {
            return None;
        }
        self.members.push((Cow::Borrowed(name), Cow::Borrowed(json)));
        Some(())
    }

    /// Of members that were found before, each once: the JSON of each is in `json`.
    pub fn of(members: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        Self { members: members.map(|(name, json)| (Cow::Borrowed(name), Cow::Borrowed(json))).collect() }
    }

    /// A sentence about the member that differs from one of `names` in the case of its letters alone, if there is one: a reader that ignores
    /// case takes it for that one, and what was judged is not what is done.
    #[must_use]
    pub fn lookalike(&self, names: &[&str]) -> Option<String> {
        self.members.iter().find(|(name, _)| resembles(name, names)).map(|(name, _)| lookalike(name))
    }

    /// The text of a member's value. `null` is a value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.members.iter().find(|(known, _)| known == name).map(|(_, json)| &**json)
    }

    /// The value of a member that stands in the text that was taken apart.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        match self.members.iter().find(|(known, _)| known == name) {
            // Where serde changes its private ways, it reads the value itself.
            Some((_, Cow::Borrowed(json))) => scan::raw(json).or_else(|| serde_json::from_str(json).ok()),
            _ => None,
        }
    }

    /// A member that is a string, unescaped.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        string(self.get(name)?)
    }

    /// Sets a member, in its place when it is there and at the end otherwise. `json` is JSON.
    pub fn set(&mut self, name: impl Into<Cow<'a, str>>, json: impl Into<Cow<'a, str>>) {
        let (name, json) = (name.into(), json.into());
        match self.members.iter_mut().find(|(known, _)| *known == name) {
            Some((_, value)) => *value = json,
            None => self.members.push((name, json)),
        }
    }

    /// Sets a member to a string.
    pub fn set_text(&mut self, name: impl Into<Cow<'a, str>>, text: &str) {
        self.set(name, quoted(text));
    }

    /// Puts a member before all others, unless it is there.
    pub fn lead(&mut self, name: &'static str, json: impl Into<Cow<'a, str>>) {
        if self.get(name).is_none() {
            self.members.insert(0, (name.into(), json.into()));
        }
    }

    /// Takes a member out; its text, if it was there.
    pub fn remove(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let at = self.members.iter().position(|(known, _)| known == name)?;
        Some(self.members.remove(at).1)
    }

    /// How long its text is at most, unless names need escapes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.members.iter().fold(2, |sum, (name, json)| sum + name.len() + json.len() + 4)
    }

    /// Appends its text.
    pub fn write(&self, out: &mut impl Sink) {
        out.text().push(b'{');
        for (n, (name, json)) in self.members.iter().enumerate() {
            let text = out.text();
            if n > 0 {
                text.push(b',');
            }
            write_string(text, name);
            text.push(b':');
            out.part(json);
        }
        out.text().push(b'}');
    }

    /// Whether it has no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The members in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members.iter().map(|(name, json)| (&**name, &**json))
    }
}

/// Writes the object; values as they came, without white space between members.
impl fmt::Display for Object<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(self.size());
        self.write(&mut text);
        out.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// A JSON string of this text.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    write_string(&mut out, text);
    // What is written is the text itself and ASCII.
    String::from_utf8(out).unwrap_or_default()
}

/// The string that a JSON text is; `None` when it is something else.
#[must_use]
pub fn string(json: &str) -> Option<Cow<'_, str>> {
    match scan::string(json) {
        Some(text) => Some(Cow::Borrowed(text)),
        None => serde_json::from_str::<&RawValue>(json).ok().and_then(text_of),
    }
}

/// The elements of a JSON array, each as it stood there; `None` when it is no array.
#[must_use]
pub fn elements(json: &str) -> Option<Vec<&str>> {
    let raw: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    Some(raw.into_iter().map(RawValue::get).collect())
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<(Cow<'de, str>, Cow<'de, str>)> = Vec::new();
        let mut names = std::collections::HashSet::new();
        while let Some(Name(name)) = access.next_key()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(duplicate(&name)));
            }
            let value: &RawValue = access.next_value()?;
            members.push((name, Cow::Borrowed(value.get())));
        }
        Ok(Object { members })
    }
}
