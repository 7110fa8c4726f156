//! What changes between two definitions of a connector, and which of it breaks those who call it.

mod schema;

use std::collections::HashMap;

use serde::Serialize;

use crate::definition::{Action, Definition, Effect, Parameter};
use crate::text::name;

/// How something changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another.
    Changed,
}

/// One thing that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The action; absent for what belongs to the whole connector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// How it changed.
    pub change: Kind,
    /// Whether a call, a credential or a restriction that worked may no longer do so.
    pub breaking: bool,
    /// What changed, as a sentence.
    pub what: String,
}

/// All changes: of the connector itself, then of actions in the order of the new definition, then actions that are gone.
#[must_use]
pub fn diff(old: &Definition, new: &Definition) -> Vec<Change> {
    let mut changes = Changes { action: None, all: Vec::new() };
    connector(&mut changes, old, new);
    let was: HashMap<(&str, &str), &str> = old.actions.iter().map(|(id, action)| (address(action), id.as_str())).collect();
    for (id, action) in &new.actions {
        changes.action = Some(id.clone());
        match old.actions.get(id) {
            Some(before) => compare(&mut changes, before, action),
            None => {
                let before = was.get(&address(action)).filter(|before| !new.actions.contains_key(**before));
                let renamed = before.map_or(String::new(), |before| format!(", which was `{}`", name(before)));
                changes.add(Kind::Added, false, format!("New action: {} {}{renamed}.", action.method.as_str(), action.path));
            }
        }
    }
    for (id, action) in old.actions.iter().filter(|(id, _)| !new.actions.contains_key(*id)) {
        changes.action = Some(id.clone());
        let now = new.actions.iter().find(|(other, now)| address(now) == address(action) && !old.actions.contains_key(*other));
        let renamed = now.map_or(String::new(), |(now, _)| format!(" It is `{}` now.", name(now)));
        changes.add(Kind::Removed, true, format!("The action is gone.{renamed}"));
    }
    changes.all
}

fn address(action: &Action) -> (&'static str, &str) {
    (action.method.as_str(), action.path.as_str())
}

/// What was found so far, and which action is looked at.
struct Changes {
    action: Option<String>,
    all: Vec<Change>,
}

impl Changes {
    fn add(&mut self, change: Kind, breaking: bool, what: impl Into<String>) {
        self.all.push(Change { action: self.action.clone(), change, breaking, what: what.into() });
    }

    /// `The path was "a" and is "b".`, where the two differ.
    fn text(&mut self, breaking: bool, what: &str, old: &str, new: &str) {
        if old != new {
            self.add(Kind::Changed, breaking, format!("The {what} was `{}` and is `{}`.", short(old), short(new)));
        }
    }
}

fn short(text: &str) -> String {
    crate::text::cut(text, 200).replace('`', "'")
}

fn connector(changes: &mut Changes, old: &Definition, new: &Definition) {
    changes.text(false, "name", &old.name, &new.name);
    // A credential is sent only where it was entered for.
    changes.text(!new.auth.is_empty() || !new.variables.is_empty(), "base URL", &old.base_url, &new.base_url);
    for (key, variable) in &new.variables {
        let before = old.variables.get(key);
        if variable.is_required() && before.is_none_or(|before| !before.is_required()) {
            changes.add(Kind::Added, true, format!("Credentials now need the variable `{}`.", name(key)));
        } else if before.is_none() {
            changes.add(Kind::Added, false, format!("Credentials can have the variable `{}`.", name(key)));
        }
    }
    for scheme in &new.auth {
        let kind = scheme.kind.as_str();
        match old.auth.iter().find(|before| before.kind == scheme.kind) {
            None => changes.add(Kind::Added, old.auth.is_empty(), format!("A way to authenticate is new: `{kind}`.")),
            Some(before) if before.placements() != scheme.placements() => {
                changes.add(Kind::Changed, false, format!("Secrets of `{kind}` are sent in another place."));
            }
            Some(before) => {
                for field in scheme.field_names().filter(|field| !before.field_names().any(|known| known == *field)) {
                    changes.add(Kind::Added, true, format!("Credentials of `{kind}` now have the field `{}`.", name(field)));
                }
            }
        }
    }
    for scheme in old.auth.iter().filter(|scheme| !new.auth.iter().any(|now| now.kind == scheme.kind)) {
        changes.add(Kind::Removed, !new.auth.is_empty(), format!("A way to authenticate is gone: `{}`.", scheme.kind.as_str()));
    }
    for header in new.headers.iter().filter(|(header, value)| old.headers.get(*header) != Some(value)) {
        changes.add(Kind::Changed, false, format!("The header `{}: {}` is sent.", name(header.0), short(header.1)));
    }
}

fn compare(changes: &mut Changes, old: &Action, new: &Action) {
    changes.text(false, "method", old.method.as_str(), new.method.as_str());
    changes.text(false, "path", &old.path, &new.path);
    let weight = |effect| match effect {
        Effect::Read => ("read", 0),
        Effect::Write => ("write", 1),
        Effect::Destructive => ("destructive", 2),
    };
    let (before, after) = (weight(old.effect()), weight(new.effect()));
    changes.text(after.1 > before.1, "effect", before.0, after.0);
    if new.deprecated && !old.deprecated {
        changes.add(Kind::Changed, false, "It is deprecated now: the platform will remove it.");
    }
    if !old.auth && new.auth {
        changes.add(Kind::Changed, true, "It needs a credential now.");
    }
    if !old.scopes.is_empty() && !new.scopes.is_empty() && !old.scopes.iter().all(|scope| new.scopes.contains(scope)) {
        let scopes: Vec<String> = new.scopes.iter().map(|scope| format!("`{}`", name(scope))).collect();
        changes.add(Kind::Changed, true, format!("It needs other scopes now: {}.", scopes.join(" or ")));
    }
    for (key, param) in &new.params {
        match old.params.get(key) {
            Some(before) => parameter(changes, key, before, param),
            None if param.must_be_given() => changes.add(Kind::Added, true, format!("The parameter `{}` is new and required.", name(key))),
            None => changes.add(Kind::Added, false, format!("The parameter `{}` is new.", name(key))),
        }
    }
    for key in old.params.keys().filter(|key| !new.params.contains_key(*key)) {
        changes.add(Kind::Removed, true, format!("The parameter `{}` is gone.", name(key)));
    }
    let part = |action: &Action| action.response.as_ref().and_then(|response| response.select.clone()).unwrap_or_default();
    changes.text(true, "part of the answer that is given", &part(old), &part(new));
}

fn parameter(changes: &mut Changes, key: &str, old: &Parameter, new: &Parameter) {
    let what = format!("The parameter `{}`", name(key));
    let mut say = |breaking: bool, text: &str| changes.add(Kind::Changed, breaking, format!("{what} {text}."));
    match (old.must_be_given(), new.must_be_given()) {
        (false, true) => say(true, "is required now"),
        (true, false) => say(false, "is optional now"),
        _ => {}
    }
    if old.place != new.place || old.wire_name(key) != new.wire_name(key) {
        say(false, "is sent in another place");
    }
    if old.default != new.default {
        let value = new
            .default
            .as_ref()
            .map_or_else(|| "has no default any more".to_owned(), |value| format!("is {} by default now", crate::text::show(value)));
        say(old.default.is_some(), &value);
    }
    for (breaking, text) in schema::differences(&old.json_schema(), &new.json_schema()) {
        // What lies inside follows the name at once: `filter.status`.
        let inside = text.strip_prefix(['.', '[']).is_some();
        let what = if inside { what.trim_end_matches('`') } else { what.as_str() };
        let text = if inside { text.replacen(' ', "` ", 1) } else { text };
        changes.add(Kind::Changed, breaking, format!("{what}{text}."));
    }
}
