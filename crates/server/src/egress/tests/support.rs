//! A scripted HTTP server and a scripted resolver.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use rustls::RootCertStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::egress::{Egress, EgressConfig, OutgoingRequest, Resolve};

/// What the server does with one request.
#[derive(Clone)]
pub enum Reply {
    /// Send, and read the next request.
    Keep(Bytes),
    /// Send, and close.
    Last(Bytes),
    /// Send, and stay silent.
    Hang(Bytes),
}

impl Reply {
    pub fn bytes(self) -> Bytes {
        match self {
            Reply::Keep(bytes) | Reply::Last(bytes) | Reply::Hang(bytes) => bytes,
        }
    }
}

pub fn ok(body: &str) -> Reply {
    Reply::Keep(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into())
}

pub fn moved(status: u16, location: &str) -> Reply {
    Reply::Keep(format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n").into())
}

pub struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `script` gets the number of the request and its text.
    pub async fn start(script: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server =
            Self { address: listener.local_addr().unwrap(), connections: Arc::default(), closed: Arc::default(), requests: Arc::default() };
        let (connections, closed, requests) = (Arc::clone(&server.connections), Arc::clone(&server.closed), Arc::clone(&server.requests));
        let script = Arc::new(script);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::Relaxed);
                let (script, closed, requests) = (Arc::clone(&script), Arc::clone(&closed), Arc::clone(&requests));
                tokio::spawn(async move {
                    converse(stream, &*script, &requests).await;
                    closed.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        server
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// How many of them this side has closed.
    pub fn closed(&self) -> usize {
        self.closed.load(Ordering::Relaxed)
    }

    pub fn request(&self, n: usize) -> String {
        self.requests.lock().unwrap()[n].clone()
    }
}

async fn converse(mut stream: TcpStream, script: &impl Fn(usize, &str) -> Reply, requests: &Mutex<Vec<String>>) {
    while let Some(request) = read_request(&mut stream).await {
        let n = {
            let mut requests = requests.lock().unwrap();
            requests.push(request.clone());
            requests.len() - 1
        };
        let reply = script(n, &request);
        if stream.write_all(&reply.clone().bytes()).await.is_err() {
            return;
        }
        match reply {
            Reply::Keep(_) => {}
            Reply::Last(_) => return,
            Reply::Hang(_) => std::future::pending().await,
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut seen = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&seen);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if body.len() >= length.parse().unwrap() {
                return Some(text.into_owned());
            }
        }
        if stream.read_buf(&mut seen).await.ok()? == 0 {
            return None;
        }
    }
}

/// A port where nobody listens.
pub async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// Gives its answers in order, then errors.
pub struct Scripted {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    pub asked: AtomicUsize,
}

impl Scripted {
    pub fn new(answers: impl IntoIterator<Item = Vec<&'static str>>) -> Arc<Self> {
        let parse = |answer: Vec<&str>| answer.into_iter().map(|a| a.parse().unwrap()).collect();
        Arc::new(Self { answers: Mutex::new(answers.into_iter().map(parse).collect()), asked: AtomicUsize::new(0) })
    }
}

impl Resolve for Scripted {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = self.answers.lock().unwrap().pop_front();
        Box::pin(async move { answer.ok_or_else(|| io::Error::other("the script has ended")) })
    }
}

/// Loopback is open, no authority is trusted (which also saves reading the machine's in every test).
pub fn config() -> EgressConfig {
    EgressConfig { allow: vec!["127.0.0.0/8".parse().unwrap()], roots: Some(Arc::new(RootCertStore::empty())), ..EgressConfig::default() }
}

/// One owner's.
pub fn egress() -> Egress {
    Egress::new(config()).unwrap().of(&"account".into(), &"user".into())
}

pub fn get(url: &str) -> OutgoingRequest<'_> {
    OutgoingRequest {
        method: Method::GET,
        url,
        headers: HeaderMap::new(),
        body: amalgam_protocol::Pieces::default(),
        timeout: Duration::from_secs(10),
        max_response_bytes: 1024 * 1024,
        follow_redirects: true,
        credential_bound: false,
    }
}
