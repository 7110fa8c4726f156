//! Requests that an upstream answers: which one, under which name, and who asks.

use std::sync::Arc;

use amalgam_protocol::{Era, Fault, Params, splice::Object};
use serde_json::{Value, value::RawValue};

use super::{Reply, connect};
use crate::{
    catalogue::visible_action,
    connect::lead,
    connectors::{Loaded, offering::Item},
    direct::{self, Tool, names::Names},
    error::{Error, Kind},
    mcp::{
        Context,
        relay::{self, Asked, Relay, Route},
    },
    upstream::Client,
};

/// The client of a request, as upstreams see it.
pub fn client(context: &Context<'_>, params: Option<&Params<'_>>) -> Client {
    let plain = Client::plain(&context.caller.scope);
    if context.era.is_modern() {
        let meta = params.and_then(|params| params.meta.as_ref());
        let said = |part: Option<&RawValue>, plain: Arc<str>| part.map_or(plain, |part| part.get().into());
        return Client {
            capabilities: said(meta.and_then(|meta| meta.client_capabilities), plain.capabilities),
            info: said(meta.and_then(|meta| meta.client_info), plain.info),
            ..plain
        };
    }
    let plain = Client { is_legacy: true, ..plain };
    match context.session {
        Some(session) => Client {
            capabilities: session.capabilities.as_str().into(),
            info: session.info.as_str().into(),
            lane: session.hash().into(),
            ..plain
        },
        None => plain,
    }
}

/// The methods whose clients may be asked to open a page first.
const LEADING: [&str; 3] = ["tools/call", "prompts/get", "resources/read"];

/// Passes a request on. `params` are the client's own. Where the upstream wants its user to sign in, the client is led there.
pub async fn pass(context: &Context<'_>, method: &str, id: &RawValue, params: &Params<'_>, route: Route) -> Result<Reply, Fault> {
    let lead = |error| lead(context.app, context.caller, context.redirect_uri, error);
    let mut error = match begin(context, method, id, params, &route).await {
        Ok(reply) => return Ok(reply),
        Err(error) => Box::pin(lead(error)).await,
    };
    if Box::pin(connect::connects(context, Some(params), &error)).await {
        error = match begin(context, method, id, params, &route).await {
            Ok(reply) => return Ok(reply),
            Err(error) => Box::pin(lead(error)).await,
        };
    }
    if LEADING.contains(&method)
        && let Some(asked) = connect::ask(context, id, Some(params), &error)
    {
        return asked;
    }
    error.log(context.request_id);
    let (_, bytes) = relay::failure(context.era, id, method, &context.server_info(), &error);
    Ok(Reply::Json(bytes))
}

async fn begin(context: &Context<'_>, method: &str, id: &RawValue, params: &Params<'_>, route: &Route) -> Result<Reply, Error> {
    let client = client(context, Some(params));
    let meta = params.meta.as_ref();
    let log_level = if context.era.is_modern() {
        meta.and_then(|meta| meta.log_level.as_deref()).map(str::to_owned)
    } else {
        context.session.and_then(|session| context.app.upstreams.waiting().log_level(session.hash()))
    };
    let token = meta.and_then(|meta| meta.progress_token).map(|token| token.get().to_owned());
    let sent = as_sent(context.era, params);
    let (text, members) = sent.as_ref().map_or((params.raw.get(), &params.members), |(text, members)| (text.as_str(), members));
    let asked = Asked { id, method, params: text, members, body: Some(context.body), client, log_level, token };
    // Boxed, as below wherever a future of many steps begins: the sum of them would be held on the stack.
    Box::pin(Relay::begin(context, asked, route.clone())).await.map(Reply::Relay)
}

/// The parameters of a legacy client without what has no meaning in its era, but one to a modern upstream; nothing where they are that already.
fn as_sent<'a>(era: Era, params: &Params<'a>) -> Option<(String, Object<'a>)> {
    const MODERN: [&str; 2] = ["requestState", "inputResponses"];
    if era.is_modern() || MODERN.iter().all(|name| params.members.get(name).is_none()) {
        return None;
    }
    let mut members = params.members.clone();
    for name in MODERN {
        members.remove(name);
    }
    Some((members.to_string(), members))
}

/// Calls a tool of an upstream. Its arguments are passed on as they came; they are looked at only where headers repeat them.
pub async fn tool(context: &Context<'_>, id: &RawValue, params: &Params<'_>, tool: &Tool, arguments: &str) -> Result<Reply, Fault> {
    if !arguments.starts_with('{') {
        return Err(Fault::invalid_params("`params.arguments` must be an object."));
    }
    if context.era.is_modern() {
        check_headers(context, tool, arguments)?;
    }
    let renamed = (params.name.as_deref() != Some(&*tool.action_id)).then(|| ("name", tool.action_id.clone()));
    let route = Route { connector_id: tool.connector_id.clone(), action_id: tool.action_id.clone(), renamed };
    pass(context, "tools/call", id, params, route).await
}

/// The headers that a tool's schema asks for repeat its arguments (SEP-2243).
fn check_headers(context: &Context<'_>, tool: &Tool, arguments: &str) -> Result<(), Fault> {
    if tool.headers.is_empty() {
        return Ok(());
    }
    let arguments = Value::Object(super::tools::read(arguments)?);
    for declared in &tool.headers {
        let mut values = context.headers.get_all(declared.header.as_str()).iter();
        let value = values.next();
        if values.next().is_some() {
            return Err(Fault::header_mismatch(format!("The {} header was sent more than once; send it once.", declared.header)));
        }
        let value = value.map(|value| std::str::from_utf8(value.as_bytes()).unwrap_or("\u{fffd}"));
        declared.check(&arguments, value)?;
    }
    Ok(())
}

/// The upstreams that the server exposes directly.
pub async fn upstreams(context: &Context<'_>) -> Result<Vec<Arc<Loaded>>, Fault> {
    direct::upstreams(&context.app.store, context.server).await.map_err(|e| context.fault(&e))
}

/// The same, asked first where what they offer is not known.
pub async fn fresh(context: &Context<'_>) -> Result<Vec<Arc<Loaded>>, Fault> {
    let server = context.server;
    context.app.upstreams.freshen(&server.owner, Some(&server.settings.connectors)).await.map_err(|e| context.fault(&e))?;
    upstreams(context).await
}

/// What upstreams offer of one kind, where the server permits the method that gives it.
pub fn offered<'a>(
    context: &Context<'_>,
    all: &'a [Arc<Loaded>],
    method: &'a str,
    items: impl Fn(&'a Loaded) -> &'a [Item] + 'a,
) -> Vec<(&'a Loaded, &'a Item)> {
    let permitted = all.iter().filter(|loaded| visible_action(Some(context.server), loaded.id(), method));
    permitted.flat_map(|loaded| items(loaded).iter().map(move |item| (loaded.as_ref(), item))).collect()
}

/// The resources that an upstream offers.
pub fn resources(loaded: &Loaded) -> &[Item] {
    loaded.upstream.as_ref().map_or(&[], |offering| offering.resources.as_slice())
}

/// The resource templates that an upstream offers.
pub fn templates(loaded: &Loaded) -> &[Item] {
    loaded.upstream.as_ref().map_or(&[], |offering| offering.templates.as_slice())
}

/// The prompts that an upstream offers.
pub fn prompts(loaded: &Loaded) -> &[Item] {
    loaded.upstream.as_ref().map_or(&[], |offering| offering.prompts.as_slice())
}

/// The JSON of an own list with those of the upstreams behind it; of two with the same key the first stays.
pub fn joined(own: Vec<Value>, theirs: &[(&Loaded, &Item)]) -> String {
    let mut list: Vec<String> = own.iter().map(Value::to_string).collect();
    let mut keys = std::collections::HashSet::new();
    list.extend(theirs.iter().filter(|(_, item)| keys.insert(&item.key)).map(|(_, item)| item.raw.clone()));
    format!("[{}]", list.join(","))
}

/// The names of upstreams' prompts in one list.
pub fn prompt_names(context: &Context<'_>, all: &[(&Loaded, &Item)]) -> Names {
    Names::of(context.server.settings.tool_prefix, all.iter().map(|(loaded, item)| (loaded.id(), item.key.as_str())))
}

/// A prompt's description under the name that it has here.
pub fn prompt_entry(name: &str, item: &Item) -> String {
    let mut prompt = Object::parse(&item.raw).unwrap_or_default();
    if prompt.text("name").as_deref() != Some(name) {
        prompt.set_text("name", name);
        return prompt.to_string();
    }
    item.raw.clone()
}

/// Where a resource comes from: the upstream that lists it, else the one whose template fits best, else the only one that has any.
pub fn source_of(context: &Context<'_>, all: &[Arc<Loaded>], method: &str, uri: &str) -> Option<Route> {
    let permitted: Vec<&Loaded> =
        all.iter().filter(|loaded| visible_action(Some(context.server), loaded.id(), method)).map(AsRef::as_ref).collect();
    let lists = |loaded: &&&Loaded| resources(loaded).iter().any(|item| item.key == uri);
    let fit = |loaded: &Loaded| {
        let prefixes = templates(loaded).iter().map(|item| item.key.split('{').next().unwrap_or_default());
        prefixes.filter(|prefix| uri.starts_with(prefix)).map(str::len).max()
    };
    let by_template =
        || permitted.iter().filter_map(|loaded| Some((fit(loaded)?, loaded))).max_by_key(|(length, _)| *length).map(|(_, loaded)| loaded);
    // The files of a skill need not be listed.
    let folder = |item: &Item| {
        item.key.rsplit_once('/').is_some_and(|(folder, _)| uri.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
    };
    let by_skill = || permitted.iter().find(|loaded| loaded.upstream.as_ref().is_some_and(|offering| offering.skills.iter().any(folder)));
    let having = || permitted.iter().filter(|loaded| loaded.upstream.as_ref().is_some_and(|offering| offering.has("resources")));
    let only = || having().next().filter(|_| having().count() == 1);
    let loaded = permitted.iter().find(lists).or_else(by_skill).or_else(by_template).or_else(only)?;
    Some(Route { connector_id: loaded.id().to_owned(), action_id: method.to_owned(), renamed: None })
}

/// A name that several share.
pub fn ambiguous(kind: &str, name: &str, candidates: &[String]) -> Fault {
    Fault::invalid_params(format!("The {kind} \"{name}\" is offered more than once; use one of {}.", candidates.join(", ")))
}

/// An error for what only a session can have.
pub fn no_session() -> Error {
    Error::new(Kind::InvalidRequest, "This method needs a session: send `initialize` first, and its `Mcp-Session-Id` with each request.")
}
