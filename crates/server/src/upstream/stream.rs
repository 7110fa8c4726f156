//! The stream of a legacy session: what an upstream tells and asks outside of calls, read once for all who listen.

use std::{
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ::http::{HeaderValue, Method, header::ACCEPT};
use amalgam_protocol::{Pieces, bridge, splice::quoted};
use tokio::{
    sync::{Mutex, broadcast, mpsc, oneshot, watch},
    time::Instant,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Client, Shared,
    http::{Ask, Body, Events},
    message::{Heard, read},
    session::Session,
    waiting::PATIENCE,
    watch::{News, news},
};
use crate::error::Result;

/// What one stream may bring, in bytes; then it is opened again, after a pause. One that never stops would keep a core busy.
pub const MAX_STREAM: usize = 256 * 1024 * 1024;
/// Messages that may wait for the one who listens.
const QUEUE: usize = 64;
/// Pauses before a stream that ended is opened again: the first and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// An answer has this long to be taken.
const SHORT: Duration = Duration::from_secs(10);
/// A stream on which nothing was said yet is opened again after this time.
const SILENCE: Duration = Duration::from_secs(10 * 60);
/// Whoever is about to ask something waits this long for the stream. Some upstreams say nothing at all, not even headers, before they
/// have something to tell.
const OPENING: Duration = Duration::from_millis(500);
/// The same within a call whose client waits already.
const SHORT_OPENING: Duration = Duration::from_millis(150);

/// A question outside of any call.
pub struct Asked {
    /// `elicitation/create`, `sampling/createMessage` or `roots/list`.
    pub method: String,
    /// JSON.
    pub params: String,
    /// For the JSON of the result, or of the error.
    pub answer: oneshot::Sender<Result<String, String>>,
}

/// How it is with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not open yet, or not at the moment.
    Closed,
    /// Read.
    Open,
    /// The upstream has none.
    Absent,
    /// The upstream no longer knows the session.
    Lost,
}

/// The stream of one session. It is opened when somebody needs it, and ends with the session; until then it takes no room.
#[derive(Default)]
pub struct Stream(OnceLock<Box<Open>>);

/// A stream that somebody needs.
struct Open {
    told: broadcast::Sender<News>,
    ask: mpsc::Sender<Asked>,
    asked: Mutex<mpsc::Receiver<Asked>>,
    state: watch::Sender<State>,
    is_read: AtomicBool,
    unused: CancellationToken,
    _guard: DropGuard,
}

impl Open {
    fn new() -> Self {
        let (ask, asked) = mpsc::channel(bridge::MAX_INPUTS);
        let unused = CancellationToken::new();
        let _guard = unused.clone().drop_guard();
        Self {
            told: broadcast::channel(QUEUE).0,
            ask,
            asked: Mutex::new(asked),
            state: watch::Sender::new(State::Closed),
            is_read: AtomicBool::new(false),
            unused,
            _guard,
        }
    }
}

impl Stream {
    fn needed(&self) -> &Open {
        self.0.get_or_init(|| Box::new(Open::new()))
    }

    /// What the upstream tells from now on.
    pub fn told(&self) -> broadcast::Receiver<News> {
        self.needed().told.subscribe()
    }

    /// The next question. It waits here until somebody can put it to the client.
    pub async fn asked(&self) -> Option<Asked> {
        self.needed().asked.lock().await.recv().await
    }

    /// How it is, and how it goes on.
    pub fn state(&self) -> watch::Receiver<State> {
        self.needed().state.subscribe()
    }

    /// Reads it, unless it is read already. The first to need it waits until it is open, or cannot be, or for a short time.
    pub async fn open(&self, shared: &Arc<Shared>, session: &Arc<Session>, client: &Client) {
        if self.needed().is_read.swap(true, Ordering::Relaxed) {
            return;
        }
        let reader = Reader {
            shared: shared.clone(),
            session: Arc::downgrade(session),
            capabilities: client.capabilities.clone(),
            is_legacy: client.is_legacy,
        };
        let unused = self.needed().unused.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = reader.run() => {}
                () = unused.cancelled() => {}
            }
        });
        let opening = if client.is_legacy { OPENING } else { SHORT_OPENING };
        let mut state = self.state();
        drop(tokio::time::timeout(opening, state.wait_for(|state| *state != State::Closed)).await);
    }
}

/// Reads one stream. It does not keep the session open.
struct Reader {
    shared: Arc<Shared>,
    session: Weak<Session>,
    capabilities: Arc<str>,
    is_legacy: bool,
}

impl Reader {
    async fn run(&self) {
        let mut pause = PAUSES.0;
        loop {
            let began = Instant::now();
            let state = self.read().await.unwrap_or(State::Closed);
            let Some(session) = self.session.upgrade() else { return };
            session.stream.needed().state.send_replace(state);
            if state != State::Closed {
                return;
            }
            drop(session);
            if began.elapsed() > PAUSES.1 {
                pause = PAUSES.0;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Opens the stream and reads it to its end.
    async fn read(&self) -> Result<State> {
        let Some((upstream, mut headers)) = self.session.upgrade().map(|session| (session.upstream.clone(), session.headers())) else {
            return Ok(State::Lost);
        };
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let until = Instant::now() + SILENCE;
        let ask = Ask {
            method: Method::GET,
            url: &upstream.url,
            whose: None,
            forwarded: None,
            headers,
            body: Pieces::default(),
            until: Some(until),
            max_bytes: MAX_STREAM,
        };
        let answer = self.shared.http(&upstream, ask).await?;
        match answer.body {
            Body::Events(events) => self.hear(events).await,
            Body::Whole(_) if answer.status == 404 => Ok(State::Lost),
            Body::Whole(_) if answer.status >= 500 => Ok(State::Closed),
            Body::Whole(_) => Ok(State::Absent),
        }
    }

    async fn hear(&self, mut events: Box<Events>) -> Result<State> {
        if let Some(session) = self.session.upgrade() {
            session.stream.needed().state.send_replace(State::Open);
        }
        while let Ok(Some(event)) = events.next().await {
            let Ok(messages) = read(event.data) else { continue };
            let Some(session) = self.session.upgrade() else { return Ok(State::Lost) };
            for message in messages {
                match message.heard {
                    Heard::Notification { method, params } => {
                        if let Some(news) = news(&method, params) {
                            // Nobody may be listening.
                            let _ = session.stream.needed().told.send(news);
                        }
                    }
                    Heard::Request { id, method, params } => self.asked(&session, id, method, params).await?,
                    Heard::Done(_) => return Ok(State::Closed),
                }
            }
        }
        Ok(State::Closed)
    }

    /// A question waits for the stream of a client that can be asked. A ping is answered here, so that the session lives.
    async fn asked(&self, session: &Arc<Session>, id: String, method: String, params: String) -> Result<()> {
        if method == "ping" {
            return self.answer(session, &id, "\"result\":{}").await;
        }
        let can = bridge::can(&self.capabilities, &method, &params);
        let sentence = quoted(&format!("The client does not offer {method} outside of a call."));
        if !self.is_legacy {
            let question = Heard::Request { id: id.clone(), method, params };
            if can && session.ask_within_call(question) {
                return Ok(());
            }
            return self.answer(session, &id, &format!("\"error\":{{\"code\":-32601,\"message\":{sentence}}}")).await;
        }
        let (answer, answered) = oneshot::channel();
        if !can || session.stream.needed().ask.try_send(Asked { method, params, answer }).is_err() {
            return self.answer(session, &id, &format!("\"error\":{{\"code\":-32601,\"message\":{sentence}}}")).await;
        }
        let this = Self { shared: self.shared.clone(), session: self.session.clone(), capabilities: "".into(), is_legacy: true };
        tokio::spawn(async move {
            let outcome = match tokio::time::timeout(PATIENCE, answered).await {
                Ok(Ok(Ok(result))) => format!("\"result\":{result}"),
                Ok(Ok(Err(error))) => format!("\"error\":{error}"),
                Ok(Err(_)) | Err(_) => "\"error\":{\"code\":-32000,\"message\":\"The client did not answer in time.\"}".to_owned(),
            };
            if let Some(session) = this.session.upgrade()
                && let Err(error) = this.answer(&session, &id, &outcome).await
            {
                tracing::debug!(%error, "an upstream does not take the answer to its question");
            }
        });
        Ok(())
    }

    async fn answer(&self, session: &Session, id: &str, outcome: &str) -> Result<()> {
        let message = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},{outcome}}}");
        self.shared.send(session, message, Instant::now() + SHORT).await
    }
}
