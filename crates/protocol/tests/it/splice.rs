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
