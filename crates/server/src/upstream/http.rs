//! One message to an upstream by HTTP, and what comes back: nothing, JSON, or an event stream.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use amalgam_protocol::{
    Pieces,
    splice::{Object, string},
    sse::{Decoder, Event},
};
use amalgam_vault::Secret;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use tokio::time::Instant;

use super::{
    Shared,
    message::{failed, late},
};
use crate::{
    egress::{EgressErrorKind, IncomingBody, IncomingStream, OutgoingRequest},
    error::{Error, Kind, Result},
    scrub::{MIN_SECRET, without_any},
    store::{
        Scope, Store,
        upstreams::{Auth, Upstream},
    },
};

/// What an upstream answered to one HTTP request.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Body,
}

/// The body of an answer.
pub enum Body {
    /// Read whole; not an event stream.
    Whole(Bytes),
    /// Events, as they come.
    Events(Box<Events>),
}

/// An open event stream.
pub struct Events {
    body: IncomingBody,
    decoder: Decoder,
    ready: VecDeque<Event>,
    /// The id to resume after.
    pub last_id: Option<String>,
    hidden: Option<Hidden>,
}

/// Whether a message is an error, or several may hold one. Errors show no secret; results are passed on untouched, whatever they repeat.
fn is_error(message: &str) -> bool {
    let has_member = || Object::parse(message).map_or(true, |members| members.get("error").is_some());
    // The name may be written with escapes.
    let may_be = [&b"\"error\""[..], b"\\u"].into_iter().any(|part| memchr::memmem::find(message.as_bytes(), part).is_some());
    may_be && has_member()
}

/// The secrets that went along with a request whose answer is a stream. Sealed, because a stream may last: they are opened for each event.
struct Hidden {
    store: Arc<Store>,
    upstream: Arc<Upstream>,
    /// One a line.
    sealed: Vec<u8>,
}

impl Hidden {
    fn of(store: &Arc<Store>, upstream: &Arc<Upstream>, secrets: &[Secret]) -> Result<Option<Self>> {
        if secrets.is_empty() {
            return Ok(None);
        }
        let lines = Secret::new(secrets.iter().map(Secret::expose).collect::<Vec<_>>().join("\n"));
        let sealed = store.sealer().seal_bytes(&Self::owner(upstream), lines.expose().as_bytes())?;
        Ok(Some(Self { store: store.clone(), upstream: upstream.clone(), sealed }))
    }

    fn owner(upstream: &Upstream) -> [&str; 4] {
        [&upstream.owner.account, &upstream.owner.user, &upstream.id, "stream"]
    }

    fn scrub(&self, event: &mut Event) -> Result<(), String> {
        if !is_error(&event.data) {
            return Ok(());
        }
        let lines = self.store.sealer().unseal_secret(&Self::owner(&self.upstream), &self.sealed);
        let lines = lines.map_err(|_| "sent what cannot be searched for its credential")?;
        if let Some(clean) = without_any(event.data.as_bytes(), lines.expose().lines()) {
            event.data = String::from_utf8_lossy(&clean).into_owned();
        }
        Ok(())
    }
}

impl Events {
    /// The next event; `None` at the end of the stream. Safe to cancel.
    ///
    /// # Errors
    /// What is wrong, without its subject.
    pub async fn next(&mut self) -> Result<Option<Event>, String> {
        loop {
            if let Some(mut event) = self.ready.pop_front() {
                if let Some(hidden) = &self.hidden {
                    hidden.scrub(&mut event)?;
                }
                self.last_id.clone_from(&event.id);
                return Ok(Some(event));
            }
            let Some(piece) = self.body.chunk().await.map_err(|error| strip(&error.to_string()))? else { return Ok(None) };
            let mut events = Vec::new();
            self.decoder.feed(&piece, &mut events).map_err(|error| format!("sent what cannot be read: {error}"))?;
            self.ready.extend(events);
        }
    }

    /// How long to wait before the stream is opened again.
    pub fn retry(&self) -> Option<Duration> {
        self.decoder.retry_ms().map(Duration::from_millis)
    }
}

/// A sentence of `egress` begins with the host; ours begin with the name that the upstream has here.
fn strip(sentence: &str) -> String {
    sentence.split_once(' ').map_or_else(|| sentence.to_owned(), |(_, rest)| rest.to_owned())
}

/// One HTTP request to an upstream.
pub struct Ask<'a> {
    /// GET, POST or DELETE.
    pub method: Method,
    /// The upstream's address, or the one that it named itself.
    pub url: &'a str,
    /// Whose connections are used; without it a new one, once.
    pub whose: Option<&'a Scope>,
    /// Headers of the client; the owner's and ours replace those of the same name.
    pub forwarded: Option<&'a HeaderMap>,
    /// Beside those that every request has.
    pub headers: HeaderMap,
    /// A JSON-RPC message; empty for none.
    pub body: Pieces,
    /// Until the answer's headers, and where it is read whole until its end; `None` where the caller itself waits no longer.
    pub until: Option<Instant>,
    /// The longest event stream, in bytes; another body is never longer than one message may be.
    pub max_bytes: usize,
}

impl Shared {
    /// Sends it. The owner's headers are in the clear from here to the end of this function.
    pub async fn http(&self, upstream: &Arc<Upstream>, ask: Ask<'_>) -> Result<Answer> {
        let mut headers = ask.headers;
        let is_oauth = upstream.auth == Auth::Oauth;
        let mut secrets = Vec::new();
        let forwarded = ask.forwarded.filter(|forwarded| !forwarded.is_empty());
        if forwarded.is_some() || upstream.sealed.is_some() || is_oauth {
            let mut configured = forwarded.cloned().unwrap_or_default();
            if is_oauth {
                // A client's own token is for us, or for nobody that this user has signed in to.
                configured.remove(AUTHORIZATION);
                if let Some(value) = Box::pin(self.authorization(upstream)).await? {
                    secrets.extend(secret(&value));
                    configured.insert(AUTHORIZATION, value);
                }
            } else {
                self.add_manual_headers(upstream, &mut configured, &mut secrets)?;
            }
            // Computed after configured: what the protocol says cannot be overridden.
            configured.extend(headers);
            headers = configured;
        }
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json, text/event-stream"));
        if !ask.body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let left = ask.until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        let (mut again, mut ask_again) = (true, true);
        let mut request = OutgoingRequest {
            method: ask.method,
            url: ask.url,
            headers,
            body: ask.body,
            timeout: left,
            max_response_bytes: ask.max_bytes,
            follow_redirects: true,
            // Arguments and headers are meant for this upstream alone.
            credential_bound: true,
        };
        let egress = ask.whose.map_or_else(|| self.egress.clone(), |scope| self.egress.of(&scope.account, &scope.user));
        let incoming = loop {
            match egress.send_streaming(&mut request).await {
                // Nothing was sent, so that a second attempt cannot do anything twice.
                Err(error) if std::mem::take(&mut again) && error.is_retryable_before_send() => {}
                Err(error) => {
                    let kind = match error.kind() {
                        EgressErrorKind::Timeout(_) => return Err(late(upstream)),
                        EgressErrorKind::Invalid(_) | EgressErrorKind::Forbidden => Kind::PlatformRefused,
                        EgressErrorKind::Resolve | EgressErrorKind::Connect | EgressErrorKind::Tls(_) => Kind::PlatformUnreachable,
                        _ => Kind::PlatformFailed,
                    };
                    let sentence = format!("{} cannot be reached: {error}.", upstream.name);
                    return Err(Error { cause: Some(error.cause().to_owned().into()), ..Error::new(kind, sentence) });
                }
                Ok(incoming) if is_oauth && matches!(incoming.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                    let sent = request.headers.get(AUTHORIZATION);
                    let once = std::mem::take(&mut ask_again);
                    let other = Box::pin(self.challenged(upstream, incoming.status, &incoming.headers, sent, once)).await?;
                    match other {
                        // It was refused before anything was done.
                        Some(value) => {
                            secrets.extend(secret(&value));
                            request.headers.insert(AUTHORIZATION, value);
                        }
                        None => break incoming,
                    }
                }
                Ok(incoming) => break incoming,
            }
        };
        self.answered(upstream, incoming, self.max_message.min(ask.max_bytes), ask.until, &secrets).await
    }

    /// What came back: a stream, or what is read whole, up to so many bytes.
    async fn answered(
        &self,
        upstream: &Arc<Upstream>,
        incoming: IncomingStream,
        limit: usize,
        until: Option<Instant>,
        secrets: &[Secret],
    ) -> Result<Answer> {
        let (status, headers) = (incoming.status.as_u16(), incoming.headers);
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_stream = kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream");
        let body = if is_stream && (200..300).contains(&status) {
            let hidden = Hidden::of(&self.store, upstream, secrets)?;
            let decoder = Decoder::new(self.max_message);
            Body::Events(Box::new(Events { body: incoming.body, decoder, ready: VecDeque::new(), last_id: None, hidden }))
        } else {
            // An event stream may last; whatever else comes in its place has an end.
            let whole = read(upstream, incoming.body, limit, until).await?;
            let may_show = !secrets.is_empty() && (status >= 300 || std::str::from_utf8(&whole).map_or(true, is_error));
            let clean = if may_show { without_any(&whole, secrets.iter().map(Secret::expose)) } else { None };
            Body::Whole(clean.map_or(whole, Bytes::from))
        };
        Ok(Answer { status, headers, body })
    }

    /// The headers that the owner entered. They are opened for each request and kept nowhere: a cache would hold secrets in the clear,
    /// and opening them costs a few microseconds.
    fn add_manual_headers(&self, upstream: &Upstream, headers: &mut HeaderMap, secrets: &mut Vec<Secret>) -> Result<()> {
        let Some(entered) = self.store.open_headers(upstream)? else { return Ok(()) };
        let entered = Object::parse(entered.expose()).map_err(|_| Error::internal("the headers of an upstream are not JSON"))?;
        for (name, value) in entered.iter() {
            let name = HeaderName::try_from(name).map_err(Error::internal)?;
            let text = string(value).ok_or_else(|| Error::internal("a header of an upstream is no text"))?;
            let mut value = HeaderValue::try_from(&*text).map_err(Error::internal)?;
            value.set_sensitive(true);
            secrets.extend(secret(&value));
            headers.insert(name, value);
        }
        Ok(())
    }
}

/// What is secret in the value of a header; nothing where it is too short to be told from other text.
fn secret(value: &HeaderValue) -> Option<Secret> {
    let text = std::str::from_utf8(value.as_bytes()).ok()?.trim();
    let of_scheme = text.split_once(' ').filter(|(scheme, _)| ["bearer", "basic"].iter().any(|known| scheme.eq_ignore_ascii_case(known)));
    let secret = of_scheme.map_or(text, |(_, secret)| secret.trim());
    (secret.len() >= MIN_SECRET).then(|| Secret::new(secret.to_owned()))
}

/// A body that is no stream.
async fn read(upstream: &Arc<Upstream>, body: IncomingBody, limit: usize, until: Option<Instant>) -> Result<Bytes> {
    let whole = async { body.within(limit)?.whole().await };
    let whole = match until {
        Some(until) => tokio::time::timeout_at(until, whole).await.map_err(|_| late(upstream))?,
        None => whole.await,
    };
    whole.map_err(|error| match error.kind() {
        EgressErrorKind::TooLarge(limit) => failed(upstream, format_args!("answered more than {limit} bytes")),
        _ => failed(upstream, strip(&error.to_string())),
    })
}

/// A header value from text that a message has, in the form that a header can carry (SEP-2243).
pub fn header(text: &str) -> Result<HeaderValue> {
    HeaderValue::try_from(amalgam_protocol::header::encoded(text).as_ref()).map_err(Error::internal)
}
