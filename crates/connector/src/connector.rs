//! A loaded connector: a checked definition and its actions, compiled as far as each is used.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::{Arc, OnceLock};

use indexmap::IndexMap;
use jsonschema::Validator;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::check::check;
use crate::check_action::split_query;
use crate::definition::{Action, BodyKind, Definition, Parameter};
use crate::packed;
use crate::parse::Problem;
use crate::template::{Piece, pieces};

/// Encoded in a fragment that is a JSON pointer (RFC 6901 section 6).
const FRAGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'$').remove(b'/');

/// A definition that passed all checks, ready to be planned with.
pub struct Connector {
    about: Definition,
    actions: IndexMap<Arc<str>, Slot>,
    /// What packed actions are read from.
    bytes: Arc<[u8]>,
}

/// An action, or where it is.
enum Slot {
    /// As it was loaded.
    Whole(Box<CompiledAction>),
    /// In `bytes`, until it is first used.
    Packed { summary: Box<Action>, at: Range<usize>, used: OnceLock<Option<Box<CompiledAction>>> },
}

/// An action while it is looked at: one that is loaded, or one that was read for this look alone.
pub enum Seen<'c> {
    /// It stays with the connector.
    Loaded(&'c CompiledAction),
    /// It goes when this does.
    Read(Box<CompiledAction>),
}

impl Deref for Seen<'_> {
    type Target = CompiledAction;

    fn deref(&self) -> &CompiledAction {
        match self {
            Self::Loaded(action) => action,
            Self::Read(action) => action,
        }
    }
}

/// One action of a loaded connector.
pub struct CompiledAction {
    /// The action's id in its connector.
    pub id: Arc<str>,
    /// The action as its author wrote it.
    pub action: Action,
    /// The schema of all arguments together, where its author wrote it so: an MCP tool's.
    schema: Option<Value>,
    /// The path, split into fixed text and parameters.
    pub(crate) path: Box<[PathPart]>,
    /// By index of `params`, compiled at first use; `None` when the schema cannot be compiled.
    pub(crate) validators: OnceLock<Box<[LazyValidator]>>,
}

/// A validator that is compiled at first use.
pub(crate) type LazyValidator = OnceLock<Option<Box<Validator>>>;

/// A part of an action's path.
#[derive(Debug)]
pub(crate) enum PathPart {
    /// Text that stands as it is.
    Fixed(Box<str>),
    /// The parameter at this index of `params`.
    Param(usize),
    /// The secret that the way to authenticate places under this name.
    Secret(Box<str>),
}

impl Connector {
    /// Checks and loads a definition.
    ///
    /// # Errors
    /// All that `check` finds.
    pub fn new(mut definition: Definition) -> Result<Self, Vec<Problem>> {
        let problems = check(&definition);
        if !problems.is_empty() {
            return Err(problems);
        }
        let actions = std::mem::take(&mut definition.actions);
        let actions = actions.into_iter().map(|(id, action)| {
            let id: Arc<str> = id.into();
            (Arc::clone(&id), Slot::Whole(Box::new(CompiledAction::new(id, action))))
        });
        Ok(Self { actions: actions.collect(), about: definition, bytes: Arc::default() })
    }

    /// A definition in the form of [`Connector::unpack`]. It is one that `check` has found nothing in.
    ///
    /// # Errors
    /// When it cannot be written to memory, which nothing in a definition causes.
    pub fn pack(definition: Definition) -> Result<Vec<u8>, std::io::Error> {
        packed::pack(definition)
    }

    /// Loads what [`Connector::pack`] has made with the same `PACKED_VERSION`. Nothing is checked again, and each action is read when it is
    /// first used. `None` where the bytes are something else.
    #[must_use]
    pub fn unpack(bytes: Arc<[u8]>) -> Option<Self> {
        let (about, entries) = packed::unpack(&bytes)?;
        let actions =
            entries.into_iter().map(|(entry, at)| (entry.id, Slot::Packed { summary: Box::new(entry.summary), at, used: OnceLock::new() }));
        Some(Self { actions: actions.collect(), about, bytes })
    }

    /// About how many bytes of memory it takes, without the actions that were used.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.bytes.len() + 1_500 * self.actions.len() + 4_096
    }

    /// A connector whose actions are the tools of an MCP server: each with its own schema, which that server alone judges by. Nothing is
    /// ever planned with it, so that nothing is checked but the id.
    #[must_use]
    pub fn of_tools(about: Definition, tools: Vec<(String, Action, Value)>) -> Self {
        let actions = tools.into_iter().map(|(id, action, schema)| {
            let id: Arc<str> = id.into();
            (Arc::clone(&id), Slot::Whole(Box::new(CompiledAction { schema: Some(schema), ..CompiledAction::new(id, action) })))
        });
        Self { actions: actions.collect(), about, bytes: Arc::default() }
    }

    /// The definition without its actions, which `actions` and `action` hold, so that nothing is kept twice.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.about
    }

    /// The whole definition again, actions included, as a copy.
    #[must_use]
    pub fn to_definition(&self) -> Definition {
        let actions = self.actions().map(|seen| match seen {
            Seen::Loaded(compiled) => (compiled.id.to_string(), compiled.action.clone()),
            Seen::Read(compiled) => (compiled.id.to_string(), compiled.action),
        });
        Definition { actions: actions.collect(), ..self.about.clone() }
    }

    /// The action of that id. It is kept from then on.
    #[must_use]
    pub fn action(&self, id: &str) -> Option<&CompiledAction> {
        let (id, slot) = self.actions.get_key_value(id)?;
        match slot {
            Slot::Whole(action) => Some(action),
            Slot::Packed { at, used, .. } => used.get_or_init(|| self.read(id, at)).as_deref(),
        }
    }

    fn read(&self, id: &Arc<str>, at: &Range<usize>) -> Option<Box<CompiledAction>> {
        let action = packed::action(self.bytes.get(at.clone())?)?;
        Some(Box::new(CompiledAction::new(Arc::clone(id), action)))
    }

    /// How many actions there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.actions.len()
    }

    /// Each action's id and what lists say of it, in the author's order: its parameters and schemas may be left out.
    pub fn summaries(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Action)> {
        self.actions.iter().map(|(id, slot)| match slot {
            Slot::Whole(action) => (id, &action.action),
            Slot::Packed { summary, .. } => (id, summary.as_ref()),
        })
    }

    /// The JSON Schema of an action's arguments: the author's own, else one closed object over all parameters and over the variables that
    /// no credential brings along. Built on demand.
    #[must_use]
    pub fn input_schema(&self, action: &CompiledAction) -> Value {
        if let Some(schema) = &action.schema {
            return schema.clone();
        }
        let mut schema = object_schema(action.action.params.iter().map(|(name, param)| (name.as_str(), param)));
        for (name, variable) in self.about.variables_as_arguments(&action.action) {
            schema["properties"][name] = variable.json_schema();
            if self.about.must_be_given(variable) {
                match schema.get_mut("required").and_then(Value::as_array_mut) {
                    Some(required) => required.push(name.into()),
                    None => schema["required"] = json!([name]),
                }
            }
        }
        schema
    }

    /// All actions whole, in the author's order. Those that were not used yet are read for this alone: `summaries` costs less.
    pub fn actions(&self) -> impl Iterator<Item = Seen<'_>> {
        self.actions.iter().filter_map(|(id, slot)| match slot {
            Slot::Whole(action) => Some(Seen::Loaded(action)),
            Slot::Packed { at, used, .. } => match used.get() {
                Some(action) => action.as_deref().map(Seen::Loaded),
                None => self.read(id, at).map(Seen::Read),
            },
        })
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Connector").field("id", &self.about.id).field("actions", &self.actions.len()).finish()
    }
}

impl fmt::Debug for CompiledAction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("CompiledAction").field("id", &self.id).finish_non_exhaustive()
    }
}

impl CompiledAction {
    fn new(id: Arc<str>, action: Action) -> Self {
        // The check found the braces matched, and every name a parameter or a secret.
        let parts = pieces(split_query(&action.path).0).unwrap_or_default();
        let parts = parts.into_iter().map(|part| match part {
            Piece::Text(text) => PathPart::Fixed(text.into()),
            Piece::Name(name) => match action.path_param(name) {
                Some((index, _, _)) => PathPart::Param(index),
                None => PathPart::Secret(name.into()),
            },
        });
        Self { id, path: parts.collect(), validators: OnceLock::new(), action, schema: None }
    }

    /// Whether a plan of it with this connector uses `Account::nonce`.
    #[must_use]
    pub fn needs_nonce(&self, connector: &Connector) -> bool {
        self.action.body == Some(BodyKind::Multipart) || self.has_idempotency_key(connector)
    }

    /// Whether it is a write that the platform knows by a key when it comes again.
    #[must_use]
    pub fn has_idempotency_key(&self, connector: &Connector) -> bool {
        self.action.idempotency_header(connector.definition()).is_some()
    }
}

/// A closed object schema over some parameters, by the names that a model uses.
pub(crate) fn object_schema<'a>(params: impl Iterator<Item = (&'a str, &'a Parameter)>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, param) in params {
        let mut schema = param.json_schema();
        let pointer = name.replace('~', "~0").replace('/', "~1");
        let pointer = utf8_percent_encode(&pointer, FRAGMENT);
        rebase(&mut schema, &format!("#/properties/{pointer}"), 80);
        properties.insert(name.to_owned(), schema);
        if param.must_be_given() {
            required.push(Value::from(name));
        }
    }
    let mut schema = json!({"type": "object", "properties": properties});
    if let Value::Object(members) = &mut schema {
        if !required.is_empty() {
            members.insert("required".into(), required.into());
        }
        members.insert("additionalProperties".into(), false.into());
    }
    schema
}

/// Moves a schema to a place inside another: its references into itself follow, and names of its own that would open another scope go.
fn rebase(schema: &mut Value, root: &str, depth: usize) {
    match schema {
        Value::Array(items) if depth > 0 => items.iter_mut().for_each(|item| rebase(item, root, depth - 1)),
        Value::Object(members) if depth > 0 => {
            members.retain(|key, value| !(value.is_string() && matches!(key.as_str(), "$id" | "$schema" | "$anchor" | "$dynamicAnchor")));
            for (key, value) in members.iter_mut() {
                match (key.as_str(), value) {
                    ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(target)) => {
                        if let Some(pointer) = target.strip_prefix('#') {
                            *target = format!("{root}{pointer}");
                        }
                    }
                    ("enum" | "const" | "default" | "example" | "examples", _) => {}
                    (_, value) => rebase(value, root, depth - 1),
                }
            }
        }
        _ => {}
    }
}
