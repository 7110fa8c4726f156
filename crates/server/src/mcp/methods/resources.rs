//! `resources/list`, `resources/templates/list`, `resources/read`: what connectors can do, and saved workflows.

use std::fmt::Write as _;

use amalgam_connector::definition::Effect;
use amalgam_protocol::{Fault, Params, ResultWriter, respond::CacheScope};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json, value::RawValue};

use super::{Reply, upstream};
use crate::{
    catalogue::{self, visible_action},
    connectors::Loaded,
    error::Result,
    files,
    mcp::Context,
    store::workflows::Workflow,
};

const TTL_MS: u64 = 60_000;
const CONNECTORS: &str = "resource://connectors/";
const WORKFLOWS: &str = "resource://workflows/";

pub async fn list(context: &Context<'_>, id: &RawValue) -> Result<Reply, Fault> {
    let store = &context.app.store;
    let connectors = catalogue::visible(store, &context.caller.scope, Some(context.server)).await.map_err(|e| context.fault(&e))?;
    let workflows = workflows(context).await.map_err(|e| context.fault(&e))?;
    let mut resources: Vec<Value> = connectors.iter().map(|loaded| connector_entry(loaded)).collect();
    resources.extend(workflows.iter().map(workflow_entry));
    let mut writer = ResultWriter::new(context.era, id);
    let upstreams = upstream::fresh(context).await?;
    let theirs = upstream::offered(context, &upstreams, "resources/read", upstream::resources);
    writer.member("resources", upstream::joined(resources, &theirs).as_bytes());
    writer.cache(TTL_MS, CacheScope::Private);
    Ok(Reply::Json(writer.finish(context.server_info().as_bytes())))
}

fn connector_entry(loaded: &Loaded) -> Value {
    let about = &loaded.about;
    json!({
        "uri": format!("{CONNECTORS}{}", about.id),
        "name": about.id,
        "title": about.name,
        "description": format!("What the connector {} can do.", about.name),
        "mimeType": "text/markdown",
    })
}

fn workflow_entry(workflow: &Workflow) -> Value {
    json!({
        "uri": format!("{WORKFLOWS}{}", workflow.name),
        "name": workflow.name,
        "description": workflow.description,
        "mimeType": "application/json",
    })
}

/// The server's workflows all of whose steps it permits: what is not permitted is invisible in lists.
pub async fn workflows(context: &Context<'_>) -> Result<Vec<Workflow>> {
    let mut all = context.app.store.workflows(context.server).await?;
    all.retain(|workflow| permitted(context, workflow));
    Ok(all)
}

fn permitted(context: &Context<'_>, workflow: &Workflow) -> bool {
    let steps = workflow.steps.as_array().map(Vec::as_slice).unwrap_or_default();
    steps.iter().all(|step| {
        let part = |name: &str| step[name].as_str().unwrap_or_default();
        visible_action(Some(context.server), part("connectorId"), part("actionId"))
    })
}

pub async fn templates(context: &Context<'_>, id: &RawValue) -> Result<Reply, Fault> {
    let own = vec![
        json!({ "uriTemplate": "resource://connectors/{id}", "name": "connector", "title": "Connector", "description": "What a connector can do: its actions, and how to authenticate.", "mimeType": "text/markdown" }),
        json!({ "uriTemplate": "resource://workflows/{name}", "name": "workflow", "title": "Workflow", "description": "A saved recipe of action calls.", "mimeType": "application/json" }),
        json!({ "uriTemplate": "resource://files/{s3Key}", "name": "file", "title": "File", "description": "A file that an action has answered with, or that the user has uploaded; kept for a day." }),
    ];
    let upstreams = upstream::fresh(context).await?;
    let theirs = upstream::offered(context, &upstreams, "resources/read", upstream::templates);
    let mut writer = ResultWriter::new(context.era, id);
    writer.member("resourceTemplates", upstream::joined(own, &theirs).as_bytes());
    writer.cache(TTL_MS, CacheScope::Private);
    Ok(Reply::Json(writer.finish(context.server_info().as_bytes())))
}

pub async fn read(context: &Context<'_>, id: &RawValue, params: Option<&Params<'_>>) -> Result<Reply, Fault> {
    let Some(uri) = params.and_then(|params| params.uri.as_deref()) else {
        return Err(Fault::invalid_params("`params.uri` is missing: the URI of a resource, as resources/list shows it."));
    };
    let (mime, text) = if let Some(name) = uri.strip_prefix(CONNECTORS) {
        let scope = &context.caller.scope;
        let found = catalogue::visible(&context.app.store, scope, Some(context.server)).await.map_err(|e| context.fault(&e))?;
        let Some(loaded) = found.iter().find(|loaded| loaded.id() == name) else { return Err(Fault::resource_not_found(context.era, uri)) };
        ("text/markdown", markdown(context, loaded))
    } else if let Some(name) = uri.strip_prefix(WORKFLOWS) {
        let workflow = context.app.store.workflow(context.server, name).await.map_err(|e| context.fault(&e))?;
        let Some(workflow) = workflow.filter(|workflow| permitted(context, workflow)) else {
            return Err(Fault::resource_not_found(context.era, uri));
        };
        let recipe = json!({ "name": workflow.name, "description": workflow.description, "steps": workflow.steps });
        ("application/json", recipe.to_string())
    } else if let Some(name) = uri.strip_prefix(files::URI) {
        return file(context, id, uri, name).await;
    } else {
        let upstreams = upstream::upstreams(context).await?;
        let route = params.zip(upstream::source_of(context, &upstreams, "resources/read", uri));
        let Some((params, route)) = route else { return Err(Fault::resource_not_found(context.era, uri)) };
        return upstream::pass(context, "resources/read", id, params, route).await;
    };
    let contents = json!([{ "uri": uri, "mimeType": mime, "text": text }]);
    let mut writer = ResultWriter::new(context.era, id);
    writer.member("contents", contents.to_string().as_bytes());
    writer.cache(TTL_MS, CacheScope::Private);
    Ok(Reply::Json(writer.finish(context.server_info().as_bytes())))
}

/// A file of the user, as a client reads it: text as text, other bytes in base64.
async fn file(context: &Context<'_>, id: &RawValue, uri: &str, name: &str) -> Result<Reply, Fault> {
    let store = &context.app.store;
    let found = store.file(&context.caller.scope, Some(context.server), name).await.map_err(|e| context.fault(&e))?;
    let Some(file) = found else { return Err(Fault::resource_not_found(context.era, uri)) };
    let most = context.app.config.max_response_bytes;
    let bytes = files::whole(store, &file, most).await.map_err(|e| context.fault(&e))?;
    let contents = json!([{ "uri": uri, "mimeType": file.media_type, "blob": STANDARD.encode(bytes) }]);
    let mut writer = ResultWriter::new(context.era, id);
    writer.member("contents", contents.to_string().as_bytes());
    writer.cache(TTL_MS, CacheScope::Private);
    Ok(Reply::Json(writer.finish(context.server_info().as_bytes())))
}

/// A connector in Markdown, with the actions that the server permits.
fn markdown(context: &Context<'_>, loaded: &Loaded) -> String {
    let definition = loaded.connector.definition();
    let mut text = format!("# {}\n\n", definition.name);
    if !definition.description.is_empty() {
        let _ = writeln!(text, "{}\n", definition.description);
    }
    let _ = writeln!(text, "Connector id: `{}`", definition.id);
    let ways: Vec<&str> = definition.auth.iter().map(|scheme| scheme.kind.as_str()).collect();
    let _ = match ways.as_slice() {
        [] => writeln!(text, "\nNeeds no credential.\n"),
        ways => writeln!(text, "\nAuthentication: `{}` (get_credential_metadata_alloy says what each one needs).\n", ways.join("`, `")),
    };
    text.push_str("## Actions\n\n");
    for (id, action) in loaded.connector.summaries().filter(|(id, _)| visible_action(Some(context.server), &definition.id, id)) {
        let effect = match action.effect() {
            Effect::Read => "read",
            Effect::Write => "write",
            Effect::Destructive => "destructive",
        };
        let summary = action.description.lines().next().unwrap_or_default();
        let _ = writeln!(text, "- `{}` ({effect}): {}. {summary}", id, action.name);
    }
    text
}
