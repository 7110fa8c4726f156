//! Browsers on their way to an upstream's authorization server and back, and the document that describes us there. The pages are for people:
//! the link, and on the way back state and browser, are the right to be there.

use askama::Template;
use axum::{
    Json, Router,
    extract::{RawQuery, State},
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{LOCATION, SET_COOKIE},
};
use serde_json::Value;
use url::Url;

use crate::{
    app::App,
    connect::{self, SignIn, browser},
    error::{Error, Kind, Result},
    oauth::{self, Returned},
    page,
    request::{LinkText, RequestId, to_the_end},
    store::upstreams::Upstream,
    upstream::authorization::metadata,
};

/// The routes. The metadata's address is our client id at servers that take addresses.
pub fn routes<S: Clone + Send + Sync + 'static>(app: App) -> Router<S> {
    Router::new()
        .route("/client-metadata.json", get(describe))
        .route("/oauth/upstreams/{link}", get(show).post(leave))
        .route("/oauth/callback", get(back))
        .with_state(app)
}

async fn describe(State(app): State<App>) -> Json<Value> {
    Json(metadata(&app.base_url))
}

/// The page of a link: before anybody is sent away, it says who is to be signed in, where, and who asked.
#[derive(Template)]
#[template(path = "sign_in_upstream.html")]
struct SignInPage<'a> {
    error: Option<&'a str>,
    name: &'a str,
    host: String,
    url: &'a str,
    user: &'a str,
    server: Option<&'a str>,
    asker: String,
}

async fn show(State(app): State<App>, id: RequestId, LinkText(link): LinkText) -> Response {
    match connect::open_sign_in(&app, &link).await {
        Ok(sign_in) => render(&app, &sign_in, None, &id).await,
        Err(error) => page::error(&error, &id),
    }
}

async fn render(app: &App, sign_in: &SignIn, error: Option<&Error>, id: &RequestId) -> Response {
    match sign_in.asker(app).await {
        Ok(asker) => page_of(app, &sign_in.upstream, &sign_in.scope().user, (asker, sign_in.server_name()), error),
        Err(error) => page::error(&error, id),
    }
}

/// The page that leads this user to the upstream's authorization server when its form is sent. It says who asked, and through which server.
pub fn page_of(app: &App, upstream: &Upstream, user: &str, (asker, server): (String, Option<&str>), error: Option<&Error>) -> Response {
    let host = Url::parse(&upstream.url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let page =
        SignInPage { error: error.map(|error| &*error.message), name: &upstream.name, host, url: &upstream.url, user, server, asker };
    // The authorization server is found when the form is sent, and sends the browser on to wherever it likes.
    let leads_to = if app.base_url.starts_with("https:") { "https:" } else { "https: http:" };
    page::show(error.map_or(StatusCode::OK, |error| error.kind.status()), &page, Some(leads_to))
}

async fn leave(State(app): State<App>, id: RequestId, LinkText(link): LinkText, headers: HeaderMap) -> Response {
    let opened = connect::open_sign_in(&app, &link).await;
    match opened.and_then(|sign_in| connect::count_form(&app, sign_in.scope()).map(|()| sign_in)) {
        Ok(sign_in) => leave_by(&app, &sign_in, &headers, &id).await,
        Err(error) => page::error(&error, &id),
    }
}

/// Sends the browser to the authorization server.
pub async fn leave_by(app: &App, sign_in: &SignIn, headers: &HeaderMap, id: &RequestId) -> Response {
    match left(app, sign_in, headers).await {
        Ok(response) => response,
        Err(error) if matches!(error.kind, Kind::NotFound | Kind::RateLimited) => page::error(&error, id),
        Err(error) => {
            error.log(id);
            render(app, sign_in, Some(&error), id).await
        }
    }
}

async fn left(app: &App, sign_in: &SignIn, headers: &HeaderMap) -> Result<Response> {
    let browser = browser::known(app, headers).unwrap_or_else(oauth::state);
    let mut response = redirect(&sign_in.begin(app, &browser).await?)?;
    response.headers_mut().insert(SET_COOKIE, browser::cookie(app, &browser)?);
    Ok(response)
}

fn redirect(to: &Url) -> Result<Response> {
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(LOCATION, HeaderValue::try_from(to.as_str()).map_err(Error::internal)?);
    Ok(response)
}

/// Take the browser back.
async fn back(State(app): State<App>, id: RequestId, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let finished = match Returned::read(query.as_deref().unwrap_or_default()) {
        Ok(returned) => {
            let browser = browser::known(&app, &headers).unwrap_or_default();
            let (app, id) = (app.clone(), id.clone());
            // What was granted is kept, also where the browser goes away meanwhile.
            to_the_end(async move { connect::finish_sign_in(&app, &returned, &browser, &id).await }).await
        }
        Err(error) => Err(error),
    };
    match finished {
        Ok(finished) => {
            if let (Some(_), Err(error)) = (&finished.next, &finished.outcome) {
                error.log(&id);
            }
            match (finished.next, finished.outcome) {
                (Some(next), _) => redirect(&next).unwrap_or_else(|error| page::error(&error, &id)),
                (None, Ok(())) => {
                    page::message("Connected", &format!("You can call {} now. Go back to where you came from.", finished.name))
                }
                (None, Err(error)) => page::error(&error, &id),
            }
        }
        Err(error) => page::error(&error, &id),
    }
}
