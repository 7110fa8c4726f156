//! How large a JSON text is, in the measures of `ShapeLimits`, without building a value of it.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::ShapeLimits;

/// The deepest nesting of an answer.
const DEEPEST: usize = 120;

/// The largest of each kind that stands anywhere in a JSON text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// The text is an object.
    pub is_object: bool,
    /// Items of the longest list.
    items: usize,
    /// Bytes of the longest string, member names apart.
    string_bytes: usize,
    /// Levels of lists and objects; 1 is a flat one.
    depth: usize,
}

impl Extent {
    /// Reads a text to its end.
    ///
    /// # Errors
    /// What is wrong where the text is not one JSON value, or nests deeper than 120 levels: parsers stop at 127, and an answer gets
    /// an envelope.
    pub fn of(text: &str) -> Result<Self, serde_json::Error> {
        let extent = Cell::new(Self { is_object: text.trim_start().starts_with('{'), ..Self::default() });
        let mut parser = serde_json::Deserializer::from_str(text);
        Measure { extent: &extent, depth: 0 }.deserialize(&mut parser)?;
        parser.end()?;
        Ok(extent.get())
    }

    /// No list has more items than so many.
    #[must_use]
    pub fn has_no_list_over(&self, items: usize) -> bool {
        self.items <= items
    }

    /// Nothing of the text has to be cut; the same as `!needs_shaping` of its value.
    #[must_use]
    pub fn fits(&self, limits: &ShapeLimits) -> bool {
        self.items < limits.items && self.string_bytes <= limits.string_bytes && self.depth <= limits.depth
    }
}

#[derive(Clone, Copy)]
struct Measure<'a> {
    extent: &'a Cell<Extent>,
    /// Levels around this value.
    depth: usize,
}

impl Measure<'_> {
    fn note(self, change: impl FnOnce(&mut Extent)) {
        let mut extent = self.extent.get();
        change(&mut extent);
        self.extent.set(extent);
    }

    fn nested<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > DEEPEST {
            return Err(E::custom(format_args!("it nests deeper than {DEEPEST} levels")));
        }
        self.note(|extent| extent.depth = extent.depth.max(depth));
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Measure<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Measure<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.note(|extent| extent.string_bytes = extent.string_bytes.max(text.len()));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let item = self.nested()?;
        let mut count = 0;
        while access.next_element_seed(item)?.is_some() {
            count += 1;
        }
        self.note(|extent| extent.items = extent.items.max(count));
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let member = self.nested()?;
        while access.next_key::<IgnoredAny>()?.is_some() {
            access.next_value_seed(member)?;
        }
        Ok(())
    }
}
