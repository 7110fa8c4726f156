//! One file per method, or per family of methods about one noun.

mod complete;
mod connect;
mod discover;
mod initialize;
mod prompts;
mod resources;
mod session;
pub mod skills;
mod tasks;
mod tools;
mod upstream;

use amalgam_protocol::{
    Fault, Params, Request,
    envelope::{Notification, Response},
    listen::Filter,
    respond,
    splice::{Object, string},
};
use serde_json::value::RawValue;

use super::{
    Context,
    relay::{Relay, owner},
};
use crate::upstream::Client;
pub use upstream::{client, source_of};

/// What a message is answered with.
pub enum Reply {
    /// 202: it was taken, there is nothing to say.
    Nothing,
    /// A JSON-RPC response.
    Json(Vec<u8>),
    /// The same, from the read cache.
    Cached(Vec<u8>),
    /// The response to `initialize` and the id of the session that it began.
    Session(Vec<u8>, String),
    /// What an upstream says.
    Relay(Box<Relay>),
    /// A stream of changes for this request.
    Listen(Filter, Box<RawValue>, Client),
}

/// A legacy client answers what an upstream asked it.
pub fn answered(context: &Context<'_>, response: &Response<'_>) {
    let client = client(context, None);
    let Some(id) = string(response.id.get()) else { return };
    let answer = match response.outcome {
        Ok(result) => Ok(result.get().to_owned()),
        Err(error) => Err(error.get().to_owned()),
    };
    context.app.upstreams.waiting().answered(&owner(context.caller, &client.lane), &id, answer);
}

/// Something that a legacy client tells: that it no longer wants an answer, or that its roots have changed.
pub fn notified(context: &Context<'_>, notification: &Notification<'_>) {
    let client = client(context, None);
    let params = notification.params.and_then(|params| Object::parse(params.get()).ok()).unwrap_or_default();
    match (&*notification.method, params.get("requestId")) {
        ("notifications/cancelled", Some(id)) => context.app.upstreams.waiting().cancel(&owner(context.caller, &client.lane), id),
        ("notifications/roots/list_changed", _) => context.app.upstreams.tell_lane(&client.lane, "notifications/roots/list_changed"),
        _ => {}
    }
}

/// Does what a request asks for. `classify` has refused methods that its era does not have.
pub async fn dispatch(context: &Context<'_>, request: &Request<'_>, params: Option<&Params<'_>>) -> Result<Reply, Fault> {
    let id = request.id;
    match &*request.method {
        "tools/call" => tools::call(context, id, params).await,
        "tools/list" => tools::list(context, id).await,
        _ => Box::pin(rarely(context, request, params)).await,
    }
}

/// What is asked less often, in a future of its own: those of calls and lists do not have room for it.
async fn rarely(context: &Context<'_>, request: &Request<'_>, params: Option<&Params<'_>>) -> Result<Reply, Fault> {
    let id = request.id;
    match &*request.method {
        "initialize" => initialize::initialize(context, id, params).await,
        "server/discover" => discover::discover(context, id).await,
        "ping" => Ok(Reply::Json(respond::result(id, b"{}"))),
        "resources/list" => resources::list(context, id).await,
        "resources/templates/list" => resources::templates(context, id).await,
        "resources/read" => resources::read(context, id, params).await,
        "prompts/list" => prompts::list(context, id).await,
        "prompts/get" => prompts::get(context, id, params).await,
        "completion/complete" => complete::complete(context, id, params).await,
        method @ ("tasks/get" | "tasks/update" | "tasks/cancel") if context.era.is_modern() => {
            tasks::pass(context, method, id, params).await
        }
        "skills/list" => skills::list(context, id).await,
        method @ ("skills/get" | "resources/directory/read") => skills::pass(context, method, id, params).await,
        method @ ("tasks/get" | "tasks/result" | "tasks/cancel") => tasks::known(context, method, id, params).await,
        "tasks/list" => tasks::list(context, id).await,
        "logging/setLevel" => session::set_level(context, id, params),
        method @ ("resources/subscribe" | "resources/unsubscribe") => session::subscribe(context, method, id, params).await,
        "subscriptions/listen" => Ok(Reply::Listen(Filter::parse(params)?, id.to_owned(), client(context, params))),
        method => Err(Fault::method_not_found(context.era, method)),
    }
}
