//! The command line's way to a node: its flags, its requests, and what a refusal means.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use clap::Args;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER},
};
use serde_json::Value;
use url::{Host, Url};

use super::{
    failure::{Failure, Result},
    screen::Screen,
};

/// A node that has not accepted the connection by then is taken for absent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than the longest action (300 s) may take.
const TIMEOUT: Duration = Duration::from_secs(330);
/// Largest answer that is read, in bytes; a node's own limit for platforms is far below.
const MAX_ANSWER: usize = 256 * 1024 * 1024;

/// Which node, and who asks.
#[derive(Args)]
pub struct Connection {
    /// Address of the node
    #[arg(
        long,
        env = "AMALGAM_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:3000",
        global = true,
        help_heading = "Connection"
    )]
    url: Url,

    /// API key (better in AMALGAM_KEY or a file: other processes can see command lines)
    #[arg(long, env = "AMALGAM_KEY", value_name = "KEY", hide_env_values = true, global = true, help_heading = "Connection")]
    key: Option<String>,

    /// File with the API key; goes before --key and AMALGAM_KEY
    #[arg(long, value_name = "FILE", global = true, help_heading = "Connection")]
    key_file: Option<PathBuf>,

    /// Act for this user (needs an admin key)
    #[arg(long, value_name = "USER", global = true, help_heading = "Connection")]
    user: Option<String>,

    /// Ask about connectors, credentials, users and actions through this server, under its restrictions
    #[arg(long, value_name = "SERVER ID", global = true, help_heading = "Connection")]
    server: Option<String>,

    /// Print what the node answers, untouched
    #[arg(long, global = true, help_heading = "Connection")]
    json: bool,
}

/// What a command works with.
pub struct Session {
    /// The node.
    pub client: Client,
    /// The reader.
    pub screen: Screen,
}

impl Connection {
    /// Runs a command against the node.
    pub fn run<F: Future<Output = Result>>(self, command: impl FnOnce(Session) -> F) -> Result {
        let session = Session { screen: Screen::new(self.json), client: Client::new(self)? };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|e| Failure::refused(e.to_string()))?.block_on(command(session))
    }

    fn key(&self) -> Result<Option<String>> {
        let key = match &self.key_file {
            Some(path) => Some(
                std::fs::read_to_string(path).map_err(|e| Failure::usage(format!("cannot read the key file {}: {e}", path.display())))?,
            ),
            None => self.key.clone(),
        };
        Ok(key.map(|key| key.trim().to_owned()).filter(|key| !key.is_empty()))
    }
}

/// A node, as one caller reaches it.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    headers: HeaderMap,
    /// Sent only where the REST twin takes it.
    server: Option<HeaderValue>,
    json: bool,
}

/// What a node answered.
pub struct Answer {
    text: String,
}

impl Answer {
    /// As it came.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// As JSON.
    pub fn value(&self) -> Result<Value> {
        serde_json::from_str(&self.text).map_err(|_| not_a_node("the answer is not JSON"))
    }
}

impl Client {
    fn new(connection: Connection) -> Result<Self> {
        let (mut headers, key) = (HeaderMap::new(), connection.key()?);
        if let Some(key) = key {
            let mut value = header("the API key", &format!("Bearer {key}"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        if let Some(user) = &connection.user {
            headers.insert(HeaderName::from_static("x-alloy-userid"), header("--user", user)?);
        }
        let base = connection.url;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(Failure::usage("--url must be an address such as http://127.0.0.1:3000"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(Failure::usage("--url must not hold a password; give the API key with AMALGAM_KEY"));
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("amalgam/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            // A key goes to the address that was given, nowhere else.
            .redirect(reqwest::redirect::Policy::none());
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        Ok(Self {
            http: builder.build().map_err(|e| Failure::refused(format!("cannot set up TLS: {}", causes(&e))))?,
            base,
            headers,
            server: connection.server.map(|server| header("--server", &server)).transpose()?,
            json: connection.json,
        })
    }

    /// `--user`.
    pub fn user(&self) -> Option<&str> {
        self.headers.get("x-alloy-userid").and_then(|user| std::str::from_utf8(user.as_bytes()).ok())
    }

    /// `--server`.
    pub fn server(&self) -> Option<&str> {
        self.server.as_ref().and_then(|server| std::str::from_utf8(server.as_bytes()).ok())
    }

    /// GET with a query of those values that there are.
    pub async fn get(&self, path: &[&str], query: &[(&str, Option<&str>)]) -> Result<Answer> {
        self.send(Method::GET, path, query, None).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &[&str]) -> Result<Answer> {
        self.send(Method::DELETE, path, &[], None).await
    }

    /// POST of a JSON body.
    pub async fn post(&self, path: &[&str], body: &Value) -> Result<Answer> {
        self.send(Method::POST, path, &[], Some(("application/json", body.to_string().into_bytes()))).await
    }

    /// PUT of a JSON body.
    pub async fn put(&self, path: &[&str], body: &Value) -> Result<Answer> {
        self.send(Method::PUT, path, &[], Some(("application/json", body.to_string().into_bytes()))).await
    }

    /// Any request. The body comes with its content type.
    pub async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, Option<&str>)],
        body: Option<(&'static str, Vec<u8>)>,
    ) -> Result<Answer> {
        let mut request = self.http.request(method, self.address(path, query)?).headers(self.headers.clone());
        if let (Some(server), Some(&("connectors" | "users"))) = (&self.server, path.first()) {
            request = request.header("x-mcp-server-id", server);
        }
        if let Some((kind, bytes)) = body {
            request = request.header(CONTENT_TYPE, kind).body(bytes);
        }
        let mut response = request.send().await.map_err(|e| self.no_connection(&e))?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.no_connection(&e))? {
            if bytes.len() + chunk.len() > MAX_ANSWER {
                return Err(not_a_node("the answer does not end"));
            }
            bytes.extend_from_slice(&chunk);
        }
        let text = String::from_utf8(bytes).map_err(|_| not_a_node("the answer is not text"))?;
        if response.status().is_success() {
            return Ok(Answer { text });
        }
        Err(self.refusal(response.status(), response.headers(), text))
    }

    /// The address of a path whose parts are not yet escaped.
    fn address(&self, path: &[&str], query: &[(&str, Option<&str>)]) -> Result<Url> {
        // An address without such a part would name something else: `servers delete ..`.
        if let Some(part) = path.iter().find(|part| matches!(**part, "" | "." | "..")) {
            return Err(Failure::usage(format!("{part:?} is not an id")));
        }
        let mut url = self.base.clone();
        url.set_query(None);
        url.set_fragment(None);
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(path);
        }
        for (name, value) in query {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        Ok(url)
    }

    fn no_connection(&self, error: &reqwest::Error) -> Failure {
        let sentence = format!("no answer from {}: {}", self.base, causes(error));
        Failure::no_connection(sentence).with_next("start a node with `amalgam serve`, or name another one with --url or AMALGAM_URL")
    }

    /// The server's own sentence, with the next step.
    fn refusal(&self, status: StatusCode, headers: &HeaderMap, text: String) -> Failure {
        let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        if let Some(place) = header(LOCATION).filter(|_| status.is_redirection()) {
            return Failure::refused(format!("{} sends us on to {place}", self.base)).with_next("give that address with --url");
        }
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        let at = |places: [&str; 2]| places.iter().find_map(|place| body.pointer(place)?.as_str());
        let Some(sentence) = at(["/error", "/error/message"]) else {
            return not_a_node(&format!("{} answered {status}", self.base));
        };
        let code = at(["/code", "/error/code"]).unwrap_or_default();
        let mut failure = Failure::refused(sentence).with_not_found(status == StatusCode::NOT_FOUND);
        if let Some(next) = self.next_step(code, header(RETRY_AFTER).as_deref()) {
            failure = failure.with_next(next);
        }
        failure.with_request_id(header(HeaderName::from_static("x-request-id"))).with_body(self.json.then_some(text))
    }

    fn next_step(&self, code: &str, retry_after: Option<&str>) -> Option<String> {
        let step = match code {
            "UNAUTHORIZED" if self.headers.contains_key(AUTHORIZATION) => {
                "check the key: it may be mistyped, revoked or expired, or belong to another node"
            }
            "UNAUTHORIZED" => "give an API key with AMALGAM_KEY or --key-file; `amalgam serve` shows the first one at its first start",
            "CREDENTIAL_NOT_FOUND" => "`amalgam credentials metadata CONNECTOR` says what is needed, `amalgam credentials create` keeps it",
            "CONNECTOR_NOT_FOUND" => "`amalgam connectors list` shows those that there are",
            "ACTION_NOT_FOUND" => "`amalgam connectors actions CONNECTOR` shows those that there are",
            "NOT_FOUND" => "list what there is with `list` in place of this command; --user looks at another user's",
            "PLATFORM_ERROR" => "the platform did not accept the call: `amalgam connectors action CONNECTOR ACTION` shows what it takes",
            "INTERNAL_ERROR" => "look for the request id in the log of the node",
            "UNAVAILABLE" => "try again shortly; `amalgam health` says when the node can serve",
            "RATE_LIMITED" => return Some(format!("try again in {} seconds", retry_after.unwrap_or("60"))),
            _ => return None,
        };
        Some(step.to_owned())
    }
}

fn not_a_node(what: &str) -> Failure {
    Failure::refused(format!("{what}, which a node would not do")).with_next("check that --url is the address of an Amalgam node")
}

fn header(what: &str, text: &str) -> Result<HeaderValue> {
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| Failure::usage(format!("{what} holds a line end or another control character")))
}

/// Proxies of the environment are not for nodes on this machine.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    }
}

/// The last cause says what happened (`connection refused`); the first one names an address that may hold a secret.
fn causes(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it took too long".to_owned();
    }
    let mut last: &dyn std::error::Error = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}
