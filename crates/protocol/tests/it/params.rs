//! Parameters and the `_meta` envelope.

use amalgam_protocol::{Body, Fault, Params};
use proptest::prelude::*;

use crate::raw;

fn fault(text: &str) -> Fault {
    Params::parse(&raw(text)).unwrap_err()
}

#[test]
fn reads_what_the_endpoint_acts_on() {
    let raw = raw(r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},
        "io.modelcontextprotocol/clientInfo":{"name":"c"},"progressToken":7,"io.modelcontextprotocol/logLevel":"info","traceparent":"00"},
        "name":"n","uri":"u","taskId":"t","cursor":"c","protocolVersion":"p","arguments":{"a":1},"inputResponses":{}}"#);
    let params = Params::parse(&raw).unwrap();
    assert_eq!(params.claimed_version(), Some("2026-07-28"));
    assert_eq!(params.name.as_deref(), Some("n"));
    assert_eq!(params.uri.as_deref(), Some("u"));
    assert_eq!(params.task_id.as_deref(), Some("t"));
    assert_eq!(params.cursor.as_deref(), Some("c"));
    assert_eq!(params.protocol_version.as_deref(), Some("p"));
    assert_eq!(params.arguments.unwrap().get(), r#"{"a":1}"#);
    let meta = params.meta.unwrap();
    assert_eq!(meta.client_capabilities.unwrap().get(), "{}");
    assert_eq!(meta.client_info.unwrap().get(), r#"{"name":"c"}"#);
    assert_eq!(meta.progress_token.unwrap().get(), "7");
    assert_eq!(meta.log_level.as_deref(), Some("info"));
    assert!(meta.raw.get().contains("traceparent"));
}

#[test]
fn null_is_absent() {
    let raw = raw(r#"{"name":null,"cursor":null,"arguments":null,"_meta":null}"#);
    let params = Params::parse(&raw).unwrap();
    assert!(params.name.is_none() && params.cursor.is_none() && params.arguments.is_none() && params.meta.is_none());
}

#[test]
fn wrong_types_name_the_member() {
    for (text, name) in [
        (r#"{"name":1}"#, "name"),
        (r#"{"uri":[]}"#, "uri"),
        (r#"{"taskId":{}}"#, "taskId"),
        (r#"{"cursor":5}"#, "cursor"),
        (r#"{"arguments":"{}"}"#, "arguments"),
        (r#"{"arguments":[]}"#, "arguments"),
        ("[]", "params"),
        ("5", "params"),
    ] {
        let fault = fault(text);
        assert_eq!((fault.code, fault.http), (-32602, 200), "{text}");
        assert!(fault.message.contains(&format!("{name:?}")), "{fault}");
    }
    for (member, name) in [
        ("5", "_meta"),
        ("[]", "_meta"),
        (r#"{"io.modelcontextprotocol/protocolVersion":5}"#, "io.modelcontextprotocol/protocolVersion"),
        (r#"{"io.modelcontextprotocol/clientCapabilities":[]}"#, "io.modelcontextprotocol/clientCapabilities"),
        (r#"{"io.modelcontextprotocol/clientInfo":"x"}"#, "io.modelcontextprotocol/clientInfo"),
        (r#"{"io.modelcontextprotocol/logLevel":"loud"}"#, "io.modelcontextprotocol/logLevel"),
        (r#"{"progressToken":1.5}"#, "progressToken"),
    ] {
        let fault = fault(&format!(r#"{{"_meta":{member}}}"#));
        assert_eq!((fault.code, fault.http), (-32602, 400), "{member}");
        assert!(fault.message.contains(&format!("{name:?}")), "{fault}");
    }
}

#[test]
fn duplicates_are_refused_at_both_levels() {
    for twice in [r#""name":"a""#, r#""arguments":{}"#, r#""_meta":{}"#, r#""other":1"#, r#""name":null"#] {
        let fault = fault(&format!("{{{twice},{twice}}}"));
        assert!(fault.code == -32602 && fault.message.contains("twice"), "{fault}");
    }
    for twice in [r#""progressToken":1"#, r#""other":1"#] {
        let fault = fault(&format!(r#"{{"_meta":{{{twice},{twice}}}}}"#));
        assert!(fault.http == 400 && fault.message.contains("twice"), "{fault}");
    }
}

/// Some readers ignore the case of letters, and the last of such members wins there.
#[test]
fn members_in_other_letters_are_refused_at_both_levels() {
    for other in ["Name", "NAME", "taskid", "_Meta", "Arguments", "requeststate", "ta\u{17f}kId", "TA\u{17f}\u{212a}ID", "ur\u{131}"] {
        let fault = fault(&format!(r#"{{"name":"a",{other:?}:"b"}}"#));
        assert!(fault.code == -32602 && fault.message.contains("other letters"), "{fault}");
    }
    let many: String = (0..40).map(|n| format!(r#""x{n}":1,"#)).collect();
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"x"}"#.to_owned(),
        format!(r#"{{{many}"jsonrpc":"2.0","ID":1,"id":1,"result":1}}"#),
    ] {
        let fault = Body::parse(text.as_bytes()).unwrap_err();
        assert!(fault.code == -32600 && fault.message.contains("other letters"), "{fault}");
    }
    assert!(Params::parse(&raw(r#"{"name":"a","names":"b","Title":1,"nom":2}"#)).is_ok());
}

proptest! {
    /// Whether parameters are read with the message or after it, the same comes of them.
    #[test]
    fn one_pass_and_two_agree(names in prop::collection::vec("name|uri|_meta|Name|x[0-9]", 0..4), values in prop::collection::vec(r#""[a-z\\n]{0,3}"|\{\}|\{"a":1\}|null|[0-9]"#, 4)) {
        let members: Vec<String> = names.iter().zip(&values).map(|(name, value)| format!("{name:?}:{value}")).collect();
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{{}}}}}"#, members.join(","));
        if let Ok(Body::Single(mut message)) = Body::parse(text.as_bytes()) {
            let apart = message.params().map(Params::parse).transpose();
            let at_once = message.read_params();
            prop_assert_eq!(format!("{apart:?}"), format!("{at_once:?}"));
        }
    }

    #[test]
    fn strings_come_out_as_they_went_in(name in any::<String>(), cursor in any::<String>()) {
        let text = serde_json::json!({ "name": name, "cursor": cursor }).to_string();
        let raw = raw(&text);
        let params = Params::parse(&raw).unwrap();
        prop_assert_eq!(params.name.as_deref(), Some(name.as_str()));
        prop_assert_eq!(params.cursor.as_deref(), Some(cursor.as_str()));
    }
}
