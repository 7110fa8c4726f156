//! One connection to a platform: a request at a time, driven by whoever waits for its answer, and kept for the next of the same owner.
//!
//! No task stands beside a connection: what is sent and what comes back passes through the task of the call, which is woken once for it.
//! A connection that nobody uses is not watched either. Whoever takes it looks first whether it has ended or said anything since.

use std::{
    fmt,
    future::{Future as _, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use foldhash::HashMap;
use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{Builder, Connection, SendRequest},
    },
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::coop::unconstrained,
};

use super::{
    Payload,
    connect::{Stream, left},
};

/// The buffer of a connection: the head of an answer must fit in it (hyper may read once more before it looks, so twice
/// this size is the hard limit), and it is the largest piece of a body.
const MAX_HEAD: usize = 64 * 1024;

/// What may come before the head of an answer is complete: itself, and others that announce it (1xx).
const MAX_BEFORE: usize = 4 * MAX_HEAD;

/// An open connection.
pub(super) struct Link {
    sender: SendRequest<Payload>,
    /// None once it has ended.
    connection: Option<Connection<Stream, Payload>>,
    /// Bytes that may come until the next head is complete.
    left: Arc<AtomicUsize>,
    /// Where it is kept, once it is free again.
    home: Weak<Idle>,
    origin: Arc<str>,
    since: Instant,
}

impl Link {
    /// Over a stream that leads to this origin.
    pub(super) async fn open(stream: Stream, origin: Arc<str>, home: &Arc<Idle>) -> hyper::Result<Box<Self>> {
        let left = left(&stream);
        let (sender, connection) = Builder::new().max_buf_size(MAX_HEAD).handshake(stream).await?;
        let home = Arc::downgrade(home);
        Ok(Box::new(Self { sender, connection: Some(connection), left, home, origin, since: Instant::now() }))
    }

    /// Sends a request and returns when the head of its answer has come. The body comes while [`Self::drive`] is called.
    ///
    /// # Errors
    /// With the request, where the connection had ended before anything of it was sent.
    pub(super) async fn ask(&mut self, request: Request<Payload>) -> Result<Response<Incoming>, TrySendError<Request<Payload>>> {
        self.left.store(MAX_BEFORE, Ordering::Relaxed);
        let mut sending = pin!(self.sender.try_send_request(request));
        let answer = poll_fn(|context| {
            self.drive(context);
            sending.as_mut().poll(context)
        });
        let answer = answer.await;
        self.left.store(usize::MAX, Ordering::Relaxed);
        answer
    }

    /// Moves bytes, as far as that goes at the moment. What becomes of the connection shows in the answer.
    pub(super) fn drive(&mut self, context: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && Pin::new(connection).poll(context).is_ready()
        {
            self.connection = None;
        }
    }

    /// Never uses it again: the next bytes may still belong to this answer.
    pub(super) fn spoil(&mut self) {
        self.home = Weak::new();
    }

    /// Whether it can take a request now, after what has come since it was used last.
    fn is_free(&mut self) -> bool {
        // Of many links that are looked at in a row, a task's share of reads would let the last ones seem silent.
        let look = pin!(unconstrained(poll_fn(|context| {
            self.drive(context);
            Poll::Ready(())
        })));
        let _ = look.poll(&mut Context::from_waker(Waker::noop()));
        self.connection.is_some() && self.sender.is_ready()
    }

    /// Keeps it for the next request, if it can take one.
    pub(super) fn release(mut self: Box<Self>) {
        if let Some(home) = self.home.upgrade()
            && (self.sender.is_ready() || self.is_free())
        {
            home.put(self);
        }
    }
}

/// A connection that nobody uses at the moment, with its place among those of all owners.
type Kept = (Box<Link>, OwnedSemaphorePermit);

/// Those of one owner.
pub(super) struct Idle {
    links: Mutex<HashMap<Arc<str>, Vec<Kept>>>,
    most: usize,
    most_of_owner: usize,
    all: Arc<Semaphore>,
    timeout: Duration,
}

impl Idle {
    /// Keeps so many for each origin, and so many together, while there is a place among all; for so long.
    pub(super) fn new(most: usize, most_of_owner: usize, all: Arc<Semaphore>, timeout: Duration) -> Self {
        Self { links: Mutex::default(), most, most_of_owner, all, timeout }
    }

    /// The connection to this origin that was used last, if one is still open.
    pub(super) fn take(&self, origin: &str) -> Option<Box<Link>> {
        loop {
            let (mut link, _) = self.links.lock().unwrap_or_else(PoisonError::into_inner).get_mut(origin)?.pop()?;
            if link.since.elapsed() < self.timeout && link.is_free() {
                return Some(link);
            }
        }
    }

    fn put(&self, mut link: Box<Link>) {
        if self.most == 0 {
            return;
        }
        let Ok(place) = self.all.clone().try_acquire_owned() else { return };
        link.since = Instant::now();
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if links.values().map(Vec::len).sum::<usize>() >= self.most_of_owner {
            return;
        }
        let same = match links.get_mut(&link.origin) {
            Some(same) => same,
            None => links.entry(link.origin.clone()).or_default(),
        };
        if same.len() < self.most {
            same.push((link, place));
        }
    }

    /// Closes what was not used for long, or has ended.
    pub(super) fn sweep(&self) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|_, same| {
            same.retain_mut(|(link, _)| link.since.elapsed() < self.timeout && link.is_free());
            !same.is_empty()
        });
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}
