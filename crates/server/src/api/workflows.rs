//! `/api/servers/{serverId}/workflows`: saved recipes that a server offers as resources.

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    clock::rfc3339,
    error::{Error, Result},
    request::{Json, Management, Path},
    store::Change,
    store::workflows::Workflow,
};

const MAX_STEPS: usize = 100;
/// Description and steps of one workflow, as JSON, in bytes.
const MAX_BYTES: usize = 64 * 1024;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(put, get, delete))
}

/// One action call of a recipe.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    connector_id: String,
    action_id: String,
    /// Arguments; text such as `<the channel>` stands for what the model fills in.
    #[serde(default)]
    #[schema(value_type = Object)]
    parameters: Map<String, Value>,
    /// What the step is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    note: String,
}

/// What may be sent to keep a workflow. Other members are ignored, so that an answer may be sent back.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct WorkflowBody {
    /// For people and models.
    #[serde(default)]
    description: String,
    /// 1 to 100.
    steps: Vec<Step>,
}

/// A workflow, as answers show it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowView {
    name: String,
    /// The resource that clients read.
    uri: String,
    description: String,
    #[schema(value_type = Vec<Step>)]
    steps: Value,
    created_at: String,
    updated_at: String,
}

impl From<Workflow> for WorkflowView {
    fn from(workflow: Workflow) -> Self {
        Self {
            uri: format!("resource://workflows/{}", workflow.name),
            name: workflow.name,
            description: workflow.description,
            steps: workflow.steps,
            created_at: rfc3339(workflow.created_at),
            updated_at: rfc3339(workflow.updated_at),
        }
    }
}

/// A server's workflows.
#[derive(Serialize, utoipa::ToSchema)]
pub struct WorkflowList {
    workflows: Vec<WorkflowView>,
    count: usize,
}

/// List a server's workflows.
#[utoipa::path(get, path = "/api/servers/{serverId}/workflows", tag = "Server Management", operation_id = "list-workflows",
    params(("serverId" = String, Path, description = "Server ID")),
    responses((status = 200, description = "Workflows", body = WorkflowList), (status = 401, description = "Not authenticated"),
        (status = 404, description = "No such server")))]
async fn list(State(app): State<App>, Management(caller): Management, Path(id): Path<String>) -> Result<axum::Json<WorkflowList>> {
    let server = app.store.server(&caller.scope, &id).await?;
    let workflows: Vec<WorkflowView> = app.store.workflows(&server).await?.into_iter().map(WorkflowView::from).collect();
    Ok(axum::Json(WorkflowList { count: workflows.len(), workflows }))
}

/// Keep a workflow under a name of 1 to 64 letters, digits, `-` and `_`, new or changed.
#[utoipa::path(put, path = "/api/servers/{serverId}/workflows/{name}", tag = "Server Management", operation_id = "put-workflow",
    params(("serverId" = String, Path, description = "Server ID"), ("name" = String, Path, description = "Workflow name")),
    request_body = WorkflowBody,
    responses((status = 200, description = "Changed", body = WorkflowView), (status = 201, description = "Created", body = WorkflowView),
        (status = 400, description = "A field is wrong"), (status = 401, description = "Not authenticated"), (status = 404, description = "No such server"),
        (status = 409, description = "The server has as many workflows as it may have")))]
async fn put(
    State(app): State<App>,
    Management(caller): Management,
    Path((id, name)): Path<(String, String)>,
    Json(body, ..): Json<WorkflowBody>,
) -> Result<(StatusCode, axum::Json<WorkflowView>)> {
    if name.is_empty() || name.len() > 64 || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
        return Err(Error::invalid("name", "A workflow's name must have 1 to 64 characters of A-Z, a-z, 0-9, `-` and `_`."));
    }
    if body.steps.is_empty() || body.steps.len() > MAX_STEPS {
        return Err(Error::invalid("steps", "`steps` must have 1 to 100 entries."));
    }
    if let Some(at) = body.steps.iter().position(|step| step.connector_id.is_empty() || step.action_id.is_empty()) {
        let field = format!("steps[{at}].{}", if body.steps[at].connector_id.is_empty() { "connectorId" } else { "actionId" });
        return Err(Error::invalid(&field, format!("`{field}` must not be empty.")));
    }
    let server = app.store.server(&caller.scope, &id).await?;
    let steps = serde_json::to_value(&body.steps).map_err(Error::internal)?;
    if steps.to_string().len() + body.description.len() > MAX_BYTES {
        return Err(Error::invalid("steps", "`steps` and `description` may have at most 65,536 bytes of JSON together."));
    }
    let new = app.store.put_workflow(&server, &name, &body.description, &steps).await?;
    app.announce(Change::Workflows(server.id.clone()));
    let workflow = app.store.workflow(&server, &name).await?.ok_or_else(|| Error::not_found("workflow"))?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, axum::Json(workflow.into())))
}

/// Show a workflow.
#[utoipa::path(get, path = "/api/servers/{serverId}/workflows/{name}", tag = "Server Management", operation_id = "get-workflow",
    params(("serverId" = String, Path, description = "Server ID"), ("name" = String, Path, description = "Workflow name")),
    responses((status = 200, description = "The workflow", body = WorkflowView), (status = 401, description = "Not authenticated"),
        (status = 404, description = "No such server or workflow")))]
async fn get(
    State(app): State<App>,
    Management(caller): Management,
    Path((id, name)): Path<(String, String)>,
) -> Result<axum::Json<WorkflowView>> {
    let server = app.store.server(&caller.scope, &id).await?;
    let workflow = app.store.workflow(&server, &name).await?.ok_or_else(|| Error::not_found("workflow"))?;
    Ok(axum::Json(workflow.into()))
}

/// What is left of a workflow.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = DeletedWorkflow)]
pub struct Deleted {
    message: &'static str,
    name: String,
}

/// Delete a workflow.
#[utoipa::path(delete, path = "/api/servers/{serverId}/workflows/{name}", tag = "Server Management", operation_id = "delete-workflow",
    params(("serverId" = String, Path, description = "Server ID"), ("name" = String, Path, description = "Workflow name")),
    responses((status = 200, description = "Deleted", body = Deleted), (status = 401, description = "Not authenticated"),
        (status = 404, description = "No such server or workflow")))]
async fn delete(
    State(app): State<App>,
    Management(caller): Management,
    Path((id, name)): Path<(String, String)>,
) -> Result<axum::Json<Deleted>> {
    let server = app.store.server(&caller.scope, &id).await?;
    if !app.store.delete_workflow(&server, &name).await? {
        return Err(Error::not_found("workflow"));
    }
    app.announce(Change::Workflows(server.id.clone()));
    Ok(axum::Json(Deleted { message: "Workflow deleted", name }))
}
