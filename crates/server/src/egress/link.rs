//! One connection to a platform: a request at a time, driven by whoever waits for its answer, and kept for the next of the same owner.
//!
//! No task stands beside a connection: what is sent and what comes back passes through the task of the call, which is woken once for it.
//! A connection that nobody uses is not watched either. Whoever takes it looks first whether it has ended or said anything since.

use std::{
    collections::HashMap,
    fmt,
    future::Future as _,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError, Weak},
    task::{Context, Waker},
    time::{Duration, Instant},
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{Builder, Connection, SendRequest},
    },
};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Payload;

/// The buffer of a connection: the head of an answer must fit in it (hyper may read once more before it looks, so twice
/// this size is the hard limit), and it is the largest piece of a body.
const MAX_HEAD: usize = 64 * 1024;

/// What bytes pass through.
pub(super) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// An open connection.
pub(super) struct Link {
    sender: SendRequest<Payload>,
    /// None once it has ended.
    connection: Option<Connection<Stream, Payload>>,
    /// Where it is kept, once it is free again.
    home: Weak<Idle>,
    origin: Arc<str>,
    since: Instant,
}

impl Link {
    /// Over a stream that leads to this origin.
    pub(super) async fn open(stream: Stream, origin: Arc<str>, home: &Arc<Idle>) -> hyper::Result<Box<Self>> {
        let (sender, connection) = Builder::new().max_buf_size(MAX_HEAD).handshake(stream).await?;
        let home = Arc::downgrade(home);
        Ok(Box::new(Self { sender, connection: Some(connection), home, origin, since: Instant::now() }))
    }

    /// Sends a request and returns when the head of its answer has come. The body comes while [`Self::drive`] is called.
    ///
    /// # Errors
    /// With the request, where the connection had ended before anything of it was sent.
    pub(super) async fn ask(&mut self, request: Request<Payload>) -> Result<Response<Incoming>, TrySendError<Request<Payload>>> {
        let mut answer = pin!(self.sender.try_send_request(request));
        std::future::poll_fn(|context| {
            self.drive(context);
            answer.as_mut().poll(context)
        })
        .await
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
        self.drive(&mut Context::from_waker(Waker::noop()));
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

/// The connections of one owner that nobody uses at the moment.
pub(super) struct Idle {
    #[expect(clippy::vec_box, reason = "they come from calls and go to calls in their boxes")]
    links: Mutex<HashMap<Arc<str>, Vec<Box<Link>>>>,
    most: usize,
    timeout: Duration,
}

impl Idle {
    /// Keeps so many for each origin, for so long.
    pub(super) fn new(most: usize, timeout: Duration) -> Self {
        Self { links: Mutex::default(), most, timeout }
    }

    /// The connection to this origin that was used last, if one is still open.
    pub(super) fn take(&self, origin: &str) -> Option<Box<Link>> {
        loop {
            let mut link = self.links.lock().unwrap_or_else(PoisonError::into_inner).get_mut(origin)?.pop()?;
            if link.since.elapsed() < self.timeout && link.is_free() {
                return Some(link);
            }
        }
    }

    fn put(&self, mut link: Box<Link>) {
        link.since = Instant::now();
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let same = match links.get_mut(&link.origin) {
            Some(same) => same,
            None => links.entry(link.origin.clone()).or_default(),
        };
        if same.len() < self.most {
            same.push(link);
        }
    }

    /// Closes what was not used for long, or has ended.
    pub(super) fn sweep(&self) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|_, same| {
            same.retain_mut(|link| link.since.elapsed() < self.timeout && link.is_free());
            !same.is_empty()
        });
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}
