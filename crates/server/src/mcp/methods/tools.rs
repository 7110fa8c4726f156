//! `tools/list` and `tools/call`, in dynamic and in direct exposure.

use amalgam_protocol::{Fault, Params, ResultWriter, respond::CacheScope, strict};
use serde_json::{Map, Value, json, value::RawValue};

use super::{Reply, connect, upstream};
use crate::{
    error::{Error, over_rest},
    files,
    mcp::{Context, tools, tools::Outcome},
    store::{files::File, servers::Exposure},
};

/// Lists stay as they are until the server or a connector is changed, which is announced; in milliseconds.
const TTL_MS: u64 = 60_000;

pub async fn list(context: &Context<'_>, id: &RawValue) -> Result<Reply, Fault> {
    let direct;
    let list = match context.server.settings.exposure {
        Exposure::Dynamic => tools::LIST.as_bytes(),
        Exposure::Direct => {
            Box::pin(upstream::fresh(context)).await?;
            direct = context.app.direct.tools(&context.app.store, context.server).await.map_err(|e| context.fault(&e))?;
            direct.list.as_bytes()
        }
    };
    let mut writer = ResultWriter::with_capacity(context.era, id, list.len() + 256);
    writer.member("tools", list);
    writer.cache(TTL_MS, CacheScope::Private);
    Ok(Reply::Json(writer.finish(context.server_info().as_bytes())))
}

pub async fn call(context: &Context<'_>, id: &RawValue, params: Option<&Params<'_>>) -> Result<Reply, Fault> {
    let Some(name) = params.and_then(|params| params.name.as_deref()) else {
        return Err(Fault::invalid_params("`params.name` is missing: the name of a tool, as tools/list shows it."));
    };
    let text = params.and_then(|params| params.arguments).map_or("{}", RawValue::get);
    let outcome = match context.server.settings.exposure {
        Exposure::Dynamic => {
            let first = Box::pin(dynamic(context, name, read(text)?, text)).await?;
            match &first {
                Err(error) if Box::pin(connect::connects(context, params, error)).await => {
                    Box::pin(dynamic(context, name, read(text)?, text)).await?
                }
                _ => first,
            }
        }
        Exposure::Direct => {
            let direct = context.app.direct.tools(&context.app.store, context.server).await.map_err(|e| context.fault(&e))?;
            let Some(tool) = direct.get(name) else {
                let candidates = direct.candidates(name);
                return Err(candidates.map_or_else(|| unknown(name, direct.closest(name)), |all| upstream::ambiguous("tool", name, all)));
            };
            if tool.is_upstream
                && let Some(params) = params
            {
                return upstream::tool(context, id, params, tool, text).await;
            }
            let mut outcome = Box::pin(tools::execute::direct(context, tool, read(text)?, text)).await;
            if let Err(error) = &outcome
                && Box::pin(connect::connects(context, params, error)).await
            {
                outcome = Box::pin(tools::execute::direct(context, tool, read(text)?, text)).await;
            }
            // Nothing but the actions is a tool here.
            outcome.map_err(|error| Error { message: over_rest(&error.message).into_owned().into(), ..error })
        }
    };
    if let Err(error) = &outcome
        && let Some(asked) = connect::ask(context, id, params, error)
    {
        return asked;
    }
    Ok(reply(context, id, outcome))
}

/// The arguments of a call, taken apart strictly.
pub fn read(text: &str) -> Result<Map<String, Value>, Fault> {
    match strict::parse(text, strict::MAX_DEPTH) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(_) => Err(Fault::invalid_params("`params.arguments` must be an object.")),
        Err(error) => Err(Fault::invalid_params(format!("`params.arguments` is not acceptable: {error}"))),
    }
}

async fn dynamic(
    context: &Context<'_>,
    name: &str,
    arguments: Map<String, Value>,
    text: &str,
) -> Result<crate::error::Result<Outcome>, Fault> {
    tools::call(context, name, arguments, text).await.ok_or_else(|| unknown(name, tools::closest(name)))
}

fn unknown(name: &str, meant: Option<&str>) -> Fault {
    let name: String = name.chars().take(80).collect();
    let meant = meant.map(|meant| format!(" Did you mean \"{meant}\"?")).unwrap_or_default();
    Fault::invalid_params(format!("Unknown tool \"{name}\".{meant} tools/list lists them all."))
}

/// A text, and the link that leads to a file.
fn with_link(text: &str, file: &File) -> Value {
    json!([
        { "type": "text", "text": text },
        { "type": "resource_link", "uri": files::uri(file), "name": file.name, "mimeType": file.media_type, "size": file.size },
    ])
}

fn reply(context: &Context<'_>, id: &RawValue, outcome: crate::error::Result<Outcome>) -> Reply {
    let info = context.server_info();
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            error.log(context.request_id);
            let mut writer = ResultWriter::with_capacity(context.era, id, error.message.len() + info.len() + 256);
            writer.text(&error.message, true);
            return Reply::Json(writer.finish(info.as_bytes()));
        }
    };
    let mut writer = ResultWriter::with_capacity(context.era, id, outcome.text.len() * 9 / 8 + info.len() + 256);
    match outcome.file.filter(|_| context.knows_links()) {
        Some(file) => drop(writer.member("content", with_link(&outcome.text, &file).to_string().as_bytes())),
        None => drop(writer.text(&outcome.text, false)),
    }
    if outcome.structured {
        writer.member("structuredContent", outcome.text.as_bytes());
    }
    let bytes = writer.finish(info.as_bytes());
    if outcome.cached { Reply::Cached(bytes) } else { Reply::Json(bytes) }
}
