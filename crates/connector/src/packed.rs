//! A definition that was checked, in the form in which it is kept: each action is read at its first use.
//!
//! Most actions of a large document are never called. So only what lists say of them is read with the connector; the rest stays
//! compressed, one piece for each action, some 1 KB instead of 30 KB of values.

use std::io::{Read as _, Write as _};
use std::ops::Range;
use std::sync::Arc;

use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::definition::{Action, Definition};

/// The version of the form, and of the checks that what has it has passed: raise it with either, and all is packed again.
pub const VERSION: i64 = 1;

/// No definition that is imported is longer when it is read; a damaged one could claim to be. In bytes.
const LONGEST: u64 = 512 * 1024 * 1024;

/// What stands before the actions.
#[derive(Serialize, Deserialize)]
struct Head {
    about: Definition,
    actions: Vec<Entry>,
}

/// What is known of an action before it is read.
#[derive(Serialize, Deserialize)]
pub(crate) struct Entry {
    pub id: Arc<str>,
    /// Without what takes room: parameters, schemas, samples.
    pub summary: Action,
    length: usize,
}

/// An action and where in the bytes the whole of it is.
type Located = (Entry, Range<usize>);

/// Packs a definition.
pub(crate) fn pack(mut definition: Definition) -> Result<Vec<u8>, std::io::Error> {
    let actions = std::mem::take(&mut definition.actions);
    let mut entries = Vec::with_capacity(actions.len());
    let mut bodies = Vec::new();
    for (id, action) in actions {
        let body = deflate(&action)?;
        entries.push(Entry { id: id.into(), summary: summary(action), length: body.len() });
        bodies.extend_from_slice(&body);
    }
    let head = deflate(&Head { about: definition, actions: entries })?;
    let mut packed = Vec::with_capacity(8 + head.len() + bodies.len());
    packed.extend_from_slice(&(head.len() as u64).to_le_bytes());
    packed.extend_from_slice(&head);
    packed.extend_from_slice(&bodies);
    Ok(packed)
}

/// The definition without its actions, and for each action what is known of it and where in `packed` it is. Nothing where the bytes are damaged.
pub(crate) fn unpack(packed: &[u8]) -> Option<(Definition, Vec<Located>)> {
    let (length, rest) = packed.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let head: Head = inflate(rest.get(..length)?)?;
    let mut at = 8 + length;
    let actions = head.actions.into_iter().map(|entry| {
        let range = at..at.checked_add(entry.length)?;
        at = range.end;
        packed.get(range.clone()).map(|_| (entry, range))
    });
    Some((head.about, actions.collect::<Option<_>>()?))
}

/// The whole of an action.
pub(crate) fn action(bytes: &[u8]) -> Option<Action> {
    inflate(bytes)
}

fn summary(action: Action) -> Action {
    Action {
        graphql: None,
        params: indexmap::IndexMap::new(),
        failure: None,
        rate_limit: None,
        response: None,
        pagination: None,
        sample: None,
        differs: Vec::new(),
        ..action
    }
}

fn deflate(value: &impl Serialize) -> Result<Vec<u8>, std::io::Error> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&serde_json::to_vec(value)?)?;
    encoder.finish()
}

fn inflate<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let mut text = Vec::new();
    DeflateDecoder::new(bytes).take(LONGEST).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}
