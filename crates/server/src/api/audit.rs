//! `/api/audit`: who did what for whom.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    clock::rfc3339,
    error::{Error, Result},
    request::{Management, PageQuery, Query},
    store::{
        api_keys::Role,
        audit::{Entry, Filter, shown},
    },
};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// One thing that somebody did, or was refused. Never arguments, never secrets.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EntryView {
    id: String,
    /// RFC 3339.
    at: String,
    /// Who: `key:<id>`, `token:<server id>`, `jwt:<issuer id>`.
    caller: String,
    /// For whom.
    user_id: String,
    /// `mcp` or `rest`.
    door: String,
    server_id: Option<String>,
    connector_id: Option<String>,
    action_id: Option<String>,
    /// What was written to: the id of a server, key, credential, …
    target_id: Option<String>,
    /// `execute`, or the noun and the verb of a write: `server.create`, `token.rotate`, `credential.delete`.
    operation: String,
    /// `allowed` or `denied`.
    decision: String,
    /// The platform's HTTP status where it answered, else ours.
    status: i64,
    duration_ms: f64,
    request_id: String,
    /// 128 bits of a keyed hash of the arguments, in hex: tells equal calls from different ones.
    arguments_digest: Option<String>,
}

impl From<Entry> for EntryView {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id,
            at: rfc3339(entry.at),
            caller: entry.caller,
            user_id: entry.user_id.to_string(),
            door: entry.door.into_owned(),
            server_id: entry.server_id,
            connector_id: entry.connector_id,
            action_id: entry.action_id,
            target_id: entry.target_id,
            operation: entry.operation.into_owned(),
            decision: entry.decision.into_owned(),
            status: entry.status,
            duration_ms: f64::from(u32::try_from(entry.duration_us).unwrap_or(u32::MAX)) / 1000.0,
            request_id: entry.request_id,
            arguments_digest: entry.arguments_digest,
        }
    }
}

/// Which entries are asked for.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    user_id: Option<String>,
    server_id: Option<String>,
    connector_id: Option<String>,
    action_id: Option<String>,
    target_id: Option<String>,
    operation: Option<String>,
    /// `allowed` or `denied`.
    decision: Option<String>,
    request_id: Option<String>,
    /// From this time on, RFC 3339.
    since: Option<String>,
    /// Before this time, RFC 3339.
    until: Option<String>,
    /// At most this many entries: 1 to 1,000, default 100.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 1000)]
    limit: Option<String>,
    /// After this many entries, default 0.
    #[param(value_type = Option<i64>, minimum = 0)]
    offset: Option<String>,
}

/// A page of the audit trail, newest first.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditList {
    entries: Vec<EntryView>,
    /// How many match in all.
    total: i64,
    limit: i64,
    offset: i64,
    has_more: bool,
}

/// Read the audit trail, newest first: the account's for an admin, else your own.
#[utoipa::path(get, path = "/api/audit", tag = "Administration", operation_id = "list-audit", params(AuditQuery),
    responses((status = 200, description = "A page of entries", body = AuditList), (status = 400, description = "A filter is wrong"),
        (status = 401, description = "Not authenticated")))]
async fn list(State(app): State<App>, Management(caller): Management, Query(query): Query<AuditQuery>) -> Result<Json<AuditList>> {
    let page = PageQuery { limit: query.limit, offset: query.offset }.page()?;
    if query.decision.as_ref().is_some_and(|decision| !["allowed", "denied"].contains(&decision.as_str())) {
        return Err(Error::invalid("decision", "`decision` must be \"allowed\" or \"denied\"."));
    }
    // As entries hold them, which keep only the beginning of what is long.
    let id = |id: Option<String>| id.map(|id| shown(&id));
    let filter = Filter {
        since: time("since", query.since.as_deref(), 0)?,
        until: time("until", query.until.as_deref(), i64::MAX)?,
        user_id: query.user_id,
        server_id: id(query.server_id),
        connector_id: id(query.connector_id),
        action_id: id(query.action_id),
        target_id: id(query.target_id),
        operation: query.operation,
        decision: query.decision,
        request_id: query.request_id,
    };
    // What has happened before this question must be in its answer.
    app.audit.flush().await;
    let (entries, total) = app.store.list_audit(&caller.scope, caller.role != Role::Admin, &filter, page).await?;
    let has_more = page.offset + i64::try_from(entries.len()).unwrap_or(0) < total;
    let entries = entries.into_iter().map(EntryView::from).collect();
    Ok(Json(AuditList { entries, total, limit: page.limit, offset: page.offset, has_more }))
}

fn time(name: &str, text: Option<&str>, default: i64) -> Result<i64> {
    let Some(text) = text else { return Ok(default) };
    let at = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| Error::invalid(name, format!("`{name}` must be a time as in RFC 3339: 2026-11-21T09:00:00Z.")))?;
    Ok(i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(default))
}
