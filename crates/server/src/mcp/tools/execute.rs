//! `execute_action_alloy`, and the tools of direct exposure: from arguments to a call, from an answer to what a model reads.

use std::time::Duration;

use amalgam_connector::shape::{Wanted, is_shown_as_is, shape};
use serde_json::{Map, Value, json};

use super::{Outcome, optional, required};
use crate::{
    call::{self, Answer, Call, Door},
    connect,
    direct::Tool,
    error::{Error, Kind, Result},
    mcp::Context,
};

/// More members than this are not asked for one by one.
const MAX_FIELDS: usize = 100;

/// Runs an action that the arguments name.
pub async fn dynamic(context: &Context<'_>, mut arguments: Map<String, Value>, text: &str) -> Result<Outcome> {
    call::exact(text.as_bytes())?;
    let parameters = match arguments.shift_remove("parameters") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(parameters)) => parameters,
        Some(_) => {
            return Err(Error::invalid("parameters", "The argument `parameters` must be an object with the action's parameters by name."));
        }
    };
    let wanted = wanted(&mut arguments)?;
    let connector_id = required(&arguments, "connectorId", "the id of a connector, as list_connectors_alloy shows it")?;
    let action_id = required(&arguments, "actionId", "the id of an action, as get_connector_resources_alloy shows it")?;
    let credential_id = optional(&arguments, "credentialId")?.or(context.credential_id);
    let call = Call {
        caller: context.caller,
        door: Door::Mcp,
        connector_id,
        action_id,
        arguments_text: text.as_bytes(),
        credential_id,
        extra_headers: &[],
        timeout: timeout(&arguments)?,
        request_id: context.request_id,
    };
    outcome(context, run(context, call, parameters).await?, action_id, &wanted).map(|(outcome, _)| outcome)
}

/// Calls; where a credential is missing, the error leads to it.
async fn run(context: &Context<'_>, call: Call<'_>, arguments: Map<String, Value>) -> Result<Answer> {
    match call::run(context.app, call, arguments).await {
        Ok(answer) => Ok(answer),
        Err(error) => Err(connect::lead(context.app, context.caller, context.redirect_uri, error).await),
    }
}

/// Runs the action that a tool of direct exposure stands for.
pub async fn direct(context: &Context<'_>, tool: &Tool, mut arguments: Map<String, Value>, text: &str) -> Result<Outcome> {
    call::exact(text.as_bytes())?;
    let wanted = if tool.selects { wanted(&mut arguments)? } else { Wanted::default() };
    let call = Call {
        caller: context.caller,
        door: Door::Mcp,
        connector_id: &tool.connector_id,
        action_id: &tool.action_id,
        arguments_text: text.as_bytes(),
        credential_id: context.credential_id,
        extra_headers: &[],
        timeout: None,
        request_id: context.request_id,
    };
    let (mut outcome, is_object) = outcome(context, run(context, call, arguments).await?, &tool.action_id, &wanted)?;
    if tool.has_output_schema {
        if !is_object {
            outcome.text = format!("{{\"data\":{}}}", outcome.text);
        }
        outcome.structured = true;
    }
    Ok(outcome)
}

fn timeout(arguments: &Map<String, Value>) -> Result<Option<Duration>> {
    match arguments.get("timeout") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(ms) if (1_000..=300_000).contains(&ms) => Ok(Some(Duration::from_millis(ms))),
            _ => Err(Error::invalid("timeout", "The argument `timeout` must be a whole number of milliseconds from 1000 to 300000.")),
        },
    }
}

/// What of the answer the model asks for; takes it out of the arguments.
fn wanted(arguments: &mut Map<String, Value>) -> Result<Wanted> {
    let fields = match arguments.shift_remove("fields") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(names)) if names.len() <= MAX_FIELDS && names.iter().all(Value::is_string) => {
            names.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        Some(_) => {
            return Err(Error::invalid(
                "fields",
                format!("The argument `fields` must be a list of at most {MAX_FIELDS} names of members."),
            ));
        }
    };
    let raw = match arguments.shift_remove("raw") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(raw)) => raw,
        Some(_) => return Err(Error::invalid("raw", "The argument `raw` must be true or false.")),
    };
    Ok(Wanted { fields, raw })
}

/// Shapes an answer for a model; the second part tells whether it is an object.
fn outcome(context: &Context<'_>, answer: Answer, action_id: &str, wanted: &Wanted) -> Result<(Outcome, bool)> {
    let Some(action) = answer.connector.connector.action(action_id) else { return Err(Error::internal("the action of an answer is gone")) };
    let limits = &context.app.config.shape;
    if answer.picked_credential.is_none() && is_shown_as_is(action, &answer.extent, wanted, answer.next.as_ref(), limits) {
        let text = String::from_utf8(answer.body.into()).map_err(Error::internal)?;
        return Ok((Outcome { text, structured: false, cached: answer.cached }, answer.extent.is_object));
    }
    let value = amalgam_protocol::strict::parse_answer(&answer.body)
        .map_err(|e| Error::new(Kind::PlatformFailed, format!("The platform's answer cannot be shortened: {e}")))?;
    let shaped = shape(action, value, wanted, answer.next, limits);
    let is_object = answer.picked_credential.is_some() || shaped.value.is_object();
    let text = match answer.picked_credential {
        None if !shaped.changed => String::from_utf8(answer.body.into()).map_err(Error::internal)?,
        None => shaped.value.to_string(),
        Some(id) => name_credential(shaped.value, id).to_string(),
    };
    Ok((Outcome { text, structured: false, cached: answer.cached }, is_object))
}

/// Names the credential that was picked among several: beside the platform's own members, which stay where they are.
fn name_credential(value: Value, id: String) -> Value {
    match value {
        Value::Object(mut members) => {
            members.entry("credentialId").or_insert_with(|| id.into());
            Value::Object(members)
        }
        other => json!({ "data": other, "metadata": { "credentialId": id } }),
    }
}
