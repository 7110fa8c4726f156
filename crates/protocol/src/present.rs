//! How a server presents itself: `initialize`, `server/discover`, and the capabilities that both carry.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::respond::{CacheScope, ResultWriter};
use crate::revision::{Era, Revision, SUPPORTED, negotiate};

/// Who the server is.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// `serverInfo.name`.
    pub name: &'a str,
    /// `serverInfo.title`, for people.
    pub title: Option<&'a str>,
    /// `serverInfo.version`.
    pub version: &'a str,
    /// `instructions`: what the model should know.
    pub instructions: Option<&'a str>,
}

/// What the server offers.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// It has tools.
    pub tools: bool,
    /// It has resources.
    pub resources: bool,
    /// It has prompts.
    pub prompts: bool,
    /// It completes arguments.
    pub completions: bool,
    /// It sends log messages.
    pub logging: bool,
    /// It announces changes of its lists.
    pub list_changed: bool,
    /// It announces changes of single resources.
    pub subscribe: bool,
    /// Its tools can be called as tasks of 2025-11-25; the modern era has an extension for that.
    pub tasks: bool,
    /// Extensions by identifier, with their settings; only the modern era has a place for them.
    pub extensions: Map<String, Value>,
}

impl Identity<'_> {
    /// The `serverInfo` object as JSON.
    #[must_use]
    pub fn info(&self) -> String {
        #[derive(Serialize)]
        struct Info<'a> {
            name: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            title: Option<&'a str>,
            version: &'a str,
        }
        let info = Info { name: self.name, title: self.title, version: self.version };
        // Text has no way to fail to become JSON.
        serde_json::to_string(&info).unwrap_or_default()
    }
}

/// The `ServerCapabilities` object in the shape of the era. What is not offered is absent, never `false`.
#[must_use]
pub fn capabilities(era: Era, offer: &Offer) -> Value {
    let list_changed = offer.list_changed;
    let entries = [
        ("tools", offer.tools, json!({ "listChanged": list_changed })),
        ("resources", offer.resources, json!({ "subscribe": offer.subscribe, "listChanged": list_changed })),
        ("prompts", offer.prompts, json!({ "listChanged": list_changed })),
        ("completions", offer.completions, json!({})),
        ("logging", offer.logging, json!({})),
        ("tasks", offer.tasks && has_tasks(era), json!({ "list": {}, "cancel": {}, "requests": { "tools": { "call": {} } } })),
        ("extensions", era.is_modern() && !offer.extensions.is_empty(), Value::Object(offer.extensions.clone())),
    ];
    let offered = entries.into_iter().filter(|(_, is_offered, _)| *is_offered);
    Value::Object(offered.map(|(name, _, settings)| (name.to_owned(), settings)).collect())
}

fn has_tasks(era: Era) -> bool {
    matches!(era, Era::Legacy { header_version: Some(Revision::V2025_11_25) })
}

/// The response to `initialize`. `requested` is the client's `protocolVersion`; absent, as in calls by hand, the newest is agreed on.
///
/// Returns the agreed revision too, which a session remembers.
#[must_use]
pub fn initialize(id: &RawValue, requested: Option<&str>, identity: &Identity<'_>, offer: &Offer) -> (Revision, Vec<u8>) {
    let revision = negotiate(requested.unwrap_or_default());
    let era = Era::Legacy { header_version: Some(revision) };
    let mut writer = ResultWriter::new(era, id);
    writer.string("protocolVersion", revision.as_str());
    writer.member("capabilities", capabilities(era, offer).to_string().as_bytes());
    writer.member("serverInfo", identity.info().as_bytes());
    if let Some(instructions) = identity.instructions {
        writer.string("instructions", instructions);
    }
    (revision, writer.finish(b""))
}

/// The response to `server/discover`. `ttl_ms` in milliseconds; the scope is `private` unless every caller gets the same.
#[must_use]
pub fn discover(id: &RawValue, identity: &Identity<'_>, offer: &Offer, ttl_ms: u64, scope: CacheScope) -> Vec<u8> {
    let mut writer = ResultWriter::new(Era::Modern, id);
    writer.member("supportedVersions", json!(SUPPORTED).to_string().as_bytes());
    writer.member("capabilities", capabilities(Era::Modern, offer).to_string().as_bytes());
    if let Some(instructions) = identity.instructions {
        writer.string("instructions", instructions);
    }
    writer.cache(ttl_ms, scope);
    writer.finish(identity.info().as_bytes())
}
