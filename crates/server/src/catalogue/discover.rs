//! Ranks actions for a goal in plain words, as the caller may see them.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{resolve, visible, visible_action};
use crate::{
    connectors::{
        Loaded,
        search::{ActionIndex, search},
    },
    error::{Error, Result},
    store::{Scope, Store, servers::Server},
};

/// Most actions in an answer.
const LIMIT: usize = 10;

/// `{goal, actions: [{connectorId, actionId, name, description, effect, required, hasCredential, matched, score}], count, message}`.
pub async fn discover(store: &Store, scope: &Scope, server: Option<&Server>, goal: &str, connector: Option<&str>) -> Result<Value> {
    let mut loaded = match connector {
        Some(id) => vec![resolve(store, scope, server, id).await?],
        None => visible(store, scope, server).await?,
    };
    let (goal, restrictions) = (goal.to_owned(), server.map(|server| server.restrictions.clone()));
    // Building an index for the first time takes milliseconds to tenths of a second: not on a thread that serves others.
    let hits = tokio::task::spawn_blocking(move || {
        let indexes: Vec<&ActionIndex> = loaded.iter().filter_map(|loaded| loaded.index()).collect();
        let hits = search(&indexes, &goal, LIMIT, &|connector, action| {
            restrictions.as_ref().is_none_or(|restrictions| restrictions.action(connector, action).is_allowed())
        });
        loaded.retain(|loaded| hits.iter().any(|hit| hit.connector == loaded.id()));
        (goal, loaded, hits)
    });
    let (goal, loaded, hits) = hits.await.map_err(Error::internal)?;
    let by_id: HashMap<&str, &Loaded> = loaded.iter().map(|loaded| (loaded.id(), loaded.as_ref())).collect();
    let mut actions = Vec::with_capacity(hits.len());
    for hit in &hits {
        let Some(loaded) = by_id.get(hit.connector.as_str()) else { continue };
        let Some(action) = loaded.connector.action(&hit.action).filter(|_| visible_action(server, &hit.connector, &hit.action)) else {
            continue;
        };
        let needs = action.action.auth && !loaded.connector.definition().auth.is_empty();
        let has = !needs || !store.credentials(scope, loaded.id()).await?.is_empty();
        let required: Vec<&String> =
            action.action.params.iter().filter(|(_, parameter)| parameter.must_be_given()).map(|(name, _)| name).collect();
        actions.push(json!({
            "connectorId": hit.connector,
            "actionId": hit.action,
            "name": action.action.name,
            "description": first_sentence(&action.action.description),
            "effect": action.action.effect(),
            "requiredParameters": required,
            "hasCredential": has,
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

fn first_sentence(text: &str) -> String {
    let end = text.find(". ").map_or(text.len(), |at| at + 1);
    text[..end].chars().take(200).collect()
}
