//! `/users`: end users of the account. Source: section 9 of the Alloy reference.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{answers::Created, credentials::CredentialView};
use crate::{
    app::App,
    clock::rfc3339,
    error::{Error, Result},
    request::{Json, PageQuery, Path, Query, Twin},
    store::{Scope, users::User},
};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, delete)).routes(routes!(credentials))
}

/// A registered user, as answers show it.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserView {
    /// 24 hex characters; send it as `x-alloy-userid`.
    user_id: String,
    username: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    full_name: Option<String>,
    created_at: String,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self { user_id: user.id, username: user.username, full_name: user.full_name, created_at: rfc3339(user.created_at) }
    }
}

/// What may be sent to register a user.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewUser {
    /// 1 to 1,000 characters, unique in the account.
    username: Option<String>,
    full_name: Option<String>,
}

/// A page of users.
#[derive(Serialize, utoipa::ToSchema)]
pub struct UserList {
    users: Vec<UserView>,
    /// How many there are in all.
    count: i64,
}

/// Register a user. Any string works as a user id without this; registering makes an id and keeps a name.
#[utoipa::path(post, path = "/users", tag = "Users", operation_id = "create-user", request_body = NewUser,
    responses((status = 201, description = "Registered", body = UserView), (status = 400, description = "A field is wrong"),
        (status = 401, description = "Not authenticated"), (status = 403, description = "Not for your role"), (status = 409, description = "The name is taken, or the account has as many users as it may have")))]
async fn create(State(app): State<App>, twin: Twin, Json(new, ..): Json<NewUser>) -> Result<Created<UserView>> {
    twin.caller.require_admin()?;
    let username = new.username.unwrap_or_default();
    if username.trim().is_empty() || username.chars().count() > 1_000 {
        return Err(Error::invalid("username", "`username` must have 1 to 1,000 characters."));
    }
    if new.full_name.as_ref().is_some_and(|name| name.chars().count() > 1_000) {
        return Err(Error::invalid("fullName", "`fullName` may have at most 1,000 characters."));
    }
    let user = app.store.create_user(&twin.caller.scope.account, &username, new.full_name.as_deref()).await?;
    Ok(Created(user.id.clone(), user.into()))
}

/// List the registered users.
#[utoipa::path(get, path = "/users", tag = "Users", operation_id = "list-users", params(PageQuery),
    responses((status = 200, description = "A page of users", body = UserList), (status = 401, description = "Not authenticated"),
        (status = 403, description = "Not for your role")))]
async fn list(State(app): State<App>, twin: Twin, Query(query): Query<PageQuery>) -> Result<axum::Json<UserList>> {
    twin.caller.require_admin()?;
    let (users, count) = app.store.list_users(&twin.caller.scope.account, query.page()?).await?;
    Ok(axum::Json(UserList { users: users.into_iter().map(UserView::from).collect(), count }))
}

/// Show a registered user.
#[utoipa::path(get, path = "/users/{userId}", tag = "Users", operation_id = "get-user", params(("userId" = String, Path, description = "User ID")),
    responses((status = 200, description = "The user", body = UserView), (status = 401, description = "Not authenticated"),
        (status = 404, description = "No such user")))]
async fn get(State(app): State<App>, twin: Twin, Path(id): Path<String>) -> Result<axum::Json<UserView>> {
    let scope = twin.caller.scope_of(&id)?;
    app.store.user(&scope.account, &id).await.map(|user| axum::Json(user.into()))
}

/// What is left of a user.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeletedUser)]
pub struct Deleted {
    message: &'static str,
    user_id: String,
}

/// Delete a user with its credentials and servers; its member keys are revoked.
#[utoipa::path(delete, path = "/users/{userId}", tag = "Users", operation_id = "delete-user", params(("userId" = String, Path, description = "User ID")),
    responses((status = 200, description = "Deleted", body = Deleted), (status = 401, description = "Not authenticated"),
        (status = 403, description = "Not for your role"), (status = 404, description = "No such user")))]
async fn delete(State(app): State<App>, twin: Twin, Path(id): Path<String>) -> Result<axum::Json<Deleted>> {
    twin.caller.require_admin()?;
    let scope = Scope { account: twin.caller.scope.account.clone(), user: id.as_str().into() };
    let granted = app.grants.of_user(&scope).await?;
    if !app.store.delete_user(&scope.account, &id).await? {
        return Err(Error::not_found("user"));
    }
    app.grants.revoke_later(scope, granted);
    Ok(axum::Json(Deleted { message: "User deleted", user_id: id }))
}

/// A user's credentials.
#[derive(Serialize, utoipa::ToSchema)]
pub struct UserCredentials {
    data: Vec<CredentialView>,
}

/// List a user's credentials for all connectors; never their secrets.
#[utoipa::path(get, path = "/users/{userId}/credentials", tag = "Users", operation_id = "list-user-credentials",
    params(("userId" = String, Path, description = "User ID")),
    responses((status = 200, description = "Credentials", body = UserCredentials), (status = 401, description = "Not authenticated"),
        (status = 404, description = "Not your user")))]
async fn credentials(State(app): State<App>, twin: Twin, Path(id): Path<String>) -> Result<axum::Json<UserCredentials>> {
    let scope = twin.caller.scope_of(&id)?;
    let server = twin.caller.server.as_deref();
    let all = app.store.all_credentials(&scope).await?;
    let data = all
        .iter()
        .filter(|credential| server.is_none_or(|server| server.restrictions.connector(&credential.connector).is_allowed()))
        .map(CredentialView::from)
        .collect();
    Ok(axum::Json(UserCredentials { data }))
}
