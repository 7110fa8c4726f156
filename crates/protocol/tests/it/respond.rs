//! The bytes of answers.

use amalgam_protocol::respond::{CacheScope, KEEP_ALIVE, ResultWriter, error, notification, result, sse_event, text_result};
use amalgam_protocol::{Era, Fault};
use proptest::prelude::*;
use serde_json::json;

use crate::{any_json, json as parsed, raw};

const LEGACY: Era = Era::Legacy { header_version: None };
const INFO: &[u8] = br#"{"name":"s","version":"1"}"#;

#[test]
fn exact_texts() {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    assert_eq!(text(result(&raw("1"), b"{}")), r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    assert_eq!(
        text(error(None, &Fault::unauthorized())),
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Authentication is missing or not valid; send a current access token or API key."}}"#
    );
    assert_eq!(text(notification("n/x", b"{}")), r#"{"jsonrpc":"2.0","method":"n/x","params":{}}"#);
    assert_eq!(
        text(text_result(LEGACY, &raw("\"a\""), INFO, "{\"x\":\"\n\"}", false, &[])),
        r#"{"jsonrpc":"2.0","id":"a","result":{"content":[{"type":"text","text":"{\"x\":\"\n\"}"}]}}"#
    );
    assert_eq!(
        text(text_result(Era::Modern, &raw("2"), INFO, "no", true, &[("structuredContent", b"[]")])),
        r#"{"jsonrpc":"2.0","id":2,"result":{"resultType":"complete","content":[{"type":"text","text":"no"}],"isError":true,"structuredContent":[],"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"1"}}}}"#
    );
}

#[test]
fn the_cache_hint_is_modern_only() {
    for (era, expected) in [
        (LEGACY, json!({ "tools": [], "_meta": { "a/b": 1 } })),
        (
            Era::Modern,
            json!({ "resultType": "complete", "tools": [], "ttlMs": 5, "cacheScope": "private",
                "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "s", "version": "1" }, "a/b": 1 } }),
        ),
    ] {
        let mut writer = ResultWriter::new(era, &raw("1"));
        writer.member("tools", b"[]").cache(5, CacheScope::Private);
        assert_eq!(parsed(&writer.finish_with_meta(INFO, &[("a/b", b"1")]))["result"], expected);
    }
    assert_eq!(parsed(&ResultWriter::new(LEGACY, &raw("1")).finish(INFO))["result"], json!({}));
}

#[test]
fn an_error_carries_its_data_and_its_id() {
    let fault = Fault::unsupported_version("2099-01-01");
    let error = parsed(&error(Some(&raw("\"x\"")), &fault));
    assert_eq!(error["id"], "x");
    assert_eq!(error["error"]["data"]["requested"], "2099-01-01");
    let fault = Fault::method_not_found(LEGACY, &format!("{}\n", "x".repeat(500)));
    assert!(fault.message.len() < 200);
}

#[test]
fn one_line_per_event() {
    assert_eq!(sse_event(b"{\n \"a\":\r\n1}"), b"data: {  \"a\":  1}\n\n");
    assert_eq!(KEEP_ALIVE, b":\n\n");
}

proptest! {
    #[test]
    fn text_survives_every_layer(text in any::<String>(), structured in any_json(), is_error in any::<bool>(), modern in any::<bool>()) {
        let era = if modern { Era::Modern } else { LEGACY };
        let extra = structured.to_string();
        let bytes = text_result(era, &raw("1"), INFO, &text, is_error, &[("structuredContent", extra.as_bytes())]);
        let response = parsed(&bytes);
        prop_assert_eq!(response["result"]["content"][0]["text"].as_str(), Some(text.as_str()));
        prop_assert_eq!(&response["result"]["structuredContent"], &structured);
        prop_assert_eq!(response["result"]["isError"] == json!(true), is_error);
        prop_assert_eq!(response["result"].get("resultType").is_some(), modern);
        let event = sse_event(&bytes);
        let line = event.strip_prefix(b"data: ").unwrap().strip_suffix(b"\n\n").unwrap();
        prop_assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
        prop_assert_eq!(parsed(line), response);
    }

    #[test]
    fn pretty_json_survives_framing(value in any_json()) {
        let event = sse_event(&serde_json::to_vec_pretty(&value).unwrap());
        prop_assert_eq!(event.iter().filter(|byte| **byte == b'\n').count(), 2);
        prop_assert_eq!(parsed(&event[6..]), value);
    }
}
