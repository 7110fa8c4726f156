//! From what a relay says to HTTP: JSON where the response comes first, else an event stream.

use std::{convert::Infallible, time::Duration};

use amalgam_protocol::{
    Era, Fault,
    respond::{self as write, KEEP_ALIVE, sse_event},
};
use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, StatusCode, header};
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use super::{Relay, Said};
use crate::{
    error::{Error, Kind},
    mcp::stream::event_stream,
};

/// How often a silent stream says that it lives.
const PULSE: Duration = Duration::from_secs(15);
/// Messages that may wait for a slow reader; then the upstream waits too.
const QUEUE: usize = 16;

/// A failure as its client is told: a tool's in its result, any other as an error of the protocol.
pub fn failure(era: Era, id: &RawValue, method: &str, server_info: &str, error: &Error) -> (u16, Vec<u8>) {
    let is_protocol = error.kind == Kind::InvalidRequest;
    if method == "tools/call" && !is_protocol {
        return (200, write::text_result(era, id, server_info.as_bytes(), &error.message, true, &[]));
    }
    let fault = if error.kind == Kind::Forbidden { Fault::invalid_params(error.message.clone()) } else { crate::mcp::fault(error) };
    (fault.http, write::error(Some(id), &fault))
}

/// The HTTP response. Dropping it, as when the client goes away, cancels the call.
pub async fn respond(mut relay: Box<Relay>) -> Response {
    let first = match relay.step().await {
        Said::Last(status, pieces) => {
            let mut response = Response::new(Body::new(pieces));
            *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            // With those that every answer has, so that the map grows once.
            response.headers_mut().reserve(9);
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            return response;
        }
        Said::Message(message) => message,
    };
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(run(relay, first, sender));
    let events = stream::unfold(receiver, |mut receiver: mpsc::Receiver<Bytes>| async move {
        let event = match tokio::time::timeout(PULSE, receiver.recv()).await {
            Ok(event) => event?,
            Err(_) => Bytes::from_static(KEEP_ALIVE),
        };
        Some((Ok::<_, Infallible>(event), receiver))
    });
    event_stream(Body::from_stream(events))
}

async fn run(mut relay: Box<Relay>, first: Vec<u8>, sender: mpsc::Sender<Bytes>) {
    let gone = sender.clone();
    let all = async {
        let mut next = Said::Message(first);
        loop {
            let (message, is_last) = match next {
                Said::Message(message) => (Bytes::from(message), false),
                Said::Last(_, response) => (response.join(), true),
            };
            if sender.send(sse_event(&message).into()).await.is_err() || is_last {
                return;
            }
            next = relay.step().await;
        }
    };
    tokio::select! {
        () = all => {}
        () = gone.closed() => {}
    }
}
