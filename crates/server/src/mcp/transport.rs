//! HTTP around the messages: who may, how often, in which shape; then one message or a batch to `methods`.

use amalgam_protocol::{
    Body as Rpc, Era, Fault, HeaderView, Message, accept, classify,
    classify::{batch_allowed, modern_in_batch},
    respond,
};
use axum::{body::Body, extract::Request, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::{Context, fault, methods, methods::Reply, relay, session, session::Session, stream};
use crate::{
    app::App,
    auth::{self, Identity},
    error::{Error, Kind},
    request::RequestId,
    request::{read_body, require_identity},
};

/// The header that names a legacy session.
static SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
/// Those that the classification compares: the revision, the method, what it is about.
static VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
static METHOD: HeaderName = HeaderName::from_static("mcp-method");
static NAME: HeaderName = HeaderName::from_static("mcp-name");

/// What the path says.
#[derive(Clone)]
pub struct Target {
    /// The server's id.
    pub server_id: Option<String>,
    /// The token.
    pub token: Option<String>,
}

/// A refusal before or around a message: HTTP status and a JSON-RPC error with `id: null`.
struct Refusal {
    fault: Fault,
    /// What the log should know of it.
    cause: Option<Error>,
    headers: Vec<(&'static str, u32)>,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { fault, headers: Vec::new(), cause: None }
    }
}

impl From<Error> for Refusal {
    fn from(mut error: Error) -> Self {
        let cause = error.cause.take().map(|cause| Error { cause: Some(cause), ..Error::new(error.kind, error.message.clone()) });
        let http = error.kind.status().as_u16();
        let code = match error.kind {
            Kind::InvalidRequest => amalgam_protocol::fault::INVALID_REQUEST,
            Kind::Internal | Kind::Unavailable => amalgam_protocol::fault::INTERNAL_ERROR,
            _ => amalgam_protocol::fault::TRANSPORT,
        };
        let fault = Fault { http, code, message: error.message.into_owned(), data: None };
        Self { fault, headers: error.headers, cause }
    }
}

/// Answers one HTTP request on the endpoint.
pub async fn serve(app: App, target: Target, request_id: RequestId, request: Request) -> Response {
    // On a token URL the token is the whole authentication: signing in would not help.
    let by_header = target.token.is_none().then(|| (target.server_id.clone(), request.headers().get(header::HOST).cloned()));
    let presented = request.headers().contains_key(header::AUTHORIZATION);
    match answer(&app, target, request, &request_id).await {
        Ok(response) => response,
        Err(refusal) => {
            let mut response = refuse(&refusal, &request_id);
            if let Some((server_id, host)) = by_header.filter(|_| response.status() == StatusCode::UNAUTHORIZED) {
                let challenge = auth::resource::challenge(&app, host.as_ref(), server_id.as_deref(), presented);
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            }
            response
        }
    }
}

async fn answer(app: &App, target: Target, request: Request, request_id: &str) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let identity = Identity::read(&parts.headers, request_id)?;
    let caller = auth::mcp(app, &identity, target.server_id.as_deref(), target.token.as_deref()).await?;
    let Some(server) = caller.server.clone() else { return Err(Error::not_found("server").into()) };
    let limit = server.settings.rate_limit_per_minute.unwrap_or(app.config.rate_limit_per_minute);
    let limited = app.limits.check(caller.rate_key(), limit);
    if !limited.outcome.allowed {
        return Err(limited.error().into());
    }
    let context = Context {
        app,
        caller: &caller,
        server: &server,
        target: &target,
        era: Era::Legacy { header_version: None },
        credential_id: identity.credential_id,
        redirect_uri: identity.redirect_uri,
        request_id,
        body: &Bytes::new(),
        headers: &parts.headers,
        session: None,
    };
    let result = match parts.method {
        Method::POST => post(&context, &parts.headers, body, limit).await,
        // What is rare is boxed: a future has the size of the largest on its way, and is copied before it begins.
        Method::GET => Box::pin(get(&context, &parts.headers)).await,
        Method::DELETE => Box::pin(delete(&context, &parts.headers)).await,
        _ => Err(Fault::method_not_allowed().into()),
    };
    let mut response = result.unwrap_or_else(|refusal| refuse(&refusal, request_id));
    limited.write(response.headers_mut());
    Ok(response)
}

async fn post(context: &Context<'_>, headers: &HeaderMap, body: Body, limit: u32) -> Result<Response, Refusal> {
    if !accept::accepts(text(headers, &header::ACCEPT)).event_stream {
        return Err(Fault::not_acceptable().into());
    }
    if !text(headers, &header::CONTENT_TYPE).is_some_and(accept::content_type_is_json) {
        return Err(Fault::unsupported_media().into());
    }
    require_identity(headers)?;
    let max = context.app.config.max_body_bytes;
    let bytes = match read_body(context.app, &context.caller.holder(), body, max).await {
        Err(error) if error.kind == Kind::TooLarge => return Err(Fault::too_large(max).into()),
        bytes => bytes?,
    };
    let context = &Context { body: &bytes, ..*context };
    match Rpc::parse(&bytes)? {
        Rpc::Single(mut message) => single(context, headers, &mut message).await,
        Rpc::Batch(messages) => Box::pin(batch(context, headers, messages, limit)).await,
    }
}

async fn single(context: &Context<'_>, headers: &HeaderMap, message: &mut Message<'_>) -> Result<Response, Refusal> {
    let reply = match handle(context, headers, message).await? {
        Ok(reply) => reply,
        Err(fault) => return Ok(json(status(fault.http), respond::error(message.request_id(), &fault))),
    };
    let response = match reply {
        Reply::Nothing => return Ok(empty(StatusCode::ACCEPTED)),
        Reply::Json(bytes) => json(StatusCode::OK, bytes),
        Reply::Cached(bytes) => {
            let mut response = json(StatusCode::OK, bytes);
            response.headers_mut().insert("x-cache-hit", HeaderValue::from_static("true"));
            response
        }
        Reply::Session(bytes, id) => {
            let mut response = json(StatusCode::OK, bytes);
            response.headers_mut().insert(SESSION.clone(), HeaderValue::try_from(id).map_err(Error::internal)?);
            response
        }
        Reply::Relay(relay) => relay::respond(relay).await,
        Reply::Listen(filter, id, client) => Box::pin(stream::listen(context, headers, filter, id, &client)).await?,
    };
    Ok(response)
}

/// Several messages of a client of 2025-03-26, answered in their order.
async fn batch(
    context: &Context<'_>,
    headers: &HeaderMap,
    messages: Vec<Result<Message<'_>, Fault>>,
    limit: u32,
) -> Result<Response, Refusal> {
    batch_allowed(&view(headers))?;
    // An array in which nothing is a message is no batch, but a bad request.
    if messages.iter().all(Result::is_err)
        && let Some(Err(fault)) = messages.first()
    {
        return Err(fault.clone().into());
    }
    let mut answers: Vec<Vec<u8>> = Vec::new();
    for (n, message) in messages.into_iter().enumerate() {
        let mut message = match message {
            Ok(message) => message,
            Err(fault) => {
                answers.push(respond::error(None, &fault));
                continue;
            }
        };
        // The first message was counted with the request; each further one counts as well.
        let limited =
            (n > 0).then(|| context.app.limits.check(context.caller.rate_key(), limit)).filter(|limited| !limited.outcome.allowed);
        let outcome = match limited {
            Some(limited) => Err(fault(&limited.error())),
            None if message.method() == Some("initialize") => Err(Fault::invalid_request("`initialize` cannot stand in a batch.")),
            None => handle(context, headers, &mut message).await?,
        };
        match (outcome, message.request_id()) {
            (Ok(Reply::Json(bytes) | Reply::Cached(bytes) | Reply::Session(bytes, _)), _) => answers.push(bytes),
            (Ok(Reply::Relay(mut relay)), _) => answers.push(relay.last().await.into()),
            (Ok(Reply::Listen(..)), id) => answers.push(respond::error(id, &modern_in_batch())),
            (Err(fault), Some(id)) => answers.push(respond::error(Some(id), &fault)),
            (Ok(Reply::Nothing), _) | (Err(_), None) => {}
        }
    }
    if answers.is_empty() {
        return Ok(empty(StatusCode::ACCEPTED));
    }
    let mut bytes = vec![b'['];
    bytes.extend(answers.join(&b','));
    bytes.push(b']');
    Ok(json(StatusCode::OK, bytes))
}

/// Classifies a message, opens its session, and has it done. The outer error is about the transport, the inner one about the message.
async fn handle(context: &Context<'_>, headers: &HeaderMap, message: &mut Message<'_>) -> Result<Result<Reply, Fault>, Refusal> {
    let params = match message.read_params() {
        Ok(params) => params,
        Err(fault) => return Ok(Err(fault)),
    };
    let mut era = match classify(&view(headers), message, params.as_ref()) {
        Ok(era) => era,
        Err(fault) => return Ok(Err(fault)),
    };
    // A session belongs to the legacy era; the modern one ignores the header.
    let mut session = None;
    if let Era::Legacy { header_version } = era
        && message.method() != Some("initialize")
    {
        session = if headers.contains_key(&SESSION) { Box::pin(open_session(context, headers)).await? } else { None };
        era = Era::Legacy { header_version: header_version.or(session.as_ref().map(|session| session.revision)) };
    }
    let context = Context { era, session: session.as_ref(), ..*context };
    match message {
        Message::Request(request) => return Ok(methods::dispatch(&context, request, params.as_ref()).await),
        Message::Notification(notification) => methods::notified(&context, notification),
        Message::Response(response) => methods::answered(&context, response),
    }
    Ok(Ok(Reply::Nothing))
}

async fn open_session(context: &Context<'_>, headers: &HeaderMap) -> Result<Option<Session>, Refusal> {
    let Some(id) = text(headers, &SESSION) else { return Ok(None) };
    match session::open(context.app, context.caller, context.server, id).await? {
        Some(session) => Ok(Some(session)),
        None => Err(Fault::session_not_found().into()),
    }
}

/// The server's stream of a legacy session.
async fn get(context: &Context<'_>, headers: &HeaderMap) -> Result<Response, Refusal> {
    if view(headers).protocol_version.is_some_and(amalgam_protocol::revision::names_modern) || !headers.contains_key(&SESSION) {
        return Err(Fault::method_not_allowed().into());
    }
    if !accept::accepts(text(headers, &header::ACCEPT)).event_stream {
        return Err(Fault::not_acceptable().into());
    }
    let session = open_session(context, headers).await?;
    let context = Context { session: session.as_ref(), ..*context };
    Ok(stream::legacy(&context, headers).await?)
}

async fn delete(context: &Context<'_>, headers: &HeaderMap) -> Result<Response, Refusal> {
    let modern = view(headers).protocol_version.is_some_and(amalgam_protocol::revision::names_modern);
    match open_session(context, headers).await? {
        Some(session) if !modern => {
            session::end(context.app, &session).await?;
            context.app.upstreams.end_lane(session.hash());
            Ok(empty(StatusCode::NO_CONTENT))
        }
        _ => Err(Fault::method_not_allowed().into()),
    }
}

/// The headers that the classification compares.
fn view(headers: &HeaderMap) -> HeaderView<'_> {
    let mut duplicates = false;
    let mut text = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        let value = values.next()?;
        duplicates |= values.next().is_some();
        std::str::from_utf8(value.as_bytes()).ok()
    };
    let (protocol_version, method, name) = (text(&VERSION), text(&METHOD), text(&NAME));
    HeaderView { protocol_version, method, name, duplicates }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn json(status: StatusCode, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    // With those that every answer has, so that the map grows once.
    response.headers_mut().reserve(9);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn refuse(refusal: &Refusal, request_id: &str) -> Response {
    if let Some(cause) = &refusal.cause {
        cause.log(request_id);
    }
    let mut response = json(status(refusal.fault.http), respond::error(None, &refusal.fault));
    let headers = response.headers_mut();
    match refusal.fault.http {
        401 => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        405 => {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        _ => {}
    }
    for (name, value) in &refusal.headers {
        headers.insert(*name, HeaderValue::from(*value));
    }
    response
}
