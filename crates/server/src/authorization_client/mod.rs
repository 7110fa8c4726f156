//! Browsers on their way to an upstream's authorization server and back, and the document that describes us there.

use axum::{
    Json, Router,
    extract::{Path, RawQuery, State},
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{COOKIE, LOCATION, SET_COOKIE},
};
use serde_json::Value;
use url::form_urlencoded;

use crate::{
    app::App,
    error::{Error, Kind, Result},
    page,
    request::RequestId,
    store::{Change, audit::Entry},
    upstream::authorization::{Returned, metadata, nonce},
};

const COOKIE_NAME: &str = "amalgam-upstream";

/// The routes. The metadata's address is our client id at servers that take addresses.
pub fn routes<S: Clone + Send + Sync + 'static>(app: App) -> Router<S> {
    Router::new()
        .route("/client-metadata.json", get(describe))
        .route("/oauth/upstreams/{link}", get(leave))
        .route("/oauth/callback", get(back))
        .with_state(app)
}

async fn describe(State(app): State<App>) -> Json<Value> {
    Json(metadata(&app.base_url))
}

/// Send the browser to the authorization server.
async fn leave(State(app): State<App>, id: RequestId, Path(link): Path<String>) -> Response {
    left(&app, &link).await.unwrap_or_else(|error| page::error(&error, &id))
}

async fn left(app: &App, link: &str) -> Result<Response> {
    let nonce = nonce();
    let to = app.upstreams.begin_sign_in(link, &nonce, &app.base_url, &app.config.egress_allow).await?;
    let secure = if app.base_url.starts_with("https:") { "; Secure" } else { "" };
    let cookie = format!("{COOKIE_NAME}={nonce}; Path=/oauth/callback; HttpOnly; SameSite=Lax; Max-Age=600{secure}");
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(LOCATION, HeaderValue::try_from(to.as_str()).map_err(Error::internal)?);
    response.headers_mut().insert(SET_COOKIE, HeaderValue::try_from(cookie).map_err(Error::internal)?);
    Ok(response)
}

/// Take the browser back.
async fn back(State(app): State<App>, id: RequestId, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    came_back(&app, &headers, query.as_deref().unwrap_or_default(), &id).await.unwrap_or_else(|error| page::error(&error, &id))
}

async fn came_back(app: &App, headers: &HeaderMap, query: &str, request_id: &str) -> Result<Response> {
    let fields: Vec<_> = form_urlencoded::parse(query.as_bytes()).take(100).collect();
    let one = |name: &str| {
        let mut found = fields.iter().filter(|(known, _)| known == name).map(|(_, value)| &**value);
        match (found.next(), found.next()) {
            (value, None) => Ok(value.filter(|value| !value.is_empty())),
            _ => Err(Error::new(Kind::InvalidRequest, format!("`{name}` is there more than once. Nothing was connected."))),
        }
    };
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    let mut nonces = cookies.filter_map(|cookie| cookie.trim().split_once('=')).filter(|(name, _)| *name == COOKIE_NAME);
    let returned = Returned { code: one("code")?, iss: one("iss")?, error: one("error")? };
    let state = one("state")?.unwrap_or_default();
    let nonce = nonces.next().map(|(_, nonce)| nonce);
    let (scope, upstream) = app.upstreams.finish_sign_in(state, nonce, &app.base_url, &returned).await?;
    let mut entry = Entry::new(&scope, "web", "upstream.sign-in", request_id);
    entry.caller = format!("user:{}", scope.user);
    entry.target_id = Some(upstream.id.clone());
    entry.end(StatusCode::CREATED);
    app.audit.record(entry).await;
    if upstream.offered_at.is_none() {
        // It could not say what it offers before somebody signed in; it is asked again when it is called, if it does not answer now.
        if let Err(error) = app.upstreams.refresh(&upstream).await {
            tracing::info!(upstream = upstream.id, %error, "an MCP server does not say what it offers");
        }
    }
    app.announce(Change::Connectors(scope.account.clone()));
    Ok(page::message("Connected", &format!("You can call {} now. Go back to where you came from.", upstream.name)))
}
