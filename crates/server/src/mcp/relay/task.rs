//! Ids of tasks as clients get them: sealed, with the upstream that runs the task, and good for the same caller in the same era only.

use amalgam_protocol::{Era, bridge, splice::Object};
use aws_lc_rs::digest::{SHA256, digest};

use super::{Relay, owner};
use crate::{
    app::App,
    auth::Caller,
    error::{Error, Result},
};

/// Where messages about a task of 2025-11-25 name it.
const RELATED: &str = "io.modelcontextprotocol/related-task";
/// Length of the part that binds an id to its caller, in bytes.
const OWNER: usize = 16;

/// Tasks of 2025-11-25 and of the extension have other methods and other results.
fn purpose(era: Era) -> &'static str {
    if era.is_modern() { "mcp-task" } else { "mcp-task 2025-11-25" }
}

fn bound(caller: &Caller) -> Vec<u8> {
    let server = caller.server.as_ref().map_or("", |server| &server.id);
    let digest = digest(&SHA256, owner(caller, server).as_bytes());
    digest.as_ref().get(..OWNER).unwrap_or_default().to_vec()
}

/// The id for the client.
pub fn seal(app: &App, caller: &Caller, era: Era, connector: &str, own: &str) -> Result<String> {
    let mut payload = bound(caller);
    payload.extend_from_slice(format!("{connector}\n{own}").as_bytes());
    app.store.sealer().seal_id(purpose(era), &payload)
}

/// The upstream and its own id; `None` for an id that was not made for this caller.
pub fn open(app: &App, caller: &Caller, era: Era, handle: &str) -> Option<(String, String)> {
    let payload = app.store.sealer().open_id(purpose(era), handle)?;
    let text = std::str::from_utf8(payload.strip_prefix(&*bound(caller))?).ok()?;
    text.split_once('\n').map(|(connector, own)| (connector.to_owned(), own.to_owned()))
}

/// The result of a call that became a task of 2025-11-25, with the client's id of that task, and the id; `None` for any other result.
pub fn began(app: &App, caller: &Caller, connector: &str, result: &str) -> Result<Option<(String, String)>> {
    // A look that spares the rest: most results are of no task.
    if !result.contains("\"taskId\"") {
        return Ok(None);
    }
    let mut object = Object::parse(result).map_err(Error::internal)?;
    let Some(task) = object.get("task").map(str::to_owned) else { return Ok(None) };
    let Ok(mut task) = Object::parse(&task) else { return Ok(None) };
    let Some(own) = task.text("taskId").map(|own| own.into_owned()) else { return Ok(None) };
    let handle = seal(app, caller, Era::Legacy { header_version: None }, connector, &own)?;
    task.set_text("taskId", &handle);
    let task = task.to_string();
    object.set("task", task);
    Ok(Some((object.to_string(), handle)))
}

/// A message about a task of 2025-11-25 with the client's id in place of the upstream's own, wherever the protocol names it; `None`
/// where nothing of it names this task.
pub fn replaced(message: &str, own: &str, handle: &str) -> Option<String> {
    let mut object = Object::parse(message).ok()?;
    let is_flat = object.text("taskId").is_some_and(|id| id == own);
    if is_flat {
        object.set_text("taskId", handle);
    }
    let related = object.get("_meta").filter(|meta| meta.contains(RELATED)).map(str::to_owned).and_then(|meta| {
        let mut meta = Object::parse(&meta).ok()?;
        let related = meta.get(RELATED)?.to_owned();
        let mut related = Object::parse(&related).ok()?;
        if related.text("taskId")? != own {
            return None;
        }
        related.set_text("taskId", handle);
        let related = related.to_string();
        meta.set(RELATED, related);
        Some(meta.to_string())
    });
    if !is_flat && related.is_none() {
        return None;
    }
    if let Some(meta) = related {
        object.set("_meta", meta);
    }
    Some(object.to_string())
}

/// A result with the client's id of its task, where it has one. `known` is the id that the client has asked about.
pub fn renamed(app: &App, caller: &Caller, connector: &str, known: Option<&str>, mut object: Object<'_>) -> Result<Option<String>> {
    // A look that spares the rest: most results are of no task.
    if known.is_none() && bridge::is_complete(&object) {
        return Ok(None);
    }
    let Some(own) = object.text("taskId").map(|own| own.into_owned()) else { return Ok(None) };
    if object.text("resultType").is_none() && known.is_none() {
        return Ok(None);
    }
    let handle = match known {
        Some(known) => known.to_owned(),
        None => seal(app, caller, Era::Modern, connector, &own)?,
    };
    object.set_text("taskId", &handle);
    Ok(Some(object.to_string()))
}

impl Relay {
    /// What is said about a task of 2025-11-25, under the id that the client has for it: the task that it asked about, or one that was
    /// begun in its session.
    pub(super) fn known_task(&self, message: &str) -> Option<String> {
        if self.era.is_modern() || !message.contains("\"taskId\"") {
            return None;
        }
        if let Some(("taskId", own)) = &self.route.renamed {
            let params = Object::parse(self.params()).ok()?;
            if let Some(replaced) = replaced(message, own, &params.text("taskId")?) {
                return Some(replaced);
            }
        }
        let lane = self.app.upstreams.waiting().lane(&self.client.lane);
        lane.tasks().into_iter().find_map(|handle| {
            let (connector, own) = open(&self.app, &self.caller, self.era, &handle)?;
            (connector == self.route.connector_id).then(|| replaced(message, &own, &handle))?
        })
    }

    /// The result of a legacy upstream under the client's id of its task, where it is about one.
    pub(super) fn of_task(&self, result: &str) -> Result<Option<String>> {
        if self.method != "tools/call" {
            return Ok(self.known_task(result));
        }
        let began = began(&self.app, &self.caller, &self.route.connector_id, result)?;
        Ok(began.map(|(result, handle)| {
            if !self.client.lane.is_empty() {
                self.app.upstreams.waiting().lane(&self.client.lane).keep_task(handle);
            }
            result
        }))
    }
}
