//! What a search says of an action that it has found. Kept for built-in connectors, most of which are found more often than called: a
//! compiled one takes thirty times as much.

use amalgam_connector::{
    Connector,
    definition::{Action, AuthKind, Definition, Effect},
};

/// How much of a description is shown, in characters.
const LONGEST_SENTENCE: usize = 200;

/// An action in a few words.
#[derive(Clone)]
pub struct Brief {
    /// For people.
    pub name: Box<str>,
    /// The first sentence of its description.
    pub sentence: Box<str>,
    /// What it does to the data.
    pub effect: Effect,
    /// The arguments that must be given.
    pub required: Box<[Box<str>]>,
    /// The kinds of credential one of which it needs; empty where it needs none.
    pub kinds: Box<[AuthKind]>,
}

impl Brief {
    fn of(action: &Action, kinds: &[AuthKind]) -> Self {
        let required = action.params.iter().filter(|(_, parameter)| parameter.must_be_given());
        Self {
            name: action.name.as_str().into(),
            sentence: first_sentence(&action.description).into(),
            effect: action.effect(),
            required: required.map(|(name, _)| name.as_str().into()).collect(),
            kinds: if action.auth { kinds.into() } else { Box::default() },
        }
    }

    /// Of an action of a compiled connector.
    pub fn compiled(connector: &Connector, action: &str) -> Option<Self> {
        Some(Self::of(&connector.action(action)?.action, &kinds(connector.definition())))
    }
}

/// Those of all actions of a connector.
pub struct Briefs {
    /// Sorted by id.
    actions: Box<[(Box<str>, Brief)]>,
}

impl Briefs {
    /// Of a definition that will not be kept.
    pub fn new(definition: &Definition) -> Self {
        let kinds = kinds(definition);
        let mut actions: Box<[_]> = definition.actions.iter().map(|(id, action)| (id.as_str().into(), Brief::of(action, &kinds))).collect();
        actions.sort_unstable_by(|(a, _): &(Box<str>, Brief), (b, _)| a.cmp(b));
        Self { actions }
    }

    /// The one with this id.
    pub fn get(&self, action: &str) -> Option<Brief> {
        let at = self.actions.binary_search_by(|(id, _)| (**id).cmp(action)).ok()?;
        self.actions.get(at).map(|(_, brief)| brief.clone())
    }
}

fn kinds(definition: &Definition) -> Vec<AuthKind> {
    definition.auth.iter().map(|scheme| scheme.kind).collect()
}

fn first_sentence(text: &str) -> String {
    let end = text.find(". ").map_or(text.len(), |at| at + 1);
    text[..end].chars().take(LONGEST_SENTENCE).collect()
}
