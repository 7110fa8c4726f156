//! What an upstream MCP server offers, member for member as it said it; and the connector that its tools make.

use amalgam_connector::{
    Connector,
    definition::{Action, Definition, Effect, Method, Parameter, Place},
};
use amalgam_protocol::{
    param_header::{ParamHeader, param_headers},
    splice::Object,
    strict,
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

/// Longest name of a tool that we take, in bytes. The protocol's own limit is 128 characters.
const MAX_NAME: usize = 200;

/// The answers of an upstream's lists, in the upstream's own words.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Lists {
    /// The newest era that it speaks: `modern` or `legacy`.
    pub era: String,
    /// Its `ServerCapabilities`.
    pub capabilities: Option<Box<RawValue>>,
    /// Its `serverInfo`.
    pub server_info: Option<Box<RawValue>>,
    /// What it wants assistants to know.
    pub instructions: Option<String>,
    /// `tools/list`.
    pub tools: Vec<Box<RawValue>>,
    /// `resources/list`.
    pub resources: Vec<Box<RawValue>>,
    /// `resources/templates/list`.
    pub templates: Vec<Box<RawValue>>,
    /// `prompts/list`.
    pub prompts: Vec<Box<RawValue>>,
    /// `skills/list` (SEP-2640).
    pub skills: Vec<Box<RawValue>>,
}

/// A tool as the upstream describes it.
pub struct Tool {
    /// Its whole description.
    pub raw: String,
    /// The arguments that headers repeat (SEP-2243).
    pub headers: Vec<ParamHeader>,
    /// The schema of its arguments.
    pub schema: Value,
}

/// Something with a name or an address, and its whole description.
pub struct Item {
    /// `name`, `uri` or `uriTemplate`.
    pub key: String,
    /// Its whole description.
    pub raw: String,
}

/// What an upstream offers, ready for use.
#[derive(Default)]
pub struct Offering {
    /// Its capabilities, parsed.
    pub capabilities: Value,
    /// By name, in its order.
    pub tools: IndexMap<String, Tool>,
    /// By `uri`.
    pub resources: Vec<Item>,
    /// By `uriTemplate`.
    pub templates: Vec<Item>,
    /// By `name`.
    pub prompts: Vec<Item>,
    /// By `uri`.
    pub skills: Vec<Item>,
}

/// How a connector of an upstream is called and described.
pub struct About<'a> {
    /// The connector's id.
    pub slug: &'a str,
    /// For people.
    pub name: &'a str,
    /// Where it is.
    pub url: &'a str,
}

impl Offering {
    /// Compiles lists. What cannot be read is left out: it must not hide the rest.
    pub fn compile(about: &About<'_>, lists: &Lists) -> (Connector, Self) {
        let parse = |raw: &Option<Box<RawValue>>| raw.as_ref().and_then(|raw| strict::parse(raw.get(), strict::MAX_DEPTH).ok());
        let mut tools = IndexMap::with_capacity(lists.tools.len());
        let mut actions = Vec::with_capacity(lists.tools.len());
        for raw in &lists.tools {
            match tool(raw.get()) {
                Some((name, _, _)) if tools.contains_key(&name) => {
                    tracing::warn!(
                        connector = about.slug,
                        tool = name,
                        "the upstream offers two tools of this name; the second is left out"
                    );
                }
                Some((name, tool, action)) => {
                    actions.push((name.clone(), action, tool.schema.clone()));
                    tools.insert(name, tool);
                }
                None => tracing::warn!(connector = about.slug, "a tool of the upstream cannot be read and is left out"),
            }
        }
        let offering = Self {
            capabilities: parse(&lists.capabilities).unwrap_or_default(),
            tools,
            resources: items(&lists.resources, "uri"),
            templates: items(&lists.templates, "uriTemplate"),
            prompts: items(&lists.prompts, "name"),
            skills: items(&lists.skills, "uri"),
        };
        let description = lists.instructions.as_deref().map(|text| text.chars().take(500).collect()).unwrap_or_default();
        let definition = Definition {
            id: about.slug.to_owned(),
            name: about.name.to_owned(),
            description,
            categories: vec!["mcp".to_owned()],
            synonyms: IndexMap::new(),
            docs: None,
            base_url: about.url.to_owned(),
            variables: IndexMap::new(),
            headers: IndexMap::new(),
            idempotency_header: None,
            auth: Vec::new(),
            cache: false,
            failure: None,
            errors: None,
            rate_limit: None,
            vendor: None,
            actions: IndexMap::new(),
        };
        (Connector::of_tools(definition, actions), offering)
    }

    /// Whether the upstream says that it has this, such as `logging` or `resources/subscribe`.
    pub fn has(&self, pointer: &str) -> bool {
        match self.capabilities.pointer(&format!("/{pointer}")) {
            None | Some(Value::Null | Value::Bool(false)) => false,
            Some(_) => true,
        }
    }
}

fn items(raw: &[Box<RawValue>], key: &str) -> Vec<Item> {
    let read = |raw: &RawValue| {
        let key = Object::parse(raw.get()).ok()?.text(key)?.into_owned();
        Some(Item { key, raw: raw.get().to_owned() })
    };
    raw.iter().filter_map(|raw| read(raw)).collect()
}

/// A tool with its name and the action that it is in lists, search and restrictions.
fn tool(raw: &str) -> Option<(String, Tool, Action)> {
    let value = strict::parse(raw, strict::MAX_DEPTH).ok()?;
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let name = text("/name").filter(|name| !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control))?;
    let schema = value.get("inputSchema").filter(|schema| schema.is_object())?.clone();
    // A client must not offer a tool whose annotations are invalid (SEP-2243).
    let headers = param_headers(&schema).ok()?;
    let hint = |name: &str| value.pointer(&format!("/annotations/{name}")).and_then(Value::as_bool);
    let effect = match (hint("readOnlyHint"), hint("destructiveHint")) {
        (Some(true), _) => Effect::Read,
        (_, Some(true)) => Effect::Destructive,
        _ => Effect::Write,
    };
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let params = schema["properties"].as_object().into_iter().flatten().map(|(name, property)| {
        let description = property["description"].as_str().unwrap_or_default().to_owned();
        let parameter = Parameter {
            place: Place::Body,
            wire: None,
            required: required.contains(&name.as_str()),
            description,
            kind: None,
            choices: Vec::new(),
            default: None,
            schema: Some(property.clone()),
            style: None,
            whole: false,
        };
        (name.clone(), parameter)
    });
    let action = Action {
        name: text("/title").or_else(|| text("/annotations/title")).unwrap_or_default(),
        description: text("/description").unwrap_or_default(),
        resource: "tools".to_owned(),
        keywords: String::new(),
        method: Method::Post,
        path: "/tools/call".to_owned(),
        effect: Some(effect),
        graphql: None,
        body: None,
        auth: false,
        scopes: Vec::new(),
        deprecated: false,
        cache: false,
        params: params.collect(),
        failure: None,
        idempotency_header: None,
        rate_limit: None,
        response: None,
        pagination: None,
        sample: None,
        differs: Vec::new(),
    };
    Some((name, Tool { raw: raw.to_owned(), headers, schema }, action))
}
