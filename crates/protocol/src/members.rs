//! Splits one JSON object into the raw texts of the members that a reader names, in one pass and without copies.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::scan;
use crate::splice::Object;
use crate::strict::duplicate;

/// Members that nobody asked for are compared one by one up to this number.
const FEW: usize = 32;

/// The raw members of the object in `text`, in the order of `names`; `None` where one is not there. Others are skipped.
///
/// # Errors
/// Text that is not one JSON object; any member, named or not, that appears twice; and one that differs from one of `names` in the case of its
/// letters alone: readers that ignore case would take it for that one.
pub(crate) fn split<'a, const N: usize>(text: &'a str, names: [&str; N]) -> Result<[Option<&'a RawValue>; N], serde_json::Error> {
    split_deep(text, names, &[]).map(|(members, _)| members)
}

/// The same, and the members of the one of `deep` that is there, where it is an object with nothing unusual about it.
///
/// # Errors
/// As [`split`].
pub(crate) fn split_deep<'a, const N: usize>(
    text: &'a str,
    names: [&str; N],
    deep: &[&str],
) -> Result<([Option<&'a RawValue>; N], Option<Object<'a>>), serde_json::Error> {
    if let Some(found) = scanned(text, names, deep) {
        return Ok(found);
    }
    let mut parser = serde_json::Deserializer::from_str(text);
    let members = parser.deserialize_map(Split { names })?;
    parser.end()?;
    Ok((members, None))
}

/// The same at once, for what has nothing unusual about it.
fn scanned<'a, const N: usize>(text: &'a str, names: [&str; N], deep: &[&str]) -> Option<([Option<&'a RawValue>; N], Option<Object<'a>>)> {
    let mut members = [None; N];
    let mut others: Vec<&str> = Vec::new();
    let mut inner: Option<(&str, Object<'a>)> = None;
    scan::deep_members(text, deep, |outer, name, value| {
        if let Some(outer) = outer {
            let (place, object) = inner.get_or_insert_with(|| (outer, Object::default()));
            return if *place == outer { object.push(name, value) } else { None };
        }
        match names.iter().zip(&mut members).find(|(known, _)| **known == name) {
            Some((_, Some(_))) => return None,
            Some((_, member)) => *member = Some(scan::raw(value)?),
            None if others.len() == FEW || others.contains(&name) || resembles(name, &names) => return None,
            None => others.push(name),
        }
        Some(())
    })?;
    Some((members, inner.map(|(_, object)| object)))
}

/// Whether a reader that ignores the case of letters takes `name` for one of these, which it is not. Go's `encoding/json` does, and the last
/// of such members wins there: what was judged would not be what is done.
pub(crate) fn resembles(name: &str, known: &[&str]) -> bool {
    let fold = |letter: char| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        '\u{131}' | '\u{130}' => 'i',
        letter => letter.to_ascii_lowercase(),
    };
    !known.contains(&name) && known.iter().any(|known| known.chars().map(fold).eq(name.chars().map(fold)))
}

/// The sentence about such a member.
pub(crate) fn lookalike(name: &str) -> String {
    format!("The member {name:?} is a member of the protocol in other letters; write it as the protocol does.")
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
            if slot.is_none() && resembles(&name, &self.names) {
                return Err(A::Error::custom(lookalike(&name)));
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
