//! The outer level of a JSON-RPC body, borrowed from it: who asks for what, and the raw parameters. Nothing is copied.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::fault::Fault;
use crate::members::{present, split_deep, text_of};
use crate::params::Params;
use crate::splice::Object;
use crate::strict::StrictError;

/// How many messages one batch may hold.
pub const MAX_BATCH: usize = 100;

/// How many bytes an id may take on the wire. It comes back in every answer and in every notification of a subscription.
pub const MAX_ID_BYTES: usize = 1024;

/// What one POST carries.
#[derive(Debug)]
pub enum Body<'a> {
    /// One message.
    Single(Message<'a>),
    /// An array, in order; a member that is not a message does not spoil the others.
    Batch(Vec<Result<Message<'a>, Fault>>),
}

/// One JSON-RPC message.
#[derive(Clone, Debug)]
pub enum Message<'a> {
    /// Wants an answer.
    Request(Request<'a>),
    /// Wants none.
    Notification(Notification<'a>),
    /// Is one, to a request that a legacy server sent.
    Response(Response<'a>),
}

/// A message with a method and an id.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// A string or an integer, in the client's own spelling, to be echoed byte for byte.
    pub id: &'a RawValue,
    /// The method's name.
    pub method: Cow<'a, str>,
    /// The parameters, not yet looked at; absent and `null` are the same. See [`Message::read_params`].
    pub params: Option<&'a RawValue>,
    /// Their members, where nothing about them is unusual.
    members: Option<Object<'a>>,
}

/// A message with a method and no id.
#[derive(Clone, Debug)]
pub struct Notification<'a> {
    /// The method's name.
    pub method: Cow<'a, str>,
    /// As in [`Request`].
    pub params: Option<&'a RawValue>,
    members: Option<Object<'a>>,
}

/// A message without a method.
#[derive(Clone, Debug)]
pub struct Response<'a> {
    /// The id of the request that is answered; the text `null` where an error could not be attributed.
    pub id: &'a RawValue,
    /// The `result`, or the `error`.
    pub outcome: Result<&'a RawValue, &'a RawValue>,
    /// The members of the result, where it is an object with nothing unusual about it.
    pub members: Option<Object<'a>>,
}

impl<'a> Body<'a> {
    /// Reads a request body.
    ///
    /// # Errors
    /// -32700 for bytes that are not JSON in UTF-8; -32600 for JSON that is not a JSON-RPC 2.0 message, an array that is empty or
    /// longer than [`MAX_BATCH`], a member that appears twice, or once more in other letters, an id that is neither a string nor an integer.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Fault> {
        Self::parse_text(std::str::from_utf8(bytes).map_err(|_| Fault::parse_error("it is not UTF-8."))?)
    }

    /// The same for what is known to be UTF-8.
    ///
    /// # Errors
    /// As [`Body::parse`].
    pub fn parse_text(text: &'a str) -> Result<Self, Fault> {
        match text.trim_start_matches([' ', '\t', '\r', '\n']).as_bytes().first() {
            Some(b'{') => Message::parse(text).map(Self::Single),
            Some(b'[') => Self::parse_batch(text),
            None => Err(Fault::parse_error("it is empty.")),
            Some(_) => {
                serde_json::from_str::<IgnoredAny>(text).map_err(fault)?;
                Err(Fault::invalid_request("The body must be a JSON-RPC object."))
            }
        }
    }

    fn parse_batch(text: &'a str) -> Result<Self, Fault> {
        let Elements(elements) = serde_json::from_str(text).map_err(fault)?;
        if elements.is_empty() {
            return Err(Fault::invalid_request("The batch is empty; send at least one message."));
        }
        Ok(Self::Batch(elements.into_iter().map(|element| Message::parse(element.get())).collect()))
    }
}

impl<'a> Message<'a> {
    /// Reads one message from the text of one JSON object.
    ///
    /// # Errors
    /// As [`Body::parse`].
    pub fn parse(text: &'a str) -> Result<Self, Fault> {
        let names = ["jsonrpc", "id", "method", "params", "result", "error"];
        let ([jsonrpc, id, method, params, result, error], inner) = split_deep(text, names, &["params", "result"]).map_err(fault)?;
        Members { jsonrpc, id, method, params, result, error, inner }.into_message()
    }

    /// Reads the parameters, if there are any.
    ///
    /// # Errors
    /// As [`Params::parse`].
    pub fn read_params(&mut self) -> Result<Option<Params<'a>>, Fault> {
        let (params, members) = match self {
            Self::Request(Request { params, members, .. }) | Self::Notification(Notification { params, members, .. }) => (params, members),
            Self::Response(_) => return Ok(None),
        };
        let Some(raw) = *params else { return Ok(None) };
        members.take().map_or_else(|| Params::parse(raw), |members| Params::of(raw, members)).map(Some)
    }

    /// The method, if the message has one.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        match self {
            Self::Request(request) => Some(&request.method),
            Self::Notification(notification) => Some(&notification.method),
            Self::Response(_) => None,
        }
    }

    /// The id of a request. An error about it must carry the id.
    #[must_use]
    pub const fn request_id(&self) -> Option<&'a RawValue> {
        match self {
            Self::Request(request) => Some(request.id),
            Self::Notification(_) | Self::Response(_) => None,
        }
    }

    /// The raw parameters, if the message has any.
    #[must_use]
    pub const fn params(&self) -> Option<&'a RawValue> {
        match self {
            Self::Request(request) => request.params,
            Self::Notification(notification) => notification.params,
            Self::Response(_) => None,
        }
    }
}

/// A serde error as a fault: bad syntax is -32700, a wrong shape is -32600.
fn fault(error: serde_json::Error) -> Fault {
    let shape = error.classify() == Category::Data;
    let error = StrictError::from(error);
    if shape { Fault::invalid_request(error.to_string()) } else { Fault::parse_error(error) }
}

/// The members of a message, each still raw.
struct Members<'a> {
    jsonrpc: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    method: Option<&'a RawValue>,
    params: Option<&'a RawValue>,
    result: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
    /// Of `params` or `result`.
    inner: Option<Object<'a>>,
}

impl<'a> Members<'a> {
    fn into_message(self) -> Result<Message<'a>, Fault> {
        let version = self.jsonrpc.and_then(text_of);
        if version.as_deref() != Some("2.0") {
            return Err(Fault::invalid_request("The member \"jsonrpc\" must be the string \"2.0\"."));
        }
        let Some(method) = self.method else {
            return self.into_response();
        };
        let Some(method) = text_of(method) else {
            return Err(Fault::invalid_request("The member \"method\" must be a string."));
        };
        if self.result.is_some() || self.error.is_some() {
            return Err(Fault::invalid_request("A message has either \"method\" or \"result\" or \"error\"; send one of them."));
        }
        let (params, members) = (present(self.params), self.inner);
        match self.id {
            Some(id) => Ok(Message::Request(Request { id: checked_id(id)?, method, params, members })),
            None => Ok(Message::Notification(Notification { method, params, members })),
        }
    }

    fn into_response(self) -> Result<Message<'a>, Fault> {
        let outcome = match (self.result, self.error) {
            (Some(result), None) => Ok(result),
            (None, Some(error)) => Err(error),
            (None, None) => {
                return Err(Fault::invalid_request("The member \"method\" is missing."));
            }
            (Some(_), Some(_)) => {
                return Err(Fault::invalid_request("A response has either \"result\" or \"error\"; send one of them."));
            }
        };
        let id = match self.id {
            Some(id) if outcome.is_err() && id.get() == "null" => id,
            Some(id) => checked_id(id)?,
            None => {
                return Err(Fault::invalid_request("The member \"id\" of the response is missing."));
            }
        };
        // Of a message with both, the members may be those of `params`.
        let members = self.inner.filter(|_| self.params.is_none());
        Ok(Message::Response(Response { id, outcome, members }))
    }
}

/// Whether a raw value is what JSON-RPC in MCP takes as an id or a progress token: a string or an integer.
pub(crate) fn is_id(raw: &RawValue) -> bool {
    let text = raw.get();
    text.len() <= MAX_ID_BYTES && (is_integer(text) || text_of(raw).is_some())
}

/// The text is already known to be valid JSON, so that only the characters of a fraction or an exponent need excluding.
fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn checked_id(id: &RawValue) -> Result<&RawValue, Fault> {
    if is_id(id) {
        return Ok(id);
    }
    Err(Fault::invalid_request(format!("The member \"id\" must be a string or an integer of at most {MAX_ID_BYTES} bytes.")))
}

/// The elements of a batch, each still raw.
struct Elements<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Elements<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ElementsVisitor).map(Elements)
    }
}

struct ElementsVisitor;

impl<'de> Visitor<'de> for ElementsVisitor {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of JSON-RPC objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = access.next_element()? {
            if elements.len() == MAX_BATCH {
                return Err(A::Error::custom(format_args!("A batch holds at most {MAX_BATCH} messages; send several requests.")));
            }
            elements.push(element);
        }
        Ok(elements)
    }
}
