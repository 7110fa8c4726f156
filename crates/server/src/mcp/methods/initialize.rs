//! `initialize`: the handshake of the legacy revisions; begins a session.

use amalgam_protocol::{Fault, Params, present};
use serde_json::value::RawValue;

use super::Reply;
use crate::mcp::{Context, offer, session};

pub async fn initialize(context: &Context<'_>, id: &RawValue, params: Option<&Params<'_>>) -> Result<Reply, Fault> {
    let requested = params.and_then(|params| params.protocol_version.as_deref());
    let offer = offer(context.app, context.server).await.map_err(|e| context.fault(&e))?;
    let (revision, bytes) = present::initialize(id, requested, &context.identity(), &offer);
    let session = session::begin(context.app, context.caller, context.server, revision, params.map_or("{}", |params| params.raw.get()))
        .map_err(|e| context.fault(&e))?;
    Ok(Reply::Session(bytes, session))
}
