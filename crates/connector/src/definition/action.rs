//! Actions, their parameters, and what of their answers matters, as data.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Definition, Difference, Failure, RateLimit, is_false, is_true, yes};

/// One operation of a platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// Further words under which people look for it, for the search alone: what they call its object, its verb or its result.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub keywords: String,
    /// The HTTP method.
    pub method: Method,
    /// Path template under `base_url`, with a leading slash: `/rooms/{roomId}/messages`. May hold a fixed query string.
    pub path: String,
    /// What it does to the platform's data. Absent: by method (GET and HEAD read, DELETE destroys, the rest writes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// A GraphQL document. The body parameters become its `variables`; `method` is POST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graphql: Option<String>,
    /// How the body is sent. Absent and body parameters present: JSON. `json` without body parameters sends `{}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyKind>,
    /// False: no credential is sent (a login, a public search).
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub auth: bool,
    /// OAuth scopes, one of which is enough, the least powerful first. An entry may be several that are needed together, with spaces between.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// The platform will remove it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deprecated: bool,
    /// False: answers are never kept. Only reads are.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub cache: bool,
    /// By the name a model uses; unique over all places.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub params: IndexMap<String, Parameter>,
    /// An answer with a success status that means failure, beside the connector's rule: Shopify's `userErrors`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// How often it may be called, where that is not the connector's `rate_limit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Header that takes a key of each call, where only some of the platform's actions take one: Zendesk's `Idempotency-Key`. As the
    /// connector's `idempotency_header`, which goes for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_header: Option<String>,
    /// What of the answer matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
    /// How further pages are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
    /// Arguments that would work, as the model would send them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Value>,
    /// Where it differs from the vendor's document and is right.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<Difference>,
}

/// HTTP methods that actions use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Where it goes.
    #[serde(rename = "in")]
    pub place: Place,
    /// Its name on the wire, where that differs from the name a model uses. In a JSON body that begins with `/` a JSON pointer into the
    /// body: `/data/name` (Asana), so that arguments stand flat whatever is wrapped around them.
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// JSON pointer of the part that is given back instead of the whole. Absent: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select: Option<String>,
    /// JSON pointer (after `select`) of the list that is counted and cut. Absent: the answer itself if it is an array, else its longest array member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<String>,
    /// Members that a model gets first, of each item when there are `items`: `id`, `owner.login`. It asks for others by `fields`,
    /// for everything by `raw`. Absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// JSON Schema of the whole answer, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
}

/// How further pages are asked for: which argument takes which part of the answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Pagination {
    /// What the argument takes, and where the next one comes from.
    #[serde(default, skip_serializing_if = "Paging::is_cursor")]
    pub kind: Paging,
    /// The argument that takes the cursor, page number or offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// JSON pointer of the next cursor (`cursor`) or of the next page's URL (`url`) in the whole answer, or of the cursor in the last item (`last`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// JSON pointer of a value that is false, null, empty or absent on the last page: `/has_more`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<String>,
    /// JSON pointer of a value that is true on the last page: ClickUp's `/last_page`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// The argument that takes the page size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// Number of the first page (`page`). Absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
}

/// Where the next cursor comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Paging {
    /// It stands in the answer, at `next` (Slack, Notion).
    #[default]
    Cursor,
    /// It is a query parameter of the URL at `next` (Klaviyo, Microsoft Graph).
    Url,
    /// It is a query parameter of the URL in the header `Link` with `rel="next"` (GitHub, Sentry).
    Link,
    /// It stands in the last item of the list, at `next` (Stripe).
    Last,
    /// The number of the page, counted up (Freshdesk).
    Page,
    /// The number of items before the page (Jira, PagerDuty).
    Offset,
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

impl Paging {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde wants")]
    fn is_cursor(&self) -> bool {
        *self == Self::Cursor
    }
}

impl Action {
    /// The header by which the platform knows this action when it comes again: its own, else the connector's with POST, PUT and PATCH that write.
    #[must_use]
    pub fn idempotency_header<'a>(&'a self, definition: &'a Definition) -> Option<&'a str> {
        let writes = self.effect() != Effect::Read;
        let usual =
            || definition.idempotency_header.as_deref().filter(|_| matches!(self.method, Method::Post | Method::Put | Method::Patch));
        self.idempotency_header.as_deref().or_else(usual).filter(|_| writes)
    }

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
