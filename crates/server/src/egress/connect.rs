//! Opens connections: resolve, judge every address, connect to one of exactly those addresses, then TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use http::Uri;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tower::{BoxError, Service, ServiceExt as _};

use super::EgressConfig;
use super::error::{EgressError, EgressErrorKind};
use super::guard::is_permitted;

/// How long one address may stay silent before the next is tried beside it (RFC 8305 section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// A hostile name can have hundreds of addresses; all are judged, and this many are tried.
const MAX_ATTEMPTS: usize = 4;

/// Turns a host name into addresses.
pub trait Resolve: Send + Sync {
    /// All addresses of `host`, best first. `host` is never an address itself.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The resolver of the operating system (`getaddrinfo`), with its hosts file and search domains.
#[derive(Debug)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|socket| socket.ip()).collect()) })
    }
}

/// Opens guarded connections: `http` in the clear, `https` over TLS.
pub(super) struct Connector {
    https: HttpsConnector<GuardedTcp>,
    timeout: Duration,
}

impl Connector {
    /// Reads the trusted roots; fails when the TLS library refuses its own defaults.
    pub(super) fn new(config: &EgressConfig) -> Result<Self, rustls::Error> {
        let tcp = GuardedTcp { resolver: Arc::clone(&config.resolver), allow: config.allow.as_slice().into() };
        let https =
            HttpsConnectorBuilder::new().with_tls_config(tls(config.roots.clone())?).https_or_http().enable_http1().wrap_connector(tcp);
        Ok(Self { https, timeout: config.connect_timeout })
    }

    /// A connection to where this leads.
    pub(super) async fn connect(&self, to: Uri) -> Result<Stream, BoxError> {
        timeout(self.timeout, self.https.clone().oneshot(to)).await.unwrap_or_else(|_| {
            let cause = format!("no connection within {:?}", self.timeout);
            Err(EgressError::new(EgressErrorKind::Connect, "").because(cause).into())
        })
    }
}

/// The crypto provider is named here, so no process-wide default is needed. Roots are the configured ones, else the
/// machine's (where operators add their own authorities), else Mozilla's: a bare container has none.
fn tls(roots: Option<Arc<RootCertStore>>) -> Result<ClientConfig, rustls::Error> {
    let builder = || {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()
    };
    let config = match roots {
        Some(roots) => builder()?.with_root_certificates(roots),
        None => match builder()?.with_native_roots() {
            Ok(config) => config,
            Err(_) => builder()?.with_webpki_roots(),
        },
    };
    Ok(config.with_no_client_auth())
}

/// What bytes pass through.
pub(super) type Stream = MaybeHttpsStream<TokioIo<Counted>>;

/// How many bytes may still come through this stream: after them it fails. A platform could announce an answer without end.
pub(super) fn left(stream: &Stream) -> Arc<AtomicUsize> {
    let tcp = match stream {
        MaybeHttpsStream::Http(tcp) => tcp.inner(),
        MaybeHttpsStream::Https(tls) => tls.inner().get_ref().0.inner().inner(),
    };
    tcp.left.clone()
}

/// TCP through which only so many bytes come; without a bound where that is `usize::MAX`.
pub(super) struct Counted {
    tcp: TcpStream,
    left: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(context, buffer))?;
        let left = self.left.load(Ordering::Relaxed);
        if left == usize::MAX {
            return Poll::Ready(Ok(()));
        }
        let Some(left) = left.checked_sub(buffer.filled().len() - before) else {
            return Poll::Ready(Err(io::Error::other("more came than belongs before an answer")));
        };
        self.left.store(left, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, pieces: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(context, pieces)
    }
}

impl Connection for Counted {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

/// TCP to judged addresses only. Its errors carry no host: the caller knows how the host was called.
#[derive(Clone)]
struct GuardedTcp {
    resolver: Arc<dyn Resolve>,
    allow: Arc<[IpNet]>,
}

impl Service<Uri> for GuardedTcp {
    type Response = TokioIo<Counted>;
    type Error = EgressError;
    type Future = BoxFuture<'static, Result<Self::Response, EgressError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), EgressError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let tcp = this.connect(&uri).await?;
            Ok(TokioIo::new(Counted { tcp, left: Arc::new(AtomicUsize::new(usize::MAX)) }))
        })
    }
}

impl GuardedTcp {
    async fn connect(&self, uri: &Uri) -> Result<TcpStream, EgressError> {
        let host = uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let secure = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let error = |kind| EgressError::new(kind, "");

        let addresses = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => self.resolver.resolve(host).await.map_err(|cause| error(EgressErrorKind::Resolve).because(cause))?,
        };
        // One bad address closes the whole answer: a name with both public and private addresses is how rebinding
        // looks, and picking the good ones would hide it.
        if let Some(closed) = addresses.iter().find(|address| !is_permitted(**address, &self.allow)) {
            return Err(error(EgressErrorKind::Forbidden).because(format!("{host} has the address {closed}")));
        }
        if addresses.is_empty() {
            return Err(error(EgressErrorKind::Resolve).because("the name has no address"));
        }
        let sockets = addresses.into_iter().take(MAX_ATTEMPTS).map(|address| SocketAddr::new(address, port));
        let stream = connect_first(sockets).await.map_err(|cause| error(EgressErrorKind::Connect).because(cause))?;
        // Requests are written whole, so waiting for more bytes only delays them. Failing to say so is harmless.
        stream.set_nodelay(true).ok();
        Ok(stream)
    }
}

/// Tries the addresses in order; the next starts when one fails or stays silent for [`ATTEMPT_DELAY`].
/// The first connection wins and the other attempts end with this future.
async fn connect_first(mut sockets: impl ExactSizeIterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut attempts = FuturesUnordered::new();
    let mut failure = io::Error::other("no address was left to try");
    loop {
        match sockets.next() {
            Some(socket) => attempts.push(TcpStream::connect(socket)),
            None if attempts.is_empty() => return Err(failure),
            None => {}
        }
        tokio::select! {
            Some(result) = attempts.next() => match result {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            },
            () = sleep(ATTEMPT_DELAY), if sockets.len() > 0 => {}
        }
    }
}
