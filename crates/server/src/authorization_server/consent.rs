//! Consent: the user sees which client wants to use which server, and where the answer goes, and decides.

use std::sync::Arc;

use amalgam_policy::Decision;
use amalgam_vault::{hash_token, url_safe};
use askama::Template;
use axum::{
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{LOCATION, SET_COOKIE},
};

use super::{
    CODE_MS, Shared,
    authorize::{Asked, GRANTED},
    fields::Fields,
    redirect,
    session::{Session, SignedIn},
    sign_in,
};
use crate::{
    app::App,
    auth::resource::address,
    clock::{now_ms, random, random_slug},
    error::{Error, Result},
    page,
    request::RequestId,
    store::{
        Page as Rows,
        grants::{Grant, NewToken, TokenKind},
        servers::Server,
    },
};

#[derive(Template)]
#[template(path = "consent.html")]
struct Page<'a> {
    request: &'a str,
    client: &'a str,
    host: Option<&'a str>,
    place: &'a str,
    user: &'a str,
    /// The server's name, where the client has named one.
    server: Option<&'a str>,
    /// Those to choose from, where it has not: ids and names.
    servers: &'a [(String, String)],
}

/// The page that asks.
pub async fn show(app: &App, asked: &Asked, session: &Session, user: &SignedIn) -> Result<Response> {
    let named = match &asked.server_id {
        Some(id) => Some(permitted(app, user, id).await?),
        None => None,
    };
    let servers = if named.is_some() { Vec::new() } else { own(app, user).await? };
    let request = asked.seal(app)?;
    let template = Page {
        request: &request,
        client: &asked.client_name,
        host: asked.client_host.as_deref(),
        place: &redirect::place(&asked.redirect_uri),
        user: &user.name,
        server: named.as_ref().map(|server| server.name.as_str()),
        servers: &servers,
    };
    let mut response = page::show(StatusCode::OK, &template, redirect::source(&asked.redirect_uri).as_deref());
    response.headers_mut().insert(SET_COOKIE, session.cookie(app, &asked.issuer)?);
    Ok(response)
}

/// The server, if the user may use it.
async fn permitted(app: &App, user: &SignedIn, id: &str) -> Result<Arc<Server>> {
    let server = app.store.server_in_account(&user.account, id).await?;
    let server = server.filter(|server| server.is_for(&user.user)).ok_or_else(|| Error::not_found("server"))?;
    match server.restrictions.user(&user.user) {
        Decision::Deny(denial) => Err(Error::denied(denial)),
        Decision::Allow => Ok(server),
    }
}

/// The user's own servers.
async fn own(app: &App, user: &SignedIn) -> Result<Vec<(String, String)>> {
    let (servers, _) = app.store.list_servers(&sign_in::scope(user), Rows { limit: 1_000, offset: 0 }).await?;
    if servers.is_empty() {
        return Err(Error::not_found("server"));
    }
    Ok(servers.into_iter().map(|(server, _)| (server.id, server.name)).collect())
}

/// Takes the decision. A second click makes a second grant, whose code the client never sees: the one that it sees works.
pub async fn decide(State(Shared { app, .. }): State<Shared>, id: RequestId, headers: HeaderMap, request: Request) -> Response {
    decided(&app, &headers, request, &id).await.unwrap_or_else(|error| page::error(&error, &id))
}

async fn decided(app: &App, headers: &HeaderMap, request: Request, request_id: &str) -> Result<Response> {
    let fields = Fields::posted(app, request).await?;
    let issuer = address(app, headers);
    let session = Session::read(app, &issuer, headers);
    let asked = Asked::open(app, &fields, session.as_ref())?;
    let signed_out = || {
        let session = Session::new(None);
        sign_in::show(app, &Asked { nonce: session.nonce.clone(), ..asked.clone() }, &session, None)
    };
    let Some(user) = session.and_then(|session| session.user) else { return signed_out() };
    let account = asked.account(app).await?;
    if account.is_none_or(|account| account != user.account) || !user.lives(app).await? {
        return signed_out();
    }
    match fields.get("decision") {
        Some("allow") => {}
        Some("switch") => return signed_out(),
        _ => return leave(&asked.answer(&[("error", Some("access_denied")), ("error_description", Some("The user said no."))])),
    }
    let chosen = asked.server_id.as_deref().map_or_else(|| fields.need("server"), Ok)?;
    let server = permitted(app, &user, chosen).await?;
    let code = format!("mcp_code_{}", url_safe(&random::<32>()));
    let grant = Grant {
        id: format!("grant_{}", random_slug(16)),
        account_id: user.account.clone(),
        user_id: user.user.clone(),
        server_id: server.id.clone(),
        client: asked.client.clone(),
        client_name: asked.client_name.clone(),
        redirect_uri: asked.redirect_uri.clone(),
        challenge: asked.challenge.clone(),
        resource: asked.resource.clone(),
        scope: GRANTED.to_owned(),
        created_at: now_ms(),
    };
    let token = NewToken { kind: TokenKind::Code, hash: &hash_token(&code), expires_at: now_ms() + CODE_MS };
    if !app.store.create_grant(&sign_in::scope(&user), &grant, &token, user.password_at).await? {
        return signed_out();
    }
    let (account, user) = (&user.account, &user.user);
    sign_in::record(app, account, user, "grant.create", Some(&server.id), Some(&grant.id), StatusCode::CREATED, request_id).await;
    leave(&asked.answer(&[("code", Some(&code))]))
}

/// 303, so that the form's fields stay here (RFC 9700 section 4.12).
fn leave(to: &str) -> Result<Response> {
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(LOCATION, HeaderValue::try_from(to).map_err(Error::internal)?);
    Ok(response)
}
