//! `/api/v1/user-mcp-servers`: MCP servers that users register. Source: Splox's API.

mod body;
mod import;
mod view;

use amalgam_vault::Secret;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::body::UpstreamBody;
pub use self::view::UpstreamView;
use super::answers::Created;
use crate::{
    app::App,
    auth::{Caller, check_user_id},
    catalogue::is_reserved,
    clock::{now_ms, random_slug, rfc3339, uuid7},
    connect::{Asked, sign_in_link, signed_in},
    error::{Error, Kind, Result},
    request::{Json, Management, Path},
    store::{
        Change, Scope,
        upstreams::{Auth, Registered, Settings, Transport, Upstream},
    },
};

/// Most upstreams of one user.
const MAX_EACH: usize = 1_000;
/// Most upstreams of one account.
const MAX_ALL: usize = 10_000;
/// Longest slug, so that names of tools have room beside it.
const MAX_SLUG: usize = 40;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, update, delete))
        .routes(routes!(tools))
        .routes(routes!(sign_in))
        .routes(routes!(import::import))
}

/// The caller's MCP servers.
#[derive(Serialize, utoipa::ToSchema)]
pub struct UpstreamList {
    servers: Vec<UpstreamView>,
    total: usize,
}

/// Register an MCP server.
#[utoipa::path(post, path = "/api/v1/user-mcp-servers", tag = "MCP Servers", operation_id = "create-user-mcp-server", request_body = UpstreamBody,
    responses((status = 201, description = "Registered; `status` and `problem` say whether it answers", body = UpstreamView),
        (status = 400, description = "A field is wrong"), (status = 401, description = "Not authenticated")))]
async fn create(
    State(app): State<App>,
    Management(caller): Management,
    Json(body, ..): Json<UpstreamBody>,
) -> Result<Created<UpstreamView>> {
    let id = register(&app, &caller, body).await?;
    let registered = ask(&app, &caller, &id).await?;
    Ok(Created(registered.upstream.id.clone(), UpstreamView::of(&app, &registered).await?))
}

/// Keeps a new upstream; returns its id.
async fn register(app: &App, caller: &Caller, body: UpstreamBody) -> Result<String> {
    caller.require_key()?;
    let all = app.store.upstreams(&caller.scope.account).await?;
    let own = all.values().filter(|registered| registered.upstream.owner == caller.scope).count();
    if own >= MAX_EACH || all.len() >= MAX_ALL {
        return Err(Error::new(Kind::Conflict, format!("You may register at most {MAX_EACH} MCP servers; delete one first.")));
    }
    let now = now_ms();
    let mut upstream = Upstream {
        id: uuid7(),
        owner: caller.scope.clone(),
        slug: String::new(),
        name: String::new(),
        url: String::new(),
        transport: Transport::StreamableHttp,
        auth: Auth::None,
        sealed: None,
        end_user: None,
        settings: Settings::default(),
        offered_at: None,
        created_at: now,
        updated_at: now,
    };
    let entered = body.apply(caller, &mut upstream, true)?.flatten();
    let entered = bound(app, &upstream, entered).await?;
    upstream.slug = slug(app, caller, &upstream.name).await?;
    app.store.create_upstream(&mut upstream, entered.as_ref()).await?;
    Ok(upstream.id)
}

/// What was entered, where it is a client of OAuth with the one authorization server that knows it.
async fn bound(app: &App, upstream: &Upstream, entered: Option<Secret>) -> Result<Option<Secret>> {
    match entered {
        Some(entered) if upstream.auth == Auth::Oauth => app.upstreams.bound(upstream, entered).await.map(Some),
        entered => Ok(entered),
    }
}

/// Asks an upstream what it offers. One that does not answer is registered all the same: it may be down at the moment.
async fn ask(app: &App, caller: &Caller, id: &str) -> Result<std::sync::Arc<Registered>> {
    let registered = app.store.upstream(&caller.scope, id).await?;
    if let Err(error) = app.upstreams.refresh(&registered.upstream).await {
        tracing::info!(upstream = id, %error, "a registered MCP server does not say what it offers");
    }
    app.announce(Change::Connectors(caller.scope.account.clone()));
    app.store.upstream(&caller.scope, id).await
}

/// The id of the connector: from the name, and not one that anything else in the account has. What has it is not said.
async fn slug(app: &App, caller: &Caller, name: &str) -> Result<String> {
    let mut slug = String::new();
    for c in name.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(MAX_SLUG);
    let slug = match slug.trim_end_matches('-') {
        "" => "mcp",
        slug => slug,
    };
    let (connectors, upstreams) = (app.store.connectors(&caller.scope.account).await?, app.store.upstreams(&caller.scope.account).await?);
    let is_free = |slug: &str| !is_reserved(&app.store, slug) && !connectors.contains_key(slug) && !upstreams.contains_key(slug);
    Ok(if is_free(slug) { slug.to_owned() } else { format!("{slug}-{}", random_slug(6)) })
}

/// List your MCP servers, oldest first.
#[utoipa::path(get, path = "/api/v1/user-mcp-servers", tag = "MCP Servers", operation_id = "list-user-mcp-servers",
    responses((status = 200, description = "MCP servers", body = UpstreamList), (status = 401, description = "Not authenticated")))]
async fn list(State(app): State<App>, Management(caller): Management) -> Result<axum::Json<UpstreamList>> {
    let servers = UpstreamView::all(&app, &own(&app, &caller).await?).await?;
    Ok(axum::Json(UpstreamList { total: servers.len(), servers }))
}

/// The upstreams that the caller owns.
pub async fn own(app: &App, caller: &Caller) -> Result<Vec<std::sync::Arc<Registered>>> {
    let all = app.store.upstreams(&caller.scope.account).await?;
    Ok(all.values().filter(|registered| registered.upstream.owner == caller.scope).cloned().collect())
}

/// Show one of your MCP servers: what it offers, how it is doing, what is wrong.
#[utoipa::path(get, path = "/api/v1/user-mcp-servers/{mcpServerId}", tag = "MCP Servers", operation_id = "get-user-mcp-server",
    params(("mcpServerId" = String, Path, description = "MCP server ID")),
    responses((status = 200, description = "The MCP server", body = UpstreamView), (status = 401, description = "Not authenticated"),
        (status = 404, description = "No such MCP server")))]
async fn get(State(app): State<App>, Management(caller): Management, Path(id): Path<String>) -> Result<axum::Json<UpstreamView>> {
    let registered = app.store.upstream(&caller.scope, &id).await?;
    Ok(axum::Json(UpstreamView::of(&app, &registered).await?))
}

/// Change one of your MCP servers. Fields that are not sent stay as they are.
#[utoipa::path(patch, path = "/api/v1/user-mcp-servers/{mcpServerId}", tag = "MCP Servers", operation_id = "update-user-mcp-server",
    params(("mcpServerId" = String, Path, description = "MCP server ID")), request_body = UpstreamBody,
    responses((status = 200, description = "Changed", body = UpstreamView), (status = 400, description = "A field is wrong"),
        (status = 401, description = "Not authenticated"), (status = 404, description = "No such MCP server"),
        (status = 409, description = "It was changed by somebody else at the same time")))]
async fn update(
    State(app): State<App>,
    Management(caller): Management,
    Path(id): Path<String>,
    Json(body, ..): Json<UpstreamBody>,
) -> Result<axum::Json<UpstreamView>> {
    caller.require_key()?;
    let before = app.store.upstream(&caller.scope, &id).await?;
    let mut upstream = (*before.upstream).clone();
    let entered = body.apply(&caller, &mut upstream, false)?;
    let is_elsewhere = upstream.url != before.upstream.url;
    if is_elsewhere && entered.is_none() && upstream.sealed.is_some() {
        // Secrets were entered for the old address and are sent nowhere else.
        return Err(Error::invalid(
            "auth_config",
            "With a new `url`, send `auth_config` again: what it holds was entered for the old address.",
        ));
    }
    // With another credential it offers what it offered last until it says something else.
    let is_other = is_elsewhere || upstream.transport != before.upstream.transport;
    if let Some(entered) = entered {
        let seal = |entered| app.store.seal_headers(&upstream.owner, &upstream.id, entered);
        upstream.sealed = bound(&app, &upstream, entered).await?.as_ref().map(seal).transpose()?;
    }
    // Tokens were granted for the old address, or to another client.
    let ended = match is_elsewhere || !app.upstreams.has_same_client(&before.upstream, &upstream)? {
        true => app.store.upstream_grants_at(&before.upstream).await?,
        false => Vec::new(),
    };
    upstream.updated_at = now_ms().max(upstream.updated_at + 1);
    if !app.store.update_upstream(&upstream, is_other, before.upstream.updated_at).await? {
        return Err(Error::new(
            Kind::Conflict,
            "The MCP server was changed by somebody else at the same time; read it and send your change again.",
        ));
    }
    app.store.delete_upstream_grants(&ended).await?;
    app.upstreams.forget(&upstream);
    app.upstreams.end_grants(ended);
    let registered = ask(&app, &caller, &id).await?;
    Ok(axum::Json(UpstreamView::of(&app, &registered).await?))
}

/// Delete one of your MCP servers.
#[utoipa::path(delete, path = "/api/v1/user-mcp-servers/{mcpServerId}", tag = "MCP Servers", operation_id = "delete-user-mcp-server",
    params(("mcpServerId" = String, Path, description = "MCP server ID")),
    responses((status = 200, description = "`{status: \"deleted\"}`", body = Object), (status = 401, description = "Not authenticated"),
        (status = 404, description = "No such MCP server")))]
async fn delete(State(app): State<App>, Management(caller): Management, Path(id): Path<String>) -> Result<axum::Json<Value>> {
    remove(&app, &caller, &id).await.map(axum::Json)
}

/// Removes an upstream and ends what is open to it.
pub async fn remove(app: &App, caller: &Caller, id: &str) -> Result<Value> {
    caller.require_key()?;
    let registered = app.store.upstream(&caller.scope, id).await?;
    if registered.upstream.transport == Transport::Stdio {
        return Err(Error::new(
            Kind::Forbidden,
            "This MCP server is a process of the operator's configuration; only the operator can remove it, there.",
        ));
    }
    let ended = app.store.upstream_grants_at(&registered.upstream).await?;
    app.store.delete_upstream(&caller.scope, id).await?;
    app.store.forget_upstream_grants(&ended);
    app.upstreams.forget(&registered.upstream);
    app.upstreams.end_grants(ended);
    app.announce(Change::Connectors(caller.scope.account.clone()));
    Ok(json!({ "status": "deleted" }))
}

/// The longest identity token, in bytes.
const MAX_ID_TOKEN: usize = 16 * 1024;

/// For whom a link to sign in is.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SignInBody {
    /// One of your end users; absent = you.
    end_user_id: Option<String>,
    /// Where the browser goes afterwards: an address on the account's list.
    redirect_uri: Option<String>,
    /// With the `grant_type` `id_jag`: an identity token (OpenID Connect) of the user, in the place of a browser.
    id_token: Option<String>,
}

/// Where a user signs in.
#[derive(Default, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignInLink {
    /// The user can call it now, because an identity token was enough.
    signed_in: bool,
    /// For a browser.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

/// Make the link by which you, or one of your end users, sign in to an MCP server with `auth_type` "oauth". Good once, for 10 minutes. With an
/// identity token, the user is signed in at once.
#[utoipa::path(post, path = "/api/v1/user-mcp-servers/{mcpServerId}/sign-in", tag = "MCP Servers", operation_id = "sign-in-user-mcp-server",
    params(("mcpServerId" = String, Path, description = "MCP server ID")), request_body = Option<SignInBody>,
    responses((status = 200, description = "The link", body = SignInLink), (status = 400, description = "It wants no sign-in, or a field is wrong"),
        (status = 401, description = "Not authenticated"), (status = 403, description = "A user token is not enough"),
        (status = 404, description = "No such MCP server")))]
async fn sign_in(
    State(app): State<App>,
    Management(caller): Management,
    Path(id): Path<String>,
    body: Option<Json<SignInBody>>,
) -> Result<axum::Json<SignInLink>> {
    caller.require_key()?;
    let registered = app.store.upstream(&caller.scope, &id).await?;
    let SignInBody { end_user_id, redirect_uri, id_token } = body.map(|Json(body, ..)| body).unwrap_or_default();
    let user = match end_user_id {
        Some(user) => {
            check_user_id("endUserId", &user)?;
            Scope { account: caller.scope.account.clone(), user: user.into() }
        }
        None => caller.scope.clone(),
    };
    if id_token.as_ref().is_some_and(|token| !(1..=MAX_ID_TOKEN).contains(&token.len())) {
        return Err(Error::invalid("idToken", format!("`idToken` must be an identity token of at most {MAX_ID_TOKEN} bytes.")));
    }
    if let Some(identity) = id_token {
        if registered.upstream.auth != Auth::Oauth {
            return Err(Error::invalid("idToken", "Only an MCP server whose `auth_type` is \"oauth\" is signed in to."));
        }
        let upstream = app.store.upstream_for(&registered.upstream, &user.user).await?;
        app.upstreams.sign_in_by_identity(&upstream, &Secret::new(identity)).await?;
        signed_in(&app, &upstream).await;
        return Ok(axum::Json(SignInLink { signed_in: true, ..SignInLink::default() }));
    }
    let asked = Asked { redirect_uri, ..Asked::of(&caller) };
    let link = sign_in_link(&app, &user, &registered.upstream, &asked).await?;
    Ok(axum::Json(SignInLink { signed_in: false, url: Some(link.url), expires_at: Some(rfc3339(link.expires_at)) }))
}

/// List the tools of one of your MCP servers; `value` is what `tool_slug` of an execution names.
#[utoipa::path(get, path = "/api/v1/user-mcp-servers/{mcpServerId}/tools", tag = "MCP Servers", operation_id = "list-user-mcp-server-tools",
    params(("mcpServerId" = String, Path, description = "MCP server ID")),
    responses((status = 200, description = "`{options: [{label, value}], total, limit}`", body = Object), (status = 401, description = "Not authenticated"),
        (status = 404, description = "No such MCP server"), (status = 502, description = "The MCP server has never said what it offers, and does not now")))]
async fn tools(State(app): State<App>, Management(caller): Management, Path(id): Path<String>) -> Result<axum::Json<Value>> {
    let mut registered = app.store.upstream(&caller.scope, &id).await?;
    if registered.upstream.offered_at.is_none() {
        app.upstreams.refresh(&registered.upstream).await?;
        registered = app.store.upstream(&caller.scope, &id).await?;
    } else {
        app.upstreams.freshen(&caller.scope, Some(std::slice::from_ref(&registered.upstream.slug))).await?;
    }
    let options: Vec<Value> = registered
        .loaded
        .connector
        .summaries()
        .map(|(id, action)| {
            let label = if action.name.is_empty() { &**id } else { action.name.as_str() };
            json!({ "label": label, "value": id })
        })
        .collect();
    Ok(axum::Json(json!({ "total": options.len(), "limit": options.len(), "options": options })))
}
