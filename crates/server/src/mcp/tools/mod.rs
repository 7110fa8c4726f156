//! The eight tools, by the names that the vendor's clients call. Source: Alloy's API.

mod action_details;
mod connectors;
mod credentials;
mod discover;
pub mod execute;
mod list;

use amalgam_connector::closest as closest_name;
use serde_json::{Map, Value};

pub use self::list::LIST;
use super::Context;
use crate::{
    error::{Error, Result, unknown_among},
    store::{audit::shown, files::File},
};

/// What a tool says.
pub struct Outcome {
    /// JSON, for the one text block.
    pub text: String,
    /// It is an object that belongs into `structuredContent` as well.
    pub structured: bool,
    /// It comes from the read cache.
    pub cached: bool,
    /// A file that belongs to it.
    pub file: Option<Box<File>>,
}

impl From<Value> for Outcome {
    fn from(value: Value) -> Self {
        Self { text: value.to_string(), structured: false, cached: false, file: None }
    }
}

const NAMES: [&str; 8] = [
    "list_connectors_alloy",
    "get_connector_resources_alloy",
    "get_action_details_alloy",
    "execute_action_alloy",
    "create_credential_alloy",
    "get_credentials_alloy",
    "get_credential_metadata_alloy",
    "discover_action_path_alloy",
];

/// Calls a tool; `None` when there is none of this name.
pub async fn call(context: &Context<'_>, name: &str, arguments: Map<String, Value>, text: &str) -> Option<Result<Outcome>> {
    let known = list::arguments(name)?;
    if let Some(unknown) = arguments.keys().find(|argument| !known.contains_key(*argument)) {
        return Some(Err(unknown_argument(name, unknown, known)));
    }
    if name != "execute_action_alloy"
        && let Err(error) = Box::pin(context.app.upstreams.freshen(&context.server.owner, None)).await
    {
        return Some(Err(error));
    }
    match name {
        "execute_action_alloy" => Some(execute::dynamic(context, arguments, text).await),
        _ => Box::pin(others(context, name, arguments)).await,
    }
}

/// All but the one that runs actions, in a future of their own: that one does not have room for them.
async fn others(context: &Context<'_>, name: &str, arguments: Map<String, Value>) -> Option<Result<Outcome>> {
    Some(match name {
        "list_connectors_alloy" => connectors::list(context, &arguments).await,
        "get_connector_resources_alloy" => connectors::resources(context, &arguments).await,
        "get_action_details_alloy" => action_details::get(context, &arguments).await,
        "create_credential_alloy" => credentials::create(context, arguments).await,
        "get_credentials_alloy" => credentials::list(context, &arguments).await,
        "get_credential_metadata_alloy" => credentials::metadata(context, &arguments).await,
        "discover_action_path_alloy" => discover::discover(context, &arguments).await,
        _ => return None,
    })
}

/// The tool that was probably meant.
pub fn closest(name: &str) -> Option<&'static str> {
    closest_name(name, NAMES.iter().copied())
}

fn unknown_argument(tool: &str, argument: &str, known: &Map<String, Value>) -> Error {
    let known: Vec<&str> = known.keys().map(String::as_str).collect();
    let parameters = if tool == "execute_action_alloy" { " The parameters of the action go into `parameters`." } else { "" };
    let sentence = format!("The argument `{}` {}.{parameters}", shown(argument), unknown_among(argument, &known));
    Error::invalid(argument, sentence)
}

/// A required text argument.
///
/// # Errors
/// A sentence that names the argument, and the one that was probably meant for it.
fn required<'a>(arguments: &'a Map<String, Value>, name: &str, means: &str) -> Result<&'a str> {
    match optional(arguments, name)? {
        Some(text) if !text.is_empty() => Ok(text),
        _ => {
            let meant = closest_name(name, arguments.keys().map(String::as_str))
                .map(|given| format!(" You sent `{given}`; the argument is called `{name}`."))
                .unwrap_or_default();
            Err(Error::invalid(name, format!("The argument `{name}` is missing: {means}.{meant}")))
        }
    }
}

/// An optional text argument; `null` is absent.
fn optional<'a>(arguments: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>> {
    match arguments.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::invalid(name, format!("The argument `{name}` must be a string."))),
    }
}
