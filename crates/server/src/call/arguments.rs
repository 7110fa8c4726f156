//! The arguments of a call, in the form in which they came.

use amalgam_connector::{CompiledAction, definition::Place};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

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
            (Some(Value::Object(members)), None) => {
                for (wire, value) in members {
                    put(Place::Body, "requestBody", wire, value)?;
                }
            }
            (Some(_), None) => return Err(Error::invalid("requestBody", "`requestBody` must be an object for this action.")),
        }
        Ok(flat)
    }
}
