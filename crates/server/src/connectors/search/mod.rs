//! Ranks actions for a goal in plain words: BM25 over what an action is called, described as and takes.
//!
//! Each connector has an index of its own (`index`). A search runs over a set of them with statistics summed over that very
//! set (`rank`): scores are comparable between connectors, and a connector outside of the set neither appears nor weighs.

mod goal;
mod index;
mod rank;
#[cfg(test)]
mod tests;
mod words;

pub use index::ActionIndex;
#[cfg(test)]
pub use rank::Hit;
pub use rank::search;
