//! Strict JSON: agreement with serde_json, duplicates, depth, size.

use amalgam_protocol::strict::{MAX_DEPTH, MAX_VALUES, parse, parse_slice};
use proptest::prelude::*;
use serde_json::Value;

use crate::any_json;

#[test]
fn names_the_duplicate_and_its_place() {
    let error = parse("{\"a\": {\n  \"n\": 1, \"n\": 2}}", MAX_DEPTH).unwrap_err();
    assert_eq!(error.message, "The member \"n\" appears twice in one object; send it once.");
    assert_eq!((error.line, error.column), (2, 13));
    assert_eq!(error.to_string(), format!("{} (line 2, column 13)", error.message));
}

#[test]
fn a_name_in_another_spelling_is_a_duplicate() {
    assert!(parse(r#"{"name":1,"\u006eame":2}"#, MAX_DEPTH).is_err());
    assert!(parse(r#"[{"a":{"b":1}},{"a":{"b":1,"b":1}}]"#, MAX_DEPTH).is_err());
    assert!(parse(r#"[{"a":{"b":1}},{"a":{"b":1}}]"#, MAX_DEPTH).is_ok());
}

#[test]
fn a_member_named_like_the_parsers_own_marker_is_refused() {
    // serde_json's own `Value` replaces such an object by the JSON inside its string: a second document in the first.
    for name in ["$serde_json::private::RawValue", r"\u0024serde_json::private::RawValue", "$serde_json::private::Number"] {
        for text in [format!(r#"{{"{name}":"[1]"}}"#), format!(r#"{{"a":[{{"{name}":"1"}}]}}"#)] {
            assert!(parse(&text, MAX_DEPTH).unwrap_err().message.contains("reserved"), "{text}");
        }
    }
}

#[test]
fn depth_is_exact_and_the_stack_is_safe() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for limit in [0, 1, 2, MAX_DEPTH, 127] {
        assert!(parse(&nested(limit.max(1)), limit).is_ok() == (limit > 0));
        assert!(parse(&nested(limit + 1), limit).is_err(), "{limit}");
    }
    assert!(parse("0", 0).is_ok());
    assert!(parse(&nested(128), usize::MAX).is_err());
    let error = parse(&nested(3), 2).unwrap_err();
    assert_eq!(error.message, "The JSON nests deeper than 2 levels.");
    assert!(parse(&"[".repeat(5_000_000), MAX_DEPTH).is_err());
    assert!(parse(&"{\"a\":".repeat(2_000_000), MAX_DEPTH).is_err());
}

#[test]
fn the_number_of_values_is_bounded() {
    let zeros = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
    assert!(parse(&zeros(MAX_VALUES - 1), MAX_DEPTH).is_ok());
    assert!(parse(&zeros(MAX_VALUES), MAX_DEPTH).unwrap_err().message.contains("more than 1000000 values"));
}

#[test]
fn bad_text_is_a_sentence() {
    let error = parse("{\"a\": }", MAX_DEPTH).unwrap_err();
    assert_eq!((error.message.as_str(), error.line, error.column), ("Expected value.", 1, 7));
    let error = parse_slice(b"{\n\"a\xff\"}", MAX_DEPTH).unwrap_err();
    assert_eq!((error.line, error.column), (2, 3));
    for text in ["", "1 2", "{}x", "nul", "\"\\ud800\"", "1e999", "[1,]", "{\"a\"}", "\"\u{1}\"", "\u{feff}{}"] {
        assert!(parse(text, MAX_DEPTH).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn agrees_with_serde_json(value in any_json()) {
        let text = value.to_string();
        prop_assert_eq!(parse(&text, MAX_DEPTH).unwrap(), value.clone());
        let pretty = serde_json::to_vec_pretty(&value).unwrap();
        prop_assert_eq!(parse_slice(&pretty, MAX_DEPTH).unwrap(), value);
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let ours = parse_slice(&bytes, MAX_DEPTH);
        if let Ok(value) = ours {
            prop_assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), value);
        }
    }

    #[test]
    fn json_like_text_does_no_harm(text in r#"[\[\]{}",:a0\\u 1eE.+-]{0,64}"#) {
        let theirs = serde_json::from_str::<Value>(&text);
        match parse(&text, MAX_DEPTH) {
            Ok(value) => prop_assert_eq!(theirs.unwrap(), value),
            Err(error) => prop_assert!(theirs.is_err() || error.message.contains("twice"), "{}", error),
        }
    }

    #[test]
    fn a_duplicate_is_refused_wherever_it_is(name in any::<String>(), before in any_json(), after in any_json(), depth in 0_usize..20) {
        let name = serde_json::to_string(&name).unwrap();
        let object = format!("{{{name}:{before},\"\u{1F980} other\":0,{name}:{after}}}");
        let text = format!("{}{object}{}", "[".repeat(depth), "]".repeat(depth));
        prop_assert!(parse(&text, MAX_DEPTH).unwrap_err().message.contains("twice"));
    }
}
