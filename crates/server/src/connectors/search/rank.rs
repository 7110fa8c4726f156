//! The ranking: BM25F over a set of indexes, with one set of statistics.
//!
//! A word of the goal is one concept: its occurrences in all fields, and its synonyms' at their weight, add up to one
//! frequency before it saturates (Robertson, Zaragoza, Taylor: Simple BM25 extension to multiple weighted fields, 2004).
//! So an action that has every word of a goal beats one that repeats a single word everywhere.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

use amalgam_connector::definition::Effect;
use tantivy::{
    InvertedIndexReader, Term,
    fieldnorm::FieldNormReader,
    postings::TermInfo,
    query::FuzzyTermQuery,
    schema::{Field, IndexRecordOption},
};

use super::{
    goal::{Goal, Word},
    index::{ActionIndex, FIELDS, TITLES},
};

/// How fast repetition stops counting: BM25's usual value.
const K1: f32 = 1.2;
/// What an occurrence in each of [`FIELDS`] weighs.
const BOOSTS: [f32; 4] = [3.0, 3.0, 1.0, 0.4];
/// How much a field's length over the average counts against it, by [`FIELDS`].
const LENGTH: [f32; 4] = [0.5, 0.5, 0.7, 0.7];
/// For an action of the connector that the goal names in full.
const NAMED: f32 = 6.0;
/// The least rarity of a platform's name: in a small set of connectors the name of one says no less.
const RARE_ENOUGH: f32 = 1.5;
/// For an action of a connector whose description or categories have a word of the goal.
const ABOUT: f32 = 0.5;
/// An action that does to the data what the goal's verb says is worth this much more.
const INTENDED: f32 = 1.2;
/// An action that takes something away is worth this much where the goal's verb does not.
const UNASKED: f32 = 0.6;
/// People say what they want first and the particulars afterwards: words before this one count in full, and each further one this much less.
const CORE: usize = 3;
const FADING: f32 = 0.12;
/// For the action whose id the goal is: above all else.
const EXACT: f32 = 1_000.0;
/// A word one letter away from a word of the goal, and the shortest word of a goal for which that is tried.
const TYPO: f32 = 0.5;
const SHORTEST_TYPO: usize = 4;
/// Words of a goal for which typos are tried, and words taken for each from each field: walking dictionaries is slow.
const MOST_TYPOS: usize = 4;
const MOST_CORRECTIONS: usize = 8;

/// An action that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The connector's id.
    pub connector: String,
    /// The action's id.
    pub action: String,
    /// Comparable within one search only. Positive.
    pub score: f32,
    /// The goal's words that speak for it, in lower case, in the order typed; synonyms and typos name the word typed.
    pub matched: Vec<String>,
}

/// The bits of a goal's words.
type Matched = u32;

/// The best `limit` actions of a set of connectors for a goal; fewer only when fewer match. Equal scores are ordered by
/// connector id, then action id.
///
/// `allowed` is asked with the connector's and the action's id; what it denies is as if absent, except that its words count
/// in the statistics. A connector of which nothing is allowed is better left out of `indexes`.
pub fn search(indexes: &[&ActionIndex], goal: &str, limit: usize, allowed: &dyn Fn(&str, &str) -> bool) -> Vec<Hit> {
    let mut indexes = indexes.to_vec();
    indexes.sort_by(|a, b| a.connector.cmp(&b.connector));
    let goal = Goal::parse(goal, &|stem| indexes.iter().any(|index| index.names.iter().any(|name| name.iter().any(|part| part == stem))));
    if limit == 0 || goal.identifiers.is_empty() {
        return Vec::new();
    }
    let plan = Plan::new(&indexes, &goal);
    let mut best = Best::new(limit);
    let mut scratch = Scratch::default();
    for (at, index) in indexes.iter().enumerate() {
        scratch.reset(index.actions.len());
        plan.score(at, index, &goal, &mut scratch);
        for (doc, (score, matched)) in scratch.scores.iter().zip(&scratch.matched).enumerate() {
            let candidate = Candidate { score: *score, order: Reverse((at, doc)), matched: *matched };
            if *score > 0.0
                && best.would_take(&candidate)
                && index.actions.get(doc).is_some_and(|(action, _)| allowed(&index.connector, action))
            {
                best.take(candidate);
            }
        }
    }
    best.into_hits(&indexes, &goal.words)
}

/// A list of occurrences to add up.
struct Posting {
    index: usize,
    word: usize,
    field: usize,
    weight: f32,
    info: TermInfo,
}

/// What is known of a goal before anything is scored: where its words occur, and how rare they are in the whole set.
struct Plan {
    /// Ordered by index, then word.
    postings: Vec<Posting>,
    /// By word: its inverse document frequency.
    idf: Vec<f32>,
    /// By index: the words that name it, and the share of its name that they make up.
    named: Vec<(Matched, f32)>,
    /// By word: whether no action of the set has it.
    absent: Matched,
    /// By field and length code of tantivy: what an occurrence weighs.
    weights: [[f32; 256]; 4],
}

impl Plan {
    fn new(indexes: &[&ActionIndex], goal: &Goal) -> Self {
        let total: usize = indexes.iter().map(|index| index.actions.len()).sum();
        let mut plan = Self {
            postings: Vec::new(),
            idf: Vec::with_capacity(goal.words.len()),
            named: naming(indexes, &goal.words),
            absent: 0,
            weights: weights(indexes, total),
        };
        let mut typos = 0;
        for (at, word) in goal.words.iter().enumerate() {
            let first = plan.postings.len();
            plan.look_up(indexes, at, word);
            let is_name = plan.named.iter().any(|(words, _)| words & bit(at) != 0);
            if plan.postings.len() == first && !is_name && word.typed.chars().count() >= SHORTEST_TYPO && typos < MOST_TYPOS {
                typos += 1;
                plan.look_up_typo(indexes, at, word);
            }
            let found = plan.postings.get(first..).unwrap_or_default();
            if found.is_empty() {
                plan.absent |= bit(at);
            }
            let rarity = plan.frequency(indexes, at, word, found);
            let fading = 1.0 + FADING * at.saturating_sub(CORE) as f32;
            plan.idf.push(inverse(rarity, total) / fading);
        }
        plan.postings.sort_by_key(|posting| (posting.index, posting.word));
        plan
    }

    /// Finds a word in every field, its synonyms in ids and names.
    fn look_up(&mut self, indexes: &[&ActionIndex], at: usize, word: &Word) {
        for (index_at, index) in indexes.iter().enumerate() {
            let names_it = self.named.get(index_at).is_some_and(|(words, _)| words & bit(at) != 0);
            for (nth, (term, weight)) in word.terms.iter().enumerate() {
                // A platform's texts mention the platform at random, which says nothing of the action.
                let fields = if nth == 0 && !names_it { FIELDS.len() } else { TITLES };
                for (field_at, field) in index.fields.iter().enumerate().take(fields) {
                    // Reading from memory cannot fail; if it did, the word would be as good as absent.
                    if let Ok(Some(info)) = field.terms.terms().get(term) {
                        self.postings.push(Posting { index: index_at, word: at, field: field_at, weight: *weight, info });
                    }
                }
            }
        }
    }

    /// Finds words of ids and names that are one letter away.
    fn look_up_typo(&mut self, indexes: &[&ActionIndex], at: usize, word: &Word) {
        let Some((term, _)) = word.terms.first() else { return };
        // The stemmer keeps an end that the right word would have lost: `mrege`, but `merg`.
        let term = term.strip_suffix('e').unwrap_or(term);
        // The automaton is about the text alone, whatever the field.
        let Ok(automaton) = FuzzyTermQuery::new(Term::from_field_text(Field::from_field_id(0), term), 1, true).automaton() else { return };
        for (index_at, index) in indexes.iter().enumerate() {
            for (field_at, field) in index.fields.iter().enumerate().take(TITLES) {
                let Ok(mut found) = field.terms.terms().search(&automaton).into_stream() else { continue };
                let mut taken = 0;
                while taken < MOST_CORRECTIONS && found.advance() {
                    taken += 1;
                    self.postings.push(Posting { index: index_at, word: at, field: field_at, weight: TYPO, info: found.value().clone() });
                }
            }
        }
    }

    /// In about how many actions of the set a word occurs. A platform's name occurs in all of its actions.
    fn frequency(&self, indexes: &[&ActionIndex], at: usize, word: &Word, found: &[Posting]) -> f32 {
        let mut by_field = [0.0; 4];
        for posting in found {
            if let Some(sum) = by_field.get_mut(posting.field) {
                *sum += posting.weight * posting.info.doc_freq as f32;
            }
        }
        let in_texts = by_field.into_iter().fold(0.0, f32::max);
        let stands_for =
            |(index, (named, _)): &(&&ActionIndex, &(Matched, f32))| named & bit(at) != 0 || (found.is_empty() && is_about(index, word));
        let in_whole: usize = indexes.iter().zip(&self.named).filter(stands_for).map(|(index, _)| index.actions.len()).sum();
        in_texts + in_whole as f32
    }

    /// Scores every action of one index.
    fn score(&self, at: usize, index: &ActionIndex, goal: &Goal, scratch: &mut Scratch) {
        let first = self.postings.partition_point(|posting| posting.index < at);
        let here = self.postings.get(first..).unwrap_or_default();
        let here = here.get(..here.partition_point(|posting| posting.index == at)).unwrap_or_default();
        for postings in here.chunk_by(|a, b| a.word == b.word) {
            for posting in postings {
                self.count(posting, index, scratch);
            }
            if let Some(word) = postings.first().map(|posting| posting.word) {
                scratch.saturate(self.idf_of(word), bit(word));
            }
        }
        scratch.favour(index, goal.intent);
        self.score_connector(at, index, goal, scratch);
        for identifier in &goal.identifiers {
            if let Ok(Some(info)) = index.exact.terms().get(identifier) {
                each(&index.exact, &info, |doc, _| scratch.add(doc, EXACT, 0));
            }
        }
    }

    /// Adds the occurrences of one term in one field to the frequencies of the word at hand.
    fn count(&self, posting: &Posting, index: &ActionIndex, scratch: &mut Scratch) {
        let (Some(field), Some(weights)) = (index.fields.get(posting.field), self.weights.get(posting.field)) else { return };
        each(&field.terms, &posting.info, |doc, frequency| {
            let by_length = weights.get(usize::from(field.lengths.fieldnorm_id(doc))).copied().unwrap_or_default();
            if let Some(sum) = scratch.frequencies.get_mut(doc as usize) {
                if *sum == 0.0 {
                    scratch.touched.push(doc);
                }
                *sum += posting.weight * by_length * frequency as f32;
            }
        });
    }

    /// What the connector as a whole has for a goal: its name in it, and words of what it is about.
    fn score_connector(&self, at: usize, index: &ActionIndex, goal: &Goal, scratch: &mut Scratch) {
        let (named, share) = self.named.get(at).copied().unwrap_or_default();
        let mut for_all = 0.0;
        let mut for_matching = 0.0;
        let mut words = named;
        for (nth, word) in goal.words.iter().enumerate() {
            if named & bit(nth) != 0 {
                for_all = f32::max(for_all, NAMED * share * self.idf_of(nth).max(RARE_ENOUGH));
            } else if is_about(index, word) {
                for_matching += ABOUT * self.idf_of(nth);
                words |= self.absent & bit(nth);
            }
        }
        if words != named {
            // Nothing of the set says it but this connector's description: then all of its actions are about it.
            for_all += for_matching;
            for_matching = 0.0;
        }
        if for_all + for_matching == 0.0 {
            return;
        }
        for (score, matched) in scratch.scores.iter_mut().zip(&mut scratch.matched) {
            if *score > 0.0 {
                *score += for_matching;
            }
            if for_all > 0.0 {
                *score += for_all;
                *matched |= words;
            }
        }
    }

    fn idf_of(&self, word: usize) -> f32 {
        self.idf.get(word).copied().unwrap_or_default()
    }
}

/// Numbers of one index's actions, by document; reused from index to index.
#[derive(Default)]
struct Scratch {
    scores: Vec<f32>,
    matched: Vec<Matched>,
    /// Weighted frequencies of the word at hand, and which are not zero.
    frequencies: Vec<f32>,
    touched: Vec<u32>,
}

impl Scratch {
    fn reset(&mut self, actions: usize) {
        for numbers in [&mut self.scores, &mut self.frequencies] {
            numbers.clear();
            numbers.resize(actions, 0.0);
        }
        self.matched.clear();
        self.matched.resize(actions, 0);
    }

    fn add(&mut self, doc: u32, score: f32, words: Matched) {
        let doc = doc as usize;
        if let (Some(sum), Some(matched)) = (self.scores.get_mut(doc), self.matched.get_mut(doc)) {
            *sum += score;
            *matched |= words;
        }
    }

    /// Turns the frequencies of one word into scores.
    fn saturate(&mut self, idf: f32, word: Matched) {
        while let Some(doc) = self.touched.pop() {
            let Some(frequency) = self.frequencies.get_mut(doc as usize).map(std::mem::take) else { continue };
            self.add(doc, idf * frequency * (K1 + 1.0) / (frequency + K1), word);
        }
    }

    /// Raises the actions that do what the goal's verb says.
    fn favour(&mut self, index: &ActionIndex, intent: Option<Effect>) {
        let Some(intent) = intent else { return };
        for (score, (_, effect)) in self.scores.iter_mut().zip(&index.actions) {
            if *effect == intent {
                *score *= INTENDED;
            } else if *effect == Effect::Destructive {
                *score *= UNASKED;
            }
        }
    }
}

/// Calls with every document of a posting list and the frequency there (every field records it).
fn each(terms: &InvertedIndexReader, info: &TermInfo, mut call: impl FnMut(u32, u32)) {
    let Ok(mut block) = terms.read_block_postings_from_terminfo(info, IndexRecordOption::WithFreqs) else { return };
    while !block.docs().is_empty() {
        for (doc, frequency) in block.docs().iter().zip(block.freqs()) {
            call(*doc, *frequency);
        }
        block.advance();
    }
}

/// By index: which words of a goal name it, and what share of its id or name they are. Where no platform is named, one may be misspelt.
fn naming(indexes: &[&ActionIndex], words: &[Word]) -> Vec<(Matched, f32)> {
    let exact: Vec<_> = indexes.iter().map(|index| named_by(index, words, &|said, name| said == name)).collect();
    if exact.iter().any(|(said, share)| *said != 0 && *share >= 1.0) {
        return exact;
    }
    let close: Vec<_> = indexes.iter().map(|index| named_by(index, words, &is_close)).collect();
    if close.iter().any(|(_, share)| *share >= 1.0) { close } else { exact }
}

fn named_by(index: &ActionIndex, words: &[Word], same: &dyn Fn(&str, &str) -> bool) -> (Matched, f32) {
    let mut best = (0, 0.0);
    for name in &index.names {
        let said = words
            .iter()
            .enumerate()
            .filter(|(_, word)| word.terms.first().is_some_and(|(stem, _)| name.iter().any(|part| same(stem, part))));
        let said: Matched = said.fold(0, |bits, (nth, _)| bits | bit(nth));
        let share = said.count_ones() as f32 / name.len().max(1) as f32;
        if share > best.1 {
            best = (said, share);
        }
    }
    best
}

/// Whether two words differ by one letter too many, too few or wrong, or by two that changed places; their first letters are the same.
fn is_close(said: &str, name: &str) -> bool {
    let (said, name): (Vec<char>, Vec<char>) = (said.chars().collect(), name.chars().collect());
    if said.first() != name.first() || said.len() < 3 || name.len() < 4 || said.len().abs_diff(name.len()) > 1 {
        return false;
    }
    let start = said.iter().zip(&name).take_while(|(a, b)| a == b).count();
    let (said, name) = (said.get(start..).unwrap_or_default(), name.get(start..).unwrap_or_default());
    let end = said.iter().rev().zip(name.iter().rev()).take_while(|(a, b)| a == b).count();
    let left = |rest: &[char]| rest.get(..rest.len().saturating_sub(end)).unwrap_or_default().to_vec();
    let (said, name) = (left(said), left(name));
    match (said.as_slice(), name.as_slice()) {
        ([a, b], [c, d]) => a == d && b == c,
        (said, name) => said.len() <= 1 && name.len() <= 1,
    }
}

fn is_about(index: &ActionIndex, word: &Word) -> bool {
    word.terms.first().is_some_and(|(stem, _)| index.about.binary_search(stem).is_ok())
}

/// What one occurrence weighs, by field and length code: boost over length, the length relative to the average of the set.
fn weights(indexes: &[&ActionIndex], total: usize) -> [[f32; 256]; 4] {
    let mut weights = [[0.0; 256]; 4];
    for (nth, ((weights, boost), length)) in weights.iter_mut().zip(BOOSTS).zip(LENGTH).enumerate() {
        let tokens: u64 = indexes.iter().filter_map(|index| index.fields.get(nth)).map(|field| field.terms.total_num_tokens()).sum();
        let average = (tokens as f32 / total.max(1) as f32).max(1.0);
        for (code, weight) in (0..=u8::MAX).zip(weights) {
            *weight = boost / (1.0 - length + length * FieldNormReader::id_to_fieldnorm(code) as f32 / average);
        }
    }
    weights
}

/// The inverse document frequency of BM25.
fn inverse(frequency: f32, total: usize) -> f32 {
    let total = total as f32;
    let frequency = frequency.min(total);
    (1.0 + (total - frequency + 0.5) / (frequency + 0.5)).ln()
}

fn bit(word: usize) -> Matched {
    1 << (word % 32)
}

/// One action that may become a hit. The greater is the better; `order` is (index, document), both in the order of ids.
#[derive(PartialEq)]
struct Candidate {
    score: f32,
    order: Reverse<(usize, usize)>,
    matched: Matched,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then_with(|| self.order.cmp(&other.order))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The best candidates so far, the worst of them on top.
struct Best {
    limit: usize,
    heap: BinaryHeap<Reverse<Candidate>>,
}

impl Best {
    fn new(limit: usize) -> Self {
        Self { limit, heap: BinaryHeap::new() }
    }

    /// Asked before the permission is: most candidates are too weak for it to matter.
    fn would_take(&self, candidate: &Candidate) -> bool {
        self.heap.len() < self.limit || self.heap.peek().is_some_and(|Reverse(worst)| candidate > worst)
    }

    fn take(&mut self, candidate: Candidate) {
        self.heap.push(Reverse(candidate));
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
    }

    fn into_hits(self, indexes: &[&ActionIndex], words: &[Word]) -> Vec<Hit> {
        let best = self.heap.into_sorted_vec().into_iter();
        best.filter_map(|Reverse(Candidate { score, order: Reverse((index, doc)), matched })| {
            let index = indexes.get(index)?;
            let (action, _) = index.actions.get(doc)?;
            let said = words.iter().enumerate().filter(|(nth, _)| matched & bit(*nth) != 0);
            Some(Hit {
                connector: index.connector.clone(),
                action: action.to_string(),
                score,
                matched: said.map(|(_, word)| word.typed.clone()).collect(),
            })
        })
        .collect()
    }
}
