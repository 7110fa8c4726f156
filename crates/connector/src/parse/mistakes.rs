//! All that is wrong with a text that is no definition: what cannot be read is taken out, and the rest is read again.

use serde_path_to_error::Segment;
use toml::Value;
use toml::de::DeTable;

use super::{Problem, place};
use crate::check::check;
use crate::definition::Definition;
use crate::text::{closest, cut};

/// More mistakes than a person reads at once are not looked for: each costs a reading.
const MOST: usize = 50;

/// The mistakes of a text, in the order of its lines. Never empty for a text that cannot be read.
pub(super) fn find(text: &str) -> Vec<Problem> {
    let (table, broken) = DeTable::parse_recoverable(text);
    if !broken.is_empty() {
        return not_toml(text, &broken);
    }
    let Ok(mut rest) = toml::from_str::<toml::Table>(text).map(Value::Table) else { return Vec::new() };
    let mut problems = Vec::new();
    for _ in 0..MOST {
        let error = match serde_path_to_error::deserialize::<_, Definition>(rest.clone()) {
            Ok(definition) => {
                let others = check(&definition).into_iter().filter(|problem| !problems.iter().any(|known| hides(known, problem)));
                let others: Vec<Problem> = others.collect();
                problems.extend(others);
                break;
            }
            Err(error) => error,
        };
        let way: Vec<Segment> = error.path().iter().cloned().collect();
        let said = error.inner().message().to_owned();
        let place = shown(&way);
        if !follows(&problems, &place, &said) {
            problems.push(Problem { line: None, place, message: explain(&said) });
        }
        // To see what else is wrong, this is set right or left out.
        if !mend(&mut rest, &way, &said) {
            break;
        }
    }
    for problem in &mut problems {
        problem.line = Some(place::offset(table.get_ref(), &problem.place).map_or(1, |offset| place::line_at(text, offset)));
    }
    problems.sort_by_key(|problem| problem.line);
    problems
}

fn not_toml(text: &str, errors: &[toml::de::Error]) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    for error in errors.iter().take(MOST) {
        let line = error.span().map(|span| place::line_at(text, span.start));
        // What follows from the first mistake of a line is not a second one.
        if problems.iter().all(|known| known.line != line) {
            let message = format!("This is not TOML: {}.", cut(error.message().trim_end_matches('.'), 400));
            problems.push(Problem { line, place: String::new(), message });
        }
    }
    problems
}

/// Whether a mistake may be the only reason for another problem: both are of one action, or the mistake is of what actions refer to.
fn hides(mistake: &Problem, other: &Problem) -> bool {
    let part = |place: &str| {
        let depth = if place.starts_with("actions.") { 2 } else { 1 };
        place.split('.').take(depth).map(str::to_owned).collect::<Vec<_>>()
    };
    let shared = ["auth", "variables", "headers"].contains(&mistake.place.split('.').next().unwrap_or_default());
    shared || part(&mistake.place) == part(&other.place)
}

/// Whether something is missing only because it was misspelt, or taken out after a mistake in it.
fn follows(problems: &[Problem], place: &str, said: &str) -> bool {
    let Some(field) = missing(said) else { return false };
    let own = if place.is_empty() { field.to_owned() } else { format!("{place}.{field}") };
    let meant = format!("did you mean `{field}`?");
    let beside = |other: &str| other.rsplit_once('.').map_or("", |(holder, _)| holder) == place;
    problems.iter().any(|problem| problem.place == own || (beside(&problem.place) && problem.message.ends_with(&meant)))
}

fn missing(said: &str) -> Option<&str> {
    said.strip_prefix("missing field `").and_then(|rest| rest.split('`').next())
}

fn shown(way: &[Segment]) -> String {
    let names = way.iter().filter_map(|segment| match segment {
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Unknown => None,
    });
    names.collect::<Vec<_>>().join(".")
}

/// The reader's words as a sentence that says what to write instead.
fn explain(said: &str) -> String {
    let quoted: Vec<&str> = said.split('`').skip(1).step_by(2).collect();
    let (what, known) = match quoted.split_first() {
        Some((what, known)) => (*what, known),
        None => ("", &[][..]),
    };
    let meant = || match closest(what, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.is_empty() => "leave it out.".to_owned(),
        None => format!("known here: `{}`.", known.join("`, `")),
    };
    let what_shown = cut(what, 80);
    if said.starts_with("unknown field") {
        format!("`{what_shown}` is not known here; {}", meant())
    } else if said.starts_with("unknown variant") {
        format!("`{what_shown}` is none of the values that this takes; {}", meant())
    } else if said.starts_with("missing field") {
        format!("`{what_shown}` is missing here; add it.")
    } else if let Some((got, expected)) = said.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected ")) {
        format!("This is {}; write {}.", plainly(got), plainly(expected))
    } else {
        let mut sentence: String = cut(said, 400).trim_end_matches('.').to_owned();
        if let Some(first) = sentence.get_mut(0..1) {
            first.make_ascii_uppercase();
        }
        format!("{sentence}.")
    }
}

/// Types in the words of TOML.
fn plainly(kind: &str) -> String {
    let (kind, value) = kind.split_once(' ').map_or((kind, ""), |(kind, value)| (kind, value));
    let words = match (kind, value) {
        ("map" | "struct", _) => return "a table".to_owned(),
        ("sequence", _) | ("a", "sequence") => return "a list".to_owned(),
        ("a", "map") => return "a table".to_owned(),
        ("a", "string") => return "a text in quotes".to_owned(),
        ("a", "boolean") => return "true or false".to_owned(),
        ("u16" | "u32" | "u64" | "usize", "") => return "a whole number".to_owned(),
        ("string", value) => format!("the text {value}"),
        ("integer" | "floating", value) => format!("the number {}", value.trim_start_matches("point ")),
        ("boolean", value) => format!("the truth value {value}"),
        (kind, value) => format!("{kind} {value}"),
    };
    cut(words.trim(), 120).replace("the number `", "the number ").replace("the truth value `", "").replace('`', "")
}

/// Takes the culprit out, or puts in what is missing; false where there is nothing to be done.
fn mend(root: &mut Value, way: &[Segment], said: &str) -> bool {
    let missing = missing(said);
    let (last, before) = match (missing, way.split_last()) {
        (Some(_), _) => (None, way),
        (None, Some((last, before))) => (Some(last), before),
        (None, None) => return false,
    };
    let Some(holder) = reach(root, before) else { return false };
    match (holder, last, missing) {
        (Value::Table(table), None, Some(field)) => {
            let known = stand_in(field, before);
            known.is_some_and(|value| table.insert(field.to_owned(), value).is_none())
        }
        (Value::Table(table), Some(Segment::Map { key }), None) => table.remove(key).is_some(),
        (Value::Array(items), Some(Segment::Seq { index }), None) if *index < items.len() => {
            items.remove(*index);
            true
        }
        // A variant of an enumeration is the value itself: what holds it is one step up.
        (_, Some(Segment::Enum { .. }), None) => mend(root, before, "unknown"),
        _ => false,
    }
}

fn reach<'v>(root: &'v mut Value, way: &[Segment]) -> Option<&'v mut Value> {
    way.iter().try_fold(root, |value, segment| match (value, segment) {
        (Value::Table(table), Segment::Map { key }) => table.get_mut(key),
        (Value::Array(items), Segment::Seq { index }) => items.get_mut(*index),
        (value, Segment::Enum { .. } | Segment::Unknown) => Some(value),
        _ => None,
    })
}

/// A value that a required field may have; what it stands for is never used.
fn stand_in(field: &str, way: &[Segment]) -> Option<Value> {
    let text = match field {
        "id" | "name" | "what" | "why" | "value" => "x",
        "base_url" | "authorize_url" | "token_url" => "https://example.com",
        "method" => "GET",
        "path" | "pointer" => "/",
        "in" if matches!(way.first(), Some(Segment::Map { key }) if key == "auth") => "header",
        "in" => "query",
        "type" => "bearer",
        "requests" | "seconds" => return Some(Value::Integer(1)),
        "actions" => return Some(Value::Table(toml::Table::new())),
        _ => return None,
    };
    Some(Value::String(text.to_owned()))
}
