//! Asks an upstream what it offers, and keeps the answer. What it offered last stays when it cannot be asked.

use std::{sync::Arc, time::Duration};

use amalgam_protocol::{bridge, splice::Object, strict};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{Client, Demand, Key, Shared, Upstreams, era::NotSpoken};
use crate::{
    clock::now_ms,
    connectors::offering::Lists,
    error::{Error, Kind, Result},
    store::{
        Scope,
        upstreams::{Registered, Transport, Upstream},
    },
};

/// Lists are asked for again after this time, unless the upstream says earlier that one has changed; in milliseconds.
const FRESH_MS: i64 = 5 * 60 * 1000;
/// A list may have so many pages.
const MAX_PAGES: usize = 100;
/// A list may have so many items.
const MAX_ITEMS: usize = 10_000;
/// All lists of one upstream together, in bytes.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Lists that nobody has yet are waited for this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lists that are asked for again within this time are asked for in a row.
const CALM: Duration = Duration::from_secs(2);
/// So many times in a row; then they are waited with.
const IN_A_ROW: u32 = 8;

/// When an upstream was asked what it offers.
#[derive(Default)]
pub struct Turn {
    last: Option<Instant>,
    in_a_row: u32,
}

/// Some offer a tool only to clients that can do what it needs. Whoever asks for everything says that it can do everything; a client that
/// calls such a tool then shows its own capabilities.
const EVERYTHING: &str = r#"{"elicitation":{"form":{},"url":{}},"roots":{"listChanged":true},"sampling":{}}"#;

/// The lists, by the capability that says there is one.
const LISTS: [(&str, &str, &str); 5] = [
    ("tools", "tools/list", "tools"),
    ("resources", "resources/list", "resources"),
    ("resources", "resources/templates/list", "resourceTemplates"),
    ("prompts", "prompts/list", "prompts"),
    ("extensions/io.modelcontextprotocol~1skills", "skills/list", "skills"),
];

impl Upstreams {
    /// Asks the upstreams of these connectors what they offer, where that is not known or long ago. Waits for what is not known at all.
    pub async fn freshen(&self, owner: &Scope, connectors: Option<&[String]>) -> Result<()> {
        let all = self.0.store.upstreams(&owner.account).await?;
        if all.is_empty() {
            return Ok(());
        }
        let named = |registered: &&Arc<Registered>| {
            registered.upstream.owner == *owner && connectors.is_none_or(|named| named.contains(&registered.upstream.slug))
        };
        let mut waiting = Vec::new();
        for registered in all.values().filter(named) {
            let upstream = registered.upstream.clone();
            let age = upstream.offered_at.map(|at| now_ms().saturating_sub(at));
            if age.is_some_and(|age| age < FRESH_MS) {
                continue;
            }
            let this = self.clone();
            let asking = tokio::spawn(async move {
                if let Err(error) = this.refresh(&upstream).await {
                    tracing::warn!(upstream = upstream.id, error = %error, "an upstream does not say what it offers");
                }
            });
            let fails = self.report(&registered.upstream).problem.is_some();
            if age.is_none() && !fails {
                waiting.push(asking);
            }
        }
        if !waiting.is_empty() {
            // Those that are slower than this are there the next time.
            drop(tokio::time::timeout(PATIENCE, futures_util::future::join_all(waiting)).await);
        }
        Ok(())
    }

    /// Asks one upstream now, unless somebody else has in the meantime.
    pub async fn refresh(&self, upstream: &Arc<Upstream>) -> Result<()> {
        let turn = self.0.freshening.get_with_by_ref(&upstream.id, Arc::default);
        let wanted = Instant::now();
        let mut asked = turn.lock().await;
        if asked.last.is_some_and(|last| last >= wanted) {
            // Somebody has asked while we waited for our turn.
            return Ok(());
        }
        // One that says at every list that it has changed would be asked for ever.
        asked.in_a_row = if asked.last.is_some_and(|last| last.elapsed() < CALM) { asked.in_a_row + 1 } else { 0 };
        if asked.in_a_row > IN_A_ROW {
            tokio::time::sleep(CALM).await;
        }
        asked.last = Some(Instant::now());
        // All lists together are one call: one that is not called at the moment is not asked either, and a slow one fails once.
        let mut place = self.0.health(upstream).enter(&upstream.owner.user, &upstream.name).await?;
        let until = Instant::now() + self.timeout(upstream);
        match Box::pin(self.0.ask_lists(upstream, until)).await {
            Ok(lists) => {
                place.answered();
                self.0.store.put_offer(upstream, &lists).await
            }
            Err(error) => {
                match error.kind {
                    Kind::CredentialNotFound => place.hindered(&error),
                    _ => place.failed_to_begin(&error),
                }
                Err(error)
            }
        }
    }
}

impl Shared {
    async fn ask_lists(self: &Arc<Self>, upstream: &Arc<Upstream>, until: Instant) -> Result<Lists> {
        // As whoever has signed in, where it wants that.
        let user = upstream.end_user.clone().unwrap_or_else(|| upstream.owner.user.clone());
        let scope = Scope { account: upstream.owner.account.clone(), user };
        let client = Client { capabilities: EVERYTHING.into(), ..Client::plain(&scope) };
        let lists = self.ask_lists_as(upstream, &client, until).await;
        if upstream.transport == Transport::Stdio {
            // A process that was started for this alone; a shared one stays.
            self.pipes.invalidate(&Key { upstream: upstream.id.clone(), updated_at: upstream.updated_at, client });
        }
        lists
    }

    async fn ask_lists_as(self: &Arc<Self>, upstream: &Arc<Upstream>, client: &Client, until: Instant) -> Result<Lists> {
        let mut lists = Lists::default();
        let greeting = self.greeted(upstream, client, until).await?;
        greeting.0.clone_into(&mut lists.era);
        let object = Object::parse(&greeting.1).map_err(Error::internal)?;
        let raw = |json: &str| RawValue::from_string(json.to_owned()).ok();
        lists.capabilities = object.get("capabilities").and_then(raw);
        let in_meta = || Object::parse(object.get("_meta")?).ok()?.get(amalgam_protocol::respond::SERVER_INFO_KEY).and_then(raw);
        lists.server_info = object.get("serverInfo").and_then(raw).or_else(in_meta);
        lists.instructions = object.text("instructions").map(|text| text.into_owned());
        let capabilities =
            lists.capabilities.as_ref().and_then(|json| strict::parse(json.get(), strict::MAX_DEPTH).ok()).unwrap_or_default();
        let mut left = MAX_BYTES;
        for (capability, method, member) in LISTS {
            if capabilities.pointer(&format!("/{capability}")).is_none() {
                continue;
            }
            // A list that the upstream promises and does not give must not hide the others, nor take all their time.
            let now = Instant::now();
            let until = if method == "tools/list" { until } else { now + until.saturating_duration_since(now) / 2 };
            let items = match self.list(upstream, client, method, member, until, &mut left).await {
                Ok(items) => items,
                Err(error) if method == "tools/list" => return Err(error),
                Err(error) => {
                    tracing::warn!(upstream = upstream.id, method, error = %error, "an upstream does not give a list that it promises");
                    continue;
                }
            };
            match method {
                "tools/list" => lists.tools = items,
                "resources/list" => lists.resources = items,
                "prompts/list" => lists.prompts = items,
                "skills/list" => lists.skills = items,
                _ => lists.templates = items,
            }
        }
        Ok(lists)
    }

    /// Which eras the upstream speaks, and what it says of itself.
    async fn greeted(self: &Arc<Self>, upstream: &Arc<Upstream>, client: &Client, until: Instant) -> Result<(&'static str, String)> {
        if upstream.transport != Transport::StreamableHttp {
            let greeting = self.pipe(upstream, client, until).await?.greeting().unwrap_or_default();
            return Ok((if greeting.is_modern { "modern" } else { "legacy" }, greeting.result));
        }
        self.forget_eras(upstream);
        // Whether one of the modern era has a handshake too is found out when a client wants it: its first request must be a modern one.
        let NotSpoken(new) = match self.discover(upstream, until).await? {
            Ok(found) => return Ok(("modern", found)),
            Err(not_spoken) => not_spoken,
        };
        match self.greeting(upstream, client, until).await? {
            Ok(greeting) => Ok(("legacy", greeting)),
            Err(NotSpoken(old)) => {
                let what = format_args!("does not answer as an MCP server at its address (server/discover: {new}; initialize: {old})");
                Err(super::message::failed(upstream, what))
            }
        }
    }

    /// The result of `initialize`, from a session that is open already or a new one.
    async fn greeting(self: &Arc<Self>, upstream: &Arc<Upstream>, client: &Client, until: Instant) -> Result<Result<String, NotSpoken>> {
        let key = Key { upstream: upstream.id.clone(), updated_at: upstream.updated_at, client: client.clone() };
        Ok(self.session(upstream, &key, until).await?.map(|session| session.greeting.clone()))
    }

    async fn list(
        self: &Arc<Self>,
        upstream: &Arc<Upstream>,
        client: &Client,
        method: &str,
        member: &str,
        until: Instant,
        left: &mut usize,
    ) -> Result<Vec<Box<RawValue>>> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut params = Object::default();
            if let Some(cursor) = &cursor {
                params.set_text("cursor", cursor);
            }
            let params = params.to_string();
            let demand = Demand::ours(upstream, client, method, &params, until.saturating_duration_since(Instant::now()));
            let result = match self.begin_within(&demand, until).await?.done().await? {
                Ok(result) => result,
                Err(error) => {
                    let NotSpoken(words) = NotSpoken::by_error(&error);
                    return Err(super::message::failed(upstream, format_args!("answered {method} with an error: {words}")));
                }
            };
            let wrong =
                |what: String| super::message::failed(upstream, format_args!("answered {method} in a way that cannot be read: {what}"));
            let (items, next) = bridge::page(&result, member).map_err(wrong)?;
            for item in items {
                *left = left.checked_sub(item.len()).ok_or_else(|| super::message::failed(upstream, "offers more than can be kept"))?;
                all.push(RawValue::from_string(item).map_err(Error::internal)?);
            }
            if all.len() > MAX_ITEMS {
                return Err(super::message::failed(upstream, format_args!("offers more than {MAX_ITEMS} items in one list")));
            }
            match next {
                Some(next) => cursor = Some(next.into_owned()),
                None => return Ok(all),
            }
        }
        Err(super::message::failed(upstream, format_args!("has more than {MAX_PAGES} pages in one list")))
    }
}
