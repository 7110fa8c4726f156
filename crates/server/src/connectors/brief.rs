//! What a search says of an action that it has found. Kept for built-in connectors, most of which are found more often than called: a
//! compiled one takes thirty times as much.

use amalgam_connector::{
    Connector,
    definition::{Action, AuthKind, Definition, Effect},
};
use serde::{Deserialize, Serialize};

/// How much of a description is shown, in characters.
const LONGEST_SENTENCE: usize = 200;

/// An action in a few words.
#[derive(Serialize, Deserialize)]
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

/// Those of all actions of a connector, in one text: a dozen small pieces of memory for each action would take twice as much.
pub struct Briefs {
    /// Of each action its id, the end of a line, and JSON.
    text: Box<str>,
    /// Where each begins and ends, sorted by id.
    places: Box<[(u32, u32)]>,
}

impl Briefs {
    /// Of a definition that will not be kept.
    pub fn new(definition: &Definition) -> Self {
        let kinds = kinds(definition);
        let mut actions: Vec<(&String, &Action)> = definition.actions.iter().collect();
        actions.sort_unstable_by_key(|(id, _)| *id);
        let (mut text, mut places) = (String::new(), Vec::with_capacity(actions.len()));
        for (id, action) in actions {
            // Texts and lists always become JSON.
            let Ok(brief) = serde_json::to_string(&Brief::of(action, &kinds)) else { continue };
            let start = text.len() as u32;
            text.extend([id, "\n", &brief]);
            places.push((start, text.len() as u32));
        }
        Self { text: text.into(), places: places.into() }
    }

    /// The one with this id.
    pub fn get(&self, action: &str) -> Option<Brief> {
        let at = self.places.binary_search_by(|place| self.line(*place).map_or("", |(id, _)| id).cmp(action)).ok()?;
        let (_, brief) = self.line(*self.places.get(at)?)?;
        serde_json::from_str(brief).ok()
    }

    fn line(&self, (start, end): (u32, u32)) -> Option<(&str, &str)> {
        self.text.get(start as usize..end as usize)?.split_once('\n')
    }
}

fn kinds(definition: &Definition) -> Vec<AuthKind> {
    definition.auth.iter().map(|scheme| scheme.kind).collect()
}

/// The first sentence of a description, or as much of it as is shown.
pub fn first_sentence(text: &str) -> String {
    let end = text.find(". ").map_or(text.len(), |at| at + 1);
    text[..end].chars().take(LONGEST_SENTENCE).collect()
}
