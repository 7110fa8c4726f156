//! Requests to the token endpoint, and what its answers mean.

use std::time::Duration;

use amalgam_protocol::strict::parse_answer;
use amalgam_vault::{Secret, Zeroizing};
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

use super::{Authentication, Client};
use crate::{
    config::is_unread,
    egress::{Egress, Incoming, OutgoingRequest},
};

/// A token endpoint that is slower is as good as down.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Answers are a few kilobytes; tokens of some servers carry whole directories.
const MAX_ANSWER: usize = 256 * 1024;
/// A token is sent in a header, and longer headers are refused everywhere.
const MAX_TOKEN: usize = 16 * 1024;
/// What a server says of itself is cut after this many characters.
const MAX_SAID: usize = 200;
/// Parameters whose values are nobody's to read.
const SECRET: [&str; 7] = ["code", "code_verifier", "refresh_token", "token", "assertion", "subject_token", "client_assertion"];
/// Codes that say "later" rather than "no" (RFC 6749 section 4.1.2.1, RFC 8628 section 3.5, Slack).
const LATER: [&str; 7] =
    ["server_error", "temporarily_unavailable", "slow_down", "ratelimited", "internal_error", "fatal_error", "service_unavailable"];

/// A request to a token endpoint.
pub struct TokenRequest<'a> {
    /// The endpoint.
    pub url: &'a str,
    /// Who asks.
    pub client: &'a Client,
    /// `grant_type` and what goes with it.
    pub params: &'a [(&'a str, &'a str)],
    /// The body is JSON instead of a form (Notion).
    pub json: bool,
    /// `aud` of a client assertion; usually the issuer, else the endpoint.
    pub audience: &'a str,
}

/// JSON pointers into an answer and what else of it differs; absent ones are where RFC 6749 section 5.1 puts them.
#[derive(Default)]
pub struct Pointers<'a> {
    /// The access token.
    pub token: Option<&'a str>,
    /// The refresh token.
    pub refresh_token: Option<&'a str>,
    /// Seconds until the token expires, a number or its text.
    pub expires_in: Option<&'a str>,
    /// The scopes that were granted.
    pub scope: Option<&'a str>,
    /// Values of `token_type` beside `Bearer` that mean the same.
    pub types: &'a [String],
}

/// What was granted.
pub struct Tokens {
    /// The access token.
    pub access: Secret,
    /// The refresh token, when there is a new one.
    pub refresh: Option<Secret>,
    /// Seconds.
    pub expires_in: Option<u64>,
    /// The scopes, when the server names them.
    pub scope: Option<String>,
    /// An OpenID Connect id token, unverified.
    pub id_token: Option<Secret>,
    /// What a token exchange has issued (RFC 8693 section 2.2.1).
    pub issued_type: Option<String>,
}

/// Why there are no tokens. `Display` is a sentence for people without any secret.
#[derive(Debug, Clone)]
pub enum Failure {
    /// The server understood and said no: what was shown is no longer good.
    Refused {
        /// The `error` of RFC 6749 section 5.2, or the server's own.
        code: String,
        /// Its words.
        description: String,
    },
    /// The server does not accept the client itself: its id, its secret, its right to this grant.
    Client {
        /// As above.
        code: String,
        /// As above.
        description: String,
    },
    /// Not reached, not finished, or not understood: another attempt may succeed.
    Transient(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused { code, description } | Self::Client { code, description } => {
                f.write_str(code)?;
                if description.is_empty() { Ok(()) } else { write!(f, ": {description}") }
            }
            Self::Transient(what) => f.write_str(what),
        }
    }
}

/// Asks for tokens. Redirects are not followed: code, secret and tokens belong to this endpoint alone.
///
/// # Errors
/// See `Failure`.
pub async fn request(egress: &Egress, request: &TokenRequest<'_>, pointers: &Pointers<'_>) -> Result<Tokens, Failure> {
    let incoming = post(egress, request).await?;
    let answer = understood(&incoming).map_err(|failure| request.scrubbed(failure))?;
    tokens(&answer, pointers)
}

/// Revokes a token (RFC 7009). A server that does not know it has nothing left to revoke, and says so with 200.
///
/// # Errors
/// See `Failure`.
pub async fn revoke(egress: &Egress, request: &TokenRequest<'_>) -> Result<(), Failure> {
    let incoming = post(egress, request).await?;
    if incoming.status.is_success() && incoming.body.is_empty() {
        return Ok(());
    }
    match understood(&incoming) {
        Err(Failure::Transient(_)) if incoming.status.is_success() => Ok(()),
        result => result.map(drop).map_err(|failure| request.scrubbed(failure)),
    }
}

impl TokenRequest<'_> {
    /// A server may repeat what it was sent. Its words are logged and shown, so that no secret may stand in them.
    fn scrubbed(&self, failure: Failure) -> Failure {
        let own = match &self.client.authentication {
            Authentication::Post(secret) | Authentication::Basic(secret) => Some(secret.expose()),
            Authentication::None | Authentication::PrivateKey(_) => None,
        };
        let sent = self.params.iter().filter(|(name, _)| SECRET.contains(name)).map(|(_, value)| *value);
        let scrub = |text: String| {
            // Before it is cut, because a piece of a secret is one too.
            let text = sent.clone().chain(own).filter(|secret| !secret.is_empty()).fold(text, |text, secret| text.replace(secret, "…"));
            text.chars().take(MAX_SAID).collect()
        };
        match failure {
            Failure::Refused { code, description } => Failure::Refused { code: scrub(code), description: scrub(description) },
            Failure::Client { code, description } => Failure::Client { code: scrub(code), description: scrub(description) },
            Failure::Transient(what) => Failure::Transient(scrub(what)),
        }
    }
}

async fn post(egress: &Egress, request: &TokenRequest<'_>) -> Result<Incoming, Failure> {
    if !Url::parse(request.url).is_ok_and(|url| is_unread(&url, egress.allowed())) {
        let description = "the token endpoint is not an https address, so that no secret is sent there".to_owned();
        return Err(Failure::Client { code: "insecure_endpoint".to_owned(), description });
    }
    let mut params: Vec<(String, Zeroizing<String>)> =
        request.params.iter().map(|(name, value)| ((*name).to_owned(), Zeroizing::new((*value).to_owned()))).collect();
    let proof = request
        .client
        .prove(request.audience, &mut params)
        .map_err(|why| Failure::Client { code: "invalid_client".to_owned(), description: why.to_owned() })?;
    let (kind, body) = if request.json {
        let members: Map<String, Value> = params.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        ("application/json", Value::Object(members).to_string())
    } else {
        let pairs = params.iter().map(|(name, value)| (name, value.as_str()));
        ("application/x-www-form-urlencoded", form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
    };
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(proof) = proof {
        let mut value = HeaderValue::try_from(proof.expose()).map_err(|_| Failure::Client {
            code: "invalid_client".to_owned(),
            description: "the client's id or secret holds characters that cannot be sent".to_owned(),
        })?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let outgoing = OutgoingRequest {
        method: Method::POST,
        url: request.url,
        headers,
        body: body.into(),
        timeout: TIMEOUT,
        max_response_bytes: MAX_ANSWER,
        follow_redirects: false,
        credential_bound: true,
    };
    egress.send(outgoing).await.map_err(|error| Failure::Transient(error.to_string()))
}

/// The answer's members when it grants something.
fn understood(incoming: &Incoming) -> Result<Value, Failure> {
    let status = incoming.status;
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT {
        return Err(Failure::Transient(format!("the token endpoint answered {status}")));
    }
    if status.is_redirection() {
        return Err(Failure::Transient("the token endpoint redirected, which is not followed".to_owned()));
    }
    let kind = incoming.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Some servers answer as forms, whatever is asked for.
    let answer = if kind.starts_with("application/x-www-form-urlencoded") {
        let members: Map<String, Value> =
            form_urlencoded::parse(&incoming.body).map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect();
        Value::Object(members)
    } else {
        let answer = parse_answer(&incoming.body).ok().filter(Value::is_object);
        answer.ok_or_else(|| Failure::Transient(format!("the token endpoint answered {status} with something that is not JSON")))?
    };
    match refusal(status, &answer) {
        Some(failure) => Err(failure),
        None => Ok(answer),
    }
}

/// The error in an answer, whatever its status: several platforms say no with 200.
fn refusal(status: StatusCode, answer: &Value) -> Option<Failure> {
    let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    let code = text("/error").or_else(|| text("/error/code")).or_else(|| text("/error/type")).or_else(|| text("/code"));
    let code = match code {
        Some(code) if !status.is_success() || answer.get("error").is_some() => said(code),
        _ if status.is_success() => return None,
        // What says no without saying why: the status has to do.
        _ if matches!(status.as_u16(), 400 | 401) => "invalid_request".to_owned(),
        _ => return Some(Failure::Transient(format!("the token endpoint answered {status}"))),
    };
    let description =
        text("/error_description").or_else(|| text("/error/message")).or_else(|| text("/message")).map(said).unwrap_or_default();
    Some(match code.as_str() {
        later if LATER.contains(&later) => Failure::Transient(format!("the token endpoint answered {later}")),
        "invalid_client" | "unauthorized_client" | "invalid_client_id" | "bad_client_secret" | "incorrect_client_credentials" => {
            Failure::Client { code, description }
        }
        _ => Failure::Refused { code, description },
    })
}

fn tokens(answer: &Value, pointers: &Pointers<'_>) -> Result<Tokens, Failure> {
    let at = |pointer: Option<&str>, usual: &str| answer.pointer(pointer.unwrap_or(usual));
    let token = |value: Option<&Value>| {
        let text = value.and_then(Value::as_str).filter(|text| !text.is_empty())?;
        let sendable = text.len() <= MAX_TOKEN && text.bytes().all(|byte| byte.is_ascii_graphic());
        sendable.then(|| Secret::new(text.to_owned()))
    };
    let malformed = |what: &str| Failure::Transient(format!("the token endpoint answered without {what}"));
    let kind = at(None, "/token_type").and_then(Value::as_str).unwrap_or("Bearer");
    if !kind.eq_ignore_ascii_case("Bearer") && !pointers.types.iter().any(|known| known.eq_ignore_ascii_case(kind)) {
        return Err(malformed("a bearer token: it has another type"));
    }
    let seconds = |value: &Value| value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()).or_else(|| value.as_f64().map(whole));
    Ok(Tokens {
        access: token(at(pointers.token, "/access_token")).ok_or_else(|| malformed("a usable access token"))?,
        refresh: token(at(pointers.refresh_token, "/refresh_token")),
        expires_in: at(pointers.expires_in, "/expires_in").and_then(seconds),
        scope: at(pointers.scope, "/scope").and_then(Value::as_str).map(str::to_owned),
        id_token: token(at(None, "/id_token")),
        issued_type: at(None, "/issued_token_type").and_then(Value::as_str).map(str::to_owned),
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of floating point saturates, and nothing lives that long"
)]
fn whole(seconds: f64) -> u64 {
    seconds as u64
}

/// A server's words, on one line. They are cut once they are scrubbed.
fn said(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
