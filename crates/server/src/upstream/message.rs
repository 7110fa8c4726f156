//! What an upstream says, message by message, in its own words.

use std::sync::Arc;

use amalgam_protocol::{Body, Message};
use serde_json::value::RawValue;

use crate::{
    error::{Error, Kind, Result},
    store::upstreams::Upstream,
};

/// One message of an upstream.
#[derive(Debug)]
pub enum Heard {
    /// Something that it tells; `params` is JSON.
    Notification { method: String, params: String },
    /// Something that it asks its client; `id` and `params` are JSON.
    Request { id: String, method: String, params: String },
    /// The end of the call: the JSON of the result, or of the error.
    Done(Result<String, String>),
}

/// A message with the id that it answers, where it answers one.
pub struct Addressed {
    /// JSON.
    pub to: Option<String>,
    /// The message.
    pub heard: Heard,
}

/// Takes the text of one event or body apart; an array holds several messages (revisions before 2025-06-18).
///
/// # Errors
/// What is wrong with it, without its subject.
pub fn read(text: &str) -> Result<Vec<Addressed>, String> {
    let explain = |fault: amalgam_protocol::Fault| format!("sent a message that is not JSON-RPC ({})", fault.message);
    match Body::parse(text.as_bytes()).map_err(explain)? {
        Body::Single(message) => Ok(vec![addressed(&message)]),
        Body::Batch(messages) => messages.into_iter().map(|message| message.map(|message| addressed(&message)).map_err(explain)).collect(),
    }
}

fn addressed(message: &Message<'_>) -> Addressed {
    let json = |raw: Option<&RawValue>| raw.map_or_else(|| "{}".to_owned(), |raw| raw.get().to_owned());
    match message {
        Message::Notification(notification) => Addressed {
            to: None,
            heard: Heard::Notification { method: notification.method.to_string(), params: json(notification.params) },
        },
        Message::Request(request) => Addressed {
            to: None,
            heard: Heard::Request { id: request.id.get().to_owned(), method: request.method.to_string(), params: json(request.params) },
        },
        Message::Response(response) => {
            let outcome = match response.outcome {
                Ok(result) => Ok(result.get().to_owned()),
                Err(error) => Err(error.get().to_owned()),
            };
            Addressed { to: Some(response.id.get().to_owned()), heard: Heard::Done(outcome) }
        }
    }
}

/// The upstream failed: 502. `what` follows its name.
pub fn failed(upstream: &Arc<Upstream>, what: impl std::fmt::Display) -> Error {
    Error::new(Kind::PlatformFailed, format!("{} {what}.", upstream.name))
}

/// The upstream was too slow: 504.
pub fn late(upstream: &Arc<Upstream>) -> Error {
    Error::new(
        Kind::PlatformTimeout,
        format!("{} did not finish its answer in time; what was asked may still have been done.", upstream.name),
    )
}
