//! Single members change, everything else keeps its text.

use amalgam_protocol::splice::{Object, elements, string};
use proptest::prelude::*;

#[test]
fn other_members_keep_their_text() {
    let text = "{ \"z\" : 1.50, \"a\\u0062\": [1,  2], \"n\": 12345678901234567890 }";
    let mut object = Object::parse(text).unwrap();
    object.set_text("ab", "x\"y");
    object.set("new", "null");
    assert_eq!(object.to_string(), "{\"z\":1.50,\"ab\":\"x\\\"y\",\"n\":12345678901234567890,\"new\":null}");
    assert_eq!(object.remove("n").as_deref(), Some("12345678901234567890"));
    object.lead("first", "1");
    assert!(object.to_string().starts_with("{\"first\":1,\"z\":1.50"));
    assert_eq!(object.text("ab").as_deref(), Some("x\"y"));
}

#[test]
fn what_is_no_object_or_says_a_member_twice_is_refused() {
    for text in ["", "1", "[]", "null", "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "{\"a\":1} x", "{\"a\":}"] {
        assert!(Object::parse(text).is_err(), "{text}");
    }
}

#[test]
fn elements_and_strings() {
    assert_eq!(elements("[ {\"a\": 1.0} , 2 ]").unwrap(), ["{\"a\": 1.0}", "2"]);
    assert!(elements("{}").is_none());
    assert_eq!(string("\"a\\nb\"").as_deref(), Some("a\nb"));
    assert!(string("1").is_none());
}

/// Pieces of JSON and of what is almost JSON.
fn nearly_json() -> impl Strategy<Value = String> {
    const PIECES: [&str; 28] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"b\"",
        "\"\\u0061\"",
        "\"\\x\"",
        "\"\\ud800\"",
        "\"\t\"",
        "\"",
        "0",
        "-1",
        "01",
        "1.5e-7",
        "1.",
        "-",
        "true",
        "nul",
        "null",
        " ",
        "\n",
        "{\"a\":",
        "[1,",
        "\"é\"",
        "\"0123456789012345678901234567890123456789012345678901234567890123456789\"",
    ];
    let jumble = proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..12).prop_map(|pieces| pieces.concat());
    prop_oneof![
        jumble.clone().prop_map(|text| format!("{{\"a\":{text}}}")),
        jumble,
        (crate::any_json(), any::<prop::sample::Index>(), any::<char>()).prop_map(|(value, at, with)| {
            let mut text: Vec<char> = format!("{{\"a\":{value}, \"b\" : [{value}]}}").chars().collect();
            let at = at.index(text.len());
            text[at] = with;
            text.into_iter().collect()
        }),
        crate::any_json().prop_map(|value| value.to_string()),
    ]
}

proptest! {
    // The quick reader and serde_json's see the same in every text.
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn two_readers_never_see_two_documents(text in nearly_json()) {
        let quick = Object::parse(&text).ok();
        let slow = serde_json::from_str::<Object<'_>>(&text).ok();
        let all = |object: &Object<'_>| object.iter().map(|(name, json)| (name.to_owned(), json.to_owned())).collect::<Vec<_>>();
        prop_assert_eq!(quick.as_ref().map(all), slow.as_ref().map(all));
    }
}

proptest! {
    #[test]
    fn written_and_read_again_it_is_the_same(names in proptest::collection::hash_set(".{0,8}", 0..6), value in -1000i64..1000) {
        let mut object = Object::default();
        for name in &names {
            object.set(name.as_str(), value.to_string());
        }
        let text = object.to_string();
        let read: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read.len(), names.len());
        prop_assert_eq!(Object::parse(&text).unwrap().to_string(), text);
    }
}
