//! One file per method, or per family of methods about one noun.

mod complete;
mod discover;
mod initialize;
mod prompts;
mod resources;
mod tools;

use amalgam_protocol::{Fault, Params, Request, listen::Filter, respond};
use serde_json::value::RawValue;

use super::Context;

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
    /// A stream of changes for this request.
    Listen(Filter, Box<RawValue>),
}

/// Does what a request asks for. `classify` has refused methods that its era does not have.
pub async fn dispatch(context: &Context<'_>, request: &Request<'_>, params: Option<&Params<'_>>) -> Result<Reply, Fault> {
    let id = request.id;
    match &*request.method {
        "tools/call" => tools::call(context, id, params).await,
        "tools/list" => tools::list(context, id).await,
        "initialize" => initialize::initialize(context, id, params),
        "server/discover" => Ok(discover::discover(context, id)),
        "ping" => Ok(Reply::Json(respond::result(id, b"{}"))),
        "resources/list" => resources::list(context, id).await,
        "resources/templates/list" => Ok(resources::templates(context, id)),
        "resources/read" => resources::read(context, id, params).await,
        "prompts/list" => Ok(prompts::list(context, id)),
        "prompts/get" => prompts::get(context, id, params).await,
        "completion/complete" => complete::complete(context, id, params).await,
        "subscriptions/listen" => Ok(Reply::Listen(Filter::parse(params)?, id.to_owned())),
        method => Err(Fault::method_not_found(context.era, method)),
    }
}
