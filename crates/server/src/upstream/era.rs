//! Which eras an upstream speaks: found out once, remembered, and found out again when what is remembered fails.

use std::{sync::Arc, time::Duration};

use ::http::{HeaderMap, HeaderName, HeaderValue};
use amalgam_protocol::{
    bridge::{self, Envelope, Outgoing},
    fault::UNSUPPORTED_VERSION,
    revision::{LATEST, Revision},
    splice::{Object, elements, quoted, string},
};
use quick_cache::Equivalent;
use tokio::time::Instant;

use super::{
    Demand, Key, Shared,
    exchange::Exchange,
    http::{self, Body},
    message::{self, Heard, failed},
    pipe::Pipe,
    session::{Session, text_of},
};
use crate::{
    error::{Error, Kind, Result},
    store::upstreams::{Transport, Upstream},
};

/// How long an answer to `server/discover` is waited for before the handshake is tried.
const PROBE: Duration = Duration::from_secs(10);
/// For how long the eras of an upstream are believed.
const KNOWN_FOR: Duration = Duration::from_secs(60 * 60);

/// What is known of an upstream's eras.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Eras {
    pub modern: Option<bool>,
    pub legacy: Option<bool>,
    /// In the legacy era it gives no session ids, so that it cannot tell the sessions of a client apart.
    pub is_stateless: bool,
}

/// An upstream does not take the first message of an era; in its words, if it said any.
#[derive(Debug)]
pub struct NotSpoken(pub String);

impl NotSpoken {
    /// An HTTP status by which upstreams refuse what they do not know. Those that say something else are none.
    pub fn of_status(status: u16, body: &Body) -> Option<Self> {
        match status {
            200..=299 | 401 | 403 | 429 | 502..=504 => None,
            _ => Some(Self(format!("HTTP {status}{}", said(text_of(body))))),
        }
    }

    /// An error in the words of JSON-RPC.
    pub fn by_error(error: &str) -> Self {
        let text = Object::parse(error).ok().and_then(|error| error.text("message").map(|text| text.into_owned()));
        Self(text.unwrap_or_default().chars().take(200).collect())
    }
}

/// The sentence of a JSON-RPC error, if a body holds one.
pub fn said(body: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(body) else { return String::new() };
    match message::read(text).ok().and_then(|mut all| all.pop()).map(|message| message.heard) {
        Some(Heard::Done(Err(error))) => {
            let NotSpoken(words) = NotSpoken::by_error(&error);
            if words.is_empty() { words } else { format!(": {}", words.trim_end_matches('.')) }
        }
        _ => String::new(),
    }
}

/// One version of an upstream: what is known of another says nothing of it.
#[derive(Hash)]
struct Version<'a> {
    id: &'a str,
    updated_at: i64,
}

impl<'a> Version<'a> {
    fn of(upstream: &'a Upstream) -> Self {
        Self { id: &upstream.id, updated_at: upstream.updated_at }
    }
}

impl Equivalent<(String, i64)> for Version<'_> {
    fn equivalent(&self, (id, updated_at): &(String, i64)) -> bool {
        self.id == id && self.updated_at == *updated_at
    }
}

/// What was found out, and when.
#[derive(Clone)]
pub struct Known {
    eras: Eras,
    found_at: Instant,
}

impl Known {
    /// Whether it need not be found out again.
    pub fn is_recent(&self) -> bool {
        self.found_at.elapsed() < KNOWN_FOR
    }
}

/// The era that a call uses, with its session where it has one.
pub enum Chosen {
    Modern,
    Legacy(Arc<Session>),
    Pipe(Arc<Pipe>),
}

impl Shared {
    fn eras_of(&self, upstream: &Upstream) -> Eras {
        self.eras.get(&Version::of(upstream)).map(|known| known.eras).unwrap_or_default()
    }

    fn remember(&self, upstream: &Upstream, change: impl FnOnce(&mut Eras)) {
        let before = self.eras_of(upstream);
        let mut eras = before;
        change(&mut eras);
        if eras != before {
            self.eras.insert((upstream.id.clone(), upstream.updated_at), Known { eras, found_at: Instant::now() });
        }
    }

    /// What is remembered has turned out wrong.
    pub fn forget_eras(&self, upstream: &Upstream) {
        self.eras.remove(&Version::of(upstream));
    }

    /// Chooses the client's own era where the upstream speaks it, else the other one.
    pub async fn choose(self: &Arc<Self>, demand: &Demand<'_>, until: Instant) -> Result<Chosen> {
        let upstream = demand.upstream;
        if upstream.transport != Transport::StreamableHttp {
            return Box::pin(self.pipe(upstream, demand.client, until)).await.map(Chosen::Pipe);
        }
        let known = self.eras_of(upstream);
        let suits = |eras: Eras| !demand.client.is_legacy || eras.legacy == Some(false);
        if known.modern == Some(true) && suits(known) {
            return Ok(Chosen::Modern);
        }
        let modern = self.modern(upstream, known, until).await?;
        if modern.is_ok() && suits(self.eras_of(upstream)) {
            return Ok(Chosen::Modern);
        }
        let NotSpoken(old) = match self.legacy(upstream, &Key::of(demand), until).await? {
            Ok(session) => return Ok(Chosen::Legacy(session)),
            Err(not_spoken) => not_spoken,
        };
        match modern {
            Ok(()) => Ok(Chosen::Modern),
            Err(NotSpoken(new)) => Err(neither(upstream, &old, &new)),
        }
    }

    async fn legacy(self: &Arc<Self>, upstream: &Arc<Upstream>, key: &Key, until: Instant) -> Result<Result<Arc<Session>, NotSpoken>> {
        let known = self.eras_of(upstream);
        if known.legacy == Some(false) {
            return Ok(Err(NotSpoken("it has no initialize".to_owned())));
        }
        // A handshake for each session of a client would say the same each time, and be kept as often.
        let shared = (known.is_stateless && !bridge::can_be_asked(&key.client.capabilities)).then(|| key.of_all_lanes());
        let mut found = self.session(upstream, shared.as_ref().unwrap_or(key), until).await?;
        if let (Some(shared), Ok(session)) = (&shared, &found)
            && session.has_id()
        {
            // It has begun to tell sessions apart: so each gets its own.
            self.lost(shared, session);
            found = self.session(upstream, key, until).await?;
        }
        let is_stateless = found.as_ref().is_ok_and(|session| !session.has_id());
        if (known.legacy, known.is_stateless) != (Some(found.is_ok()), is_stateless) {
            self.remember(upstream, |eras| (eras.legacy, eras.is_stateless) = (Some(found.is_ok()), is_stateless));
        }
        if found.is_err() && self.eras_of(upstream).modern == Some(false) {
            // It spoke neither: nothing that is remembered helps the next call.
            self.forget_eras(upstream);
        }
        Ok(found)
    }

    async fn modern(self: &Arc<Self>, upstream: &Arc<Upstream>, known: Eras, until: Instant) -> Result<Result<(), NotSpoken>> {
        match known.modern {
            Some(true) => Ok(Ok(())),
            Some(false) => Ok(Err(NotSpoken("it has no server/discover".to_owned()))),
            None => Ok(Box::pin(self.discover(upstream, until)).await?.map(|_| ())),
        }
    }

    /// Asks `server/discover`; its result, or that the upstream does not know it. One that refuses our revision and names it among those
    /// that it has is asked once more. One that names modern revisions alone is asked for no handshake.
    pub async fn discover(self: &Arc<Self>, upstream: &Arc<Upstream>, until: Instant) -> Result<Result<String, NotSpoken>> {
        let mut outcome = self.discover_once(upstream, until).await?;
        if outcome.as_ref().is_err_and(|NotSpoken(words)| words == SAME_REVISION) {
            outcome = self.discover_once(upstream, until).await?;
        }
        let has_legacy = outcome.as_ref().ok().map(|result| names_legacy(result));
        self.remember(upstream, |eras| {
            eras.modern = Some(outcome.is_ok());
            eras.legacy = if has_legacy == Some(false) { Some(false) } else { eras.legacy };
        });
        Ok(outcome)
    }

    /// A legacy upstream may say nothing at all to a method that it does not know.
    async fn discover_once(self: &Arc<Self>, upstream: &Arc<Upstream>, until: Instant) -> Result<Result<String, NotSpoken>> {
        match self.ask_discover(upstream, until.min(Instant::now() + PROBE)).await {
            Err(error) if error.kind == Kind::PlatformTimeout && Instant::now() < until => Ok(Err(NotSpoken("no answer".to_owned()))),
            asked => asked,
        }
    }

    async fn ask_discover(self: &Arc<Self>, upstream: &Arc<Upstream>, until: Instant) -> Result<Result<String, NotSpoken>> {
        let envelope = Envelope { version: LATEST.as_str(), capabilities: "{}", info: super::OUR_INFO, log_level: None };
        let params = bridge::outgoing("{}", &Outgoing { envelope: Some(envelope), ..Outgoing::default() }).map_err(Error::internal)?;
        let id = self.next_id();
        let message = bridge::request(&id, "server/discover", &params);
        let answer = self.post(upstream, &upstream.url, modern_headers("server/discover", None)?, message, until).await?;
        Ok(match NotSpoken::of_status(answer.status, &answer.body) {
            Some(_) if names_our_revision(text_of(&answer.body)) => Err(NotSpoken(SAME_REVISION.to_owned())),
            Some(not_spoken) => Err(not_spoken),
            None => {
                let mut exchange = Exchange::of_answer(self, upstream, &id, answer, until)?;
                exchange
                    .done()
                    .await?
                    .map_err(|error| NotSpoken::by_error(&error))
                    .and_then(|result| speaks_modern(&result).map(|()| result))
            }
        })
    }
}

/// What is said of an upstream that refuses the revision that it names.
const SAME_REVISION: &str = "it refuses the revision that it names";

/// Whether an error refuses a revision and names ours among those that are served.
fn names_our_revision(body: &[u8]) -> bool {
    let error = std::str::from_utf8(body).ok().and_then(|text| message::read(text).ok()).and_then(|mut all| all.pop());
    let Some(Heard::Done(Err(error))) = error.map(|message| message.heard) else { return false };
    is_version_refused(&error) && error.contains(&quoted(LATEST.as_str()))
}

fn speaks_modern(result: &str) -> Result<(), NotSpoken> {
    let object = Object::parse(result).map_err(|error| NotSpoken(error.to_string()))?;
    let versions = object.get("supportedVersions").and_then(elements).unwrap_or_default();
    let wanted = quoted(LATEST.as_str());
    if versions.contains(&wanted.as_str()) { Ok(()) } else { Err(NotSpoken(format!("it does not list {LATEST}"))) }
}

/// Whether the result of `server/discover` names a revision with a handshake.
fn names_legacy(result: &str) -> bool {
    let named = Object::parse(result).ok().and_then(|object| {
        object
            .get("supportedVersions")
            .and_then(elements)
            .map(|all| all.into_iter().filter_map(string).filter_map(|name| Revision::parse(&name)).any(|revision| !revision.is_modern()))
    });
    named.unwrap_or_default()
}

/// The headers of a modern request.
pub fn modern_headers(method: &str, name: Option<&str>) -> Result<HeaderMap> {
    static VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
    static METHOD: HeaderName = HeaderName::from_static("mcp-method");
    static NAME: HeaderName = HeaderName::from_static("mcp-name");
    // With those that every request has, so that the map grows once.
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(VERSION.clone(), HeaderValue::from_static(LATEST.as_str()));
    headers.insert(METHOD.clone(), http::header(method)?);
    if let Some(name) = name {
        headers.insert(NAME.clone(), http::header(name)?);
    }
    Ok(headers)
}

/// Whether an error says that the upstream does not serve the revision that was spoken.
pub fn is_version_refused(error: &str) -> bool {
    let code = Object::parse(error).ok().and_then(|error| error.get("code").and_then(|code| code.parse::<i64>().ok()));
    code == Some(UNSUPPORTED_VERSION)
}

fn neither(upstream: &Arc<Upstream>, old: &str, new: &str) -> Error {
    let error =
        failed(upstream, format_args!("does not answer as an MCP server at its address (server/discover: {new}; initialize: {old})"));
    Error { kind: Kind::PlatformFailed, ..error }
}
