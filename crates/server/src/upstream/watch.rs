//! What an upstream tells of its own accord: changes of its lists and of resources that a client watches.

use std::{sync::Arc, time::Duration};

use ::http::{HeaderValue, Method};
use amalgam_protocol::{
    bridge::{self, Envelope, Outgoing},
    revision::LATEST,
    splice::{Object, quoted},
};
use bytes::Bytes;
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
};
use crate::{error::Result, store::upstreams::Upstream};

/// Messages that may wait for the one who listens.
const QUEUE: usize = 64;
/// Pauses before a stream that ended is opened again: the first and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// Opening a stream takes no longer, and asking for one more resource neither.
const SHORT: Duration = Duration::from_secs(10);

/// A stream on which nothing was said yet is opened again after this time.
const SILENCE: Duration = Duration::from_secs(10 * 60);

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

/// One who listens.
struct Watcher {
    shared: Arc<Shared>,
    upstream: Arc<Upstream>,
    client: Client,
    wanted: watch::Receiver<Wanted>,
    out: mpsc::Sender<News>,
    ready: Option<oneshot::Sender<()>>,
}

impl Upstreams {
    /// Listens to an upstream until the receiver is dropped. The second part is told when the upstream has begun to tell, or cannot.
    pub fn watch(
        &self,
        upstream: &Arc<Upstream>,
        client: &Client,
        wanted: watch::Receiver<Wanted>,
    ) -> (mpsc::Receiver<News>, oneshot::Receiver<()>) {
        let (out, news) = mpsc::channel(QUEUE);
        let (ready, is_ready) = oneshot::channel();
        let watcher =
            Watcher { shared: self.0.clone(), upstream: upstream.clone(), client: client.clone(), wanted, out, ready: Some(ready) };
        tokio::spawn(watcher.run());
        (news, is_ready)
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
        let demand = Demand {
            upstream: &upstream,
            client: &client,
            method: "subscriptions/listen",
            params: "{}",
            renamed: None,
            request_state: None,
            log_level: None,
            headers: &[],
            timeout: SHORT,
        };
        let key = Key::of(&demand);
        match self.shared.choose(&demand, &key, until).await? {
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
                let mut headers = session.headers();
                headers.insert(::http::header::ACCEPT, HeaderValue::from_static("text/event-stream"));
                // Some say nothing at all, not even headers, before they have something to tell.
                let until = Instant::now() + SILENCE;
                let ask = Ask { method: Method::GET, url: &upstream.url, headers, body: Bytes::new(), until, max_bytes: usize::MAX };
                let answer = self.shared.http(&upstream, ask).await?;
                match answer.body {
                    Body::Events(events) => self.read(events, Some(&session)).await,
                    Body::Whole(_) if answer.status == 404 => {
                        self.shared.lost(&key, &session);
                        Ok(End::Broken)
                    }
                    Body::Whole(_) => Ok(End::None),
                }
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
                    Ok(news) => if self.out.send(news).await.is_err() { break End::Unheard },
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
        let ask = Ask { method: Method::POST, url: &self.upstream.url, headers, body: Bytes::from(message), until, max_bytes: usize::MAX };
        let answer = self.shared.http(&self.upstream, ask).await?;
        match answer.body {
            Body::Events(events) => self.read(events, None).await,
            Body::Whole(_) if answer.status >= 500 => Ok(End::Broken),
            Body::Whole(_) => Ok(End::None),
        }
    }

    async fn read(&mut self, mut events: Box<Events>, session: Option<&super::session::Session>) -> Result<End> {
        // A legacy stream says nothing when it begins; a modern one acknowledges.
        if session.is_some() {
            self.begun();
        }
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = changed(&mut self.wanted) => return Ok(End::Changed),
            };
            let Ok(Some(event)) = event else { return Ok(End::Broken) };
            self.begun();
            let Ok(messages) = read(&event.data) else { continue };
            for message in messages {
                match message.heard {
                    Heard::Notification { method, params } => {
                        if let Some(news) = news(&method, params)
                            && self.out.send(news).await.is_err()
                        {
                            return Ok(End::Unheard);
                        }
                    }
                    // Nothing is asked of a client outside of its calls; a ping is answered, so that the session lives.
                    Heard::Request { id, method, .. } => {
                        if let Some(session) = session {
                            let answer = if method == "ping" {
                                format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}")
                            } else {
                                let sentence = quoted(&format!("The client does not offer {method} outside of a call."));
                                format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":-32601,\"message\":{sentence}}}}}")
                            };
                            self.shared.send(session, answer, Instant::now() + SHORT).await?;
                        }
                    }
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
