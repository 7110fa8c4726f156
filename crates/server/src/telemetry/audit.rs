//! Takes audit entries from calls and writes them in batches. Those that wait are bounded: when they are too many, the call waits.

use std::{
    borrow::Cow,
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use amalgam_vault::hex;
use tokio::{
    sync::{Notify, oneshot},
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
const MOST: usize = 4 * 1024 * 1024;
/// For so long they are gathered: one transaction for many calls instead of one for each.
const REST: Duration = Duration::from_millis(20);

/// Where calls leave their entries. Cheap to clone.
#[derive(Clone)]
pub struct AuditLog(Arc<Queue>);

struct Queue {
    waiting: Mutex<Waiting>,
    /// There is something to write, or somebody to tell that all is written.
    arrived: Notify,
    /// What waited is being written, so that there is room again.
    taken: Notify,
    /// Somebody waits for what is still gathered.
    hurry: Notify,
}

/// What is to be written next.
#[derive(Default)]
struct Waiting {
    batches: Vec<Batch>,
    /// Which of them each account goes on with.
    last: HashMap<Arc<str>, usize>,
    bytes: usize,
    numbers: Numbers,
    flushed: Vec<oneshot::Sender<()>>,
}

impl AuditLog {
    /// Starts the writer.
    pub fn start(store: Arc<Store>) -> Self {
        let waiting = Waiting { numbers: Numbers { node: hex(&random::<4>()), next: 0, last: 0 }, ..Waiting::default() };
        let queue = Queue { waiting: Mutex::new(waiting), arrived: Notify::new(), taken: Notify::new(), hurry: Notify::new() };
        let log = Self(Arc::new(queue));
        tokio::spawn(run(log.clone(), store));
        log
    }

    /// Leaves an entry; waits when there are too many. Its id is given here.
    pub async fn record(&self, entry: &Entry) {
        let behind_id = entry.behind_id();
        loop {
            // Before it is tried, so that no room is missed.
            let room = self.0.taken.notified();
            if self.leave(entry, &behind_id) {
                return;
            }
            room.await;
        }
    }

    /// Leaves an entry, if there is room.
    fn leave(&self, entry: &Entry, behind_id: &[u8]) -> bool {
        let mut waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.bytes >= MOST {
            return false;
        }
        let Waiting { batches, last, bytes, numbers, .. } = &mut *waiting;
        let id = numbers.id_of(entry);
        let place = match last.get(&entry.account_id) {
            Some(place) if batches.get(*place).is_some_and(Batch::has_room) => *place,
            _ => {
                last.insert(entry.account_id.clone(), batches.len());
                batches.push(Batch::new(entry, id.clone()));
                batches.len() - 1
            }
        };
        if let Some(batch) = batches.get_mut(place) {
            batch.push(entry, &id, behind_id);
        }
        let is_first = *bytes == 0;
        *bytes += id.len() + behind_id.len();
        drop(waiting);
        if is_first {
            self.0.arrived.notify_one();
        }
        true
    }

    /// Returns when everything left so far is in the database.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).flushed.push(done);
        self.0.arrived.notify_one();
        self.0.hurry.notify_one();
        let _ = written.await;
    }
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
            if self.audit.leave(&entry, &entry.behind_id()) {
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
#[derive(Default)]
struct Numbers {
    node: String,
    next: u64,
    /// The time in the last id, in milliseconds.
    last: i64,
}

impl Numbers {
    /// A clock that was set back by more than this begins anew, in milliseconds.
    const SET_BACK: i64 = 60_000;

    fn id_of(&mut self, entry: &Entry) -> String {
        // The time when it was recorded, without asking the clock again. Of two that come at once the earlier may be queued behind the other.
        let recorded_at = entry.at.saturating_add(entry.duration_us / 1_000);
        if !(recorded_at..recorded_at.saturating_add(Self::SET_BACK)).contains(&self.last) {
            self.last = recorded_at;
        }
        let mut id = id_from(self.last);
        id.push('-');
        id.push_str(&self.node);
        id.push('-');
        push_digits(&mut id, self.next, 8);
        self.next += 1;
        id
    }
}

async fn run(log: AuditLog, store: Arc<Store>) {
    loop {
        log.0.arrived.notified().await;
        tokio::select! {
            () = tokio::time::sleep(REST) => {}
            () = log.0.hurry.notified() => {}
        }
        let (batches, flushed) = {
            let mut waiting = log.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.last.clear();
            waiting.bytes = 0;
            (mem::take(&mut waiting.batches), mem::take(&mut waiting.flushed))
        };
        log.0.taken.notify_waiters();
        if !batches.is_empty() {
            write(&store, &batches).await;
        }
        for done in flushed {
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
    tracing::error!(batches = batches.len(), at = now_ms(), "gave up writing audit entries");
}
