//! A goal in plain words becomes weighted search words. It is free text from anyone: nothing in it is syntax.

use std::{collections::HashMap, iter, sync::LazyLock};

use amalgam_connector::definition::Effect;
use tantivy::tokenizer::TextAnalyzer;

use super::words;

/// What follows is ignored. In characters.
const LONGEST_GOAL: usize = 2_000;
/// Distinct words of a goal; one bit each in `rank::Matched`.
const MOST_WORDS: usize = 32;
/// Identifiers in a goal that are looked up as action ids.
const MOST_IDENTIFIERS: usize = 8;

/// What ids and names of actions say (`to`) where people say something else (`from`), and how much of a match that is.
struct Row {
    from: &'static [&'static str],
    to: &'static [&'static str],
    weight: f32,
}

const fn row(from: &'static [&'static str], to: &'static [&'static str], weight: f32) -> Row {
    Row { from, to, weight }
}

/// Deliberately small: verbs that every API has a word of its own for, and the nouns that differ between platforms.
const SYNONYMS: &[Row] = &[
    row(&["send", "post", "write", "publish"], &["send", "post", "write", "publish"], 0.6),
    row(&["message", "tell", "notify", "say"], &["send", "post", "message"], 0.3),
    row(&["create", "add", "new", "make", "insert"], &["create", "add", "new", "insert"], 0.6),
    row(&["start", "open", "set"], &["create", "open"], 0.25),
    row(&["find", "search", "query", "lookup", "look"], &["find", "search", "query", "lookup"], 0.7),
    row(&["find", "search", "lookup", "look", "list"], &["get", "list"], 0.3),
    row(&["list", "get", "read", "show", "fetch", "see", "view", "retrieve", "browse"], &["get", "list", "read", "fetch", "retrieve"], 0.5),
    row(&["get", "show", "fetch", "see"], &["find", "search", "info"], 0.2),
    row(&["delete", "remove", "erase", "destroy", "discard"], &["delete", "remove", "destroy"], 0.7),
    row(&["delete", "remove"], &["archive", "trash", "leave"], 0.15),
    row(&["update", "edit", "change", "modify", "set", "adjust"], &["update", "edit", "change", "modify", "set", "patch"], 0.6),
    row(&["rename"], &["update", "name"], 0.25),
    row(&["kick", "ban", "expel"], &["kick", "remove"], 0.4),
    row(&["join", "enter"], &["join"], 0.8),
    row(&["channel", "room", "conversation"], &["channel", "room", "conversation"], 0.5),
    row(&["person", "people", "colleague", "member", "user"], &["user", "member", "people", "person"], 0.5),
    row(&["customer", "lead", "person", "people"], &["contact", "customer"], 0.4),
    row(&["company", "organisation", "organization", "business"], &["company", "organization"], 0.7),
    row(&["document", "page"], &["page", "document"], 0.4),
    row(&["attachment", "document", "picture", "image", "photo"], &["file", "media", "attachment"], 0.4),
    row(&["ticket", "issue", "case"], &["ticket", "issue"], 0.5),
    row(&["task", "todo"], &["task", "todo"], 0.6),
    row(&["comment", "reply"], &["comment", "reply"], 0.5),
    row(&["email", "mail"], &["email", "mail"], 0.8),
    row(&["emoji", "react", "reaction"], &["react", "reaction", "emoji"], 0.5),
    row(&["current", "own", "myself", "self"], &["self", "whoami"], 0.5),
    row(&["past", "recent", "latest", "last"], &["history", "message"], 0.2),
];

/// Verbs that tell what is to happen to the data. The first of them in a goal counts.
const INTENTS: &[(Effect, &[&str])] = &[
    (
        Effect::Read,
        &["find", "search", "query", "look", "lookup", "list", "get", "read", "show", "fetch", "see", "view", "retrieve", "browse"],
    ),
    (
        Effect::Write,
        &["send", "post", "write", "publish", "create", "add", "make", "insert", "update", "edit", "change", "rename", "invite"],
    ),
    (Effect::Destructive, &["delete", "remove", "erase", "destroy", "kick", "ban", "archive"]),
];

/// Stop words that ask for something to be read.
const QUESTIONS: [&str; 3] = ["what", "which", "who"];

/// The tables, by stem.
static SYNONYMS_OF: LazyLock<HashMap<String, Vec<(String, f32)>>> = LazyLock::new(|| {
    let mut table: HashMap<String, Vec<(String, f32)>> = HashMap::new();
    for row in SYNONYMS {
        let to = stems(row.to);
        for from in stems(row.from) {
            let known = table.entry(from.clone()).or_default();
            for to in to.iter().filter(|to| **to != from) {
                if !known.iter().any(|(term, _)| term == to) {
                    known.push((to.clone(), row.weight));
                }
            }
        }
    }
    table
});
static INTENT_OF: LazyLock<HashMap<String, Effect>> =
    LazyLock::new(|| INTENTS.iter().flat_map(|(effect, verbs)| stems(verbs).into_iter().map(|verb| (verb, *effect))).collect());

/// What the verbs among these stems do to the data; `None` when there are none, or they disagree (`lists_create`).
pub(super) fn intent_of(stems: &[String]) -> Option<Effect> {
    let mut intents = stems.iter().filter_map(|stem| INTENT_OF.get(stem));
    let first = intents.next()?;
    intents.all(|intent| intent == first).then_some(*first)
}

fn stems(list: &[&str]) -> Vec<String> {
    let mut analyzer = ANALYZER.clone();
    list.iter().filter_map(|word| words::stem(&mut analyzer, word)).collect()
}

static ANALYZER: LazyLock<TextAnalyzer> = LazyLock::new(words::analyzer);

/// One word of a goal.
pub(super) struct Word {
    /// As typed, in lower case.
    pub typed: String,
    /// Its stem, at weight 1, then its synonyms' stems.
    pub terms: Vec<(String, f32)>,
}

/// A goal, understood.
pub(super) struct Goal {
    /// Distinct by stem, in the order typed; at most 32.
    pub words: Vec<Word>,
    /// What the first verb wants to happen to the data.
    pub intent: Option<Effect>,
    /// Folded texts of it that may be an action's id.
    pub identifiers: Vec<String>,
}

impl Goal {
    /// Reads a goal. `names` tells whether a stem names a connector: `HubSpot` that does is not also `hub` and `spot`.
    pub fn parse(text: &str, names: &dyn Fn(&str) -> bool) -> Self {
        let text = match text.char_indices().nth(LONGEST_GOAL) {
            Some((end, _)) => text.get(..end).unwrap_or_default(),
            None => text,
        };
        let mut goal = Self { words: Vec::new(), intent: None, identifiers: identifiers(text) };
        let mut analyzer = ANALYZER.clone();
        for run in words::runs(text) {
            let run = text.get(run).unwrap_or_default();
            let whole = words::stem(&mut analyzer, run);
            if !whole.as_deref().is_some_and(names) {
                for part in words::parts(run) {
                    let part = run.get(part).unwrap_or_default();
                    if part.len() < run.len() {
                        goal.push(part, words::stem(&mut analyzer, part));
                    }
                }
            }
            goal.push(run, whole);
        }
        goal.drop_repeated_synonyms();
        goal
    }

    fn push(&mut self, typed: &str, stem: Option<String>) {
        let Some(stem) = stem else {
            let asks = QUESTIONS.iter().any(|question| typed.eq_ignore_ascii_case(question));
            self.intent = self.intent.or(asks.then_some(Effect::Read));
            return;
        };
        if self.words.len() >= MOST_WORDS || self.words.iter().any(|word| word.terms.first().is_some_and(|term| term.0 == stem)) {
            return;
        }
        self.intent = self.intent.or_else(|| INTENT_OF.get(&stem).copied());
        let synonyms = SYNONYMS_OF.get(&stem).map(Vec::as_slice).unwrap_or_default();
        let terms = iter::once((stem, 1.0)).chain(synonyms.iter().cloned()).collect();
        self.words.push(Word { typed: typed.to_lowercase(), terms });
    }

    /// A word that stands in the goal itself is not also another's synonym: it would count twice.
    fn drop_repeated_synonyms(&mut self) {
        let stems: Vec<String> = self.words.iter().filter_map(|word| word.terms.first().map(|term| term.0.clone())).collect();
        for word in &mut self.words {
            let mut own = true;
            word.terms.retain(|(term, _)| std::mem::take(&mut own) || !stems.contains(term));
        }
    }
}

/// The goal as a whole, and every chunk of it that is written like an id (`users_list`, `slack/chat.postMessage`, `createPage`).
fn identifiers(text: &str) -> Vec<String> {
    let chunks = text.split(|c: char| c.is_whitespace() || c == '/').map(|chunk| chunk.trim_matches(|c: char| !c.is_alphanumeric()));
    let written_as_id = chunks.filter(|chunk| chunk.contains(['_', '.', '-']) || words::parts(chunk).nth(1).is_some());
    let mut found = vec![words::folded(text)];
    found.extend(written_as_id.map(words::folded).take(MOST_IDENTIFIERS));
    found.sort_unstable();
    found.dedup();
    found.retain(|id| !id.is_empty());
    found
}
