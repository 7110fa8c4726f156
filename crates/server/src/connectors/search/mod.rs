//! Ranks actions for a goal in plain words: BM25 over what an action is called, described as and takes.
//!
//! A goal is read for what it wants done, to what and where (`goal`), with synonyms and other languages (`synonyms`) and what a slip may
//! have been (`vocabulary`). Each connector has an index of its own (`index`). A search runs over a set of them with statistics summed
//! over that very set (`rank`): scores are comparable between connectors, and a connector outside of the set neither appears nor weighs.
//! So a connector that comes or goes changes nothing else.
//!
//! The index is our own: a posting holds what BM25F needs and no more, and a search engine would write segments, norms and dictionaries
//! of each connector for documents of twenty words. docs/performance.md has figures of both.

mod goal;
mod index;
mod rank;
mod synonyms;
#[cfg(test)]
mod tests;
mod tuning;
mod vocabulary;
mod words;

pub use goal::LONGEST_GOAL;
pub use index::ActionIndex;
pub use rank::{Hit, search};
