//! Questions that several parts ask of actions and parameters: wire names, whether null is allowed.

use std::borrow::Cow;

use serde_json::Value;

use crate::definition::{Action, BodyKind, Parameter, Place};

impl Action {
    /// The path parameter that `{name}` of the path stands for: by wire name, else by the name a model uses.
    pub(crate) fn path_param(&self, name: &str) -> Option<(usize, &str, &Parameter)> {
        let mut paths = self.params.iter().enumerate().filter(|(_, (_, param))| param.place == Place::Path);
        let found = paths.clone().find(|(_, (key, param))| param.wire_name(key) == name);
        found.or_else(|| paths.find(|(_, (key, _))| *key == name)).map(|(index, (key, param))| (index, key.as_str(), param))
    }

    /// Whether a body is sent as JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        matches!(self.body, None | Some(BodyKind::Json))
    }

    /// The way to a body parameter from the top of the body: its wire name, or what that points at.
    #[must_use]
    pub fn body_path<'a>(&'a self, key: &'a str, param: &'a Parameter) -> Vec<Cow<'a, str>> {
        let wire = param.wire_name(key);
        match wire.strip_prefix('/').filter(|_| self.is_json()) {
            None => vec![Cow::Borrowed(wire)],
            // RFC 6901 section 4.
            Some(pointer) if pointer.contains('~') => {
                pointer.split('/').map(|segment| Cow::Owned(segment.replace("~1", "/").replace("~0", "~"))).collect()
            }
            Some(pointer) => pointer.split('/').map(Cow::Borrowed).collect(),
        }
    }

    /// Name and description of a parameter that goes to `place`, in the author's order.
    pub(crate) fn params_in(&self, place: Place) -> impl Iterator<Item = (&str, &Parameter)> {
        self.params.iter().filter(move |(_, param)| param.place == place).map(|(key, param)| (key.as_str(), param))
    }
}

impl Parameter {
    /// The name on the wire, given the name a model uses.
    #[must_use]
    pub fn wire_name<'a>(&'a self, key: &'a str) -> &'a str {
        self.wire.as_deref().unwrap_or(key)
    }

    /// Whether the schema accepts null, judged from its top level only.
    #[must_use]
    pub fn allows_null(&self) -> bool {
        if !self.choices.is_empty() {
            return self.choices.contains(&Value::Null);
        }
        self.schema.as_ref().is_some_and(|schema| accepts_null(schema, 8))
    }

    /// Must be given by the model: required, and nothing is sent by default.
    #[must_use]
    pub fn must_be_given(&self) -> bool {
        self.required && self.default.is_none()
    }
}

fn accepts_null(schema: &Value, depth: usize) -> bool {
    let Value::Object(members) = schema else {
        return schema.as_bool().unwrap_or(false);
    };
    if members.get("nullable").and_then(Value::as_bool).unwrap_or(false) {
        return true;
    }
    let listed = |key: &str| members.get(key).and_then(Value::as_array);
    if let Some(choices) = listed("enum") {
        return choices.contains(&Value::Null);
    }
    if let Some(only) = members.get("const") {
        return only.is_null();
    }
    match members.get("type") {
        Some(Value::Array(kinds)) => return kinds.iter().any(|kind| kind == "null"),
        Some(kind) => return kind == "null",
        None => {}
    }
    if let Some(branches) = listed("anyOf").or_else(|| listed("oneOf")) {
        return depth > 0 && branches.iter().any(|branch| accepts_null(branch, depth - 1));
    }
    !members.contains_key("$ref") && !members.contains_key("allOf") && !members.contains_key("not")
}
