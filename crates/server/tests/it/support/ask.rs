//! One HTTP request of a test, and what came of it.

use std::{sync::LazyLock, time::Duration};

use reqwest::{Method, header::HeaderMap};
use serde_json::Value;

static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
    // Without a pool: a connection must not outlive the runtime of the test that made it.
    // Where an answer leads is a part of it, so that nothing is followed.
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    client.pool_max_idle_per_host(0).timeout(Duration::from_secs(60)).no_proxy().build().unwrap()
});

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub text: String,
    /// The body as JSON; `Null` when it is none.
    pub body: Value,
}

impl Answer {
    /// A header's text; empty when it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The answer itself, if it has this status; the test fails with the whole answer otherwise.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} {:?}", self.text, self.headers);
        self
    }

    /// The sentence of an error, whichever family it has.
    pub fn sentence(&self) -> &str {
        let error = &self.body["error"];
        error.as_str().or_else(|| error["message"].as_str()).unwrap_or_default()
    }

    /// Fails unless the answer has this status and its sentence holds this text.
    #[track_caller]
    pub fn refuses(&self, status: u16, words: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert!(self.sentence().contains(words), "{words:?} is not in {:?}", self.text);
    }
}

/// A request being put together.
pub struct Ask {
    url: String,
    method: Method,
    bearer: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
}

impl Ask {
    /// Without authentication.
    pub fn new(method: &str, url: impl Into<String>) -> Self {
        Self { url: url.into(), method: Method::from_bytes(method.as_bytes()).unwrap(), bearer: None, headers: Vec::new(), body: None }
    }

    /// With this key or token.
    pub fn key(mut self, key: &str) -> Self {
        self.bearer = Some(key.to_owned());
        self
    }

    /// Without the key that it had.
    pub fn anonymous(mut self) -> Self {
        self.bearer = None;
        self
    }

    /// One more header; a second one of the same name is sent as a second one.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// On behalf of this user.
    pub fn user(self, user: &str) -> Self {
        self.header("x-alloy-userid", user)
    }

    /// A JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Any body.
    pub fn body(mut self, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        if kind.is_empty() { self } else { self.header("content-type", kind) }
    }

    fn builder(self) -> reqwest::RequestBuilder {
        let mut request = CLIENT.request(self.method, self.url);
        if let Some(key) = self.bearer {
            request = request.bearer_auth(key);
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        match self.body {
            Some(body) => request.body(body),
            None => request,
        }
    }

    /// Sends it and reads the whole answer.
    pub async fn send(self) -> Answer {
        self.try_send().await.unwrap()
    }

    /// The same, for what may find nobody there.
    pub async fn try_send(self) -> reqwest::Result<Answer> {
        let response = self.builder().send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or_default();
        Ok(Answer { status, headers, text, body })
    }

    /// Sends it and leaves the body to be read piece by piece.
    pub async fn open(self) -> Events {
        let response = self.builder().send().await.unwrap();
        assert_eq!(response.status(), 200, "{:?}", response.headers());
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events { response, rest: String::new() }
    }
}

/// An open event stream.
pub struct Events {
    response: reqwest::Response,
    rest: String,
}

impl Events {
    /// The next message; `None` at the end of the stream. Comments (keep-alive) are passed over.
    pub async fn next(&mut self) -> Option<Value> {
        let next = async {
            loop {
                if let Some((event, rest)) = self.rest.split_once("\n\n") {
                    let data = event.strip_prefix("data: ").map(|data| serde_json::from_str(data).unwrap());
                    self.rest = rest.to_owned();
                    if data.is_some() {
                        return data;
                    }
                    continue;
                }
                let chunk = self.response.chunk().await.unwrap()?;
                self.rest.push_str(std::str::from_utf8(&chunk).unwrap());
            }
        };
        tokio::time::timeout(super::DEADLINE, next).await.unwrap()
    }
}
