//! One call to an upstream: the request, what the upstream says and asks meanwhile, and the end.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use ::http::{HeaderMap, HeaderValue, Method};
use amalgam_protocol::{
    Pieces,
    bridge::{self, Envelope, Outgoing},
    respond::notification,
    revision::LATEST,
    splice::{Object, quoted},
    strict,
};
use bytestring::ByteString;
use serde_json::Value;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{
    Demand, Key, Shared,
    era::{Chosen, is_version_refused, modern_headers, said},
    health::Place,
    http::{Answer, Ask, Body, Events},
    message::{Addressed, Heard, failed, late, read},
    pipe::Pipe,
    session::{Session, text_of},
};
use crate::{
    error::{Error, Kind, Result},
    store::upstreams::Upstream,
};

/// How often a stream that broke off is opened again within one call (2025-11-25, SEP-1699).
const MAX_RESUMES: usize = 20;
/// The longest pause before that which an upstream may ask for.
const LONGEST_RETRY: Duration = Duration::from_secs(5);
/// A cancellation has this long to be taken.
const SHORT: Duration = Duration::from_secs(5);

/// A call that has begun.
pub struct Exchange {
    call: Running,
    ready: VecDeque<Addressed>,
    events: Option<Box<Events>>,
    heard: Option<mpsc::Receiver<Heard>>,
    /// Questions of a legacy upstream that come on the stream of its session instead of the call's own.
    aside: Option<mpsc::Receiver<Heard>>,
    resumes: usize,
    until: Instant,
    place: Option<Place>,
    /// The upstream speaks the modern era.
    pub is_modern: bool,
}

/// What a call has at the upstream. Dropped before the end, it cancels the call there: in the legacy era by a message, in the modern one
/// by closing the connection.
struct Running {
    shared: Arc<Shared>,
    upstream: Arc<Upstream>,
    link: Link,
    id: String,
    ended: bool,
}

/// What a call goes through.
enum Link {
    /// A connection of its own: the modern era over HTTP.
    Own,
    Session(Arc<Session>),
    Pipe(Arc<Pipe>),
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Link::Session(session) = &self.link {
            session.over(&self.id);
        }
        let params = || format!("{{\"requestId\":{},\"reason\":\"the client is gone\"}}", self.id);
        match &self.link {
            Link::Session(session) if !self.ended => {
                let (shared, session, params) = (self.shared.clone(), session.clone(), params());
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    runtime.spawn(async move {
                        // Whoever is not there to be cancelled has nothing left to do.
                        drop(shared.tell(&session, "notifications/cancelled", &params, Instant::now() + SHORT).await);
                    });
                }
            }
            Link::Pipe(pipe) if !self.ended => {
                pipe.done(&self.id);
                let message = notification("notifications/cancelled", params().as_bytes());
                pipe.send_if_possible(String::from_utf8(message).unwrap_or_default());
            }
            _ => {}
        }
    }
}

impl Shared {
    /// Begins a call; see [`super::Upstreams::begin`].
    pub async fn begin(self: &Arc<Self>, demand: &Demand<'_>) -> Result<Exchange> {
        let mut place = self.health(demand.upstream).enter(&demand.client.scope.user, &demand.upstream.name).await?;
        match self.begin_within(demand, Instant::now() + demand.timeout).await {
            Ok(mut exchange) => {
                exchange.place = Some(place);
                Ok(exchange)
            }
            Err(error) => {
                place.failed_to_begin(&error);
                Err(error)
            }
        }
    }

    /// The same without a place, for what has one already.
    pub async fn begin_within(self: &Arc<Self>, demand: &Demand<'_>, until: Instant) -> Result<Exchange> {
        match timeout_at(until, std::pin::pin!(self.attempt(demand, until))).await {
            Ok(begun) => begun,
            Err(_) => Err(late(demand.upstream)),
        }
    }

    /// Sends the request, and once more where the upstream has forgotten the session or changed its era: then nothing was done.
    async fn attempt(self: &Arc<Self>, demand: &Demand<'_>, until: Instant) -> Result<Exchange> {
        for is_last in [false, true] {
            let mut aside = None;
            let chosen = self.choose(demand, until).await?;
            let (session, answer, call) = match chosen {
                Chosen::Pipe(pipe) => return Box::pin(self.through(demand, pipe, until)).await,
                Chosen::Modern => {
                    let call = self.running(demand.upstream, Link::Own, self.next_id());
                    let (headers, message) = modern_request(demand, &call.id)?;
                    (None, self.call(demand, headers, message).await?, call)
                }
                Chosen::Legacy(session) => {
                    if let Some(level) = demand.log_level {
                        Box::pin(self.set_log_level(&session, level, until)).await?;
                    }
                    let call = self.running(demand.upstream, Link::Session(session.clone()), session.next_id());
                    if can_ask_aside(demand) {
                        Box::pin(session.stream.open(self, &session, demand.client)).await;
                        aside = Some(session.asked_during(&call.id));
                    }
                    let message = bridge::request_of(&call.id, demand.method, &params(demand, &session.greeting, &call.id)?, demand.body);
                    let answer = self.call(demand, session.headers(), message).await?;
                    (Some(session), answer, call)
                }
            };
            let is_lost = answer.status == 404 && session.as_ref().is_some_and(|session| session.has_id());
            let is_other_era = session.is_none() && is_foreign(&answer);
            if (is_lost || is_other_era) && !is_last {
                let mut call = call;
                call.ended = true;
                match &session {
                    Some(session) => self.lost(&Key::of(demand), session),
                    None => self.forget_eras(demand.upstream),
                }
                continue;
            }
            return Ok(Exchange { aside, ..Exchange::of_call(call, answer, until)? });
        }
        Err(failed(demand.upstream, "has no session any more"))
    }

    /// Sends the request. It has no limit of time of its own: that of `begin_within` is around it.
    async fn call(&self, demand: &Demand<'_>, headers: HeaderMap, body: Pieces) -> Result<Answer> {
        let (method, url) = (Method::POST, &*demand.upstream.url);
        let ask = Ask {
            method,
            url,
            whose: Some(&demand.client.scope),
            forwarded: demand.forwarded,
            headers,
            body,
            until: None,
            max_bytes: self.max_message,
        };
        self.http(demand.upstream, ask).await
    }

    /// Sends the request through a connection that is shared with other calls.
    async fn through(self: &Arc<Self>, demand: &Demand<'_>, pipe: Arc<Pipe>, until: Instant) -> Result<Exchange> {
        let is_modern = pipe.greeting().is_some_and(|greeting| greeting.is_modern);
        if let (Some(level), false) = (demand.log_level, is_modern) {
            pipe.set_log_level(level).await?;
        }
        let call = self.running(demand.upstream, Link::Pipe(pipe.clone()), pipe.next_id());
        let message = if is_modern {
            modern_request(demand, &call.id)?.1
        } else {
            let greeting = pipe.greeting().unwrap_or_default();
            bridge::request_of(&call.id, demand.method, &params(demand, &greeting.result, &call.id)?, demand.body)
        };
        let heard = pipe.request(&call.id, message).await?;
        Ok(Exchange { heard: Some(heard), is_modern, ..Exchange::new(call, until) })
    }

    fn running(self: &Arc<Self>, upstream: &Arc<Upstream>, link: Link, id: String) -> Running {
        Running { shared: self.clone(), upstream: upstream.clone(), link, id, ended: false }
    }
}

/// Whether a legacy upstream may ask during this call, on a stream that is not the call's, what a modern client answers in it.
fn can_ask_aside(demand: &Demand<'_>) -> bool {
    !demand.client.is_legacy
        && matches!(demand.method, "tools/call" | "prompts/get" | "resources/read")
        && bridge::can_be_asked(&demand.client.capabilities)
}

/// A status by which an upstream that was modern says that it no longer is.
fn is_foreign(answer: &Answer) -> bool {
    let Body::Whole(body) = &answer.body else { return false };
    if !matches!(answer.status, 400 | 404 | 405 | 406) {
        return false;
    }
    let error = ByteString::try_from(body.clone()).ok().and_then(|text| read(text).ok()).and_then(|mut all| all.pop());
    match error.map(|message| message.heard) {
        Some(Heard::Done(Err(error))) => is_version_refused(&error),
        _ => true,
    }
}

/// The parameters for a legacy upstream, which has greeted us like this.
fn params<'a>(demand: &Demand<'a>, greeting: &str, id: &str) -> Result<Object<'a>> {
    let mut params = members(demand, None, id)?;
    // Whoever does not take tasks gets a plain call (2025-11-25, tasks); a modern client would not understand one.
    if params.get("task").is_some() && !(demand.client.is_legacy && bridge::takes_tasks(greeting)) {
        params.remove("task");
    }
    Ok(params)
}

fn members<'a>(demand: &Demand<'a>, envelope: Option<Envelope<'_>>, id: &str) -> Result<Object<'a>> {
    let change = Outgoing { envelope, renamed: demand.renamed, progress_token: Some(id), request_state: demand.request_state };
    let params = match demand.members {
        Some(members) => Ok(members.clone()),
        None => Object::parse(demand.params),
    };
    params.and_then(|params| bridge::outgoing_members(params, &change)).map_err(|error| Error::new(Kind::InvalidRequest, error.to_string()))
}

fn modern_request(demand: &Demand<'_>, id: &str) -> Result<(HeaderMap, Pieces)> {
    let client = demand.client;
    let envelope =
        Envelope { version: LATEST.as_str(), capabilities: &client.capabilities, info: &client.info, log_level: demand.log_level };
    let mut object = members(demand, Some(envelope), id)?;
    if client.is_legacy {
        // A task of 2025-11-25 cannot be had here; its receiver takes the call as a plain one.
        object.remove("task");
    }
    let member = match demand.method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    };
    let name = member.and_then(|member| object.text(member));
    let mut headers = modern_headers(demand.method, name.as_deref())?;
    if !demand.headers.is_empty() {
        let arguments = object.get("arguments").map(|json| strict::parse(json, strict::MAX_DEPTH)).transpose();
        let arguments = arguments.map_err(|error| Error::invalid("arguments", error.to_string()))?.unwrap_or(Value::Null);
        for declared in demand.headers {
            if let Some(value) = declared.value(&arguments) {
                let name = ::http::HeaderName::try_from(declared.header.as_str()).map_err(Error::internal)?;
                headers.insert(name, HeaderValue::try_from(value).map_err(Error::internal)?);
            }
        }
    }
    Ok((headers, bridge::request_of(id, demand.method, &object, demand.body)))
}

/// The upstream refused a message with an HTTP status.
pub fn refused(upstream: &Arc<Upstream>, status: u16, body: &Body) -> Error {
    let words = said(text_of(body));
    match status {
        401 | 403 => failed(
            upstream,
            format_args!("answered {status}{words}: it does not accept the credential; change `auth_config` of the MCP server"),
        ),
        429 => failed(upstream, format_args!("answered 429{words}: it asks to wait before the next call")),
        // What stands in front of it says that it is not there.
        502..=504 => Error { kind: Kind::PlatformUnreachable, ..failed(upstream, format_args!("answered HTTP {status}{words}")) },
        status => failed(upstream, format_args!("answered HTTP {status}{words}")),
    }
}

impl Exchange {
    /// Of an answer to a message outside of any session.
    pub fn of_answer(shared: &Arc<Shared>, upstream: &Arc<Upstream>, id: &str, answer: Answer, until: Instant) -> Result<Self> {
        let call = shared.running(upstream, Link::Own, id.to_owned());
        Self::of_call(call, answer, until)
    }

    fn new(call: Running, until: Instant) -> Self {
        let is_modern = matches!(call.link, Link::Own);
        Self { call, ready: VecDeque::new(), events: None, heard: None, aside: None, resumes: 0, until, place: None, is_modern }
    }

    fn of_call(call: Running, answer: Answer, until: Instant) -> Result<Self> {
        let mut this = Self::new(call, until);
        match answer.body {
            Body::Events(events) => this.events = Some(events),
            Body::Whole(body) if answer.status < 300 => {
                let text = ByteString::try_from(body).map_err(|_| failed(&this.call.upstream, "sent bytes that are not UTF-8"))?;
                this.ready.extend(read(text).map_err(|what| failed(&this.call.upstream, what))?);
            }
            body @ Body::Whole(_) => match read(String::from_utf8_lossy(text_of(&body)).into_owned()) {
                Ok(messages) if messages.iter().any(|message| matches!(message.heard, Heard::Done(Err(_)))) => this.ready.extend(messages),
                _ => return Err(refused(&this.call.upstream, answer.status, &body)),
            },
        }
        Ok(this)
    }

    /// What the upstream says next. After [`Heard::Done`] there is nothing more.
    ///
    /// # Errors
    /// The upstream failed, or the time is over; the call is at its end.
    pub async fn next(&mut self) -> Result<Heard> {
        let until = self.until;
        let heard = match timeout_at(until, self.hear()).await {
            Ok(heard) => heard,
            Err(_) => Err(late(&self.call.upstream)),
        };
        match &heard {
            Ok(Heard::Done(_)) => {
                self.call.ended = true;
                if let Some(place) = &mut self.place {
                    place.answered();
                }
            }
            Ok(_) => {}
            Err(error) => {
                if let Some(place) = &mut self.place {
                    place.failed(error);
                }
            }
        }
        heard
    }

    async fn hear(&mut self) -> Result<Heard> {
        if let Some(heard) = &mut self.heard {
            return match (heard.recv().await, &self.call.link) {
                (Some(heard), _) => Ok(heard),
                (None, Link::Pipe(pipe)) => Err(pipe.gone()),
                (None, _) => Err(failed(&self.call.upstream, "ended its answer without a result")),
            };
        }
        loop {
            if let Some(message) = self.ready.pop_front() {
                match (message.to, message.heard) {
                    (None, heard) => return Ok(heard),
                    (Some(to), heard) if to == self.call.id => return Ok(heard),
                    // An error that could not be attributed is about the only request that was sent here.
                    (Some(to), heard @ Heard::Done(Err(_))) if to == "null" => return Ok(heard),
                    (Some(_), _) => return Err(failed(&self.call.upstream, "answered a request that was not asked")),
                }
            }
            let Some(events) = &mut self.events else {
                return Err(failed(&self.call.upstream, "ended its answer without a result"));
            };
            let event = match &mut self.aside {
                None => events.next().await,
                Some(aside) => tokio::select! {
                    event = events.next() => event,
                    Some(question) = aside.recv() => return Ok(question),
                },
            };
            match event {
                // An event without data only says where the stream can be taken up again.
                Ok(Some(event)) if event.data.is_empty() || event.name != "message" => {}
                Ok(Some(event)) => {
                    self.ready.extend(read(event.data).map_err(|what| failed(&self.call.upstream, what))?);
                }
                Ok(None) => Box::pin(self.resume("ended its answer without a result")).await?,
                Err(what) => Box::pin(self.resume(&what)).await?,
            }
        }
    }

    /// Takes a stream up again where it broke off, if the upstream said that it can be.
    async fn resume(&mut self, what: &str) -> Result<()> {
        let events = self.events.take();
        let resumable = events.and_then(|events| Some((events.last_id.clone()?, events.retry())));
        let (Link::Session(session), Some((last, retry))) = (&self.call.link, resumable) else {
            return Err(failed(&self.call.upstream, what));
        };
        if self.resumes >= MAX_RESUMES {
            return Err(failed(&self.call.upstream, "broke off its answer too often"));
        }
        self.resumes += 1;
        tokio::time::sleep(retry.unwrap_or(Duration::from_millis(100)).min(LONGEST_RETRY)).await;
        let mut headers = session.headers();
        headers.insert("last-event-id", HeaderValue::try_from(last.as_str()).map_err(Error::internal)?);
        headers.insert(::http::header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        let (shared, upstream) = (&self.call.shared, &self.call.upstream);
        let ask = Ask {
            method: Method::GET,
            url: &upstream.url,
            whose: None,
            forwarded: None,
            headers,
            body: Pieces::default(),
            until: Some(self.until),
            max_bytes: shared.max_message,
        };
        let answer = shared.http(upstream, ask).await?;
        match answer.body {
            Body::Events(mut events) => {
                events.last_id = Some(last);
                self.events = Some(events);
                Ok(())
            }
            Body::Whole(_) => Err(failed(upstream, what)),
        }
    }

    /// Answers a request of the upstream: the JSON of a result, or of an error.
    pub async fn answer(&mut self, id: &str, outcome: Result<&str, &str>) -> Result<()> {
        let (member, json) = match outcome {
            Ok(result) => ("result", result),
            Err(error) => ("error", error),
        };
        let message = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"{member}\":{json}}}");
        match &self.call.link {
            Link::Session(session) => self.call.shared.send(session, message, Instant::now() + SHORT).await,
            Link::Pipe(pipe) if !self.is_modern => pipe.send(message).await,
            Link::Own | Link::Pipe(_) => {
                Err(failed(&self.call.upstream, "asked its client something, which this protocol revision does not have"))
            }
        }
    }

    /// Answers a request that no client of ours can answer; a ping is answered here.
    pub async fn refuse(&mut self, id: &str, method: &str) -> Result<()> {
        if method == "ping" {
            return self.answer(id, Ok("{}")).await;
        }
        let sentence = quoted(&format!("The client does not offer {method}."));
        self.answer(id, Err(&format!("{{\"code\":-32601,\"message\":{sentence}}}"))).await
    }

    /// Gives the call this long from now: it waited for its client.
    pub fn extend(&mut self, time: Duration) {
        self.until = Instant::now() + time;
    }

    /// The upstream's name, for sentences.
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.call.upstream
    }
}
