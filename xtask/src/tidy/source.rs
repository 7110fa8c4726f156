//! Rust source as rules see it: code without comments and texts, comments alone, and where tests stand. No parser: a scanner that knows
//! comments, texts and braces is enough for the rules, and never disagrees with a newer edition.

use std::ops::Range;

use super::tree::File;

/// One Rust file, looked at.
pub struct Source<'a> {
    /// Its path, as in `File`.
    pub path: &'a str,
    /// The text with comments and the inside of texts replaced by spaces; as long as the original.
    pub code: String,
    /// The text with everything but comments replaced by spaces; as long as the original.
    pub comments: String,
    test_modules: Vec<Range<usize>>,
}

impl<'a> Source<'a> {
    /// Looks at a file.
    pub fn new(file: &'a File) -> Self {
        let (code, comments) = mask(&file.text);
        let test_modules = modules(&code).filter(|module| is_test_module(&code, module.start)).collect();
        Self { path: &file.path, code, comments, test_modules }
    }

    /// Whether the byte at `offset` belongs to a test.
    pub fn is_test(&self, offset: usize) -> bool {
        is_test_file(self.path) || self.test_modules.iter().any(|module| module.contains(&offset))
    }

    /// How many modules with a body of their own surround the byte at `offset`.
    pub fn inline_depth(&self, offset: usize) -> usize {
        modules(&self.code).filter(|module| module.contains(&offset)).count()
    }

    /// The line of a byte, counted from 1.
    pub fn line(&self, offset: usize) -> usize {
        line_of(&self.code, offset)
    }
}

/// The line of a byte, counted from 1.
pub fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// Whether a file holds nothing but tests.
pub fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// Where `needle` stands in `text` with no letter, digit or underscore beside the ends of it that are such.
pub fn words<'t>(text: &'t str, needle: &'t str) -> impl Iterator<Item = usize> + 't {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let bytes = text.as_bytes();
    text.match_indices(needle).map(|(start, _)| start).filter(move |&start| {
        let end = start + needle.len();
        let before = start.checked_sub(1).and_then(|index| bytes.get(index));
        !(is_word(bytes.get(start)) && is_word(before) || is_word(bytes.get(end - 1)) && is_word(bytes.get(end)))
    })
}

/// The offset of the bracket that closes the one at `open`; the end of the text when nothing does.
pub fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return index;
        }
    }
    code.len()
}

/// Each `mod name { … }`, from the word to its closing brace.
fn modules(code: &str) -> impl Iterator<Item = Range<usize>> {
    words(code, "mod").filter_map(|start| {
        let rest = code.get(start..)?;
        let open = start + rest.find(['{', ';'])?;
        let has_body = code.as_bytes().get(open) == Some(&b'{');
        has_body.then(|| start..closing(code, open) + 1)
    })
}

/// Whether the item that begins at `start` is compiled for tests only.
fn is_test_module(code: &str, start: usize) -> bool {
    let before = code.get(..start).unwrap_or_default().trim_end();
    let before = before.trim_end_matches("pub").trim_end();
    before.ends_with("#[cfg(test)]")
}

/// What a stretch of source is.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Comment,
    Text,
}

/// The text twice: without comments and texts, and nothing but comments.
fn mask(text: &str) -> (String, String) {
    let mut code = text.as_bytes().to_vec();
    let mut comments: Vec<u8> = text.bytes().map(|byte| if byte == b'\n' { byte } else { b' ' }).collect();
    let mut at = 0;
    while at < text.len() {
        let Some((kind, end)) = special(text, at) else {
            at += 1;
            continue;
        };
        let end = end.min(text.len());
        for index in at..end {
            let original = text.as_bytes().get(index).copied().unwrap_or(b' ');
            if let Some(byte) = code.get_mut(index).filter(|byte| **byte != b'\n') {
                *byte = b' ';
            }
            if let Some(byte) = comments.get_mut(index).filter(|_| kind == Kind::Comment) {
                *byte = original;
            }
        }
        at = end;
    }
    (String::from_utf8_lossy(&code).into_owned(), String::from_utf8_lossy(&comments).into_owned())
}

/// The comment or text that begins at `at`, with its end.
fn special(text: &str, at: usize) -> Option<(Kind, usize)> {
    let rest = text.get(at..)?;
    let before = at.checked_sub(1).and_then(|index| text.as_bytes().get(index)).copied().unwrap_or(b' ');
    if rest.starts_with("//") {
        return Some((Kind::Comment, at + rest.find('\n').unwrap_or(rest.len())));
    }
    if rest.starts_with("/*") {
        return Some((Kind::Comment, at + block_comment(rest)));
    }
    if rest.starts_with('"') {
        return Some((Kind::Text, at + quoted(rest, b'"')));
    }
    if rest.starts_with('\'') {
        let mut inside = rest.chars().skip(1);
        let is_char = matches!((inside.next(), inside.next()), (Some('\\'), _) | (Some(_), Some('\'')));
        return is_char.then(|| (Kind::Text, at + quoted(rest, b'\'')));
    }
    // `r"…"` and `r#"…"#`, also after `b` and `c`, but not the `r` that ends a name.
    let begins_word = !(before.is_ascii_alphanumeric() || before == b'_') || matches!(before, b'b' | b'c');
    let hashes = rest.strip_prefix('r').filter(|_| begins_word)?.bytes().take_while(|byte| *byte == b'#').count();
    let body = rest.get(1 + hashes..)?.strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = body.find(&close).map_or(rest.len(), |end| 2 + hashes + end + close.len());
    Some((Kind::Text, at + end))
}

/// The length of the block comment that `rest` begins with. They nest.
fn block_comment(rest: &str) -> usize {
    let (bytes, mut depth, mut at) = (rest.as_bytes(), 0_usize, 0);
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => depth += 1,
            Some(b"*/") => depth = depth.saturating_sub(1),
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

/// The length of the quoted text that `rest` begins with.
fn quoted(rest: &str, quote: u8) -> usize {
    let mut bytes = rest.bytes().enumerate().skip(1);
    while let Some((index, byte)) = bytes.next() {
        if byte == b'\\' {
            bytes.next();
        } else if byte == quote {
            return index + 1;
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> (String, String) {
        mask(text)
    }

    #[test]
    fn comments_and_texts_are_not_code() {
        let (code, comments) = masked("a(\"b // c\"); // d \"e\nf /* g /* h */ i */ j");
        assert_eq!(code, "a(        );        \nf                   j");
        assert_eq!(comments.split_whitespace().collect::<Vec<_>>(), ["//", "d", "\"e", "/*", "g", "/*", "h", "*/", "i", "*/"]);
    }

    #[test]
    fn every_kind_of_text() {
        for (text, code) in [
            ("x r\"a\" y", "x      y"),
            ("x br#\"a\"b\"# y", "x b         y"),
            ("x \"a\\\"b\" y", "x        y"),
            ("x '\"' y", "x     y"),
            ("x '\\'' y", "x      y"),
            ("f<'a>(r: &'a str)", "f<'a>(r: &'a str)"),
            ("for\"a\" ", "for    "),
            ("r#fn", "r#fn"),
            ("x 'é' \"日本\"", "x             "),
        ] {
            assert_eq!(masked(text).0.trim_end(), code.trim_end(), "{text}");
            assert_eq!(masked(text).0.len(), text.len());
        }
    }

    #[test]
    fn words_stand_alone() {
        assert_eq!(words("mod modern a_mod mod", "mod").collect::<Vec<_>>(), [0, 17]);
        assert_eq!(words("xsleep(1) sleep(2)", "sleep(").collect::<Vec<_>>(), [10]);
    }

    #[test]
    fn tests_are_found() {
        let file = File { path: "src/a.rs".into(), text: "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\nmod c {}".into() };
        let source = Source::new(&file);
        let at = |needle| file.text.find(needle).unwrap();
        assert!(!source.is_test(at("fn a")) && source.is_test(at("fn b")) && !source.is_test(at("mod c")));
        assert_eq!((source.inline_depth(at("fn a")), source.inline_depth(at("fn b")), source.line(at("fn b"))), (0, 1, 4));
    }
}
