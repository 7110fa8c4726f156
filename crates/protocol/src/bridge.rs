//! From one era to the other: what has to change in a message when a client and an upstream speak different revisions. Everything
//! that has not to change keeps its text.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::escape::write_string;
use crate::fault::{
    HEADER_MISMATCH, INVALID_PARAMS, INVALID_REQUEST, LEGACY_RESOURCE_NOT_FOUND, METHOD_NOT_FOUND, MISSING_CAPABILITY, UNSUPPORTED_VERSION,
};
use crate::params::{CLIENT_CAPABILITIES_KEY, CLIENT_INFO_KEY, LOG_LEVEL_KEY, PROTOCOL_VERSION_KEY};
use crate::pieces::{Pieces, Sink as _, Writer};
use crate::respond::SERVER_INFO_KEY;
use crate::splice::{Object, elements, quoted};
use crate::strict::StrictError;

/// What a modern request says of its client, in `params._meta`.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// The revision.
    pub version: &'a str,
    /// A `ClientCapabilities` object.
    pub capabilities: &'a str,
    /// An `Implementation` object.
    pub info: &'a str,
    /// The lowest level of log messages that are wanted.
    pub log_level: Option<&'a str>,
}

/// What changes in the parameters of a request on its way to an upstream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outgoing<'a> {
    /// For a modern upstream.
    pub envelope: Option<Envelope<'a>>,
    /// Members and their new strings: `name` where a tool has another name here.
    pub renamed: Option<(&'static str, &'a str)>,
    /// Instead of the client's own, where it sent one: JSON.
    pub progress_token: Option<&'a str>,
    /// The upstream's own `requestState`, where the client has sent the sealed one.
    pub request_state: Option<&'a str>,
}

const ENVELOPE: [&str; 4] = [PROTOCOL_VERSION_KEY, CLIENT_CAPABILITIES_KEY, CLIENT_INFO_KEY, LOG_LEVEL_KEY];

/// The parameters of a request as an upstream gets them: the client's envelope goes, the upstream's comes.
///
/// # Errors
/// `params` that are not an object.
pub fn outgoing(params: &str, change: &Outgoing<'_>) -> Result<String, StrictError> {
    outgoing_members(Object::parse(params)?, change).map(|params| params.to_string())
}

/// The same, taken apart.
///
/// # Errors
/// `params` that are not an object.
pub fn outgoing_members<'a>(mut params: Object<'a>, change: &Outgoing<'_>) -> Result<Object<'a>, StrictError> {
    let meta = outgoing_meta(params.get("_meta").filter(|meta| *meta != "null"), change)?;
    if change.envelope.is_none() {
        params.remove("inputResponses");
        params.remove("requestState");
    }
    if let Some((member, value)) = change.renamed {
        params.set_text(member, value);
    }
    if let Some(state) = change.request_state {
        params.set_text("requestState", state);
    }
    match meta {
        Some(meta) => params.set("_meta", meta),
        None => drop(params.remove("_meta")),
    }
    Ok(params)
}

/// The client's `_meta` with the upstream's envelope in the place of its own; `None` where nothing is in it.
fn outgoing_meta(meta: Option<&str>, change: &Outgoing<'_>) -> Result<Option<String>, StrictError> {
    let mut out = Vec::with_capacity(meta.map_or(0, str::len) + 256);
    let mut member = |name: &str, json: &str| {
        out.push(if out.is_empty() { b'{' } else { b',' });
        write_string(&mut out, name);
        out.push(b':');
        out.extend_from_slice(json.as_bytes());
    };
    let meta = meta.map(Object::parse).transpose()?.unwrap_or_default();
    for (name, json) in meta.iter().filter(|(name, _)| !ENVELOPE.contains(name)) {
        let token = change.progress_token.filter(|_| name == "progressToken");
        member(name, token.unwrap_or(json));
    }
    if let Some(envelope) = &change.envelope {
        member(PROTOCOL_VERSION_KEY, &quoted(envelope.version));
        member(CLIENT_INFO_KEY, envelope.info);
        member(CLIENT_CAPABILITIES_KEY, envelope.capabilities);
        if let Some(level) = envelope.log_level {
            member(LOG_LEVEL_KEY, &quoted(level));
        }
    }
    if out.is_empty() {
        return Ok(None);
    }
    out.push(b'}');
    // All of it was text.
    Ok(String::from_utf8(out).ok())
}

/// Whether a modern result of this method must say how long it may be kept (SEP-2549).
fn is_cacheable(method: &str) -> bool {
    method.ends_with("/list") || matches!(method, "resources/read" | "resources/directory/read" | "skills/get" | "server/discover")
}

/// A legacy result as a modern client gets it. `server_info` is the JSON of our own name.
///
/// # Errors
/// A `_meta` that is not an object.
pub fn modern_result<'a>(method: &str, mut result: Object<'a>, server_info: &str) -> Result<Object<'a>, StrictError> {
    let meta = result.get("_meta").filter(|meta| *meta != "null").unwrap_or("{}").to_owned();
    let mut meta = Object::parse(&meta)?;
    // A member of this name means nothing in the legacy era.
    result.remove("resultType");
    result.lead("resultType", "\"complete\"");
    if is_cacheable(method) {
        // A legacy upstream promises nothing: neither for how long nor for whom.
        if result.get("ttlMs").is_none() {
            result.set("ttlMs", "0");
        }
        if result.get("cacheScope").is_none() {
            result.set("cacheScope", "\"private\"");
        }
    }
    if meta.get(SERVER_INFO_KEY).is_none() {
        meta.set(SERVER_INFO_KEY, server_info);
    }
    let meta = meta.to_string();
    result.set("_meta", meta);
    Ok(result)
}

/// A modern result as a legacy client gets it; `None` where it can be passed on as it came.
///
/// # Errors
/// A `_meta` that is not an object.
pub fn legacy_result(mut object: Object<'_>) -> Result<Option<Object<'_>>, StrictError> {
    let mut changed = false;
    for name in ["resultType", "ttlMs", "cacheScope"] {
        changed |= object.remove(name).is_some();
    }
    if let Some(meta) = object.get("_meta").filter(|meta| meta.contains(SERVER_INFO_KEY)).map(str::to_owned) {
        let mut meta = Object::parse(&meta)?;
        if meta.remove(SERVER_INFO_KEY).is_some() {
            changed = true;
            if meta.is_empty() {
                object.remove("_meta");
            } else {
                let meta = meta.to_string();
                object.set("_meta", meta);
            }
        }
    }
    Ok(changed.then_some(object))
}

/// Between which eras an error passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Towards {
    /// To a modern client.
    Modern,
    /// To a legacy client.
    Legacy,
}

/// An upstream's error object as the client gets it, with the HTTP status that goes with it. Codes that the client's era lacks
/// become those that it has.
///
/// # Errors
/// An error that is not an object with a whole number `code`.
pub fn error<'a>(method: &str, error: &'a str, towards: Towards) -> Result<(u16, Cow<'a, str>), StrictError> {
    let mut object = Object::parse(error)?;
    let code: i64 = object.get("code").and_then(|code| code.parse().ok()).unwrap_or(crate::fault::INTERNAL_ERROR);
    let is_read = method == "resources/read";
    let new = match (towards, code) {
        (Towards::Modern, LEGACY_RESOURCE_NOT_FOUND) => INVALID_PARAMS,
        // The code of a URL elicitation that must come first; retired with the handshake.
        (Towards::Modern, -32042) => INVALID_REQUEST,
        (Towards::Legacy, INVALID_PARAMS) if is_read => LEGACY_RESOURCE_NOT_FOUND,
        (Towards::Legacy, HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION) => INVALID_REQUEST,
        (_, code) => code,
    };
    let http = match (towards, new) {
        (Towards::Modern, METHOD_NOT_FOUND) => 404,
        (Towards::Modern, HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION) => 400,
        _ => 200,
    };
    if new == code {
        return Ok((http, Cow::Borrowed(error)));
    }
    object.set("code", new.to_string());
    Ok((http, Cow::Owned(object.to_string())))
}

/// One input that an upstream asks its client for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRequest {
    /// Under which name the answer is expected.
    pub key: String,
    /// `elicitation/create`, `sampling/createMessage` or `roots/list`.
    pub method: String,
    /// JSON.
    pub params: String,
}

/// A modern result that asks for inputs before the call goes on (SEP-2322).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputRequired {
    /// What is asked for.
    pub requests: Vec<InputRequest>,
    /// To be sent back with the answers: the text of the string.
    pub state: Option<String>,
}

/// Under this key of `params._meta`, a legacy upstream may say which name its question has for a modern client.
pub const INPUT_NAME_KEY: &str = "amalgam/input";

/// The name that a legacy upstream gave its question, where it gave one that can be used: 1 to 64 of `[A-Za-z0-9_.-]`.
#[must_use]
pub fn input_name(params: &str) -> Option<String> {
    let params = Object::parse(params).ok()?;
    let meta = Object::parse(params.get("_meta")?).ok()?;
    let name = meta.text(INPUT_NAME_KEY)?;
    let is_usable = (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    is_usable.then(|| name.into_owned())
}

/// How many inputs one result may ask for.
pub const MAX_INPUTS: usize = 32;

/// Whether a result says that it is complete, or says nothing, like those of the legacy era.
#[must_use]
pub fn is_complete(result: &Object<'_>) -> bool {
    result.text("resultType").is_none_or(|kind| kind == "complete")
}

/// What a result asks for, if it does.
///
/// # Errors
/// A result that asks in a form that is not the protocol's, or for more than [`MAX_INPUTS`].
pub fn input_required(result: &Object<'_>) -> Result<Option<InputRequired>, String> {
    if result.text("resultType").as_deref() != Some("input_required") {
        return Ok(None);
    }
    let mut asked = InputRequired { requests: Vec::new(), state: result.text("requestState").map(Cow::into_owned) };
    let requests = result.get("inputRequests").filter(|json| *json != "null").unwrap_or("{}");
    for (key, request) in Object::parse(requests).map_err(|error| error.to_string())?.iter() {
        let request = Object::parse(request).map_err(|error| error.to_string())?;
        let Some(method) = request.text("method") else { return Err("an input request has no method".to_owned()) };
        let params = request.get("params").unwrap_or("{}").to_owned();
        asked.requests.push(InputRequest { key: key.to_owned(), method: method.into_owned(), params });
    }
    if asked.requests.len() > MAX_INPUTS {
        return Err(format!("it asks for more than {MAX_INPUTS} inputs at once"));
    }
    Ok(Some(asked))
}

/// The result that asks a modern client for inputs.
#[must_use]
pub fn ask_for_inputs(asked: &InputRequired, server_info: &str) -> String {
    let mut requests = Object::default();
    for request in &asked.requests {
        let mut one = Object::default();
        one.set_text("method", &request.method);
        one.set("params", request.params.as_str());
        let one = one.to_string();
        requests.set(request.key.as_str(), one);
    }
    let mut result = Object::default();
    result.set("resultType", "\"input_required\"");
    let requests = requests.to_string();
    result.set("inputRequests", requests);
    if let Some(state) = &asked.state {
        result.set_text("requestState", state);
    }
    if !server_info.is_empty() {
        let mut meta = Object::default();
        meta.set(SERVER_INFO_KEY, server_info);
        let meta = meta.to_string();
        result.set("_meta", meta);
    }
    result.to_string()
}

/// The same parameters with the client's answers, by the names that were asked for, and the state that belongs to them.
///
/// # Errors
/// `params` that are not an object.
pub fn with_inputs(params: &str, answers: &[(String, String)], state: Option<&str>) -> Result<String, StrictError> {
    let mut params = Object::parse(params)?;
    let mut responses = Object::default();
    for (key, answer) in answers {
        responses.set(key.as_str(), answer.as_str());
    }
    let responses = responses.to_string();
    params.set("inputResponses", responses);
    match state {
        Some(state) => params.set_text("requestState", state),
        None => drop(params.remove("requestState")),
    }
    Ok(params.to_string())
}

/// An object without this member.
#[must_use]
pub fn without<'a>(member: &str, json: &'a str) -> Cow<'a, str> {
    let Ok(mut object) = Object::parse(json) else { return Cow::Borrowed(json) };
    if object.remove(member).is_some() { Cow::Owned(object.to_string()) } else { Cow::Borrowed(json) }
}

/// Whether a server that presented itself like this, by `initialize`, takes tool calls as tasks (2025-11-25).
#[must_use]
pub fn takes_tasks(greeting: &str) -> bool {
    let greeting: Value = serde_json::from_str(greeting).unwrap_or_default();
    greeting.pointer("/capabilities/tasks/requests/tools/call").is_some_and(Value::is_object)
}

/// Whether a client that declares these capabilities can be sent this request.
#[must_use]
pub fn can(capabilities: &str, method: &str, params: &str) -> bool {
    let Ok(declared) = serde_json::from_str::<Value>(capabilities) else { return false };
    match method {
        "sampling/createMessage" => declared.get("sampling").is_some_and(Value::is_object),
        "roots/list" => declared.get("roots").is_some_and(Value::is_object),
        "elicitation/create" => {
            let Some(elicitation) = declared.get("elicitation").and_then(Value::as_object) else { return false };
            let mode = Object::parse(params).ok().and_then(|params| params.text("mode").map(Cow::into_owned));
            match mode.as_deref() {
                Some("url") => elicitation.contains_key("url"),
                // An empty object means forms (2025-11-25, elicitation).
                _ => elicitation.is_empty() || elicitation.contains_key("form"),
            }
        }
        _ => false,
    }
}

/// Whether a client that declares these capabilities can be sent any request at all.
#[must_use]
pub fn can_be_asked(capabilities: &str) -> bool {
    Object::parse(capabilities).is_ok_and(|declared| ["elicitation", "roots", "sampling"].iter().any(|name| declared.get(name).is_some()))
}

/// The `ClientCapabilities` that a request to a client needs; `None` for a method that is none of those.
#[must_use]
pub fn capability(method: &str) -> Option<Value> {
    match method {
        "sampling/createMessage" => Some(json!({ "sampling": {} })),
        "roots/list" => Some(json!({ "roots": {} })),
        "elicitation/create" => Some(json!({ "elicitation": {} })),
        _ => None,
    }
}

/// The raw elements under `member` of a list's result, and its `nextCursor`.
///
/// # Errors
/// A sentence about what is wrong with the result.
pub fn page<'a>(result: &'a str, member: &str) -> Result<(Vec<String>, Option<Cow<'a, str>>), String> {
    let object = Object::parse(result).map_err(|error| error.to_string())?;
    let Some(list) = object.get(member) else { return Err(format!("its list has no member \"{member}\"")) };
    let Some(items) = elements(list) else { return Err(format!("the member \"{member}\" of its list is not an array")) };
    let items = items.into_iter().map(str::to_owned).collect();
    let cursor = object.text("nextCursor").map(|cursor| Cow::Owned(cursor.into_owned()));
    Ok((items, cursor))
}

/// A JSON-RPC request.
#[must_use]
pub fn request(id: &str, method: &str, params: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(ROOM + id.len() + method.len() + params.len());
    head(&mut out, id, method);
    out.extend_from_slice(params.as_bytes());
    out.push(b'}');
    out
}

/// The same with parameters that were taken apart; `source` is what most of them are a part of.
#[must_use]
pub fn request_of(id: &str, method: &str, params: &Object<'_>, source: Option<&Bytes>) -> Pieces {
    let mut out = Writer::new(source, ROOM + id.len() + method.len() + params.size());
    head(out.text(), id, method);
    params.write(&mut out);
    out.text().push(b'}');
    out.finish()
}

/// For what a request has beside its id, method and parameters, in bytes.
const ROOM: usize = 64;

/// A request up to its parameters.
fn head(out: &mut Vec<u8>, id: &str, method: &str) {
    for piece in ["{\"jsonrpc\":\"2.0\",\"id\":", id, ",\"method\":"] {
        out.extend_from_slice(piece.as_bytes());
    }
    write_string(out, method);
    out.extend_from_slice(b",\"params\":");
}
