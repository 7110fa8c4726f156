//! A platform on loopback that remembers what reached it and misbehaves when a path asks for it.

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    response::Response,
};
use futures_util::{StreamExt as _, stream};
use http::HeaderName;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};

/// One request that reached the platform.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its method.
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

impl Seen {
    /// A header's text; empty when it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Its body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

struct Shared {
    seen: Mutex<Vec<Seen>>,
    /// What is answered to the next requests, first come first served.
    prepared: Mutex<VecDeque<Response>>,
    /// Lets `/slow` answer.
    release: Notify,
}

/// A running platform.
pub struct Platform {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Platform {
    /// Starts one.
    pub async fn start() -> Self {
        let shared = Arc::new(Shared { seen: Mutex::default(), prepared: Mutex::default(), release: Notify::new() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, serving }
    }

    /// Its address as a base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that reached it so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// How many requests reached it so far.
    pub fn count(&self) -> usize {
        self.shared.seen.lock().unwrap().len()
    }

    /// The last request that reached it.
    #[track_caller]
    pub fn last(&self) -> Seen {
        self.seen().pop().expect("a request has reached the platform")
    }

    /// Has the next request answered so, whatever it asks for.
    pub fn prepare(&self, status: u16, headers: &[(&'static str, &str)], body: &Value) {
        let mut response = json_answer(status, body);
        response.headers_mut().extend(headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())));
        self.shared.prepared.lock().unwrap().push_back(response);
    }

    /// The same with JSON that is written in a way of its own.
    pub fn prepare_text(&self, status: u16, json: String) {
        let mut response = json_answer(status, &Value::Null);
        *response.body_mut() = Body::from(json);
        self.shared.prepared.lock().unwrap().push_back(response);
    }

    /// Lets one waiting request to `/do/slow` answer.
    pub fn release(&self) {
        self.shared.release.notify_one();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 64 * 1024 * 1024).await.unwrap();
    let seen = Seen {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    shared.seen.lock().unwrap().push(seen.clone());
    let prepared = shared.prepared.lock().unwrap().pop_front();
    if let Some(prepared) = prepared {
        return prepared;
    }
    match parts.uri.path().strip_prefix("/do/") {
        Some(what) => misbehave(&shared, what, &seen).await,
        None => json_answer(200, &json!({ "method": seen.method, "target": seen.target, "body": seen.body })),
    }
}

async fn misbehave(shared: &Shared, what: &str, seen: &Seen) -> Response {
    let status = what.parse().ok();
    match (what, status) {
        (_, Some(status)) => json_answer(status, &json!({ "error": { "message": format!("the platform says {status}") } })),
        ("garbage", _) => response(200, "application/json", "{\"broken\": "),
        ("html", _) => response(200, "text/html", "<h1>hello</h1>"),
        ("page", _) => response(500, "text/html; charset=utf-8", "<html><TITLE>Bad & ü</TITLE><body>at line 7"),
        ("empty", _) => response(204, "", ""),
        ("binary", _) => response(200, "application/octet-stream", &b"\xff\xfe\x00\x01"[..]),
        ("image", _) => {
            let mut response = response(200, "image/png", vec![0x89; 300_000]);
            response.headers_mut().insert("content-disposition", "attachment; filename=\"../cat?.png\"".parse().unwrap());
            response
        }
        ("large", _) => response(200, "application/zip", vec![7; 24 * 1024 * 1024]),
        ("leak", _) => response(200, "application/zip", format!("\u{1}{:?}", seen.headers)),
        // The end of what is said comes in a piece of its own.
        ("leak-escaped", _) => {
            let text = format!("\u{1}{:?}", seen.headers).replace('-', "\\u002d");
            let at = text.find("that\\u002d").unwrap_or_default() + 7;
            let (first, rest) = (text[..at].to_owned(), text[at..].to_owned());
            let pieces = stream::iter([Ok::<_, Infallible>(first), Ok(rest)]);
            response(200, "application/octet-stream", Body::from_stream(pieces))
        }
        ("big", _) => response(200, "application/json", format!("\"{}\"", "x".repeat(2 * 1024 * 1024))),
        ("endless", _) => endless(),
        ("deep", _) => response(200, "application/json", format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))),
        ("never", _) => std::future::pending().await,
        ("slow", _) => {
            shared.release.notified().await;
            json_answer(200, &json!({ "slow": true }))
        }
        ("echo", _) => json_answer(200, &json!({ "heard": seen.headers, "target": seen.target })),
        ("echo-error", _) => json_answer(400, &json!({ "message": format!("no such key: {:?}", seen.headers) })),
        ("wait", _) => {
            let mut response = json_answer(429, &json!({ "message": "slow down" }));
            response.headers_mut().insert("retry-after", "40".parse().unwrap());
            response
        }
        ("private", _) => {
            let mut response = json_answer(200, &json!({ "n": shared.seen.lock().unwrap().len() }));
            response.headers_mut().insert("cache-control", "no-store".parse().unwrap());
            response
        }
        ("list", _) => json_answer(200, &(0..60).map(|n| json!({ "n": n })).collect()),
        ("round", _) => {
            let mut response = response(302, "", "");
            response.headers_mut().insert("location", "/do/round".parse().unwrap());
            response
        }
        ("redirect", _) => {
            let to = seen.target.split_once("to=").map_or("/", |(_, to)| to);
            let to = to.replace("%3A", ":").replace("%2F", "/");
            let mut response = response(302, "", "");
            response.headers_mut().insert("location", to.parse().unwrap());
            response
        }
        _ => json_answer(404, &json!({ "message": "nothing here" })),
    }
}

/// More and more, until the reader has enough.
fn endless() -> Response {
    let body = Body::from_stream(stream::repeat(Bytes::from_static(&[b' '; 65_536])).map(Ok::<_, std::io::Error>));
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", "application/json".parse().unwrap());
    response
}

fn json_answer(status: u16, body: &Value) -> Response {
    response(status, "application/json", body.to_string())
}

fn response(status: u16, kind: &str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status.try_into().unwrap();
    if !kind.is_empty() {
        response.headers_mut().insert("content-type", kind.parse().unwrap());
    }
    response
}
