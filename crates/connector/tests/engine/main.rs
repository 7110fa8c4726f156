//! The core of connectors through its public functions: check, arguments, plan, shape, describe.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test that calls them")]

mod arguments;
mod check;
mod describe;
mod diff;
mod plan;
mod platforms;
mod safety;
mod shape;

use amalgam_connector::connector::Connector;
use amalgam_connector::parse::parse_toml;
use amalgam_connector::plan::Account;
use serde_json::{Map, Value};

/// A connector with one of everything.
const DEMO: &str = include_str!("demo.toml");

fn load(text: &str) -> Connector {
    let definition = parse_toml(text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    Connector::new(definition).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn demo() -> Connector {
    load(DEMO)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("not an object: {other}"),
    }
}

const NOBODY: Account<'static> = Account { variables: &[("site", "acme")], auth: None, extra_headers: &[], nonce: "b0undary" };
