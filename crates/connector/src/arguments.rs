//! Arguments against an action's schema, with errors that a model can act on.

use std::fmt;
use std::sync::OnceLock;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::LocationSegment;
use jsonschema::{Draft, JsonType, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

use crate::connector::CompiledAction;
use crate::definition::Parameter;
use crate::text::{closest, count, cut, first_sentence, literal, name, show};

/// Problems reported at once.
const MOST: usize = 3;
/// Known names and choices listed at most.
const LISTED: usize = 40;
/// Arguments of more values than this are told only their first schema problem, because collecting all costs memory for each.
const COLLECTED: usize = 5_000;

/// Why arguments were refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentError {
    /// The parameter or variable it is about, where it is about one.
    pub field: Option<String>,
    /// One to three sentences that say what to change.
    pub message: String,
}

impl ArgumentError {
    /// An error about no field in particular.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { field: None, message: message.into() }
    }

    /// An error about one parameter or variable.
    pub(crate) fn field(field: &str, message: impl Into<String>) -> Self {
        Self { field: Some(name(field)), message: message.into() }
    }
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for ArgumentError {}

impl CompiledAction {
    /// Judges arguments: names, what is required, then the schemas. Null for an optional parameter counts as not given.
    ///
    /// # Errors
    /// At most three problems, as sentences.
    pub fn validate(&self, args: &Map<String, Value>) -> Result<(), ArgumentError> {
        let mut problems: Vec<(String, String)> = Vec::new();
        self.missing(args, &mut problems);
        self.unknown(args, &mut problems);
        if problems.is_empty() {
            for (index, (key, param)) in self.action.params.iter().enumerate() {
                let Some(value) = args.get(key) else { continue };
                let left_out = value.is_null() && !param.must_be_given();
                if !left_out && let Some(validator) = self.validator(index, param) {
                    check_value(validator, key, value, &mut problems);
                }
            }
        }
        let more = problems.len().saturating_sub(MOST);
        let Some(field) = problems.first().map(|(field, _)| field.clone()) else {
            return Ok(());
        };
        let mut sentences: Vec<String> = problems.into_iter().take(MOST).map(|(_, sentence)| sentence).collect();
        if more > 0 {
            sentences.push(format!("And {}.", count(more, "further problem")));
        }
        Err(ArgumentError { field: (!field.is_empty()).then_some(field), message: sentences.join(" ") })
    }

    fn missing(&self, args: &Map<String, Value>, problems: &mut Vec<(String, String)>) {
        for (key, param) in &self.action.params {
            if param.must_be_given() && !args.contains_key(key) {
                let kind = kind_of(&param.json_schema());
                let about = first_sentence(&param.description, 160);
                let colon = if about.is_empty() { "." } else { ": " };
                problems.push((name(key), format!("The required parameter `{}` ({kind}) is missing{colon}{about}", name(key))));
            }
        }
    }

    fn unknown(&self, args: &Map<String, Value>, problems: &mut Vec<(String, String)>) {
        let params = &self.action.params;
        let unknown = args.keys().filter(|key| !params.contains_key(*key));
        for (number, key) in unknown.enumerate() {
            let hint = if number < MOST { closest(key, params.keys().map(String::as_str)) } else { None };
            let hint = hint.map_or(String::new(), |meant| format!(" Did you mean `{}`?", name(meant)));
            let known = match number {
                0 if params.is_empty() => " The action takes no parameters.".to_owned(),
                0 => format!(" Known parameters: {}.", listed(params.keys().map(|key| format!("`{}`", name(key))))),
                _ => String::new(),
            };
            problems.push((name(key), format!("There is no parameter `{}`.{hint}{known}", name(key))));
        }
    }

    /// The compiled schema of one parameter, or nothing when it cannot be compiled: then only its name and presence are judged.
    /// Each is compiled at its first use, once, because most parameters of most actions are never used.
    fn validator(&self, index: usize, param: &Parameter) -> Option<&Validator> {
        let validators = self.validators.get_or_init(|| self.action.params.iter().map(|_| OnceLock::new()).collect());
        validators.get(index)?.get_or_init(|| compile(&param.json_schema())).as_deref()
    }
}

/// Draft 2020-12, offline, formats as annotations, patterns with bounded work.
fn compile(schema: &Value) -> Option<Box<Validator>> {
    let patterns = PatternOptions::fancy_regex().backtrack_limit(100_000).size_limit(1 << 20).dfa_size_limit(1 << 20);
    let options = jsonschema::options().with_draft(Draft::Draft202012).offline().should_validate_formats(false);
    options.with_pattern_options(patterns).build(schema).ok().map(Box::new)
}

fn check_value(validator: &Validator, key: &str, value: &Value, problems: &mut Vec<(String, String)>) {
    if validator.is_valid(value) {
        return;
    }
    if size_at_most(value, COLLECTED) {
        problems.extend(validator.iter_errors(value).map(|error| (name(key), sentence(key, &error))));
    } else if let Err(error) = validator.validate(value) {
        problems.push((name(key), sentence(key, &error)));
    }
}

/// Whether a value holds at most `limit` values.
fn size_at_most(value: &Value, limit: usize) -> bool {
    let mut open = vec![value];
    let mut seen = 0;
    while let Some(value) = open.pop() {
        seen += 1;
        if seen + open.len() > limit {
            return false;
        }
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(members) => open.extend(members.values()),
            _ => {}
        }
    }
    true
}

/// What is wrong with the value of the parameter `key`, and where in it.
fn sentence(key: &str, error: &ValidationError<'_>) -> String {
    let mut place = name(key);
    for segment in error.instance_path().iter() {
        match segment {
            LocationSegment::Property(property) => place = format!("{place}.{}", name(&property)),
            LocationSegment::Index(index) => place = format!("{place}[{index}]"),
        }
    }
    format!("`{}` {}.", cut(&place, 200), predicate(error, 2))
}

/// What is wrong with a value, to follow its name in a sentence. `depth` bounds the descent into alternatives.
fn predicate(error: &ValidationError<'_>, depth: usize) -> String {
    use ValidationErrorKind as Kind;
    let got = show(error.instance());
    match error.kind() {
        Kind::Type { kind } => format!("must be {}, got {got}", types(kind)),
        Kind::Enum { options } => {
            let choices = options.as_array().map_or(&[][..], Vec::as_slice);
            format!("must be one of {}; got {got}", listed(choices.iter().map(literal)))
        }
        Kind::Constant { expected_value } => {
            format!("must be {}, got {got}", literal(expected_value))
        }
        Kind::Minimum { limit } => format!("must be at least {limit}, got {got}"),
        Kind::Maximum { limit } => format!("must be at most {limit}, got {got}"),
        Kind::ExclusiveMinimum { limit } => format!("must be more than {limit}, got {got}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}, got {got}"),
        Kind::MultipleOf { multiple_of } => {
            format!("must be a multiple of {multiple_of}, got {got}")
        }
        Kind::MinLength { limit } => format!("must have at least {}, got {got}", count(whole(*limit), "character")),
        Kind::MaxLength { limit } => format!("must have at most {}, got {got}", count(whole(*limit), "character")),
        Kind::MinItems { limit } => format!("must have at least {}, got {got}", count(whole(*limit), "item")),
        Kind::MaxItems { limit } => format!("must have at most {}, got {got}", count(whole(*limit), "item")),
        Kind::UniqueItems => "must not hold the same item twice".to_owned(),
        Kind::Pattern { pattern } => {
            format!("must match the pattern {}, got {got}", cut(pattern, 120))
        }
        Kind::Required { property } => format!("needs the member {}", literal(property)),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            format!("has no member {}; leave it out", listed(unexpected.iter().map(|key| format!("`{}`", name(key)))))
        }
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } if depth > 0 => alternatives(context, &got, depth - 1),
        Kind::OneOfMultipleValid { .. } => "fits several forms of which only one is meant; give the members of one only".to_owned(),
        Kind::FalseSchema => "is not accepted; leave it out".to_owned(),
        _ => format!("is not valid: {}", cut(&error.masked_with("the value").to_string(), 200)),
    }
}

/// For `anyOf` and `oneOf`: the types that would do, or what the nearest form says.
fn alternatives(context: &[Vec<ValidationError<'static>>], got: &str, depth: usize) -> String {
    let root_type = |error: &ValidationError<'_>| match error.kind() {
        ValidationErrorKind::Type { kind } if error.instance_path().is_empty() => Some(types(kind)),
        _ => None,
    };
    let types: Vec<Option<String>> = context.iter().map(|errors| errors.first().and_then(root_type)).collect();
    if types.iter().all(Option::is_some) {
        return format!("must be {}, got {got}", listed_or(types.into_iter().flatten()));
    }
    let typed = context.iter().zip(&types).filter(|(_, kind)| kind.is_none());
    let nearest = typed.min_by_key(|(errors, _)| errors.len()).and_then(|(errors, _)| errors.first());
    nearest.map_or_else(
        || "fits none of the forms that are accepted".to_owned(),
        |error| {
            let place = cut(error.instance_path().as_str(), 100).into_owned();
            let place = if place.is_empty() { String::new() } else { format!("at {place} ") };
            format!("fits none of the forms that are accepted; the nearest one {place}{}", predicate(error, depth))
        },
    )
}

fn types(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(kind) => article(*kind).to_owned(),
        TypeKind::Multiple(kinds) => listed_or(kinds.iter().map(|kind| article(kind).to_owned())),
    }
}

fn article(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Null => "null",
        JsonType::Boolean => "a boolean",
        JsonType::Integer => "an integer",
        JsonType::Number => "a number",
        JsonType::String => "a string",
        JsonType::Array => "an array",
        JsonType::Object => "an object",
    }
}

/// The type that a schema asks for, in one or a few words.
fn kind_of(schema: &Value) -> String {
    match schema.get("type") {
        Some(Value::String(kind)) => name(kind),
        Some(Value::Array(kinds)) => listed_or(kinds.iter().filter_map(Value::as_str).map(name)),
        _ => "any type".to_owned(),
    }
}

fn whole(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// `a, b, c and 3 more`.
fn listed(items: impl Iterator<Item = String>) -> String {
    let mut shown = Vec::new();
    let mut more = 0_usize;
    for item in items {
        if shown.len() < LISTED { shown.push(item) } else { more += 1 }
    }
    let text = shown.join(", ");
    if more > 0 { format!("{text} and {more} more") } else { text }
}

/// `a, b or c`, each once.
fn listed_or(items: impl Iterator<Item = String>) -> String {
    let mut shown: Vec<String> = Vec::new();
    for item in items {
        if !shown.contains(&item) && shown.len() < LISTED {
            shown.push(item);
        }
    }
    match shown.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => shown.join(""),
    }
}
