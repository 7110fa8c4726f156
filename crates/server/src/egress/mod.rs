//! The one HTTP client that leaves the process: every address is judged, every answer is limited.
//!
//! A call passes, in this order: the URL is checked; a connection that is free is taken, or one is opened by [`connect`]
//! (resolve, judge, connect to the judged address, TLS); the answer's headers and body are limited; a redirect starts
//! again from the first step. Connections are kept by owner, scheme, host and port ([`link`]), and lead only to judged addresses.
//! A platform that says more than it announced spoils the connection for whoever asks next on it: so nobody else ever does.
//!
//! HTTP/1.1 only, no proxy, no cookies, no decompression: `accept-encoding: identity` is sent, and a platform that
//! compresses anyway is an error rather than a decompression bomb.

mod body;
mod connect;
mod error;
mod guard;
mod link;
mod redirect;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use amalgam_protocol::Pieces;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Body;
use ipnet::IpNet;
use quick_cache::sync::Cache;
use rustls::RootCertStore;
use tokio::sync::Semaphore;

pub use body::{Arrived, Incoming, IncomingBody, IncomingStream, Payload};
use connect::Connector;
pub use connect::{Resolve, SystemResolver};
pub use error::{EgressError, EgressErrorKind};
use link::{Idle, Link};
use redirect::{Address, Hop};

/// How the client behaves for all requests.
pub struct EgressConfig {
    /// Ranges that may be called although they are private, loopback or reserved.
    pub allow: Vec<IpNet>,
    /// For name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Redirects followed in one call.
    pub max_redirects: usize,
    /// Idle connections kept for each owner, scheme, host and port.
    pub max_idle_per_host: usize,
    /// Idle connections kept of all owners together: each is an open file.
    pub max_idle: usize,
    /// Owners whose idle connections are kept.
    pub max_owners: usize,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// Sent when a request names none; some platforms refuse requests without one.
    pub user_agent: HeaderValue,
    /// The trusted authorities; `None` = the machine's, or Mozilla's where the machine has none.
    pub roots: Option<Arc<RootCertStore>>,
    /// Turns names into addresses.
    pub resolver: Arc<dyn Resolve>,
}

impl Default for EgressConfig {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            max_redirects: 5,
            max_idle_per_host: 32,
            max_idle: 4_096,
            max_owners: 10_000,
            idle_timeout: Duration::from_secs(60),
            user_agent: HeaderValue::from_static(concat!("amalgam/", env!("CARGO_PKG_VERSION"))),
            roots: None,
            resolver: Arc::new(SystemResolver),
        }
    }
}

/// One request. It is sent as it is, except for `host`, framing, `accept-encoding` and a missing `user-agent`.
pub struct OutgoingRequest<'a> {
    /// Any method but CONNECT and TRACE.
    pub method: Method,
    /// An absolute http or https URL, without user name or password.
    pub url: &'a str,
    /// Headers. Those that belong to the connection (`host`, `content-length`, `proxy-*`, …) are refused.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Pieces,
    /// For the whole call, redirects included; for a streaming call until the headers have come. `Duration::MAX` is no limit,
    /// for a caller that has one around the whole.
    pub timeout: Duration,
    /// The longest body accepted, in bytes.
    pub max_response_bytes: usize,
    /// Whether redirects are followed; otherwise they are answers like others.
    pub follow_redirects: bool,
    /// Whether the URL or the body carries a credential: then no redirect to another origin is followed. Credentials
    /// in headers need no such care, because only a few harmless headers cross to another origin.
    pub credential_bound: bool,
}

impl<'a> OutgoingRequest<'a> {
    /// For a JSON document that vouches for the address where it stands, and not for one that it was moved to.
    pub fn document(url: &'a str, timeout: Duration, max_response_bytes: usize) -> Self {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        let (method, body) = (Method::GET, Pieces::default());
        Self { method, url, headers, body, timeout, max_response_bytes, follow_redirects: false, credential_bound: false }
    }
}

/// The client. Cloning is cheap. As it is made, it keeps no connection; [`Self::of`] an owner it keeps that owner's.
#[derive(Clone)]
pub struct Egress {
    pool: Arc<Pool>,
    shared: Arc<Shared>,
}

/// The connections of one owner.
struct Pool {
    idle: Arc<Idle>,
    /// Where the last streaming call went: an owner's calls often go to the same MCP server, whose URL is then not parsed again. Addresses
    /// of platforms are never kept, because they may hold a secret.
    last: Mutex<Option<Arc<Address>>>,
}

impl Pool {
    fn address(&self, text: &str) -> Result<Arc<Address>, EgressError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = last.as_ref().filter(|address| address.text == text) {
            return Ok(address.clone());
        }
        let address = Arc::new(Address::parse(text)?);
        *last = Some(address.clone());
        Ok(address)
    }
}

/// An account and a user of it.
type Owner = (Arc<str>, Arc<str>);

/// What all owners share.
struct Shared {
    pools: Cache<Owner, Arc<Pool>>,
    connector: Connector,
    idle_timeout: Duration,
    max_idle_per_host: usize,
    /// So that nobody takes all places.
    max_idle_of_owner: usize,
    /// Places for connections that nobody uses, of all owners.
    idle: Arc<Semaphore>,
    user_agent: HeaderValue,
    max_redirects: usize,
    allow: Arc<[IpNet]>,
}

impl Shared {
    fn pool(&self, max_idle_per_host: usize) -> Arc<Pool> {
        Arc::new(Pool {
            idle: Arc::new(Idle::new(max_idle_per_host, self.max_idle_of_owner, self.idle.clone(), self.idle_timeout)),
            last: Mutex::default(),
        })
    }
}

impl Egress {
    /// Builds the client; needs no runtime yet. Fails only when the TLS library refuses its own defaults.
    pub fn new(config: EgressConfig) -> Result<Self, rustls::Error> {
        let shared = Shared {
            pools: Cache::new(config.max_owners),
            connector: Connector::new(&config)?,
            idle_timeout: config.idle_timeout,
            max_idle_per_host: config.max_idle_per_host,
            max_idle_of_owner: (config.max_idle / 8).max(1),
            idle: Arc::new(Semaphore::new(config.max_idle)),
            user_agent: config.user_agent,
            max_redirects: config.max_redirects,
            allow: config.allow.into(),
        };
        Ok(Self { pool: shared.pool(0), shared: Arc::new(shared) })
    }

    /// The client with the connections of one owner, a user of an account.
    #[must_use]
    pub fn of(&self, account: &Arc<str>, user: &Arc<str>) -> Self {
        let pool = || Ok::<_, Infallible>(self.shared.pool(self.shared.max_idle_per_host));
        let Ok(pool) = self.shared.pools.get_or_insert_with(&(account.clone(), user.clone()), pool);
        Self { pool, shared: self.shared.clone() }
    }

    /// Closes connections that were not used for long, or that the other side has ended, and forgets owners who have none.
    pub fn sweep(&self) {
        for (_, pool) in self.shared.pools.iter() {
            pool.idle.sweep();
        }
        // Whoever holds one is about to send, and every connection, idle or not, knows where it comes back to.
        self.shared.pools.retain(|_, pool| Arc::strong_count(pool) > 1 || Arc::weak_count(&pool.idle) > 0);
    }

    /// The private ranges that it may reach.
    pub fn allowed(&self) -> &[IpNet] {
        &self.shared.allow
    }

    /// Sends a request and reads its whole answer.
    pub async fn send(&self, mut request: OutgoingRequest<'_>) -> Result<Incoming, EgressError> {
        let to = Arc::new(Address::parse(request.url)?);
        let (limit, host) = (request.timeout, to.name.clone());
        let call = async {
            let answer = self.exchange(&mut request, None, to).await?;
            let body = answer.body.whole().await?;
            Ok(Incoming { status: answer.status, headers: answer.headers, body })
        };
        within(limit, &host, call).await
    }

    /// Sends a request, with `stream` as its body where there is one, and reads its answer, unless `is_file` says that it is one: that may be
    /// `most` bytes long, and is still on its way. A streamed body is sent once, so that no redirect may be followed.
    pub async fn send_or_stream(
        &self,
        request: OutgoingRequest<'_>,
        stream: Option<Payload>,
        is_file: impl Fn(StatusCode, &HeaderMap) -> bool,
        most: usize,
    ) -> Result<Arrived, EgressError> {
        let to = Arc::new(Address::parse(request.url)?);
        let (limit, host, readable) = (request.timeout, to.name.clone(), request.max_response_bytes);
        let mut request = OutgoingRequest { max_response_bytes: readable.max(most), ..request };
        let call = async {
            let answer = self.exchange(&mut request, stream, to).await?;
            if is_file(answer.status, &answer.headers) {
                return Ok(Arrived::File(answer));
            }
            let body = answer.body.within(readable)?.whole().await?;
            Ok(Arrived::Whole(Incoming { status: answer.status, headers: answer.headers, body }))
        };
        within(limit, &host, call).await
    }

    /// Sends a request and returns once the headers of its answer have come. The body has no time limit of its own. The request can be sent
    /// again.
    pub async fn send_streaming(&self, request: &mut OutgoingRequest<'_>) -> Result<IncomingStream, EgressError> {
        let to = self.pool.address(request.url)?;
        let (limit, host) = (request.timeout, to.name.clone());
        let call = pin!(self.exchange(request, None, to));
        within(limit, &host, call).await
    }

    /// One request and the redirects that follow from it.
    async fn exchange(
        &self,
        request: &mut OutgoingRequest<'_>,
        mut stream: Option<Payload>,
        to: Arc<Address>,
    ) -> Result<IncomingStream, EgressError> {
        let OutgoingRequest { method, headers, body, .. } = request;
        check(method, headers)?;
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.entry(USER_AGENT).or_insert_with(|| self.shared.user_agent.clone());

        let mut host = to.name.clone();
        let mut hop = Hop { method: method.clone(), to, headers: Cow::Borrowed(headers), body: body.clone() };
        for followed in 0..=self.shared.max_redirects {
            let (response, link) = self.roundtrip(&hop, stream.take(), &host).await?;
            let location = redirect::target(response.status(), response.headers());
            let Some(location) = location.filter(|_| request.follow_redirects) else {
                return answer(response, link, request.max_response_bytes, host);
            };
            hop = hop.follow(response.status(), location, request.credential_bound, &host)?;
            if response.body().is_end_stream() {
                link.release();
            }
            if followed == 0 {
                // Where a platform leads is not for the caller's eyes, so from here on the first host stands for all.
                host = format!("a host to which {host} redirected").into();
            }
        }
        let what = "there were too many in a row";
        Err(EgressError::new(EgressErrorKind::Redirect(what), &host))
    }

    /// One request, one answer. A safe request is repeated once where a connection that was kept closed without an answer (RFC 9110 section
    /// 9.2.2).
    async fn roundtrip(&self, hop: &Hop<'_>, stream: Option<Payload>, host: &str) -> Result<Answered, EgressError> {
        // What is streamed is there once.
        let safe = hop.method.is_safe() && stream.is_none();
        let (result, was_kept) = self.once(&hop.to, build(hop, stream), host).await?;
        let result = match result {
            Err(error) if safe && was_kept && error::is_unanswered(&error) => self.once(&hop.to, build(hop, None), host).await?.0,
            result => result,
        };
        result.map_err(|error| error::from_connection(&error, host))
    }

    /// The inner error is about a request that was sent, over a connection that was kept where it says so.
    async fn once(&self, to: &Address, mut request: Request<Payload>, host: &str) -> Result<(hyper::Result<Answered>, bool), EgressError> {
        let is_head = request.method() == Method::HEAD;
        let (response, mut link, was_kept) = loop {
            let known = self.pool.idle.take(&to.origin);
            let is_known = known.is_some();
            let mut link = match known {
                Some(link) => link,
                // Boxed: most calls find one, and do not carry the room for this about.
                None => match Box::pin(self.connect(to, host)).await? {
                    Ok(link) => link,
                    Err(error) => return Ok((Err(error), false)),
                },
            };
            match link.ask(request).await {
                Ok(response) => break (response, link, is_known),
                Err(mut error) => match error.take_message().filter(|_| is_known) {
                    // It was closed while nobody used it, and nothing was sent.
                    Some(unsent) => request = unsent,
                    None => return Ok((Err(error.into_error()), is_known)),
                },
            }
        };
        // Where a body is announced and none comes, the next bytes may still belong to this answer.
        let headers = response.headers();
        let without_body = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let announced = headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
        if is_head || (without_body && announced) {
            link.spoil();
        }
        Ok((Ok((response, link)), was_kept))
    }

    async fn connect(&self, to: &Address, host: &str) -> Result<hyper::Result<Box<Link>>, EgressError> {
        let stream = self.shared.connector.connect(to.uri.clone()).await.map_err(|error| error::from_connector(&*error, host))?;
        Ok(Link::open(stream, to.origin.clone(), &self.pool.idle).await)
    }
}

/// The head of an answer, and what its body comes through.
type Answered = (Response<hyper::body::Incoming>, Box<Link>);

fn build(hop: &Hop<'_>, stream: Option<Payload>) -> Request<Payload> {
    let mut headers = hop.headers.as_ref().clone();
    // Hyper says nothing about an empty body, and some platforms then answer 411 (RFC 9110 section 8.6).
    if stream.is_none() && hop.body.is_empty() && matches!(hop.method, Method::POST | Method::PUT | Method::PATCH) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
    }
    headers.insert(HOST, hop.to.host.clone());
    let mut request = Request::new(stream.unwrap_or_else(|| Payload::Whole(hop.body.clone())));
    *request.method_mut() = hop.method.clone();
    *request.uri_mut() = hop.to.target.clone();
    *request.headers_mut() = headers;
    request
}

/// Checks and wraps the last answer. What HTTP allows but we never asked for is refused here.
fn answer(response: Response<hyper::body::Incoming>, link: Box<Link>, limit: usize, host: Arc<str>) -> Result<IncomingStream, EgressError> {
    let refuse = |what| Err(EgressError::new(EgressErrorKind::Protocol(what), &host));
    let (head, body) = response.into_parts();
    if head.status.is_informational() {
        return refuse("changed the protocol although nobody asked for that");
    }
    let encoding = head.headers.get(CONTENT_ENCODING);
    if encoding.is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) && !body.is_end_stream() {
        return refuse("compressed its answer although `accept-encoding: identity` was sent; this is not supported");
    }
    let body = IncomingBody::new(body, link, limit, host)?;
    Ok(IncomingStream { status: head.status, headers: head.headers, body })
}

/// Refuses what would change how the request is framed or routed rather than what it says.
fn check(method: &Method, headers: &HeaderMap) -> Result<(), EgressError> {
    if matches!(*method, Method::CONNECT | Method::TRACE) {
        return Err(EgressError::invalid(format!("the method {method} is not sent")));
    }
    let own = |name: &str| {
        let listed = matches!(
            name,
            "host" | "content-length" | "transfer-encoding" | "connection" | "keep-alive" | "te" | "trailer" | "upgrade" | "expect"
        );
        listed || name.starts_with("proxy-")
    };
    match headers.keys().find(|name| own(name.as_str())) {
        Some(name) => Err(EgressError::invalid(format!("the header `{name}` is written by this server; remove it"))),
        None => Ok(()),
    }
}

async fn within<T>(limit: Duration, host: &str, call: impl Future<Output = Result<T, EgressError>>) -> Result<T, EgressError> {
    let late = |_| Err(EgressError::new(EgressErrorKind::Timeout(limit), host));
    if limit == Duration::MAX { call.await } else { tokio::time::timeout(limit, call).await.unwrap_or_else(late) }
}
