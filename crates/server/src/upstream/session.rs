//! A session with a legacy upstream: opened by `initialize`, ended when the last who holds it lets go.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ::http::{HeaderMap, HeaderValue, Method};
use amalgam_protocol::{Pieces, bridge, revision::LATEST_LEGACY, revision::Revision, splice::Object};
use tokio::{sync::mpsc, time::Instant};

use super::{
    Client, Key, Shared,
    era::NotSpoken,
    exchange::{self, Exchange},
    http::{Ask, Body},
    message::{Answered, Heard, failed},
    stream::Stream,
};
use crate::{
    error::{Error, Result},
    store::upstreams::Upstream,
};

/// The header that names a session.
const SESSION: &str = "mcp-session-id";
/// Messages that need no answer have this long to be taken.
const SHORT: Duration = Duration::from_secs(5);

/// An open session.
pub struct Session {
    shared: Weak<Shared>,
    /// Whose session it is.
    pub upstream: Arc<Upstream>,
    id: Option<HeaderValue>,
    revision: Revision,
    /// The result of `initialize`: JSON.
    pub greeting: String,
    /// What is said outside of calls.
    pub stream: Stream,
    next: AtomicU64,
    log_level: Mutex<Option<String>>,
    /// Calls of a modern client, oldest first: it can be asked within a call alone, wherever the upstream asks.
    calls: Mutex<Vec<(String, mpsc::Sender<Heard>)>>,
}

impl Session {
    /// The next id of a request.
    pub fn next_id(&self) -> String {
        self.next.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// The headers of every request of this session.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(id) = &self.id {
            headers.insert(SESSION, id.clone());
        }
        if self.revision >= Revision::V2025_06_18 {
            headers.insert("mcp-protocol-version", HeaderValue::from_static(self.revision.as_str()));
        }
        headers
    }

    /// What is asked outside of calls during the call of this id, unless another one began later.
    pub fn asked_during(&self, id: &str) -> mpsc::Receiver<Heard> {
        let (sender, receiver) = mpsc::channel(bridge::MAX_INPUTS);
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push((id.to_owned(), sender));
        receiver
    }

    /// The call of this id is over.
    pub fn over(&self, id: &str) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).retain(|(known, _)| known != id);
    }

    /// Gives a question to the newest call; false where there is none, or it does not keep up.
    pub fn ask_within_call(&self, question: Heard) -> bool {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.last().is_some_and(|(_, call)| call.try_send(question).is_ok())
    }

    /// Whether it can be lost: an upstream without sessions keeps nothing.
    pub fn has_id(&self) -> bool {
        self.id.is_some()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let (Some(shared), true) = (self.shared.upgrade(), self.id.is_some())
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (upstream, headers) = (self.upstream.clone(), self.headers());
            runtime.spawn(async move {
                let until = Instant::now() + SHORT;
                let ask = Ask {
                    method: Method::DELETE,
                    url: &upstream.url,
                    whose: None,
                    forwarded: None,
                    headers,
                    body: Pieces::default(),
                    until: Some(until),
                    max_bytes: shared.max_message,
                };
                // An upstream that keeps sessions may refuse to end them (405); there is nothing else to do.
                drop(shared.http(&upstream, ask).await);
            });
        }
    }
}

impl Shared {
    /// The session of this key, opened if there is none. The inner error says that the upstream has no handshake.
    pub async fn session(self: &Arc<Self>, upstream: &Arc<Upstream>, key: &Key, until: Instant) -> Result<Result<Arc<Session>, NotSpoken>> {
        let cell = self.sessions.get_with_by_ref(key, Arc::default);
        let open = async {
            match Box::pin(self.initialize(upstream, &key.client, until)).await {
                Ok(Ok(session)) => {
                    let session = Arc::new(session);
                    // Some ask there for what they need within a call, and ask nobody when it is not open yet.
                    if key.client.is_legacy && bridge::can_be_asked(&key.client.capabilities) {
                        session.stream.open(self, &session, &key.client).await;
                    }
                    Ok(session)
                }
                Ok(Err(not_spoken)) => Err(Ok(not_spoken)),
                Err(error) => Err(Err(error)),
            }
        };
        match cell.get_or_try_init(|| open).await {
            Ok(session) => Ok(Ok(session.clone())),
            Err(Ok(not_spoken)) => Ok(Err(not_spoken)),
            Err(Err(error)) => Err(error),
        }
    }

    /// Forgets a session that the upstream no longer knows, unless another one has taken its place.
    pub fn lost(&self, key: &Key, session: &Arc<Session>) {
        // It may be one that all sessions of a client share.
        for key in [key, &key.of_all_lanes()] {
            if self.sessions.get(key).is_some_and(|cell| cell.get().is_some_and(|known| Arc::ptr_eq(known, session))) {
                self.sessions.invalidate(key);
            }
        }
    }

    async fn initialize(self: &Arc<Self>, upstream: &Arc<Upstream>, client: &Client, until: Instant) -> Result<Result<Session, NotSpoken>> {
        let params =
            format!("{{\"protocolVersion\":\"{LATEST_LEGACY}\",\"capabilities\":{},\"clientInfo\":{}}}", client.capabilities, client.info);
        let message = bridge::request("0", "initialize", &params);
        let answer = self.post(upstream, &upstream.url, HeaderMap::new(), message, until).await?;
        if let Some(not_spoken) = NotSpoken::of_status(answer.status, &answer.body) {
            return Ok(Err(not_spoken));
        }
        // A copy: the header itself is a part of the connection's buffer, which would stay as long as the session.
        let id = answer.headers.get(SESSION).and_then(|id| HeaderValue::from_bytes(id.as_bytes()).ok());
        let mut exchange = Exchange::of_answer(self, upstream, "0", answer, until)?;
        let result = match exchange.done().await? {
            Ok(result) => result,
            Err(error) => return Ok(Err(NotSpoken::by_error(&error))),
        };
        drop(exchange);
        let agreed = Object::parse(&result).ok().and_then(|result| result.text("protocolVersion").map(|version| version.into_owned()));
        let Some(revision) = agreed.as_deref().and_then(Revision::parse) else {
            let agreed: String = agreed.unwrap_or_default().chars().take(40).collect();
            return Err(failed(upstream, format_args!("wants to speak the protocol revision {agreed:?}, which is not supported")));
        };
        if revision.is_modern() {
            // It takes a handshake for any other request.
            return Ok(Err(NotSpoken(format!("it answers initialize in the revision {revision}"))));
        }
        let session = Session {
            shared: Arc::downgrade(self),
            upstream: upstream.clone(),
            id,
            revision,
            greeting: result,
            stream: Stream::default(),
            next: AtomicU64::new(1),
            log_level: Mutex::default(),
            calls: Mutex::default(),
        };
        self.tell(&session, "notifications/initialized", "{}", until).await?;
        Ok(Ok(session))
    }

    /// Sends a notification of a session.
    pub async fn tell(&self, session: &Session, method: &str, params: &str, until: Instant) -> Result<()> {
        let message = String::from_utf8(amalgam_protocol::respond::notification(method, params.as_bytes())).map_err(Error::internal)?;
        self.send(session, message, until).await
    }

    /// Sends a message of a session that is not answered.
    pub async fn send(&self, session: &Session, message: impl Into<Pieces>, until: Instant) -> Result<()> {
        let answer = self.post(&session.upstream, &session.upstream.url, session.headers(), message, until).await?;
        if answer.status >= 300 { Err(exchange::refused(&session.upstream, answer.status, &answer.body)) } else { Ok(()) }
    }

    /// One POST with a message.
    pub async fn post(
        &self,
        upstream: &Arc<Upstream>,
        url: &str,
        headers: HeaderMap,
        message: impl Into<Pieces>,
        until: Instant,
    ) -> Result<super::http::Answer> {
        let ask = Ask {
            method: Method::POST,
            url,
            whose: None,
            forwarded: None,
            headers,
            body: message.into(),
            until: Some(until),
            max_bytes: self.max_message,
        };
        self.http(upstream, ask).await
    }

    /// Asks for log messages from this level on, where the upstream has them and does not send them already.
    pub async fn set_log_level(self: &Arc<Self>, session: &Session, level: &str, until: Instant) -> Result<()> {
        let has_logging = || {
            Object::parse(&session.greeting).ok().is_some_and(|greeting| {
                greeting.get("capabilities").and_then(|json| Object::parse(json).ok()).is_some_and(|all| all.get("logging").is_some())
            })
        };
        let current = session.log_level.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if current.as_deref() == Some(level) || !has_logging() {
            return Ok(());
        }
        let id = session.next_id();
        let mut params = Object::default();
        params.set_text("level", level);
        let message = bridge::request(&id, "logging/setLevel", &params.to_string());
        let answer = self.post(&session.upstream, &session.upstream.url, session.headers(), message, until).await?;
        let mut exchange = Exchange::of_answer(self, &session.upstream, &id, answer, until)?;
        if exchange.done().await?.is_ok() {
            *session.log_level.lock().unwrap_or_else(PoisonError::into_inner) = Some(level.to_owned());
        }
        Ok(())
    }
}

impl Exchange {
    /// The end of a call of our own; what is said before is not for anybody.
    pub async fn done(&mut self) -> Result<Result<String, String>> {
        loop {
            match self.next().await? {
                Heard::Done(outcome) => return Ok(outcome.map(Answered::into_result)),
                Heard::Request { id, method, .. } => self.refuse(&id, &method).await?,
                Heard::Notification { .. } => {}
            }
        }
    }
}

/// Whether a body is an event stream, which has no text yet.
pub fn text_of(body: &Body) -> &[u8] {
    match body {
        Body::Whole(bytes) => bytes,
        Body::Events(_) => b"",
    }
}
