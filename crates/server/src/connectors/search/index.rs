//! The index of one connector's actions: immutable, in memory, built once.

use std::collections::HashMap;

use amalgam_connector::{
    Connector,
    definition::{Action, Definition, Effect, Method},
};

use super::{
    synonyms::{self, Deed},
    tuning::{TUNING, Tuning},
    words::{self, Analyzer},
};

/// Texts are cut here, so that an imported document cannot make one action as expensive as a thousand. In bytes.
const LONGEST_TEXT: usize = 2_000;
/// Parameters of an action that are searched.
const MOST_PARAMS: usize = 64;
/// How much of a parameter's name and description, and of a connector's name, is read. In bytes.
const LONGEST_SHORT: usize = 200;
/// Documents are numbered with 16 bits; a connector has at most 20,000 actions.
const MOST_ACTIONS: usize = 1 << 16;
/// The units of the two weights in a posting.
const TITLE_UNIT: f32 = 0.1;
const TEXT_UNIT: f32 = 0.02;

/// The actions of one connector, searchable with [`super::search`].
pub struct ActionIndex {
    /// The connector's id.
    pub(super) connector: Box<str>,
    /// The stems of its id and of its name: either, said in full, names the connector.
    pub(super) names: [Box<[String]>; 2],
    /// Stems of its categories and description, sorted.
    pub(super) about: Box<[String]>,
    /// By document, sorted by id so that the order of documents is the order of ids.
    pub(super) actions: Box<[Entry]>,
    /// Their ids, one after the other.
    ids: Box<str>,
    /// Hashes of the folded ids with their documents, sorted.
    exact: Box<[(u32, u16)]>,
    /// The terms, sorted, one after the other, and where each ends.
    terms: Box<str>,
    ends: Box<[u32]>,
    /// Where a term is, by its hash: its place plus one, 0 where none is. A power of two, and a third empty at least.
    slots: Box<[u32]>,
    /// By term: where its postings end. They are one list for all terms.
    postings_end: Box<[u32]>,
    postings: Box<[Posting]>,
}

/// What is known of an action beside its words.
pub(super) struct Entry {
    /// Where its id ends in the ids of all.
    id_end: u32,
    pub deed: Deed,
    /// Stems of its name without the verb.
    pub nouns: u8,
    /// How far back in its connector's list it is, 0 to 255.
    pub rank: u8,
    /// Arguments that must be given.
    pub required: u8,
}

/// A term in an action: its document, whether it is in the name, its weight in what names the action, and in the texts about it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Posting(u32);

impl Posting {
    fn new(doc: u32, found: &Found) -> Self {
        let units = |weight: f32, unit: f32, most: u32| ((weight / unit).round() as u32).clamp(u32::from(weight > 0.0), most);
        Self(doc << 16 | u32::from(found.is_noun) << 15 | units(found.title, TITLE_UNIT, 127) << 8 | units(found.text, TEXT_UNIT, 255))
    }

    pub fn doc(self) -> usize {
        (self.0 >> 16) as usize
    }

    /// Whether the term is in the action's name, and is not its verb.
    pub fn is_noun(self) -> bool {
        self.0 & 1 << 15 != 0
    }

    /// The weight in id, name, resource and keywords.
    pub fn title(self) -> f32 {
        (self.0 >> 8 & 127) as f32 * TITLE_UNIT
    }

    /// The weight in descriptions and parameters.
    pub fn text(self) -> f32 {
        (self.0 & 255) as f32 * TEXT_UNIT
    }
}

/// What one action has of one term, while it is indexed.
#[derive(Default, Clone, Copy)]
struct Found {
    title: f32,
    text: f32,
    is_noun: bool,
}

/// A part of an action that is searched.
struct Field<'a> {
    words: Vec<&'a str>,
    /// What an occurrence weighs in a field of common length.
    boost: f32,
    /// How long the field commonly is, and how much its length counts against it.
    common: f32,
    length: f32,
    is_title: bool,
}

/// Terms by what is read, while a connector is indexed: most words come again and again.
struct Interner {
    analyzer: Analyzer,
    by_word: HashMap<Box<str>, Option<u32>>,
    by_stem: HashMap<Box<str>, u32>,
}

impl Interner {
    fn term(&mut self, word: &str) -> Option<u32> {
        if let Some(known) = self.by_word.get(word) {
            return *known;
        }
        let term = self.analyzer.stem(word).map(|stem| {
            let next = self.by_stem.len() as u32;
            *self.by_stem.entry(stem.into()).or_insert(next)
        });
        self.by_word.insert(word.into(), term);
        term
    }
}

impl ActionIndex {
    /// Of a definition.
    pub fn build(definition: &Definition) -> Self {
        let actions = definition.actions.iter().map(|(id, action)| (id.as_str(), action));
        Self::build_with(definition, actions, &TUNING)
    }

    /// Of a compiled connector.
    pub fn compiled(connector: &Connector) -> Self {
        Self::build(&connector.to_definition())
    }

    /// Of the actions, in the order of their author, of a connector that is otherwise defined like this.
    pub(super) fn build_with<'a>(definition: &Definition, actions: impl Iterator<Item = (&'a str, &'a Action)>, tuning: &Tuning) -> Self {
        let mut actions: Vec<(usize, &str, &Action)> =
            actions.take(MOST_ACTIONS).enumerate().map(|(at, (id, action))| (at, id, action)).collect();
        actions.sort_unstable_by_key(|(_, id, _)| *id);
        let count = actions.len().max(1);
        let mut interner = Interner { analyzer: Analyzer::new(), by_word: HashMap::new(), by_stem: HashMap::new() };
        let mut all: Vec<(u32, Posting)> = Vec::new();
        let mut entries = Vec::with_capacity(actions.len());
        let mut exact = Vec::with_capacity(actions.len());
        let mut ids = String::new();
        let mut found: HashMap<u32, Found> = HashMap::new();
        let synonyms: Vec<(Vec<String>, &str)> =
            definition.synonyms.iter().map(|(noun, words)| (interner.analyzer.stems(noun), cut(words, LONGEST_SHORT))).collect();
        for (doc, (at, id, action)) in actions.iter().enumerate() {
            found.clear();
            let own = Own::of(&interner.analyzer, action, &synonyms);
            for field in fields(id, action, &own, tuning) {
                field.count(&mut interner, &mut found);
            }
            let nouns = own.mark(&mut interner, &mut found);
            ids.push_str(id);
            all.extend(found.iter().map(|(term, found)| (*term, Posting::new(doc as u32, found))));
            entries.push(Entry {
                id_end: ids.len() as u32,
                deed: deed(&interner.analyzer, id, action, own.verb.as_deref()),
                nouns,
                rank: (at * 255 / count) as u8,
                required: action.params.values().filter(|parameter| parameter.must_be_given()).count().min(255) as u8,
            });
            exact.push((hash(&words::folded(id)), doc as u16));
        }
        exact.sort_unstable();
        let analyzer = &interner.analyzer;
        let mut about = analyzer.stems(cut(&definition.categories.join(" "), LONGEST_TEXT));
        about.extend(analyzer.stems(cut(&definition.description, LONGEST_TEXT)));
        about.sort_unstable();
        about.dedup();
        let names = [name_of(analyzer, cut(&definition.id, LONGEST_SHORT)), name_of(analyzer, cut(&definition.name, LONGEST_SHORT))];
        let mut index = Self {
            connector: definition.id.as_str().into(),
            names,
            about: about.into(),
            actions: entries.into(),
            ids: ids.into(),
            exact: exact.into(),
            terms: Box::default(),
            ends: Box::default(),
            slots: Box::default(),
            postings_end: Box::default(),
            postings: Box::default(),
        };
        drop(found);
        drop(interner.by_word);
        index.pack(interner.by_stem, all);
        index
    }

    /// Puts terms and postings into their final order and place.
    fn pack(&mut self, by_stem: HashMap<Box<str>, u32>, mut all: Vec<(u32, Posting)>) {
        let mut stems: Vec<(Box<str>, u32)> = by_stem.into_iter().collect();
        stems.sort_unstable();
        let mut order = vec![0; stems.len()];
        let mut terms = String::with_capacity(stems.iter().map(|(stem, _)| stem.len()).sum());
        let mut ends = Vec::with_capacity(stems.len());
        for (place, (stem, term)) in stems.iter().enumerate() {
            terms.push_str(stem);
            ends.push(terms.len() as u32);
            if let Some(at) = order.get_mut(*term as usize) {
                *at = place as u32;
            }
        }
        for (term, _) in &mut all {
            *term = order.get(*term as usize).copied().unwrap_or_default();
        }
        all.sort_unstable();
        let count = |place: usize| all.partition_point(|(term, _)| *term as usize <= place) as u32;
        self.postings_end = (0..stems.len()).map(count).collect();
        self.terms = terms.into();
        self.ends = ends.into();
        self.postings = all.into_iter().map(|(_, posting)| posting).collect();
        let mut slots = vec![0; (stems.len() * 3 / 2 + 1).next_power_of_two()];
        for (place, (stem, _)) in stems.iter().enumerate() {
            let mut at = hash(stem) as usize;
            while slots.get(at & (slots.len() - 1)).is_some_and(|taken| *taken != 0) {
                at += 1;
            }
            let mask = slots.len() - 1;
            if let Some(slot) = slots.get_mut(at & mask) {
                *slot = place as u32 + 1;
            }
        }
        self.slots = slots.into();
    }

    /// The id of a document's action.
    pub(super) fn id(&self, doc: usize) -> &str {
        let end = |doc: usize| self.actions.get(doc).map(|entry| entry.id_end as usize);
        let start = doc.checked_sub(1).and_then(end).unwrap_or_default();
        end(doc).and_then(|end| self.ids.get(start..end)).unwrap_or_default()
    }

    /// The postings of a term with this [`hash`], by document.
    pub(super) fn postings(&self, term: &str, hash: u32) -> &[Posting] {
        let Some(place) = self.place(term, hash) else { return &[] };
        let start = place.checked_sub(1).and_then(|before| self.postings_end.get(before)).copied().unwrap_or_default() as usize;
        let end = self.postings_end.get(place).copied().unwrap_or_default() as usize;
        self.postings.get(start..end).unwrap_or_default()
    }

    /// True for a stem that stands somewhere in an action.
    pub(super) fn knows(&self, stem: &str, hash: u32) -> bool {
        self.place(stem, hash).is_some()
    }

    /// The terms that begin with this letter.
    pub(super) fn terms_from(&self, letter: &str) -> impl Iterator<Item = &str> {
        let start = self.partition(|term| term < letter);
        (start..self.ends.len()).map(|at| self.term(at)).take_while(move |term| term.starts_with(letter))
    }

    /// The documents of actions whose folded id is this.
    pub(super) fn exact(&self, folded: &str) -> impl Iterator<Item = usize> {
        let wanted = hash(folded);
        let first = self.exact.partition_point(|(hash, _)| *hash < wanted);
        let same = self.exact.get(first..).unwrap_or_default().iter().take_while(move |(hash, _)| *hash == wanted);
        same.map(|(_, doc)| usize::from(*doc)).filter(move |doc| words::folded(self.id(*doc)) == folded)
    }

    /// The bytes that it keeps.
    #[cfg(test)]
    pub fn size(&self) -> usize {
        let about: usize = self.about.iter().map(|stem| stem.len() + size_of::<String>()).sum();
        let lists = size_of_val(&*self.exact)
            + size_of_val(&*self.ends)
            + size_of_val(&*self.slots)
            + size_of_val(&*self.postings_end)
            + size_of_val(&*self.postings);
        size_of::<Self>() + self.ids.len() + about + self.terms.len() + lists + size_of_val(&*self.actions)
    }

    fn term(&self, place: usize) -> &str {
        let start = place.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default() as usize;
        let end = self.ends.get(place).copied().unwrap_or_default() as usize;
        self.terms.get(start..end).unwrap_or_default()
    }

    fn partition(&self, is_before: impl Fn(&str) -> bool) -> usize {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low.midpoint(high);
            if is_before(self.term(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn place(&self, term: &str, hash: u32) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        (0..self.slots.len())
            .map_while(|step| self.slots.get((hash as usize + step) & mask)?.checked_sub(1))
            .map(|place| place as usize)
            .find(|place| self.term(*place) == term)
    }
}

impl Field<'_> {
    /// Adds the weights of its words: BM25's frequency, less for a longer field.
    fn count(&self, interner: &mut Interner, found: &mut HashMap<u32, Found>) {
        let terms: Vec<u32> = self.words.iter().filter_map(|word| interner.term(word)).collect();
        let weight = self.boost / (1.0 - self.length + self.length * terms.len() as f32 / self.common);
        for term in terms {
            let found = found.entry(term).or_default();
            if self.is_title {
                found.title += weight;
            } else {
                found.text += weight;
            }
        }
    }
}

/// What of an action is searched.
fn fields<'a>(id: &'a str, action: &'a Action, own: &Own<'a>, tuning: &Tuning) -> [Field<'a>; 7] {
    let field = |text: &'a str, is_title, (boost, length, common): (f32, f32, f32)| Field {
        words: words::pieces(cut(text, LONGEST_TEXT)).collect(),
        boost,
        common,
        length,
        is_title,
    };
    let mut params = field("", false, tuning.params);
    for (name, param) in action.params.iter().take(MOST_PARAMS) {
        params.words.extend(words::pieces(cut(name, LONGEST_SHORT)));
        params.words.extend(words::pieces(cut(&param.description, LONGEST_SHORT)));
    }
    let mut synonyms = field("", true, tuning.synonyms);
    synonyms.words.clone_from(&own.synonyms);
    [
        synonyms,
        field(id, true, tuning.id),
        field(&action.name, true, tuning.name),
        field(&action.resource, true, tuning.resource),
        field(&action.keywords, true, tuning.keywords),
        field(&action.description, false, tuning.description),
        params,
    ]
}

/// What the name of an action says.
struct Own<'a> {
    /// Its first word, if that is a verb.
    verb: Option<String>,
    /// Its other stems.
    nouns: Vec<String>,
    /// What people call them.
    synonyms: Vec<&'a str>,
}

impl<'a> Own<'a> {
    fn of(analyzer: &Analyzer, action: &Action, synonyms: &[(Vec<String>, &'a str)]) -> Self {
        let mut nouns = analyzer.stems(cut(&action.name, LONGEST_TEXT));
        let verb = nouns.first().filter(|stem| synonyms::deed_of(stem, true).is_some()).cloned();
        nouns.retain(|stem| Some(stem) != verb.as_ref());
        nouns.sort_unstable();
        nouns.dedup();
        let meant = synonyms.iter().filter(|(noun, _)| !noun.is_empty() && noun.iter().all(|stem| nouns.contains(stem)));
        let synonyms = meant.flat_map(|(_, words)| words::pieces(words)).collect();
        Self { verb, nouns, synonyms }
    }

    /// Marks what is found of its nouns and their synonyms; returns how many nouns there are.
    fn mark(&self, interner: &mut Interner, found: &mut HashMap<u32, Found>) -> u8 {
        let nouns: Vec<u32> = self.nouns.iter().filter_map(|noun| interner.by_stem.get(noun.as_str()).copied()).collect();
        let synonyms = self.synonyms.iter().filter_map(|word| interner.term(word));
        for term in nouns.into_iter().chain(synonyms) {
            if let Some(found) = found.get_mut(&term) {
                found.is_noun = true;
            }
        }
        self.nouns.len().min(255) as u8
    }
}

/// What an action does. Where nobody declared it, its name and id know better than POST: `contacts_search` reads.
fn deed(analyzer: &Analyzer, id: &str, action: &Action, verb: Option<&str>) -> Deed {
    let by_id = || {
        let mut deeds = analyzer.stems(cut(id, LONGEST_SHORT)).into_iter().filter_map(|stem| synonyms::deed_of(&stem, true));
        let first = deeds.next()?;
        deeds.all(|deed| deed == first).then_some(first)
    };
    let told = verb.and_then(|verb| synonyms::deed_of(verb, true)).or_else(by_id);
    let reads = |deed: &Deed| matches!(deed, Deed::Find | Deed::Get);
    match action.effect() {
        Effect::Read => told.filter(reads).unwrap_or(Deed::Get),
        Effect::Destructive => Deed::Remove,
        Effect::Write => {
            let is_change = matches!(action.method, Method::Put | Method::Patch);
            let told = told.filter(|deed| action.effect.is_none() || !reads(deed));
            told.unwrap_or(if is_change { Deed::Change } else { Deed::Create })
        }
    }
}

/// The first `most` bytes, less what would break a character.
fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}

/// FNV-1a.
pub(super) fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// The stems that name a connector. `HubSpot` is one; in `Monday.com` only the first counts.
fn name_of(analyzer: &Analyzer, text: &str) -> Box<[String]> {
    let runs: Vec<&str> = words::runs(text).filter_map(|run| text.get(run)).collect();
    let told: Vec<&str> =
        runs.iter().copied().filter(|run| !["com", "io", "app", "api"].contains(&run.to_ascii_lowercase().as_str())).collect();
    let chosen = if told.is_empty() { runs } else { told };
    let mut name: Vec<String> = chosen.iter().filter_map(|run| analyzer.stem(run)).collect();
    name.sort_unstable();
    name.dedup();
    name.into()
}
