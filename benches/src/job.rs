//! What the load generator is asked to do, and what it found.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Requests over keep-alive connections, each sent when the one before it is answered.
#[derive(Clone, Serialize, Deserialize)]
pub struct Job {
    /// Whom to ask.
    pub address: SocketAddr,
    /// Connections at once.
    pub connections: usize,
    /// Requests in all.
    pub requests: usize,
    /// Paths, taken in turn.
    pub paths: Vec<String>,
    /// Name and value; `host` and `content-length` are added.
    pub headers: Vec<(String, String)>,
    /// One more header whose value differs: its name, and the values, taken in turn.
    #[serde(default)]
    pub each: Option<(String, Vec<String>)>,
    /// The body of every request; an empty one makes it a GET.
    pub body: String,
    /// What every answer must contain, beside the status 200.
    pub expect: String,
}

/// How long the answers took.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Timing {
    /// From the first request to the last answer, in seconds.
    pub seconds: f64,
    /// Median, in microseconds.
    pub p50_us: f64,
    /// 99th percentile, in microseconds.
    pub p99_us: f64,
}

impl Job {
    /// The same with other numbers.
    pub fn sized(&self, connections: usize, requests: usize) -> Self {
        Self { connections, requests, ..self.clone() }
    }

    /// The same with one more header, whose values are taken in turn.
    pub fn with_each(&self, name: &str, values: Vec<String>) -> Self {
        Self { each: Some((name.to_owned(), values)), ..self.clone() }
    }

    /// The same for somebody else.
    pub fn at(&self, address: SocketAddr) -> Self {
        Self { address, ..self.clone() }
    }
}
