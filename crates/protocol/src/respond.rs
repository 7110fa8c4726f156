//! Writes JSON-RPC answers and their event-stream frames straight into bytes.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::escape::write_string;
use crate::fault::Fault;
use crate::pieces::{Pieces, Sink as _, Writer};
use crate::revision::Era;
use crate::splice::Object;

/// The comment that keeps an idle event stream open; readers skip it.
pub const KEEP_ALIVE: &[u8] = b":\n\n";

/// The `_meta` key under which a modern answer names the server.
pub const SERVER_INFO_KEY: &str = "io.modelcontextprotocol/serverInfo";

/// Who may reuse a modern result (SEP-2549).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheScope {
    /// Anybody: the result holds nothing that depends on the caller.
    Public,
    /// Only callers with the same authorization.
    Private,
}

impl CacheScope {
    /// The protocol's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
        }
    }
}

/// A response around a result that is already JSON.
#[must_use]
pub fn result(id: &RawValue, result_json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(result_json.len() + id.get().len() + 48);
    open(&mut out, id);
    out.extend_from_slice(result_json);
    out.push(b'}');
    out
}

/// A response around a result that was taken apart; `source` is what most of it is a part of.
#[must_use]
pub fn result_of(id: &RawValue, result: &Object<'_>, source: &Bytes) -> Pieces {
    let mut out = Writer::new(Some(source), result.size() + id.get().len() + 48);
    open(out.text(), id);
    result.write(&mut out);
    out.text().push(b'}');
    out.finish()
}

/// An error response; without an id it says `"id":null`. The HTTP status is the fault's.
#[must_use]
pub fn error(id: Option<&RawValue>, fault: &Fault) -> Vec<u8> {
    let mut out = Vec::with_capacity(fault.message.len() + 128);
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id.map_or("null", RawValue::get).as_bytes());
    out.extend_from_slice(b",\"error\":{\"code\":");
    out.extend_from_slice(fault.code.to_string().as_bytes());
    out.extend_from_slice(b",\"message\":");
    write_string(&mut out, &fault.message);
    if let Some(data) = &fault.data {
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(data.to_string().as_bytes());
    }
    out.extend_from_slice(b"}}");
    out
}

/// An error response around an error object that is already JSON.
#[must_use]
pub fn failure(id: &RawValue, error_json: &str) -> Vec<u8> {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"error\":{error_json}}}", id.get()).into_bytes()
}

/// A notification; `params_json` is a JSON object.
#[must_use]
pub fn notification(method: &str, params_json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(method.len() + params_json.len() + 48);
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"method\":");
    write_string(&mut out, method);
    out.extend_from_slice(b",\"params\":");
    out.extend_from_slice(params_json);
    out.push(b'}');
    out
}

/// The response to `tools/call`: one text block, for all eras. `extra` are further members of the result and their JSON, such as
/// `structuredContent`. `server_info` is the JSON of [`crate::present::Identity::info`].
#[must_use]
pub fn text_result(era: Era, id: &RawValue, server_info: &[u8], text: &str, is_error: bool, extra: &[(&str, &[u8])]) -> Vec<u8> {
    let extra_bytes: usize = extra.iter().map(|(name, json)| name.len() + json.len() + 4).sum();
    let mut writer = ResultWriter::with_capacity(era, id, text.len() + text.len() / 8 + server_info.len() + extra_bytes + 256);
    writer.text(text, is_error);
    for (name, json) in extra {
        writer.member(name, json);
    }
    writer.finish(server_info)
}

/// Writes one response member by member, adding what the era demands: `resultType` first, `_meta` with the server's name last.
///
/// Names are the caller's to keep distinct; `resultType` and `_meta` are the writer's own.
#[derive(Debug)]
pub struct ResultWriter {
    out: Vec<u8>,
    is_modern: bool,
    is_empty: bool,
}

impl ResultWriter {
    /// Starts the response to `id`.
    #[must_use]
    pub fn new(era: Era, id: &RawValue) -> Self {
        Self::with_capacity(era, id, 512)
    }

    /// [`Self::new`] with room for about `capacity` bytes.
    #[must_use]
    pub fn with_capacity(era: Era, id: &RawValue, capacity: usize) -> Self {
        let mut out = Vec::with_capacity(capacity + id.get().len());
        open(&mut out, id);
        out.push(b'{');
        let mut writer = Self { out, is_modern: era.is_modern(), is_empty: true };
        if writer.is_modern {
            writer.member("resultType", b"\"complete\"");
        }
        writer
    }

    /// Starts the response of the modern era that asks the client for inputs first; `requests` is the JSON of `inputRequests`.
    #[must_use]
    pub fn input_required(id: &RawValue, requests: &[u8]) -> Self {
        let mut out = Vec::with_capacity(requests.len() + id.get().len() + 512);
        open(&mut out, id);
        out.push(b'{');
        let mut writer = Self { out, is_modern: true, is_empty: true };
        writer.member("resultType", b"\"input_required\"");
        writer.member("inputRequests", requests);
        writer
    }

    /// Adds a member whose value is already JSON.
    pub fn member(&mut self, name: &str, json: &[u8]) -> &mut Self {
        self.name(name);
        self.out.extend_from_slice(json);
        self
    }

    /// Adds a member whose value is a string.
    pub fn string(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        write_string(&mut self.out, value);
        self
    }

    /// Adds `content` with one text block, and `isError` when it is one.
    pub fn text(&mut self, text: &str, is_error: bool) -> &mut Self {
        self.name("content");
        self.out.extend_from_slice(b"[{\"type\":\"text\",\"text\":");
        write_string(&mut self.out, text);
        self.out.extend_from_slice(b"}]");
        if is_error {
            self.member("isError", b"true");
        }
        self
    }

    /// Says how long, in milliseconds, and by whom the result may be reused: required for `server/discover`, the lists and
    /// `resources/read` of the modern era, unknown to the legacy one and left out there.
    pub fn cache(&mut self, ttl_ms: u64, scope: CacheScope) -> &mut Self {
        if self.is_modern {
            self.member("ttlMs", ttl_ms.to_string().as_bytes());
            self.string("cacheScope", scope.as_str());
        }
        self
    }

    /// Closes the response. `server_info` is JSON, written only in the modern era.
    #[must_use]
    pub fn finish(self, server_info: &[u8]) -> Vec<u8> {
        self.finish_with_meta(server_info, &[])
    }

    /// [`Self::finish`] with further members of `_meta` and their JSON, which both eras get.
    #[must_use]
    pub fn finish_with_meta(mut self, server_info: &[u8], meta: &[(&str, &[u8])]) -> Vec<u8> {
        let own = self.is_modern.then_some((SERVER_INFO_KEY, server_info));
        let mut members = own.into_iter().chain(meta.iter().copied()).peekable();
        if members.peek().is_some() {
            self.name("_meta");
            self.out.push(b'{');
            self.is_empty = true;
            for (name, json) in members {
                self.member(name, json);
            }
            self.out.push(b'}');
        }
        self.out.extend_from_slice(b"}}");
        self.out
    }

    fn name(&mut self, name: &str) {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        write_string(&mut self.out, name);
        self.out.push(b':');
    }
}

/// Frames one message as a server-sent event: exactly `data: {…}` on one line and an empty line, because the vendor's clients read
/// the first such line and nothing else.
///
/// JSON can hold raw line breaks only between tokens, so that turning them into spaces changes nothing that it says.
#[must_use]
pub fn sse_event(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + 8);
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(json);
    for byte in out.iter_mut().filter(|byte| matches!(**byte, b'\n' | b'\r')) {
        *byte = b' ';
    }
    out.extend_from_slice(b"\n\n");
    out
}

fn open(out: &mut Vec<u8>, id: &RawValue) {
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id.get().as_bytes());
    out.extend_from_slice(b",\"result\":");
}
