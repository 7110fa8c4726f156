//! What is challenged, and what only looks like it.

use amalgam_protocol::challenge::{Challenge, challenges};
use proptest::prelude::*;

/// `(scheme, [(name, value)])`, shorter to write.
fn read(value: &str) -> Vec<(String, Vec<(String, String)>)> {
    challenges(value).into_iter().map(|challenge| (challenge.scheme, challenge.parameters)).collect()
}

fn of(scheme: &str, parameters: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
    (scheme.to_owned(), parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

#[test]
fn schemes_parameters_and_token68() {
    let table = [
        ("", vec![]),
        (" , ,", vec![]),
        ("Bearer", vec![of("Bearer", &[])]),
        ("Bearer scope=\"a b\", error=invalid_token", vec![of("Bearer", &[("scope", "a b"), ("error", "invalid_token")])]),
        ("Bearer Scope = a ,\t, ERROR= \"b\"", vec![of("Bearer", &[("scope", "a"), ("error", "b")])]),
        ("Negotiate, Bearer scope=a", vec![of("Negotiate", &[]), of("Bearer", &[("scope", "a")])]),
        ("Negotiate YII+/9==, Bearer scope=a", vec![of("Negotiate", &[]), of("Bearer", &[("scope", "a")])]),
        ("Basic realm=\"x\", bearer scope=a", vec![of("Basic", &[("realm", "x")]), of("bearer", &[("scope", "a")])]),
        // RFC 9110, section 11.6.1.
        (
            "Basic realm=\"simple\", Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\"",
            vec![of("Basic", &[("realm", "simple")]), of("Newauth", &[("realm", "apps"), ("type", "1"), ("title", "Login to \"apps\"")])],
        ),
        // Commas that were forgotten.
        (
            "Bearer realm=\"x\" scope=\"a b\" Basic realm=y",
            vec![of("Bearer", &[("realm", "x"), ("scope", "a b")]), of("Basic", &[("realm", "y")])],
        ),
        // Text in quotes is nothing but text.
        (
            "Bearer realm=\"a, resource_metadata=evil\", scope=b",
            vec![of("Bearer", &[("realm", "a, resource_metadata=evil"), ("scope", "b")])],
        ),
        ("Basic realm=\", Bearer scope=evil\"", vec![of("Basic", &[("realm", ", Bearer scope=evil")])]),
        // What comes after a fault is not read.
        ("Bearer scope=\"never ends", vec![of("Bearer", &[])]),
        ("Bearer scope=a\", error=b", vec![of("Bearer", &[])]),
        ("Bearer scope=a, error=\"say \"b, scope=evil\"", vec![of("Bearer", &[("scope", "a")])]),
        ("scope=a, Bearer scope=b", vec![]),
        ("\"Bearer scope=a\"", vec![]),
    ];
    for (value, expected) in table {
        assert_eq!(read(value), expected, "{value}");
    }
    assert!(challenges(&format!("Bearer realm=\"{}\"", "x".repeat(10_000))).is_empty());
    let challenge = challenges("bearer SCOPE=a, scope=b").remove(0);
    assert!(challenge.is("Bearer") && !challenge.is("Basic"));
    assert_eq!((challenge.get("scope"), challenge.get("realm")), (Some("a"), None));
}

/// As servers write it; the value is always quoted, whatever is in it.
fn written(challenge: &Challenge) -> String {
    let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
    let parameters: Vec<String> = challenge.parameters.iter().map(|(name, value)| format!("{name}=\"{}\"", quoted(value))).collect();
    format!("{} {}", challenge.scheme, parameters.join(", "))
}

proptest! {
    /// Nothing inside quotes becomes a parameter or a challenge, and nothing is lost.
    #[test]
    fn quoted_text_is_never_taken_for_more(
        all in prop::collection::vec(
            (
                "[A-Z][a-z]{0,6}",
                prop::collection::vec(
                    ("[a-z_]{1,8}", prop_oneof!["\\PC{0,20}", "[a, =\"\\\\]{0,12}", Just("\", Bearer scope=\"x, error=y".to_owned())]),
                    1..4,
                ),
            ),
            1..4,
        ),
    ) {
        let all: Vec<Challenge> = all.into_iter().map(|(scheme, parameters)| Challenge { scheme, parameters }).collect();
        let value = all.iter().map(written).collect::<Vec<_>>().join(", ");
        prop_assert_eq!(challenges(&value), all);
    }

    #[test]
    fn any_text_is_read(value in "\\PC{0,200}") {
        prop_assert!(challenges(&value).iter().all(|challenge| !challenge.scheme.contains([' ', ',', '"'])));
    }
}
