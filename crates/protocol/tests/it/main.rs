//! The protocol crate from outside: each module mirrors one of `src`.
#![expect(clippy::unwrap_used, reason = "helpers of tests; a panic is the failure")]

mod accept;
mod bridge;
mod challenge;
mod classify;
mod envelope;
mod escape;
mod listen;
mod param_header;
mod params;
mod present;
mod respond;
mod revision;
mod splice;
mod sse;
mod strict;

use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A raw value from JSON text.
fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

/// The JSON in bytes.
fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// Any JSON value of moderate size, with strings that need escapes and floats excluded (they compare badly).
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}
