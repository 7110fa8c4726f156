//! Ranks actions for a goal in plain words, as the caller may see them.

use std::sync::Arc;

use amalgam_connector::definition::AuthKind;
use serde_json::{Value, json};

use super::{named_category, resolve, upstream, visible, visible_action};
use crate::{
    connectors::{
        Loaded,
        search::{ActionIndex, Hit, LONGEST_GOAL, search},
    },
    error::{Error, Result},
    store::{Scope, Store, credentials::State, servers::Server, upstreams::Auth},
};

/// Most actions in an answer.
const LIMIT: usize = 10;

/// Where actions are looked for; both may be given.
#[derive(Default)]
pub struct Filter<'a> {
    /// Only actions of this connector.
    pub connector: Option<&'a str>,
    /// Only actions of connectors of this category.
    pub category: Option<&'a str>,
}

/// `{goal, actions: [{connectorId, actionId, name, description, effect, requiredParameters, hasCredential, matched, score}], count, message}`.
///
/// # Errors
/// When the goal is too long, and for a connector or category that the caller does not see.
pub async fn discover(store: &Store, scope: &Scope, server: Option<&Server>, goal: &str, filter: &Filter<'_>) -> Result<Value> {
    let length = goal.chars().count();
    if length > LONGEST_GOAL {
        return Err(Error::invalid(
            "goal",
            format!("`goal` has {length} characters, and at most {LONGEST_GOAL} are searched: say in a sentence what should be done."),
        ));
    }
    let mut loaded = match filter.connector {
        Some(id) => vec![resolve(store, scope, server, id).await?],
        None => visible(store, scope, server).await?,
    };
    if let Some(category) = filter.category {
        named_category(store, scope, server, category).await?;
        loaded.retain(|loaded| loaded.has_category(category));
    }
    let (goal, hits) = ranked(loaded, goal.to_owned(), server).await?;
    let mut actions = Vec::with_capacity(hits.len());
    for (loaded, hit) in &hits {
        let Some(brief) = loaded.brief(&hit.action).filter(|_| visible_action(server, &hit.connector, &hit.action)) else { continue };
        actions.push(json!({
            "connectorId": hit.connector,
            "actionId": hit.action,
            "name": brief.name,
            "description": brief.sentence,
            "effect": brief.effect,
            "requiredParameters": brief.required,
            "hasCredential": has_credential(store, scope, server, &hit.connector, &brief.kinds).await?,
            "matched": hit.matched,
            "score": (f64::from(hit.score) * 100.0).round() / 100.0,
        }));
    }
    let message = if actions.is_empty() {
        "No action fits these words. Try the platform's name and a verb, or list_connectors_alloy and get_connector_resources_alloy."
    } else {
        "Best match first. Next: get_action_details_alloy for the parameters, create_credential_alloy where hasCredential is false, then execute_action_alloy."
    };
    Ok(json!({ "goal": goal.chars().take(200).collect::<String>(), "actions": actions, "count": actions.len(), "message": message }))
}

/// The goal and the best actions for it, each with its connector.
async fn ranked(loaded: Vec<Arc<Loaded>>, goal: String, server: Option<&Server>) -> Result<(String, Vec<(Arc<Loaded>, Hit)>)> {
    let restrictions = server.map(|server| server.restrictions.clone());
    // Building an index for the first time takes milliseconds to tenths of a second: not on a thread that serves others.
    let found = tokio::task::spawn_blocking(move || {
        let indexes: Vec<&ActionIndex> = loaded.iter().map(|loaded| loaded.index()).collect();
        let hits = search(&indexes, &goal, LIMIT, &|connector, action| {
            restrictions.as_ref().is_none_or(|restrictions| restrictions.action(connector, action).is_allowed())
        });
        let with_connector = |hit: Hit| Some((loaded.iter().find(|loaded| loaded.id() == hit.connector)?.clone(), hit));
        let hits = hits.into_iter().filter_map(with_connector).collect();
        (goal, hits)
    });
    found.await.map_err(Error::internal)
}

/// Whether a call would find what it authenticates with: the newest credential of a kind that the action needs, unless its user has to
/// connect again; for an upstream the headers that its owner or this user has entered. True where nothing is needed.
async fn has_credential(store: &Store, scope: &Scope, server: Option<&Server>, connector: &str, kinds: &[AuthKind]) -> Result<bool> {
    if let Some(registered) = upstream(store, scope, server, connector).await? {
        let is_open = registered.upstream.auth == Auth::None;
        return Ok(is_open || store.upstream_for(&registered.upstream, &scope.user).await?.sealed.is_some());
    }
    if kinds.is_empty() {
        return Ok(true);
    }
    let credentials = store.credentials(scope, connector).await?;
    let chosen = credentials.iter().find(|credential| kinds.contains(&credential.kind));
    Ok(chosen.is_some_and(|credential| credential.state != State::ReconnectRequired))
}
