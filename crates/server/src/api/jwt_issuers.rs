//! `/api/jwt-issuers`: whose signatures on user tokens the account believes: HS256 secrets, or public keys at an address.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::answers::{Created, Removed};
use crate::{
    app::App,
    clock::{random_slug, rfc3339},
    config::EDITABLE,
    error::{Error, Kind, Result},
    oauth::for_browser,
    request::{Json, Management, Path},
    store::issuers::{Issuer, MAX_NAME, NewIssuer},
};

/// A shorter HS256 secret than its hash is not accepted (RFC 7518 section 3.2), in bytes.
const MIN_SECRET: usize = 32;
/// Longest address of keys, in bytes.
const MAX_URL: usize = 2_000;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(delete))
}

/// An issuer, as answers show it; never its secret.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct IssuerView {
    id: String,
    /// Must equal the token's `iss`; null matches only tokens without one.
    issuer: Option<String>,
    audience: Option<String>,
    user_claim: Option<String>,
    /// Where its public keys are; null for an HS256 secret.
    jwks_url: Option<String>,
    created_at: String,
}

impl From<&Issuer> for IssuerView {
    fn from(issuer: &Issuer) -> Self {
        Self {
            id: issuer.id.clone(),
            issuer: issuer.issuer.clone(),
            audience: issuer.audience.clone(),
            user_claim: issuer.user_claim.clone(),
            jwks_url: issuer.jwks_url.clone(),
            created_at: rfc3339(issuer.created_at),
        }
    }
}

/// What may be sent to make an issuer.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IssuerBody {
    /// Must equal the token's `iss`; absent or null matches only tokens without one.
    issuer: Option<String>,
    /// The HS256 secret: 32 bytes or more.
    #[schema(min_length = 32)]
    secret: Option<String>,
    /// Instead of a secret: where the issuer's public keys are (JWKS, RFC 7517). They are fetched when the first token comes.
    jwks_url: Option<String>,
    /// Must be in the token's `aud`, when set.
    audience: Option<String>,
    /// The claim that names the user; absent = `userId`, else `sub`. With `jwksUrl` none that users may edit; `email` counts where it is verified.
    user_claim: Option<String>,
}

/// The account's issuers.
#[derive(Serialize, utoipa::ToSchema)]
pub struct IssuerList {
    issuers: Vec<IssuerView>,
    count: usize,
}

/// Name an issuer of user tokens (`x-alloy-user-token`).
#[utoipa::path(post, path = "/api/jwt-issuers", tag = "Administration", operation_id = "create-jwt-issuer", request_body = IssuerBody,
    responses((status = 201, description = "Created", body = IssuerView), (status = 400, description = "A field is wrong"),
        (status = 401, description = "Not authenticated"), (status = 403, description = "Not for your role"),
        (status = 409, description = "The account has 100 issuers")))]
async fn create(State(app): State<App>, Management(caller): Management, Json(new, ..): Json<IssuerBody>) -> Result<Created<IssuerView>> {
    caller.require_admin()?;
    check_keys(&app, &new)?;
    for (field, value) in [("issuer", &new.issuer), ("audience", &new.audience), ("userClaim", &new.user_claim)] {
        if value.as_ref().is_some_and(|value| value.is_empty() || value.len() > MAX_NAME) {
            return Err(Error::invalid(field, format!("`{field}` must have 1 to 1,000 bytes, or be absent.")));
        }
    }
    if new.jwks_url.is_some() && new.user_claim.as_deref().is_some_and(|claim| EDITABLE.contains(&claim)) {
        let sentence = "`userClaim` must not be one that users may edit at the issuer, because they would choose who they are here. Use `sub`, or \
                        a claim that the issuer alone sets; `email` counts where `email_verified` is true.";
        return Err(Error::invalid("userClaim", sentence));
    }
    if app.store.issuers(&caller.scope.account).await?.len() >= 100 {
        return Err(Error::new(Kind::Conflict, "An account may have at most 100 issuers; delete one first."));
    }
    let id = format!("iss_{}", random_slug(12));
    let kept = NewIssuer {
        id: &id,
        issuer: new.issuer.as_deref(),
        audience: new.audience.as_deref(),
        user_claim: new.user_claim.as_deref(),
        secret: new.secret.as_deref(),
        jwks_url: new.jwks_url.as_deref(),
    };
    let issuer = app.store.create_issuer(&caller.scope.account, &kept).await?;
    Ok(Created(id, IssuerView::from(&issuer)))
}

/// A secret or an address of keys: one of them, and usable.
fn check_keys(app: &App, new: &IssuerBody) -> Result<()> {
    match (&new.secret, &new.jwks_url) {
        (Some(_), Some(_)) => Err(Error::invalid("jwksUrl", "Give `secret` or `jwksUrl`, not both: a token is signed in one way.")),
        (Some(secret), None) if secret.len() >= MIN_SECRET => Ok(()),
        (_, None) => Err(Error::invalid(
            "secret",
            "`secret` must be the HS256 secret that signs your users' tokens: 32 bytes or more. Or give `jwksUrl`.",
        )),
        (None, Some(url)) if url.len() <= MAX_URL && for_browser(url, &app.config.egress_allow).is_ok() => Ok(()),
        (None, Some(_)) => Err(Error::invalid(
            "jwksUrl",
            "`jwksUrl` must be the https address of the issuer's public keys, without user name, at most 2,000 bytes.",
        )),
    }
}

/// List the account's issuers.
#[utoipa::path(get, path = "/api/jwt-issuers", tag = "Administration", operation_id = "list-jwt-issuers",
    responses((status = 200, description = "Issuers", body = IssuerList), (status = 401, description = "Not authenticated"),
        (status = 403, description = "Not for your role")))]
async fn list(State(app): State<App>, Management(caller): Management) -> Result<axum::Json<IssuerList>> {
    caller.require_admin()?;
    let issuers: Vec<IssuerView> = app.store.issuers(&caller.scope.account).await?.iter().map(IssuerView::from).collect();
    Ok(axum::Json(IssuerList { count: issuers.len(), issuers }))
}

/// Stop believing an issuer: its tokens stop working at once.
#[utoipa::path(delete, path = "/api/jwt-issuers/{issuerId}", tag = "Administration", operation_id = "delete-jwt-issuer",
    params(("issuerId" = String, Path, description = "Issuer ID")),
    responses((status = 200, description = "Deleted", body = Removed), (status = 401, description = "Not authenticated"),
        (status = 403, description = "Not for your role"), (status = 404, description = "No such issuer")))]
async fn delete(State(app): State<App>, Management(caller): Management, Path(id): Path<String>) -> Result<axum::Json<Removed>> {
    caller.require_admin()?;
    if !app.store.delete_issuer(&caller.scope.account, &id).await? {
        return Err(Error::not_found("issuer"));
    }
    Ok(Removed::answer("Issuer deleted", id))
}
