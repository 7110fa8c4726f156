//! Answers of read actions, kept for a short time. A write of the same user to the same connector makes them unreachable.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use moka::sync::Cache;

use crate::{connectors::Loaded, store::Scope};

/// Answers larger than this are not kept, in bytes.
const MAX_ENTRY: usize = 256 * 1024;
/// All answers together, in bytes.
const MAX_TOTAL: u64 = 16 * 1024 * 1024;

/// What an answer is kept under: account, user, credential, connector, action, parameters, and the last write.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    scope: Scope,
    connector: u64,
    action: String,
    credential: Option<String>,
    arguments: Vec<u8>,
    epoch: u64,
}

/// A kept answer.
#[derive(Clone)]
pub struct Kept {
    /// The platform's status.
    pub status: u16,
    /// JSON text.
    pub body: Bytes,
    /// The platform's header `Link`, which names the next page.
    pub link: Option<String>,
}

/// The answers of this node.
pub struct ReadCache {
    answers: Cache<Key, Kept>,
    epochs: Cache<u64, u64>,
    next: AtomicU64,
    hasher: RandomState,
}

impl ReadCache {
    /// Keeps answers for this long.
    pub fn new(time_to_live: Duration) -> Self {
        let answers = Cache::builder()
            .max_capacity(MAX_TOTAL)
            .weigher(|key: &Key, kept: &Kept| {
                let kept = kept.body.len() + kept.link.as_ref().map_or(0, String::len);
                u32::try_from(256 + key.scope.user.len() + key.action.len() + key.arguments.len() + kept).unwrap_or(u32::MAX)
            })
            .time_to_live(time_to_live)
            .build();
        Self { answers, epochs: Cache::new(100_000), next: AtomicU64::new(0), hasher: RandomState::new() }
    }

    /// The key of a read that begins now: a write that ends after this moment makes its answer unreachable.
    pub fn key(&self, scope: &Scope, connector: &Loaded, action: &str, credential: Option<&str>, arguments: Vec<u8>) -> Key {
        let place = self.hasher.hash_one((scope, connector.id()));
        // An epoch that fell out of its cache comes back with a new number, never with an old one.
        let epoch = self.epochs.get_with(place, || self.next.fetch_add(1, Ordering::Relaxed));
        Key {
            scope: scope.clone(),
            connector: connector.version,
            action: action.to_owned(),
            credential: credential.map(str::to_owned),
            arguments,
            epoch,
        }
    }

    /// A kept answer.
    pub fn get(&self, key: &Key) -> Option<Kept> {
        self.answers.get(key)
    }

    /// Keeps an answer, unless it is large.
    pub fn put(&self, key: Key, answer: Kept) {
        if answer.body.len() <= MAX_ENTRY {
            // As it came, it may be a small part of a large buffer.
            let body = Bytes::copy_from_slice(&answer.body);
            self.answers.insert(key, Kept { body, ..answer });
        }
    }

    /// Forgets everything, because users are gone whose names others may get.
    pub fn forget_all(&self) {
        self.answers.invalidate_all();
    }

    /// Makes this user's answers of this connector unreachable.
    pub fn invalidate(&self, scope: &Scope, connector: &str) {
        let place = self.hasher.hash_one((scope, connector));
        self.epochs.insert(place, self.next.fetch_add(1, Ordering::Relaxed));
    }
}
