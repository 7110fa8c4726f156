//! `/users`: end users of the account. Source: Alloy's API.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{answers::Created, credentials::CredentialView};
use crate::{
    app::App,
    clock::rfc3339,
    error::{Error, Result},
    password,
    request::{Json, PageQuery, Path, Query, Twin},
    store::{
        Change, Scope,
        users::{self, User},
    },
};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, delete))
        .routes(routes!(set_password, delete_password))
        .routes(routes!(credentials))
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
    /// When its password was set; absent for one that cannot sign in with a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    password_set_at: Option<String>,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            user_id: user.id,
            username: user.username,
            full_name: user.full_name,
            created_at: rfc3339(user.created_at),
            password_set_at: user.password_at.map(rfc3339),
        }
    }
}

/// What may be sent to register a user.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewUser {
    /// 1 to 1,000 characters, unique in the account.
    username: Option<String>,
    full_name: Option<String>,
    /// An id that is in use already, such as that of a key's user: 1 to 200 characters. Absent makes a new one.
    #[schema(max_length = 200)]
    user_id: Option<String>,
    /// With it the user can sign in to MCP clients: 12 characters or more.
    #[schema(min_length = 12)]
    password: Option<String>,
}

/// What may be sent to set a password.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// 12 characters or more.
    #[schema(min_length = 12)]
    password: Option<String>,
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
    if new.user_id.as_ref().is_some_and(|id| id.trim().is_empty() || id.chars().count() > 200 || id.contains('\0')) {
        return Err(Error::invalid("userId", "`userId` must have 1 to 200 characters; leave it out to have one made."));
    }
    let hash = match new.password {
        Some(password) => Some(password::hash("password", password).await?),
        None => None,
    };
    let new =
        users::NewUser { id: new.user_id.as_deref(), username: &username, full_name: new.full_name.as_deref(), password: hash.as_deref() };
    let user = app.store.create_user(&twin.caller.scope.account, &new).await?;
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
    let account = twin.caller.scope.account.clone();
    let scope = Scope { account: account.clone(), user: id.as_str().into() };
    let own: Vec<_> = app.store.upstreams(&account).await?.values().filter(|own| own.upstream.owner == scope).cloned().collect();
    let (leaving, signed_in) = (app.grants.leaving(&account, Some(&id)).await?, app.store.upstream_grants_of(&scope).await?);
    if !app.store.delete_user(&account, &id).await? {
        return Err(Error::not_found("user"));
    }
    app.grants.revoke_later(leaving);
    app.store.forget_upstream_grants(&signed_in);
    app.upstreams.end_grants(signed_in);
    for registered in own {
        app.upstreams.forget(&registered.upstream);
    }
    app.upstreams.end_scope(&account, Some(&id));
    app.reads.forget_all();
    app.announce(Change::People(account));
    Ok(axum::Json(Deleted { message: "User deleted", user_id: id }))
}

/// Set a registered user's password, with which MCP clients sign it in. What clients were allowed before ends.
#[utoipa::path(put, path = "/users/{userId}/password", tag = "Users", operation_id = "set-user-password", request_body = NewPassword,
    params(("userId" = String, Path, description = "User ID")),
    responses((status = 200, description = "The user", body = UserView), (status = 400, description = "The password is too short"),
        (status = 401, description = "Not authenticated"), (status = 403, description = "Not for your role"), (status = 404, description = "No such user")))]
async fn set_password(
    State(app): State<App>,
    twin: Twin,
    Path(id): Path<String>,
    Json(new, ..): Json<NewPassword>,
) -> Result<axum::Json<UserView>> {
    twin.caller.require_admin()?;
    let account = &twin.caller.scope.account;
    app.store.user(account, &id).await?;
    let hash = password::hash("password", new.password.unwrap_or_default()).await?;
    app.store.set_password(account, &id, Some(&hash)).await?;
    app.store.user(account, &id).await.map(|user| axum::Json(user.into()))
}

/// Take a user's password away: it can no longer sign in with one, and what clients were allowed ends.
#[utoipa::path(delete, path = "/users/{userId}/password", tag = "Users", operation_id = "delete-user-password",
    params(("userId" = String, Path, description = "User ID")),
    responses((status = 200, description = "Taken away", body = Deleted), (status = 401, description = "Not authenticated"),
        (status = 403, description = "Not for your role"), (status = 404, description = "No such user")))]
async fn delete_password(State(app): State<App>, twin: Twin, Path(id): Path<String>) -> Result<axum::Json<Deleted>> {
    twin.caller.require_admin()?;
    if !app.store.set_password(&twin.caller.scope.account, &id, None).await? {
        return Err(Error::not_found("user"));
    }
    Ok(axum::Json(Deleted { message: "Password deleted", user_id: id }))
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
