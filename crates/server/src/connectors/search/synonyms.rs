//! What people say for what actions are called: synonyms, verbs, and the commonest words of other languages. The words are in `synonyms.toml`.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

use super::words::Analyzer;

/// How much of a match the English word for one of another language is.
const TRANSLATED: f32 = 0.9;

/// What an action does, or what a goal's verb wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Deed {
    /// Reads many, or looks for some.
    Find,
    /// Reads one.
    Get,
    Create,
    Change,
    Remove,
    Send,
}

/// The file.
#[derive(Deserialize)]
struct Text {
    nouns: String,
    synonyms: Vec<Row>,
    verbs: BTreeMap<Deed, String>,
    phrases: BTreeMap<String, String>,
    translations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Row {
    weight: f32,
    said: String,
    called: String,
}

/// The file, by stem.
struct Tables {
    synonyms: BTreeMap<String, Vec<(String, f32)>>,
    verbs: BTreeMap<String, Deed>,
    /// Sorted.
    nouns: Vec<String>,
    phrases: Vec<(Vec<String>, String)>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let text: Text = toml::from_str(include_str!("synonyms.toml")).unwrap_or_else(|error| untested(&error));
    let analyzer = Analyzer::new();
    let mut synonyms: BTreeMap<String, Vec<(String, f32)>> = BTreeMap::new();
    for row in &text.synonyms {
        let called = analyzer.stems(&row.called);
        for said in analyzer.stems(&row.said) {
            keep(
                synonyms.entry(said.clone()).or_default(),
                called.iter().filter(|term| **term != said).map(|term| (term.clone(), row.weight)),
            );
        }
    }
    let mut verbs = BTreeMap::new();
    for (deed, words) in &text.verbs {
        for verb in analyzer.stems(words) {
            verbs.entry(verb).or_insert(*deed);
        }
    }
    for (english, words) in &text.translations {
        let Some(english) = analyzer.stem(english) else { continue };
        let further = synonyms.get(&english).cloned().unwrap_or_default();
        for word in analyzer.stems(words).into_iter().filter(|word| *word != english) {
            let known = synonyms.entry(word.clone()).or_default();
            keep(known, [(english.clone(), TRANSLATED)].into_iter());
            keep(known, further.iter().map(|(term, weight)| (term.clone(), weight * TRANSLATED)));
            if let Some(deed) = verbs.get(&english).copied() {
                verbs.entry(word).or_insert(deed);
            }
        }
    }
    let mut nouns = analyzer.stems(&text.nouns);
    nouns.sort_unstable();
    let phrases = text.phrases.into_iter().map(|(phrase, verb)| (phrase.split(' ').map(str::to_owned).collect(), verb)).collect();
    Tables { synonyms, verbs, nouns, phrases }
});

fn keep(known: &mut Vec<(String, f32)>, terms: impl Iterator<Item = (String, f32)>) {
    for (term, weight) in terms {
        if !known.iter().any(|(known, _)| *known == term) {
            known.push((term, weight));
        }
    }
}

#[expect(clippy::panic, reason = "every search of a test reads the file, so this is a build that was not tested")]
fn untested(error: &toml::de::Error) -> ! {
    panic!("synonyms.toml cannot be used: {error}")
}

/// What a stem stands for as well, with how much of a match that is.
pub(super) fn of(stem: &str) -> &'static [(String, f32)] {
    TABLES.synonyms.get(stem).map(Vec::as_slice).unwrap_or_default()
}

/// Whether a stem is a word of the tables.
pub(super) fn knows(stem: &str) -> bool {
    TABLES.synonyms.contains_key(stem) || TABLES.verbs.contains_key(stem)
}

/// The stems of the tables.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    TABLES.verbs.keys().chain(TABLES.synonyms.keys()).map(String::as_str)
}

/// What a verb does; `None` for another word, and unless it is `surely` a verb for one that is a noun as well.
pub(super) fn deed_of(stem: &str, surely: bool) -> Option<Deed> {
    let deed = TABLES.verbs.get(stem).copied();
    deed.filter(|_| surely || TABLES.nouns.binary_search_by(|noun| noun.as_str().cmp(stem)).is_err())
}

/// The verb for a phrase that begins here: what is said, in lower case, and what is meant.
pub(super) fn phrase(words: &[&str]) -> Option<&'static str> {
    TABLES.phrases.iter().find(|(phrase, _)| is_said(phrase, words)).map(|(_, verb)| verb.as_str())
}

/// Other words may stand between two: `take it off`.
fn is_said(phrase: &[String], words: &[&str]) -> bool {
    let (Some((first, rest)), Some((word, after))) = (phrase.split_first(), words.split_first()) else { return false };
    if first != word {
        return false;
    }
    match rest {
        [second] => after.iter().take(4).any(|word| word == second),
        rest => after.len() >= rest.len() && rest.iter().zip(after).all(|(part, word)| part == word),
    }
}
