//! The definition of a connector: a platform described as data.
//!
//! One type serves all sources. A curated connector is a `connectors/<id>/connector.toml`; an imported OpenAPI document
//! becomes the same type, stored as JSON. Nothing here is executable: the engine (`plan`, `shape`) interprets it.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A platform: identity, where it is, how to authenticate, what it can do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// The vendor's API reference, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs: Option<String>,
    /// `https://api.example.com/v1` without a trailing slash. `{variable}` is replaced from `variables`.
    pub base_url: String,
    /// Values of an account of the platform that stand in `base_url` or in `headers`: a subdomain, a region, a homeserver.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub variables: IndexMap<String, Variable>,
    /// Headers sent with every request, such as a required version. `{variable}` is replaced.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, String>,
    /// Ways to authenticate, in order of preference. Empty: the platform needs no credential.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auth: Vec<AuthScheme>,
    /// Whether answers of read actions may be kept for a short time.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub cache: bool,
    /// An answer with a success status that means failure, such as Slack's `ok: false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// By action id (the provider's own operation id), in the order in which a model should see them.
    pub actions: IndexMap<String, Action>,
}

/// A value that belongs to the user's account on the platform. It is entered with the credential and stored beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// What it is and where a person finds it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What it may hold; decides what is accepted and how it is put into the URL.
    #[serde(default)]
    pub kind: VariableKind,
    /// Used when the credential does not give it. A variable without a default is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// The only accepted values, when not empty.
    #[serde(default, rename = "enum", skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// An example for people and models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
}

/// What a variable may hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VariableKind {
    /// One DNS label or path segment: `[A-Za-z0-9_-]{1,63}`, dots only between labels are not allowed.
    #[default]
    Label,
    /// A host name with an optional port: `matrix.example.org`, `localhost:8008`.
    Host,
    /// An http or https origin with an optional path, without query, fragment or user info: `https://matrix.example.org`.
    Url,
    /// Any visible ASCII text; only allowed in `headers`, and percent-encoded as one segment when it stands in the path of `base_url`.
    Text,
}

/// One way to authenticate. `fields` are what a person enters; `send` is where they go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthScheme {
    /// The `authenticationType` of the API.
    #[serde(rename = "type")]
    pub kind: AuthKind,
    /// What kind of secret it is and where a person gets it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Descriptions of the fields, by name. Absent ones are added by kind: `apiKey`, `token`, `username` and `password`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub fields: IndexMap<String, Field>,
    /// Where the fields go. Empty: by kind (`bearer`: `Authorization: Bearer {token}`; `basic`: RFC 7617; `apiKey`: required).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub send: Vec<Placement>,
    /// Only for `oauth2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<OAuth2>,
}

/// The `authenticationType` literals of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AuthKind {
    /// OAuth 2.0 authorization code.
    #[serde(rename = "oauth2")]
    OAuth2,
    /// A key in a header, the query, or several of them.
    #[serde(rename = "apiKey")]
    ApiKey,
    /// `Authorization: Bearer`.
    #[serde(rename = "bearer")]
    Bearer,
    /// `Authorization: Basic`.
    #[serde(rename = "basic")]
    Basic,
}

/// One field that a person enters for a credential.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// What it is and where a person finds it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Not required when true.
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,
    /// The shape of a real value, never a real one: `xoxb-…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
}

/// Where one field of a credential goes in a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Name of the field.
    pub field: String,
    /// Header or query.
    #[serde(rename = "in")]
    pub place: SecretPlace,
    /// Name of the header or of the query parameter.
    pub name: String,
    /// Text before the value, its space included: `Bot `, `Klaviyo-API-Key `.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
}

/// Where a secret may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretPlace {
    /// A request header.
    Header,
    /// A query parameter.
    Query,
}

/// What the authorization code flow needs to know of a platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth2 {
    /// Where the user consents.
    pub authorize_url: String,
    /// Where codes and refresh tokens are exchanged.
    pub token_url: String,
    /// Scopes asked for by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

/// A success status that means failure, and where the reason is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// JSON pointer of the value that tells: `/ok`.
    pub pointer: String,
    /// The value that means failure: `false`.
    pub equals: Value,
    /// JSON pointer of the platform's reason: `/error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// One operation of a platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// Display name: `Post a message`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What it does, what comes back, what a model should know before calling it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The group it is listed under: `messages`, `channels`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resource: String,
    /// The HTTP method.
    pub method: Method,
    /// Path template under `base_url`, with a leading slash: `/rooms/{roomId}/messages`. May hold a fixed query string.
    pub path: String,
    /// What it does to the platform's data. Absent: by method (GET and HEAD read, DELETE destroys, the rest writes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// How the body is sent. Absent and body parameters present: JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyKind>,
    /// False: no credential is sent (a login, a public search).
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub auth: bool,
    /// The platform will remove it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deprecated: bool,
    /// False: answers are never kept. Only reads are.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub cache: bool,
    /// By the name a model uses; unique over all places.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub params: IndexMap<String, Parameter>,
    /// What of the answer matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
    /// How further pages are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
    /// Arguments that would work, as the model would send them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Value>,
}

/// HTTP methods that actions use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

/// What an action does to the platform's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// Creates or changes.
    Write,
    /// Deletes, or cannot be undone.
    Destructive,
}

/// How a body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyKind {
    /// `application/json`.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data`. A file is an object `{filename?, contentType?, data: <base64>}` or a plain string.
    Multipart,
    /// `text/plain`: the one body parameter as it is.
    Text,
    /// Any other content type: the one body parameter is an object `{contentType?, data: <base64>}`.
    Binary,
}

/// One argument of an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Where it goes.
    #[serde(rename = "in")]
    pub place: Place,
    /// Its name on the wire, where that differs from the name a model uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire: Option<String>,
    /// Path parameters always are.
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
    /// What it means, for a model.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Short form of `schema = { type = "…" }`: `string`, `integer`, `number`, `boolean`, `object`, `array` (of strings).
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Short form of `schema.enum`.
    #[serde(default, rename = "enum", skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Value>,
    /// Sent when the model gives nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// JSON Schema 2020-12, closed (no references out of itself). Absent: from the short forms, else a string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// How an array or object is written in a query, form or header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style: Option<Style>,
    /// True for `in = "body"`: this parameter is the whole body (a top-level array, or a schema that is not a plain object).
    #[serde(default, skip_serializing_if = "is_false")]
    pub whole: bool,
}

/// Where an argument goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A segment (or part of one) of the path.
    Path,
    /// The query string.
    Query,
    /// A request header.
    Header,
    /// A member of the body.
    Body,
}

/// How an array or object is written where only text fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Style {
    /// `a=1&a=2` (OpenAPI `form`, `explode: true`); the default in a query and in a form.
    Repeat,
    /// `a=1,2` (`form`, `explode: false`; Swagger `csv`).
    Comma,
    /// `a=1 2` percent-encoded (`spaceDelimited`, `ssv`).
    Space,
    /// `a=1|2` (`pipeDelimited`, `pipes`).
    Pipe,
    /// `a[k]=v`, and `a[0][k]=v` inside arrays (`deepObject`; Stripe's forms).
    Deep,
    /// `a[]=1&a[]=2`.
    Brackets,
    /// The JSON text as one value (Slack's `blocks` in a form).
    Json,
}

/// What of an answer matters to a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// JSON pointer of the part that is given back instead of the whole. Absent: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select: Option<String>,
    /// JSON pointer (after `select`) of the list that is counted and cut. Absent: the answer itself if it is an array, else its longest array member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<String>,
    /// JSON Schema of the whole answer, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

/// How further pages are asked for: which argument takes which part of the answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pagination {
    /// The argument that takes the cursor, page number or offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// JSON pointer of the next cursor in the whole answer. Absent with `cursor` present: a page number or offset that the caller counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The argument that takes the page size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
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

impl Method {
    /// As on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}

impl AuthKind {
    /// The literal of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OAuth2 => "oauth2",
            Self::ApiKey => "apiKey",
            Self::Bearer => "bearer",
            Self::Basic => "basic",
        }
    }
}

impl Action {
    /// What it does to the platform's data, declared or by method.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.effect.unwrap_or(match self.method {
            Method::Get | Method::Head | Method::Options => Effect::Read,
            Method::Delete => Effect::Destructive,
            Method::Post | Method::Put | Method::Patch => Effect::Write,
        })
    }
}

impl Parameter {
    /// The schema a model sees for this argument, its description and default included.
    #[must_use]
    pub fn json_schema(&self) -> Value {
        let mut schema = match &self.schema {
            Some(Value::Object(map)) => map.clone(),
            Some(_) => serde_json::Map::new(),
            None => {
                let mut map = serde_json::Map::new();
                let kind = self.kind.as_deref().unwrap_or("string");
                map.insert("type".into(), kind.into());
                if kind == "array" {
                    map.insert("items".into(), serde_json::json!({"type": "string"}));
                }
                map
            }
        };
        if !self.choices.is_empty() {
            schema.insert("enum".into(), Value::Array(self.choices.clone()));
        }
        if !self.description.is_empty() {
            schema.insert("description".into(), self.description.clone().into());
        }
        if let Some(default) = &self.default {
            schema.insert("default".into(), default.clone());
        }
        Value::Object(schema)
    }
}
