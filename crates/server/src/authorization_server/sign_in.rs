//! Signing in: with a password, under a limit of attempts.

use askama::Template;
use axum::{
    extract::{Request, State},
    response::Response,
};
use http::{HeaderMap, StatusCode, header::SET_COOKIE};

use super::{
    Shared,
    authorize::Asked,
    consent,
    fields::Fields,
    provider,
    session::{Session, SignedIn},
    within,
};
use crate::{
    app::App,
    auth::resource::address,
    clock::now_ms,
    error::{Kind, Result},
    page, password,
    request::{Peer, RequestId},
    store::{Scope, audit::Entry},
};

/// Attempts in a minute with one name from one address: not with the name alone, or anybody could keep anybody out.
const ATTEMPTS_WITH_ONE: u32 = 10;
/// Attempts in a minute from one address, whatever the names.
const ATTEMPTS_FROM_ONE: u32 = 60;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct Page<'a> {
    request: &'a str,
    client: &'a str,
    resource: &'a str,
    wrong: Option<&'a str>,
    /// The host of the operator's provider.
    provider: Option<&'a str>,
}

/// The form, with what was wrong the last time.
pub fn show(app: &App, asked: &Asked, session: &Session, wrong: Option<(StatusCode, &str)>) -> Result<Response> {
    let (request, provider) = (asked.seal(app)?, provider::host(app));
    let status = wrong.map_or(StatusCode::OK, |(status, _)| status);
    let wrong = wrong.map(|(_, sentence)| sentence);
    let template = Page { request: &request, client: &asked.client_name, resource: &asked.resource, wrong, provider: provider.as_deref() };
    let mut response = page::show(status, &template, None);
    response.headers_mut().insert(SET_COOKIE, session.cookie(app, &asked.issuer)?);
    Ok(response)
}

/// Takes the form; the next page asks for consent.
pub async fn by_password(State(Shared { app, .. }): State<Shared>, id: RequestId, headers: HeaderMap, request: Request) -> Response {
    signed_in(&app, &headers, request, &id).await.unwrap_or_else(|error| page::error(&error, &id))
}

async fn signed_in(app: &App, headers: &HeaderMap, request: Request, request_id: &str) -> Result<Response> {
    let source = Peer::of(request.extensions()).source(&app.config, headers);
    let fields = Fields::posted(app, request).await?;
    let issuer = address(app, headers);
    let session = Session::read(app, &issuer, headers);
    let asked = Asked::open(app, &fields, session.as_ref())?;
    let (username, given) = (fields.get("username").unwrap_or_default().trim(), fields.get("password").unwrap_or_default());
    let account = asked.account(app).await?;
    let again = |status, sentence: &str| show(app, &asked, &session.unwrap_or_else(|| Session::new(None)), Some((status, sentence)));
    // Whether or not there is such a user. First the address, so that nobody fills the memory with names.
    let counted = within(app, ("attempts from", source), ATTEMPTS_FROM_ONE)
        .and_then(|()| within(app, ("attempts with", &account, username, source), ATTEMPTS_WITH_ONE));
    if let Err(error) = counted {
        error.log(request_id);
        return again(error.kind.status(), "There were too many attempts from your address. Wait a minute and try again.");
    }
    let known = match &account {
        Some(account) if username.chars().count() <= 1_000 => app.store.password(account, username).await?,
        _ => None,
    };
    let hash = known.as_ref().map(|known| known.hash.expose().to_owned());
    let fits = password::fits(given.to_owned(), hash).await?;
    let (Some(account), Some(known)) = (account, known) else {
        return again(StatusCode::UNAUTHORIZED, "The name or the password is wrong.");
    };
    let status = if fits { StatusCode::OK } else { Kind::Unauthorized.status() };
    record(app, &account, &known.user_id, "user.sign-in", asked.server_id.as_deref(), None, status, request_id).await;
    if !fits {
        return again(StatusCode::UNAUTHORIZED, "The name or the password is wrong.");
    }
    let user = SignedIn { account, user: known.user_id, name: username.to_owned(), at: now_ms(), password_at: Some(known.set_at) };
    let session = Session::new(Some(user.clone()));
    let asked = Asked { nonce: session.nonce.clone(), ..asked };
    consent::show(app, &asked, &session, &user).await
}

/// Leaves an entry in the audit trail.
#[expect(clippy::too_many_arguments, reason = "the parts of one entry")]
pub async fn record(
    app: &App,
    account: &str,
    user: &str,
    operation: &'static str,
    server: Option<&str>,
    target: Option<&str>,
    status: StatusCode,
    request_id: &str,
) {
    let scope = Scope { account: account.into(), user: user.into() };
    let mut entry = Entry {
        caller: format!("user:{user}"),
        server_id: server.map(str::to_owned),
        target_id: target.map(str::to_owned),
        ..Entry::new(&scope, "web", operation, request_id)
    };
    entry.end(status);
    app.audit.record(&entry).await;
}

/// The scope of who has signed in.
pub fn scope(user: &SignedIn) -> Scope {
    Scope { account: user.account.as_str().into(), user: user.user.as_str().into() }
}
