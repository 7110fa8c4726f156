//! `/api/keys`: API keys. Shown once, kept as SHA-256.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::answers::{Created, Removed};
use crate::{
    api_key::Made,
    app::App,
    auth::check_user_id,
    clock::{now_ms, rfc3339},
    error::{Error, Kind, Result},
    request::{Json, Management, Path, present},
    store::{
        Scope,
        api_keys::{ApiKey, Role},
    },
};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(revoke))
}

/// A key, as answers show it.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    id: String,
    name: String,
    /// The user it acts as.
    user_id: String,
    role: Role,
    /// The key itself, shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// How the key begins.
    hint: String,
    created_at: String,
    /// null = never.
    expires_at: Option<String>,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name,
            user_id: key.user.to_string(),
            role: key.role,
            key: None,
            hint: key.hint,
            created_at: rfc3339(key.created_at),
            expires_at: key.expires_at.map(rfc3339),
        }
    }
}

/// What may be sent to make a key.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewKey {
    /// 1 to 100 characters.
    name: Option<String>,
    /// The user it acts as; absent = you.
    user_id: Option<String>,
    /// Absent = `member`.
    role: Option<Role>,
    /// 1 to 3,650; absent or null = never.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 3650)]
    expires_in_days: Option<Option<i64>>,
}

/// The living keys.
#[derive(Serialize, utoipa::ToSchema)]
pub struct KeyList {
    keys: Vec<KeyView>,
    count: usize,
}

/// Make an API key. Only admins make keys for other users, or admin keys.
#[utoipa::path(post, path = "/api/keys", tag = "Administration", operation_id = "create-key", request_body = NewKey,
    responses((status = 201, description = "The key, shown this once", body = KeyView), (status = 400, description = "A field is wrong"),
        (status = 401, description = "Not authenticated"), (status = 403, description = "Not for your role"),
        (status = 409, description = "The user or the account has as many keys as it may have")))]
async fn create(State(app): State<App>, Management(caller): Management, Json(new, ..): Json<NewKey>) -> Result<Created<KeyView>> {
    caller.require_key()?;
    let name = new.name.unwrap_or_else(|| "API key".to_owned());
    if name.trim().is_empty() || name.chars().count() > 100 {
        return Err(Error::invalid("name", "`name` must have 1 to 100 characters."));
    }
    let role = new.role.unwrap_or(Role::Member);
    let user: std::sync::Arc<str> = match new.user_id {
        Some(user) => {
            check_user_id("userId", &user)?;
            user.into()
        }
        None => caller.scope.user.clone(),
    };
    if role == Role::Admin || user != caller.scope.user {
        caller.require_admin()?;
    }
    let expires_at = match new.expires_in_days.flatten() {
        None => None,
        Some(days) if (1..=3_650).contains(&days) => Some(now_ms() + days * 24 * 60 * 60 * 1000),
        Some(_) => {
            return Err(Error::invalid("expiresInDays", "`expiresInDays` must be a whole number from 1 to 3,650, or null for never."));
        }
    };
    let made = Made::new();
    let scope = Scope { account: caller.scope.account.clone(), user };
    app.store.create_api_key(&scope, &made.as_new(&name, role, expires_at)).await?;
    let view = KeyView {
        id: made.id.clone(),
        name,
        user_id: scope.user.to_string(),
        role,
        key: Some(made.text.expose().to_owned()),
        hint: made.hint,
        created_at: rfc3339(now_ms()),
        expires_at: expires_at.map(rfc3339),
    };
    Ok(Created(made.id, view))
}

/// List the living keys: the account's for an admin, else your own.
#[utoipa::path(get, path = "/api/keys", tag = "Administration", operation_id = "list-keys",
    responses((status = 200, description = "Keys", body = KeyList), (status = 401, description = "Not authenticated")))]
async fn list(State(app): State<App>, Management(caller): Management) -> Result<axum::Json<KeyList>> {
    let keys = app.store.list_api_keys(&caller.scope, caller.role == Role::Admin).await?;
    let keys: Vec<KeyView> = keys.into_iter().map(KeyView::from).collect();
    Ok(axum::Json(KeyList { count: keys.len(), keys }))
}

/// End a key at once.
#[utoipa::path(delete, path = "/api/keys/{keyId}", tag = "Administration", operation_id = "revoke-key",
    params(("keyId" = String, Path, description = "Key ID")),
    responses((status = 200, description = "Revoked", body = Removed), (status = 401, description = "Not authenticated"),
        (status = 403, description = "Not for your role"), (status = 404, description = "No such key"), (status = 409, description = "It is the last admin key")))]
async fn revoke(State(app): State<App>, Management(caller): Management, Path(id): Path<String>) -> Result<axum::Json<Removed>> {
    let whole_account = caller.role == Role::Admin;
    caller.require_key()?;
    if !app.store.revoke_api_key(&caller.scope, whole_account, &id).await? {
        let keys = app.store.list_api_keys(&caller.scope, whole_account).await?;
        return Err(match keys.iter().find(|key| key.id == id) {
            None => Error::not_found("key"),
            Some(_) if whole_account => {
                Error::new(Kind::Conflict, "This is the account's last admin key; make another one first, or nobody could get in again.")
            }
            Some(_) => Error::new(Kind::Forbidden, "This is an admin key; only an admin ends it."),
        });
    }
    Ok(Removed::answer("Key revoked", id))
}
