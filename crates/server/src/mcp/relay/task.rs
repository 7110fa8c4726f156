//! Ids of tasks as clients get them: sealed, with the upstream that runs the task, and good for the same caller only.

use amalgam_protocol::splice::Object;
use aws_lc_rs::digest::{SHA256, digest};

use super::owner;
use crate::{
    app::App,
    auth::Caller,
    error::{Error, Result},
};

const PURPOSE: &str = "mcp-task";
/// Length of the part that binds an id to its caller, in bytes.
const OWNER: usize = 16;

fn bound(caller: &Caller) -> Vec<u8> {
    let server = caller.server.as_ref().map_or("", |server| &server.id);
    let digest = digest(&SHA256, owner(caller, server).as_bytes());
    digest.as_ref().get(..OWNER).unwrap_or_default().to_vec()
}

/// The id for the client.
pub fn seal(app: &App, caller: &Caller, connector: &str, own: &str) -> Result<String> {
    let mut payload = bound(caller);
    payload.extend_from_slice(format!("{connector}\n{own}").as_bytes());
    app.store.sealer().seal_id(PURPOSE, &payload)
}

/// The upstream and its own id; `None` for an id that was not made for this caller.
pub fn open(app: &App, caller: &Caller, handle: &str) -> Option<(String, String)> {
    let payload = app.store.sealer().open_id(PURPOSE, handle)?;
    let text = std::str::from_utf8(payload.strip_prefix(&*bound(caller))?).ok()?;
    text.split_once('\n').map(|(connector, own)| (connector.to_owned(), own.to_owned()))
}

/// A result with the client's id of its task, where it has one. `known` is the id that the client has asked about.
pub fn renamed(app: &App, caller: &Caller, connector: &str, known: Option<&str>, result: &str) -> Result<Option<String>> {
    // A look that spares the rest: most results are of no task.
    if memchr::memmem::find(result.as_bytes(), b"\"taskId\"").is_none() {
        return Ok(None);
    }
    let mut object = Object::parse(result).map_err(Error::internal)?;
    let Some(own) = object.text("taskId").map(|own| own.into_owned()) else { return Ok(None) };
    if object.text("resultType").is_none() && known.is_none() {
        return Ok(None);
    }
    let handle = match known {
        Some(known) => known.to_owned(),
        None => seal(app, caller, connector, &own)?,
    };
    object.set_text("taskId", &handle);
    Ok(Some(object.to_string()))
}
