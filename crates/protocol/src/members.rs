//! Splits one JSON object into the raw texts of the members that a reader names, in one pass and without copies.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::scan;
use crate::strict::duplicate;

/// Members that nobody asked for are compared one by one up to this number.
const FEW: usize = 32;

/// The raw members of the object in `text`, in the order of `names`; `None` where one is not there. Others are skipped.
///
/// # Errors
/// Text that is not one JSON object, and any member, named or not, that appears twice.
pub(crate) fn split<'a, const N: usize>(text: &'a str, names: [&str; N]) -> Result<[Option<&'a RawValue>; N], serde_json::Error> {
    if let Some(members) = scanned(text, names) {
        return Ok(members);
    }
    let mut parser = serde_json::Deserializer::from_str(text);
    let members = parser.deserialize_map(Split { names })?;
    parser.end()?;
    Ok(members)
}

/// The same at once, for what has nothing unusual about it.
fn scanned<'a, const N: usize>(text: &'a str, names: [&str; N]) -> Option<[Option<&'a RawValue>; N]> {
    let mut members = [None; N];
    let mut others: Vec<&str> = Vec::new();
    scan::members(text, |name, value| {
        match names.iter().zip(&mut members).find(|(known, _)| **known == name) {
            Some((_, Some(_))) => return None,
            Some((_, member)) => *member = Some(scan::raw(value)?),
            None if others.len() == FEW || others.contains(&name) => return None,
            None => others.push(name),
        }
        Some(())
    })?;
    Some(members)
}

/// The raw text, unless it is `null`: a member sent as `null` is a member not sent.
pub(crate) fn present(raw: Option<&RawValue>) -> Option<&RawValue> {
    raw.filter(|raw| raw.get() != "null")
}

/// The string that a raw value is, borrowed unless it holds escapes; `None` when it is something else.
pub(crate) fn text_of(raw: &RawValue) -> Option<Cow<'_, str>> {
    match scan::string(raw.get()) {
        Some(text) => Some(Cow::Borrowed(text)),
        None => serde_json::from_str::<Text<'_>>(raw.get()).ok().map(|text| text.0),
    }
}

/// A string that stays borrowed where serde's own `Cow` would copy.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct Split<'n, const N: usize> {
    names: [&'n str; N],
}

impl<'de, const N: usize> Visitor<'de> for Split<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut members = [None; N];
        // Allocates only when the object has members that nobody asked for.
        let mut others = HashSet::new();
        while let Some(Text(name)) = access.next_key()? {
            let slot = self.names.iter().zip(&mut members).find(|(known, _)| **known == name);
            let is_new = match &slot {
                Some((_, member)) => member.is_none(),
                None => !others.contains(&name),
            };
            if !is_new {
                return Err(A::Error::custom(duplicate(&name)));
            }
            match slot {
                Some((_, member)) => *member = Some(access.next_value()?),
                None => {
                    others.insert(name);
                    access.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(members)
    }
}
