//! What is not misspelt: the words of actions, of synonyms and of platforms; and what a misspelt word may be.

use super::{
    index::{ActionIndex, hash},
    synonyms,
};

/// Shorter words are not guessed at. In characters.
const SHORTEST: usize = 4;

/// The words of a set of indexes.
pub(super) struct Vocabulary<'a> {
    indexes: &'a [&'a ActionIndex],
}

impl<'a> Vocabulary<'a> {
    pub fn new(indexes: &'a [&'a ActionIndex]) -> Self {
        Self { indexes }
    }

    /// Whether a stem is a part of a platform's name.
    pub fn is_name(&self, stem: &str) -> bool {
        self.names().any(|name| name == stem)
    }

    /// Whether nothing speaks for a slip: the stem is a word of an action, of a platform or of a synonym, or close to a platform's name.
    pub fn knows(&self, stem: &str) -> bool {
        let hash = hash(stem);
        synonyms::knows(stem)
            || self.indexes.iter().any(|index| index.knows(stem, hash) || index.about.iter().any(|word| word == stem))
            || self.names().any(|name| name == stem || is_close(stem, name))
    }

    /// The words that differ from it by one slip.
    pub fn close(&self, stem: &str, most: usize) -> Vec<String> {
        // The stemmer keeps an end that the right word would have lost: `mrege`, but `merg`.
        let stem = stem.strip_suffix('e').unwrap_or(stem);
        let Some(letter) = stem.get(..1).filter(|_| stem.chars().count() + 1 > SHORTEST) else { return Vec::new() };
        let mut found: Vec<String> = synonyms::all().filter(|known| is_close(stem, known)).map(str::to_owned).collect();
        for index in self.indexes {
            let close = index.terms_from(letter).filter(|term| is_close(stem, term));
            found.extend(
                close.filter(|term| index.postings(term, hash(term)).iter().any(|posting| posting.title() > 0.0)).map(str::to_owned),
            );
        }
        found.sort_unstable();
        found.dedup();
        found.truncate(most);
        found
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.indexes.iter().flat_map(|index| index.names.iter()).flat_map(|name| name.iter()).map(String::as_str)
    }
}

/// Whether two words differ by one letter too many, too few or wrong, or by two that changed places; their first letters are the same.
pub(super) fn is_close(said: &str, name: &str) -> bool {
    if said.as_bytes().first() != name.as_bytes().first() || said.len().abs_diff(name.len()) > 4 {
        return false;
    }
    let (said, name): (Vec<char>, Vec<char>) = (said.chars().collect(), name.chars().collect());
    if said.len() < 3 || name.len() < 4 || said.len().abs_diff(name.len()) > 1 {
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
