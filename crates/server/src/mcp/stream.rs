//! Open streams: the GET stream of a legacy session and `subscriptions/listen`. They tell what changed, and end when their caller may
//! no longer listen or the node stops.

mod upstreams;

use std::{convert::Infallible, time::Duration};

use amalgam_protocol::{
    listen::{self, Change as News, Filter},
    respond::{KEEP_ALIVE, notification, sse_event},
};
use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, header};
use serde_json::value::RawValue;
use tokio::sync::{broadcast, mpsc, watch};

use self::upstreams::Told;
use super::{Context, offer, transport::Target};
use crate::{
    app::App,
    auth::{self, Caller, Identity},
    error::Result,
    limits::StreamPlace,
    store::{Change, servers::Server},
    upstream::Client,
};

/// How often a silent stream says that it lives, and asks whether its caller may still listen.
const PULSE: Duration = Duration::from_secs(15);
/// Messages that may wait for a slow reader; then the stream ends.
const QUEUE: usize = 64;

/// Who listens, and where.
struct Listener {
    app: App,
    caller: Caller,
    server: Server,
    headers: HeaderMap,
    request_id: String,
    target: Target,
    _place: StreamPlace,
}

impl Listener {
    fn of(context: &Context<'_>, headers: &HeaderMap) -> Result<Self> {
        Ok(Self {
            _place: context.app.streams.take(context.caller.principal.label())?,
            app: context.app.clone(),
            caller: context.caller.clone(),
            server: context.server.clone(),
            headers: headers.clone(),
            request_id: context.request_id.to_owned(),
            target: context.target.clone(),
        })
    }

    /// Whether its caller may still listen.
    async fn is_allowed(&self) -> bool {
        let Ok(identity) = Identity::read(&self.headers, &self.request_id) else { return false };
        match auth::mcp(&self.app, &identity, self.target.server_id.as_deref(), self.target.token.as_deref()).await {
            Ok(caller) => caller.scope == self.caller.scope && caller.server.is_some_and(|now| now.id == self.server.id),
            Err(_) => false,
        }
    }

    /// What a change means to this listener.
    fn news(&self, change: &Change) -> &'static [News] {
        match change {
            Change::Server(id) if *id == self.server.id => &[News::Tools, News::Resources, News::Prompts],
            Change::AllConnectors => &[News::Tools, News::Resources],
            Change::Connectors(account) if *account == self.caller.scope.account => &[News::Tools, News::Resources],
            Change::Workflows(id) if *id == self.server.id => &[News::Resources],
            _ => &[],
        }
    }
}

/// The GET stream of a legacy session.
pub async fn legacy(context: &Context<'_>, headers: &HeaderMap) -> Result<Response> {
    let listener = Listener::of(context, headers)?;
    let told = upstreams::legacy(context).await?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    let say = |told: &Told| match told {
        Told::News(news) => Some(news.legacy_message()),
        Told::Log(params) => Some(notification("notifications/message", params.as_bytes())),
        Told::Question(request) => Some(request.clone()),
    };
    tokio::spawn(run(listener, sender, told, vec![KEEP_ALIVE.to_vec()], say, Vec::new()));
    Ok(response(receiver))
}

/// `subscriptions/listen`: acknowledged first, then what the filter wants, and at a graceful end the result.
pub async fn listen(context: &Context<'_>, headers: &HeaderMap, filter: Filter, id: Box<RawValue>, client: &Client) -> Result<Response> {
    let filter = filter.granted(&offer(context.app, context.server).await?);
    let first = sse_event(&filter.acknowledged(&id));
    let last = sse_event(&listen::ended(&id, context.identity().info().as_bytes()));
    let listener = Listener::of(context, headers)?;
    let told = upstreams::modern(context, &filter, client).await?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    let say = move |told: &Told| match told {
        Told::News(news) => filter.wants(news).then(|| news.message(&id)),
        Told::Log(_) | Told::Question(_) => None,
    };
    tokio::spawn(run(listener, sender, told, vec![first], say, last));
    Ok(response(receiver))
}

async fn run(
    listener: Listener,
    sender: mpsc::Sender<Bytes>,
    mut told: mpsc::Receiver<Told>,
    first: Vec<Vec<u8>>,
    say: impl Fn(&Told) -> Option<Vec<u8>>,
    last: Vec<u8>,
) {
    let mut changes = listener.app.changes.subscribe();
    let mut stopping = listener.app.stopping.subscribe();
    for event in first {
        if sender.send(event.into()).await.is_err() {
            return;
        }
    }
    loop {
        let news: Vec<Told> = tokio::select! {
            change = changes.recv() => match &change {
                Ok(Change::People(account)) if *account == listener.caller.scope.account => {
                    if !listener.is_allowed().await {
                        break;
                    }
                    continue;
                }
                Ok(change) => listener.news(change).iter().cloned().map(Told::News).collect(),
                // Something was missed: everything may have changed.
                Err(broadcast::error::RecvError::Lagged(_)) => [News::Tools, News::Resources, News::Prompts].map(Told::News).into(),
                Err(broadcast::error::RecvError::Closed) => break,
            },
            // Its sender lives as long as this stream.
            Some(told) = told.recv() => vec![told],
            () = tokio::time::sleep(PULSE) => {
                let alive = listener.is_allowed().await;
                if !alive || sender.try_send(Bytes::from_static(KEEP_ALIVE)).is_err() {
                    break;
                }
                continue;
            }
            () = stopped(&mut stopping) => break,
            () = sender.closed() => return,
        };
        if news.is_empty() {
            continue;
        }
        if !listener.is_allowed().await {
            break;
        }
        // A reader that does not keep up loses its stream, not our memory.
        if news.iter().filter_map(&say).any(|message| sender.try_send(sse_event(&message).into()).is_err()) {
            return;
        }
    }
    if !last.is_empty() {
        let _ = sender.try_send(last.into());
    }
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the node is gone, which is stopping too.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

fn response(receiver: mpsc::Receiver<Bytes>) -> Response {
    let events = stream::unfold(receiver, |mut receiver| async move {
        let event = receiver.recv().await?;
        Some((Ok::<_, Infallible>(event), receiver))
    });
    event_stream(Body::from_stream(events))
}

/// The answer whose body these events are.
pub fn event_stream(events: Body) -> Response {
    let mut response = Response::new(events);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
