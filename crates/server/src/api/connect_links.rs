//! `/api/connect-links`, and the page `/tools/connect` that such a link opens: an end user of an MCP server enters headers of their own.
//! Source: Splox's API.

use std::sync::Arc;

use amalgam_vault::{Secret, hash_token};
use askama::Template;
use axum::{body::Body, extract::State, response::Response, routing::get};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::form_urlencoded;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    auth::check_user_id,
    authorization_client,
    clock::{now_ms, rfc3339},
    connect::{self, Asked},
    error::{Error, Kind, Result},
    jwt::unverified,
    limits::bodies::Holder,
    page,
    request::{Json, Management, Query, RequestId, read_body},
    store::{
        Scope,
        audit::{Entry, shown},
        is_user_id,
        upstreams::{Auth, Registered, Transport},
    },
};

/// `iss` of a link's token.
const ISSUER: &str = "splox-mcp-connection";
/// A link is good for an hour.
const LIFE: i64 = 60 * 60;
/// Clocks may differ by this much, in seconds.
const SKEW: i64 = 60;
const MAX_FORM: usize = 512 * 1024;
/// Longest value of a header, in bytes.
const MAX_VALUE: usize = 16 * 1024;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(key))
}

/// The page, outside of the API's description: it is for browsers.
pub fn pages() -> OpenApiRouter<App> {
    OpenApiRouter::new().route("/tools/connect", get(show).post(submit))
}

/// The claims of a link.
#[derive(Serialize, Deserialize)]
struct Claims {
    mcp_server_id: String,
    owner_user_id: String,
    end_user_id: String,
    iss: String,
    iat: i64,
    exp: i64,
}

/// For which MCP server and end user.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkBody {
    /// One of your MCP servers.
    mcp_server_id: String,
    /// Any string of 1 to 10,000 characters.
    end_user_id: String,
}

/// A connect link.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkView {
    /// For the end user's browser.
    link: String,
    token: String,
    end_user_id: String,
    expires_at: String,
}

/// The key that signs your links.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ConnectLinkKey)]
pub struct KeyView {
    /// What the vendor's clients take as `credentials_encryption_key`. It signs connect links of your MCP servers and nothing else.
    key: String,
}

/// HS256 with the SHA-256 of this text, as the vendor's clients derive it.
fn signing_key(app: &App, owner: &Scope) -> Result<[u8; 32]> {
    let key = app.store.connect_key(owner)?;
    Ok(hash_token(&format!("mcp-connection-jwt:{}", key.expose())))
}

/// Make a link by which an end user connects to one of your MCP servers; it is good for an hour.
#[utoipa::path(post, path = "/api/connect-links", tag = "MCP Servers", operation_id = "create-connect-link", request_body = LinkBody,
    responses((status = 200, description = "The link", body = LinkView), (status = 400, description = "A field is wrong"),
        (status = 401, description = "Not authenticated"), (status = 403, description = "A user token is not enough"),
        (status = 404, description = "No such MCP server")))]
async fn create(State(app): State<App>, Management(caller): Management, Json(new, ..): Json<LinkBody>) -> Result<axum::Json<LinkView>> {
    caller.require_key()?;
    check_user_id("endUserId", &new.end_user_id)?;
    let registered = app.store.upstream(&caller.scope, &new.mcp_server_id).await?;
    if registered.upstream.transport == Transport::Stdio {
        return Err(Error::invalid("mcpServerId", "This MCP server is a process of the operator's: it takes no headers of end users."));
    }
    let now = now_ms() / 1_000;
    let claims = Claims {
        mcp_server_id: new.mcp_server_id,
        owner_user_id: caller.scope.user.to_string(),
        end_user_id: new.end_user_id,
        iss: ISSUER.to_owned(),
        iat: now,
        exp: now + LIFE,
    };
    let key = EncodingKey::from_secret(&signing_key(&app, &caller.scope)?);
    let token = encode(&Header::new(Algorithm::HS256), &claims, &key).map_err(Error::internal)?;
    Ok(axum::Json(LinkView {
        link: format!("{}/tools/connect?token={token}", app.base_url),
        token,
        end_user_id: claims.end_user_id,
        expires_at: rfc3339(claims.exp * 1_000),
    }))
}

/// Show the key that signs your connect links, for clients that sign them by themselves.
#[utoipa::path(get, path = "/api/connect-links/key", tag = "MCP Servers", operation_id = "get-connect-link-key",
    responses((status = 200, description = "The key", body = KeyView), (status = 401, description = "Not authenticated"),
        (status = 403, description = "A user token is not enough")))]
async fn key(State(app): State<App>, Management(caller): Management) -> Result<axum::Json<KeyView>> {
    caller.require_key()?;
    Ok(axum::Json(KeyView { key: app.store.connect_key(&caller.scope)?.expose().to_owned() }))
}

/// Where the link stands in the address.
#[derive(Deserialize)]
struct TokenQuery {
    #[serde(default)]
    token: String,
}

/// A query that cannot be read holds no link, and the page says so.
fn token(query: Result<Query<TokenQuery>>) -> String {
    query.map(|Query(query)| query.token).unwrap_or_default()
}

/// A link that somebody has opened.
struct Opened {
    registered: Arc<Registered>,
    user: Arc<str>,
    /// The headers that the MCP server wants.
    headers: Vec<String>,
}

impl Opened {
    /// The end user.
    fn scope(&self) -> Scope {
        Scope { account: self.registered.upstream.owner.account.clone(), user: self.user.clone() }
    }

    /// Whether the end user signs in, and enters no headers.
    fn signs_in(&self) -> bool {
        self.registered.upstream.auth == Auth::Oauth
    }

    fn asked(&self) -> Asked {
        Asked { caller: format!("link:{}", self.registered.upstream.id), ..Asked::default() }
    }
}

async fn open(app: &App, token: &str) -> Result<Opened> {
    let refused =
        || Error::new(Kind::Unauthorized, "This link is more than an hour old, or is not complete. Ask for a new one where you got it.");
    // Read before it is verified: it only says whose key must fit.
    let named = unverified(token).and_then(|claims| serde_json::from_value::<Claims>(claims.into()).ok()).ok_or_else(refused)?;
    let account = app.store.account_of_upstream(&named.mcp_server_id).await?.ok_or_else(refused)?;
    let owner = Scope { account, user: named.owner_user_id.into() };
    let mut validation = Validation::new(Algorithm::HS256);
    validation.leeway = SKEW.unsigned_abs();
    validation.set_issuer(&[ISSUER]);
    validation.set_required_spec_claims(&["exp", "iss"]);
    let key = DecodingKey::from_secret(&signing_key(app, &owner)?);
    let claims = decode::<Claims>(token, &key, &validation).map_err(|_| refused())?.claims;
    if claims.iat > now_ms() / 1_000 + SKEW || claims.exp - claims.iat > LIFE || !is_user_id(&claims.end_user_id) {
        return Err(refused());
    }
    let registered = app.store.upstream(&owner, &claims.mcp_server_id).await.map_err(|_| refused())?;
    if registered.upstream.transport == Transport::Stdio {
        return Err(refused());
    }
    if registered.upstream.auth == Auth::Oauth {
        return Ok(Opened { registered, user: claims.end_user_id.into(), headers: Vec::new() });
    }
    let own = app.store.open_headers(&registered.upstream)?;
    let own: Map<String, Value> = own.map_or_else(Map::new, |headers| serde_json::from_str(headers.expose()).unwrap_or_default());
    let headers = if own.is_empty() { vec!["Authorization".to_owned()] } else { own.into_iter().map(|(name, _)| name).collect() };
    Ok(Opened { registered, user: claims.end_user_id.into(), headers })
}

#[derive(Template)]
#[template(path = "connect_upstream.html")]
struct ConnectUpstream<'a> {
    error: Option<String>,
    name: &'a str,
    url: &'a str,
    user: &'a str,
    headers: &'a [String],
}

#[derive(Template)]
#[template(path = "connected.html")]
struct ConnectedPage<'a> {
    name: &'a str,
}

fn render(opened: &Opened, error: Option<&Error>) -> Response {
    let upstream = &opened.registered.upstream;
    let status = error.map_or(StatusCode::OK, |error| error.kind.status());
    let error = error.map(|error| error.message.clone().into_owned());
    let page = ConnectUpstream { error, name: &upstream.name, url: &upstream.url, user: &opened.user, headers: &opened.headers };
    page::show(status, &page, None)
}

/// Show what the link connects. Programs that look at links before people do change nothing by it.
async fn show(State(app): State<App>, request_id: RequestId, query: Result<Query<TokenQuery>>) -> Response {
    let shown = match open(&app, &token(query)).await {
        Ok(opened) if opened.signs_in() => sign_in_page(&app, &opened).await,
        Ok(opened) => Ok(render(&opened, None)),
        Err(error) => Err(error),
    };
    shown.unwrap_or_else(|error| page::error(&error, &request_id))
}

/// An end user who has to sign in enters no headers: the page is the one of links to sign in.
async fn sign_in_page(app: &App, opened: &Opened) -> Result<Response> {
    let registered = &opened.registered.upstream;
    connect::check_sign_in(app, registered)?;
    let upstream = app.store.upstream_for(registered, &opened.user).await?;
    let asker = opened.asked().asker(app, &registered.owner.account).await?;
    Ok(authorization_client::page_of(app, &upstream, &opened.user, (asker, None), None))
}

async fn submit(
    State(app): State<App>,
    request_id: RequestId,
    query: Result<Query<TokenQuery>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let opened = match open(&app, &token(query)).await.and_then(|opened| connect::count_form(&app, &opened.scope()).map(|()| opened)) {
        Ok(opened) => opened,
        Err(error) => return page::error(&error, &request_id),
    };
    if opened.signs_in() {
        return match connect::begin_sign_in(&app, &opened.scope(), &opened.registered.upstream, &opened.asked()).await {
            Ok(sign_in) => authorization_client::leave_by(&app, &sign_in, &headers, &request_id).await,
            Err(error) => page::error(&error, &request_id),
        };
    }
    let upstream = &opened.registered.upstream;
    let mut entry = Entry {
        caller: opened.asked().caller,
        connector_id: Some(shown(&upstream.slug)),
        ..Entry::new(&opened.scope(), "web", "connection.create", &request_id)
    };
    let kept = keep(&app, &opened, body).await;
    entry.target_id = kept.as_ref().ok().cloned();
    entry.end(kept.as_ref().map_or_else(|error| error.kind.status(), |_| StatusCode::OK));
    app.audit.record(&entry).await;
    match kept {
        Ok(_) => page::show(StatusCode::OK, &ConnectedPage { name: &upstream.name }, None),
        Err(error) if matches!(error.kind, Kind::InvalidRequest) => render(&opened, Some(&error)),
        Err(error) => page::error(&error, &request_id),
    }
}

async fn keep(app: &App, opened: &Opened, body: Body) -> Result<String> {
    let body = read_body(app, &Holder::at_page(&opened.registered.upstream.owner.account, &opened.user), body, MAX_FORM).await?;
    let mut headers = Map::new();
    for (name, value) in form_urlencoded::parse(&body).take(100) {
        let Some(known) = opened.headers.iter().find(|known| **known == name) else {
            return Err(Error::new(Kind::InvalidRequest, "Please use the form on this page."));
        };
        let sendable =
            HeaderName::try_from(known.as_str()).is_ok() && HeaderValue::try_from(&*value).is_ok_and(|value| value.to_str().is_ok());
        if value.is_empty() || value.len() > MAX_VALUE || !sendable {
            return Err(Error::new(
                Kind::InvalidRequest,
                format!("The value for `{known}` is empty, too long, or holds characters that a header may not have."),
            ));
        }
        headers.insert(known.clone(), value.into_owned().into());
    }
    if headers.len() < opened.headers.len() {
        return Err(Error::new(Kind::InvalidRequest, format!("Please fill in `{}`.", opened.headers.join("`, `"))));
    }
    let headers = Secret::new(Value::Object(headers).to_string());
    app.store.put_connection(&opened.registered.upstream, &opened.user, &headers).await
}
