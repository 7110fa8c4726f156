//! A bounded cache in front of a query, correct under concurrent writes.
//!
//! A reader that loaded an old row must not put it back after a writer has invalidated it. Writers raise a generation before they
//! invalidate; a reader that sees it changed takes its own entry out again.

use std::{
    borrow::Borrow,
    hash::Hash,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use moka::sync::Cache;

/// A bounded cache of rows.
pub struct Cached<K, V> {
    entries: Cache<K, V>,
    generation: AtomicU64,
}

impl<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Cached<K, V> {
    /// At most `capacity` entries, each kept for `life` at most, so that a change made by another node is seen.
    pub fn new(capacity: u64, life: Duration) -> Self {
        Self { entries: Cache::builder().max_capacity(capacity).time_to_live(life).build(), generation: AtomicU64::new(0) }
    }

    /// At most `capacity` bytes by this estimate.
    pub fn weighed(capacity: u64, life: Duration, weigh: impl Fn(&K, &V) -> usize + Send + Sync + 'static) -> Self {
        let weigh = move |key: &K, value: &V| u32::try_from(weigh(key, value)).unwrap_or(u32::MAX);
        Self { entries: Cache::builder().max_capacity(capacity).weigher(weigh).time_to_live(life).build(), generation: AtomicU64::new(0) }
    }

    /// The entry, if it is there.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.entries.get(key)
    }

    /// The entry, or what `load` finds.
    pub async fn get_or_load<E>(&self, key: K, load: impl Future<Output = Result<V, E>>) -> Result<V, E>
    where
        K: Clone,
    {
        if let Some(value) = self.entries.get(&key) {
            return Ok(value);
        }
        let before = self.generation.load(Ordering::SeqCst);
        let value = load.await?;
        self.entries.insert(key.clone(), value.clone());
        if self.generation.load(Ordering::SeqCst) != before {
            self.entries.invalidate(&key);
        }
        Ok(value)
    }

    /// Forgets one entry. Call it after the write is committed.
    pub fn forget(&self, key: &K) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.entries.invalidate(key);
    }

    /// Gives back what has ended.
    pub fn sweep(&self) {
        self.entries.run_pending_tasks();
    }

    /// Forgets everything. Call it after the write is committed.
    pub fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.entries.invalidate_all();
    }
}
