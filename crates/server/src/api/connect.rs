//! `/connect/{link}` and `/connect/callback/{accountId}/{connectorId}`: the pages on which users connect themselves. They are for browsers, so that they
//! answer in HTML and are not in the API's description; the link, and on the way back state and browser, are the right to be there.

use amalgam_connector::definition::AuthKind;
use askama::Template;
use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_TYPE, LOCATION, SET_COOKIE},
};
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    app::App,
    connect::{self, Input, Opening, browser},
    error::{Error, Kind, Result},
    oauth::{self, Returned},
    page,
    request::{LinkText, Path, RequestId, read_body, to_the_end},
};

/// A form's largest body in bytes: a few fields of 64 KB.
const MAX_FORM: usize = 512 * 1024;
/// Parameters of a form or a callback.
const MAX_PAIRS: usize = 100;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .route("/connect/{link}", get(show).post(submit))
        .route("/connect/callback/{accountId}/{connectorId}", get(callback))
}

/// The page of a link.
#[derive(Template)]
#[template(path = "connect.html")]
struct ConnectPage<'a> {
    error: Option<String>,
    name: &'a str,
    user: &'a str,
    server: Option<&'a str>,
    asker: &'a str,
    ways: Vec<WayView<'a>>,
}

struct WayView<'a> {
    kind: &'static str,
    title: &'static str,
    description: &'a str,
    inputs: Vec<Input<'a>>,
    scopes: Vec<(String, String)>,
    host: String,
    consent_host: Option<String>,
    button: String,
}

/// Show what a link connects, and ask for what is needed.
async fn show(State(app): State<App>, request_id: RequestId, LinkText(link): LinkText) -> Response {
    match connect::open(&app, &link).await {
        Ok(opening) => render(&app, &opening, None, &request_id).await,
        Err(error) => page::error(&error, &request_id),
    }
}

async fn render(app: &App, opening: &Opening, error: Option<Error>, request_id: &str) -> Response {
    let ways = match opening.ways(app).await {
        Ok(ways) => ways,
        Err(error) => return page::error(&error, request_id),
    };
    let asker = match opening.asker(app).await {
        Ok(asker) => asker,
        Err(error) => return page::error(&error, request_id),
    };
    let name = &opening.loaded.connector.definition().name;
    let leaves = ways.iter().any(|way| way.scheme.kind == AuthKind::OAuth2);
    let ways = ways.into_iter().map(|way| {
        let (title, button) = match way.scheme.kind {
            AuthKind::OAuth2 => ("Sign in", format!("Continue to {name}")),
            AuthKind::ApiKey => ("With an API key", "Connect".to_owned()),
            AuthKind::Bearer => ("With a token", "Connect".to_owned()),
            AuthKind::Basic => ("With user name and password", "Connect".to_owned()),
        };
        WayView {
            kind: way.scheme.kind.as_str(),
            title,
            description: &way.scheme.description,
            inputs: way.inputs,
            scopes: way.scopes,
            host: way.host,
            consent_host: way.consent_host,
            button,
        }
    });
    let status = error.as_ref().map_or(StatusCode::OK, |error| error.kind.status());
    let page = ConnectPage {
        error: error.map(|error| {
            error.log(request_id);
            error.message.into_owned()
        }),
        name,
        user: opening.user(),
        server: opening.server_name(),
        asker: &asker,
        ways: ways.collect(),
    };
    let next = opening.asked.redirect_uri.as_deref().and_then(|uri| Url::parse(uri).ok());
    page::show(status, &page, leads_to(app, leaves, next.as_ref()).as_deref())
}

/// Where the answer to a page's form may redirect to. Consent pages send the browser on to addresses that nobody knows before; a page
/// without OAuth leads nowhere but to the asker's address.
fn leads_to(app: &App, leaves: bool, next: Option<&Url>) -> Option<String> {
    match next {
        _ if leaves && app.base_url.starts_with("https:") => Some("https:".to_owned()),
        _ if leaves => Some("https: http:".to_owned()),
        next => next.map(|url| url.origin().ascii_serialization()),
    }
}

/// Take what was entered: a key is kept, OAuth goes on to the platform's page.
async fn submit(State(app): State<App>, request_id: RequestId, LinkText(link): LinkText, headers: HeaderMap, body: Body) -> Response {
    let opening = match connect::open(&app, &link).await {
        Ok(opening) => opening,
        Err(error) => return page::error(&error, &request_id),
    };
    match take(&app, &opening, &headers, body, &request_id).await {
        Ok(response) => response,
        Err(error) if matches!(error.kind, Kind::InvalidRequest | Kind::Conflict) => render(&app, &opening, Some(error), &request_id).await,
        Err(error) => page::error(&error, &request_id),
    }
}

async fn take(app: &App, opening: &Opening, headers: &HeaderMap, body: Body, request_id: &str) -> Result<Response> {
    connect::count_form(app, opening.scope())?;
    let form = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !form.starts_with("application/x-www-form-urlencoded") {
        return Err(Error::new(Kind::InvalidRequest, "Please use the form on this page."));
    }
    let body = read_body(app, &opening.holder(), body, MAX_FORM).await?;
    let mut values = Map::new();
    for (name, value) in form_urlencoded::parse(&body).take(MAX_PAIRS) {
        if values.insert(name.into_owned(), value.into_owned().into()).is_some() {
            return Err(Error::new(Kind::InvalidRequest, "Something was sent twice; please use the form on this page."));
        }
    }
    let kind = values.shift_remove("authenticationType");
    let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default();
    let name = &opening.loaded.connector.definition().name;
    if kind == AuthKind::OAuth2.as_str() {
        let browser = browser::known(app, headers).unwrap_or_else(oauth::state);
        let url = connect::begin(app, opening, values, &browser).await?;
        let mut response = redirect(url.as_str())?;
        response.headers_mut().insert(SET_COOKIE, browser::cookie(app, &browser)?);
        return Ok(response);
    }
    let credential = connect::enter(app, opening, kind, values, request_id).await?;
    match connect::next(app, opening, &Ok(credential)).await {
        Some(next) => redirect(next.as_str()),
        None => Ok(connected(name)),
    }
}

/// The last page, where the asker named no address.
#[derive(Template)]
#[template(path = "connected.html")]
struct ConnectedPage<'a> {
    name: &'a str,
}

fn connected(name: &str) -> Response {
    page::show(StatusCode::OK, &ConnectedPage { name }, None)
}

fn redirect(to: &str) -> Result<Response> {
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(LOCATION, HeaderValue::try_from(to).map_err(Error::internal)?);
    Ok(response)
}

/// Take the browser back from a platform's consent page.
async fn callback(
    State(app): State<App>,
    request_id: RequestId,
    path: Result<Path<(String, String)>>,
    headers: HeaderMap,
    uri: axum::http::Uri,
) -> Response {
    let finished = match path.and_then(|Path(path)| Ok((path, Returned::read(uri.query().unwrap_or_default())?))) {
        Ok(((account, connector), returned)) => {
            let browser = browser::known(&app, &headers).unwrap_or_default();
            let request_id = request_id.clone();
            // What was granted is kept, also where the browser goes away meanwhile.
            to_the_end(async move { connect::finish(&app, &account, &connector, &returned, &browser, &request_id).await }).await
        }
        Err(error) => Err(error),
    };
    let finished = match finished {
        Ok(finished) => finished,
        Err(error) => return page::error(&error, &request_id),
    };
    if let Err(error) = &finished.outcome
        && finished.next.is_some()
    {
        error.log(&request_id);
    }
    match (finished.next, finished.outcome) {
        (Some(next), _) => redirect(next.as_str()).unwrap_or_else(|error| page::error(&error, &request_id)),
        (None, Ok(_)) => connected(&finished.name),
        (None, Err(error)) => page::error(&error, &request_id),
    }
}
