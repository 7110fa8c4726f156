//! The transport of 2024-11-05: a stream on which everything comes, and an address that it names for everything that goes.

use std::sync::Arc;

use ::http::{HeaderMap, HeaderValue, Method, header::ACCEPT};
use amalgam_protocol::Pieces;
use tokio::time::Instant;
use url::Url;

use super::{
    Shared,
    exchange::refused,
    http::{Ask, Body},
    message::failed,
    pipe::{Ends, Pipe},
    stream::MAX_STREAM,
};
use crate::{error::Result, store::upstreams::Upstream};

impl Shared {
    /// Opens the stream of an upstream and waits until it has named its address.
    pub async fn open_sse(self: &Arc<Self>, upstream: &Arc<Upstream>, until: Instant) -> Result<Arc<Pipe>> {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("text/event-stream"))]);
        let ask = Ask {
            method: Method::GET,
            url: &upstream.url,
            whose: None,
            forwarded: None,
            headers,
            body: Pieces::default(),
            until: Some(until),
            // With the answers to all calls.
            max_bytes: 4 * MAX_STREAM,
        };
        let answer = self.http(upstream, ask).await?;
        let Body::Events(mut events) = answer.body else {
            return Err(refused(upstream, answer.status, &answer.body));
        };
        let first = tokio::time::timeout_at(until, events.next()).await.map_err(|_| super::message::late(upstream))?;
        let named = first.map_err(|what| failed(upstream, what))?.filter(|event| event.name == "endpoint");
        let Some(named) = named else { return Err(failed(upstream, "does not name an address for messages")) };
        let address =
            address(&upstream.url, &named.data).ok_or_else(|| failed(upstream, "names an address of another host for messages"))?;
        let Ends { pipe, mut out, unused } = Pipe::ends(upstream);
        let (weak, shared, to) = (Arc::downgrade(&pipe), self.clone(), upstream.clone());
        tokio::spawn(async move {
            while let Some(message) = out.recv().await {
                let sent = shared.post(&to, &address, HeaderMap::new(), message, Instant::now() + shared.timeout).await;
                let problem = match sent {
                    Ok(answer) if answer.status < 300 => continue,
                    Ok(answer) => format!("answered HTTP {} to a message", answer.status),
                    Err(error) => {
                        tracing::debug!(upstream = to.id, %error, "a message could not be sent");
                        "does not take messages any more".to_owned()
                    }
                };
                if let Some(pipe) = weak.upgrade() {
                    pipe.close(&problem);
                }
                return;
            }
        });
        let weak = Arc::downgrade(&pipe);
        tokio::spawn(async move {
            loop {
                let event = tokio::select! {
                    event = events.next() => event,
                    () = unused.cancelled() => return,
                };
                let Some(pipe) = weak.upgrade() else { return };
                match event {
                    Ok(Some(event)) if event.name == "message" => pipe.hear(&event.data),
                    Ok(Some(_)) => {}
                    Ok(None) => return pipe.close("has ended its stream"),
                    Err(what) => return pipe.close(&what),
                }
            }
        });
        Ok(pipe)
    }
}

/// The address that was named, if it is of the same origin: arguments and headers are meant for that one alone.
fn address(base: &str, named: &str) -> Option<String> {
    let base = Url::parse(base).ok()?;
    let address = base.join(named).ok()?;
    (address.origin() == base.origin()).then(|| address.to_string())
}
