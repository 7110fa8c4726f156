//! A recorded case: an action with arguments, the request that goes out, what the platform answered, and what a model reads of it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    cli::failure::{Failure, Result},
    connectors::folder::DEFINITION,
};

/// The folder of cases beside a definition.
pub const FOLDER: &str = "cases";
/// The largest case, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;
/// More cases of one connector are not run.
const MOST: usize = 10_000;

/// One file of `cases/`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Case {
    /// The action's id.
    pub action: String,
    /// The way to authenticate; absent: the connector's first one. Its secrets are stand-ins: `secret-apiKey`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication_type: Option<String>,
    /// Values of the connector's variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// As a model would send them.
    #[serde(default)]
    pub arguments: Map<String, Value>,
    /// What must go out; nothing where the arguments are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
    /// What the platform answered; nothing where nothing goes out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// What a model reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// The sentence that it reads instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A request as it arrives at the platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// `GET`.
    pub method: String,
    /// Whole, with its query.
    pub url: String,
    /// By name in lower case, without those of the connection.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// JSON as a value, text as a text, other bytes as `{"base64": …}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// An answer of the platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// 200.
    pub status: u16,
    /// By name; only those that mean something here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// As that of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

impl Case {
    /// As it stands in its file.
    pub fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads a file.
    ///
    /// # Errors
    /// A sentence with the line.
    pub fn read(path: &Path) -> Result<Self, String> {
        let length = fs::metadata(path).map_err(|e| format!("cannot be read: {e}"))?.len();
        if length > LARGEST {
            return Err("is larger than 16 MB".to_owned());
        }
        let text = fs::read_to_string(path).map_err(|e| format!("cannot be read: {e}"))?;
        serde_json::from_str(&text).map_err(|e| format!("line {}: {}", e.line(), crate::error::in_words(&e.to_string()).0))
    }
}

/// A body as a case shows it.
pub fn body(bytes: &[u8], kind: &str) -> Option<Value> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    if bytes.is_empty() {
        return None;
    }
    let json = kind.to_ascii_lowercase().contains("json");
    let value = if json { amalgam_protocol::strict::parse_answer(bytes).ok() } else { None };
    Some(value.unwrap_or_else(|| match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => serde_json::json!({ "base64": STANDARD.encode(bytes) }),
    }))
}

/// The bytes of a body in a case.
pub fn bytes(body: Option<&Value>, kind: &str) -> Vec<u8> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    match body {
        None => Vec::new(),
        Some(Value::String(text)) if !kind.to_ascii_lowercase().contains("json") => text.clone().into_bytes(),
        Some(Value::Object(members)) if members.len() == 1 && members.get("base64").is_some_and(Value::is_string) => {
            members.get("base64").and_then(Value::as_str).and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default()
        }
        Some(value) => value.to_string().into_bytes(),
    }
}

/// The cases beside a definition, by name.
///
/// # Errors
/// The folder cannot be read.
pub fn beside(definition: &Path) -> Result<Vec<PathBuf>> {
    let folder = definition.with_file_name(FOLDER);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let cannot = |e: std::io::Error| Failure::usage(format!("cannot read {}: {e}", folder.display()));
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    found.sort();
    found.truncate(MOST);
    Ok(found)
}

/// The definition that a path of the command line means: the file, or that of the folder.
pub fn definition(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(DEFINITION) } else { path.to_owned() }
}
