//! `/api/doctor/connect`: why connecting does not work.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    auth::Caller,
    doctor::{self, Look, Step},
    error::Result,
    request::{Json, Management, RequestId},
};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(connect))
}

/// What to look into.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = DoctorBody)]
pub struct Body {
    /// Which connector.
    connector_id: String,
    /// For which user; absent = the effective one.
    user_id: Option<String>,
    /// Renew the user's tokens now, whether they are due or not.
    #[serde(default)]
    renew: bool,
}

/// What was found.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DoctorReport)]
pub struct Report {
    connector_id: String,
    user_id: String,
    /// No step failed.
    ok: bool,
    steps: Vec<Step>,
}

/// Try every step of connecting a user to a platform, and say what to change.
#[utoipa::path(post, path = "/api/doctor/connect", tag = "Administration", operation_id = "doctor-connect", request_body = Body,
    responses((status = 200, description = "Each step and what came of it", body = Report), (status = 400, description = "A field is wrong"),
        (status = 401, description = "Not authenticated"), (status = 403, description = "Not for your role"), (status = 404, description = "No such connector")))]
async fn connect(
    State(app): State<App>,
    Management(caller): Management,
    request_id: RequestId,
    Json(body, ..): Json<Body>,
) -> Result<axum::Json<Report>> {
    caller.require_admin()?;
    let scope = body.user_id.as_deref().map_or_else(|| Ok(caller.scope.clone()), |user| caller.scope_of(user))?;
    // The call at the end is the user's.
    let caller = Caller { scope: scope.clone(), ..caller };
    let look = Look { caller: &caller, scope: &scope, connector_id: &body.connector_id, renew: body.renew, request_id: &request_id };
    let steps = doctor::connect(&app, &look).await?;
    let ok = steps.iter().all(|step| step.ok != Some(false));
    Ok(axum::Json(Report { connector_id: body.connector_id, user_id: scope.user.to_string(), ok, steps }))
}
