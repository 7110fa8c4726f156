//! Runs a case through the engine, against a server on loopback that answers as the platform did: the same plan, the same client, the same
//! reading and shaping as in a node.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use amalgam_connector::{
    CompiledAction, Connector,
    definition::{AuthScheme, Definition, VariableKind},
    paging,
    plan::{Account, Plan, plan},
    shape::{ShapeLimits, Wanted, shape},
};
use bytes::Bytes;
use http::{Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming as Body, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use url::Url;

use super::case::{Answer, Case, Request, body, bytes};
use crate::{
    call::{
        exchange::{Bounds, exchange},
        outcome,
    },
    cli::failure::{Failure, Result},
    egress::{Egress, EgressConfig, Incoming},
};

/// Answers and requests of a case are shorter, in bytes.
const LARGEST: usize = 16 * 1024 * 1024;
/// The boundary of multipart bodies, the key of idempotent writes.
const NONCE: &str = "recorded-case";
/// They belong to the connection or to the client, not to the action.
const CONNECTION: [&str; 5] = ["host", "content-length", "accept-encoding", "user-agent", "connection"];

/// What comes of a case now.
pub struct Outcome {
    /// What arrived at the platform.
    pub request: Option<Request>,
    /// What a model reads.
    pub result: Option<Value>,
    /// What it reads instead.
    pub error: Option<String>,
}

/// How long and how large answers may be.
pub fn bounds() -> Bounds {
    Bounds { timeout: Duration::from_secs(30), max_response_bytes: LARGEST }
}

/// The way to authenticate that is meant; none where the action needs none.
///
/// # Errors
/// The connector has no such way.
pub fn scheme<'d>(definition: &'d Definition, action: &CompiledAction, wanted: Option<&str>) -> Result<Option<&'d AuthScheme>> {
    if !action.action.auth {
        return Ok(None);
    }
    let Some(wanted) = wanted else { return Ok(definition.auth.first()) };
    let found = definition.auth.iter().find(|scheme| scheme.kind.as_str() == wanted);
    let known: Vec<&str> = definition.auth.iter().map(|scheme| scheme.kind.as_str()).collect();
    found
        .map(Some)
        .ok_or_else(|| Failure::refused(format!("the connector has no way to authenticate called `{wanted}`; it has {}", known.join(", "))))
}

/// Stand-ins for the secrets of a way to authenticate, and the variables with a value for each that needs one.
fn entered(definition: &Definition, scheme: Option<&AuthScheme>, given: &BTreeMap<String, String>) -> (Pairs, Pairs) {
    let secrets = scheme.into_iter().flat_map(|scheme| scheme.field_names()).map(|name| (name.to_owned(), format!("secret-{name}")));
    let variables = definition.variables.iter().filter_map(|(name, variable)| {
        let fallback = match variable.kind {
            VariableKind::Url => "https://platform.example.com",
            VariableKind::Host => "platform.example.com",
            VariableKind::Label | VariableKind::Text => "example",
        };
        let known = given.get(name).or(variable.default.as_ref());
        let needed = || variable.is_required().then(|| variable.sample.clone().unwrap_or_else(|| fallback.to_owned()));
        Some((name.clone(), known.cloned().or_else(needed)?))
    });
    (secrets.collect(), variables.collect())
}

type Pairs = Vec<(String, String)>;
type Borrowed<'p> = &'p [(&'p str, &'p str)];

/// Borrowed, as the engine takes them.
pub fn pairs(owned: &[(String, String)]) -> Vec<(&str, &str)> {
    owned.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// The request of an action with these secrets and variables.
///
/// # Errors
/// The sentence that a model would read.
pub fn planned(
    connector: &Connector,
    action: &CompiledAction,
    case: &Case,
    scheme: Option<&AuthScheme>,
    (secrets, variables): (Borrowed<'_>, Borrowed<'_>),
) -> Result<Plan, String> {
    action.validate(&case.arguments).map_err(|error| error.to_string())?;
    let account = Account { variables, auth: scheme.map(|scheme| (scheme, secrets)), extra_headers: &[], nonce: NONCE };
    plan(connector, action, &case.arguments, &account).map_err(|error| error.to_string())
}

/// Runs a case as it is written.
///
/// # Errors
/// It cannot be run: its action is unknown, its answer cannot be sent.
pub async fn replay(connector: &Connector, case: &Case) -> Result<Outcome> {
    let action = action(connector, &case.action)?;
    let definition = connector.definition();
    let scheme = scheme(definition, action, case.authentication_type.as_deref())?;
    let (secrets, variables) = entered(definition, scheme, &case.variables);
    let mut plan = match planned(connector, action, case, scheme, (&pairs(&secrets), &pairs(&variables))) {
        Ok(plan) => plan,
        Err(sentence) => return Ok(Outcome { request: None, result: None, error: Some(sentence) }),
    };
    let platform = Platform::start(case.answer.as_ref()).await?;
    let meant = Url::parse(&plan.url).map_err(|e| Failure::refused(format!("the address of the request is none: {e}")))?;
    plan.url = platform.instead_of(&meant);
    let config = EgressConfig { allow: vec![platform.address.ip().into()], ..EgressConfig::default() };
    let egress = Egress::new(config).map_err(|e| Failure::refused(format!("cannot set up TLS: {e}")))?;
    let incoming = exchange(&egress, plan, scheme.is_some(), bounds()).await;
    let request = platform.seen(&meant);
    let (result, error) = match incoming.and_then(|incoming| read(connector, action, case, incoming)) {
        Ok(result) => (Some(result), None),
        Err(error) => (None, Some(error.message.into_owned())),
    };
    Ok(Outcome { request, result, error })
}

/// The action, or the one that was meant.
pub fn action<'c>(connector: &'c Connector, id: &str) -> Result<&'c CompiledAction> {
    connector.action(id).ok_or_else(|| {
        let meant = amalgam_connector::closest(id, connector.summaries().map(|(id, _)| &**id));
        let hint = meant.map_or(String::new(), |meant| format!("; did you mean `{meant}`?"));
        Failure::refused(format!("there is no action `{id}`{hint}"))
    })
}

/// What a model reads of an answer.
fn read(connector: &Connector, action: &CompiledAction, case: &Case, incoming: Incoming) -> crate::error::Result<Value> {
    let read = outcome::read(connector, action, incoming)?;
    let value = outcome::value(connector, &read.body)?;
    let paged = action.action.pagination.is_some();
    let next = if paged { paging::next(&action.action, &case.arguments, read.link.as_deref(), &value) } else { None };
    let shaped = shape(action, value, &Wanted::default(), next, &ShapeLimits::default()).map_err(outcome::bad_argument)?;
    Ok(shaped.value)
}

/// The server on loopback. It ends with this.
struct Platform {
    address: std::net::SocketAddr,
    seen: Arc<Mutex<Option<Arrived>>>,
    serving: tokio::task::JoinHandle<()>,
}

/// A request as it came.
struct Arrived {
    head: http::request::Parts,
    body: Bytes,
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Platform {
    async fn start(answer: Option<&Answer>) -> Result<Self> {
        let response = response(answer)?;
        let cannot = |e: std::io::Error| Failure::refused(format!("cannot listen on 127.0.0.1: {e}"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let seen: Arc<Mutex<Option<Arrived>>> = Arc::default();
        let shared = seen.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, response) = (shared.clone(), response.clone());
                let service = service_fn(move |request: http::Request<Body>| {
                    let (shared, response) = (shared.clone(), response.clone());
                    async move {
                        let (head, body) = request.into_parts();
                        let body = Limited::new(body, LARGEST).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                        *shared.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arrived { head, body });
                        Ok::<_, Infallible>(response)
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { address, seen, serving })
    }

    /// The same request, sent here.
    fn instead_of(&self, meant: &Url) -> String {
        let query = meant.query().map_or(String::new(), |query| format!("?{query}"));
        format!("http://{}{}{query}", self.address, meant.path())
    }

    /// What arrived, as if at the platform.
    fn seen(&self, meant: &Url) -> Option<Request> {
        let Arrived { head, body: bytes } = self.seen.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let kind = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let headers = head.headers.iter().filter(|(name, _)| !CONNECTION.contains(&name.as_str()));
        let headers = headers.map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        Some(Request {
            method: head.method.as_str().to_owned(),
            url: format!("{}{target}", meant.origin().ascii_serialization()),
            headers: headers.collect(),
            body: body(&bytes, &kind),
        })
    }
}

/// The answer of a case as the platform would send it.
fn response(answer: Option<&Answer>) -> Result<Response<Full<Bytes>>> {
    let Some(answer) = answer else { return Ok(Response::new(Full::default())) };
    let bad = |what: &str| Failure::refused(format!("`answer`: {what}"));
    let status = http::StatusCode::from_u16(answer.status).ok().filter(|status| status.as_u16() >= 200);
    let kind = answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type")).map_or("", |(_, value)| value.as_str());
    let mut response = Response::new(Full::from(bytes(answer.body.as_ref(), kind)));
    *response.status_mut() = status.ok_or_else(|| bad("`status` is a number from 200 to 999"))?;
    for (name, value) in &answer.headers {
        // Where a redirect leads, and how a body is framed, is not for a case to say.
        if ["location", "content-length", "transfer-encoding", "connection", "content-encoding"]
            .contains(&name.to_ascii_lowercase().as_str())
        {
            return Err(bad(&format!("the header `{name}` cannot be replayed; leave it out")));
        }
        let name = http::HeaderName::try_from(name.as_str()).map_err(|_| bad("a header has no usable name"))?;
        let value = http::HeaderValue::try_from(value.as_str()).map_err(|_| bad("a header has no usable value"))?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}
