//! `/api/accounts`: tenants. Only the operator (an admin key of the account `default`) gets in.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::answers::{Created, Removed};
use crate::{
    api_key::Made,
    app::App,
    clock::rfc3339,
    error::{Error, Kind, Result},
    request::{Json, Management, Path},
    store::{Change, accounts::DEFAULT_ACCOUNT, api_keys::Role},
};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(delete))
}

/// A tenant, as answers show it.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountView {
    id: String,
    name: String,
    /// The account's first admin key, shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
}

/// What may be sent to make an account.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// 1 to 64 of `a-z`, `0-9`, `-`.
    id: Option<String>,
    /// Display name; absent = the id.
    name: Option<String>,
}

/// All tenants.
#[derive(Serialize, utoipa::ToSchema)]
pub struct AccountList {
    accounts: Vec<AccountView>,
    count: usize,
}

/// Make an account. Its first admin key acts as user `admin` and is shown this once.
#[utoipa::path(post, path = "/api/accounts", tag = "Administration", operation_id = "create-account", request_body = NewAccount,
    responses((status = 201, description = "Created", body = AccountView), (status = 400, description = "A field is wrong"),
        (status = 401, description = "Not authenticated"), (status = 403, description = "Not the operator"), (status = 409, description = "The id is taken")))]
async fn create(State(app): State<App>, Management(caller): Management, Json(new, ..): Json<NewAccount>) -> Result<Created<AccountView>> {
    caller.require_operator()?;
    let id = new.id.unwrap_or_default();
    if id.is_empty() || id.len() > 64 || !id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return Err(Error::invalid("id", "`id` must have 1 to 64 characters of a-z, 0-9 and `-`."));
    }
    let name = new.name.unwrap_or_else(|| id.clone());
    if name.trim().is_empty() || name.chars().count() > 100 {
        return Err(Error::invalid("name", "`name` must have 1 to 100 characters."));
    }
    let made = Made::new();
    app.store.create_account(&id, &name, "admin", &made.as_new("First admin key", Role::Admin, None)).await?;
    let view = AccountView { id: id.clone(), name, admin_key: Some(made.text.expose().to_owned()), created_at: None };
    Ok(Created(id, view))
}

/// List all accounts.
#[utoipa::path(get, path = "/api/accounts", tag = "Administration", operation_id = "list-accounts",
    responses((status = 200, description = "Accounts", body = AccountList), (status = 401, description = "Not authenticated"),
        (status = 403, description = "Not the operator")))]
async fn list(State(app): State<App>, Management(caller): Management) -> Result<axum::Json<AccountList>> {
    caller.require_operator()?;
    let accounts: Vec<AccountView> = app
        .store
        .accounts()
        .await?
        .into_iter()
        .map(|account| AccountView { id: account.id, name: account.name, admin_key: None, created_at: Some(rfc3339(account.created_at)) })
        .collect();
    Ok(axum::Json(AccountList { count: accounts.len(), accounts }))
}

/// Delete an account with everything that it owns. There is no way back.
#[utoipa::path(delete, path = "/api/accounts/{accountId}", tag = "Administration", operation_id = "delete-account",
    params(("accountId" = String, Path, description = "Account ID")),
    responses((status = 200, description = "Deleted", body = Removed), (status = 401, description = "Not authenticated"),
        (status = 403, description = "Not the operator"), (status = 404, description = "No such account"),
        (status = 409, description = "The account `default` stays")))]
async fn delete(State(app): State<App>, Management(caller): Management, Path(id): Path<String>) -> Result<axum::Json<Removed>> {
    caller.require_operator()?;
    if id == DEFAULT_ACCOUNT {
        return Err(Error::new(Kind::Conflict, "The account `default` is the operator's and cannot be deleted."));
    }
    let (leaving, signed_in) = (app.grants.leaving(&id, None).await?, app.store.upstream_grants_of_account(&id).await?);
    if !app.store.delete_account(&id).await? {
        return Err(Error::not_found("account"));
    }
    app.grants.revoke_later(leaving);
    app.reads.forget_all();
    app.store.forget_upstream_grants(&signed_in);
    app.upstreams.end_grants(signed_in);
    app.upstreams.end_scope(&id, None);
    app.announce(Change::People(id.as_str().into()));
    Ok(Removed::answer("Account deleted", id))
}
