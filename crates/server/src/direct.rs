//! Direct exposure: every permitted action of the named connectors is a tool of its own.

mod describe;
pub mod names;

use std::{collections::hash_map::Entry, sync::Arc};

use amalgam_connector::{closest, definition::Effect};
use amalgam_protocol::param_header::ParamHeader;
use foldhash::{HashMap, HashMapExt as _};
use quick_cache::{Weighter, sync::Cache};

use self::names::Names;
use crate::{
    catalogue::{self, visible_action},
    connectors::Loaded,
    error::Result,
    store::{
        Store,
        cache::one_part,
        servers::{Exposure, Server},
    },
};

/// The tools of all servers together, in bytes, about.
const MAX_TOTAL: u64 = 64 * 1024 * 1024;

/// A tool and the action that it stands for.
pub struct Tool {
    /// Which platform.
    pub connector_id: String,
    /// Which operation.
    pub action_id: String,
    /// Its answers carry `structuredContent`.
    pub has_output_schema: bool,
    /// What it takes beside the action's own arguments, of `call::view::NAMES`.
    pub takes: Vec<&'static str>,
    /// It reads, so that an answer of its may go on.
    pub pages: bool,
    /// It is a tool of an upstream, which answers in its own words.
    pub is_upstream: bool,
    /// The arguments that headers repeat (SEP-2243), where it is one.
    pub headers: Vec<ParamHeader>,
}

/// The tools of one server.
pub struct DirectTools {
    /// The `tools` array of `tools/list`, as JSON text.
    pub list: String,
    by_name: HashMap<String, Tool>,
    names: Names,
}

impl DirectTools {
    /// The tool of this name.
    pub fn get(&self, name: &str) -> Option<&Tool> {
        self.by_name.get(name)
    }

    /// The tool that was probably meant.
    pub fn closest(&self, name: &str) -> Option<&str> {
        closest(name, self.by_name.keys().map(String::as_str))
    }

    /// The tools that share this bare name, where there are several.
    pub fn candidates(&self, name: &str) -> Option<&[String]> {
        self.names.candidates(name)
    }
}

/// What a list was made of: the server's `updated_at` and the version of each connector.
type MadeOf = (i64, Vec<u64>);

/// What a list weighs, in bytes, about.
#[derive(Clone)]
struct Weigh;

impl Weighter<String, (MadeOf, Arc<DirectTools>)> for Weigh {
    fn weight(&self, _: &String, (_, tools): &(MadeOf, Arc<DirectTools>)) -> u64 {
        // Names and descriptions stand in the text and in the map.
        1_024 + 2 * tools.list.len() as u64
    }
}

/// The tools of servers with direct exposure, by server id.
pub struct DirectCache {
    tools: Cache<String, (MadeOf, Arc<DirectTools>), Weigh>,
}

impl DirectCache {
    /// Holds the tools of the servers that were used last.
    pub fn new() -> Self {
        Self { tools: one_part(MAX_TOTAL, Weigh) }
    }

    /// The tools of a server; built again when its settings or one of its connectors have changed.
    pub async fn tools(&self, store: &Store, server: &Server) -> Result<Arc<DirectTools>> {
        let named = named(store, server).await?;
        let of = (server.updated_at, named.iter().map(|loaded| loaded.version).collect::<Vec<_>>());
        if let Some((known, tools)) = self.tools.get(&server.id)
            && known == of
        {
            return Ok(tools);
        }
        let tools = Arc::new(build(&named, server));
        self.tools.insert(server.id.clone(), (of, tools.clone()));
        Ok(tools)
    }
}

/// The connectors of the setting that the server permits, in its order, so that the list stays the same from call to call.
async fn named(store: &Store, server: &Server) -> Result<Vec<Arc<Loaded>>> {
    catalogue::named(store, server, &server.settings.connectors).await
}

/// The upstreams that a server exposes directly; none where it exposes the eight tools.
pub async fn upstreams(store: &Store, server: &Server) -> Result<Vec<Arc<Loaded>>> {
    match server.settings.exposure {
        Exposure::Dynamic => Ok(Vec::new()),
        Exposure::Direct => Ok(named(store, server).await?.into_iter().filter(|loaded| loaded.upstream.is_some()).collect()),
    }
}

fn build(named: &[Arc<Loaded>], server: &Server) -> DirectTools {
    let actions: Vec<(&Loaded, _)> = named
        .iter()
        .flat_map(|loaded| loaded.connector.actions().map(move |action| (loaded.as_ref(), action)))
        .filter(|(loaded, action)| visible_action(Some(server), loaded.id(), &action.id))
        .collect();
    let names = Names::of(server.settings.tool_prefix, actions.iter().map(|(loaded, action)| (loaded.id(), &*action.id)));
    let mut list = Vec::with_capacity(actions.len());
    let mut by_name = HashMap::with_capacity(actions.len());
    for (loaded, action) in actions {
        // Two tools never share a name; the one that was named first keeps it.
        let Entry::Vacant(place) = by_name.entry(names.name(loaded.id(), &action.id)) else {
            tracing::warn!(server = server.id, connector = loaded.id(), action = &*action.id, "left out of the tools: its name is taken");
            continue;
        };
        let offered = loaded.upstream.as_ref().and_then(|offering| offering.tools.get(&*action.id));
        let (has_output_schema, takes) = match offered {
            Some(tool) => {
                list.push(describe::upstream(place.key(), &action.id, &tool.raw));
                (false, Vec::new())
            }
            None => {
                let output = describe::output(&action);
                let takes = describe::takes(&action);
                list.push(describe::platform(place.key(), &loaded.connector, &action, output.as_ref(), &takes).to_string());
                (output.is_some(), takes)
            }
        };
        place.insert(Tool {
            connector_id: loaded.id().to_owned(),
            action_id: action.id.to_string(),
            has_output_schema,
            takes,
            pages: action.action.effect() == Effect::Read,
            is_upstream: offered.is_some(),
            headers: offered.map(|tool| tool.headers.clone()).unwrap_or_default(),
        });
    }
    DirectTools { list: format!("[{}]", list.join(",")), by_name, names }
}
