//! The flags that say what a server is, and the body that they make.

use std::str::FromStr;

use clap::{Args, builder::PossibleValuesParser};
use serde_json::{Map, Value, json};

use crate::cli::{
    failure::Result,
    input::{entries, object},
    screen::plain,
};

/// What may be said about a server on its creation and later.
#[derive(Args)]
pub struct ServerSettings {
    /// For people
    #[arg(long)]
    description: Option<String>,
    /// What assistants are told
    #[arg(long)]
    instructions: Option<String>,
    /// Only these connectors; '' allows none
    #[arg(long, value_name = "IDS", value_delimiter = ',', conflicts_with = "block_connectors")]
    allow_connectors: Option<Vec<String>>,
    /// All connectors but these
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    block_connectors: Option<Vec<String>>,
    /// Only these actions: `id`, `connector/id`, or either with a trailing `*`. Replaces the rule for actions that there was
    #[arg(long, value_name = "IDS", value_delimiter = ',', conflicts_with = "block_actions")]
    allow_actions: Option<Vec<String>>,
    /// All actions but these. Replaces the rule for actions that there was
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    block_actions: Option<Vec<String>>,
    /// Only these users (those with a comma or outer spaces: --restrictions)
    #[arg(long, value_name = "IDS", value_delimiter = ',', conflicts_with = "block_users")]
    allow_users: Option<Vec<String>>,
    /// All users but these
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    block_users: Option<Vec<String>>,
    /// All restrictions at once, as JSON, a file with it, or `-`; '{}' lifts them
    #[arg(long, value_name = "JSON|FILE", conflicts_with_all =
        ["allow_connectors", "block_connectors", "allow_actions", "block_actions", "allow_users", "block_users"])]
    restrictions: Option<String>,
    /// `dynamic`: eight tools that find and run actions; `direct`: every action of --connectors is a tool
    #[arg(long, value_parser = PossibleValuesParser::new(["dynamic", "direct"]))]
    exposure: Option<String>,
    /// With --exposure direct: the connectors whose actions become tools
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    connectors: Option<Vec<String>>,
    /// When a direct tool's name starts with its connector's id
    #[arg(long, value_parser = PossibleValuesParser::new(["never", "conflict", "always"]))]
    tool_prefix: Option<String>,
    /// Who may choose the user on the access URL: the x-alloy-userid header, a signed user token only, or nobody
    #[arg(long, value_parser = PossibleValuesParser::new(["header", "jwt", "none"]))]
    user_override: Option<String>,
    /// Requests a minute for each caller and user, or `default`
    #[arg(long, value_name = "N")]
    rate_limit: Option<RateLimit>,
    /// The budget of tokens of each answer over MCP: 500 to 1,000,000
    #[arg(long, value_name = "N")]
    max_tokens: Option<u32>,
    /// Other users of the account may use the server with their own keys
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    public: Option<bool>,
}

impl ServerSettings {
    /// The body of POST and PUT, without name, restrictions and token.
    pub fn body(&self) -> Result<Map<String, Value>> {
        let mut body = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(name.to_owned(), value);
            }
        };
        put("description", self.description.clone().map(Value::from));
        put("customInstructions", self.instructions.clone().map(Value::from));
        put("exposure", self.exposure.clone().map(Value::from));
        put("connectors", self.connectors.as_deref().map(|list| entries(list).into()));
        put("toolPrefix", self.tool_prefix.clone().map(Value::from));
        put("userOverride", self.user_override.clone().map(Value::from));
        put("rateLimitPerMinute", self.rate_limit.map(|RateLimit(limit)| limit.into()));
        put("maxTokens", self.max_tokens.map(Value::from));
        put("isPublic", self.public.map(Value::from));
        Ok(body)
    }

    /// The restrictions: what was known, with those parts replaced that the flags speak of. None where they speak of none.
    pub fn restrictions(&self, known: &Value) -> Result<Option<Value>> {
        if let Some(source) = &self.restrictions {
            return object("--restrictions", source).map(|object| Some(object.into()));
        }
        let parts = [
            ("connectors", "Ids", &self.allow_connectors, &self.block_connectors),
            ("actions", "Actions", &self.allow_actions, &self.block_actions),
            ("users", "Ids", &self.allow_users, &self.block_users),
        ];
        let mut restrictions = known.as_object().cloned().unwrap_or_default();
        let mut changed = false;
        for (part, suffix, allow, block) in parts {
            let rule = match (allow, block) {
                (Some(list), _) => json!({ "mode": "allowlist", (format!("allowed{suffix}")): entries(list) }),
                (None, Some(list)) => json!({ "mode": "blocklist", (format!("blocked{suffix}")): entries(list) }),
                (None, None) => continue,
            };
            restrictions.insert(part.to_owned(), rule);
            changed = true;
        }
        Ok(changed.then(|| restrictions.into()))
    }
}

/// `only the connectors slack, github`, one sentence for each part.
pub fn restrictions_in_words(restrictions: &Value) -> Vec<String> {
    let Some(parts) = restrictions.as_object() else { return Vec::new() };
    let sentence = |(part, rule): (&String, &Value)| {
        let allow = rule.get("mode").and_then(Value::as_str) == Some("allowlist");
        let names = if allow { ["allowedIds", "allowedActions"] } else { ["blockedIds", "blockedActions"] };
        let list = names.iter().find_map(|name| rule.get(name)?.as_array()).map_or(&[][..], Vec::as_slice);
        let entries = list.iter().map(plain).collect::<Vec<_>>().join(", ");
        match (allow, list.is_empty()) {
            (true, true) => Some(format!("no {part} at all")),
            (true, false) => Some(format!("only the {part} {entries}")),
            (false, true) => None,
            (false, false) => Some(format!("not the {part} {entries}")),
        }
    };
    parts.iter().filter_map(sentence).collect()
}

/// Days until something ends; `never` is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days(pub Option<i64>);

impl FromStr for Days {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        number_or(text, "never").map(Self).ok_or("give a number of days, or `never`")
    }
}

/// Requests a minute; `default` is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit(Option<i64>);

impl FromStr for RateLimit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        number_or(text, "default").map(Self).ok_or("give a number of requests, or `default`")
    }
}

/// The outer `None` is a text that is neither.
fn number_or(text: &str, word: &str) -> Option<Option<i64>> {
    if text == word { Some(None) } else { text.parse().ok().map(Some) }
}
