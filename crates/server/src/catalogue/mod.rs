//! Which connectors an account has, the built-in ones and its own; which of them a caller may see; and which action fits a goal.

pub mod discover;

use std::{collections::BTreeSet, sync::Arc};

use amalgam_connector::{CompiledAction, closest};
use amalgam_policy::Decision;
use serde_json::json;

use crate::{
    config::FIXED_WORDS,
    connectors::{Loaded, builtin::BUILTIN},
    error::{Error, Kind, Result},
    store::{Scope, Store, servers::Server, upstreams::Registered},
};

/// True for the id of a connector that all accounts have.
pub fn is_common(store: &Store, id: &str) -> bool {
    store.folder().state().connectors.contains_key(id) || BUILTIN.contains_key(id)
}

/// True for an id that no account may take: a fixed word, or one that is there for all.
pub fn is_reserved(store: &Store, id: &str) -> bool {
    FIXED_WORDS.contains(&id) || is_common(store, id)
}

/// Whose upstreams a caller reaches: through a server those of its owner, who lends them; else the caller's own.
fn lender<'a>(scope: &'a Scope, server: Option<&'a Server>) -> &'a Scope {
    server.map_or(scope, |server| &server.owner)
}

/// All connectors that the server, if there is one, permits: the built-in ones by id, then the operator's, the account's own, and upstreams.
/// What the operator calls as a built-in one stands in its place; what an account calls so too is hidden.
pub async fn visible(store: &Store, scope: &Scope, server: Option<&Server>) -> Result<Vec<Arc<Loaded>>> {
    let own = store.connectors(&scope.account).await?;
    let upstreams = store.upstreams(&scope.account).await?;
    let lender = lender(scope, server);
    let lent = upstreams.values().filter(|registered| registered.upstream.owner == *lender).map(|registered| &registered.loaded);
    let state = store.folder().state();
    let folder = &state.connectors;
    let builtin = BUILTIN.values().filter(|loaded| !folder.contains_key(loaded.id()));
    let others = own.values().map(|stored| &stored.loaded).chain(lent).filter(|loaded| !folder.contains_key(loaded.id()));
    let all = builtin.chain(folder.values()).chain(others);
    Ok(all.filter(|loaded| server.is_none_or(|server| server.restrictions.connector(loaded.id()).is_allowed())).cloned().collect())
}

/// Of the connectors that [`visible`] shows the server's owner, those with these ids, in their order.
pub async fn named(store: &Store, server: &Server, ids: &[String]) -> Result<Vec<Arc<Loaded>>> {
    let own = store.connectors(&server.owner.account).await?;
    let upstreams = store.upstreams(&server.owner.account).await?;
    let lent = |id: &str| upstreams.get(id).filter(|registered| registered.upstream.owner == server.owner);
    let state = store.folder().state();
    let find = |id: &String| {
        let common = state.connectors.get(id).or_else(|| BUILTIN.get(id));
        let loaded = common.or_else(|| Some(&own.get(id)?.loaded)).or_else(|| Some(&lent(id)?.loaded));
        loaded.filter(|_| server.restrictions.connector(id).is_allowed()).cloned()
    };
    Ok(ids.iter().filter_map(find).collect())
}

/// The upstream that is the connector of this id, if the caller reaches one of it.
pub async fn upstream(store: &Store, scope: &Scope, server: Option<&Server>, id: &str) -> Result<Option<Arc<Registered>>> {
    let all = store.upstreams(&scope.account).await?;
    Ok(all.get(id).filter(|registered| registered.upstream.owner == *lender(scope, server)).cloned())
}

/// The connector with this id: the operator's, built in, of this account, or an upstream that the caller reaches.
///
/// # Errors
/// `Access denied` where the server does not permit it; else not found, with the id that was probably meant.
pub async fn resolve(store: &Store, scope: &Scope, server: Option<&Server>, id: &str) -> Result<Arc<Loaded>> {
    if let Some(server) = server
        && let Decision::Deny(denial) = server.restrictions.connector(id)
    {
        return Err(Error::denied(denial));
    }
    if let Some(loaded) = store.folder().get(id).or_else(|| BUILTIN.get(id).cloned()) {
        return Ok(loaded);
    }
    if let Some(stored) = store.connectors(&scope.account).await?.get(id) {
        return Ok(stored.loaded.clone());
    }
    if let Some(registered) = upstream(store, scope, server, id).await? {
        return Ok(registered.loaded.clone());
    }
    let all = visible(store, scope, server).await?;
    let meant = closest(id, all.iter().map(|loaded| loaded.id())).map(|id| format!(" Did you mean \"{id}\"?")).unwrap_or_default();
    let sentence = format!("Connector \"{}\" not found.{meant} list_connectors_alloy lists them all.", short(id));
    Err(Error::new(Kind::ConnectorNotFound, sentence).with_details(json!({ "field": "connectorId" })))
}

/// Refuses a category that no connector which the caller sees is of.
///
/// # Errors
/// A sentence that names the category, and those that there are.
pub async fn named_category(store: &Store, scope: &Scope, server: Option<&Server>, category: &str) -> Result<()> {
    let all = visible(store, scope, server).await?;
    if all.iter().any(|loaded| loaded.has_category(category)) {
        return Ok(());
    }
    let known: BTreeSet<&str> = all.iter().flat_map(|loaded| &loaded.about.categories).map(String::as_str).take(200).collect();
    let known: Vec<&str> = known.into_iter().take(50).collect();
    let sentence = format!("No connector is of the category \"{}\". There are: {}.", short(category), known.join(", "));
    Err(Error::invalid("category", sentence))
}

/// The action with this id. The caller has judged restrictions already, or shows nothing but what `visible_action` allows.
///
/// # Errors
/// Not found, with the id that was probably meant among those that the server permits.
pub fn action<'a>(loaded: &'a Loaded, server: Option<&Server>, id: &str) -> Result<&'a CompiledAction> {
    if let Some(action) = loaded.connector.action(id) {
        return Ok(action);
    }
    let ids = loaded.connector.summaries().map(|(id, _)| &**id);
    let meant = closest(id, ids.filter(|action| visible_action(server, loaded.id(), action)))
        .map(|id| format!(" Did you mean \"{id}\"?"))
        .unwrap_or_default();
    let sentence = format!(
        "Action \"{}\" not found on the connector \"{}\".{meant} get_connector_resources_alloy lists its actions.",
        short(id),
        loaded.id()
    );
    Err(Error::new(Kind::ActionNotFound, sentence).with_details(json!({ "field": "actionId" })))
}

/// The action with this id, if the server permits it.
///
/// # Errors
/// `Access denied`, or not found.
pub fn permitted_action<'a>(loaded: &'a Loaded, server: Option<&Server>, id: &str) -> Result<&'a CompiledAction> {
    if let Some(server) = server
        && let Decision::Deny(denial) = server.restrictions.action(loaded.id(), id)
    {
        return Err(Error::denied(denial));
    }
    action(loaded, server, id)
}

/// True where the server, if there is one, permits this action.
pub fn visible_action(server: Option<&Server>, connector: &str, action: &str) -> bool {
    server.is_none_or(|server| server.restrictions.action(connector, action).is_allowed())
}

/// An id as it is repeated in sentences.
fn short(id: &str) -> String {
    id.chars().take(80).collect()
}
