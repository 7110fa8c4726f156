//! A bounded cache in front of a query, correct under concurrent writes.
//!
//! A reader that loaded an old row must not put it back after a writer has invalidated it. Writers raise a generation before they
//! invalidate; a reader that sees it changed takes its own entry out again.
//!
//! A call looks up the same few rows as the call before it. What was found last is kept near for a moment, where finding it again costs a
//! comparison instead of the bookkeeping of a cache. It holds while nothing was written, by the same generation.

use std::{
    hash::{BuildHasher as _, Hash},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use foldhash::fast::RandomState;
use moka::sync::Cache;

/// Places for what was found last; a key has one of them. A power of two.
const NEAR: usize = 64;
/// How long it is taken for true without a look into the cache.
const MOMENT: Duration = Duration::from_millis(250);

/// A bounded cache of rows.
pub struct Cached<K, V> {
    entries: Cache<K, V>,
    generation: AtomicU64,
    near: Box<[ArcSwapOption<Near<K, V>>]>,
    hasher: RandomState,
}

/// An entry as it was found at this time, in this generation.
struct Near<K, V> {
    key: K,
    value: V,
    generation: u64,
    until: Instant,
}

impl<K: Hash + Eq + Send + Sync + 'static, V: Clone + Send + Sync + 'static> Cached<K, V> {
    /// At most `capacity` entries, each kept for `life` at most, so that a change made by another node is seen.
    pub fn new(capacity: u64, life: Duration) -> Self {
        Self::over(Cache::builder().max_capacity(capacity).time_to_live(life).build())
    }

    /// At most `capacity` bytes by this estimate.
    pub fn weighed(capacity: u64, life: Duration, weigh: impl Fn(&K, &V) -> usize + Send + Sync + 'static) -> Self {
        let weigh = move |key: &K, value: &V| u32::try_from(weigh(key, value)).unwrap_or(u32::MAX);
        Self::over(Cache::builder().max_capacity(capacity).weigher(weigh).time_to_live(life).build())
    }

    fn over(entries: Cache<K, V>) -> Self {
        let near = (0..NEAR).map(|_| ArcSwapOption::empty()).collect();
        Self { entries, generation: AtomicU64::new(0), near, hasher: RandomState::default() }
    }

    /// The entry, or what `load` finds.
    pub async fn get_or_load<E>(&self, key: K, load: impl Future<Output = Result<V, E>>) -> Result<V, E>
    where
        K: Clone,
    {
        let before = self.generation.load(Ordering::SeqCst);
        if let Some(value) = self.find(&key, before) {
            return Ok(value);
        }
        let value = load.await?;
        self.entries.insert(key.clone(), value.clone());
        if self.generation.load(Ordering::SeqCst) != before {
            self.entries.invalidate(&key);
        }
        Ok(value)
    }

    /// The entry, if it is there, in this generation.
    fn find(&self, key: &K, generation: u64) -> Option<V>
    where
        K: Clone,
    {
        let now = Instant::now();
        let number = usize::try_from(self.hasher.hash_one(key) % NEAR as u64).unwrap_or_default();
        let place = self.near.get(number)?;
        if let Some(near) = place.load().as_ref()
            && near.generation == generation
            && near.key == *key
            && now < near.until
        {
            return Some(near.value.clone());
        }
        let value = self.entries.get(key)?;
        place.store(Some(Arc::new(Near { key: key.clone(), value: value.clone(), generation, until: now + MOMENT })));
        Some(value)
    }

    /// Forgets one entry. Call it after the write is committed.
    pub fn forget(&self, key: &K) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.entries.invalidate(key);
    }

    /// Gives back what has ended.
    pub fn sweep(&self) {
        self.entries.run_pending_tasks();
        let now = Instant::now();
        for place in &self.near {
            if place.load().as_ref().is_some_and(|near| near.until <= now) {
                place.store(None);
            }
        }
    }

    /// Forgets everything. Call it after the write is committed.
    pub fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.entries.invalidate_all();
    }
}
