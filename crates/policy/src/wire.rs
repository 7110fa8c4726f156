//! Restrictions from their wire form, the newer and the older one, with an error that names the field.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::restrictions::{Mode, Part, Quoted, Restrictions, Rule};

/// The most entries of one list. Source: the vendor's custom server page ("at most 1,000 items per array").
const MAX_ENTRIES: usize = 1_000;
/// The longest user id, in characters.
const MAX_USER_CHARS: usize = 10_000;
/// The longest entry for connectors and actions, whose ids are far shorter, in characters.
const MAX_ENTRY_CHARS: usize = 200;
/// The most that all restrictions of one server may have, in bytes of JSON.
const MAX_BYTES: usize = 256 * 1024;

/// What is wrong with restrictions that a client sent (400).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// Where: `restrictions.connectors.allowedIds[3]`.
    pub field: String,
    /// A sentence for people that names the field and the way out.
    pub message: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for PolicyError {}

type Result<T> = std::result::Result<T, PolicyError>;

/// `rest` follows the name of the field.
fn error(field: &str, rest: impl fmt::Display) -> PolicyError {
    PolicyError { field: field.to_owned(), message: format!("{field} {rest}.") }
}

impl Restrictions {
    /// Reads the wire form: `{connectors?, actions?, users?}`, each `{mode, allowedIds? | blockedIds?}` (`allowedActions` and
    /// `blockedActions` for actions), or the older `{permissions: [{connector, actions?}], users?}`.
    ///
    /// # Errors
    /// The first fault: an unknown member, a wrong type, a list that does not match the mode, more than 1,000 entries in a list,
    /// an entry that is empty, longer than 200 characters (10,000 for users), or could never match anything, more than 256 KB in all.
    pub fn parse(value: &Value) -> Result<Self> {
        let given = object("restrictions", value)?;
        let mut this = Self::default();
        for (name, value) in given {
            match name.as_str() {
                "connectors" => this.set(Part::Connectors, value)?,
                "actions" => this.set(Part::Actions, value)?,
                "users" => this.set(Part::Users, value)?,
                "permissions" => {}
                _ => {
                    return Err(unknown("restrictions", name, "connectors, actions and users"));
                }
            }
        }
        if let Some(permissions) = given.get("permissions") {
            if this.connectors.is_some() || this.actions.is_some() {
                let rest = "is the older form of connectors and actions: give either it or them";
                return Err(error("restrictions.permissions", rest));
            }
            let (connectors, actions) = from_permissions(permissions)?;
            this.set(Part::Connectors, &json!({"mode": "allowlist", "allowedIds": connectors}))?;
            if let Some(actions) = actions {
                this.set(Part::Actions, &json!({"mode": "allowlist", "allowedActions": actions}))?;
            }
        }
        if this.to_wire().to_string().len() > MAX_BYTES {
            return Err(error(
                "restrictions",
                format_args!("may have at most {MAX_BYTES} bytes of JSON in all: name fewer, or use a trailing *"),
            ));
        }
        Ok(this)
    }

    /// Compiles one part and keeps it as it was given.
    fn set(&mut self, part: Part, value: &Value) -> Result<()> {
        let rule = Some(rule(part, value)?);
        match part {
            Part::Connectors => self.connectors = rule,
            Part::Actions => self.actions = rule,
            Part::Users => self.users = rule,
        }
        self.wire.insert(part.name().to_owned(), value.clone());
        Ok(())
    }
}

fn rule(part: Part, value: &Value) -> Result<Rule> {
    let field = format!("restrictions.{}", part.name());
    let given = object(&field, value)?;
    let (allowed, blocked) = match part {
        Part::Actions => ("allowedActions", "blockedActions"),
        Part::Connectors | Part::Users => ("allowedIds", "blockedIds"),
    };
    if let Some(name) = given.keys().find(|name| ![allowed, blocked, "mode"].contains(&name.as_str())) {
        return Err(unknown(&field, name, &format!("mode, {allowed} and {blocked}")));
    }
    let (mode, list, other) = match given.get("mode").map(Value::as_str) {
        Some(Some("allowlist")) => (Mode::Allowlist, allowed, blocked),
        Some(Some("blocklist")) => (Mode::Blocklist, blocked, allowed),
        _ => {
            return Err(error(&format!("{field}.mode"), r#"must be "allowlist" or "blocklist""#));
        }
    };
    if given.contains_key(other) {
        let rest = format!("does not match {field}.mode: an allowlist has {allowed} only, a blocklist {blocked} only");
        return Err(error(&format!("{field}.{other}"), rest));
    }
    let mut rule = Rule::new(mode);
    let Some(list_value) = given.get(list) else {
        return Ok(rule);
    };
    let list = format!("{field}.{list}");
    for (at, entry) in array(&list, list_value)?.iter().enumerate() {
        let entry = text(&format!("{list}[{at}]"), Some(entry), part)?;
        match part {
            Part::Actions => rule.add_action(entry),
            Part::Connectors | Part::Users => rule.add_exact(entry),
        }
    }
    Ok(rule)
}

/// The older form as entries of the newer one, without loss: the connectors that may be used, and, when some permission names
/// actions, every permission as qualified action entries (`slack/*` for one that names none).
fn from_permissions(value: &Value) -> Result<(Vec<&str>, Option<Vec<String>>)> {
    const FIELD: &str = "restrictions.permissions";
    let (mut connectors, mut actions, mut names_actions) = (Vec::new(), Vec::new(), false);
    for (at, permission) in array(FIELD, value)?.iter().enumerate() {
        let field = format!("{FIELD}[{at}]");
        let given = object(&field, permission)?;
        if let Some(name) = given.keys().find(|name| !["connector", "actions"].contains(&name.as_str())) {
            return Err(unknown(&field, name, "connector and actions"));
        }
        let connector = text(&format!("{field}.connector"), given.get("connector"), Part::Connectors)?;
        connectors.push(connector);
        let Some(list) = given.get("actions") else {
            actions.push(format!("{connector}/*"));
            continue;
        };
        names_actions = true;
        let list_field = format!("{field}.actions");
        for (at, action) in array(&list_field, list)?.iter().enumerate() {
            let field = format!("{list_field}[{at}]");
            let action = Value::from(format!("{connector}/{}", text(&field, Some(action), Part::Actions)?));
            actions.push(text(&field, Some(&action), Part::Actions)?.to_owned());
        }
        if actions.len() > MAX_ENTRIES {
            return Err(error(FIELD, format_args!("names more than {MAX_ENTRIES} actions in all: name fewer, or use a trailing *")));
        }
    }
    Ok((connectors, names_actions.then_some(actions)))
}

fn object<'a>(field: &str, value: &'a Value) -> Result<&'a Map<String, Value>> {
    value.as_object().ok_or_else(|| error(field, "must be an object: leave it out to restrict nothing"))
}

fn array<'a>(field: &str, value: &'a Value) -> Result<&'a Vec<Value>> {
    let list = value.as_array().ok_or_else(|| error(field, "must be an array"))?;
    if list.len() > MAX_ENTRIES {
        return Err(error(field, format_args!("has {} entries: at most {MAX_ENTRIES} are allowed", list.len())));
    }
    Ok(list)
}

/// An entry of a list. One that could never match is refused: in a blocklist it would silently block nothing.
fn text<'a>(field: &str, value: Option<&'a Value>, part: Part) -> Result<&'a str> {
    let Some(text) = value.and_then(Value::as_str).filter(|text| !text.is_empty()) else {
        return Err(error(field, "must be a text that is not empty"));
    };
    // Bytes first: they are known, and there are never fewer of them than characters.
    let most = if part == Part::Users { MAX_USER_CHARS } else { MAX_ENTRY_CHARS };
    if text.len() > most && text.chars().count() > most {
        return Err(error(field, format_args!("is longer than {most} characters")));
    }
    let shown = Quoted(None, text, "");
    if part != Part::Users && (text.split('/').any(|id| id.trim() != id) || text.contains(char::is_control)) {
        return Err(error(field, format_args!("is {shown}, but no id begins or ends with a space or holds a control character")));
    }
    match part {
        Part::Users => {}
        Part::Connectors if text.contains(['/', '*']) => {
            let rest =
                format!("is {shown}, but a connector id has no / or *: give whole ids here, and rules for actions in restrictions.actions");
            return Err(error(field, rest));
        }
        Part::Connectors => {}
        Part::Actions => {
            if text.strip_suffix('*').unwrap_or(text).contains('*') {
                return Err(error(field, format_args!("is {shown}, but a * may stand only at the end")));
            }
            if text.starts_with('/') || text.ends_with('/') {
                let rest = format!("is {shown}: write action, connector/action, or connector/* for all actions of a connector");
                return Err(error(field, rest));
            }
        }
    }
    Ok(text)
}

fn unknown(parent: &str, name: &str, known: &str) -> PolicyError {
    let field = format!("{parent}.{name}");
    let message = format!("{parent} has the unknown member {}: it may have {known}.", Quoted(None, name, ""));
    PolicyError { field, message }
}
