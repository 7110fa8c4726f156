//! `/connectors/{connectorId}/credentials`: users' own secrets. They go in and never come out. Source: Alloy's API.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    call::Door,
    catalogue,
    clock::rfc3339,
    connect::{self, ConsentWish, Made, NewCredential},
    error::{Error, Result},
    request::{Json, Path, Twin},
    store::credentials::{Credential, State as CredentialState},
};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(metadata)).routes(routes!(delete))
}

/// A credential, as answers show it; never its secret.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialView {
    /// 24 hex characters.
    pub credential_id: String,
    name: String,
    /// `{connectorId}-{authenticationType}`.
    #[serde(rename = "type")]
    kind: String,
    created_at: String,
    updated_at: String,
    /// `reconnect_required`: the platform no longer accepts it, and the user must connect again.
    state: CredentialState,
    /// When its token ends; it is renewed before that where the platform allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

impl From<&Credential> for CredentialView {
    fn from(credential: &Credential) -> Self {
        Self {
            credential_id: credential.id.clone(),
            name: credential.name.clone(),
            kind: format!("{}-{}", credential.connector, credential.kind.as_str()),
            created_at: rfc3339(credential.created_at),
            updated_at: rfc3339(credential.updated_at),
            state: credential.state,
            expires_at: credential.expires_at.map(rfc3339),
        }
    }
}

/// What may be sent to create a credential.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialBody {
    /// Whose it is; absent = the effective user.
    user_id: Option<String>,
    /// `oauth2`, `apiKey`, `bearer` or `basic`.
    authentication_type: Option<String>,
    /// The fields that the metadata names, and the connector's variables.
    #[schema(value_type = Option<Object>)]
    data: Option<Map<String, Value>>,
    /// The same as `data`.
    #[schema(value_type = Option<Object>)]
    fields: Option<Map<String, Value>>,
    /// Display name.
    name: Option<String>,
    /// With `oauth2`: where the browser goes after consent, an address of `/api/redirect-uris`. The header `x-redirect-uri` says the same.
    redirect_uri: Option<String>,
    /// With `oauth2`: which auth config; absent = the newest of the connector.
    auth_config_id: Option<String>,
    /// With `oauth2`: what consent is asked for; absent = what the auth config or the connector says.
    scopes: Option<Vec<String>>,
}

/// What a wish for a credential leads to.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum CredentialMade {
    /// It is there.
    Credential(CredentialView),
    /// With `oauth2`: the user must consent first.
    Consent(ConsentView),
}

/// Where the user consents.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsentView {
    /// To be opened in the user's browser.
    oauth_url: String,
    expires_at: String,
}

/// A user's credentials for a connector.
#[derive(Serialize, utoipa::ToSchema)]
pub struct CredentialList {
    credentials: Vec<CredentialView>,
}

/// Create a credential. Its secret is kept sealed and never shown.
#[utoipa::path(post, path = "/connectors/{connectorId}/credentials", tag = "Credentials", operation_id = "create-credential",
    params(("connectorId" = String, Path, description = "Connector ID")), request_body = CredentialBody,
    responses((status = 200, description = "Created; with `oauth2` where the user consents", body = CredentialMade), (status = 400, description = "A field is wrong"),
        (status = 401, description = "Not authenticated"), (status = 403, description = "Not allowed on this server"), (status = 404, description = "No such connector"),
        (status = 409, description = "The user or the account has as many credentials as it may have")))]
async fn create(
    State(app): State<App>,
    twin: Twin,
    Path(connector_id): Path<String>,
    Json(body, ..): Json<CredentialBody>,
) -> Result<axum::Json<CredentialMade>> {
    let values = match (body.data, body.fields) {
        (Some(_), Some(_)) => return Err(Error::invalid("data", "Send the fields as `data` or as `fields`, not both.")),
        (Some(values), None) | (None, Some(values)) => values,
        (None, None) => Map::new(),
    };
    let from_header = twin.redirect_uri.filter(|_| body.authentication_type.as_deref() == Some("oauth2"));
    let new = NewCredential {
        connector_id: &connector_id,
        user: body.user_id.as_deref(),
        kind: body.authentication_type.as_deref().unwrap_or_default(),
        values,
        name: body.name.as_deref(),
        consent: ConsentWish {
            redirect_uri: body.redirect_uri.or(from_header),
            auth_config: body.auth_config_id,
            scopes: body.scopes.unwrap_or_default(),
        },
        door: Door::Rest,
        request_id: &twin.request_id,
    };
    Ok(axum::Json(match connect::create(&app, &twin.caller, new).await? {
        Made::Credential(credential) => CredentialMade::Credential(CredentialView::from(&*credential)),
        Made::Link(link) => CredentialMade::Consent(ConsentView { oauth_url: link.url, expires_at: rfc3339(link.expires_at) }),
    }))
}

/// List the effective user's credentials for a connector, newest first.
#[utoipa::path(get, path = "/connectors/{connectorId}/credentials", tag = "Credentials", operation_id = "list-credentials",
    params(("connectorId" = String, Path, description = "Connector ID")),
    responses((status = 200, description = "Credentials", body = CredentialList), (status = 401, description = "Not authenticated"),
        (status = 403, description = "Not allowed on this server"), (status = 404, description = "No such connector")))]
async fn list(State(app): State<App>, twin: Twin, Path(connector_id): Path<String>) -> Result<axum::Json<CredentialList>> {
    let (scope, server) = (&twin.caller.scope, twin.caller.server.as_deref());
    let loaded = catalogue::resolve(&app.store, scope, server, &connector_id).await?;
    let credentials = app.store.credentials(scope, loaded.id()).await?;
    Ok(axum::Json(CredentialList { credentials: credentials.iter().map(CredentialView::from).collect() }))
}

/// Say how to authenticate: types, fields, variables.
#[utoipa::path(get, path = "/connectors/{connectorId}/credentials/metadata", tag = "Credentials", operation_id = "credential-metadata",
    params(("connectorId" = String, Path, description = "Connector ID")),
    responses((status = 200, description = "`{metadata: [{authenticationType, inputSchema, sampleInput, …}]}`", body = Object),
        (status = 401, description = "Not authenticated"), (status = 404, description = "No such connector")))]
async fn metadata(State(app): State<App>, twin: Twin, Path(connector_id): Path<String>) -> Result<axum::Json<Value>> {
    let (scope, server) = (&twin.caller.scope, twin.caller.server.as_deref());
    let loaded = catalogue::resolve(&app.store, scope, server, &connector_id).await?;
    connect::metadata(&app, scope, &loaded.connector).await.map(axum::Json)
}

/// What is left of a credential.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeletedCredential)]
pub struct Deleted {
    message: &'static str,
    credential_id: String,
    /// Of OAuth: whether the platform has confirmed that it accepts the tokens no longer; absent where it has no way to say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<bool>,
}

/// Delete a credential of the effective user.
#[utoipa::path(delete, path = "/connectors/{connectorId}/credentials/{credentialId}", tag = "Credentials", operation_id = "delete-credential",
    params(("connectorId" = String, Path, description = "Connector ID"), ("credentialId" = String, Path, description = "Credential ID")),
    responses((status = 200, description = "Deleted", body = Deleted), (status = 401, description = "Not authenticated"),
        (status = 403, description = "Not allowed on this server"), (status = 404, description = "No such credential")))]
async fn delete(
    State(app): State<App>,
    twin: Twin,
    Path((connector_id, credential_id)): Path<(String, String)>,
) -> Result<axum::Json<Deleted>> {
    let revoked = connect::delete(&app, &twin.caller, &connector_id, &credential_id, &twin.request_id).await?;
    Ok(axum::Json(Deleted { message: "Credential deleted", credential_id, revoked }))
}
