//! Arguments of an action: unique names, and schemas that share one budget.

use std::borrow::Cow;
use std::collections::HashSet;

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::expand::{self, Direction, Expander};
use super::{names, text};
use crate::definition::{Parameter, Place, Style};

/// The most bytes of JSON of one action's input schema, a little under the promised 16 KB.
const BUDGET: usize = 16_000;
/// The most bytes that are expanded to find out what fits one action, and all actions of an import: a hostile document ends early.
const WORK: usize = 20 * BUDGET;
pub(super) const TOTAL_WORK: usize = 64 * 1024 * 1024;
/// The most bytes that are expanded for an argument when that is spent.
const LITTLE: usize = 500;
/// The bytes around the arguments in an input schema.
const FRAME: usize = 100;
/// The deepest nesting that is shown.
const MAX_LEVELS: usize = 8;
/// The most arguments of one action.
pub(super) const MAX_ARGUMENTS: usize = 500;

/// An argument as the document has it, before its schema is closed.
pub(super) struct Argument<'d> {
    pub wire: String,
    pub place: Place,
    pub required: bool,
    pub description: String,
    pub schema: Cow<'d, Value>,
    pub style: Option<Style>,
    pub whole: bool,
    /// A part of a multipart body that is a file, or a list of files.
    pub file: bool,
}

impl<'d> Argument<'d> {
    /// An optional argument without a description of its own.
    pub(super) fn new(wire: &str, place: Place, schema: Cow<'d, Value>) -> Self {
        Self { wire: wire.to_owned(), place, required: false, description: String::new(), schema, style: None, whole: false, file: false }
    }
}

/// Closes all schemas so that together they stay within the budget: every argument is opened level by level, in turn,
/// until it is whole or the budget is spent. An error is the reason why the operation cannot be an action.
pub(super) fn finish(expander: &mut Expander<'_>, mut arguments: Vec<Argument<'_>>) -> Result<IndexMap<String, Parameter>, String> {
    if arguments.len() > MAX_ARGUMENTS {
        return Err(format!("it has more than {MAX_ARGUMENTS} arguments"));
    }
    if expander.work >= TOTAL_WORK {
        expander.notes.warn(
            "The document's schemas refer to each other too often to be expanded everywhere; the later operations show their \
             arguments without details. Import a part of the document to have them.",
        );
    }
    let mut slots = slots(expander, &arguments);
    let mut total = total(&slots);
    if total > BUDGET {
        return shorten(slots.into_iter().map(|slot| (slot.name, slot.parameter)).collect());
    }
    // What is needed must be open to the eye; long words about what is optional make room for it.
    if total > BUDGET / 2 && slots.iter().any(|slot| !slot.done) {
        for argument in arguments.iter_mut().filter(|argument| !argument.required) {
            argument.description = text::cut(&argument.description, 120);
        }
        slots = self::slots(expander, &arguments);
        total = self::total(&slots);
    }
    let enough = (expander.work + WORK).min(TOTAL_WORK);
    // Three levels of what is needed come before anything else.
    let first = (1..=3).map(|levels| (true, levels));
    let then = (1..=MAX_LEVELS).flat_map(|levels| [(false, levels), (true, levels)]).filter(|(required, levels)| !required || *levels > 3);
    for (required, levels) in first.chain(then) {
        for (slot, argument) in slots.iter_mut().zip(&arguments).filter(|(slot, argument)| !slot.done && argument.required == required) {
            if expander.work > enough {
                break;
            }
            let mut next = Slot::new(expander, argument, slot.name.clone(), levels);
            if total - slot.size + next.size > BUDGET {
                // What there is matters more than what is said about it.
                expander.words = expand::BRIEF;
                next = Slot::new(expander, argument, slot.name.clone(), levels);
                expander.words = expand::WORDS;
            }
            if total - slot.size + next.size > BUDGET {
                slot.done = true;
            } else {
                total = total - slot.size + next.size;
                *slot = next;
            }
        }
    }
    Ok(slots.into_iter().map(|slot| (slot.name, slot.parameter)).collect())
}

/// An argument as far as it is opened.
struct Slot {
    name: String,
    parameter: Parameter,
    size: usize,
    /// Whole, or as much of it as fits.
    done: bool,
}

impl Slot {
    fn new(expander: &mut Expander<'_>, argument: &Argument<'_>, name: String, levels: usize) -> Self {
        let (parameter, done) = build(expander, argument, &name, levels);
        let size = size(&name, &parameter);
        Self { name, parameter, size, done }
    }
}

fn slots(expander: &mut Expander<'_>, arguments: &[Argument<'_>]) -> Vec<Slot> {
    arguments.iter().zip(names(arguments)).map(|(argument, name)| Slot::new(expander, argument, name, 0)).collect()
}

fn total(slots: &[Slot]) -> usize {
    FRAME + slots.iter().map(|slot| slot.size).sum::<usize>()
}

/// Names for models: the wire's own where they fit, else with other characters replaced; on a collision with the place before it.
fn names(arguments: &[Argument<'_>]) -> Vec<String> {
    let mut taken = HashSet::new();
    arguments
        .iter()
        .map(|argument| {
            let mut name = names::fit(&argument.wire);
            let place = match argument.place {
                Place::Path => "path",
                Place::Query => "query",
                Place::Header => "header",
                Place::Body => "body",
            };
            if taken.contains(&name) {
                name = names::fit(&format!("{place}_{name}"));
            }
            name = names::unique(name, &format!("{place} {}", argument.wire), &taken);
            taken.insert(name.clone());
            name
        })
        .collect()
}

fn build(expander: &mut Expander<'_>, argument: &Argument<'_>, name: &str, levels: usize) -> (Parameter, bool) {
    expander.part.clone_from(&argument.wire);
    let (mut schema, complete) = if argument.file {
        (file(&argument.schema), true)
    } else {
        let cap = if expander.work < TOTAL_WORK { BUDGET } else { LITTLE };
        let expansion = expander.close(&argument.schema, levels, cap, Direction::Request);
        (expansion.schema, expansion.complete)
    };
    let mut description = argument.description.clone();
    let mut default = None;
    if let Value::Object(map) = &mut schema {
        let own = map.remove("description").and_then(|own| own.as_str().map(str::to_owned)).unwrap_or_default();
        if description.is_empty() {
            description = own;
        } else if own.contains("details left out") {
            description = format!("{description} (Details left out.)");
        }
        // A header such as a version is set by nobody unless we send its default.
        if argument.place == Place::Header {
            default = map.remove("default");
        }
    }
    let kind = short(&schema);
    let parameter = Parameter {
        place: argument.place,
        wire: (argument.wire != name).then(|| argument.wire.clone()),
        required: argument.required && default.is_none(),
        description,
        schema: if kind.is_some() { None } else { Some(schema) },
        kind,
        choices: Vec::new(),
        default,
        style: argument.style,
        whole: argument.whole,
    };
    (parameter, complete)
}

/// The short form, where a schema is no more than a scalar type.
fn short(schema: &Value) -> Option<String> {
    let map = schema.as_object().filter(|map| map.len() == 1)?;
    map.get("type")?.as_str().filter(|kind| matches!(*kind, "string" | "integer" | "number" | "boolean")).map(str::to_owned)
}

/// What a model gives for a file; see `BodyKind::Multipart`.
fn file(schema: &Value) -> Value {
    let one = json!({
        "type": ["object", "string"],
        "format": "binary",
        "description": "A file: the `s3Key` of an uploaded one, its data in base64, or a plain text.",
        "properties": {
            "s3Key": { "type": "string" },
            "filename": { "type": "string" },
            "contentType": { "type": "string" },
            "data": { "type": "string", "contentEncoding": "base64" },
        },
    });
    if schema.get("type").and_then(Value::as_str) == Some("array") { json!({ "type": "array", "items": one }) } else { one }
}

/// The bytes that an argument adds to the JSON of its action's input schema.
fn size(name: &str, parameter: &Parameter) -> usize {
    let schema = serde_json::to_string(&parameter.json_schema()).map_or(0, |json| json.len());
    let name = serde_json::to_string(name).map_or(0, |json| json.len());
    schema + name + 2 + if parameter.required { name + 1 } else { 0 }
}

/// Makes arguments fit that exceed the budget even with nothing opened: first descriptions go, then schemas, then optional arguments.
fn shorten(mut parameters: IndexMap<String, Parameter>) -> Result<IndexMap<String, Parameter>, String> {
    let total =
        |parameters: &IndexMap<String, Parameter>| FRAME + parameters.iter().map(|(name, parameter)| size(name, parameter)).sum::<usize>();
    for limit in [160, 80, 0] {
        for parameter in parameters.values_mut() {
            parameter.description =
                if limit == 0 && !parameter.required { String::new() } else { text::cut(&parameter.description, limit.max(40)) };
        }
        if total(&parameters) <= BUDGET {
            return Ok(parameters);
        }
    }
    for parameter in parameters.values_mut() {
        let kind = parameter.schema.as_ref().and_then(|schema| schema.get("type")).cloned();
        if let Some(schema) = &mut parameter.schema {
            *schema = kind.map_or_else(|| json!({}), |kind| json!({ "type": kind }));
        }
    }
    while total(&parameters) > BUDGET {
        let Some(last) = parameters.iter().rposition(|(_, parameter)| !parameter.required) else {
            return Err("its required arguments alone are more than 16 KB".into());
        };
        parameters.shift_remove_index(last);
    }
    Ok(parameters)
}
