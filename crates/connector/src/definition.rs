//! The definition of a connector: a platform described as data.
//!
//! One type serves all sources. A curated connector is a `connectors/<id>/connector.toml`; an imported OpenAPI document
//! becomes the same type, stored as JSON. Nothing here is executable: the engine (`plan`, `shape`) interprets it.

mod action;
mod auth;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use action::{Action, BodyKind, Effect, Method, Pagination, Paging, Parameter, Place, Response, Style};
pub use auth::{AuthKind, AuthScheme, ClientAuth, Field, OAuth2, Placement, Refresh, SecretPlace, TokenAnswer, TokenBody};

/// A platform: identity, where it is, how to authenticate, what it can do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Unique in its account; `[A-Za-z0-9][A-Za-z0-9_-]{0,63}`. Clients send it as `connectorId`.
    pub id: String,
    /// Display name, for people and models.
    pub name: String,
    /// One or two sentences: what the platform is and what this connector can do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// For example `communication`, `crm`, `productivity`, `marketing`, `storage`, `content-management`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// What people call the platform's own nouns, for the search alone: `channel = "room, group"` holds for every action that has the
    /// noun in its name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub synonyms: IndexMap<String, String>,
    /// The vendor's API reference, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// `https://api.example.com/v1` without a trailing slash. `{variable}` is replaced from `variables`.
    pub base_url: String,
    /// Values of an account of the platform that stand in `base_url`, in `headers` or in a scheme's `send`: a subdomain, a tenant.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub variables: IndexMap<String, Variable>,
    /// Headers sent with every request, such as a required version. `{variable}` is replaced.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, String>,
    /// Header that takes a key, random for each call, by which the platform knows a repeated write: Stripe's `Idempotency-Key`.
    /// Sent with POST, PUT and PATCH, except by reads; those writes are then sent again when the platform fails or asks to wait. Only where
    /// the platform takes it with all of them: else an action has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_header: Option<String>,
    /// Ways to authenticate, in order of preference, one of each type. Empty: the platform needs no credential.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auth: Vec<AuthScheme>,
    /// Whether answers of read actions may be kept for a short time.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub cache: bool,
    /// An answer with a success status that means failure, such as Slack's `ok: false`. GraphQL's `errors` need no rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What the platform's errors mean and what to do about them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<Errors>,
    /// How often the platform may be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// What the actions were held against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<Vendor>,
    /// By action id (the provider's own operation id), in the order in which a model should see them.
    pub actions: IndexMap<String, Action>,
}

/// A value that belongs to the user's account on the platform. It is entered with the credential and stored beside it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// What it is and where a person finds it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What it may hold; decides what is accepted and how it is put into the URL.
    #[serde(default)]
    pub kind: VariableKind,
    /// Used when the credential does not give it. A variable without a default is required, unless it is optional.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Need not be given: a header that holds it is then left out (Stripe's `Stripe-Account`). Only for `headers`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,
    /// The only accepted values, when not empty.
    #[serde(default, rename = "enum", skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// An example for people and models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
}

/// What a variable may hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum VariableKind {
    /// One DNS label or path segment: `[A-Za-z0-9_-]{1,63}`, dots only between labels are not allowed.
    #[default]
    Label,
    /// A host name with an optional port: `matrix.example.org`, `localhost:8008`.
    Host,
    /// An http or https origin with an optional path, without query, fragment or user info: `https://matrix.example.org`.
    Url,
    /// Any visible ASCII text; only allowed in `headers` and `send`, and percent-encoded as one segment when it stands in the path of `base_url`.
    Text,
}

/// A success status that means failure, and where the reason is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// JSON pointer of the value that tells: `/ok`.
    pub pointer: String,
    /// The value that means failure: `false`. Absent: any value but null, false and what is empty (QuickBooks' `Fault`, Shopify's `userErrors`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<Value>,
    /// JSON pointer of the platform's reason: `/error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How the platform says what went wrong, and what that means for whoever called.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Errors {
    /// JSON pointers of the platform's own code in a failed answer, the most telling first: `/error/code`, `/error/type`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<String>,
    /// JSON pointer of the platform's own words. Absent: where platforms usually put them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// By code, else by HTTP status (`"403"`): what it means and what to do, in sentences.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub meanings: IndexMap<String, String>,
}

/// How often the platform may be called, as it says itself. A hint for models and for waiting; nothing is held back by it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// So many requests …
    pub requests: u32,
    /// … in so many seconds.
    pub seconds: u32,
    /// For whom it counts, and what else is to be known: `per token; searches 5 in a second`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// JSON pointer of the seconds to wait in a 429 without `Retry-After`: Telegram's `/parameters/retry_after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
    /// Header that says when calls are accepted again, in Unix seconds or milliseconds, in an answer without `Retry-After`: GitHub's `x-ratelimit-reset`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_header: Option<String>,
    /// A status beside 429 that means the limit where `remaining_header` is 0 or there is a `Retry-After`: GitHub's 403.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Header with the number of calls that are left: GitHub's `x-ratelimit-remaining`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining_header: Option<String>,
}

/// What a curated connector was held against; read by `cargo xtask connectors check`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Vendor {
    /// File names of the vendor's documents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<String>,
    /// For a vendor without a document: which reference was read, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<String>,
    /// Differences that are right in every action that has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<Difference>,
    /// What the platform does not offer, so that the connector lacks it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<Absent>,
}

/// Something that connectors should have and this one cannot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Absent {
    /// `paging` of a list, `scopes` of an action, `use` of a scope by the actions, `revoke_url`, `rate_limit`.
    pub what: String,
    /// The actions or scopes that it is about; none for the connector itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub of: Vec<String>,
    /// Why the platform, or the connector, does without.
    pub why: String,
}

/// A difference from the vendor's document that is right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// As the check names it: `query limit: type`. After `sent`, as the mock of the vendor names what is wrong with the sample:
    /// `sent query since: format`.
    pub what: String,
    /// Why the connector is right.
    pub why: String,
}

/// The JSON Schema of a `connector.toml`, in the draft that editors of TOML know.
#[cfg(feature = "schema")]
#[must_use]
pub fn json_schema() -> Value {
    schemars::generate::SchemaSettings::draft07().into_generator().into_root_schema_for::<Definition>().to_value()
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde wants")]
fn is_true(value: &bool) -> bool {
    *value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde wants")]
fn is_false(value: &bool) -> bool {
    !*value
}
