//! `subscriptions/listen`: what a client asks to hear, what we agree to, and the messages of that stream.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::escape::write_string;
use crate::fault::Fault;
use crate::params::Params;
use crate::present::Offer;
use crate::respond::{ResultWriter, notification};
use crate::revision::Era;
use crate::strict::{self, MAX_DEPTH};

/// How many resources one stream may watch.
pub const MAX_RESOURCES: usize = 1000;

/// The `_meta` key that ties a message to its stream; the value is the id of the `subscriptions/listen` request.
pub const SUBSCRIPTION_ID_KEY: &str = "io.modelcontextprotocol/subscriptionId";

/// Which changes a stream carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The list of tools.
    pub tools_list_changed: bool,
    /// The list of prompts.
    pub prompts_list_changed: bool,
    /// The list of resources.
    pub resources_list_changed: bool,
    /// The contents of these resources, by URI.
    pub resource_subscriptions: Vec<String>,
}

/// Something that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The list of tools.
    Tools,
    /// The list of prompts.
    Prompts,
    /// The list of resources.
    Resources,
    /// The resource with this URI.
    Resource(String),
}

impl Change {
    /// The method of the notification that announces the change, in both eras.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Tools => "notifications/tools/list_changed",
            Self::Prompts => "notifications/prompts/list_changed",
            Self::Resources => "notifications/resources/list_changed",
            Self::Resource(_) => "notifications/resources/updated",
        }
    }

    /// The notification on a legacy session's stream.
    #[must_use]
    pub fn legacy_message(&self) -> Vec<u8> {
        notification(self.method(), &self.params(None))
    }

    /// The notification on the stream that the request `id` opened.
    #[must_use]
    pub fn message(&self, id: &RawValue) -> Vec<u8> {
        notification(self.method(), &self.params(Some(id)))
    }

    fn params(&self, id: Option<&RawValue>) -> Vec<u8> {
        let mut out = b"{".to_vec();
        if let Self::Resource(uri) = self {
            out.extend_from_slice(b"\"uri\":");
            write_string(&mut out, uri);
            if id.is_some() {
                out.push(b',');
            }
        }
        if let Some(id) = id {
            write_tag(&mut out, id);
        }
        out.push(b'}');
        out
    }
}

impl Filter {
    /// Reads `params.notifications`.
    ///
    /// # Errors
    /// -32602, naming the member: missing or not an object, a flag that is not a boolean, URIs that are not strings or more than
    /// [`MAX_RESOURCES`]. Members that we do not know are ignored, as what we do not acknowledge is not promised.
    pub fn parse(params: Option<&Params<'_>>) -> Result<Self, Fault> {
        let raw = params.map_or("{}", |params| params.raw.get());
        let value = strict::parse(raw, MAX_DEPTH).map_err(|error| Fault::invalid_params(error.to_string()))?;
        let Some(Value::Object(asked)) = value.get("notifications") else {
            return Err(Fault::invalid_params("The member \"notifications\" must be an object that names what to listen to."));
        };
        Ok(Self {
            tools_list_changed: flag(asked, "toolsListChanged")?,
            prompts_list_changed: flag(asked, "promptsListChanged")?,
            resources_list_changed: flag(asked, "resourcesListChanged")?,
            resource_subscriptions: uris(asked)?,
        })
    }

    /// What of it the server can keep.
    #[must_use]
    pub fn granted(self, offer: &Offer) -> Self {
        let lists = offer.list_changed;
        Self {
            tools_list_changed: self.tools_list_changed && lists && offer.tools,
            prompts_list_changed: self.prompts_list_changed && lists && offer.prompts,
            resources_list_changed: self.resources_list_changed && lists && offer.resources,
            resource_subscriptions: if offer.subscribe && offer.resources { self.resource_subscriptions } else { Vec::new() },
        }
    }

    /// Whether a change belongs on the stream.
    #[must_use]
    pub fn wants(&self, change: &Change) -> bool {
        match change {
            Change::Tools => self.tools_list_changed,
            Change::Prompts => self.prompts_list_changed,
            Change::Resources => self.resources_list_changed,
            Change::Resource(uri) => self.resource_subscriptions.iter().any(|wanted| wanted == uri),
        }
    }

    /// The first message of the stream: what was agreed to. What was not is absent.
    #[must_use]
    pub fn acknowledged(&self, id: &RawValue) -> Vec<u8> {
        let flags = [
            ("toolsListChanged", self.tools_list_changed),
            ("promptsListChanged", self.prompts_list_changed),
            ("resourcesListChanged", self.resources_list_changed),
        ];
        let mut agreed: Map<String, Value> =
            flags.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| (name.to_owned(), Value::Bool(true))).collect();
        if !self.resource_subscriptions.is_empty() {
            agreed.insert("resourceSubscriptions".to_owned(), self.resource_subscriptions.clone().into());
        }
        let mut params = b"{\"notifications\":".to_vec();
        params.extend_from_slice(Value::Object(agreed).to_string().as_bytes());
        params.push(b',');
        write_tag(&mut params, id);
        params.push(b'}');
        notification("notifications/subscriptions/acknowledged", &params)
    }
}

/// The response that ends a stream in good order. `server_info` is JSON.
#[must_use]
pub fn ended(id: &RawValue, server_info: &[u8]) -> Vec<u8> {
    ResultWriter::new(Era::Modern, id).finish_with_meta(server_info, &[(SUBSCRIPTION_ID_KEY, id.get().as_bytes())])
}

/// `"_meta":{…}` with the stream's id.
fn write_tag(out: &mut Vec<u8>, id: &RawValue) {
    out.extend_from_slice(b"\"_meta\":{");
    write_string(out, SUBSCRIPTION_ID_KEY);
    out.push(b':');
    out.extend_from_slice(id.get().as_bytes());
    out.push(b'}');
}

fn flag(asked: &Map<String, Value>, name: &str) -> Result<bool, Fault> {
    match asked.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(Fault::invalid_params(format!("The member \"notifications.{name}\" must be true or false."))),
    }
}

fn uris(asked: &Map<String, Value>) -> Result<Vec<String>, Fault> {
    let refused = || {
        Fault::invalid_params(format!(
            "The member \"notifications.resourceSubscriptions\" must be an array of at most {MAX_RESOURCES} URIs."
        ))
    };
    match asked.get("resourceSubscriptions") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(values)) if values.len() <= MAX_RESOURCES => {
            values.iter().map(|value| value.as_str().map(str::to_owned).ok_or_else(refused)).collect()
        }
        Some(_) => Err(refused()),
    }
}
