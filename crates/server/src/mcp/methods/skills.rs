//! `skills/list`, `skills/get`, `resources/directory/read` (SEP-2640): the skills of upstreams, in their own words.

use amalgam_protocol::{Fault, Params, ResultWriter, respond::CacheScope};
use serde_json::value::RawValue;

use super::{Reply, upstream};
use crate::{
    catalogue::visible_action,
    connectors::{Loaded, offering::Item},
    mcp::{Context, relay::Route},
};

/// Where an upstream says that it shows the folders of its skills.
pub const DIRECTORIES: &str = "extensions/io.modelcontextprotocol~1skills/directoryRead";
const SKILLS: &str = "extensions/io.modelcontextprotocol~1skills";
const TTL_MS: u64 = 60_000;

fn skills(loaded: &Loaded) -> &[Item] {
    loaded.upstream.as_ref().map_or(&[], |offering| offering.skills.as_slice())
}

pub async fn list(context: &Context<'_>, id: &RawValue) -> Result<Reply, Fault> {
    let upstreams = upstream::fresh(context).await?;
    let theirs = upstream::offered(context, &upstreams, "skills/get", skills);
    let mut writer = ResultWriter::new(context.era, id);
    writer.member("skills", upstream::joined(Vec::new(), &theirs).as_bytes());
    writer.cache(TTL_MS, CacheScope::Private);
    Ok(Reply::Json(writer.finish(context.server_info().as_bytes())))
}

/// Passes a request about a skill or a folder on: to the upstream that lists the skill or one in the folder, else to the only one that
/// has any.
pub async fn pass(context: &Context<'_>, method: &str, id: &RawValue, params: Option<&Params<'_>>) -> Result<Reply, Fault> {
    let Some((params, uri)) = params.and_then(|params| Some((params, params.uri.as_deref()?))) else {
        return Err(Fault::invalid_params("`params.uri` is missing: the URI of a skill, as skills/list shows it."));
    };
    let (action, capability) = if method == "skills/get" { ("skills/get", SKILLS) } else { ("resources/read", DIRECTORIES) };
    let all = upstream::upstreams(context).await?;
    let has = |loaded: &Loaded| loaded.upstream.as_ref().is_some_and(|offering| offering.has(capability));
    let mut able = all.iter().filter(|loaded| visible_action(Some(context.server), loaded.id(), action) && has(loaded));
    let folder = format!("{}/", uri.trim_end_matches('/'));
    let lists = |loaded: &Loaded| skills(loaded).iter().any(|item| item.key == uri || item.key.starts_with(&folder));
    let found = able.clone().find(|loaded| lists(loaded)).or_else(|| able.next().filter(|_| able.next().is_none()));
    let Some(loaded) = found else {
        return Err(Fault::invalid_params("`params.uri` names no skill or folder of this server; skills/list shows them."));
    };
    let route = Route { connector_id: loaded.id().to_owned(), action_id: action.to_owned(), renamed: None };
    upstream::pass(context, method, id, params, route).await
}
