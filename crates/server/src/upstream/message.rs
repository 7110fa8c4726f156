//! What an upstream says, message by message, in its own words.

use std::{
    ops::{Deref, Range},
    sync::Arc,
};

use amalgam_protocol::{
    Body, Message, Pieces,
    envelope::Response,
    pieces::{Sink as _, Writer},
    splice::Object,
    strict::StrictError,
};
use bytes::Bytes;
use bytestring::ByteString;
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
    /// The end of the call: the result, or the JSON of the error.
    Done(Result<Answered, String>),
}

/// The result of a call, within the message that brought it. Read as text it is the JSON of the result.
#[derive(Debug)]
pub struct Answered {
    message: ByteString,
    id: Range<usize>,
    result: Range<usize>,
    /// Names and values of the members of the result, where nothing about it is unusual.
    members: Option<Vec<(Range<usize>, Range<usize>)>>,
}

impl Deref for Answered {
    type Target = str;

    fn deref(&self) -> &str {
        self.message.get(self.result.clone()).unwrap_or_default()
    }
}

impl Answered {
    /// The result, taken apart.
    ///
    /// # Errors
    /// A result that is not an object, and a member that appears twice.
    pub fn object(&self) -> Result<Object<'_>, StrictError> {
        let text = |range: &Range<usize>| self.message.get(range.clone()).unwrap_or_default();
        match &self.members {
            Some(members) => Ok(Object::of(members.iter().map(|(name, value)| (text(name), text(value))))),
            None => Object::parse(self),
        }
    }

    /// The result alone.
    pub fn into_result(self) -> String {
        (*self).to_owned()
    }

    /// What it is a part of.
    pub fn source(&self) -> &Bytes {
        self.message.as_bytes()
    }

    /// The message as it came, as the answer to the request of this id.
    pub fn answering(&self, id: &str) -> Pieces {
        let (before, after) = (self.message.get(..self.id.start).unwrap_or_default(), self.message.get(self.id.end..).unwrap_or_default());
        let mut message = Writer::new(Some(self.source()), before.len() + id.len() + after.len());
        for part in [before, id, after] {
            message.part(part);
        }
        message.finish()
    }
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
pub fn read(text: impl Into<ByteString>) -> Result<Vec<Addressed>, String> {
    let text = text.into();
    let explain = |fault: amalgam_protocol::Fault| format!("sent a message that is not JSON-RPC ({})", fault.message);
    let answered = match Body::parse_text(&text).map_err(explain)? {
        Body::Single(Message::Response(Response { id, outcome: Ok(result), members })) => {
            let within = |part: &str| {
                let start = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
                start..start + part.len()
            };
            let members = members.map(|members| members.iter().map(|(name, value)| (within(name), within(value))).collect());
            (id.get().to_owned(), within(id.get()), within(result.get()), members)
        }
        Body::Single(message) => return Ok(vec![addressed(&message)]),
        Body::Batch(messages) => {
            return messages.into_iter().map(|message| message.map(|message| addressed(&message)).map_err(explain)).collect();
        }
    };
    let (to, id, result, members) = answered;
    Ok(vec![Addressed { to: Some(to), heard: Heard::Done(Ok(Answered { message: text, id, result, members })) }])
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
                // One of several: it gets a message of its own.
                Ok(result) => return read_one(response.id.get(), result.get()),
                Err(error) => Err(error.get().to_owned()),
            };
            Addressed { to: Some(response.id.get().to_owned()), heard: Heard::Done(outcome) }
        }
    }
}

fn read_one(id: &str, result: &str) -> Addressed {
    let head = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":");
    let (start, end) = (head.len(), head.len() + result.len());
    let id_start = start - id.len() - ",\"result\":".len();
    let message = head + result + "}";
    let answered = Answered { message: message.into(), id: id_start..id_start + id.len(), result: start..end, members: None };
    Addressed { to: Some(id.to_owned()), heard: Heard::Done(Ok(answered)) }
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
