//! How a server looks from outside, and what may be sent about one.

use amalgam_connector::closest;
use amalgam_policy::Restrictions;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    app::App,
    call::view::{MAX_TOKENS, MIN_TOKENS, is_budget},
    catalogue,
    clock::rfc3339,
    error::{Error, Result, unknown_among},
    request::present,
    store::{
        Scope,
        audit::shown,
        servers::{Exposure, Server, Settings, ToolPrefix, UserOverride},
        tokens::Revealed,
    },
};

/// A server, as answers show it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Server)]
pub struct ServerView {
    /// Slug of the name, `-`, 8 characters.
    #[schema(example = "production-server-a1b2c3d4")]
    server_id: String,
    name: String,
    description: String,
    /// What assistants are told.
    #[serde(skip_serializing_if = "String::is_empty")]
    custom_instructions: String,
    /// For callers with an API key.
    url: String,
    /// Works by itself: paste it into any MCP client. Absent where tokens are not kept or there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_url: Option<String>,
    /// Shown on creation and rotation only.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    /// When the token stops working; null = never.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_expires_at: Option<Option<String>>,
    #[schema(value_type = RestrictionsBody)]
    restrictions: Value,
    has_restrictions: bool,
    exposure: Exposure,
    connectors: Vec<String>,
    tool_prefix: ToolPrefix,
    user_override: UserOverride,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit_per_minute: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    is_public: bool,
    /// Always `connectivity`.
    mode: &'static str,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339.
    updated_at: String,
}

impl ServerView {
    /// Without anything about its token.
    pub fn new(app: &App, server: &Server) -> Self {
        Self {
            server_id: server.id.clone(),
            name: server.name.clone(),
            description: server.description.clone(),
            custom_instructions: server.instructions.clone(),
            url: format!("{}/mcp/{}", app.base_url, server.id),
            access_url: None,
            access_token: None,
            token_expires_at: None,
            restrictions: server.restrictions.to_wire(),
            has_restrictions: server.restrictions.is_active(),
            exposure: server.settings.exposure,
            connectors: server.settings.connectors.clone(),
            tool_prefix: server.settings.tool_prefix,
            user_override: server.settings.user_override,
            rate_limit_per_minute: server.settings.rate_limit_per_minute,
            max_tokens: server.settings.max_tokens,
            is_public: server.settings.is_public,
            mode: "connectivity",
            created_at: rfc3339(server.created_at),
            updated_at: rfc3339(server.updated_at),
        }
    }

    /// With `accessUrl`, where the token is kept.
    pub async fn with_access_url(app: &App, scope: &Scope, server: &Server) -> Result<Self> {
        Ok(Self::new(app, server).revealing(app.store.reveal_token(scope, server).await?))
    }

    /// With this token, if there is one.
    pub fn revealing(mut self, token: Option<Revealed>) -> Self {
        if let Some(Revealed { token, expires_at }) = token {
            self.access_url = Some(format!("{}/{}", self.url, token.expose()));
            self.token_expires_at = Some(expires_at.map(rfc3339));
        }
        self
    }

    /// With a token that has just been made.
    pub fn with_new_token(app: &App, server: &Server, token: &str, expires_at: Option<i64>) -> Self {
        let mut view = Self::new(app, server);
        view.access_url = Some(format!("{}/{token}", view.url));
        view.access_token = Some(token.to_owned());
        view.token_expires_at = Some(expires_at.map(rfc3339));
        view
    }
}

/// What may be sent to create or change a server. On a change, absent fields stay as they are. What only answers have is ignored, so that
/// an answer may be sent back.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerBody {
    /// 1 to 100 letters, digits, spaces, `-`, `_`; unique among your servers. Required on creation.
    #[schema(min_length = 1, max_length = 100)]
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// What assistants are told (`instructions` of MCP).
    #[serde(alias = "instructions")]
    pub custom_instructions: Option<String>,
    /// 1 to 365; absent = 90; null = never. Only on creation.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 365)]
    pub token_expires_in_days: Option<Option<i64>>,
    /// Replaced whole.
    #[schema(value_type = Option<RestrictionsBody>)]
    pub restrictions: Option<Value>,
    pub exposure: Option<Exposure>,
    /// With `direct`: the connectors whose actions become tools.
    pub connectors: Option<Vec<String>>,
    pub tool_prefix: Option<ToolPrefix>,
    pub user_override: Option<UserOverride>,
    /// Instead of the default of 100; null takes the default again.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>, minimum = 1)]
    pub rate_limit_per_minute: Option<Option<u32>>,
    /// Answers that a model reads have at most about so many tokens (3 bytes of JSON each); null lifts the budget.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>, minimum = 500, maximum = 1_000_000)]
    pub max_tokens: Option<Option<u32>>,
    /// Other users of your account may use the server with their own keys.
    pub is_public: Option<bool>,
    /// A misspelt `restrictions` must not make a server that restricts nothing.
    #[serde(flatten)]
    #[schema(ignore)]
    rest: Map<String, Value>,
}

/// What only answers have.
const ANSWERED: [&str; 9] =
    ["serverId", "url", "accessUrl", "accessToken", "tokenExpiresAt", "hasRestrictions", "mode", "createdAt", "updatedAt"];
/// What may be sent.
const SENT: [&str; 12] = [
    "name",
    "description",
    "customInstructions",
    "tokenExpiresInDays",
    "restrictions",
    "exposure",
    "connectors",
    "toolPrefix",
    "userOverride",
    "rateLimitPerMinute",
    "maxTokens",
    "isPublic",
];

/// Allow or block lists; all parts optional, combined by AND.
#[derive(utoipa::ToSchema)]
#[schema(as = ServerRestrictions)]
#[expect(dead_code, reason = "documents the shape that `amalgam_policy` parses")]
pub struct RestrictionsBody {
    connectors: Option<IdList>,
    actions: Option<ActionList>,
    users: Option<IdList>,
}

/// A list of ids; the one that fits `mode`.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the shape that `amalgam_policy` parses")]
pub struct IdList {
    mode: ListMode,
    allowed_ids: Option<Vec<String>>,
    blocked_ids: Option<Vec<String>>,
}

/// A list of actions: `id`, `connector/id`, or either with a trailing `*`.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents the shape that `amalgam_policy` parses")]
pub struct ActionList {
    mode: ListMode,
    allowed_actions: Option<Vec<String>>,
    blocked_actions: Option<Vec<String>>,
}

/// Which of the two lists counts.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "documents the shape that `amalgam_policy` parses")]
pub enum ListMode {
    Allowlist,
    Blocklist,
}

const MAX_TEXT: usize = 100_000;

impl ServerBody {
    /// Puts the sent fields into a server.
    pub fn apply(self, server: &mut Server) -> Result<()> {
        if let Some(unknown) = self.rest.keys().find(|name| !ANSWERED.contains(&name.as_str())) {
            return Err(Error::invalid(unknown, format!("Invalid payload: `{}` {}.", shown(unknown), unknown_among(unknown, &SENT))));
        }
        if let Some(name) = self.name {
            check_name(&name)?;
            server.name = name;
        }
        if let Some(description) = self.description {
            check_text("description", &description)?;
            server.description = description;
        }
        if let Some(instructions) = self.custom_instructions {
            check_text("customInstructions", &instructions)?;
            server.instructions = instructions;
        }
        if let Some(wire) = self.restrictions {
            server.restrictions = Restrictions::parse(&wire).map_err(|e| Error::invalid(&e.field, e.message))?;
        }
        let settings: &mut Settings = &mut server.settings;
        settings.exposure = self.exposure.unwrap_or(settings.exposure);
        settings.tool_prefix = self.tool_prefix.unwrap_or(settings.tool_prefix);
        settings.user_override = self.user_override.unwrap_or(settings.user_override);
        settings.is_public = self.is_public.unwrap_or(settings.is_public);
        if let Some(limit) = self.rate_limit_per_minute {
            if limit == Some(0) {
                return Err(Error::invalid("rateLimitPerMinute", "`rateLimitPerMinute` must be at least 1, or null for the default."));
            }
            settings.rate_limit_per_minute = limit;
        }
        if let Some(tokens) = self.max_tokens {
            if tokens.is_some_and(|tokens| !is_budget(tokens)) {
                let sentence = format!("`maxTokens` must be a whole number from {MIN_TOKENS} to {MAX_TOKENS}, or null for no budget.");
                return Err(Error::invalid("maxTokens", sentence));
            }
            settings.max_tokens = tokens;
        }
        if let Some(connectors) = self.connectors {
            if connectors.iter().any(|id| id.is_empty() || id.len() > 64) {
                return Err(Error::invalid("connectors", "`connectors` holds ids of connectors: 1 to 64 characters each."));
            }
            if connectors.len() > 1_000 {
                return Err(Error::invalid("connectors", "`connectors` may name at most 1,000 connectors."));
            }
            settings.connectors = connectors;
        }
        Ok(())
    }
}

/// Refuses ids in `connectors` that are new there and name no connector: a server that exposes less than was meant says nothing of it.
pub async fn judge_connectors(app: &App, scope: &Scope, known: &[String], server: &Server) -> Result<()> {
    let named = &server.settings.connectors;
    if named.iter().all(|id| known.contains(id)) {
        return Ok(());
    }
    let connectors = catalogue::visible(&app.store, scope, None).await?;
    for (at, id) in named.iter().enumerate().filter(|(_, id)| !known.contains(id)) {
        if !connectors.iter().any(|loaded| loaded.id() == id) {
            let meant = closest(id, connectors.iter().map(|loaded| loaded.id())).map(|id| format!(" Did you mean \"{id}\"?"));
            let field = format!("connectors[{at}]");
            let sentence = format!(
                "`{field}` is \"{}\", which names no connector of yours; GET /connectors lists them.{}",
                shown(id),
                meant.unwrap_or_default()
            );
            return Err(Error::invalid(&field, sentence));
        }
    }
    Ok(())
}

/// Refuses `slack*` among actions, where `slack` is a connector: it names actions that begin so, and whoever writes it means `slack/*`.
pub async fn judge_prefixes(app: &App, scope: &Scope, server: &Server) -> Result<()> {
    let prefixes = bare_prefixes(server);
    if prefixes.is_empty() {
        return Ok(());
    }
    let connectors = catalogue::visible(&app.store, scope, None).await?;
    for (field, prefix) in prefixes {
        if connectors.iter().any(|loaded| loaded.id() == prefix) {
            let sentence = format!(
                "{field} is \"{prefix}*\", which names actions that begin so: write \"{prefix}/*\" for all actions of the connector."
            );
            return Err(Error::invalid(&field, sentence));
        }
    }
    Ok(())
}

/// Entries such as `list*` among actions: the field, and what stands before the star.
fn bare_prefixes(server: &Server) -> Vec<(String, String)> {
    let wire = server.restrictions.to_wire();
    let mut prefixes = Vec::new();
    for list in ["allowedActions", "blockedActions"] {
        for (at, entry) in wire["actions"][list].as_array().into_iter().flatten().enumerate() {
            if let Some(prefix) = entry.as_str().and_then(|entry| entry.strip_suffix('*')).filter(|prefix| !prefix.contains('/')) {
                prefixes.push((format!("restrictions.actions.{list}[{at}]"), prefix.to_owned()));
            }
        }
    }
    prefixes
}

/// The rules for names; the sentence says which one was broken.
fn check_name(name: &str) -> Result<()> {
    let length = name.chars().count();
    let wrong = |why: String| Err(Error::invalid("name", why));
    if name.trim().is_empty() {
        return wrong("`name` must have 1 to 100 characters and not only white space.".to_owned());
    }
    if length > 100 {
        return wrong(format!("`name` must have 1 to 100 characters; this one has {length}."));
    }
    if name.trim() != name {
        return wrong("`name` must not start or end with white space.".to_owned());
    }
    if let Some(other) = name.chars().find(|c| !c.is_alphanumeric() && !matches!(c, ' ' | '-' | '_')) {
        return wrong(format!("`name` may hold letters, digits, spaces, `-` and `_`; {other:?} is none of them."));
    }
    Ok(())
}

fn check_text(field: &str, text: &str) -> Result<()> {
    if text.len() > MAX_TEXT {
        return Err(Error::invalid(field, format!("`{field}` may have at most {MAX_TEXT} bytes; this one has {}.", text.len())));
    }
    Ok(())
}
