//! What a model is told instead of a list that is too long.

use serde_json::{Map, Value};

use crate::definition::{Action, Parameter, Place};
use crate::shape::ShapeLimits;
use crate::shape::cut::Cutter;
use crate::text::{first_sentence, name};

/// Parameters named in suggestions and instructions.
const NAMED: usize = 8;

/// Names of parameters that change the form of an answer, not what it is about.
const FORM_ONLY: [&str; 12] =
    ["fields", "select", "expand", "include", "format", "pretty", "alt", "prettyprint", "page", "offset", "cursor", "sort"];

/// Whether the action has anything to narrow an answer by.
pub(super) fn possible(action: &Action) -> bool {
    action.pagination.is_some() || filters(action).next().is_some()
}

/// The refinement answer for the list at `pointer`.
pub(super) fn refinement(action: &Action, body: &Value, pointer: &str, limits: &ShapeLimits) -> Map<String, Value> {
    let items = body.pointer(pointer).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let noun = noun(action, pointer);
    let limit = action.pagination.as_ref().and_then(|pagination| pagination.limit.as_deref());
    let mut answer = Map::new();
    answer.insert("needsRefinement".into(), true.into());
    answer.insert("message".into(), format!("Found {} {noun}. This is too many to display effectively.", items.len()).into());
    answer.insert("guidance".into(), guidance(action, limit, limits).into());
    answer.insert("suggestions".into(), suggestions(action, limit, limits).into());
    answer.insert("searchInstructions".into(), instructions(action).into());
    let mut samples = Value::Array(items.iter().take(2).cloned().collect());
    Cutter::new(*limits).cut(&mut samples);
    answer.insert("samples".into(), samples);
    answer
}

fn noun(action: &Action, pointer: &str) -> String {
    let member = pointer.rsplit('/').next().unwrap_or_default();
    // Only a plural reads well after a number.
    let noun = [action.resource.as_str(), member].into_iter().find(|noun| noun.ends_with('s')).unwrap_or("items");
    name(noun).replace(['_', '-'], " ")
}

/// Optional parameters that narrow an answer, those made for searching first.
fn filters(action: &Action) -> impl Iterator<Item = (&str, &Parameter)> {
    let pagination = action.pagination.as_ref();
    let paging = move |key: &str| {
        pagination.is_some_and(|pagination| pagination.cursor.as_deref() == Some(key) || pagination.limit.as_deref() == Some(key))
    };
    let narrows = move |key: &str, param: &Parameter| {
        let sent = matches!(param.place, Place::Query | Place::Body);
        sent && !param.required && !param.whole && !paging(key) && !FORM_ONLY.contains(&key.to_ascii_lowercase().as_str()) && !is_size(key)
    };
    let all = move || action.params.iter().map(|(key, param)| (key.as_str(), param)).filter(move |(key, param)| narrows(key, param));
    all().filter(|(key, _)| is_search(key)).chain(all().filter(|(key, _)| !is_search(key)))
}

fn is_search(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    lower == "q" || ["query", "search", "filter", "keyword", "term"].iter().any(|word| lower.contains(word))
}

fn is_size(key: &str) -> bool {
    matches!(
        key.to_ascii_lowercase().replace(['_', '-'], "").as_str(),
        "limit" | "pagesize" | "perpage" | "count" | "maxresults" | "first" | "size"
    )
}

fn size_param<'a>(action: &'a Action, limit: Option<&'a str>) -> Option<&'a str> {
    limit.or_else(|| action.params.keys().map(String::as_str).find(|key| is_size(key)))
}

fn guidance(action: &Action, limit: Option<&str>, limits: &ShapeLimits) -> String {
    let mut advice = Vec::new();
    let filters: Vec<String> = filters(action).take(NAMED).map(|(key, _)| format!("`{}`", name(key))).collect();
    if !filters.is_empty() {
        advice.push(format!("Narrow the answer with {}.", filters.join(", ")));
    }
    if let Some(limit) = size_param(action, limit) {
        advice.push(format!("Ask for fewer at a time: `{limit}` of at most {}.", limits.items));
    }
    advice.push("To go through all of them page by page, repeat the call as it was, with `cursor` set to `nextCursor`.".to_owned());
    advice.push("Ask the user which ones are meant, or use an action that gets one by its id.".to_owned());
    let numbered: Vec<String> = advice.iter().enumerate().map(|(index, text)| format!("{}. {text}", index + 1)).collect();
    numbered.join("\n")
}

fn suggestions(action: &Action, limit: Option<&str>, limits: &ShapeLimits) -> Vec<String> {
    let mut suggestions: Vec<String> = filters(action)
        .take(NAMED)
        .map(|(key, param)| {
            let about = first_sentence(&param.description, 120);
            if about.is_empty() { format!("Use `{}` to narrow the answer.", name(key)) } else { format!("Use `{}`: {about}", name(key)) }
        })
        .collect();
    if let Some(limit) = size_param(action, limit) {
        suggestions.push(format!("Set `{limit}` to {} or less.", limits.items));
    }
    if suggestions.is_empty() {
        suggestions.push("Use an action that gets one item by its id, or one that searches.".to_owned());
    }
    suggestions
}

fn instructions(action: &Action) -> String {
    let lines: Vec<String> = filters(action)
        .take(NAMED)
        .map(|(key, param)| {
            let place = if param.place == Place::Query { "query" } else { "body" };
            let about = first_sentence(&param.description, 160);
            format!("- {} ({place}): {}", name(key), if about.is_empty() { "no description".to_owned() } else { about })
        })
        .collect();
    if lines.is_empty() {
        return "This action has no parameters to search by.".to_owned();
    }
    format!("You can search using:\n{}", lines.join("\n"))
}
