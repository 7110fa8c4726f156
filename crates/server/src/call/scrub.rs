//! Takes secrets out of answers that repeat them, however they are written there.

use std::{borrow::Cow, cmp::Reverse};

use amalgam_connector::shape::Extent;
use amalgam_protocol::strict::parse_answer;
use bytes::Bytes;
use serde_json::Value;

use crate::{
    egress::Incoming,
    error::{Error, Kind, Result},
};

/// What stands in an answer where a secret stood.
const REMOVED: &str = "[credential removed]";
/// Shorter secrets are not searched for in answers: they would match by chance.
const MIN_SECRET: usize = 8;
/// In answers up to this size a secret is looked for byte by byte: preparing a quicker search takes longer than that. Bounded, because the
/// work may grow with the secret, too.
const SMALL: usize = 4 * 1024;

/// Takes the secrets out of an answer that repeats them (an echo, an error message): no model may see one.
///
/// # Errors
/// An answer in which a secret may be hidden and that is too odd to be searched.
pub fn scrub(incoming: &mut Incoming, secrets: &[String]) -> Result<()> {
    let mut secrets: Vec<&str> = secrets.iter().map(String::as_str).filter(|secret| secret.len() >= MIN_SECRET).collect();
    // The longest first, because one may begin with another.
    secrets.sort_unstable_by_key(|secret| Reverse(secret.len()));
    for secret in secrets {
        let is_plain = is_plain(secret);
        let forms = if is_plain { vec![Cow::Borrowed(secret)] } else { written(secret) };
        for form in &forms {
            if let Some(clean) = without(&incoming.body, form.as_bytes()) {
                incoming.body = clean.into();
            }
        }
        // JSON may write any character as an escape, and an error message may hold JSON that quotes the request.
        if is_plain || memchr::memchr(b'\\', &incoming.body).is_none() {
            continue;
        }
        match parse_answer(&incoming.body) {
            Ok(mut value) => {
                // Every form is looked for, so that no `any`.
                let found = forms.iter().filter(|form| remove(&mut value, form)).count();
                if found > 0 {
                    incoming.body = Bytes::from(value.to_string());
                }
            }
            // JSON all the same for somebody who is less strict.
            Err(_) if std::str::from_utf8(&incoming.body).is_ok_and(|text| Extent::of(text).is_ok()) => {
                return Err(Error::new(
                    Kind::PlatformFailed,
                    "The platform answered with JSON that cannot be searched for the credential.",
                ));
            }
            Err(_) => {}
        }
    }
    Ok(())
}

/// A text of one line, such as a header, without the secrets.
pub fn scrub_text<'t>(text: &'t [u8], secrets: &[String]) -> Cow<'t, [u8]> {
    let long = secrets.iter().filter(|secret| secret.len() >= MIN_SECRET);
    long.fold(Cow::Borrowed(text), |text, secret| match without(&text, secret.as_bytes()) {
        Some(clean) => Cow::Owned(clean),
        None => text,
    })
}

/// Writers of JSON, HTML and URLs leave these characters as they are.
fn is_plain(secret: &str) -> bool {
    secret.bytes().all(|b| matches!(b, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'=' | b':'))
}

/// A secret as it may stand in a text: as it is, inside of JSON once or twice, in HTML. `without` knows how URLs have it.
fn written(secret: &str) -> Vec<Cow<'_, str>> {
    let quoted = quoted(secret);
    let mut forms = vec![Cow::Borrowed(secret), quoted.replace('/', "\\/").into(), self::quoted(&quoted).into(), quoted.into()];
    let html = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    forms.extend(["&#39;", "&#x27;", "&apos;"].map(|quote| html.replace('\'', quote).into()));
    forms.dedup();
    forms
}

/// The text without the secret, each of whose characters may stand there percent-encoded, once or twice; nothing when it is not there.
fn without(text: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
    let mut clean = if text.len() > SMALL || holds(text, secret) { cut(text, Writing::Plain, secret) } else { None };
    let spaces: &[bool] = if secret.contains(&b' ') { &[false, true] } else { &[false] };
    let is_encoded = memchr::memchr2(b'%', if spaces.len() > 1 { b'+' } else { b'%' }, text).is_some();
    // Writers of URLs leave these as they are (RFC 3986 section 2.3).
    if !is_encoded || secret.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(b)) {
        return clean;
    }
    for &plus in spaces {
        for twice in [false, true] {
            let text = clean.as_deref().unwrap_or(text);
            if memchr::memchr2(b'%', if plus { b'+' } else { b'%' }, text).is_some() {
                clean = cut(text, Writing::Percent { twice, plus }, secret).or(clean);
            }
        }
    }
    clean
}

fn holds(text: &[u8], secret: &[u8]) -> bool {
    let starts = secret.first().into_iter().flat_map(|first| memchr::memchr_iter(*first, text));
    starts.filter_map(|at| text.get(at..)).any(|rest| rest.starts_with(secret))
}

/// How the characters of a text are written.
#[derive(Clone, Copy)]
enum Writing {
    Plain,
    /// As in URLs: `%2F`, with `twice` also `%252F`, with `plus` also `+` for a space.
    Percent {
        twice: bool,
        plus: bool,
    },
}

impl Writing {
    /// The first character of a text, and how many bytes it takes there.
    fn first(self, text: &[u8]) -> Option<(u8, usize)> {
        let digit = |c: u8| char::from(c).to_digit(16);
        let encoded = |high: u8, low: u8, length: usize| Some((u8::try_from(digit(high)? * 16 + digit(low)?).ok()?, length));
        let special = match (self, text) {
            (Self::Percent { twice: true, .. }, [b'%', b'2', b'5', high, low, ..]) => encoded(*high, *low, 5),
            (Self::Percent { plus: true, .. }, [b'+', ..]) => Some((b' ', 1)),
            _ => None,
        };
        special
            .or_else(|| match (self, text) {
                (Self::Percent { .. }, [b'%', high, low, ..]) => encoded(*high, *low, 3),
                _ => None,
            })
            .or_else(|| text.first().map(|byte| (*byte, 1)))
    }

    /// How many bytes so many characters take at the beginning of a text.
    fn length(self, text: &[u8], characters: usize) -> usize {
        if matches!(self, Self::Plain) {
            return characters;
        }
        (0..characters).fold(0, |length, _| length + text.get(length..).and_then(|text| self.first(text)).map_or(0, |(_, taken)| taken))
    }

    fn read(self, text: &[u8]) -> Cow<'_, [u8]> {
        if matches!(self, Self::Plain) {
            return Cow::Borrowed(text);
        }
        let mut rest = text;
        let characters = std::iter::from_fn(|| {
            let (byte, length) = self.first(rest)?;
            rest = rest.get(length..)?;
            Some(byte)
        });
        characters.collect()
    }
}

/// The text without the secret, written so; nothing when it is not there. The work grows with the text alone, whatever it holds.
fn cut(text: &[u8], writing: Writing, secret: &[u8]) -> Option<Vec<u8>> {
    let (mut clean, mut rest, mut done) = (Vec::new(), text, 0);
    for at in memchr::memmem::find_iter(&writing.read(text), secret) {
        let (before, found) = rest.split_at(writing.length(rest, at - done));
        clean.extend_from_slice(before);
        clean.extend_from_slice(REMOVED.as_bytes());
        rest = found.get(writing.length(found, secret.len())..).unwrap_or_default();
        done = at + secret.len();
    }
    if done == 0 {
        return None;
    }
    clean.extend_from_slice(rest);
    Some(clean)
}

/// As JSON has it inside of a string.
fn quoted(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or(text).to_owned()
}

/// Takes the secret out of every string and member name; tells whether it was there. The parser has bounded the depth.
fn remove(value: &mut Value, secret: &str) -> bool {
    match value {
        Value::String(text) => match without(text.as_bytes(), secret.as_bytes()) {
            Some(clean) => {
                *text = String::from_utf8_lossy(&clean).into_owned();
                true
            }
            None => false,
        },
        // Every part is looked at, so none of these may stop at the first that is found.
        Value::Array(items) => items.iter_mut().filter_map(|item| remove(item, secret).then_some(())).count() > 0,
        Value::Object(members) => {
            let mut found = members.values_mut().filter_map(|member| remove(member, secret).then_some(())).count() > 0;
            if members.keys().any(|name| name.contains(secret)) {
                *members = std::mem::take(members).into_iter().map(|(name, member)| (name.replace(secret, REMOVED), member)).collect();
                found = true;
            }
            found
        }
        _ => false,
    }
}
