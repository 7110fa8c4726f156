//! A connection on which everything goes through one channel each way: a process of ours, or the 2024-11-05 transport. Answers are told
//! apart by their ids.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use amalgam_protocol::{
    bridge::{self, Envelope, Outgoing},
    revision::{LATEST, LATEST_LEGACY},
    splice::{Object, quoted},
};
use bytes::Bytes;
use tokio::{
    sync::{broadcast, mpsc},
    time::{Instant, timeout_at},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Client, OUR_INFO,
    era::NotSpoken,
    message::{Answered, Heard, failed, late, read},
    watch::{News, news},
};
use crate::{
    error::{Error, Result},
    store::upstreams::Upstream,
};

/// Messages that may wait to be written.
const OUT: usize = 64;
/// Messages that may wait for one call; a call that does not keep up is given up.
const QUEUE: usize = 256;
/// Calls at once on one connection.
const MAX_CALLS: usize = 1_000;
/// An upstream that does not know the first message of an era may also say nothing at all.
const PROBE: Duration = Duration::from_secs(5);

/// An open connection.
pub struct Pipe {
    upstream: Arc<Upstream>,
    out: mpsc::Sender<Bytes>,
    calls: Mutex<Calls>,
    next: AtomicU64,
    told: broadcast::Sender<News>,
    /// Cancelled when the other side is gone.
    closed: CancellationToken,
    /// Why it is gone.
    problem: Mutex<Option<String>>,
    /// Ends the other side when this connection is dropped.
    _guard: DropGuard,
    greeting: Mutex<Option<Greeting>>,
    log_level: Mutex<Option<String>>,
}

/// What the other side said when it was greeted.
#[derive(Clone, Default)]
pub struct Greeting {
    /// It was greeted by `server/discover`.
    pub is_modern: bool,
    /// The result: JSON.
    pub result: String,
}

#[derive(Default)]
struct Calls {
    waiting: HashMap<String, mpsc::Sender<Heard>>,
    /// Those that wait, oldest first: what belongs to no call by its id goes to the newest.
    order: VecDeque<String>,
}

/// The two ends that a transport has to serve.
pub struct Ends {
    /// The connection.
    pub pipe: Arc<Pipe>,
    /// Messages that are to be sent.
    pub out: mpsc::Receiver<Bytes>,
    /// Cancelled when nobody needs the connection any more.
    pub unused: CancellationToken,
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while holding one of these locks cannot leave it half-written; go on with it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pipe {
    /// A connection to this upstream, with its ends.
    pub fn ends(upstream: &Arc<Upstream>) -> Ends {
        let (sender, out) = mpsc::channel(OUT);
        let unused = CancellationToken::new();
        let pipe = Self {
            upstream: upstream.clone(),
            out: sender,
            calls: Mutex::default(),
            next: AtomicU64::new(1),
            told: broadcast::channel(QUEUE).0,
            closed: CancellationToken::new(),
            problem: Mutex::default(),
            _guard: unused.clone().drop_guard(),
            greeting: Mutex::default(),
            log_level: Mutex::default(),
        };
        Ends { pipe: Arc::new(pipe), out, unused }
    }

    /// Whether the other side is gone.
    pub fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// The other side is gone; all calls fail. `what` follows the upstream's name.
    pub fn close(&self, what: &str) {
        hold(&self.problem).get_or_insert_with(|| what.to_owned());
        self.closed.cancel();
        *hold(&self.calls) = Calls::default();
    }

    /// A line, or the data of an event, has come from the other side.
    pub fn hear(&self, text: &str) {
        let messages = match read(text) {
            Ok(messages) => messages,
            // Somebody writes to its standard output what belongs into its log; the next line may be a message.
            Err(what) => {
                tracing::debug!(upstream = self.upstream.id, what, "an upstream said something that is no message");
                return;
            }
        };
        for message in messages {
            match (message.to, message.heard) {
                (Some(to), heard) => self.deliver(Some(&to), heard, true),
                (None, Heard::Notification { method, params }) => {
                    let token = Object::parse(&params).ok().and_then(|params| params.get("progressToken").map(str::to_owned));
                    if let Some(news) = news(&method, params.clone()) {
                        // Nobody may be listening.
                        let _ = self.told.send(news);
                    }
                    self.deliver(token.as_deref(), Heard::Notification { method, params }, false);
                }
                (None, heard @ Heard::Request { .. }) => self.deliver(None, heard, false),
                (None, Heard::Done(_)) => {}
            }
        }
    }

    /// Gives a message to the call of this id, or to the newest one.
    fn deliver(&self, id: Option<&str>, heard: Heard, is_end: bool) {
        let mut calls = hold(&self.calls);
        let Some(id) = id.map(str::to_owned).or_else(|| calls.order.back().cloned()) else {
            drop(calls);
            if let Heard::Request { id, method, .. } = heard {
                self.refuse(&id, &method);
            }
            return;
        };
        let is_full = calls.waiting.get(&id).is_some_and(|call| call.try_send(heard).is_err());
        if is_end || is_full {
            calls.remove(&id);
        }
    }

    /// Nobody is there to answer; a ping is answered here.
    fn refuse(&self, id: &str, method: &str) {
        let outcome = if method == "ping" {
            "\"result\":{}".to_owned()
        } else {
            format!(
                "\"error\":{{\"code\":-32601,\"message\":{}}}",
                quoted(&format!("The client does not offer {method} outside of a call."))
            )
        };
        // A full queue means that the other side does not read; then it does not wait for this either.
        self.send_if_possible(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},{outcome}}}"));
    }

    /// Changes that the upstream tells.
    pub fn told(&self) -> broadcast::Receiver<News> {
        self.told.subscribe()
    }

    /// Returns when the other side is gone.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// The next id of a request.
    pub fn next_id(&self) -> String {
        self.next.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// Sends a message that is not answered.
    pub async fn send(&self, message: impl Into<Bytes>) -> Result<()> {
        tokio::select! {
            sent = self.out.send(message.into()) => sent.map_err(|_| self.gone()),
            () = self.closed.cancelled() => Err(self.gone()),
        }
    }

    /// The same without waiting, for what may be lost.
    pub fn send_if_possible(&self, message: impl Into<Bytes>) {
        let _ = self.out.try_send(message.into());
    }

    /// Sends a request; what is said about it comes out of the receiver, which ends when the other side is gone.
    pub async fn request(&self, id: &str, message: impl Into<Bytes>) -> Result<mpsc::Receiver<Heard>> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        {
            let mut calls = hold(&self.calls);
            if calls.waiting.len() >= MAX_CALLS {
                return Err(failed(&self.upstream, format_args!("already runs {MAX_CALLS} calls of yours; try again shortly")));
            }
            calls.waiting.insert(id.to_owned(), sender);
            calls.order.push_back(id.to_owned());
        }
        if self.is_closed() {
            return Err(self.gone());
        }
        self.send(message).await?;
        Ok(receiver)
    }

    /// Nothing is said about this request any more.
    pub fn done(&self, id: &str) {
        hold(&self.calls).remove(id);
    }

    /// The other side is gone, or a call of it did not keep up.
    pub fn gone(&self) -> Error {
        match &*hold(&self.problem) {
            Some(what) => failed(&self.upstream, what),
            None => failed(&self.upstream, "says more than its client reads"),
        }
    }

    /// What the other side said when it was greeted.
    pub fn greeting(&self) -> Option<Greeting> {
        hold(&self.greeting).clone()
    }

    /// Asks for log messages from this level on, where the upstream has them.
    pub async fn set_log_level(&self, level: &str) -> Result<()> {
        let greeting = self.greeting().unwrap_or_default().result;
        let has_logging = || Object::parse(Object::parse(&greeting).ok()?.get("capabilities")?).ok()?.get("logging").map(|_| ());
        if hold(&self.log_level).as_deref() == Some(level) || has_logging().is_none() {
            return Ok(());
        }
        let id = self.next_id();
        let mut answer = self.request(&id, bridge::request(&id, "logging/setLevel", &format!("{{\"level\":{}}}", quoted(level)))).await?;
        while let Some(heard) = answer.recv().await {
            if matches!(heard, Heard::Done(_)) {
                *hold(&self.log_level) = Some(level.to_owned());
                return Ok(());
            }
        }
        Err(self.gone())
    }

    /// Greets the other side: in the client's own era first, then in the other one.
    pub async fn greet(&self, client: &Client, has_modern: bool, until: Instant) -> Result<()> {
        let order = if client.is_legacy { [false, true] } else { [true, false] };
        let mut refusals = Vec::new();
        for is_modern in order.into_iter().filter(|is_modern| has_modern || !is_modern) {
            let probe = until.min(Instant::now() + PROBE);
            let outcome = match timeout_at(probe, self.first(client, is_modern)).await {
                Ok(outcome) => outcome?,
                Err(_) if Instant::now() >= until => return Err(late(&self.upstream)),
                Err(_) => Err("no answer".to_owned()),
            };
            match outcome {
                Ok(result) => {
                    *hold(&self.greeting) = Some(Greeting { is_modern, result });
                    return Ok(());
                }
                Err(words) => refusals.push(words),
            }
        }
        Err(failed(&self.upstream, format_args!("does not answer as an MCP server ({})", refusals.join("; "))))
    }

    async fn first(&self, client: &Client, is_modern: bool) -> Result<Result<String, String>> {
        let (method, params) = if is_modern {
            let envelope = Envelope { version: LATEST.as_str(), capabilities: "{}", info: OUR_INFO, log_level: None };
            let change = Outgoing { envelope: Some(envelope), ..Outgoing::default() };
            ("server/discover", bridge::outgoing("{}", &change).map_err(Error::internal)?)
        } else {
            let (capabilities, info) = (&client.capabilities, &client.info);
            ("initialize", format!("{{\"protocolVersion\":\"{LATEST_LEGACY}\",\"capabilities\":{capabilities},\"clientInfo\":{info}}}"))
        };
        let id = self.next_id();
        let mut answer = self.request(&id, bridge::request(&id, method, &params)).await?;
        let outcome = loop {
            match answer.recv().await {
                Some(Heard::Done(outcome)) => break outcome.map(Answered::into_result).map_err(|error| NotSpoken::by_error(&error).0),
                Some(_) => {}
                None => return Err(self.gone()),
            }
        };
        if outcome.is_ok() && !is_modern {
            self.send("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}".to_owned()).await?;
        }
        Ok(outcome)
    }
}

impl Calls {
    fn remove(&mut self, id: &str) {
        self.waiting.remove(id);
        self.order.retain(|known| known != id);
    }
}
