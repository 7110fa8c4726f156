//! Where JSON values begin and end, found in one pass that checks their grammar: the texts inside strings, which are most of what is
//! passed on, go by many bytes at a time.
//!
//! It knows fewer texts than `serde_json` does, never more: where it gives up, `serde_json` reads the text and says what is wrong.

use serde::Deserialize as _;
use serde::de::value::{BorrowedStrDeserializer, Error, MapDeserializer};
use serde_json::value::RawValue;

use crate::escape::plain_run;

/// How many arrays and objects may lie in each other: a bit for each.
const MAX_DEPTH: u32 = u128::BITS;

/// The members of the object that `text` is: each name, which has no escapes, and the text of its value.
///
/// `None` where the text is something else or needs a closer look, and where `each` says so.
pub(crate) fn members<'a>(text: &'a str, mut each: impl FnMut(&'a str, &'a str) -> Option<()>) -> Option<()> {
    deep_members(text, &[], |_, name, value| each(name, value))
}

/// The same in one pass with the members of members: `deep` names those whose own members come before them, each with the name of what it
/// lies in.
pub(crate) fn deep_members<'a>(
    text: &'a str,
    deep: &[&str],
    mut each: impl FnMut(Option<&'a str>, &'a str, &'a str) -> Option<()>,
) -> Option<()> {
    let mut scan = Scan { bytes: text.as_bytes(), at: 0 };
    scan.peek()?;
    scan.object(text, &mut |scan, outer| {
        let start = scan.at;
        if deep.contains(&outer) && scan.peek()? == b'{' {
            scan.object(text, &mut |scan, name| {
                let start = scan.at;
                scan.value()?;
                each(Some(outer), name, text.get(start..scan.at)?)
            })?;
        } else {
            scan.value()?;
        }
        each(None, outer, text.get(start..scan.at)?)
    })?;
    scan.end()
}

/// The string that a JSON text is, where it holds no escapes.
pub(crate) fn string(json: &str) -> Option<&str> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    (plain_run(inner.as_bytes()) == inner.len()).then_some(inner)
}

/// A raw value of a text that is known to be one JSON value, without another look at it. The name by which serde and `serde_json` speak of
/// raw values is not promised: where it changes, this is `None`.
pub(crate) fn raw(json: &str) -> Option<&RawValue> {
    const NAME: &str = "$serde_json::private::RawValue";
    let value = std::iter::once((NAME, BorrowedStrDeserializer::<Error>::new(json)));
    <&RawValue>::deserialize(MapDeserializer::new(value)).ok()
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next byte that is no white space, which stays.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    /// This byte, after white space.
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.peek()?;
        self.take(byte)
    }

    /// This byte, at once.
    fn take(&mut self, byte: u8) -> Option<()> {
        (*self.bytes.get(self.at)? == byte).then(|| self.at += 1)
    }

    /// Nothing but white space to the end.
    fn end(&mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    /// Passes the object of `text` that begins here. `value` passes the value of each member, whose name it is given.
    fn object<'t>(&mut self, text: &'t str, value: &mut impl FnMut(&mut Self, &'t str) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.expect(b'"')?;
            let start = self.at;
            self.at += plain_run(self.rest());
            let name = text.get(start..self.at)?;
            // A name with an escape is left to who can read it.
            self.take(b'"')?;
            self.expect(b':')?;
            self.peek()?;
            value(self, name)?;
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// Passes one value, which begins here.
    fn value(&mut self) -> Option<()> {
        // What is open, the innermost in the lowest bit: 1 for an object.
        let (mut open, mut depth) = (0_u128, 0_u32);
        loop {
            match self.peek()? {
                b'"' => self.string()?,
                bracket @ (b'{' | b'[') => {
                    self.at += 1;
                    let is_object = bracket == b'{';
                    let next = self.peek()?;
                    if next != if is_object { b'}' } else { b']' } {
                        if depth == MAX_DEPTH {
                            return None;
                        }
                        (open, depth) = (open << 1 | u128::from(is_object), depth + 1);
                        if is_object {
                            self.name()?;
                        }
                        continue;
                    }
                    self.at += 1;
                }
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => self.number()?,
            }
            // A value has ended; so may what it lies in.
            loop {
                if depth == 0 {
                    return Some(());
                }
                let is_object = open & 1 == 1;
                match self.peek()? {
                    b',' => {
                        self.at += 1;
                        if is_object {
                            self.name()?;
                        }
                        break;
                    }
                    b'}' if is_object => {}
                    b']' if !is_object => {}
                    _ => return None,
                }
                self.at += 1;
                (open, depth) = (open >> 1, depth - 1);
            }
        }
    }

    /// Passes a name and its colon.
    fn name(&mut self) -> Option<()> {
        self.peek()?;
        self.string()?;
        self.expect(b':')
    }

    fn string(&mut self) -> Option<()> {
        self.take(b'"')?;
        loop {
            self.at += plain_run(self.rest());
            match self.bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => match self.bytes.get(self.at + 1)? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 2,
                    b'u' if self.bytes.get(self.at + 2..self.at + 6)?.iter().all(u8::is_ascii_hexdigit) => self.at += 6,
                    _ => return None,
                },
                _ => return None,
            }
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.rest().starts_with(word).then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<()> {
        let _ = self.take(b'-');
        if self.take(b'0').is_none() {
            self.digits()?;
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        if self.take(b'e').or_else(|| self.take(b'E')).is_some() {
            let _ = self.take(b'+').or_else(|| self.take(b'-'));
            self.digits()?;
        }
        // A digit after a zero is seen by who looks for what comes next.
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Option<Vec<(&str, &str)>> {
        let mut all = Vec::new();
        members(text, |name, value| {
            all.push((name, value));
            Some(())
        })?;
        Some(all)
    }

    #[test]
    fn ordinary_texts_are_found_without_a_second_reader() {
        let value = format!("[{{}},[ ],\"{}\\n\\u00e9\",-0.5e+3,true,{{\"a\":null}}]", "x".repeat(100));
        let text = format!("{{ \"a\" : {value} ,\"b\":1}} ");
        assert_eq!(names(&text).unwrap(), [("a", value.as_str()), ("b", "1")]);
        assert_eq!(names("{}").unwrap(), []);
        let mut all = Vec::new();
        deep_members(&text, &["a", "c"], |outer, name, value| {
            all.push((outer, name, value));
            Some(())
        })
        .unwrap();
        assert_eq!(all, [(None, "a", value.as_str()), (None, "b", "1")], "a list has no members");
        all.clear();
        deep_members("{\"a\": { \"x\":{} , \"y\":2 },\"b\":{\"x\":3}}", &["a"], |outer, name, value| {
            all.push((outer, name, value));
            Some(())
        })
        .unwrap();
        let (a, b) = ("{ \"x\":{} , \"y\":2 }", "{\"x\":3}");
        assert_eq!(all, [(Some("a"), "x", "{}"), (Some("a"), "y", "2"), (None, "a", a), (None, "b", b)]);
        assert_eq!(string("\"abc\""), Some("abc"));
        assert_eq!(raw(&value).unwrap().get(), value);
    }

    #[test]
    fn what_is_unusual_is_left_to_the_parser() {
        let deep = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(names(&deep(129)).is_some());
        for text in [
            "",
            "{",
            "[]",
            "{\"a\"}",
            "{\"a\":1,}",
            "{\"\\u0061\":1}",
            "{\"a\":01}",
            "{\"a\":\"\n\"}",
            "{\"a\":1}{",
            "{\"a\":[1}}",
            &deep(130),
        ] {
            assert!(names(text).is_none(), "{text}");
        }
        assert_eq!(string("\"a\\n\""), None);
    }
}
