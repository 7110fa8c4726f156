//! Bodies: what is a message, what is not, and with which code it is refused.

use amalgam_protocol::envelope::{Body, MAX_BATCH, MAX_ID_BYTES, Message};
use amalgam_protocol::{Fault, Params};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::any_json;

fn single(text: &str) -> Result<Message<'_>, Fault> {
    match Body::parse(text.as_bytes())? {
        Body::Single(message) => Ok(message),
        Body::Batch(_) => panic!("a batch"),
    }
}

fn code(text: &str) -> i64 {
    let fault = Body::parse(text.as_bytes()).unwrap_err();
    assert_eq!(fault.http, 400);
    fault.code
}

#[test]
fn reads_each_kind() {
    let Message::Request(request) = single(r#" {"id": 7 ,"params":{"a":[1, 2]},"method":"tools\/call","jsonrpc":"2.0"}"#).unwrap() else {
        panic!()
    };
    assert_eq!((request.id.get(), &*request.method, request.params.unwrap().get()), ("7", "tools/call", r#"{"a":[1, 2]}"#));
    let message = single(r#"{"jsonrpc":"2.0","method":"notifications/initialized","params":null}"#).unwrap();
    assert!(matches!(&message, Message::Notification(notification) if notification.params.is_none()));
    let message = single(r#"{"jsonrpc":"2.0","id":"a","result":{}}"#).unwrap();
    assert!(matches!(&message, Message::Response(response) if response.outcome.is_ok()));
    let message = single(r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}"#).unwrap();
    assert!(matches!(&message, Message::Response(response) if response.outcome.is_err()));
}

#[test]
fn what_can_be_borrowed_is() {
    let Message::Request(request) = single(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).unwrap() else { panic!() };
    assert!(matches!(request.method, std::borrow::Cow::Borrowed("ping")));
}

#[test]
fn ids_are_echoed_as_written() {
    for id in ["0", "-1", "123456789012345678901234567890", r#""""#, r#""\u0061""#, r#""é""#] {
        let text = format!(r#"{{"jsonrpc":"2.0","method":"ping","id":{id}}}"#);
        assert_eq!(single(&text).unwrap().request_id().unwrap().get(), id);
    }
    let long = format!("\"{}\"", "x".repeat(MAX_ID_BYTES));
    for id in ["null", "1.0", "1e3", "true", "{}", "[]", r#""\ud800""#, &long] {
        let text = format!(r#"{{"jsonrpc":"2.0","method":"ping","id":{id}}}"#);
        assert_eq!(code(&text), -32600, "{id}");
    }
}

#[test]
fn bad_syntax_is_a_parse_error() {
    for text in ["", " \n", "{", "{\"jsonrpc\":\"2.0\",", "nonsense", "[1,2", "{}{}", "{\"a\":1}x", "\"open", "\u{feff}{}"] {
        assert_eq!(code(text), -32700, "{text}");
    }
    assert_eq!(Body::parse(b"{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}").unwrap_err().code, -32700);
}

#[test]
fn wrong_shapes_are_invalid_requests() {
    for text in [
        "1",
        "null",
        "\"text\"",
        "[]",
        "{}",
        r#"{"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":5}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":null,"result":{}}"#,
    ] {
        assert_eq!(code(text), -32600, "{text}");
    }
}

#[test]
fn duplicates_are_refused_even_where_nobody_looks() {
    for twice in ["\"id\":1", "\"method\":\"a\"", "\"params\":{}", "\"jsonrpc\":\"2.0\"", "\"x\":1", "\"result\":null"] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping",{twice},{twice}}}"#);
        let fault = Body::parse(text.as_bytes()).unwrap_err();
        assert_eq!(fault.code, -32600);
        assert!(fault.message.contains("twice"), "{fault}");
    }
    assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":"a","m\u0065thod":"b"}"#), -32600);
}

#[test]
fn a_batch_keeps_its_order_and_its_faults() {
    let Body::Batch(messages) = Body::parse(br#"[{"jsonrpc":"2.0","id":1,"method":"ping"}, 5, {"jsonrpc":"2.0","method":"n"}]"#).unwrap()
    else {
        panic!()
    };
    assert!(matches!(messages.as_slice(), [Ok(Message::Request(_)), Err(_), Ok(Message::Notification(_))]));
    let many = |count: usize| format!("[{}1]", "1,".repeat(count - 1));
    assert!(Body::parse(many(MAX_BATCH).as_bytes()).is_ok());
    assert_eq!(code(&many(MAX_BATCH + 1)), -32600);
}

#[test]
fn deep_nesting_costs_no_stack() {
    let deep = "[".repeat(3_000_000);
    assert_eq!(code(&deep), -32700);
    let closed = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"arguments":{{"a":{closed}}}}}}}"#);
    let message = single(&text).unwrap();
    let params = Params::parse(message.params().unwrap()).unwrap();
    assert!(amalgam_protocol::strict::parse(params.arguments.unwrap().get(), 64).is_err());
}

/// What a response brings beside its result is not its result.
#[test]
fn the_members_of_a_response_are_those_of_its_result() {
    for result in ["[1,2]", "{}", "\"text\"", "{\"b\":1}"] {
        let text = format!(r#"{{"jsonrpc":"2.0","params":{{"a":1}},"id":1,"result":{result}}}"#);
        let Ok(Body::Single(Message::Response(response))) = Body::parse(text.as_bytes()) else { panic!("{text}") };
        assert!(response.members.is_none_or(|members| members.get("a").is_none()), "{text}");
        assert_eq!(response.outcome.unwrap().get(), result);
    }
    let plain = r#"{"jsonrpc":"2.0","id":1,"result":{"b":1}}"#;
    let Ok(Body::Single(Message::Response(response))) = Body::parse(plain.as_bytes()) else { panic!("{plain}") };
    assert_eq!(response.members.unwrap().get("b"), Some("1"));
}

proptest! {
    #[test]
    fn agrees_with_serde_json(id in any::<i64>(), method in any::<String>(), arguments in any_json(), other in any_json()) {
        let params = json!({ "name": method, "arguments": { "a": arguments }, "b": other });
        let whole = json!({ "extra": other, "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let text = serde_json::to_string_pretty(&whole).unwrap();
        let message = single(&text).unwrap();
        prop_assert_eq!(message.method().unwrap(), method.as_str());
        prop_assert_eq!(message.request_id().unwrap().get(), id.to_string());
        let parsed = Params::parse(message.params().unwrap()).unwrap();
        prop_assert_eq!(parsed.name.as_deref(), Some(method.as_str()));
        prop_assert_eq!(serde_json::from_str::<Value>(parsed.arguments.unwrap().get()).unwrap(), params["arguments"].clone());
        prop_assert_eq!(serde_json::from_str::<Value>(parsed.raw.get()).unwrap(), params);
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        if let Ok(Body::Single(message)) = Body::parse(&bytes) {
            let _ = message.params().map(Params::parse);
        }
    }

    #[test]
    fn any_members_do_no_harm(names in prop::collection::vec("jsonrpc|id|method|params|result|error|x", 0..6), values in prop::collection::vec(any_json(), 6)) {
        let members: Vec<String> = names.iter().zip(&values).map(|(name, value)| format!("{name:?}:{value}")).collect();
        let text = format!("{{{}}}", members.join(","));
        if let Ok(Body::Single(message)) = Body::parse(text.as_bytes()) {
            let _ = message.params().map(Params::parse);
            let mut unique = names.clone();
            unique.sort();
            unique.dedup();
            prop_assert_eq!(unique.len(), names.len());
        }
    }

    #[test]
    fn refuses_exactly_what_is_not_json(text in r#"[\[\]{}",:a0\\ 1e.-]{1,48}"#) {
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        let code = Body::parse(text.as_bytes()).err().map(|fault| fault.code);
        // A wrong shape may be reported before a later error of syntax is reached.
        prop_assert!(!is_json || code != Some(-32700), "{}", text);
    }
}
