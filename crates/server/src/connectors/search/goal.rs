//! A goal in plain words becomes weighted search words. It is free text from anyone: nothing in it is syntax.

use std::iter;

use super::{
    index::ActionIndex,
    synonyms::{self, Deed},
    tuning::Tuning,
    vocabulary::Vocabulary,
    words::{self, Analyzer},
};

/// What follows is ignored; the front doors refuse such goals. In characters.
pub const LONGEST_GOAL: usize = 2_000;
/// Distinct words of a goal; one bit each in `rank::Matched`.
const MOST_WORDS: usize = 32;
/// Identifiers in a goal that are looked up as action ids.
const MOST_IDENTIFIERS: usize = 8;
/// Words of a goal that may be misspelt, and words taken for each.
const MOST_TYPOS: usize = 6;
const MOST_CORRECTIONS: usize = 6;
/// People say what they want first: so many words count in full.
const CORE: usize = 3;

/// Stop words that ask for something to be read.
const QUESTIONS: [&str; 6] = ["what", "which", "who", "when", "where", "how"];
/// What goals begin with that name what is to be read, and no verb.
const OWN: [&str; 9] = ["my", "our", "all", "every", "current", "latest", "newest", "recent", "upcoming"];
/// Before the name of a platform they say that it is done there: `the GitHub mails in my Gmail`.
const PLACES: [&str; 28] = [
    "in", "on", "at", "to", "from", "with", "via", "through", "over", "by", "using", "en", "no", "im", "auf", "sur", "aus", "dans", "su",
    "nel", "na", "w", "z", "op", "em", "uit", "bei", "naar",
];
/// They begin what belongs to the object and is not it.
const ASIDES: [&str; 14] = ["in", "on", "at", "to", "from", "with", "via", "through", "over", "by", "for", "about", "into", "under"];
/// Between such a word and the name.
const ARTICLES: [&str; 15] = ["my", "our", "the", "their", "your", "a", "an", "de", "la", "el", "le", "mein", "meinem", "mi", "mon"];
/// After them come the particulars: what a message says, why it is wanted.
const CLAUSES: [&str; 6] = ["that", "because", "saying", "since", "so", "but"];

/// One word of a goal.
pub(super) struct Word {
    /// As typed, in lower case.
    pub typed: String,
    /// Its stem, at weight 1, then its synonyms' stems; or what it is taken for.
    pub terms: Vec<(String, f32)>,
    /// How much it counts.
    pub weight: f32,
    /// Whether it says where: it stands after a preposition, or with a colon before all else.
    pub is_place: bool,
}

/// A goal, understood.
pub(super) struct Goal {
    /// Distinct by stem, in the order typed; at most 32.
    pub words: Vec<Word>,
    /// What its first verb wants done.
    pub intent: Option<Deed>,
    /// Folded texts of it that may be an action's id.
    pub identifiers: Vec<String>,
}

/// What is known while a goal is read.
struct Reader<'a> {
    goal: Goal,
    analyzer: Analyzer,
    vocabulary: Vocabulary<'a>,
    tuning: &'a Tuning,
    typos: usize,
    /// Words so far that are neither stop words nor names of platforms.
    said: usize,
    /// Whether the words now are particulars.
    is_clause: bool,
    /// Whether a preposition was read.
    is_aside: bool,
    /// Whether what was just read is one.
    after_place: bool,
}

/// A run of letters and digits in a goal.
struct Token<'a> {
    text: &'a str,
    /// In lower case, without accents.
    plain: String,
    before: &'a str,
    after: &'a str,
    is_quoted: bool,
}

impl Goal {
    /// Reads a goal, for the indexes that are searched: what they know is not misspelt, and `HubSpot` is not also `hub` and `spot`
    /// where it is the name of a platform.
    pub fn parse(text: &str, indexes: &[&ActionIndex], tuning: &Tuning) -> Self {
        let text = match text.char_indices().nth(LONGEST_GOAL) {
            Some((end, _)) => text.get(..end).unwrap_or_default(),
            None => text,
        };
        let mut reader = Reader {
            goal: Self { words: Vec::new(), intent: None, identifiers: identifiers(text) },
            analyzer: Analyzer::new(),
            vocabulary: Vocabulary::new(indexes),
            tuning,
            typos: 0,
            said: 0,
            is_clause: false,
            is_aside: false,
            after_place: false,
        };
        reader.read(text);
        reader.goal.drop_repeated_synonyms();
        reader.goal
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

impl Reader<'_> {
    fn read(&mut self, text: &str) {
        let tokens = tokens(text);
        let plain: Vec<&str> = tokens.iter().map(|token| token.plain.as_str()).collect();
        for (at, token) in tokens.iter().enumerate() {
            let rest = plain.get(at..).unwrap_or_default();
            self.is_clause |= self.said > 1 && token.before.trim_end().ends_with(':');
            self.after_place |= at == 0 && token.after.starts_with(':');
            self.ask(&token.plain, rest);
            self.imply(token);
            match synonyms::phrase(rest).filter(|_| !self.is_particular(token)) {
                Some(verb) => self.push(token.text, self.analyzer.stem(verb), 1.0, true),
                None => self.read_word(token, rest),
            }
            self.is_clause |= self.said > 1 && CLAUSES.contains(&token.plain.as_str());
            self.is_aside |= self.said > 0 && ASIDES.contains(&token.plain.as_str());
            self.after_place = PLACES.contains(&token.plain.as_str()) || (self.after_place && ARTICLES.contains(&token.plain.as_str()));
        }
        if self.goal.intent.is_none() && plain.first().is_some_and(|first| OWN.contains(first) || is_plural(first)) {
            self.goal.intent = Some(Deed::Find);
        }
    }

    /// A question asks for something to be read, unless a verb came before.
    fn ask(&mut self, plain: &str, rest: &[&str]) {
        if self.goal.intent.is_none() && self.said == 0 && QUESTIONS.contains(&plain) {
            self.goal.intent = Some(Deed::Find);
        }
        if plain == "who" && rest.len() > 1 {
            self.push_implied("who", &["people", "member", "user", "participant", "attendee"]);
        }
    }

    /// What an address says that is in the goal: somebody's, a channel's, a telephone's.
    fn imply(&mut self, token: &Token<'_>) {
        if token.after.starts_with('@') && token.after.chars().nth(1).is_some_and(char::is_alphanumeric) {
            self.push_implied(token.text, &["email", "address", "contact", "member", "person", "recipient"]);
        } else if token.before.ends_with('@') && token.before.trim_end_matches('@').chars().last().is_none_or(char::is_whitespace) {
            self.push_implied(token.text, &["user", "member", "person"]);
        } else if token.before.ends_with('#') && token.text.chars().all(char::is_alphabetic) {
            self.push_implied(token.text, &["channel", "room"]);
        } else if token.before.ends_with('+') && token.text.len() > 1 && token.text.bytes().all(|b| b.is_ascii_digit()) {
            self.push_implied(token.text, &["phone", "number", "sms"]);
        } else if token.after.starts_with("://") {
            self.push_implied(token.text, &["link", "url"]);
        }
    }

    fn is_particular(&self, token: &Token<'_>) -> bool {
        self.is_clause || token.is_quoted
    }

    /// A run of letters, and the words within it.
    fn read_word(&mut self, token: &Token<'_>, rest: &[&str]) {
        let weight = match (self.is_particular(token), token.is_value()) {
            (_, true) => self.tuning.value,
            (true, _) => self.tuning.particular,
            (false, false) if self.is_aside => self.tuning.aside,
            (false, false) => 1.0,
        };
        let run = token.text;
        let whole = self.analyzer.stem(run);
        let is_name = whole.as_deref().is_some_and(|stem| self.vocabulary.is_name(stem));
        let is_verb = self.may_be_verb(&token.plain, rest);
        if !is_name {
            for part in words::parts(run).filter_map(|part| run.get(part)).filter(|part| part.len() < run.len()) {
                let stem = self.analyzer.stem(part);
                self.push(part, stem, weight, false);
            }
        }
        let counts = whole.is_some() && !is_name;
        self.push(run, whole, weight, is_verb);
        self.said += usize::from(counts);
        if let Some(Deed::Get) = self.goal.intent.filter(|_| self.said < CORE && is_verb) {
            let object = rest.iter().skip(1).take_while(|word| !ASIDES.contains(word));
            self.goal.intent = Some(if object.take(4).any(|word| is_plural(word)) { Deed::Find } else { Deed::Get });
        }
    }

    /// Whether a word that is a noun as well is a verb here: nothing was said before, and what follows is not `requests` of `open requests`.
    fn may_be_verb(&self, plain: &str, rest: &[&str]) -> bool {
        if plain.ends_with("ed") || plain.ends_with("ing") {
            return false;
        }
        let object = rest.iter().skip(1).take(2).take_while(|word| !words::is_stop(word));
        self.said == 0 && !object.into_iter().any(|word| is_plural(word))
    }

    fn push(&mut self, typed: &str, stem: Option<String>, weight: f32, is_verb: bool) {
        let Some(stem) = stem else { return };
        if !self.has_room(&stem) {
            return;
        }
        let mut meant = vec![(stem, 1.0)];
        if let Some((stem, _)) = meant.first()
            && self.typos < MOST_TYPOS
            && !self.vocabulary.knows(stem)
        {
            let close = self.vocabulary.close(stem, MOST_CORRECTIONS);
            self.typos += 1;
            meant.extend(close.into_iter().map(|term| (term, self.tuning.typo)));
        }
        let is_past = typed.ends_with("ed") || typed.ends_with("ing");
        if self.goal.intent.is_none() && !is_past && !self.is_clause {
            self.goal.intent = meant.iter().find_map(|(stem, _)| synonyms::deed_of(stem, is_verb));
        }
        let discount = self.tuning.synonym;
        let terms = meant.iter().flat_map(|(stem, weight)| {
            let synonyms = synonyms::of(stem).iter().map(move |(term, share)| (term.clone(), share * weight * discount));
            iter::once((stem.clone(), *weight)).chain(synonyms)
        });
        let mut terms: Vec<(String, f32)> = terms.collect();
        keep_best(&mut terms);
        let fading = 1.0 + self.tuning.fading * self.goal.words.len().saturating_sub(CORE) as f32;
        self.goal.words.push(Word { typed: typed.to_lowercase(), terms, weight: weight / fading, is_place: self.after_place });
    }

    /// Adds what is not said but meant.
    fn push_implied(&mut self, typed: &str, meant: &[&str]) {
        let terms: Vec<(String, f32)> = meant.iter().filter_map(|word| Some((self.analyzer.stem(word)?, 1.0))).collect();
        if terms.first().is_some_and(|(stem, _)| self.has_room(stem)) {
            let word = Word { typed: typed.to_lowercase(), terms, weight: self.tuning.implied, is_place: false };
            self.goal.words.push(word);
        }
    }

    fn has_room(&self, stem: &str) -> bool {
        let is_known = self.goal.words.iter().any(|word| word.terms.first().is_some_and(|term| term.0 == stem));
        self.goal.words.len() < MOST_WORDS && !is_known
    }
}

impl Token<'_> {
    /// Whether it is a number, an id, or a part of an e-mail address, a domain, a `#channel` or a `@person`.
    fn is_value(&self) -> bool {
        let joins = |c: char| matches!(c, '@' | '.' | '#' | '+');
        let starts = self.after.strip_prefix(joins).is_some_and(|rest| rest.starts_with(char::is_alphanumeric));
        let ends = self.before.strip_suffix('.').is_some_and(|rest| rest.ends_with(char::is_alphanumeric));
        starts || ends || self.before.ends_with(['@', '#', '+']) || self.text.bytes().any(|b| b.is_ascii_digit())
    }
}

/// The runs of a goal.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let quoted = quoted(text);
    let token = |run: std::ops::Range<usize>| {
        Some(Token {
            text: text.get(run.clone())?,
            plain: words::plain(text.get(run.clone())?).unwrap_or_default().into_owned(),
            before: text.get(..run.start)?,
            after: text.get(run.end..)?,
            is_quoted: quoted.iter().any(|(start, end)| (*start..*end).contains(&run.start)),
        })
    };
    words::runs(text).filter_map(token).collect()
}

/// Whether an English word looks like a plural.
fn is_plural(plain: &str) -> bool {
    plain.len() > 3 && plain.ends_with('s') && !["ss", "us", "is"].iter().any(|end| plain.ends_with(end)) && !words::is_stop(plain)
}

/// Drops what is there twice, except at its greatest weight. The first stays the first.
fn keep_best(terms: &mut Vec<(String, f32)>) {
    let mut kept: Vec<(String, f32)> = Vec::with_capacity(terms.len());
    for (term, weight) in terms.drain(..) {
        match kept.iter_mut().find(|(known, _)| *known == term) {
            Some((_, known)) => *known = known.max(weight),
            None => kept.push((term, weight)),
        }
    }
    *terms = kept;
}

/// What stands in quotation marks, as byte ranges. An apostrophe opens none: a letter is before it.
fn quoted(text: &str) -> Vec<(usize, usize)> {
    const PAIRS: [(char, &str); 6] = [('"', "\""), ('\'', "'"), ('“', "”"), ('„', "“”"), ('«', "»"), ('‘', "’")];
    let mut found = Vec::new();
    let mut before = ' ';
    let mut chars = text.char_indices();
    while let Some((start, c)) = chars.next() {
        if let Some((_, ends)) = PAIRS.iter().find(|(open, _)| *open == c).filter(|_| !before.is_alphanumeric()) {
            let rest = chars.as_str();
            let ends_at = |(at, c): &(usize, char)| {
                let next = rest.get(at + c.len_utf8()..).and_then(|rest| rest.chars().next());
                ends.contains(*c) && !next.is_some_and(char::is_alphanumeric)
            };
            if let Some((at, _)) = rest.char_indices().find(ends_at) {
                let end = start + c.len_utf8() + at;
                found.push((start, end));
                chars.by_ref().find(|(at, _)| *at >= end);
            }
        }
        before = c;
    }
    found
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
