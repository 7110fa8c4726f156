//! String escaping equals serde_json's, byte for byte.

use amalgam_protocol::escape::write_string;
use proptest::prelude::*;

fn escaped(text: &str) -> String {
    let mut out = Vec::new();
    write_string(&mut out, text);
    String::from_utf8(out).unwrap()
}

#[test]
fn every_character_of_the_first_planes_at_every_offset() {
    for offset in 0..9 {
        for character in (0..0x300).chain([0x2028, 0x2029, 0xfffd, 0x1f980]).filter_map(char::from_u32) {
            let text = format!("{}{character}{}", "x".repeat(offset), "y".repeat(9));
            assert_eq!(escaped(&text), serde_json::to_string(&text).unwrap());
        }
    }
}

proptest! {
    #[test]
    fn equals_serde_json(text in any::<String>()) {
        prop_assert_eq!(escaped(&text), serde_json::to_string(&text).unwrap());
    }

    #[test]
    fn equals_serde_json_where_escapes_are_many(text in "[a-z\"\\\\\u{0}-\u{20}\u{7f}é]{0,200}") {
        prop_assert_eq!(escaped(&text), serde_json::to_string(&text).unwrap());
    }
}
