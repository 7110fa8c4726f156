//! The routes, and around them what every request passes.

mod unread;

use std::{convert::Infallible, net::IpAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::{FutureExt as _, future::BoxFuture};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
    header::{CACHE_CONTROL, EXPECT, HOST, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS},
    uri::Authority,
};
use hyper::{
    body::{Body as _, Incoming},
    service::Service,
};
use serde_json::{Value, json};
use tower::{Layer as _, Service as _};
use tower_http::cors::{AllowHeaders, AllowOrigin, Cors, CorsLayer};
use url::Url;
use utoipa_axum::router::OpenApiRouter;

use self::unread::Unread;
use crate::{
    api,
    app::App,
    authorization_client, authorization_server,
    error::{Error, Kind, over_rest},
    mcp, page,
    request::{Peer, REQUEST_ID, RequestId},
};

/// All routes with their documentation.
pub fn routes() -> OpenApiRouter<App> {
    api::routes().merge(mcp::routes())
}

/// What a node serves: the routes, and around them what every request passes. Cheap to clone.
///
/// One service rather than layers of the router, because each of those puts the request and its future into a box of its own.
#[derive(Clone)]
pub struct Front {
    shared: Arc<Shared>,
    /// The other end of the connection.
    peer: Peer,
}

struct Shared {
    app: App,
    routes: Router,
    /// The same routes for requests that a web page makes.
    cross_origin: Cors<Router>,
}

impl Front {
    /// Everything that a node serves, its own description included.
    pub fn new(app: App) -> Self {
        let (routes, document) = routes().split_for_parts();
        let text = Bytes::from(document.to_pretty_json().unwrap_or_default());
        let routes = routes
            .route("/openapi.json", get(move || std::future::ready(([("content-type", "application/json")], text.clone()))))
            .merge(page::routes())
            .merge(authorization_client::routes(app.clone()))
            .merge(authorization_server::routes(app.clone()))
            .fallback(|| std::future::ready(Error::not_found("path")))
            .method_not_allowed_fallback(method_not_allowed)
            .with_state(app.clone());
        let peer = Peer::of(&http::Extensions::new());
        Self { shared: Arc::new(Shared { cross_origin: cors(app.clone()).layer(routes.clone()), routes, app }), peer }
    }

    /// The same for one connection.
    pub fn for_peer(&self, address: IpAddr) -> Self {
        Self { shared: self.shared.clone(), peer: Peer(address) }
    }

    /// Request id, Host and Origin, and the shape of errors.
    async fn answer(self, request: Request) -> Response {
        let id = RequestId::new(request.headers());
        let family = Family::of(request.uri().path());
        let mut response = match (too_long(&request), foreign(&self.shared.app, request.uri(), request.headers())) {
            (Some(refusal), _) => refusal,
            (None, Some(error)) => error.into_response(),
            (None, None) => self.route(request, &id).await,
        };
        if let Some(error) = response.extensions_mut().remove::<Arc<Error>>() {
            response = shaped(&error, family, response.status(), response.headers());
            error.log(&id);
        }
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID.clone(), id.header().clone());
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        response
    }

    /// A panic becomes an error, which becomes an answer in the shape of its family.
    async fn route(&self, mut request: Request, id: &RequestId) -> Response {
        let Shared { app, routes, cross_origin } = &*self.shared;
        let is_cross_origin = request.headers().contains_key(ORIGIN);
        let is_post = request.method() == Method::POST;
        let answer = if let Some(target) = mcp::token_target(request.uri().path()).filter(|_| is_post && !is_cross_origin) {
            // Nearly all requests are of this kind, and pay for no router.
            AssertUnwindSafe(mcp::serve(app.clone(), target, id.clone(), request)).catch_unwind().await
        } else {
            request.extensions_mut().insert(id.clone());
            request.extensions_mut().insert(self.peer);
            let answer = if is_cross_origin {
                cross_origin.clone().call(request).left_future()
            } else {
                routes.clone().call(request).right_future()
            };
            AssertUnwindSafe(answer.map(|Ok(response)| response)).catch_unwind().await
        };
        answer.unwrap_or_else(|_| Error::internal("a handler panicked").into_response())
    }
}

impl Service<http::Request<Incoming>> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        let front = self.clone();
        let (head, body) = request.into_parts();
        if body.is_end_stream() {
            return front.answer(Request::from_parts(head, Body::empty())).map(Ok).boxed();
        }
        let expects = head.headers.contains_key(EXPECT);
        let body = Unread::new(body);
        async move {
            // Begun in here, where it lies once: a future that is handed in lies there twice.
            let mut answer = front.answer(Request::from_parts(head, Body::new(body.clone()))).await;
            body.finish(expects, answer.headers_mut()).await;
            Ok(answer)
        }
        .boxed()
    }
}

/// Lets the pages of our own origins read what they may ask for (the Fetch standard's CORS); `foreign` has refused all others.
fn cors(app: App) -> CorsLayer {
    let exposed =
        ["mcp-session-id", "x-cache-hit", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"].map(HeaderName::from_static);
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, parts| {
            let host = parts.headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
            origin.to_str().is_ok_and(|origin| is_our_origin(&app, origin, host))
        }))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(exposed.into_iter().chain([RETRY_AFTER, WWW_AUTHENTICATE, REQUEST_ID.clone()]).collect::<Vec<_>>())
        .max_age(Duration::from_secs(600))
}

/// Longest path and query, in bytes.
const MAX_ADDRESS: usize = 32 * 1024;
/// All headers of a request together, in bytes: a user id of 10,000 characters in UTF-8 has room.
const MAX_HEADERS: usize = 64 * 1024;

/// Refuses an address or headers beyond our bounds in our own words; what is beyond the reader's own, it refuses without a body.
fn too_long(request: &Request) -> Option<Response> {
    let address = request.uri().path_and_query().map_or(0, |address| address.as_str().len());
    let headers: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let (status, sentence) = if address > MAX_ADDRESS {
        (
            StatusCode::URI_TOO_LONG,
            format!("The address of this request has {address} bytes; at most {MAX_ADDRESS} are read. Send less in the query."),
        )
    } else if headers > MAX_HEADERS {
        let sentence = format!(
            "The headers of this request have {headers} bytes together; at most {MAX_HEADERS} are read. Send fewer or shorter ones."
        );
        (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, sentence)
    } else {
        return None;
    };
    let mut response = Error::new(Kind::TooLarge, sentence).into_response();
    *response.status_mut() = status;
    Some(response)
}

async fn method_not_allowed(method: Method) -> Response {
    let error =
        Error::new(Kind::InvalidRequest, format!("The method {method} does not exist on this path; the header `Allow` has those that do."));
    let mut response = error.into_response();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

/// Refuses requests that a web page of somebody else makes (Origin), or that reach us under somebody else's name (Host): DNS rebinding.
fn foreign(app: &App, target: &Uri, headers: &HeaderMap) -> Option<Error> {
    let refuse = |what: &str, way: &str| Some(Error::new(Kind::Forbidden, format!("{what} is not ours. {way}")));
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
    // A target that names its host says more than the header (RFC 9112, section 3.2.2).
    let named = target.authority().map(Authority::as_str);
    if hosts.next().is_some() || [Some(host), named].into_iter().flatten().any(|host| !is_our_host(app, host_name(host))) {
        return refuse("The host name of this request", "The operator can name it with --public-url or --allowed-hosts.");
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    let origin = origins.next()?;
    let ours = origins.next().is_none() && origin.to_str().is_ok_and(|origin| is_our_origin(app, origin, named.unwrap_or(host)));
    if ours { None } else { refuse("The web origin of this request", "The operator can name it with --allowed-origins.") }
}

/// `localhost:3000` → `localhost`; `[::1]:3000` → `::1`.
fn host_name(host: &str) -> &str {
    match host.strip_prefix('[') {
        // Nothing but a port may follow an address: `[::1].example.com` is a name.
        Some(rest) => rest
            .split_once(']')
            .filter(|(_, rest)| rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port))
            .map_or("", |(name, _)| name),
        None => host.rsplit_once(':').map_or(host, |(name, port)| if is_port(port) { name } else { host }),
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// An address cannot be rebound, `localhost` neither; any other name must be one of ours.
fn is_our_host(app: &App, name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok()
        || app.config.public_url.as_ref().and_then(Url::host_str).is_some_and(|ours| ours.eq_ignore_ascii_case(name))
        || app.config.allowed_hosts.iter().any(|ours| ours.eq_ignore_ascii_case(name))
}

/// Our own pages, pages on this machine when we listen on it alone, and the origins that the operator has named.
fn is_our_origin(app: &App, origin: &str, host: &str) -> bool {
    if app.config.allowed_origins.iter().any(|ours| ours.trim_end_matches('/').eq_ignore_ascii_case(origin)) {
        return true;
    }
    let Ok(url) = Url::parse(origin) else { return false };
    if app.config.public_url.as_ref().is_some_and(|ours| ours.origin() == url.origin()) {
        return true;
    }
    let Some(name) = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")) else { return false };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let on_this_machine = name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
    (on_this_machine && app.config.listen.ip().is_loopback()) || (authority == host && is_our_host(app, name))
}

/// Which shape errors have; see docs/rest.md, section "Errors".
#[derive(Clone, Copy)]
enum Family {
    /// `/connectors…`, `/users…`: `{error: {code, message, details}}`.
    Twin,
    /// `/mcp…`: JSON-RPC. Only what fails before the endpoint itself comes here.
    Mcp,
    /// `/api/…` and everything else: `{error: "<sentence>", code, details}`.
    Management,
}

impl Family {
    fn of(path: &str) -> Self {
        let under = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if under("/connectors") || under("/users") {
            Self::Twin
        } else if under("/mcp") {
            Self::Mcp
        } else {
            Self::Management
        }
    }
}

fn shaped(error: &Error, family: Family, status: StatusCode, from: &HeaderMap) -> Response {
    let (code, message) = (error.kind.code(), over_rest(&error.message));
    let body = match family {
        Family::Twin => {
            let details = error.details.as_deref().cloned().unwrap_or_else(|| json!({}));
            json!({ "error": { "code": code, "message": message, "details": details } })
        }
        Family::Mcp => {
            json!({ "jsonrpc": "2.0", "id": Value::Null, "error": { "code": amalgam_protocol::fault::TRANSPORT, "message": message } })
        }
        Family::Management => {
            let mut body = json!({ "error": message, "code": code });
            if let Some(details) = &error.details {
                body["details"] = (**details).clone();
            }
            body
        }
    };
    let mut response = (status, axum::Json(body)).into_response();
    let headers = response.headers_mut();
    if let Some(allow) = from.get(http::header::ALLOW) {
        headers.insert(http::header::ALLOW, allow.clone());
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    for (name, value) in &error.headers {
        headers.insert(*name, HeaderValue::from(*value));
    }
    response
}
