//! A document at rest: which dialect it is, and how a local reference is followed.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::ImportError;

/// The most references that are followed one after the other.
const MAX_HOPS: usize = 16;
/// The most warnings that are kept.
const MAX_WARNINGS: usize = 200;
/// The most warnings that are told apart.
const MAX_SEEN: usize = 100_000;

/// Dialects that differ in more than a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Swagger2,
    OpenApi30,
    OpenApi31,
}

/// A parsed document.
pub(super) struct Document {
    pub root: Value,
    pub dialect: Dialect,
}

/// A reference that leads nowhere.
pub(super) struct Unresolved {
    pub reference: String,
    pub reason: &'static str,
}

impl Document {
    /// Recognizes the dialect, or says what the document looks like instead.
    pub(super) fn new(root: Value, notes: &mut Notes) -> Result<Self, ImportError> {
        let Some(map) = root.as_object() else {
            return Err(ImportError::new("The document is not an object at its top; send one OpenAPI document."));
        };
        let version = |key: &str| map.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        let dialect = match (version("openapi"), version("swagger")) {
            (Some(version), _) if version.starts_with("3.0") || version == "3" => Dialect::OpenApi30,
            (Some(version), _) if version.starts_with("3.") => Dialect::OpenApi31,
            (None, Some(version)) if version.starts_with('2') => Dialect::Swagger2,
            (Some(version), _) | (None, Some(version)) => {
                let version: String = version.chars().take(20).collect();
                return Err(ImportError::new(format!(
                    "The version \"{version}\" in `openapi` or `swagger` is not supported; convert the document to OpenAPI 3.0 or 3.1."
                )));
            }
            (None, None) if map.get("paths").is_some_and(Value::is_object) => {
                notes.warn("The document names no version; it is read as OpenAPI 3.0.");
                Dialect::OpenApi30
            }
            (None, None) => return Err(ImportError::new(looks_like(&root))),
        };
        Ok(Self { root, dialect })
    }

    /// The value a local reference points at, through further references.
    pub(super) fn follow<'d>(&'d self, value: &'d Value) -> Result<&'d Value, Unresolved> {
        let mut value = value;
        for _ in 0..MAX_HOPS {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
                return Ok(value);
            };
            value = self.target(reference)?;
        }
        Err(Unresolved::new(&value.to_string(), "it refers to itself"))
    }

    /// The value one local reference points at. RFC 6901, in a URI fragment: percent-encoded.
    pub(super) fn target(&self, reference: &str) -> Result<&Value, Unresolved> {
        let Some(pointer) = reference.strip_prefix('#') else {
            return Err(Unresolved::new(reference, "it is in another document, which is never fetched"));
        };
        let pointer: Cow<'_, str> = percent_decode_str(pointer).decode_utf8_lossy();
        self.root
            .pointer(&pointer)
            .or_else(|| reference.strip_prefix('#').and_then(|raw| self.root.pointer(raw)))
            .ok_or_else(|| Unresolved::new(reference, "there is nothing at that place"))
    }
}

impl Unresolved {
    fn new(reference: &str, reason: &'static str) -> Self {
        Self { reference: reference.chars().take(120).collect(), reason }
    }

    /// `the reference "x" cannot be followed: …`.
    pub(super) fn sentence(&self) -> String {
        format!("the reference \"{}\" cannot be followed: {}", self.reference, self.reason)
    }
}

fn looks_like(root: &Value) -> String {
    let has = |pointer: &str| root.pointer(pointer).is_some();
    let (kind, way) = if has("/info") && has("/item") {
        ("a Postman collection", "export or convert it as OpenAPI 3")
    } else if has("/asyncapi") {
        ("an AsyncAPI document", "only HTTP APIs described by OpenAPI can be imported")
    } else if has("/__schema") || has("/data/__schema") {
        ("a GraphQL schema", "only HTTP APIs described by OpenAPI can be imported")
    } else if has("/log/entries") {
        ("a HAR recording", "send an OpenAPI document")
    } else if has("/swaggerVersion") {
        ("a Swagger 1 document", "convert it to OpenAPI 3")
    } else if has("/$schema") || has("/properties") {
        ("a JSON Schema", "send the OpenAPI document that uses it")
    } else if has("/mcpServers") {
        ("a list of MCP servers", "register each of them as an upstream")
    } else {
        return "The document has none of the keys `openapi`, `swagger`, `discoveryVersion` or `paths` at its top; send an OpenAPI document.".into();
    };
    format!("This looks like {kind}; {way}.")
}

/// Warnings of one import: each once, and not without end.
#[derive(Default)]
pub(super) struct Notes {
    warnings: Vec<String>,
    seen: HashSet<u64>,
    more: usize,
}

impl Notes {
    /// Keeps a warning, a whole sentence.
    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        let warning = warning.into();
        let mut hasher = DefaultHasher::new();
        warning.hash(&mut hasher);
        // Beyond what is remembered nothing is counted either, so that none counts twice.
        if self.seen.len() >= MAX_SEEN || !self.seen.insert(hasher.finish()) {
            return;
        }
        if self.warnings.len() < MAX_WARNINGS {
            self.warnings.push(warning);
        } else {
            self.more += 1;
        }
    }

    /// All warnings, the number of those left out last.
    pub(super) fn finish(mut self) -> Vec<String> {
        if self.more > 0 {
            self.warnings.push(format!("And {} more, which are left out here.", self.more));
        }
        self.warnings
    }
}
