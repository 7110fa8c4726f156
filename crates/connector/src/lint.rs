//! Advice about a definition that loads: what would make it better for those who call it.

use serde_json::Value;

use crate::connector::Connector;
use crate::definition::{Action, Definition, Effect, Parameter, Place};
use crate::parse::Problem;
use crate::text::name;

/// More advice than a person reads at once is not given.
const MOST: usize = 100;

/// What should be better, at most 100; lines are not known here (`parse::locate`).
#[must_use]
pub fn advise(definition: &Definition) -> Vec<Problem> {
    let mut advice = Advice(Vec::new());
    if definition.description.trim().is_empty() {
        advice.add("description", "Say in a sentence what the platform is: people choose by it, and search reads it.");
    }
    if definition.categories.is_empty() {
        advice.add("categories", "Name a category, such as `productivity`: lists are filtered by it.");
    }
    if definition.actions.is_empty() {
        advice.add("actions", "There are no actions yet; add one as `[actions.<id>]`.");
    }
    if let Some(host) = definition.base_url.strip_prefix("http://")
        && !["localhost", "127.", "[::1]", "{"].iter().any(|near| host.starts_with(near))
    {
        advice.add("base_url", "Secrets would be sent without encryption; write `https://`.");
    }
    let connector = Connector::new(definition.clone()).ok();
    for (id, action) in &definition.actions {
        let place = format!("actions.{}", name(id));
        about_action(&mut advice, &place, action);
        let compiled = connector.as_ref().and_then(|connector| connector.action(id));
        if let (Some(Value::Object(sample)), Some(compiled)) = (&action.sample, compiled)
            && let Err(error) = compiled.validate(sample)
        {
            advice.add(format!("{place}.sample"), format!("The action would not take its own sample: {error}"));
        }
    }
    advice.0
}

struct Advice(Vec<Problem>);

impl Advice {
    fn add(&mut self, place: impl Into<String>, message: impl Into<String>) {
        if self.0.len() < MOST {
            self.0.push(Problem { line: None, place: place.into(), message: message.into() });
        }
    }
}

fn about_action(advice: &mut Advice, place: &str, action: &Action) {
    if action.description.trim().is_empty() {
        advice.add(place, "Write a `description`: what it does and what comes back. A model chooses by it.");
    }
    let silent: Vec<&str> = action.params.iter().filter(|(_, param)| is_silent(param)).map(|(key, _)| key.as_str()).collect();
    if !silent.is_empty() {
        let names: Vec<String> = silent.iter().take(8).map(|key| format!("`{}`", name(key))).collect();
        advice.add(format!("{place}.params"), format!("Write a `description` for {}: a model fills it in by that.", names.join(", ")));
    }
    if action.effect() == Effect::Read && action.params.values().any(|param| param.place == Place::Body) && action.graphql.is_none() {
        // A search by POST says so itself; a GET with a body is refused by many servers.
        if action.method == crate::definition::Method::Get {
            advice.add(place, "Many servers ignore the body of a GET; send its parameters in the query, or write another `method`.");
        }
    }
}

fn is_silent(param: &Parameter) -> bool {
    let described = param.schema.as_ref().and_then(|schema| schema.get("description")).and_then(Value::as_str);
    param.description.trim().is_empty() && described.is_none_or(|text| text.trim().is_empty())
}
