//! `Mcp-Param-*` headers against schemas and arguments.

use amalgam_protocol::param_header::{MAX_HEADERS, check_param_headers, param_headers};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::any_json;

fn schema() -> Value {
    json!({ "type": "object", "properties": {
        "region": { "type": "string", "x-mcp-header": "Region" },
        "plain": { "type": "string" },
        "page": { "type": "object", "properties": { "size": { "type": "integer", "x-mcp-header": "Page-Size" } } },
        "dry": { "type": "boolean", "x-mcp-header": "Dry" },
    } })
}

fn check(arguments: &Value, headers: &[(&str, &'static str)]) -> bool {
    let lookup = |name: &str| headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
    let outcome = check_param_headers(&schema(), arguments, &lookup);
    assert!(outcome.as_ref().err().is_none_or(|fault| fault.code == -32020 && fault.http == 400));
    outcome.is_ok()
}

#[test]
fn finds_the_declared_headers_in_order() {
    let found = param_headers(&schema()).unwrap();
    let names: Vec<_> = found.iter().map(|found| (found.header.as_str(), found.path.join("."))).collect();
    assert_eq!(
        names,
        [("Mcp-Param-Region", "region".into()), ("Mcp-Param-Page-Size", "page.size".into()), ("Mcp-Param-Dry", "dry".into())]
    );
    let arguments = json!({ "region": "é", "page": { "size": 3 } });
    let values: Vec<_> = found.iter().map(|found| found.value(&arguments)).collect();
    assert_eq!(values, [Some("=?base64?w6k=?=".to_owned()), Some("3".to_owned()), None]);
}

#[test]
fn header_and_argument_stand_or_fall_together() {
    assert!(check(&json!({}), &[]));
    assert!(check(&json!({ "region": null, "plain": "x" }), &[]));
    assert!(check(&json!({ "region": "eu" }), &[("mcp-param-region", " eu ")]));
    assert!(check(&json!({ "region": "Hello" }), &[("Mcp-Param-Region", "=?base64?SGVsbG8=?=")]));
    assert!(check(&json!({ "region": "SGVsbG8=" }), &[("Mcp-Param-Region", "SGVsbG8=")]));
    assert!(check(&json!({ "region": "=?base64?SGVsbG8=" }), &[("Mcp-Param-Region", "=?base64?SGVsbG8=")]));
    assert!(check(&json!({ "dry": true }), &[("Mcp-Param-Dry", "true")]));
    assert!(!check(&json!({ "region": "eu" }), &[]));
    assert!(!check(&json!({ "region": "eu" }), &[("Mcp-Param-Region", "EU")]));
    assert!(!check(&json!({}), &[("Mcp-Param-Region", "eu")]));
    assert!(!check(&json!({ "region": null }), &[("Mcp-Param-Region", "")]));
    assert!(!check(&json!({ "region": ["eu"] }), &[("Mcp-Param-Region", "eu")]));
    assert!(!check(&json!({ "region": "Hello" }), &[("Mcp-Param-Region", "=?base64?SGVsbG8?=")]));
    assert!(!check(&json!({ "region": "Hello" }), &[("Mcp-Param-Region", "=?base64?SGVs!!!bG8=?=")]));
    assert!(check(&json!("not an object"), &[]));
}

#[test]
fn integers_compare_as_numbers() {
    for (size, header) in [
        (json!(42), "42"),
        (json!(42), "42.0"),
        (json!(42.0), "42"),
        (json!(-0), "0"),
        (json!(7), "007"),
        (json!(18_446_744_073_709_551_615_u64), "18446744073709551615"),
    ] {
        assert!(check(&json!({ "page": { "size": size } }), &[("Mcp-Param-Page-Size", header)]), "{size} {header}");
    }
    for (size, header) in [
        (json!(42), "43"),
        (json!(42), "42.5"),
        (json!(42), "4.2e1"),
        (json!(42), "0x2a"),
        (json!(42), "-42"),
        (json!(42), "42."),
        (json!(18_446_744_073_709_551_615_u64), "18446744073709551616"),
        (json!(true), "1"),
    ] {
        assert!(!check(&json!({ "page": { "size": size } }), &[("Mcp-Param-Page-Size", header)]), "{size} {header}");
    }
}

#[test]
fn invalid_annotations_are_found() {
    let annotated = json!({ "type": "string", "x-mcp-header": "A" });
    for schema in [
        annotated.clone(),
        json!({ "properties": { "a": annotated, "b": { "type": "string", "x-mcp-header": "a" } } }),
        json!({ "properties": { "a": { "type": "array", "items": annotated } } }),
        json!({ "anyOf": [{ "properties": { "a": annotated } }] }),
        json!({ "$defs": { "a": annotated } }),
        json!({ "properties": { "a": { "type": "number", "x-mcp-header": "A" } } }),
        json!({ "properties": { "a": { "type": ["string"], "x-mcp-header": "A" } } }),
        json!({ "properties": { "a": { "type": "string", "x-mcp-header": "A B" } } }),
        json!({ "properties": { "a": { "type": "string", "x-mcp-header": "" } } }),
        json!({ "properties": { "a": { "type": "string", "x-mcp-header": 5 } } }),
    ] {
        assert!(param_headers(&schema).is_err(), "{schema}");
        assert!(check_param_headers(&schema, &json!({ "a": "x" }), &|_| None).is_ok());
    }
    // Data that looks like an annotation is not one.
    let data = json!({ "properties": { "a": { "default": annotated, "enum": [annotated], "const": annotated } } });
    assert_eq!(param_headers(&data).unwrap(), []);
    let property = json!({ "properties": { "x-mcp-header": { "type": "string" } } });
    assert_eq!(param_headers(&property).unwrap(), []);
}

#[test]
fn hostile_schemas_are_bounded() {
    let many = |count: usize| -> Value {
        let named = |at: usize| (format!("p{at}"), json!({ "type": "string", "x-mcp-header": format!("H{at}") }));
        json!({ "properties": (0..count).map(named).collect::<Map<_, _>>() })
    };
    assert_eq!(param_headers(&many(MAX_HEADERS)).unwrap().len(), MAX_HEADERS);
    assert!(param_headers(&many(MAX_HEADERS + 1)).is_err());
    assert!(param_headers(&many(20_000)).is_err());
    let deep = (0..100).fold(json!({}), |inner, _| json!({ "properties": { "a": inner } }));
    assert!(param_headers(&deep).is_err());
    let wide = json!({ "anyOf": vec![json!({}); 20_000] });
    assert!(param_headers(&wide).is_err());
}

proptest! {
    #[test]
    fn any_schema_does_no_harm(schema in any_json(), arguments in any_json()) {
        let _ = check_param_headers(&schema, &arguments, &|_| Some("x"));
    }

    #[test]
    fn what_a_client_would_send_passes(text in any::<String>(), size in any::<i64>(), dry in any::<bool>()) {
        let arguments = json!({ "region": text, "page": { "size": size }, "dry": dry });
        for declared in param_headers(&schema()).unwrap() {
            let value = declared.value(&arguments).unwrap();
            prop_assert!(declared.check(&arguments, Some(&value)).is_ok());
            prop_assert!(declared.check(&arguments, None).is_err());
        }
    }
}
