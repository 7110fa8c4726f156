//! Any OpenAPI document (3.0, 3.1, Swagger 2.0, Google discovery) becomes a connector. Nothing is fetched, nothing is dropped silently.

mod answers;
mod arguments;
mod body;
mod discovery;
mod document;
mod expand;
mod merge;
mod names;
mod operations;
mod parameters;
mod read;
mod repair;
mod security;
mod servers;
mod template;
mod text;

use std::fmt;

use serde_json::Value;

use crate::check;
use crate::definition::Definition;
use document::{Document, Notes};
use expand::Expander;
pub use read::Source;

/// What the caller decides; everything else comes from the document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// The connector's id, `[A-Za-z0-9][A-Za-z0-9_-]{0,63}`. Absent: a slug of the document's title.
    pub id: Option<String>,
    /// The display name. Absent: the document's title.
    pub name: Option<String>,
    /// The base URL, which replaces the document's servers.
    pub base_url: Option<String>,
}

/// A connector and what a person should know about its making.
#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    /// The connector.
    pub definition: Definition,
    /// Operations that did not become actions.
    pub omitted: Vec<Omission>,
    /// What was repaired or left out inside actions, one sentence each.
    pub warnings: Vec<String>,
}

/// An operation that did not become an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Omission {
    /// Its operation id, else method and path.
    pub operation: String,
    /// One sentence.
    pub reason: String,
}

/// Why a document cannot become a connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportError {
    /// Which option would help: `id`, `baseUrl`, or `spec`, the document.
    pub field: &'static str,
    /// One sentence with the place and the way out.
    pub message: String,
}

impl ImportError {
    fn new(message: impl Into<String>) -> Self {
        Self::at("spec", message)
    }

    fn at(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for ImportError {}

/// Imports the bytes of a document: JSON when it begins with `{` or `[`, else YAML. At most 64 MB.
///
/// # Errors
/// When the document cannot be read, is no API description, or its base URL is neither given nor usable.
pub fn import(source: &[u8], options: &ImportOptions) -> Result<Import, ImportError> {
    import_source(read_source(source)?, options)
}

/// Reads a JSON or YAML text, within the limits of a document; for bodies that hold a document as a member.
///
/// # Errors
/// As [`import`], for what is wrong with the text.
pub fn read_source(source: &[u8]) -> Result<Source, ImportError> {
    read::parse(source)
}

/// Imports a document that is read already, or a part of what was read.
///
/// # Errors
/// As [`import`].
pub fn import_source(source: Source, options: &ImportOptions) -> Result<Import, ImportError> {
    let mut notes = Notes::default();
    for way in &source.repeated {
        let Some((key, before)) = way.split_last() else { continue };
        let shown = |text: &str| text.chars().take(120).collect::<String>();
        let place = before.iter().map(|key| shown(key)).collect::<Vec<_>>().join(".");
        let place = if place.is_empty() { "the document".to_owned() } else { format!("`{}`", shown(&place)) };
        notes.warn(format!("The key \"{}\" occurs twice in {place}; the last one counts.", shown(key)));
    }
    convert(source.value, options, notes)
}

/// Imports a document that is parsed already.
///
/// # Errors
/// As [`import`].
pub fn import_value(document: Value, options: &ImportOptions) -> Result<Import, ImportError> {
    convert(read::check_depth(document)?, options, Notes::default())
}

fn convert(root: Value, options: &ImportOptions, mut notes: Notes) -> Result<Import, ImportError> {
    let root = if discovery::recognizes(&root) { discovery::convert(&root) } else { root };
    let document = Document::new(root, &mut notes)?;
    let info = |key: &str| document.root.pointer(&format!("/info/{key}")).and_then(Value::as_str).unwrap_or_default();
    let title = text::cut(&text::describe(info("title"), 100), 100);
    let id = match &options.id {
        Some(id) if is_id(id) => id.clone(),
        Some(_) => {
            return Err(ImportError::at(
                "id",
                "`id` must be 1 to 64 letters, digits, - or _, beginning with a letter or digit; choose another one.",
            ));
        }
        None => slug(&title)?,
    };
    let name = options
        .name
        .clone()
        .filter(|name| !name.trim().is_empty())
        .or(Some(title).filter(|title| !title.is_empty()))
        .unwrap_or_else(|| text::words(&id));
    let mut server = servers::read(&document, &mut notes, options.base_url.as_deref())?;
    let (mut auth, mut secrets) = security::read(&document, &mut notes, &server.base_url);
    if auth.is_empty() {
        auth.extend(security::undeclared(&document, &mut notes, &mut server, &mut secrets));
    }
    let mut expander = Expander::new(&document, notes);
    let operations = operations::read(&mut expander, &secrets, &server, &auth);
    let notes = expander.notes;
    if operations.actions.is_empty() && operations.omitted.is_empty() {
        return Err(ImportError::new(
            "The document has no operations under `paths`; send the document that describes the API's operations.",
        ));
    }
    let docs = document
        .root
        .pointer("/externalDocs/url")
        .and_then(Value::as_str)
        .filter(|url| url.starts_with("https://") || url.starts_with("http://"));
    let definition = Definition {
        id,
        name,
        description: text::describe(info("description"), 300),
        categories: Vec::new(),
        synonyms: indexmap::IndexMap::new(),
        docs: docs.map(|url| url.chars().take(500).collect()),
        base_url: server.base_url,
        variables: server.variables,
        headers: indexmap::IndexMap::new(),
        idempotency_header: None,
        auth,
        cache: true,
        failure: None,
        errors: None,
        rate_limit: None,
        vendor: None,
        actions: operations.actions,
    };
    judge(definition, operations.omitted, notes)
}

/// What the engine would refuse to load is left out here, with the engine's own reason.
fn judge(mut definition: Definition, mut omitted: Vec<Omission>, notes: Notes) -> Result<Import, ImportError> {
    let actions = std::mem::take(&mut definition.actions);
    if let Some(problem) = check(&definition).first() {
        return Err(match problem.place.as_str() {
            "base_url" => {
                ImportError::at("baseUrl", format!("The base URL cannot be used: {} Give another one as `baseUrl`.", problem.message))
            }
            place => ImportError::new(format!("{place}: {}", problem.message)),
        });
    }
    let mut kept = indexmap::IndexMap::with_capacity(actions.len());
    for (id, action) in actions {
        definition.actions.insert(id, action);
        let reason = check(&definition).into_iter().next().map(|problem| problem.message);
        for (id, action) in definition.actions.drain(..) {
            match &reason {
                Some(reason) => omitted.push(Omission { operation: id, reason: reason.clone() }),
                None => drop(kept.insert(id, action)),
            }
        }
    }
    definition.actions = kept;
    Ok(Import { definition, omitted, warnings: notes.finish() })
}

fn is_id(id: &str) -> bool {
    let first = id.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    first && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// The id for a title: `GitHub v3 REST API` becomes `github-v3-rest-api`.
fn slug(title: &str) -> Result<String, ImportError> {
    let id = text::slug(title, '-', 40);
    if id.is_empty() {
        return Err(ImportError::at("id", "`info.title` gives no id for the connector; give an `id`."));
    }
    Ok(id)
}
