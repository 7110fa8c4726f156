//! Restrictions: allow and block lists over connectors, actions and users, compiled for speed, and the reason of each refusal.

use std::fmt;

use foldhash::{HashMap, HashSet};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// The restrictions of one server. The three rules combine by AND; a rule that is not given allows everything.
///
/// * A connector id and a user id match exactly and case-sensitively.
/// * An action entry is bare (`delete_channel`: that action of any connector) or qualified (`slack/delete_channel`: text before the
///   first slash is the connector). A trailing `*` matches a prefix: `delete_*`, `slack/*`, `slack/delete_*`.
/// * An allowlist with an absent or empty list denies all; a blocklist with an absent or empty list allows all.
///
/// Made by `Restrictions::parse`; the default restricts nothing. It serializes to its wire form.
#[derive(Debug, Clone, Default)]
pub struct Restrictions {
    pub(crate) wire: Map<String, Value>,
    pub(crate) connectors: Option<Rule>,
    pub(crate) actions: Option<Rule>,
    pub(crate) users: Option<Rule>,
}

/// Whether something is permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision<'a> {
    /// It is.
    Allow,
    /// It is not, and this is why.
    Deny(Denial<'a>),
}

impl Decision<'_> {
    /// Whether it is `Allow`, for filters.
    pub fn is_allowed(&self) -> bool {
        *self == Self::Allow
    }
}

/// Why something is not permitted. Displayed, it is a sentence for people that names the rule:
/// `Access denied: connector "x" is not allowed on this server (restrictions.connectors is an allowlist that does not contain it)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denial<'a> {
    part: Part,
    /// The connector of a denied action.
    connector: Option<&'a str>,
    name: &'a str,
    /// The entry of the blocklist; `None` for an allowlist, which has none.
    entry: Option<Entry<'a>>,
}

/// One of the three rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Connectors,
    Actions,
    Users,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Allowlist,
    Blocklist,
}

/// A compiled allow or block list.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    mode: Mode,
    /// Entries for ids alone.
    bare: Names,
    /// Qualified action entries by connector; empty in the rules of connectors and users.
    qualified: HashMap<Box<str>, Names>,
}

/// The ids of one list. A lookup costs one hash, and one comparison for each prefix.
#[derive(Debug, Clone, Default)]
struct Names {
    exact: HashSet<Box<str>>,
    prefixes: Vec<Box<str>>,
}

/// The entry of a list that matched, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry<'a> {
    connector: Option<&'a str>,
    text: &'a str,
    is_prefix: bool,
}

impl Restrictions {
    /// The wire form, newer shape: each part as it was given; `{}` when there is none.
    pub fn to_wire(&self) -> Value {
        Value::Object(self.wire.clone())
    }

    /// What it takes in memory, about, in bytes: an entry stands in the wire form and in the compiled one.
    pub fn weight(&self) -> usize {
        let lists = self.wire.values().filter_map(Value::as_object).flat_map(Map::values).filter_map(Value::as_array);
        lists.flatten().filter_map(Value::as_str).map(|entry| 2 * (64 + entry.len())).sum()
    }

    /// Whether anything at all could be denied (`hasRestrictions`). A blocklist that blocks nothing is not active.
    pub fn is_active(&self) -> bool {
        [&self.connectors, &self.actions, &self.users].into_iter().flatten().any(Rule::is_active)
    }

    /// Whether the connector may be used.
    pub fn connector<'a>(&'a self, id: &'a str) -> Decision<'a> {
        decide(Part::Connectors, self.connectors.as_ref(), None, id)
    }

    /// Whether the action of this connector may be used; that includes `connector`.
    pub fn action<'a>(&'a self, connector: &'a str, action: &'a str) -> Decision<'a> {
        match self.connector(connector) {
            Decision::Allow => decide(Part::Actions, self.actions.as_ref(), Some(connector), action),
            denied @ Decision::Deny(_) => denied,
        }
    }

    /// Whether the effective user may use the server.
    pub fn user<'a>(&'a self, id: &'a str) -> Decision<'a> {
        decide(Part::Users, self.users.as_ref(), None, id)
    }
}

impl Serialize for Restrictions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.wire.serialize(serializer)
    }
}

fn decide<'a>(part: Part, rule: Option<&'a Rule>, connector: Option<&'a str>, name: &'a str) -> Decision<'a> {
    let Some(rule) = rule else {
        return Decision::Allow;
    };
    match (rule.mode, rule.find(connector, name)) {
        (Mode::Allowlist, Some(_)) | (Mode::Blocklist, None) => Decision::Allow,
        (Mode::Allowlist, None) => Decision::Deny(Denial { part, connector, name, entry: None }),
        (Mode::Blocklist, entry) => Decision::Deny(Denial { part, connector, name, entry }),
    }
}

impl Rule {
    pub(crate) fn new(mode: Mode) -> Self {
        Self { mode, bare: Names::default(), qualified: HashMap::default() }
    }

    /// Adds an id that matches exactly, whatever characters it has.
    pub(crate) fn add_exact(&mut self, id: &str) {
        self.bare.exact.insert(id.into());
    }

    /// Adds an action entry, bare or qualified, with or without a trailing `*`.
    pub(crate) fn add_action(&mut self, entry: &str) {
        let qualified = entry.split_once('/');
        if let Some((connector, action)) = qualified {
            self.qualified.entry(connector.into()).or_default().add(action);
        }
        // The tools of an upstream may have a slash in their own name. An allowlist reads `a/b` only as action `b` of connector `a`,
        // so that nobody gets in by naming a tool so; a blocklist reads it both ways, so that nothing slips through.
        if qualified.is_none() || self.mode == Mode::Blocklist {
            self.bare.add(entry);
        }
    }

    fn find<'a>(&'a self, connector: Option<&'a str>, name: &'a str) -> Option<Entry<'a>> {
        let qualified = || {
            let connector = connector?;
            let entry = self.qualified.get(connector)?.find(name)?;
            Some(Entry { connector: Some(connector), ..entry })
        };
        self.bare.find(name).or_else(qualified)
    }

    fn is_active(&self) -> bool {
        self.mode == Mode::Allowlist || !self.bare.is_empty() || !self.qualified.is_empty()
    }
}

impl Names {
    fn add(&mut self, pattern: &str) {
        match pattern.strip_suffix('*') {
            Some(prefix) => self.prefixes.push(prefix.into()),
            None => {
                self.exact.insert(pattern.into());
            }
        }
    }

    fn find<'a>(&'a self, name: &'a str) -> Option<Entry<'a>> {
        if self.exact.contains(name) {
            return Some(Entry { connector: None, text: name, is_prefix: false });
        }
        let prefix = self.prefixes.iter().find(|prefix| name.starts_with(&***prefix))?;
        Some(Entry { connector: None, text: prefix, is_prefix: true })
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefixes.is_empty()
    }
}

impl Part {
    /// The member of `restrictions`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connectors => "connectors",
            Self::Actions => "actions",
            Self::Users => "users",
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Connectors => "connector",
            Self::Actions => "action",
            Self::Users => "user",
        }
    }
}

impl fmt::Display for Denial<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (noun, rule) = (self.part.noun(), self.part.name());
        write!(
            f,
            "Access denied: {noun} {} is not allowed on this server (restrictions.{rule} is ",
            Quoted(self.connector, self.name, "")
        )?;
        match self.entry {
            None => f.write_str("an allowlist that does not contain it)"),
            Some(entry) => {
                let star = if entry.is_prefix { "*" } else { "" };
                write!(f, "a blocklist with the entry {})", Quoted(entry.connector, entry.text, star))
            }
        }
    }
}

/// An id as a sentence shows it: quoted, cut, control characters escaped, since it may be anything that a client sent.
/// The parts are the connector of a qualified id, the id, and what follows it.
pub(crate) struct Quoted<'a>(pub Option<&'a str>, pub &'a str, pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        if let Some(connector) = self.0 {
            write!(f, "{}/", Cut(connector))?;
        }
        write!(f, "{}{}\"", Cut(self.1), self.2)
    }
}

struct Cut<'a>(&'a str);

impl fmt::Display for Cut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_CHARS: usize = 100;
        match self.0.char_indices().nth(SHOWN_CHARS) {
            Some((end, _)) => write!(f, "{}…", self.0.get(..end).unwrap_or_default().escape_debug()),
            None => write!(f, "{}", self.0.escape_debug()),
        }
    }
}
