//! Text into words: identifiers split, accents folded, English stemmed, stop words dropped.

use std::{mem, ops::Range, vec};

use tantivy::tokenizer::{
    AsciiFoldingFilter, LowerCaser, RemoveLongFilter, Stemmer, StopWordFilter, TextAnalyzer, Token, TokenStream, Tokenizer,
};

/// Longer words are ids and encoded data, which nobody types as a goal. In bytes.
const LONGEST_WORD: usize = 40;

/// Words that say nothing about which action is meant: English function words, and how people address an assistant.
const STOP_WORDS: &[&str] = &[
    "a", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "called", "can", "could", "did", "do",
    "does", "each", "every", "for", "from", "had", "has", "have", "he", "help", "her", "his", "how", "i", "if", "in", "into", "is", "it",
    "its", "just", "let", "like", "may", "me", "must", "my", "need", "no", "not", "of", "on", "or", "our", "out", "please", "s", "she",
    "should", "so", "some", "such", "t", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "to",
    "us", "use", "using", "via", "want", "was", "we", "were", "what", "when", "where", "which", "who", "will", "with", "would", "you",
    "your",
];

/// The one analysis, for definitions and for goals: what is typed must become what was indexed.
pub(super) fn analyzer() -> TextAnalyzer {
    TextAnalyzer::builder(Splitter)
        .filter(RemoveLongFilter::limit(LONGEST_WORD))
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .filter(StopWordFilter::remove(STOP_WORDS.iter().map(|word| (*word).to_owned())))
        .filter(Stemmer::default())
        .build()
}

/// The stem of a text that is one word, `None` when nothing of it is worth searching. Of `postMessage` it is the whole's.
pub(super) fn stem(analyzer: &mut TextAnalyzer, word: &str) -> Option<String> {
    let mut last = None;
    let mut stream = analyzer.token_stream(word);
    while stream.advance() {
        last = Some(mem::take(&mut stream.token_mut().text));
    }
    last
}

/// What remains of an id when case and separators do not count: `chat.postMessage` and `chat_post_message` are the same.
pub(super) fn folded(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Runs of letters and digits, as byte ranges. An ideograph or kana is a run of its own, for such text has no spaces.
pub(super) fn runs(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut chars = text.char_indices().peekable();
    std::iter::from_fn(move || {
        let (start, first) = chars.find(|(_, c)| c.is_alphanumeric())?;
        let mut end = start + first.len_utf8();
        while let Some((at, c)) = chars.next_if(|(_, c)| c.is_alphanumeric() && !is_ideograph(*c) && !is_ideograph(first)) {
            end = at + c.len_utf8();
        }
        Some(start..end)
    })
}

/// The words inside a run: `postMessage` is `post`, `Message`; `HTTPServer` is `HTTP`, `Server`; `DMs` and `oauth2` stay whole.
pub(super) fn parts(run: &str) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    let mut previous: Option<char> = None;
    let mut chars = run.char_indices();
    std::iter::from_fn(move || {
        for (at, c) in chars.by_ref() {
            let before = previous.replace(c);
            if before.is_some_and(|before| starts_word(before, run.get(at..).unwrap_or_default())) {
                return Some(mem::replace(&mut start, at)..at);
            }
        }
        let rest = mem::replace(&mut start, run.len())..run.len();
        (!rest.is_empty()).then_some(rest)
    })
}

/// Whether a capital begins a word: after a small letter or digit, or as the last capital before small letters.
fn starts_word(before: char, rest: &str) -> bool {
    let mut rest = rest.chars();
    if !rest.next().is_some_and(char::is_uppercase) {
        return false;
    }
    let (next, after) = (rest.next(), rest.next());
    let plural = next == Some('s') && !after.is_some_and(char::is_lowercase);
    !before.is_uppercase() || (next.is_some_and(char::is_lowercase) && !plural)
}

/// Hiragana, katakana and Han: scripts that are written without spaces.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Cuts text into runs and their parts; a run of several parts is a word as well, after them (`GitHub`: `Git`, `Hub`, `GitHub`).
#[derive(Clone)]
struct Splitter;

impl Tokenizer for Splitter {
    type TokenStream<'a> = Pieces<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Pieces<'a> {
        let mut pieces = Vec::new();
        for run in runs(text) {
            let first = pieces.len();
            let inside = parts(text.get(run.clone()).unwrap_or_default());
            pieces.extend(inside.map(|part| run.start + part.start..run.start + part.end));
            if pieces.len() > first + 1 {
                pieces.push(run);
            }
        }
        Pieces { text, pieces: pieces.into_iter(), token: Token::default() }
    }
}

struct Pieces<'a> {
    text: &'a str,
    pieces: vec::IntoIter<Range<usize>>,
    token: Token,
}

impl TokenStream for Pieces<'_> {
    fn advance(&mut self) -> bool {
        let Some(piece) = self.pieces.next() else { return false };
        self.token.text.clear();
        self.token.text.push_str(self.text.get(piece.clone()).unwrap_or_default());
        self.token.offset_from = piece.start;
        self.token.offset_to = piece.end;
        self.token.position = self.token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_fall_into_words() {
        let words = |text: &str| {
            let mut analyzer = analyzer();
            let mut stream = analyzer.token_stream(text);
            let mut words = Vec::new();
            stream.process(&mut |token| words.push(token.text.clone()));
            words.join(" ")
        };
        assert_eq!(words("chat.postMessage"), "chat post messag postmessag");
        assert_eq!(words("users_list-all"), "user list");
        assert_eq!(words("HTTPServer sendDMs oauth2 GitHub"), "http server httpserver send dms senddm oauth2 git hub github");
        assert_eq!(words("Über café"), "uber cafe");
        assert_eq!(words("在Slack发"), "在 slack 发");
        assert_eq!(words(&"x".repeat(500)), "");
        assert_eq!(words("\u{0}\u{301} … 🎉"), "");
    }
}
