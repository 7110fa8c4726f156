//! Legacy sessions as sealed ids: any node opens them, after a restart too, and none keeps a table of them.
//!
//! An id is bound to its principal, effective user and server; with another token it is unknown (404), which makes a client start
//! again in the protocol's own way.

use amalgam_protocol::{Revision, bridge, splice::Object};
use amalgam_vault::hex;
use aws_lc_rs::digest::{Context as Digest, SHA256};

use crate::{
    app::App,
    auth::Caller,
    clock::{now_ms, random},
    error::Result,
    store::servers::Server,
    upstream::OUR_INFO,
};

const PURPOSE: &str = "mcp-session";
/// A session lives this long at most, in milliseconds.
const LIFETIME_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// Length of the part that binds an id to its owner, in bytes.
const OWNER: usize = 16;
/// Revision, time of birth, owner, random bytes; what the client said of itself follows.
const LENGTH: usize = 1 + 8 + OWNER + RANDOM;
const RANDOM: usize = 8;
/// What a client says of itself is kept in the id up to this many bytes.
const MAX_SAID: usize = amalgam_vault::MAX_PAYLOAD - LENGTH;

/// A session that is open.
pub struct Session {
    /// What `initialize` agreed on.
    pub revision: Revision,
    born: i64,
    /// The client's `ClientCapabilities`: JSON.
    pub capabilities: String,
    /// The client's `Implementation`: JSON.
    pub info: String,
    hash: String,
}

impl Session {
    /// Names the session where its id must not stand.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// A new id for this caller. `params` are those of `initialize`.
pub fn begin(app: &App, caller: &Caller, server: &Server, revision: Revision, params: &str) -> Result<String> {
    let mut payload = Vec::with_capacity(LENGTH);
    let index = amalgam_protocol::revision::ALL.iter().position(|known| *known == revision).unwrap_or(0);
    payload.push(u8::try_from(index).unwrap_or(0));
    payload.extend_from_slice(&now_ms().to_be_bytes());
    payload.extend_from_slice(&owner(caller, server));
    payload.extend_from_slice(&random::<RANDOM>());
    payload.extend_from_slice(said(params).as_bytes());
    app.store.sealer().seal_id(PURPOSE, &payload)
}

/// The session of this id, if it is this caller's and still open.
pub async fn open(app: &App, caller: &Caller, server: &Server, id: &str) -> Result<Option<Session>> {
    let Some(payload) = app.store.sealer().open_id(PURPOSE, id) else { return Ok(None) };
    let Some((index, rest)) = payload.split_first() else { return Ok(None) };
    let Some((born, rest)) = rest.split_first_chunk::<8>() else { return Ok(None) };
    let born = i64::from_be_bytes(*born);
    let Some(revision) = amalgam_protocol::revision::ALL.get(usize::from(*index)).copied() else { return Ok(None) };
    if !rest.starts_with(&owner(caller, server)) || born + LIFETIME_MS < now_ms() {
        return Ok(None);
    }
    let hash = hex(&amalgam_vault::hash_token(id));
    if app.store.session_ended(hash.clone()).await? {
        return Ok(None);
    }
    let said = rest.get(OWNER + RANDOM..).and_then(|said| std::str::from_utf8(said).ok()).unwrap_or_default();
    let said = Object::parse(said).unwrap_or_default();
    let part = |name: &str, default: &str| said.get(name).unwrap_or(default).to_owned();
    Ok(Some(Session { revision, born, capabilities: part("capabilities", "{}"), info: part("clientInfo", OUR_INFO), hash }))
}

/// What a client said of itself, as far as it has room: its capabilities first, reduced to those that mean something to upstreams
/// when they are too long.
fn said(params: &str) -> String {
    let params = Object::parse(params).unwrap_or_default();
    let mut said = Object::default();
    if let Some(all) = params.get("capabilities").filter(|json| json.starts_with('{')) {
        let mut known = Object::default();
        if all.len() > MAX_SAID / 2 {
            let all = Object::parse(all).unwrap_or_default();
            for name in ["sampling", "elicitation", "roots"] {
                if let Some(json) = all.get(name).filter(|json| json.len() <= MAX_SAID / 16) {
                    known.set(name, json.to_owned());
                }
            }
            said.set("capabilities", known.to_string());
        } else {
            // A client's own tasks stay here: upstreams could ask about each other's.
            said.set("capabilities", bridge::without("tasks", all).into_owned());
        }
    }
    let alone = said.to_string();
    if let Some(info) = params.get("clientInfo").filter(|json| json.starts_with('{')) {
        said.set("clientInfo", info);
    }
    let both = said.to_string();
    if both.len() <= MAX_SAID { both } else { alone }
}

/// Ends a session for all nodes.
pub async fn end(app: &App, session: &Session) -> Result<()> {
    app.store.end_session(&session.hash, session.born + LIFETIME_MS).await
}

fn owner(caller: &Caller, server: &Server) -> [u8; OWNER] {
    let mut digest = Digest::new(&SHA256);
    for part in [&*caller.scope.account, &*caller.principal.label(), &*caller.scope.user, &server.id] {
        digest.update(&part.len().to_be_bytes());
        digest.update(part.as_bytes());
    }
    let mut owner = [0; OWNER];
    owner.copy_from_slice(digest.finish().as_ref().get(..OWNER).unwrap_or(&[0; OWNER]));
    owner
}
