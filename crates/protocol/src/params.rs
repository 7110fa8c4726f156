//! The second level of a message: the few parameters that the endpoint itself acts on, and the `_meta` envelope.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::envelope::is_id;
use crate::fault::Fault;
use crate::members::{present, split, text_of};
use crate::splice::Object;
use crate::strict::StrictError;

/// The envelope's key for the revision that a request speaks.
pub const PROTOCOL_VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
/// The envelope's key for what the client can do.
pub const CLIENT_CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
/// The envelope's key for the client's name and version.
pub const CLIENT_INFO_KEY: &str = "io.modelcontextprotocol/clientInfo";
/// The envelope's key by which a request opts in to log messages.
pub const LOG_LEVEL_KEY: &str = "io.modelcontextprotocol/logLevel";

/// The parameters of a request or notification; everything else stays in `raw`. A member sent as `null` is absent.
#[derive(Clone, Debug)]
pub struct Params<'a> {
    /// `name` of tools/call and prompts/get.
    pub name: Option<Cow<'a, str>>,
    /// `uri` of resources/read, resources/subscribe.
    pub uri: Option<Cow<'a, str>>,
    /// `taskId` of tasks/*.
    pub task_id: Option<Cow<'a, str>>,
    /// `cursor` of the lists.
    pub cursor: Option<Cow<'a, str>>,
    /// `protocolVersion` of initialize.
    pub protocol_version: Option<Cow<'a, str>>,
    /// `arguments`, an object whose inside is not looked at; parse it with [`crate::strict::parse`].
    pub arguments: Option<&'a RawValue>,
    /// `_meta`.
    pub meta: Option<Meta<'a>>,
    /// The whole object.
    pub raw: &'a RawValue,
    /// The same, taken apart.
    pub members: Object<'a>,
}

/// The members of `_meta` that the protocol gives a meaning.
#[derive(Clone, Debug)]
pub struct Meta<'a> {
    /// The revision. Its presence is what makes a request modern.
    pub protocol_version: Option<Cow<'a, str>>,
    /// An object, possibly empty; required in the modern era.
    pub client_capabilities: Option<&'a RawValue>,
    /// An object: name, version and more.
    pub client_info: Option<&'a RawValue>,
    /// A string or integer that progress notifications repeat.
    pub progress_token: Option<&'a RawValue>,
    /// The lowest level of log messages that the request wants; one of [`LOG_LEVELS`].
    pub log_level: Option<Cow<'a, str>>,
    /// The whole object.
    pub raw: &'a RawValue,
}

/// The levels of RFC 5424 as the protocol names them, least severe first.
pub const LOG_LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// The members by which a request is judged, or that are changed before it is sent on.
const NAMES: [&str; 13] = [
    "name",
    "uri",
    "taskId",
    "cursor",
    "protocolVersion",
    "arguments",
    "_meta",
    "task",
    "ref",
    "requestState",
    "inputResponses",
    "capabilities",
    "clientInfo",
];

impl<'a> Params<'a> {
    /// Reads the parameters of a message.
    ///
    /// # Errors
    /// -32602, naming the member: not an object, a member that appears twice, or once more in other letters, a member of the wrong type.
    /// HTTP 400 where `_meta` is at fault, else in band.
    pub fn parse(raw: &'a RawValue) -> Result<Self, Fault> {
        if !raw.get().starts_with('{') {
            return Err(Fault::invalid_params(not_object("params")));
        }
        let members = Object::parse(raw.get()).map_err(|error| Fault::invalid_params(format!("In \"params\": {}", error.message)))?;
        Self::of(raw, members)
    }

    /// Reads the parameters of a message that were taken apart.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub(crate) fn of(raw: &'a RawValue, members: Object<'a>) -> Result<Self, Fault> {
        if let Some(sentence) = members.lookalike(&NAMES) {
            return Err(Fault::invalid_params(format!("In \"params\": {sentence}")));
        }
        let text = |name| text_member(name, members.raw(name)).map_err(Fault::invalid_params);
        Ok(Self {
            name: text("name")?,
            uri: text("uri")?,
            task_id: text("taskId")?,
            cursor: text("cursor")?,
            protocol_version: text("protocolVersion")?,
            arguments: object_member("arguments", members.raw("arguments")).map_err(Fault::invalid_params)?,
            meta: present(members.raw("_meta")).map(Meta::parse).transpose()?,
            raw,
            members,
        })
    }

    /// Whether the message says of itself that it is modern: the envelope names a revision.
    #[must_use]
    pub fn claimed_version(&self) -> Option<&str> {
        self.meta.as_ref()?.protocol_version.as_deref()
    }
}

impl<'a> Meta<'a> {
    /// Reads a `_meta` object.
    ///
    /// # Errors
    /// -32602 with HTTP 400, naming the member: as [`Params::parse`], and a log level that does not exist.
    pub fn parse(raw: &'a RawValue) -> Result<Self, Fault> {
        let names = [PROTOCOL_VERSION_KEY, CLIENT_CAPABILITIES_KEY, CLIENT_INFO_KEY, "progressToken", LOG_LEVEL_KEY];
        let [protocol_version, client_capabilities, client_info, progress_token, log_level] =
            object(raw, "_meta", names).map_err(Fault::invalid_envelope)?;
        let text = |name, raw| text_member(name, raw).map_err(Fault::invalid_envelope);
        let inner = |name, raw| object_member(name, raw).map_err(Fault::invalid_envelope);
        let progress_token = present(progress_token);
        if progress_token.is_some_and(|token| !is_id(token)) {
            return Err(Fault::invalid_envelope("The member \"progressToken\" must be a short string or an integer."));
        }
        let log_level = text(LOG_LEVEL_KEY, log_level)?;
        if log_level.as_deref().is_some_and(|level| !LOG_LEVELS.contains(&level)) {
            return Err(Fault::invalid_envelope(format!("The member {LOG_LEVEL_KEY:?} must be one of {}.", LOG_LEVELS.join(", "))));
        }
        Ok(Self {
            protocol_version: text(PROTOCOL_VERSION_KEY, protocol_version)?,
            client_capabilities: inner(CLIENT_CAPABILITIES_KEY, client_capabilities)?,
            client_info: inner(CLIENT_INFO_KEY, client_info)?,
            progress_token,
            log_level,
            raw,
        })
    }
}

fn not_object(name: &str) -> String {
    format!("The member {name:?} must be an object.")
}

fn text_member<'a>(name: &str, raw: Option<&'a RawValue>) -> Result<Option<Cow<'a, str>>, String> {
    match present(raw) {
        None => Ok(None),
        Some(raw) => text_of(raw).map(Some).ok_or_else(|| format!("The member {name:?} must be a string.")),
    }
}

fn object_member<'a>(name: &str, raw: Option<&'a RawValue>) -> Result<Option<&'a RawValue>, String> {
    match present(raw) {
        Some(raw) if !raw.get().starts_with('{') => Err(not_object(name)),
        raw => Ok(raw),
    }
}

/// The named members of an object, still raw.
fn object<'a, const N: usize>(raw: &'a RawValue, name: &str, names: [&str; N]) -> Result<[Option<&'a RawValue>; N], String> {
    if !raw.get().starts_with('{') {
        return Err(not_object(name));
    }
    split(raw.get(), names).map_err(|error| format!("In {name:?}: {}", StrictError::from(error).message))
}
