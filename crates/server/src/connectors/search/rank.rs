//! The ranking: BM25F over a set of indexes, with one set of statistics.
//!
//! A word of the goal is one concept: its occurrences in all fields, and its synonyms' at their weight, add up to one
//! frequency before it saturates (Robertson, Zaragoza, Taylor: Simple BM25 extension to multiple weighted fields, 2004).
//! So an action that has every word of a goal beats one that repeats a single word everywhere.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

use super::{
    goal::{Goal, Word},
    index::{ActionIndex, Posting, hash},
    synonyms::Deed,
    tuning::{TUNING, Tuning},
    vocabulary::is_close,
};

/// For the action whose id the goal is: above all else.
const EXACT: f32 = 1_000.0;

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
    search_with(indexes, goal, limit, allowed, &TUNING)
}

/// As [`search`], with other numbers.
pub(super) fn search_with(
    indexes: &[&ActionIndex],
    goal: &str,
    limit: usize,
    allowed: &dyn Fn(&str, &str) -> bool,
    tuning: &Tuning,
) -> Vec<Hit> {
    let mut indexes = indexes.to_vec();
    indexes.sort_by(|a, b| a.connector.cmp(&b.connector));
    let goal = Goal::parse(goal, &indexes, tuning);
    if limit == 0 || goal.identifiers.is_empty() {
        return Vec::new();
    }
    let plan = Plan::new(&indexes, &goal, tuning);
    let mut best = Best::new(limit);
    let mut scratch = Scratch::default();
    for (at, index) in indexes.iter().enumerate() {
        scratch.reset(index.actions.len());
        plan.score(at, index, &goal, &mut scratch);
        for (doc, (score, matched)) in scratch.scores.iter().zip(&scratch.matched).enumerate() {
            let candidate = Candidate { score: *score, order: Reverse((at, doc)), matched: *matched };
            if *score > 0.0 && best.would_take(&candidate) && allowed(&index.connector, index.id(doc)) {
                best.take(candidate);
            }
        }
    }
    best.into_hits(&indexes, &goal.words)
}

/// A list of occurrences to add up.
struct List<'a> {
    index: usize,
    word: usize,
    /// What an occurrence weighs in titles, and in texts.
    title: f32,
    text: f32,
    postings: &'a [Posting],
}

/// What is known of a goal before anything is scored: where its words occur, and how rare they are in the whole set.
struct Plan<'a> {
    tuning: &'a Tuning,
    /// Ordered by index, then word.
    lists: Vec<List<'a>>,
    /// By word: its inverse document frequency, and that times what the word weighs.
    rarity: Vec<f32>,
    idf: Vec<f32>,
    /// By index: how the goal names it.
    named: Vec<Named>,
    /// By word: whether no action of the set has it.
    absent: Matched,
}

/// How a goal names a connector.
#[derive(Clone, Copy, Default)]
struct Named {
    /// The words that do.
    words: Matched,
    /// The share of its name that they make up, less where the goal names another one above all.
    share: f32,
}

impl<'a> Plan<'a> {
    fn new(indexes: &[&'a ActionIndex], goal: &Goal, tuning: &'a Tuning) -> Self {
        let total: usize = indexes.iter().map(|index| index.actions.len()).sum();
        let mut plan =
            Self { tuning, lists: Vec::new(), rarity: Vec::new(), idf: Vec::new(), named: naming(indexes, &goal.words, tuning), absent: 0 };
        for (at, word) in goal.words.iter().enumerate() {
            let first = plan.lists.len();
            plan.look_up(indexes, at, word);
            let found = plan.lists.get(first..).unwrap_or_default();
            if found.is_empty() {
                plan.absent |= bit(at);
            }
            let rarity = plan.frequency(indexes, at, word, found);
            plan.rarity.push(inverse(rarity, total));
            plan.idf.push(inverse(rarity, total) * word.weight);
        }
        plan.lists.sort_by_key(|list| (list.index, list.word));
        plan
    }

    /// Finds a word in every field, its synonyms in what names an action.
    fn look_up(&mut self, indexes: &[&'a ActionIndex], at: usize, word: &Word) {
        let hashes: Vec<u32> = word.terms.iter().map(|(term, _)| hash(term)).collect();
        for (index_at, index) in indexes.iter().enumerate() {
            let names_it = self.named.get(index_at).is_some_and(|named| named.words & bit(at) != 0);
            for (nth, ((term, weight), hash)) in word.terms.iter().zip(&hashes).enumerate() {
                let postings = index.postings(term, *hash);
                if !postings.is_empty() {
                    // A platform's texts mention the platform at random, which says nothing of the action.
                    let text = if nth == 0 && !names_it { *weight } else { 0.0 };
                    self.lists.push(List { index: index_at, word: at, title: *weight, text, postings });
                }
            }
        }
    }

    /// In about how many actions of the set a word occurs. A platform's name occurs in all of its actions.
    fn frequency(&self, indexes: &[&ActionIndex], at: usize, word: &Word, found: &[List<'_>]) -> f32 {
        let in_texts: f32 = found.iter().map(|list| list.title * list.postings.len() as f32).sum();
        let stands_for =
            |(index, named): &(&&ActionIndex, &Named)| named.words & bit(at) != 0 || (found.is_empty() && is_about(index, word));
        let in_whole: usize = indexes.iter().zip(&self.named).filter(stands_for).map(|(index, _)| index.actions.len()).sum();
        in_texts + in_whole as f32
    }

    /// Scores every action of one index.
    fn score(&self, at: usize, index: &ActionIndex, goal: &Goal, scratch: &mut Scratch) {
        let first = self.lists.partition_point(|list| list.index < at);
        let here = self.lists.get(first..).unwrap_or_default();
        let here = here.get(..here.partition_point(|list| list.index == at)).unwrap_or_default();
        for lists in here.chunk_by(|a, b| a.word == b.word) {
            for list in lists {
                scratch.count(list);
            }
            if let Some(word) = lists.first().map(|list| list.word) {
                scratch.saturate(self.idf_of(word), bit(word), self.tuning.k1);
            }
        }
        scratch.favour(index, goal.intent, self.tuning);
        self.score_connector(at, index, goal, scratch);
        for identifier in &goal.identifiers {
            for doc in index.exact(identifier) {
                scratch.add(doc, EXACT, 0);
            }
        }
    }

    /// What the connector as a whole has for a goal: its name in it, and words of what it is about.
    fn score_connector(&self, at: usize, index: &ActionIndex, goal: &Goal, scratch: &mut Scratch) {
        let named = self.named.get(at).copied().unwrap_or_default();
        let mut for_all = 0.0;
        let mut for_matching = 0.0;
        let mut words = named.words;
        for (nth, word) in goal.words.iter().enumerate() {
            if named.words & bit(nth) != 0 {
                let rarity = self.rarity.get(nth).copied().unwrap_or_default();
                for_all = f32::max(for_all, self.tuning.named * named.share * rarity.max(self.tuning.rare));
            } else if is_about(index, word) {
                for_matching += self.tuning.about * self.idf_of(nth);
                words |= self.absent & bit(nth);
            }
        }
        if words != named.words {
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
    /// How many words of the goal stand in the name.
    covered: Vec<u8>,
    /// Weighted frequencies of the word at hand, and which are not zero.
    frequencies: Vec<(f32, bool)>,
    touched: Vec<u32>,
}

impl Scratch {
    fn reset(&mut self, actions: usize) {
        self.scores.clear();
        self.scores.resize(actions, 0.0);
        self.matched.clear();
        self.matched.resize(actions, 0);
        self.covered.clear();
        self.covered.resize(actions, 0);
        self.frequencies.clear();
        self.frequencies.resize(actions, (0.0, false));
    }

    fn add(&mut self, doc: usize, score: f32, words: Matched) {
        if let (Some(sum), Some(matched)) = (self.scores.get_mut(doc), self.matched.get_mut(doc)) {
            *sum += score;
            *matched |= words;
        }
    }

    /// Adds the occurrences of one term to the frequencies of the word at hand.
    fn count(&mut self, list: &List<'_>) {
        for posting in list.postings {
            let doc = posting.doc();
            let weight = list.title * posting.title() + list.text * posting.text();
            let Some((sum, is_noun)) = self.frequencies.get_mut(doc).filter(|_| weight > 0.0) else { continue };
            if *sum == 0.0 {
                self.touched.push(doc as u32);
            }
            *sum += weight;
            *is_noun |= posting.is_noun();
        }
    }

    /// Turns the frequencies of one word into scores.
    fn saturate(&mut self, idf: f32, word: Matched, k1: f32) {
        while let Some(doc) = self.touched.pop() {
            let doc = doc as usize;
            let Some((frequency, is_noun)) = self.frequencies.get_mut(doc).map(std::mem::take) else { continue };
            self.add(doc, idf * frequency * (k1 + 1.0) / (frequency + k1), word);
            if let Some(covered) = self.covered.get_mut(doc) {
                *covered = covered.saturating_add(u8::from(is_noun));
            }
        }
    }

    /// Raises the actions that do what the goal's verb says and whose name the goal says in full, and the plainer ones.
    fn favour(&mut self, index: &ActionIndex, intent: Option<Deed>, tuning: &Tuning) {
        for ((score, covered), entry) in self.scores.iter_mut().zip(&self.covered).zip(&index.actions) {
            if *score == 0.0 {
                continue;
            }
            let left = entry.nouns.saturating_sub(*covered);
            *score *= 1.0 - tuning.uncovered * f32::from(left) / f32::from(entry.nouns.max(1));
            *score *= 1.0 - tuning.rank * f32::from(entry.rank) / 255.0;
            *score /= 1.0 + tuning.required * f32::from(entry.required);
            if let Some(intent) = intent {
                *score *= match (intent, entry.deed) {
                    (intent, deed) if intent == deed => tuning.intended,
                    (Deed::Find, Deed::Get) | (Deed::Get, Deed::Find) => tuning.other_read,
                    (_, Deed::Remove) => tuning.unasked,
                    (Deed::Find | Deed::Get, _) | (_, Deed::Find | Deed::Get) => tuning.unintended,
                    _ => tuning.other_write,
                };
            }
        }
    }
}

/// How a goal names each index. Where no platform is named, one may be misspelt. Of several, the first that is said to be the place counts.
fn naming(indexes: &[&ActionIndex], words: &[Word], tuning: &Tuning) -> Vec<Named> {
    let exact: Vec<Named> = indexes.iter().map(|index| named_by(index, words, &|said, name| said == name, tuning)).collect();
    let is_full = |named: &Named| named.words != 0 && named.share >= 1.0;
    let mut found = exact;
    if !found.iter().any(is_full) {
        let close: Vec<Named> = indexes.iter().map(|index| named_by(index, words, &is_close, tuning)).collect();
        if close.iter().any(is_full) {
            found = close;
        }
    }
    let is_place = |named: &Named| words.iter().enumerate().any(|(nth, word)| named.words & bit(nth) != 0 && word.is_place);
    let places = found.iter().filter(|named| is_full(named) && is_place(named)).map(|named| named.words);
    if let Some(main) = places.min_by_key(|words| words.trailing_zeros()) {
        for named in &mut found {
            if named.words & main == 0 {
                named.share *= tuning.also_named;
            }
        }
    }
    found
}

fn named_by(index: &ActionIndex, words: &[Word], same: &dyn Fn(&str, &str) -> bool, tuning: &Tuning) -> Named {
    let mut best = Named::default();
    for name in &index.names {
        let said = words
            .iter()
            .enumerate()
            .filter(|(_, word)| word.terms.first().is_some_and(|(stem, _)| name.iter().any(|part| same(stem, part))));
        let said: Matched = said.fold(0, |bits, (nth, _)| bits | bit(nth));
        // A part of a name alone says little: `sheet`, `calendar`.
        let share = said.count_ones() as f32 / name.len().max(1) as f32;
        let share = if share < 1.0 { share * tuning.partly } else { share };
        if share > best.share {
            best = Named { words: said, share };
        }
    }
    best
}

fn is_about(index: &ActionIndex, word: &Word) -> bool {
    word.terms.first().is_some_and(|(stem, _)| index.about.binary_search(stem).is_ok())
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
            let said = words.iter().enumerate().filter(|(nth, _)| matched & bit(*nth) != 0);
            Some(Hit {
                connector: index.connector.to_string(),
                action: index.id(doc).to_owned(),
                score,
                matched: said.map(|(_, word)| word.typed.clone()).collect(),
            })
        })
        .collect()
    }
}
