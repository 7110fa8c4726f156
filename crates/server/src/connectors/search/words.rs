//! Text into words: identifiers split, accents folded, English stemmed, stop words dropped.

use std::{borrow::Cow, mem, ops::Range};

use frostem::{Algorithm, Stemmer};
use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

/// Longer words are ids and encoded data, which nobody types as a goal. In bytes.
const LONGEST_WORD: usize = 40;

/// Words that say nothing about which action is meant: function words of English and of its neighbours, and how people address
/// an assistant. Sorted.
const STOP_WORDS: &[&str] = &[
    "a", "aan", "about", "all", "also", "am", "an", "and", "any", "are", "as", "at", "au", "auf", "aux", "avec", "be", "been", "bei",
    "but", "by", "called", "can", "con", "could", "da", "dal", "dans", "das", "de", "del", "della", "dem", "den", "der", "des", "di",
    "did", "die", "dla", "do", "does", "dos", "down", "du", "each", "een", "ein", "eine", "einen", "einer", "el", "em", "en", "et",
    "every", "for", "from", "fur", "gli", "had", "has", "have", "he", "help", "her", "here", "het", "his", "how", "i", "if", "il", "im",
    "in", "into", "is", "it", "its", "just", "la", "las", "le", "les", "let", "like", "lo", "los", "ma", "may", "me", "mein", "meine",
    "meinen", "mes", "met", "meu", "mi", "mia", "mijn", "min", "minha", "mio", "mit", "moj", "mon", "must", "my", "na", "nasz", "need",
    "nel", "no", "nos", "not", "of", "off", "og", "on", "ons", "onze", "or", "our", "out", "para", "pas", "per", "please", "por", "pour",
    "que", "qui", "s", "she", "should", "so", "some", "su", "such", "sur", "sus", "t", "than", "that", "the", "their", "them", "then",
    "there", "these", "they", "this", "those", "to", "un", "una", "und", "une", "uns", "unser", "up", "us", "use", "using", "van", "via",
    "von", "voor", "want", "was", "we", "were", "what", "when", "where", "which", "who", "will", "with", "would", "y", "you", "your", "zu",
    "zum", "zur",
];

/// The one analysis, for definitions and for goals: what is typed must become what was indexed.
pub(super) struct Analyzer(Stemmer);

impl Analyzer {
    pub fn new() -> Self {
        Self(Stemmer::new(Algorithm::English))
    }

    /// The stem of one word; `None` when it is not worth searching. Of `postMessage` it is the whole's.
    pub fn stem(&self, word: &str) -> Option<String> {
        let plain = plain(word)?;
        (!is_stop(&plain)).then(|| self.0.stem(&plain).into_owned())
    }

    /// The stems of a text, in its order.
    pub fn stems(&self, text: &str) -> Vec<String> {
        pieces(text).filter_map(|piece| self.stem(piece)).collect()
    }
}

/// Whether a plain word says nothing about which action is meant.
pub(super) fn is_stop(plain: &str) -> bool {
    STOP_WORDS.binary_search(&plain).is_ok()
}

/// A word in lower case and without accents; `None` for one of nothing else, and for one too long.
pub(super) fn plain(word: &str) -> Option<Cow<'_, str>> {
    if word.len() > LONGEST_WORD {
        return None;
    }
    if word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        return (!word.is_empty()).then_some(Cow::Borrowed(word));
    }
    let mut folded = String::with_capacity(word.len());
    for c in word.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase) {
        // Letters that are not a letter with a mark.
        match c {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' | 'ð' => folded.push('d'),
            'ı' => folded.push('i'),
            'þ' => folded.push_str("th"),
            c if c.is_alphanumeric() => folded.push(c),
            _ => {}
        }
    }
    (!folded.is_empty()).then_some(Cow::Owned(folded))
}

/// The words of a text as they stand there. A run of several parts is a word as well, after them: `GitHub` is `Git`, `Hub`, `GitHub`.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    runs(text).filter_map(|run| text.get(run)).flat_map(|run| {
        let mut inside: Vec<&str> = parts(run).filter_map(|part| run.get(part)).collect();
        if inside.len() > 1 {
            inside.push(run);
        }
        inside
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_fall_into_words() {
        let words = |text: &str| Analyzer::new().stems(text).join(" ");
        assert_eq!(words("chat.postMessage"), "chat post messag postmessag");
        assert_eq!(words("users_list-all"), "user list");
        assert_eq!(words("HTTPServer sendDMs oauth2 GitHub"), "http server httpserver send dms senddm oauth2 git hub github");
        assert_eq!(words("Über café Łódź Straße"), "uber cafe lodz strass");
        assert_eq!(words("在Slack发"), "在 slack 发");
        assert_eq!(words(&"x".repeat(500)), "");
        assert_eq!(words("\u{0}\u{301} … 🎉"), "");
    }

    #[test]
    fn stop_words_are_sorted() {
        assert!(STOP_WORDS.is_sorted());
    }
}
