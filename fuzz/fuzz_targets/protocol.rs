//! Any headers and body as one POST: it is read, judged and answered without a panic, and every answer is JSON.
//!
//! Input: one line each for `MCP-Protocol-Version`, `Mcp-Method`, `Mcp-Name`, `Accept` and `Content-Type` (empty: not sent); then the body.
#![no_main]

use amalgam_protocol::accept::{accepts, content_type_is_json};
use amalgam_protocol::challenge::challenges;
use amalgam_protocol::classify::batch_allowed;
use amalgam_protocol::listen::Filter;
use amalgam_protocol::param_header::{check_param_headers, param_headers};
use amalgam_protocol::strict::{MAX_DEPTH, parse_slice};
use amalgam_protocol::{Body, Fault, HeaderView, Message, Params, classify, respond};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::value::RawValue;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.splitn(6, |byte| *byte == b'\n');
    let mut line = || parts.next().and_then(|line| std::str::from_utf8(line).ok()).filter(|line| !line.is_empty());
    let (protocol_version, method, name, accept, content_type) = (line(), line(), line(), line(), line());
    let headers = HeaderView { protocol_version, method, name, duplicates: false };
    let body = parts.next().unwrap_or_default();

    accepts(accept);
    accept.map(challenges);
    content_type.map(content_type_is_json);
    let strict = parse_slice(body, MAX_DEPTH).ok();
    match Body::parse(body) {
        Err(fault) => refused(None, &fault),
        Ok(Body::Single(message)) => post(&headers, &message, strict.as_ref()),
        Ok(Body::Batch(messages)) => {
            if let Err(fault) = batch_allowed(&headers) {
                refused(None, &fault);
            }
            for message in messages {
                match message {
                    Ok(message) => post(&headers, &message, None),
                    Err(fault) => refused(None, &fault),
                }
            }
        }
    }
    if let Some(value) = &strict {
        schema(value);
    }
});

/// One message through every step of the endpoint. `strict` is the same body, read by the other parser.
fn post(headers: &HeaderView<'_>, message: &Message<'_>, strict: Option<&Value>) {
    if let (Some(value), Some(method)) = (strict, message.method()) {
        assert_eq!(value.get("method").and_then(Value::as_str), Some(method), "two readers see two methods");
    }
    let id = message.request_id();
    let params = match message.params().map(Params::parse).transpose() {
        Ok(params) => params,
        Err(fault) => return refused(id, &fault),
    };
    if let Some(params) = &params {
        let arguments = params.arguments.and_then(|raw| parse_slice(raw.get().as_bytes(), MAX_DEPTH).ok());
        let expected = strict.and_then(|value| value.pointer("/params/arguments")).filter(|value| !value.is_null());
        assert!(strict.is_none() || arguments.as_ref() == expected, "two readers see two sets of arguments");
    }
    for fault in [classify(headers, message, params.as_ref()).err(), Filter::parse(params.as_ref()).err()].into_iter().flatten() {
        refused(id, &fault);
    }
    if let Some(id) = id {
        is_json(&respond::result(id, b"{}"));
    }
}

/// Any JSON as a tool's schema, and as the arguments for it.
fn schema(value: &Value) {
    let lookup = |_: &str| Some("=?base64?YQ==?=");
    if param_headers(value).is_ok() {
        drop(check_param_headers(value, value, &lookup));
    }
}

fn refused(id: Option<&RawValue>, fault: &Fault) {
    is_json(&respond::error(id, fault));
}

fn is_json(bytes: &[u8]) {
    serde_json::from_slice::<&RawValue>(bytes).expect("what is answered is JSON");
}
