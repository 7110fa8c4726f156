//! Takes audit entries from calls and writes them in batches. The queue is bounded: when it is full, the call waits.

use std::{borrow::Cow, sync::Arc, time::Duration};

use amalgam_vault::hex;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use crate::{
    clock::{now_ms, random},
    error::{Error, Kind},
    store::{
        Store,
        audit::{Entry, id_from, push_digits},
    },
};

const QUEUE: usize = 8_192;
const BATCH: usize = 512;

enum Message {
    Entry(Box<Entry>),
    Flush(oneshot::Sender<()>),
}

/// Where calls leave their entries. Cheap to clone.
#[derive(Clone)]
pub struct AuditLog {
    queue: mpsc::Sender<Message>,
}

impl AuditLog {
    /// Starts the writer.
    pub fn start(store: Arc<Store>) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(write_batches(store, receiver));
        Self { queue }
    }

    /// Leaves an entry; waits when the queue is full. Its `id` is given by the writer.
    pub async fn record(&self, entry: Entry) {
        if self.queue.send(Message::Entry(Box::new(entry))).await.is_err() {
            tracing::error!("the audit writer has stopped; an entry was lost");
        }
    }

    /// Returns when everything left so far is in the database.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).await.is_ok() {
            let _ = written.await;
        }
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
        if let Some(mut entry) = self.entry.take() {
            entry.decision = Cow::Borrowed(decision);
            entry.status = status;
            entry.duration_us = self.micros();
            self.audit.record(entry).await;
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
            entry.duration_us = self.micros();
            let audit = self.audit.clone();
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { audit.record(entry).await });
            }
        }
    }
}

/// Gives entries their ids, in the order of the queue: in that order they are read again.
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

async fn write_batches(store: Arc<Store>, mut queue: mpsc::Receiver<Message>) {
    let mut messages = Vec::with_capacity(BATCH);
    let mut numbers = Numbers { node: hex(&random::<4>()), next: 0, last: 0 };
    while queue.recv_many(&mut messages, BATCH).await > 0 {
        let mut entries = Vec::with_capacity(messages.len());
        let mut waiting = Vec::new();
        for message in messages.drain(..) {
            match message {
                Message::Entry(mut entry) => {
                    entry.id = numbers.id_of(&entry);
                    entries.push(*entry);
                }
                Message::Flush(done) => waiting.push(done),
            }
        }
        if !entries.is_empty() {
            write(&store, &entries).await;
        }
        for done in waiting {
            let _ = done.send(());
        }
        if queue.len() < BATCH / 8 {
            // A short rest gathers entries: one transaction for many calls instead of one for each.
            tokio::select! {
                biased;
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
                () = queue_closed(&queue) => {}
            }
        }
    }
}

async fn queue_closed(queue: &mpsc::Receiver<Message>) {
    if !queue.is_closed() {
        std::future::pending::<()>().await;
    }
}

/// Tries until the database answers; meanwhile the queue fills and calls wait.
async fn write(store: &Store, entries: &[Entry]) {
    let mut pause = Duration::from_millis(50);
    for _ in 0..20 {
        match store.write_audit(entries).await {
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
    tracing::error!(entries = entries.len(), at = now_ms(), "gave up writing audit entries");
}
