//! The ladder, step by step, in the order of its steps.

use amalgam_protocol::classify::{batch_allowed, is_legacy_method, is_modern_method};
use amalgam_protocol::envelope::Message;
use amalgam_protocol::header::{MAX_VALUE_BYTES, decoded, encoded};
use amalgam_protocol::{Era, Fault, HeaderView, Params, Revision, classify};
use proptest::prelude::*;
use serde_json::{Value, json};

const MODERN: &str = "2026-07-28";

/// Runs one message through the ladder.
fn run(headers: HeaderView<'_>, message: &Value) -> Result<Era, Fault> {
    let text = message.to_string();
    let message = Message::parse(&text)?;
    let params = message.params().map(Params::parse).transpose()?;
    classify(&headers, &message, params.as_ref())
}

fn envelope(version: &str) -> Value {
    json!({ "io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientCapabilities": {} })
}

fn call(method: &str, mut params: Value) -> Value {
    params["_meta"] = envelope(MODERN);
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

fn bare(method: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method })
}

fn headers<'a>(method: &'a str, name: Option<&'a str>) -> HeaderView<'a> {
    HeaderView { protocol_version: Some(MODERN), method: Some(method), name, duplicates: false }
}

fn version(protocol_version: &str) -> HeaderView<'_> {
    HeaderView { protocol_version: Some(protocol_version), ..HeaderView::default() }
}

fn refused(headers: HeaderView<'_>, message: &Value) -> (i64, u16) {
    let fault = run(headers, message).unwrap_err();
    (fault.code, fault.http)
}

#[test]
fn legacy_traffic_needs_nothing() {
    let era = run(HeaderView::default(), &bare("tools/list")).unwrap();
    assert_eq!(era, Era::Legacy { header_version: None });
    assert_eq!(era.revision(), Revision::V2025_03_26);
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        assert_eq!(run(version(revision), &bare("ping")).unwrap().revision().as_str(), revision);
    }
    assert_eq!(refused(version("yesterday"), &bare("ping")), (-32600, 400));
    assert_eq!(refused(version("2025-01-01"), &bare("ping")), (-32600, 400));
    assert_eq!(refused(HeaderView::default(), &bare("server/discover")), (-32601, 200));
    assert_eq!(refused(HeaderView::default(), &bare("nonsense")), (-32601, 200));
}

#[test]
fn initialize_is_legacy_unless_it_carries_a_whole_modern_envelope() {
    assert!(!run(HeaderView::default(), &bare("initialize")).unwrap().is_modern());
    assert!(!run(version("garbage"), &bare("initialize")).unwrap().is_modern());
    assert_eq!(refused(version(MODERN), &bare("initialize")), (-32020, 400));
    let claimed = call("initialize", json!({}));
    assert_eq!(refused(headers("initialize", None), &claimed), (-32601, 404));
    let mut partial = claimed;
    partial["params"]["_meta"] = json!({ "io.modelcontextprotocol/protocolVersion": MODERN });
    assert!(!run(HeaderView::default(), &partial).unwrap().is_modern());
    partial["params"]["_meta"] = envelope("2025-11-25");
    assert!(!run(HeaderView::default(), &partial).unwrap().is_modern());
}

#[test]
fn an_incomplete_envelope_is_invalid_params_with_400() {
    for params in [json!({}), json!({ "_meta": {} }), json!({ "_meta": { "io.modelcontextprotocol/clientCapabilities": {} } })] {
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": params });
        assert_eq!(refused(headers("server/discover", None), &message), (-32602, 400));
    }
    assert_eq!(refused(headers("server/discover", None), &bare("server/discover")), (-32602, 400));
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "server/discover",
        "params": { "_meta": { "io.modelcontextprotocol/protocolVersion": MODERN } } });
    assert_eq!(refused(headers("server/discover", None), &message), (-32602, 400));
    assert_eq!(refused(version("2027-01-01"), &bare("tools/list")), (-32602, 400));
}

#[test]
fn versions_must_agree_and_be_served() {
    let mut message = call("tools/list", json!({}));
    assert_eq!(refused(version("2025-11-25"), &message), (-32020, 400));
    message["params"]["_meta"] = envelope("2027-01-01");
    let fault = run(version("2027-01-01"), &message).unwrap_err();
    assert_eq!((fault.code, fault.http), (-32022, 400));
    let data = fault.data.unwrap();
    assert_eq!(data["requested"], "2027-01-01");
    assert_eq!(data["supported"], json!(["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]));
    message["params"]["_meta"] = envelope("2025-11-25");
    assert_eq!(refused(version("2025-11-25"), &message), (-32022, 400));
    message["params"]["_meta"] = envelope("");
    assert_eq!(refused(HeaderView::default(), &message), (-32022, 400));
}

#[test]
fn required_headers_are_required() {
    let message = call("tools/list", json!({}));
    assert!(run(headers("tools/list", None), &message).unwrap().is_modern());
    assert_eq!(refused(HeaderView::default(), &message), (-32020, 400));
    assert_eq!(refused(version(MODERN), &message), (-32020, 400));
    for wrong in ["prompts/list", "TOOLS/LIST", ""] {
        assert_eq!(refused(headers(wrong, None), &message), (-32020, 400), "{wrong}");
    }
    assert!(run(headers(" tools/list\t", None), &message).is_ok());
    assert_eq!(refused(HeaderView { duplicates: true, ..headers("tools/list", None) }, &message), (-32020, 400));
}

#[test]
fn the_name_header_repeats_the_named_member() {
    for (method, member) in [
        ("tools/call", "name"),
        ("prompts/get", "name"),
        ("resources/read", "uri"),
        ("tasks/get", "taskId"),
        ("tasks/update", "taskId"),
        ("tasks/cancel", "taskId"),
    ] {
        let message = call(method, json!({ member: "é x" }));
        let base64 = encoded("é x");
        assert!(run(headers(method, Some(&base64)), &message).is_ok());
        assert!(run(headers(method, Some("  =?base64?w6kgeA==?= ")), &message).is_ok());
        for wrong in [None, Some("é"), Some("=?base64?w6kgeA=?="), Some("=?base64?w6kgeA?="), Some("=?base64?!!!!?="), Some("")] {
            assert_eq!(refused(headers(method, wrong), &message), (-32020, 400), "{method} {wrong:?}");
        }
        // Without the member there is nothing to compare; the method refuses it in its own words.
        assert!(run(headers(method, None), &call(method, json!({}))).is_ok());
    }
    assert!(run(headers("tools/list", Some("ignored")), &call("tools/list", json!({}))).is_ok());
}

#[test]
fn removed_and_unknown_methods_are_404() {
    for method in ["ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "tasks/list", "tasks/result", "nope"] {
        assert_eq!(refused(headers(method, None), &call(method, json!({}))), (-32601, 404), "{method}");
        assert!(!is_modern_method(method));
    }
    assert!(is_modern_method("server/discover") && !is_legacy_method("server/discover"));
    assert!(is_legacy_method("ping"));
}

#[test]
fn the_header_decides_for_notifications() {
    let message = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
    assert!(!run(HeaderView::default(), &message).unwrap().is_modern());
    assert!(run(version(MODERN), &message).unwrap().is_modern());
    assert_eq!(refused(headers("notifications/other", None), &message), (-32020, 400));
    assert_eq!(refused(version("2027-01-01"), &message), (-32022, 400));
    let claimed = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "_meta": envelope(MODERN) } });
    assert!(run(HeaderView::default(), &claimed).unwrap().is_modern());
    assert_eq!(refused(version("2025-11-25"), &claimed), (-32020, 400));
}

#[test]
fn responses_exist_only_in_the_legacy_era() {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "result": {} });
    assert!(!run(version("2025-11-25"), &message).unwrap().is_modern());
    assert_eq!(refused(version(MODERN), &message), (-32600, 400));
}

#[test]
fn batches_are_for_the_oldest_revisions() {
    assert!(batch_allowed(&HeaderView::default()).is_ok());
    assert!(batch_allowed(&version("2025-03-26")).is_ok());
    for later in ["2025-06-18", "2025-11-25", MODERN, "x"] {
        assert_eq!(batch_allowed(&version(later)).unwrap_err().code, -32600);
    }
}

#[test]
fn half_a_frame_stands_for_itself() {
    for text in ["=?base64?SGVsbG8=", "SGVsbG8=", "base64?SGVsbG8=?=", "=?base64?=", "=?BASE64?SGVsbG8=?="] {
        assert_eq!(decoded(text).as_deref(), Some(text));
    }
    assert_eq!(decoded("=?base64??=").as_deref(), Some(""));
    assert_eq!(decoded("=?base64?SGVsbG9=?="), None, "trailing bits");
    assert_eq!(decoded("=?base64?/w==?="), None, "not UTF-8");
    assert_eq!(decoded(&"x".repeat(MAX_VALUE_BYTES + 1)), None);
}

proptest! {
    #[test]
    fn encoding_comes_back(text in any::<String>()) {
        let value = encoded(&text).into_owned();
        prop_assert!(value.bytes().all(|byte| (0x20..=0x7e).contains(&byte)));
        prop_assert_eq!(decoded(&value).unwrap(), text.as_str());
    }

    #[test]
    fn any_headers_do_no_harm(v in any::<Option<String>>(), m in any::<Option<String>>(), n in any::<Option<String>>(), duplicates in any::<bool>()) {
        let view = HeaderView { protocol_version: v.as_deref(), method: m.as_deref(), name: n.as_deref(), duplicates };
        for message in [bare("tools/call"), call("tools/call", json!({ "name": "x" })), bare("initialize")] {
            let _ = run(view, &message);
        }
    }
}
