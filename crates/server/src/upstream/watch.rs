//! What an upstream tells of its own accord: changes of its lists and of resources that a client watches.

use std::{sync::Arc, time::Duration};

use ::http::Method;
use amalgam_protocol::{
    Pieces,
    bridge::{self, Envelope, Outgoing},
    revision::LATEST,
    splice::{Object, quoted},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use super::{
    Client, Demand, Key, Shared, Upstreams,
    era::{Chosen, modern_headers},
    http::{Ask, Body, Events},
    message::{Heard, read},
    pipe::Pipe,
    session::Session,
    stream::{Asked, MAX_STREAM, State},
};
use crate::{error::Result, store::upstreams::Upstream};

/// Messages that may wait for the one who listens.
const QUEUE: usize = 64;
/// Pauses before a stream that ended is opened again: the first and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// Opening a stream takes no longer, and asking for one more resource neither.
const SHORT: Duration = Duration::from_secs(10);

/// What is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Changes of the lists of tools, prompts, resources.
    pub lists: bool,
    /// Changes of these resources.
    pub resources: Vec<String>,
}

/// Something that an upstream told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Its tools have changed.
    Tools,
    /// Its prompts have changed.
    Prompts,
    /// Its list of resources has changed.
    Resources,
    /// This resource has changed.
    Resource(String),
    /// A log message: the JSON of its parameters.
    Log(String),
}

/// What an upstream says outside of calls.
pub enum Word {
    /// Something that it tells.
    News(News),
    /// Something that it asks.
    Question(Asked),
}

/// One who listens.
struct Watcher {
    shared: Arc<Shared>,
    upstream: Arc<Upstream>,
    client: Client,
    wanted: watch::Receiver<Wanted>,
    out: mpsc::Sender<Word>,
    ready: Option<oneshot::Sender<()>>,
}

impl Upstreams {
    /// Listens to an upstream until the receiver is dropped. The second part is told when the upstream has begun to tell, or cannot.
    pub fn watch(
        &self,
        upstream: &Arc<Upstream>,
        client: &Client,
        wanted: watch::Receiver<Wanted>,
    ) -> (mpsc::Receiver<Word>, oneshot::Receiver<()>) {
        let (out, words) = mpsc::channel(QUEUE);
        let (ready, is_ready) = oneshot::channel();
        let (shared, upstream, client) = (self.0.clone(), upstream.clone(), client.clone());
        tokio::spawn(Watcher { shared, upstream, client, wanted, out, ready: Some(ready) }.run());
        (words, is_ready)
    }
}

/// Why a stream is no longer read.
enum End {
    /// It broke off, or could not be opened.
    Broken,
    /// Something else is wanted.
    Changed,
    /// The upstream has no such stream.
    None,
    /// Nobody listens any more.
    Unheard,
}

impl Watcher {
    async fn run(mut self) {
        let mut pause = PAUSES.0;
        loop {
            let out = self.out.clone();
            let began = Instant::now();
            let end = tokio::select! {
                end = self.listen() => end.unwrap_or(End::Broken),
                () = out.closed() => End::Unheard,
            };
            drop(self.ready.take());
            match end {
                End::Unheard => return,
                End::Changed => continue,
                End::Broken => {
                    if began.elapsed() > PAUSES.1 {
                        pause = PAUSES.0;
                    }
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = out.closed() => return,
                    }
                    pause = (pause * 2).min(PAUSES.1);
                }
                End::None => {
                    // Something else may be wanted one day, which may make a difference.
                    tokio::select! {
                        () = changed(&mut self.wanted) => {}
                        () = out.closed() => return,
                    }
                }
            }
        }
    }

    async fn listen(&mut self) -> Result<End> {
        let until = Instant::now() + SHORT;
        let wanted = self.wanted.borrow_and_update().clone();
        let (upstream, client) = (self.upstream.clone(), self.client.clone());
        let demand = Demand::ours(&upstream, &client, "subscriptions/listen", "{}", SHORT);
        let key = Key::of(&demand);
        match self.shared.choose(&demand, until).await? {
            Chosen::Modern => self.modern(&wanted, until).await,
            Chosen::Pipe(pipe) => self.pipe(&pipe, &wanted, &demand).await,
            Chosen::Legacy(session) => {
                // A legacy client subscribes by itself, in the same session.
                let own = if client.is_legacy { &[] } else { wanted.resources.as_slice() };
                for uri in own {
                    let params = format!("{{\"uri\":{}}}", quoted(uri));
                    let demand = Demand { method: "resources/subscribe", params: &params, ..demand };
                    drop(self.shared.begin(&demand).await?.done().await?);
                }
                self.legacy(&key, &session).await
            }
        }
    }

    /// What the stream of a session says, which others may listen to as well.
    async fn legacy(&mut self, key: &Key, session: &Arc<Session>) -> Result<End> {
        let mut told = session.stream.told();
        let mut state = session.stream.state();
        session.stream.open(&self.shared, session, &self.client).await;
        self.begun();
        let is_asked = self.client.is_legacy;
        loop {
            tokio::select! {
                news = told.recv() => match news {
                    Ok(news) => if self.out.send(Word::News(news)).await.is_err() { return Ok(End::Unheard) },
                    Err(_) => return Ok(End::Broken),
                },
                Some(asked) = session.stream.asked(), if is_asked => {
                    if self.out.send(Word::Question(asked)).await.is_err() { return Ok(End::Unheard) }
                }
                ended = ended(&mut state) => {
                    if ended == State::Absent { return Ok(End::None) }
                    self.shared.lost(key, session);
                    return Ok(End::Broken);
                }
                () = changed(&mut self.wanted) => return Ok(End::Changed),
            }
        }
    }

    /// On a connection that tells everything through one channel.
    async fn pipe(&mut self, pipe: &Pipe, wanted: &Wanted, demand: &Demand<'_>) -> Result<End> {
        let mut told = pipe.told();
        // Held while it is listened to: dropped, it is cancelled.
        let mut listening = None;
        if pipe.greeting().is_some_and(|greeting| greeting.is_modern) {
            let params = listen_params(wanted);
            listening = Some(self.shared.begin(&Demand { params: &params, ..*demand }).await?);
        } else {
            for uri in &wanted.resources {
                let params = format!("{{\"uri\":{}}}", quoted(uri));
                drop(self.shared.begin(&Demand { method: "resources/subscribe", params: &params, ..*demand }).await?.done().await?);
            }
        }
        self.begun();
        let end = loop {
            tokio::select! {
                news = told.recv() => match news {
                    Ok(news) => if self.out.send(Word::News(news)).await.is_err() { break End::Unheard },
                    Err(_) => break End::Broken,
                },
                () = pipe.closed() => break End::Broken,
                () = changed(&mut self.wanted) => break End::Changed,
            }
        };
        drop(listening);
        Ok(end)
    }

    async fn modern(&mut self, wanted: &Wanted, until: Instant) -> Result<End> {
        if !wanted.lists && wanted.resources.is_empty() {
            return Ok(End::None);
        }
        let envelope =
            Envelope { version: LATEST.as_str(), capabilities: &self.client.capabilities, info: &self.client.info, log_level: None };
        let params = bridge::outgoing(&listen_params(wanted), &Outgoing { envelope: Some(envelope), ..Outgoing::default() })
            .map_err(crate::error::Error::internal)?;
        let message = bridge::request("1", "subscriptions/listen", &params);
        let headers = modern_headers("subscriptions/listen", None)?;
        let ask = Ask {
            method: Method::POST,
            url: &self.upstream.url,
            whose: None,
            forwarded: None,
            headers,
            body: Pieces::from(message),
            until: Some(until),
            max_bytes: MAX_STREAM,
        };
        let answer = self.shared.http(&self.upstream, ask).await?;
        match answer.body {
            Body::Events(events) => self.read(events).await,
            Body::Whole(_) if answer.status >= 500 => Ok(End::Broken),
            Body::Whole(_) => Ok(End::None),
        }
    }

    /// The answer to `subscriptions/listen`, in which nothing is asked.
    async fn read(&mut self, mut events: Box<Events>) -> Result<End> {
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = changed(&mut self.wanted) => return Ok(End::Changed),
            };
            let Ok(Some(event)) = event else { return Ok(End::Broken) };
            // It begins with an acknowledgement.
            self.begun();
            let Ok(messages) = read(event.data) else { continue };
            for message in messages {
                match message.heard {
                    Heard::Notification { method, params } => {
                        if let Some(news) = news(&method, params)
                            && self.out.send(Word::News(news)).await.is_err()
                        {
                            return Ok(End::Unheard);
                        }
                    }
                    Heard::Request { .. } => {}
                    Heard::Done(_) => return Ok(End::Broken),
                }
            }
        }
    }

    fn begun(&mut self) {
        if let Some(ready) = self.ready.take() {
            // Whoever does not wait any longer does not need to know.
            let _ = ready.send(());
        }
    }
}

/// What `subscriptions/listen` asks for.
fn listen_params(wanted: &Wanted) -> String {
    let mut notifications = Object::default();
    if wanted.lists {
        for name in ["toolsListChanged", "promptsListChanged", "resourcesListChanged"] {
            notifications.set(name, "true");
        }
    }
    if !wanted.resources.is_empty() {
        let uris: Vec<String> = wanted.resources.iter().map(|uri| quoted(uri)).collect();
        notifications.set("resourceSubscriptions", format!("[{}]", uris.join(",")));
    }
    let mut params = Object::default();
    params.set("notifications", notifications.to_string());
    params.to_string()
}

/// Returns when a stream is read no longer: how it is then.
async fn ended(state: &mut watch::Receiver<State>) -> State {
    state.wait_for(|state| matches!(state, State::Absent | State::Lost)).await.map_or(State::Lost, |state| *state)
}

/// Returns when something else is wanted; where nothing ever will be, never.
async fn changed(wanted: &mut watch::Receiver<Wanted>) {
    if wanted.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What a notification means; `None` for one that says nothing outside of a call.
pub fn news(method: &str, params: String) -> Option<News> {
    match method {
        "notifications/tools/list_changed" => Some(News::Tools),
        "notifications/prompts/list_changed" => Some(News::Prompts),
        "notifications/resources/list_changed" => Some(News::Resources),
        "notifications/resources/updated" => {
            Object::parse(&params).ok().and_then(|params| params.text("uri").map(|uri| News::Resource(uri.into_owned())))
        }
        "notifications/message" => Some(News::Log(params)),
        _ => None,
    }
}
