//! `/api/auth-configs`: the account's own OAuth clients at platforms; and `/api/redirect-uris`: where browsers may go after connecting.

use amalgam_vault::Secret;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::answers::{Created, Removed};
use crate::{
    app::App,
    catalogue,
    clock::{random_slug, rfc3339},
    connect,
    error::{Error, Result},
    grants::{destination, scheme},
    oauth::{PrivateKey, for_browser},
    request::{Json, Management, Path, Query, present},
    store::auth_configs::{AuthConfig, ClientAuth, NewAuthConfig},
};

/// Addresses on the list.
const MAX_URIS: usize = 100;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, update, delete))
        .routes(routes!(redirect_uris, set_redirect_uris))
}

/// An auth config, as answers show it; never its secret.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthConfigView {
    id: String,
    connector_id: String,
    name: String,
    client_id: String,
    client_auth: ClientAuth,
    key_id: Option<String>,
    /// Empty: what the connector says.
    scopes: Vec<String>,
    /// Where the platform is that knows the client, where the connector leaves that open.
    #[schema(value_type = Object)]
    variables: Map<String, Value>,
    /// Enter this address at the platform, as one that it may send browsers back to.
    redirect_uri: String,
    created_at: String,
    updated_at: String,
}

impl AuthConfigView {
    fn of(app: &App, account: &str, config: AuthConfig) -> Self {
        Self {
            redirect_uri: connect::callback(app, account, &config.connector),
            id: config.id,
            connector_id: config.connector,
            name: config.name,
            client_id: config.client_id,
            client_auth: config.client_auth,
            key_id: config.key_id,
            scopes: config.scopes,
            variables: config.variables,
            created_at: rfc3339(config.created_at),
            updated_at: rfc3339(config.updated_at),
        }
    }
}

/// What may be sent to make an auth config.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthConfigBody {
    /// The connector whose platform knows the client.
    connector_id: String,
    /// For people; absent = the connector's name.
    name: Option<String>,
    /// The client's id at the platform.
    client_id: String,
    /// Its secret.
    client_secret: Option<String>,
    /// Instead of a secret: its private key in PEM (PKCS #8), P-256 or RSA.
    private_key: Option<String>,
    /// The `kid` under which the platform knows the key.
    key_id: Option<String>,
    /// How the client proves itself at the token endpoint; absent = as the connector says, or as what is given demands.
    client_auth: Option<ClientAuth>,
    /// Asked for instead of the connector's own.
    scopes: Option<Vec<String>>,
    /// Where the platform is that knows the client, for connectors that leave it open (an instance of one's own): users sign in there and
    /// nowhere else.
    #[schema(value_type = Option<Object>)]
    variables: Option<Map<String, Value>>,
}

/// What may be sent to change one; what is absent stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthConfigChange {
    name: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    private_key: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    key_id: Option<Option<String>>,
    client_auth: Option<ClientAuth>,
    scopes: Option<Vec<String>>,
    #[schema(value_type = Option<Object>)]
    variables: Option<Map<String, Value>>,
}

/// The account's auth configs.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthConfigList {
    auth_configs: Vec<AuthConfigView>,
    count: usize,
}

/// Which auth configs are asked for.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub struct ListQuery {
    /// Only those of this connector.
    connector_id: Option<String>,
}

/// The texts, checked.
fn checked(name: &str, client_id: &str, key_id: Option<&str>, scopes: &[String]) -> Result<()> {
    if name.trim().is_empty() || name.chars().count() > 200 {
        return Err(Error::invalid("name", "`name` must have 1 to 200 characters."));
    }
    let visible = |text: &str| !text.is_empty() && text.len() <= 1_000 && text.chars().all(|c| !c.is_control());
    if !visible(client_id) {
        return Err(Error::invalid("clientId", "`clientId` must be the client's id at the platform: 1 to 1,000 bytes on one line."));
    }
    if key_id.is_some_and(|id| !visible(id)) {
        return Err(Error::invalid("keyId", "`keyId` must have 1 to 1,000 bytes on one line, or be absent."));
    }
    let word =
        |scope: &String| !scope.is_empty() && scope.len() <= 500 && scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
    if scopes.len() > 200 || !scopes.iter().all(word) {
        return Err(Error::invalid(
            "scopes",
            "`scopes` must be at most 200 words of visible ASCII characters, without quotes and backslashes.",
        ));
    }
    Ok(())
}

/// Secret or private key, whichever was given, and what it means for how the client proves itself.
fn proof(
    secret: Option<String>,
    key: Option<String>,
    wished: Option<ClientAuth>,
    usual: ClientAuth,
) -> Result<(Option<Secret>, ClientAuth)> {
    match (secret, key) {
        (Some(_), Some(_)) => Err(Error::invalid("privateKey", "Give `clientSecret` or `privateKey`, not both.")),
        (None, Some(key)) => {
            if wished.is_some_and(|auth| auth != ClientAuth::PrivateKeyJwt) {
                return Err(Error::invalid("clientAuth", "With `privateKey`, `clientAuth` is \"private_key_jwt\"."));
            }
            PrivateKey::parse(&key, None).map_err(|why| Error::invalid("privateKey", format!("`privateKey` cannot be used: {why}.")))?;
            Ok((Some(Secret::new(key)), ClientAuth::PrivateKeyJwt))
        }
        (Some(secret), None) => {
            if secret.is_empty() || secret.len() > 10_000 || secret.chars().any(char::is_control) {
                return Err(Error::invalid("clientSecret", "`clientSecret` must have 1 to 10,000 bytes on one line."));
            }
            match wished.unwrap_or(usual) {
                auth @ (ClientAuth::Post | ClientAuth::Basic) => Ok((Some(Secret::new(secret)), auth)),
                _ => Err(Error::invalid("clientAuth", "With `clientSecret`, `clientAuth` is \"post\" or \"basic\".")),
            }
        }
        (None, None) => Ok((None, wished.unwrap_or(ClientAuth::None))),
    }
}

/// Enter an OAuth client of the account at a platform.
#[utoipa::path(post, path = "/api/auth-configs", tag = "Administration", operation_id = "create-auth-config", request_body = AuthConfigBody,
    responses((status = 201, description = "Created", body = AuthConfigView), (status = 400, description = "A field is wrong"),
        (status = 401, description = "Not authenticated"), (status = 403, description = "Not for your role"),
        (status = 404, description = "No such connector"), (status = 409, description = "The account has 1,000 auth configs")))]
async fn create(
    State(app): State<App>,
    Management(caller): Management,
    Json(new, ..): Json<AuthConfigBody>,
) -> Result<Created<AuthConfigView>> {
    caller.require_admin()?;
    let loaded = catalogue::resolve(&app.store, &caller.scope, None, &new.connector_id).await?;
    let definition = loaded.connector.definition();
    let Some((_, oauth2)) = scheme(&loaded) else {
        return Err(Error::invalid("connectorId", format!("{} has no signing in by OAuth, so that it needs no client.", definition.name)));
    };
    let usual = match oauth2.client_auth {
        amalgam_connector::definition::ClientAuth::Body => ClientAuth::Post,
        amalgam_connector::definition::ClientAuth::Basic => ClientAuth::Basic,
    };
    let (secret, client_auth) = proof(new.client_secret, new.private_key, new.client_auth, usual)?;
    if secret.is_none() && client_auth != ClientAuth::None {
        return Err(Error::invalid("clientSecret", "Give `clientSecret` or `privateKey`; a public client has `clientAuth` \"none\"."));
    }
    let (name, scopes) = (new.name.unwrap_or_else(|| definition.name.clone()), new.scopes.unwrap_or_default());
    checked(&name, &new.client_id, new.key_id.as_deref(), &scopes)?;
    let variables = new.variables.unwrap_or_default();
    connect::check_place(definition, oauth2, &variables)?;
    let id = format!("ac_{}", random_slug(16));
    let kept = NewAuthConfig {
        name: &name,
        client_id: &new.client_id,
        client_auth,
        key_id: new.key_id.as_deref(),
        scopes: &scopes,
        variables: &variables,
        secret: secret.as_ref(),
        sent_to: &destination(&loaded, &variables),
    };
    let config = app.store.create_auth_config(&caller.scope.account, &id, loaded.id(), &kept).await?;
    Ok(Created(id, AuthConfigView::of(&app, &caller.scope.account, config)))
}

/// List the account's OAuth clients, newest first.
#[utoipa::path(get, path = "/api/auth-configs", tag = "Administration", operation_id = "list-auth-configs", params(ListQuery),
    responses((status = 200, description = "Auth configs", body = AuthConfigList), (status = 401, description = "Not authenticated"),
        (status = 403, description = "Not for your role")))]
async fn list(
    State(app): State<App>,
    Management(caller): Management,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<AuthConfigList>> {
    caller.require_admin()?;
    let configs = app.store.auth_configs(&caller.scope.account, query.connector_id.as_deref()).await?;
    let auth_configs: Vec<AuthConfigView> =
        configs.into_iter().map(|config| AuthConfigView::of(&app, &caller.scope.account, config)).collect();
    Ok(axum::Json(AuthConfigList { count: auth_configs.len(), auth_configs }))
}

/// Show one of them.
#[utoipa::path(get, path = "/api/auth-configs/{authConfigId}", tag = "Administration", operation_id = "get-auth-config",
    params(("authConfigId" = String, Path, description = "Auth config ID")),
    responses((status = 200, description = "The auth config", body = AuthConfigView), (status = 401, description = "Not authenticated"),
        (status = 403, description = "Not for your role"), (status = 404, description = "No such auth config")))]
async fn get(State(app): State<App>, Management(caller): Management, Path(id): Path<String>) -> Result<axum::Json<AuthConfigView>> {
    caller.require_admin()?;
    let config = app.store.auth_config(&caller.scope.account, &id).await?.ok_or_else(|| Error::not_found("auth config"))?;
    Ok(axum::Json(AuthConfigView::of(&app, &caller.scope.account, config)))
}

/// Change one: a new secret, other scopes. What is absent stays.
#[utoipa::path(put, path = "/api/auth-configs/{authConfigId}", tag = "Administration", operation_id = "update-auth-config",
    params(("authConfigId" = String, Path, description = "Auth config ID")), request_body = AuthConfigChange,
    responses((status = 200, description = "The auth config", body = AuthConfigView), (status = 400, description = "A field is wrong"),
        (status = 401, description = "Not authenticated"), (status = 403, description = "Not for your role"),
        (status = 404, description = "No such auth config")))]
async fn update(
    State(app): State<App>,
    Management(caller): Management,
    Path(id): Path<String>,
    Json(change, ..): Json<AuthConfigChange>,
) -> Result<axum::Json<AuthConfigView>> {
    caller.require_admin()?;
    let account = &caller.scope.account;
    let before = app.store.auth_config(account, &id).await?.ok_or_else(|| Error::not_found("auth config"))?;
    let had_secret = matches!(before.client_auth, ClientAuth::Post | ClientAuth::Basic);
    let usual = if had_secret { before.client_auth } else { ClientAuth::Post };
    let wished = change.client_auth;
    let (secret, client_auth) = proof(change.client_secret, change.private_key, wished, usual)?;
    let client_auth = if secret.is_some() { client_auth } else { wished.unwrap_or(before.client_auth) };
    // Without a new proof, the one that is there must fit.
    let fits = match client_auth {
        ClientAuth::None => true,
        ClientAuth::Post | ClientAuth::Basic => had_secret,
        ClientAuth::PrivateKeyJwt => before.client_auth == ClientAuth::PrivateKeyJwt,
    };
    if secret.is_none() && !fits {
        return Err(Error::invalid("clientAuth", "This `clientAuth` needs a `clientSecret` or `privateKey` with it."));
    }
    let name = change.name.unwrap_or_else(|| before.name.clone());
    let client_id = change.client_id.unwrap_or_else(|| before.client_id.clone());
    let key_id = change.key_id.unwrap_or_else(|| before.key_id.clone());
    let scopes = change.scopes.unwrap_or_else(|| before.scopes.clone());
    checked(&name, &client_id, key_id.as_deref(), &scopes)?;
    let variables = change.variables.unwrap_or_else(|| before.variables.clone());
    let sent_to = match catalogue::resolve(&app.store, &caller.scope, None, &before.connector).await {
        Ok(loaded) => {
            let (_, oauth2) = scheme(&loaded).ok_or_else(|| Error::not_found("auth config"))?;
            connect::check_place(loaded.connector.definition(), oauth2, &variables)?;
            destination(&loaded, &variables)
        }
        // Its connector is gone: it cannot be used, but it can be put in order.
        Err(_) if variables == before.variables => before.sent_to.clone(),
        Err(error) => return Err(error),
    };
    // Whoever could lead the secret elsewhere could read it there.
    if secret.is_none() && client_auth != ClientAuth::None && sent_to != before.sent_to {
        return Err(Error::invalid(
            "clientSecret",
            "The secret would go to another address than the one that it was entered for: send `clientSecret` (or `privateKey`) with this change.",
        ));
    }
    let new = NewAuthConfig {
        name: &name,
        client_id: &client_id,
        client_auth,
        key_id: key_id.as_deref(),
        scopes: &scopes,
        variables: &variables,
        secret: secret.as_ref(),
        sent_to: &sent_to,
    };
    if !app.store.update_auth_config(account, &before, &new).await? {
        return Err(Error::not_found("auth config"));
    }
    let config = app.store.auth_config(account, &id).await?.ok_or_else(|| Error::not_found("auth config"))?;
    Ok(axum::Json(AuthConfigView::of(&app, &caller.scope.account, config)))
}

/// Delete one: what was granted to it works until it ends, and then the users connect again.
#[utoipa::path(delete, path = "/api/auth-configs/{authConfigId}", tag = "Administration", operation_id = "delete-auth-config",
    params(("authConfigId" = String, Path, description = "Auth config ID")),
    responses((status = 200, description = "Deleted", body = Removed), (status = 401, description = "Not authenticated"),
        (status = 403, description = "Not for your role"), (status = 404, description = "No such auth config")))]
async fn delete(State(app): State<App>, Management(caller): Management, Path(id): Path<String>) -> Result<axum::Json<Removed>> {
    caller.require_admin()?;
    if !app.store.delete_auth_config(&caller.scope.account, &id).await? {
        return Err(Error::not_found("auth config"));
    }
    Ok(Removed::answer("Auth config deleted", id))
}

/// Where browsers may be sent after connecting.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RedirectUris {
    /// Whole addresses: a `redirectUri` must be one of them, character by character.
    redirect_uris: Vec<String>,
}

/// List the addresses that browsers may be sent to after connecting.
#[utoipa::path(get, path = "/api/redirect-uris", tag = "Administration", operation_id = "get-redirect-uris",
    responses((status = 200, description = "The addresses", body = RedirectUris), (status = 401, description = "Not authenticated"),
        (status = 403, description = "Not for your role")))]
async fn redirect_uris(State(app): State<App>, Management(caller): Management) -> Result<axum::Json<RedirectUris>> {
    caller.require_admin()?;
    Ok(axum::Json(RedirectUris { redirect_uris: app.store.redirect_uris(&caller.scope.account).await? }))
}

/// Replace the list of addresses that browsers may be sent to after connecting.
#[utoipa::path(put, path = "/api/redirect-uris", tag = "Administration", operation_id = "set-redirect-uris", request_body = RedirectUris,
    responses((status = 200, description = "The addresses", body = RedirectUris), (status = 400, description = "One of them is wrong"),
        (status = 401, description = "Not authenticated"), (status = 403, description = "Not for your role")))]
async fn set_redirect_uris(
    State(app): State<App>,
    Management(caller): Management,
    Json(new, ..): Json<RedirectUris>,
) -> Result<axum::Json<RedirectUris>> {
    caller.require_admin()?;
    if new.redirect_uris.len() > MAX_URIS {
        return Err(Error::invalid("redirectUris", format!("`redirectUris` may hold at most {MAX_URIS} addresses.")));
    }
    for (n, uri) in new.redirect_uris.iter().enumerate() {
        let parsed = for_browser(uri, &app.config.egress_allow);
        if uri.len() > 2_000 || !parsed.is_ok_and(|url| url.fragment().is_none()) {
            let sentence = "Each address must be https (http on loopback where the operator allows calls to it), without user name and fragment, \
                            and at most 2,000 bytes.";
            return Err(Error::invalid(&format!("redirectUris[{n}]"), sentence));
        }
    }
    app.store.set_redirect_uris(&caller.scope.account, &new.redirect_uris).await?;
    Ok(axum::Json(RedirectUris { redirect_uris: app.store.redirect_uris(&caller.scope.account).await? }))
}
