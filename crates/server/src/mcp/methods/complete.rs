//! `completion/complete`: connector ids and workflow names, as the caller may see them.

use amalgam_protocol::{Fault, Params, ResultWriter, splice::Object};
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::{Reply, prompts, resources, upstream};
use crate::{
    catalogue,
    error::Result,
    mcp::{Context, relay::Route},
};

/// The protocol's limit.
const MAX_VALUES: usize = 100;

#[derive(Deserialize)]
struct Wanted {
    r#ref: Reference,
    argument: Argument,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Reference {
    #[serde(rename = "ref/prompt")]
    Prompt { name: String },
    #[serde(rename = "ref/resource")]
    Resource { uri: String },
}

#[derive(Deserialize)]
struct Argument {
    name: String,
    value: String,
}

pub async fn complete(context: &Context<'_>, id: &RawValue, params: Option<&Params<'_>>) -> Result<Reply, Fault> {
    let raw = params.map_or("{}", |params| params.raw.get());
    let wanted: Wanted = serde_json::from_str(raw)
        .map_err(|e| Fault::invalid_params(format!("`params` must have `ref` and `argument` {{name, value}}: {e}.")))?;
    if let Some(reference) = params.and_then(|params| params.members.get("ref")) {
        let wrong = |sentence: String| Fault::invalid_params(format!("In \"ref\": {sentence}"));
        let reference = Object::parse(reference).map_err(|error| wrong(error.message))?;
        if let Some(sentence) = reference.lookalike(&["type", "name", "uri"]) {
            return Err(wrong(sentence));
        }
    }
    if let Some((params, route)) = params.zip(theirs(context, &wanted.r#ref).await?) {
        return upstream::pass(context, "completion/complete", id, params, route).await;
    }
    let names = match (&wanted.r#ref, wanted.argument.name.as_str()) {
        (Reference::Prompt { name }, "connector") if name == "connect_account" => connectors(context).await,
        (Reference::Resource { uri }, "id") if uri == "resource://connectors/{id}" => connectors(context).await,
        (Reference::Resource { uri }, "name") if uri == "resource://workflows/{name}" => {
            resources::workflows(context).await.map(|all| all.into_iter().map(|workflow| workflow.name).collect())
        }
        (Reference::Prompt { name }, _) if !matches!(name.as_str(), "connect_account" | "workflow_builder") => {
            return Err(Fault::invalid_params("`ref.name` names no prompt: there are `workflow_builder` and `connect_account`."));
        }
        _ => Ok(Vec::new()),
    };
    let mut names: Vec<String> = names.map_err(|e| context.fault(&e))?;
    let start = wanted.argument.value.to_lowercase();
    names.retain(|name| name.to_lowercase().starts_with(&start));
    let total = names.len();
    names.truncate(MAX_VALUES);
    let completion = json!({ "values": names, "total": total, "hasMore": total > MAX_VALUES });
    let mut writer = ResultWriter::new(context.era, id);
    writer.member("completion", completion.to_string().as_bytes());
    Ok(Reply::Json(writer.finish(context.server_info().as_bytes())))
}

/// The upstream whose argument is to be completed.
async fn theirs(context: &Context<'_>, reference: &Reference) -> Result<Option<Route>, Fault> {
    match reference {
        Reference::Prompt { name } if prompts::OWN.contains(&name.as_str()) => Ok(None),
        Reference::Prompt { name } => prompts::route(context, name, "completion/complete").await,
        Reference::Resource { uri } if uri.starts_with("resource://") => Ok(None),
        Reference::Resource { uri } => {
            let upstreams = upstream::upstreams(context).await?;
            let route = upstream::source_of(context, &upstreams, "resources/read", uri);
            Ok(route.map(|route| Route { action_id: "completion/complete".to_owned(), ..route }))
        }
    }
}

async fn connectors(context: &Context<'_>) -> Result<Vec<String>> {
    let all = catalogue::visible(&context.app.store, &context.caller.scope, Some(context.server)).await?;
    Ok(all.iter().map(|loaded| loaded.id().to_owned()).collect())
}
