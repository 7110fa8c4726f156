//! Takes secrets out of answers that repeat them, however they are written there.

use std::{borrow::Cow, cmp::Reverse, ops::Range};

use bytes::Bytes;
use serde_json::Value;

/// What stands in an answer where a secret stood.
const REMOVED: &str = "[credential removed]";
/// Shorter secrets are not searched for in answers: they would match by chance.
pub const MIN_SECRET: usize = 8;
/// In answers up to this size a secret is looked for byte by byte: preparing a quicker search takes longer than that. Bounded, because the
/// work may grow with the secret, too.
const SMALL: usize = 4 * 1024;
/// JSON may quote JSON that quotes the request: escapes are read so many times.
const DEEPEST: usize = 3;

/// Takes the secrets out of an answer that repeats them (an echo, an error message): no model may see one.
pub fn scrub(body: &mut Bytes, secrets: &[String]) {
    if let Some(clean) = without_any(body, secrets.iter().map(String::as_str)) {
        *body = clean.into();
    }
}

/// The answer without these secrets; nothing where none of them is there.
pub fn without_any<'s>(text: &[u8], secrets: impl Iterator<Item = &'s str>) -> Option<Vec<u8>> {
    let mut secrets: Vec<&str> = secrets.filter(|secret| secret.len() >= MIN_SECRET).collect();
    // The longest first, because one may begin with another.
    secrets.sort_unstable_by_key(|secret| Reverse(secret.len()));
    let escape = memchr::memchr(b'\\', text).filter(|_| !secrets.is_empty());
    let has_unicode = escape.and_then(|at| text.get(at..)).is_some_and(|rest| memchr::memmem::find(rest, b"\\u").is_some());
    let mut clean: Option<Vec<u8>> = None;
    for secret in secrets {
        let is_plain = is_plain(secret);
        let forms = if is_plain { vec![Cow::Borrowed(secret)] } else { written(secret) };
        for form in &forms {
            clean = without(clean.as_deref().unwrap_or(text), form.as_bytes()).or(clean);
        }
        // JSON may write any character as an escape, and an error message may hold JSON that quotes the request.
        let may_be_escaped = if is_plain { has_unicode } else { escape.is_some() };
        if may_be_escaped {
            clean = without_escaped(clean.as_deref().unwrap_or(text), &forms).or(clean);
        }
    }
    clean
}

/// A text of one line, such as a header, without the secrets.
pub fn scrub_text<'t>(text: &'t [u8], secrets: &[String]) -> Cow<'t, [u8]> {
    let long = secrets.iter().filter(|secret| secret.len() >= MIN_SECRET);
    long.fold(Cow::Borrowed(text), |text, secret| match without(&text, secret.as_bytes()) {
        Some(clean) => Cow::Owned(clean),
        None => text,
    })
}

/// Of these characters a writer of JSON may make an escape with `\u`, and no other: .NET does so with `+`, Gson with `=`.
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
    let plain = |text: &[u8]| cut(text, &places(text, Writing::Plain, secret));
    let mut clean = if text.len() > SMALL || holds(text, secret) { plain(text) } else { None };
    for writing in encodings(text, secret) {
        let text = clean.as_deref().unwrap_or(text);
        clean = cut(text, &places(text, *writing, secret)).or(clean);
    }
    clean
}

/// How else than plainly the secret may be written in a text like this one.
fn encodings(text: &[u8], secret: &[u8]) -> &'static [Writing] {
    const ENCODED: [Writing; 4] = [
        Writing::Percent { twice: false, plus: false },
        Writing::Percent { twice: true, plus: false },
        Writing::Percent { twice: false, plus: true },
        Writing::Percent { twice: true, plus: true },
    ];
    let has_space = secret.contains(&b' ');
    let is_encoded = memchr::memchr2(b'%', if has_space { b'+' } else { b'%' }, text).is_some();
    // Writers of URLs leave these as they are (RFC 3986 section 2.3).
    if !is_encoded || secret.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(b)) {
        return &[];
    }
    ENCODED.get(..if has_space { 4 } else { 2 }).unwrap_or_default()
}

/// The text without the forms of a secret in which some characters are escapes of JSON.
fn without_escaped(text: &[u8], forms: &[Cow<'_, str>]) -> Option<Vec<u8>> {
    let mut layers: Vec<Unescaped> = Vec::new();
    let mut found = Vec::new();
    while layers.len() < DEEPEST {
        let Some(layer) = Unescaped::of(layers.last().map_or(text, |layer| &layer.text)) else { break };
        layers.push(layer);
        let Some(layer) = layers.last() else { break };
        let source = |at| layers.iter().rev().fold(at, |at, layer| layer.source(at));
        for form in forms {
            let writings = [Writing::Plain].iter().chain(encodings(&layer.text, form.as_bytes()));
            let places = writings.flat_map(|writing| places(&layer.text, *writing, form.as_bytes()));
            found.extend(places.map(|place| source(place.start)..source(place.end)));
        }
    }
    found.sort_unstable_by_key(|place| place.start);
    found.dedup_by(|next, last| {
        let is_one = next.start < last.end;
        if is_one {
            last.end = last.end.max(next.end);
        }
        is_one
    });
    cut(text, &found)
}

/// A text whose escapes of JSON are read, once.
struct Unescaped {
    text: Vec<u8>,
    /// Behind each escape: the place in this text, and the place in the one that was read.
    behind: Vec<(usize, usize)>,
}

impl Unescaped {
    /// Nothing where there is no escape.
    fn of(read: &[u8]) -> Option<Self> {
        let mut this = Self { text: Vec::with_capacity(read.len()), behind: Vec::new() };
        let mut rest = read;
        while let Some(at) = memchr::memchr(b'\\', rest) {
            let (before, escaped) = rest.split_at(at);
            this.text.extend_from_slice(before);
            match escape(escaped) {
                Some((c, length)) => {
                    this.text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = escaped.get(length..).unwrap_or_default();
                    this.behind.push((this.text.len(), read.len() - rest.len()));
                }
                None => {
                    this.text.push(b'\\');
                    rest = escaped.get(1..).unwrap_or_default();
                }
            }
        }
        this.text.extend_from_slice(rest);
        (!this.behind.is_empty()).then_some(this)
    }

    /// Where what stands here stood in the text that was read.
    fn source(&self, at: usize) -> usize {
        let before = self.behind.partition_point(|(here, _)| *here <= at).checked_sub(1).and_then(|last| self.behind.get(last));
        before.map_or(at, |(here, there)| there + (at - here))
    }
}

/// The character of an escape with which a text begins, and how many bytes it takes there (RFC 8259, section 7).
fn escape(text: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = text.get(at..at + 4)?.iter().map(|digit| char::from(*digit).to_digit(16));
        digits.into_iter().try_fold(0, |unit, digit| Some(unit * 16 + digit?))
    };
    let c = match text.get(1)? {
        b'u' => {
            let first = unit(2)?;
            if let Some(c) = char::from_u32(first) {
                return Some((c, 6));
            }
            let second = unit(8).filter(|_| text.get(6..8) == Some(b"\\u"))?;
            let pair = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
            return Some((char::decode_utf16(pair).next()?.ok()?, 12));
        }
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        c @ (b'"' | b'\\' | b'/') => char::from(*c),
        _ => return None,
    };
    Some((c, 2))
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

/// Where the secret stands, written so. The work grows with the text alone, whatever it holds.
fn places(text: &[u8], writing: Writing, secret: &[u8]) -> Vec<Range<usize>> {
    let (mut places, mut end, mut done) = (Vec::new(), 0, 0);
    for at in memchr::memmem::find_iter(&writing.read(text), secret) {
        let rest = text.get(end..).unwrap_or_default();
        let start = writing.length(rest, at - done);
        let length = writing.length(rest.get(start..).unwrap_or_default(), secret.len());
        places.push(end + start..end + start + length);
        (end, done) = (end + start + length, at + secret.len());
    }
    places
}

/// The text without these places, which are in order and apart; nothing where there are none.
fn cut(text: &[u8], places: &[Range<usize>]) -> Option<Vec<u8>> {
    let last = places.last()?;
    let (mut clean, mut done) = (Vec::with_capacity(text.len()), 0);
    for place in places {
        clean.extend_from_slice(text.get(done..place.start).unwrap_or_default());
        clean.extend_from_slice(REMOVED.as_bytes());
        done = place.end;
    }
    clean.extend_from_slice(text.get(last.end..).unwrap_or_default());
    Some(clean)
}

/// As JSON has it inside of a string.
fn quoted(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every character of the text as `\u`, so many times over.
    fn escaped(text: &str, times: usize) -> String {
        (0..times).fold(text.to_owned(), |text, _| text.chars().map(|c| format!("\\u{:04X}", u32::from(c))).collect())
    }

    #[test]
    fn escapes_of_json_hide_nothing() {
        for secret in ["k3yAbcdEfghQxyz+12==", "wholly-plain-0123", "ab/cd&ef'gh\"ij-1", "pass-w\u{f6}rt-1\u{1f511}"] {
            let json = |text: &str| Value::from(text).to_string();
            let mut written = vec![json(secret), json(&json(secret)), json(&json(&json(secret)))];
            let units = |text: &str| text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
            written.push(units(secret));
            written.push(units(secret).replace('\\', "\\\\"));
            written.push(units(secret).replace('\\', r"\\\\"));
            written.push(secret.replace('+', "\\u002b").replace('=', "\\u003D").replace('-', "\\u002d"));
            if secret.is_ascii() {
                written.extend([escaped(secret, 1), escaped(secret, 2)]);
            }
            for written in written {
                let text = format!(r#"{{"n": 1.50, "path": "C:\\users\\u", "said": "before \"{written}\" behind", "x": "\u00e9"}}"#);
                let clean = String::from_utf8(without_any(text.as_bytes(), [secret].into_iter()).expect(&text)).expect("UTF-8");
                let clean = clean.split_once("before ").and_then(|(head, rest)| {
                    assert_eq!(head, r#"{"n": 1.50, "path": "C:\\users\\u", "said": ""#);
                    rest.strip_suffix(r#" behind", "x": "\u00e9"}"#)
                });
                let clean = clean.unwrap_or_default().trim_matches(['"', '\\']);
                assert_eq!(clean, REMOVED, "{text}");
            }
            assert_eq!(without_any(br#"{"a": "k3y\u0041 \ud83d \u12 \\"}"#, [secret].into_iter()), None);
        }
    }
}
