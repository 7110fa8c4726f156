//! `execute_action_alloy`, and the tools of direct exposure: from arguments to a call, from an answer to what a model reads.

use std::time::Duration;

use amalgam_protocol::strict::parse_answer;
use serde_json::{Map, Value, json};

use super::{Outcome, optional, required};
use crate::{
    call::{
        self, Answer, Call, Door,
        view::{self, View},
    },
    connect,
    direct::Tool,
    error::{Error, Result},
    mcp::Context,
};

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
    let view = View::take(&mut arguments, &view::NAMES)?.within(context.server.settings.max_tokens);
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
        view: &view,
        request_id: context.request_id,
    };
    outcome(context, run(context, call, parameters).await?, (action_id, credential_id), &view).map(|(outcome, _)| outcome)
}

/// Calls; where a credential is missing, the error leads to it.
async fn run(context: &Context<'_>, call: Call<'_>, arguments: Map<String, Value>) -> Result<Answer> {
    match call::run(context.app, call, arguments).await {
        Ok(answer) => Ok(answer),
        Err(error) => Err(Box::pin(connect::lead(context.app, context.caller, context.redirect_uri, error)).await),
    }
}

/// Runs the action that a tool of direct exposure stands for.
pub async fn direct(context: &Context<'_>, tool: &Tool, mut arguments: Map<String, Value>, text: &str) -> Result<Outcome> {
    call::exact(text.as_bytes())?;
    let mut view = View::take(&mut arguments, &tool.takes)?;
    if tool.pages && !tool.takes.contains(&"cursor") {
        view.take_cursor(&mut arguments);
    }
    let view = view.within(context.server.settings.max_tokens);
    let call = Call {
        caller: context.caller,
        door: Door::Mcp,
        connector_id: &tool.connector_id,
        action_id: &tool.action_id,
        arguments_text: text.as_bytes(),
        credential_id: context.credential_id,
        extra_headers: &[],
        timeout: None,
        view: &view,
        request_id: context.request_id,
    };
    let answer = run(context, call, arguments).await?;
    let (mut outcome, is_object) = outcome(context, answer, (&tool.action_id, context.credential_id), &view)?;
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

/// Shapes an answer for a model; the second part tells whether it is an object.
fn outcome(context: &Context<'_>, answer: Answer, call: (&str, Option<&str>), view: &View) -> Result<(Outcome, bool)> {
    let (app, caller, (action_id, credential)) = (context.app, context.caller, call);
    let (cached, file) = (answer.cached, answer.file.clone());
    let shaped = view.shaped(app, (caller, action_id, credential), &answer, &app.config.shape)?;
    let (value, is_object) = match (shaped.filter(|(shaped, _)| shaped.changed), answer.picked_credential) {
        (None, None) => {
            let text = String::from_utf8(answer.body.into()).map_err(Error::internal)?;
            return Ok((Outcome { text, structured: false, cached, file }, answer.extent.is_object));
        }
        (Some((shaped, cursor)), None) => {
            let value = shaped.with(cursor);
            let is_object = value.is_object();
            (value, is_object)
        }
        (Some((shaped, cursor)), Some(id)) => (name_credential(shaped.with(cursor), id), true),
        (None, Some(id)) => (name_credential(parse_answer(&answer.body).map_err(Error::internal)?, id), true),
    };
    Ok((Outcome { text: value.to_string(), structured: false, cached, file }, is_object))
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
