//! Takes audit entries from calls and writes them in batches. Those that wait are bounded: when they are too many, the call waits.

use std::{
    borrow::Cow,
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use amalgam_vault::hex;
use tokio::{
    sync::{Notify, Semaphore, oneshot},
    time::Instant,
};

use crate::{
    clock::{now_ms, random},
    error::{Error, Kind},
    store::{
        Store,
        audit::{Batch, Entry, id_from, push_digits},
    },
};

/// Entries that wait to be written, together, in bytes.
const MAX_WAITING: usize = 4 * 1024 * 1024;
/// For so long they are gathered: one transaction for many calls instead of one for each.
const LINGER: Duration = Duration::from_millis(20);
/// Batches of one transaction: so many are lost where the database does not answer for long.
const BATCHES: usize = 4;

/// Where calls leave their entries. Cheap to clone.
#[derive(Clone)]
pub struct AuditLog(Arc<Queue>);

struct Queue {
    waiting: Mutex<Waiting>,
    /// What may still be left, in bytes; who finds no room gets some in turn.
    room: Semaphore,
    /// There is something to write, or somebody to tell that all is written.
    arrived: Notify,
    /// Somebody waits for what is still gathered.
    hurry: Notify,
}

/// What is to be written next.
#[derive(Default)]
struct Waiting {
    /// Of each account, the batch that it goes on with.
    open: HashMap<Arc<str>, Batch>,
    full: Vec<Batch>,
    bytes: usize,
    ids: Ids,
    flushes: Vec<oneshot::Sender<()>>,
}

impl AuditLog {
    /// Starts the writer.
    pub fn start(store: Arc<Store>) -> Self {
        let room = Semaphore::new(MAX_WAITING);
        let log = Self(Arc::new(Queue { waiting: Mutex::default(), room, arrived: Notify::new(), hurry: Notify::new() }));
        tokio::spawn(run(log.clone(), store));
        log
    }

    /// Leaves an entry; waits when there are too many. Its id is given here.
    pub async fn record(&self, entry: &Entry) {
        let json = entry.json_after_id();
        if !self.try_record(entry, &json) {
            let Ok(room) = self.0.room.acquire_many(weight(&json)).await else { return };
            room.forget();
            self.put(entry, &json);
        }
    }

    /// Leaves an entry, if there is room.
    fn try_record(&self, entry: &Entry, json: &[u8]) -> bool {
        let Ok(room) = self.0.room.try_acquire_many(weight(json)) else { return false };
        room.forget();
        self.put(entry, json);
        true
    }

    /// Puts an entry where it has room.
    fn put(&self, entry: &Entry, json: &[u8]) {
        let mut waiting = self.waiting();
        let Waiting { open, full, bytes, ids, .. } = &mut *waiting;
        let id = ids.next(entry);
        let batch = match open.get_mut(&entry.account_id) {
            Some(batch) => batch,
            None => open.entry(entry.account_id.clone()).or_insert_with(|| Batch::new(entry, id.clone())),
        };
        if !batch.has_room() {
            full.push(mem::replace(batch, Batch::new(entry, id.clone())));
        }
        batch.push(entry, &id, json);
        let is_first = *bytes == 0;
        *bytes += weight(json) as usize;
        drop(waiting);
        if is_first {
            self.0.arrived.notify_one();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // A panic while holding this lock cannot leave it half-written; go on with it.
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when everything left so far is in the database.
    pub async fn flush(&self) {
        // In turn behind those who wait for room.
        self.0.hurry.notify_one();
        drop(self.0.room.acquire().await);
        let (done, written) = oneshot::channel();
        self.waiting().flushes.push(done);
        self.0.arrived.notify_one();
        self.0.hurry.notify_one();
        let _ = written.await;
    }
}

/// What an entry with this JSON takes of the room.
fn weight(json: &[u8]) -> u32 {
    // With its id.
    u32::try_from((json.len() + 48).min(MAX_WAITING)).unwrap_or(u32::MAX)
}

/// Leaves the entry of a call, whatever comes of it; where the caller goes away before its end, with the status that it began with: what
/// was sent may have been done.
pub struct Trail {
    audit: AuditLog,
    entry: Option<Entry>,
    started: Instant,
}

impl Trail {
    /// Of a call that has only begun.
    pub fn new(audit: AuditLog, entry: Entry) -> Self {
        Self { audit, entry: Some(entry), started: Instant::now() }
    }

    /// The call has come to its end.
    pub async fn end(&mut self, decision: &'static str, status: i64) {
        let micros = self.micros();
        if let Some(entry) = &mut self.entry {
            entry.decision = Cow::Borrowed(decision);
            entry.status = status;
            entry.duration_us = micros;
            self.audit.record(entry).await;
            self.entry = None;
        }
    }

    /// The call has failed: with the platform's own status, where it said one.
    pub async fn fail(&mut self, error: &Error) {
        let decision = if error.kind == Kind::Forbidden { "denied" } else { "allowed" };
        let platform = error.details.as_ref().and_then(|details| details["status"].as_i64());
        self.end(decision, platform.unwrap_or(i64::from(error.kind.status().as_u16()))).await;
    }

    fn micros(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX)
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        if let Some(mut entry) = self.entry.take() {
            if std::thread::panicking() {
                entry.status = 500;
            }
            // A call that has come to its end only waits for room.
            if entry.duration_us == 0 {
                entry.duration_us = self.micros();
            }
            if self.audit.try_record(&entry, &entry.json_after_id()) {
                return;
            }
            let audit = self.audit.clone();
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { audit.record(&entry).await });
            }
        }
    }
}

/// Gives entries their ids, in the order in which they are left: in that order they are read again.
struct Ids {
    node: String,
    count: u64,
    /// The time in the last id, in milliseconds.
    last: i64,
}

impl Default for Ids {
    fn default() -> Self {
        Self { node: hex(&random::<4>()), count: 0, last: 0 }
    }
}

impl Ids {
    /// A clock that was set back by more than this begins anew, in milliseconds.
    const SET_BACK: i64 = 60_000;

    fn next(&mut self, entry: &Entry) -> String {
        // The time when it was recorded, without asking the clock again. Of two that come at once the earlier may be queued behind the other.
        let recorded_at = entry.at.saturating_add(entry.duration_us / 1_000);
        if !(recorded_at..recorded_at.saturating_add(Self::SET_BACK)).contains(&self.last) {
            self.last = recorded_at;
        }
        let mut id = id_from(self.last);
        id.push('-');
        id.push_str(&self.node);
        id.push('-');
        push_digits(&mut id, self.count, 8);
        self.count += 1;
        id
    }
}

async fn run(log: AuditLog, store: Arc<Store>) {
    loop {
        log.0.arrived.notified().await;
        tokio::select! {
            () = tokio::time::sleep(LINGER) => {}
            () = log.0.hurry.notified() => {}
        }
        let (mut batches, open, bytes, flushes) = {
            let mut waiting = log.waiting();
            let Waiting { open, full, bytes, flushes, .. } = &mut *waiting;
            (mem::take(full), mem::take(open), mem::take(bytes), mem::take(flushes))
        };
        log.0.room.add_permits(bytes);
        batches.extend(open.into_values());
        for part in batches.chunks(BATCHES) {
            write(&store, part).await;
        }
        for done in flushes {
            let _ = done.send(());
        }
    }
}

/// Tries until the database answers; meanwhile the queue fills and calls wait.
async fn write(store: &Store, batches: &[Batch]) {
    let mut pause = Duration::from_millis(50);
    for _ in 0..20 {
        match store.write_audit(batches).await {
            Ok(refused) => {
                for entry in refused {
                    let Entry { id, operation, request_id, .. } = entry;
                    tracing::error!(id, operation = operation.as_ref(), request_id, "the database refuses an audit entry; it is lost");
                }
                return;
            }
            Err(error) => tracing::warn!(cause = ?error.cause, "cannot write the audit trail, trying again"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
    tracing::error!(entries = batches.iter().map(Batch::count).sum::<i64>(), at = now_ms(), "gave up writing audit entries");
}
