//! A bounded cache in front of a query, correct under concurrent writes.
//!
//! A reader that loaded an old row must not put it back after a writer has invalidated it. Writers raise a generation with what they
//! invalidate, and a reader puts in what it loaded only where the generation is still that of its beginning; one lock keeps the two apart.

use std::{
    hash::Hash,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use quick_cache::{
    DefaultHashBuilder, OptionsBuilder, Weighter,
    sync::{Cache, DefaultLifecycle},
};

/// What an entry of a weighed cache is taken to weigh, in bytes, to prepare room for their number.
const USUAL: u64 = 1_024;

/// A bounded cache of rows.
pub struct Cached<K, V> {
    entries: Cache<K, Kept<V>, Weigh<K, V>>,
    life: Duration,
    generation: AtomicU64,
    /// Held by whoever puts entries in or takes them out, never by who finds them.
    writing: Mutex<()>,
}

/// A row as it was read, and when it must be read again.
#[derive(Clone)]
struct Kept<V> {
    value: V,
    until: Instant,
}

/// Without an estimate in bytes, each entry weighs one.
struct Weigh<K, V>(Option<Arc<Estimate<K, V>>>);

type Estimate<K, V> = dyn Fn(&K, &V) -> usize + Send + Sync;

impl<K, V> Clone for Weigh<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> Weighter<K, Kept<V>> for Weigh<K, V> {
    fn weight(&self, key: &K, kept: &Kept<V>) -> u64 {
        self.0.as_ref().map_or(1, |weigh| u64::try_from(weigh(key, &kept.value)).unwrap_or(u64::MAX))
    }
}

/// A cache of at most `capacity` bytes in one part, so that an entry may be as heavy as all of it.
#[expect(clippy::expect_used, reason = "every option that must be there is")]
pub fn one_part<K: Hash + Eq, V: Clone, W: Weighter<K, V> + Clone>(capacity: u64, weigher: W) -> Cache<K, V, W> {
    let usual = usize::try_from(capacity / USUAL).unwrap_or(usize::MAX);
    let mut options = OptionsBuilder::new();
    options.weight_capacity(capacity).estimated_items_capacity(usual).shards(1);
    let options = options.build().expect("both capacities are set");
    Cache::with_options(options, weigher, DefaultHashBuilder::default(), DefaultLifecycle::default())
}

impl<K: Hash + Eq + Clone, V: Clone> Cached<K, V> {
    /// At most `capacity` entries, each kept for `life` at most, so that a change made by another node is seen.
    pub fn new(capacity: u64, life: Duration) -> Self {
        let usual = usize::try_from(capacity).unwrap_or(usize::MAX);
        Self::over(Cache::with_weighter(usual, capacity, Weigh(None)), life)
    }

    /// At most `capacity` bytes by this estimate.
    pub fn weighed(capacity: u64, life: Duration, weigh: impl Fn(&K, &V) -> usize + Send + Sync + 'static) -> Self {
        Self::over(one_part(capacity, Weigh(Some(Arc::new(weigh)))), life)
    }

    fn over(entries: Cache<K, Kept<V>, Weigh<K, V>>, life: Duration) -> Self {
        Self { entries, life, generation: AtomicU64::new(0), writing: Mutex::default() }
    }

    /// The entry, or what `load` finds.
    pub async fn get_or_load<E>(&self, key: K, load: impl Future<Output = Result<V, E>>) -> Result<V, E> {
        let now = Instant::now();
        if let Some(kept) = self.entries.get(&key).filter(|kept| now < kept.until) {
            return Ok(kept.value);
        }
        let before = self.generation.load(Ordering::SeqCst);
        let value = load.await?;
        let kept = Kept { value: value.clone(), until: now + self.life };
        let _writing = self.writing.lock();
        if self.generation.load(Ordering::SeqCst) == before {
            self.entries.insert(key, kept);
        }
        Ok(value)
    }

    /// Forgets one entry. Call it after the write is committed.
    pub fn forget(&self, key: &K) {
        self.write(|| {
            self.entries.remove(key);
        });
    }

    /// Forgets everything. Call it after the write is committed.
    pub fn forget_all(&self) {
        self.write(|| self.entries.clear());
    }

    /// Gives back what has ended.
    pub fn sweep(&self) {
        let now = Instant::now();
        self.entries.retain(|_, kept| now < kept.until);
    }

    fn write(&self, invalidate: impl FnOnce()) {
        let _writing = self.writing.lock();
        invalidate();
        self.generation.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicBool, AtomicU64, Ordering},
        thread,
        time::Duration,
    };

    use futures_util::FutureExt as _;

    use super::Cached;

    /// Readers run while one writer writes and forgets: whatever a reader begins after `forget` has returned sees that write.
    #[test]
    fn nobody_sees_the_old_row_after_it_was_forgotten() {
        const WRITES: u64 = 200_000;
        let (cache, row, written, done) =
            (Cached::new(10, Duration::from_secs(60)), AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::SeqCst) {
                        let least = written.load(Ordering::SeqCst);
                        let load = async { Ok::<_, Infallible>(row.load(Ordering::SeqCst)) };
                        let seen = cache.get_or_load((), load).now_or_never().unwrap().unwrap();
                        assert!(seen >= least, "{seen} was read after {least} was written");
                    }
                });
            }
            for write in 1..=WRITES {
                row.store(write, Ordering::SeqCst);
                cache.forget(&());
                written.store(write, Ordering::SeqCst);
            }
            done.store(true, Ordering::SeqCst);
        });
    }
}
