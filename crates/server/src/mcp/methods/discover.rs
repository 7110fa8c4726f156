//! `server/discover`: how a client of the modern era learns what the server is.

use amalgam_protocol::{Fault, present, respond::CacheScope};
use serde_json::value::RawValue;

use super::Reply;
use crate::mcp::{Context, offer};

/// The answer changes only when the server is changed, in milliseconds.
const TTL_MS: u64 = 60_000;

pub async fn discover(context: &Context<'_>, id: &RawValue) -> Result<Reply, Fault> {
    let offer = offer(context.app, context.server).await.map_err(|e| context.fault(&e))?;
    Ok(Reply::Json(present::discover(id, &context.identity(), &offer, TTL_MS, CacheScope::Private)))
}
