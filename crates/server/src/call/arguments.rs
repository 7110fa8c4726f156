//! The arguments of a call, in the form in which they came.

use std::borrow::Cow;

use amalgam_connector::{CompiledAction, definition::Place};
use amalgam_protocol::strict::inexact;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Error, Kind, Result};

/// Arguments by the names that the action gives them, by their places in the platform's request, or both.
#[derive(Default, Serialize)]
pub struct Arguments {
    /// By the action's own names, as models send them.
    pub parameters: Map<String, Value>,
    /// By the names in the path template.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub path: Map<String, Value>,
    /// By the names in the query string.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub query: Map<String, Value>,
    /// The body: its members, or whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// Takes out what lies at a place below some members, and the objects around it that become empty.
fn take(members: &mut Map<String, Value>, path: &[Cow<'_, str>]) -> Option<Value> {
    let (first, rest) = path.split_first()?;
    if rest.is_empty() {
        return members.shift_remove(first.as_ref());
    }
    let inner = members.get_mut(first.as_ref())?.as_object_mut()?;
    let found = take(inner, rest);
    if found.is_some() && inner.is_empty() {
        members.shift_remove(first.as_ref());
    }
    found
}

/// Refuses arguments that would reach the platform as other numbers than those that came; `text` is all that came.
///
/// # Errors
/// A sentence that shows the number.
pub fn exact(text: &[u8]) -> Result<()> {
    let Some(number) = inexact(text) else { return Ok(()) };
    let sentence = format!(
        "The number {} is too large to be passed on exactly: send it as a string, if the platform takes one.",
        number.chars().take(80).collect::<String>()
    );
    Err(Error::new(Kind::InvalidRequest, sentence))
}

impl From<Map<String, Value>> for Arguments {
    fn from(parameters: Map<String, Value>) -> Self {
        Self { parameters, ..Self::default() }
    }
}

impl Arguments {
    /// All of them by the names that the action gives them. A name that the action does not know stays as it is, for the error that
    /// lists those that it knows.
    ///
    /// # Errors
    /// An argument that is given twice, a body that is no object where the action wants members.
    pub fn flatten(self, action: &CompiledAction) -> Result<Map<String, Value>> {
        let params = &action.action.params;
        let mut flat = self.parameters;
        let mut put = |place: Place, field: &str, wire: String, value: Value| {
            let known = params.iter().find(|(name, parameter)| parameter.place == place && parameter.wire_name(name) == wire);
            let name = known.map_or(wire, |(name, _)| name.clone());
            match flat.insert(name.clone(), value) {
                None => Ok(()),
                Some(_) => Err(Error::invalid(field, format!("`{name}` is given twice; give each argument once."))),
            }
        };
        for (wire, value) in self.path {
            put(Place::Path, "pathParams", wire, value)?;
        }
        for (wire, value) in self.query {
            put(Place::Query, "queryParameters", wire, value)?;
        }
        let whole = params.iter().find(|(_, parameter)| parameter.whole).map(|(name, _)| name.clone());
        match (self.body, whole) {
            (None, _) => {}
            (Some(value), Some(name)) => put(Place::Body, "requestBody", name, value)?,
            (Some(Value::Object(mut members)), None) => {
                for (name, parameter) in params.iter().filter(|(_, parameter)| parameter.place == Place::Body) {
                    let path = action.action.body_path(name, parameter);
                    if let Some(value) = take(&mut members, &path) {
                        put(Place::Body, "requestBody", parameter.wire_name(name).to_owned(), value)?;
                    }
                }
                for (wire, value) in members {
                    put(Place::Body, "requestBody", wire, value)?;
                }
            }
            (Some(_), None) => return Err(Error::invalid("requestBody", "`requestBody` must be an object for this action.")),
        }
        Ok(flat)
    }
}

#[cfg(test)]
mod tests {
    use amalgam_connector::{Connector, parse::parse_toml};
    use serde_json::json;

    use super::*;

    /// No document that can be imported says so, and the built-in connectors call their platforms.
    #[test]
    fn a_wrapped_body_becomes_flat_arguments() {
        let text = r#"
            id = "x"
            name = "X"
            base_url = "https://example.org"
            [actions.a]
            method = "POST"
            path = "/a"
            params.title = { in = "body", wire = "/data/name" }
            params.day = { in = "body", wire = "/data/due/on" }
            params.plain = { in = "body" }
        "#;
        let connector = parse_toml(text).and_then(Connector::new).expect("a definition");
        let flat = |body: Value| {
            let arguments = Arguments { body: Some(body), ..Arguments::default() };
            Value::Object(arguments.flatten(connector.action("a").expect("an action")).expect("arguments"))
        };
        let whole = json!({ "data": { "name": "n", "due": { "on": null } }, "plain": "p" });
        assert_eq!(flat(whole), json!({ "title": "n", "day": null, "plain": "p" }));
        // What is not known stays for the error that says so.
        assert_eq!(flat(json!({ "data": { "name": "n", "more": 1 } })), json!({ "title": "n", "data": { "more": 1 } }));
    }
}
