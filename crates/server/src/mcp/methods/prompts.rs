//! `prompts/list` and `prompts/get`: `workflow_builder` and `connect_account`.

use amalgam_protocol::{Fault, Params, ResultWriter, respond::CacheScope, strict};
use serde_json::{Map, Value, json, value::RawValue};

use super::{Reply, upstream};
use crate::{
    catalogue::{
        self,
        discover::{self, Filter},
    },
    connect,
    error::Result,
    mcp::{Context, relay::Route},
};

const TTL_MS: u64 = 60_000;

/// The prompts that every server has.
pub const OWN: [&str; 2] = ["workflow_builder", "connect_account"];

pub async fn list(context: &Context<'_>, id: &RawValue) -> Result<Reply, Fault> {
    let own = [
        json!({
            "name": "workflow_builder",
            "title": "Build a workflow",
            "description": "Plan a goal as a sequence of actions over the connected platforms, and carry it out.",
            "arguments": [{ "name": "goal", "description": "What should be done, in plain words.", "required": false }],
        }),
        json!({
            "name": "connect_account",
            "title": "Connect an account",
            "description": "Connect the user's account on a platform.",
            "arguments": [{ "name": "connector", "description": "The platform's connector id, for example slack.", "required": false }],
        }),
    ];
    let upstreams = upstream::fresh(context).await?;
    let theirs = upstream::offered(context, &upstreams, "prompts/get", upstream::prompts);
    let names = upstream::prompt_names(context, &theirs);
    let mut taken: std::collections::HashSet<String> = OWN.map(str::to_owned).into();
    let mut list: Vec<String> = own.iter().map(Value::to_string).collect();
    for (loaded, item) in theirs {
        let name = names.name(loaded.id(), &item.key);
        if taken.insert(name.clone()) {
            list.push(upstream::prompt_entry(&name, item));
        }
    }
    let mut writer = ResultWriter::new(context.era, id);
    writer.member("prompts", format!("[{}]", list.join(",")).as_bytes());
    writer.cache(TTL_MS, CacheScope::Private);
    Ok(Reply::Json(writer.finish(context.server_info().as_bytes())))
}

/// The upstream that has the prompt of this name; the inner error lists those that share it.
pub async fn route(context: &Context<'_>, name: &str, method: &str) -> Result<Option<Route>, Fault> {
    let upstreams = upstream::upstreams(context).await?;
    let theirs = upstream::offered(context, &upstreams, "prompts/get", upstream::prompts);
    let names = upstream::prompt_names(context, &theirs);
    let found = theirs.iter().find(|(loaded, item)| names.name(loaded.id(), &item.key) == name);
    match (found, names.candidates(name)) {
        (Some((loaded, item)), _) => {
            let renamed = (item.key != name).then(|| ("name", item.key.clone()));
            Ok(Some(Route { connector_id: loaded.id().to_owned(), action_id: method.to_owned(), renamed }))
        }
        (None, Some(all)) => Err(upstream::ambiguous("prompt", name, all)),
        (None, None) => Ok(None),
    }
}

pub async fn get(context: &Context<'_>, id: &RawValue, params: Option<&Params<'_>>) -> Result<Reply, Fault> {
    let Some(name) = params.and_then(|params| params.name.as_deref()) else {
        return Err(Fault::invalid_params("`params.name` is missing: `workflow_builder` or `connect_account`."));
    };
    if !OWN.contains(&name)
        && let Some((params, route)) = params.zip(route(context, name, "prompts/get").await?)
    {
        return upstream::pass(context, "prompts/get", id, params, route).await;
    }
    let text = params.and_then(|params| params.arguments).map_or("{}", RawValue::get);
    let arguments = match strict::parse(text, strict::MAX_DEPTH) {
        Ok(Value::Object(arguments)) => arguments,
        Ok(_) => return Err(Fault::invalid_params("`params.arguments` must be an object.")),
        Err(error) => return Err(Fault::invalid_params(format!("`params.arguments` is not acceptable: {error}"))),
    };
    let (description, text) = match name {
        "workflow_builder" => ("Plan a goal and carry it out.", workflow_builder(context, argument(&arguments, "goal")?).await),
        "connect_account" => {
            ("Connect the user's account on a platform.", connect_account(context, argument(&arguments, "connector")?).await)
        }
        other => {
            let other: String = other.chars().take(80).collect();
            return Err(Fault::invalid_params(format!("Unknown prompt \"{other}\": there are `workflow_builder` and `connect_account`.")));
        }
    };
    let text = text.map_err(|e| context.fault(&e))?;
    let messages = json!([{ "role": "user", "content": { "type": "text", "text": text } }]);
    let mut writer = ResultWriter::new(context.era, id);
    writer.string("description", description);
    writer.member("messages", messages.to_string().as_bytes());
    Ok(Reply::Json(writer.finish(context.server_info().as_bytes())))
}

fn argument<'a>(arguments: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Fault> {
    match arguments.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.trim().is_empty())),
        Some(_) => Err(Fault::invalid_params(format!("The argument `{name}` must be a string."))),
    }
}

async fn workflow_builder(context: &Context<'_>, goal: Option<&str>) -> Result<String> {
    let steps = "1. Find the actions with discover_action_path_alloy.\n\
                 2. Read what each needs with get_action_details_alloy.\n\
                 3. Where the user has no credential, ask for one and store it with create_credential_alloy.\n\
                 4. Show the plan, then run it step by step with execute_action_alloy, feeding results into later steps.\n\
                 Ask before anything is deleted or cannot be undone.";
    let Some(goal) = goal else {
        return Ok(format!("Ask me what should be done, then plan it as a sequence of actions over my connected platforms.\n\n{steps}"));
    };
    let found = discover::discover(&context.app.store, &context.caller.scope, Some(context.server), goal, &Filter::default()).await?;
    let candidates = serde_json::to_string_pretty(&found["actions"]).map_err(crate::error::Error::internal)?;
    Ok(format!(
        "My goal: {goal}\n\nPlan it as a sequence of actions over my connected platforms.\n\n{steps}\n\nActions that may fit, best first:\n\n{candidates}"
    ))
}

async fn connect_account(context: &Context<'_>, connector: Option<&str>) -> Result<String> {
    let scope = &context.caller.scope;
    let Some(id) = connector else {
        let all = catalogue::visible(&context.app.store, scope, Some(context.server)).await?;
        let names: Vec<&str> = all.iter().map(|loaded| loaded.id()).collect();
        return Ok(format!("Ask me which account I want to connect. There are: {}.", names.join(", ")));
    };
    let loaded = catalogue::resolve(&context.app.store, scope, Some(context.server), id).await?;
    let metadata = connect::metadata(context.app, scope, &loaded.connector).await?;
    let metadata = serde_json::to_string_pretty(&metadata).map_err(crate::error::Error::internal)?;
    Ok(format!(
        "Connect my {} account. Ask me for what is needed, then call create_credential_alloy with connectorId \"{}\". These are the ways:\n\n{metadata}",
        loaded.connector.definition().name,
        loaded.id()
    ))
}
