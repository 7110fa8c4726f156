//! Run an action by one REST call. Source: Alloy's API.

use std::time::Duration;

use amalgam_connector::shape::{ShapeLimits, Shaped};
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header::CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    call::{self, Answer, Arguments, Call, Door, view::View},
    clock::random_hex24,
    connect,
    error::{Error, Result},
    request::{Counted, Json, Path},
};

/// Headers that a caller may add to a call.
const MAX_HEADERS: usize = 50;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(execute))
}

/// The arguments by their places, or flat in `parameters` as the MCP tool takes them.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ExecuteBody {
    /// Absent = the user's only credential, else the newest.
    credential_id: Option<String>,
    /// The body of the platform's request.
    #[schema(value_type = Option<Object>)]
    request_body: Option<Value>,
    #[schema(value_type = Option<Object>)]
    query_parameters: Map<String, Value>,
    #[schema(value_type = Option<Object>)]
    path_params: Map<String, Value>,
    /// Further headers for the platform; those that the connection or the credential needs are refused.
    #[schema(value_type = Option<Object>)]
    additional_headers: Map<String, Value>,
    /// All arguments, flat.
    #[schema(value_type = Option<Object>)]
    parameters: Map<String, Value>,
    /// `nextCursor` of an answer to the same call: goes on there.
    cursor: Option<String>,
    /// At most so many items of the answer's list.
    #[schema(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
    /// JSON pointer of the part of the answer that is wanted.
    part: Option<String>,
    /// At most about so many tokens (3 bytes of JSON each): what does not fit is cut, and `metadata` says where.
    #[schema(minimum = 500, maximum = 1_000_000)]
    max_tokens: Option<u64>,
    /// Milliseconds, 1,000 to 300,000; absent = 30,000.
    #[schema(minimum = 1000, maximum = 300_000)]
    timeout: Option<u64>,
}

/// Run an action as the effective user, with that user's credential.
///
/// The answer is `{executionId, success, status, responseData}`; `responseData` is what the platform answered, whole.
#[utoipa::path(post, path = "/connectors/{connectorId}/actions/{actionId}/execute", tag = "Connectors", operation_id = "execute-action",
    params(("connectorId" = String, Path, description = "Connector ID"), ("actionId" = String, Path, description = "Action ID")),
    request_body = Option<ExecuteBody>,
    responses((status = 200, description = "`{executionId, success, status, responseData}`", body = Object),
        (status = 400, description = "An argument is wrong, the credential is missing, or the platform refused (`PLATFORM_ERROR`)"),
        (status = 401, description = "Not authenticated"), (status = 403, description = "Not allowed on this server"),
        (status = 404, description = "No such connector or action"), (status = 429, description = "Rate limit exceeded"),
        (status = 502, description = "The platform is not reachable or failed"), (status = 504, description = "The platform was too slow")))]
async fn execute(
    State(app): State<App>,
    Counted { twin, limited }: Counted,
    Path((connector_id, action_id)): Path<(String, String)>,
    body: Option<Json<ExecuteBody>>,
) -> Result<Response> {
    // They keep the room that they take until the call is done.
    let (body, bytes) = body.map_or_else(Default::default, |Json(body, bytes)| (body, bytes));
    if body.additional_headers.len() > MAX_HEADERS {
        let sentence = format!("`additionalHeaders` holds {} headers; at most {MAX_HEADERS} are sent.", body.additional_headers.len());
        return Err(Error::invalid("additionalHeaders", sentence));
    }
    call::exact(&bytes)?;
    let extra: Vec<(String, String)> = body.additional_headers.iter().map(|(name, value)| header(name, value)).collect::<Result<_>>()?;
    let extra: Vec<(&str, &str)> = extra.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let view = View::of_program(body.cursor, body.limit, body.part, body.max_tokens)?;
    let credential_id = body.credential_id.as_deref().or(twin.credential_id.as_deref());
    let arguments =
        Arguments { parameters: body.parameters, path: body.path_params, query: body.query_parameters, body: body.request_body };
    let text = serde_json::to_vec(&arguments).map_err(Error::internal)?;
    let call = Call {
        caller: &twin.caller,
        door: Door::Rest,
        connector_id: &connector_id,
        action_id: &action_id,
        arguments_text: &text,
        credential_id,
        extra_headers: &extra,
        timeout: body.timeout.map(timeout).transpose()?,
        view: &view,
        request_id: &twin.request_id,
    };
    let answer = match call::run(&app, call, arguments).await {
        Ok(answer) => answer,
        Err(error) => return Err(connect::lead(&app, &twin.caller, twin.redirect_uri.as_deref(), error).await),
    };
    let shaped = view.shaped(&app, (&twin.caller, &action_id, credential_id), &answer, &ShapeLimits::NONE)?;
    let mut response = respond(&answer, shaped)?;
    limited.write(response.headers_mut());
    Ok(response)
}

fn timeout(ms: u64) -> Result<Duration> {
    if (1_000..=300_000).contains(&ms) {
        Ok(Duration::from_millis(ms))
    } else {
        Err(Error::invalid("timeout", "`timeout` must be a whole number of milliseconds from 1,000 to 300,000."))
    }
}

fn header(name: &str, value: &Value) -> Result<(String, String)> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        _ => return Err(Error::invalid(&format!("additionalHeaders.{name}"), format!("The header `{name}` must be a string."))),
    };
    Ok((name.to_owned(), text))
}

/// The envelope around the platform's own bytes, or around what is left of them.
fn respond(answer: &Answer, shaped: Option<(Shaped, Option<String>)>) -> Result<Response> {
    let mut body = Vec::with_capacity(answer.body.len() + 160);
    let head = format!("{{\"executionId\":\"{}\",\"success\":true,\"status\":{}", random_hex24(), answer.status);
    body.extend_from_slice(head.as_bytes());
    if let Some(id) = &answer.picked_credential {
        body.extend_from_slice(format!(",\"credentialId\":\"{id}\"").as_bytes());
    }
    let (shaped, cursor) = shaped.map_or((None, None), |(shaped, cursor)| (Some(shaped), cursor));
    if let Some(cursor) = cursor {
        body.extend_from_slice(format!(",\"nextCursor\":\"{cursor}\"").as_bytes());
    }
    let shaped = shaped.filter(|shaped| shaped.changed);
    if let Some(shaped) = shaped.as_ref().filter(|shaped| !shaped.told.is_empty()) {
        body.extend_from_slice(b",\"metadata\":");
        serde_json::to_writer(&mut body, &shaped.told).map_err(Error::internal)?;
    }
    body.extend_from_slice(b",\"responseData\":");
    match shaped {
        Some(shaped) => serde_json::to_writer(&mut body, &shaped.value).map_err(Error::internal)?,
        None => body.extend_from_slice(&answer.body),
    }
    body.push(b'}');
    let mut response = body.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if answer.cached {
        response.headers_mut().insert("x-cache-hit", HeaderValue::from_static("true"));
    }
    Ok(response)
}
