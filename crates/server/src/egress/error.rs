//! Why a request was not sent, or not answered: one kind, one sentence that is safe to show, one private cause.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

/// A failed request. `Display` is a sentence for people and models: it names the host that the caller gave and the way
/// out, and never a query, a header, an address or a library's text. `Debug` and [`EgressError::cause`] are for logs only.
#[derive(Clone, Debug)]
pub struct EgressError {
    kind: EgressErrorKind,
    host: String,
    cause: String,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EgressErrorKind {
    /// The request itself is wrong; the text says how.
    Invalid(Cow<'static, str>),
    /// The host leads to an address that is not called; the cause names the address.
    Forbidden,
    /// The host name has no address.
    Resolve,
    /// No TCP connection in time.
    Connect,
    /// No TLS session; the text says why.
    Tls(&'static str),
    /// The whole call took longer than this.
    Timeout(Duration),
    /// The answer is larger than this many bytes.
    TooLarge(usize),
    /// The answer is not understandable HTTP; the text says what the host did.
    Protocol(&'static str),
    /// A redirect that is not followed; the text says why.
    Redirect(&'static str),
}

/// As many characters of a host as a DNS name can have (RFC 1035 section 2.3.4): hosts come from callers.
const MAX_HOST: usize = 253;

impl EgressError {
    /// An error of `kind` about `host`.
    pub(super) fn new(kind: EgressErrorKind, host: &str) -> Self {
        Self { kind, host: host.chars().take(MAX_HOST).collect(), cause: String::new() }
    }

    /// A request that cannot be sent as it is.
    pub(super) fn invalid(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(EgressErrorKind::Invalid(what.into()), "")
    }

    /// The same error, with its private cause.
    pub(super) fn because(mut self, cause: impl fmt::Display) -> Self {
        self.cause = cause.to_string();
        self
    }

    /// What went wrong, for callers that choose a status or a retry.
    pub fn kind(&self) -> &EgressErrorKind {
        &self.kind
    }

    /// The private cause: addresses and library texts. For logs, never for an answer.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// Whether nothing of the request was sent and a later attempt may succeed, whatever its method.
    pub fn is_retryable_before_send(&self) -> bool {
        matches!(self.kind, EgressErrorKind::Resolve | EgressErrorKind::Connect | EgressErrorKind::Tls(_))
    }
}

impl fmt::Display for EgressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.host;
        match &self.kind {
            EgressErrorKind::Invalid(what) => write!(f, "the request cannot be sent: {what}"),
            EgressErrorKind::Forbidden => write!(
                f,
                "{host} leads to a private, loopback or reserved address, which this server does not call; \
                 its operator can open a range with --egress-allow"
            ),
            EgressErrorKind::Resolve => write!(f, "the name of {host} could not be resolved; check its spelling"),
            EgressErrorKind::Connect => {
                write!(f, "no connection to {host} could be made; it may be down, or not listen on this port")
            }
            EgressErrorKind::Tls(what) => {
                write!(f, "no secure connection to {host} could be made: {what}")
            }
            EgressErrorKind::Timeout(limit) => {
                let seconds = (limit.as_secs_f64() * 100.0).round() / 100.0;
                write!(f, "{host} did not finish its answer within {seconds} s; what was asked may still have been done")
            }
            EgressErrorKind::TooLarge(limit) => {
                write!(f, "the answer of {host} is larger than the limit of {limit} bytes; ask for less at once")
            }
            EgressErrorKind::Protocol(what) => write!(f, "{host} {what}"),
            EgressErrorKind::Redirect(what) => {
                write!(f, "a redirect of {host} was not followed: {what}")
            }
        }
    }
}

impl Error for EgressError {}

/// Why there is no connection, in our words. `host` is how the caller knows the host.
pub(super) fn from_connector(error: &(dyn Error + 'static), host: &str) -> EgressError {
    if let Some(own) = find::<EgressError>(error) {
        return EgressError::new(own.kind.clone(), host).because(own.cause());
    }
    // The connector judges and connects by itself and says so with our own error, so what is left is the handshake.
    let what = find::<rustls::Error>(error).map_or("the handshake failed", tls_reason);
    EgressError::new(EgressErrorKind::Tls(what), host).because(chain(error))
}

/// Why a request that was sent has no answer.
pub(super) fn from_connection(error: &hyper::Error, host: &str) -> EgressError {
    let what = if error.is_parse_too_large() {
        "sent headers that are too many or too large"
    } else if error.is_parse() {
        "did not answer in HTTP"
    } else {
        "closed the connection without an answer; what was asked may still have been done"
    };
    EgressError::new(EgressErrorKind::Protocol(what), host).because(chain(error))
}

/// What went wrong while the body came.
pub(super) fn from_body(error: &hyper::Error, host: &str) -> EgressError {
    let what = "broke off in the middle of its answer";
    EgressError::new(EgressErrorKind::Protocol(what), host).because(chain(error))
}

/// Whether the connection ended before any byte of an answer came.
pub(super) fn is_unanswered(error: &hyper::Error) -> bool {
    let reset = |e: &io::Error| matches!(e.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe);
    error.is_incomplete_message() || find::<io::Error>(error).is_some_and(reset)
}

fn tls_reason(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError as Certificate;
    match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            Certificate::Expired | Certificate::ExpiredContext { .. } => "its certificate has expired",
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => "its certificate is not valid yet",
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => "its certificate is for another name",
            Certificate::UnknownIssuer => "its certificate comes from an authority that is not trusted here",
            Certificate::Revoked => "its certificate was revoked",
            _ => "its certificate is not valid",
        },
        rustls::Error::InvalidMessage(_) => "it does not speak TLS on this port",
        _ => "the handshake failed",
    }
}

/// The first error of type `T` in the chain of causes, those inside `io::Error` included (`source` steps over them).
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

fn chain(error: &(dyn Error + 'static)) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let next = |cause: &&'a (dyn Error + 'static)| -> Option<&'a (dyn Error + 'static)> {
        let cause: &'a (dyn Error + 'static) = *cause;
        match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => cause.source(),
        }
    };
    std::iter::successors(Some(error), next)
}
