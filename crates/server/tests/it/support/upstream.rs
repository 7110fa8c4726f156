//! An MCP server on loopback that speaks either era or both, remembers what reached it, and misbehaves when a tool is called that does.

mod misbehave;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    response::Response,
};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{broadcast, mpsc},
    task::JoinHandle,
};

/// Which eras it speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Eras {
    Legacy,
    Modern,
    Dual,
}

/// One message that reached it.
#[derive(Debug, Clone)]
pub struct Got {
    /// HTTP method.
    pub http: String,
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    /// The text of the body.
    pub text: String,
    /// The body.
    pub body: Value,
}

impl Got {
    /// A header's text; empty when it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

struct Shared {
    eras: Eras,
    got: Mutex<Vec<Got>>,
    answers: broadcast::Sender<Value>,
    told: broadcast::Sender<Value>,
    sessions: Mutex<Vec<String>>,
    has_sessions: AtomicBool,
    next: AtomicUsize,
    tools: Mutex<Vec<Value>>,
    withholds: Mutex<Option<&'static str>>,
}

/// A running MCP server.
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn tool(name: &str) -> Value {
    json!({ "name": name, "description": format!("The tool {name}."), "inputSchema": { "type": "object" }, "x-vendor": { "n": 1.50 } })
}

const TOOLS: [&str; 19] = [
    "echo",
    "fail",
    "refuse",
    "slow",
    "progress",
    "log",
    "ask",
    "die",
    "hang",
    "garbage",
    "wrong-id",
    "both",
    "big",
    "bad-utf8",
    "endless",
    "flood",
    "unanswered",
    "status",
    "grow",
];

impl Upstream {
    /// Starts one.
    pub async fn start(eras: Eras) -> Self {
        let region = json!({ "name": "region", "inputSchema": { "type": "object", "properties": {
            "place": { "type": "string", "x-mcp-header": "Place" } } } });
        let tools = TOOLS.iter().map(|name| tool(name)).chain([region]).collect();
        let shared = Arc::new(Shared {
            eras,
            got: Mutex::default(),
            answers: broadcast::channel(64).0,
            told: broadcast::channel(64).0,
            sessions: Mutex::default(),
            has_sessions: AtomicBool::new(true),
            next: AtomicUsize::new(1),
            tools: Mutex::new(tools),
            withholds: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, serving }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Everything that reached it so far.
    pub fn got(&self) -> Vec<Got> {
        self.shared.got.lock().unwrap().clone()
    }

    /// The messages of this method that reached it so far.
    pub fn of(&self, method: &str) -> Vec<Got> {
        self.got().into_iter().filter(|got| got.body["method"] == method).collect()
    }

    /// Offers one more tool.
    pub fn add_tool(&self, name: &str) {
        self.shared.tools.lock().unwrap().push(tool(name));
    }

    /// Does not answer this method any more.
    pub fn withhold(&self, method: &'static str) {
        *self.shared.withholds.lock().unwrap() = Some(method);
    }

    /// Forgets all sessions, as after a restart.
    pub fn forget_sessions(&self) {
        self.shared.sessions.lock().unwrap().clear();
    }

    /// Whether the legacy era has sessions: with them from the beginning.
    pub fn has_sessions(&self, has: bool) {
        self.shared.has_sessions.store(has, Ordering::SeqCst);
    }

    /// How many sessions are open.
    pub fn sessions(&self) -> usize {
        self.shared.sessions.lock().unwrap().len()
    }

    /// Tells all who listen something.
    pub fn tell(&self, message: Value) {
        let _ = self.shared.told.send(message);
    }

    /// How many streams are open on which it could tell something.
    pub fn listeners(&self) -> usize {
        self.shared.told.receiver_count()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, 64 * 1024 * 1024).await.unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let got = Got { http: parts.method.to_string(), headers: headers.collect(), text, body: body.clone() };
    shared.got.lock().unwrap().push(got.clone());
    let is_modern = got.header("mcp-protocol-version") == "2026-07-28";
    match (parts.method.as_str(), is_modern) {
        ("POST", true) if shared.eras != Eras::Legacy => modern(&shared, &got).await,
        ("POST", false) if shared.eras != Eras::Modern => legacy(&shared, &got).await,
        ("GET", false) if shared.eras != Eras::Modern => told(&shared, None),
        ("DELETE", false) => {
            shared.sessions.lock().unwrap().retain(|session| session != got.header("mcp-session-id"));
            plain(204, "", "")
        }
        ("POST", _) => rpc_error(400, &got.body["id"], -32022, "This revision is not served here"),
        _ => plain(405, "", ""),
    }
}

fn capabilities() -> Value {
    json!({ "tools": { "listChanged": true }, "resources": { "subscribe": true, "listChanged": true }, "prompts": {}, "completions": {}, "logging": {} })
}

async fn legacy(shared: &Arc<Shared>, got: &Got) -> Response {
    let id = &got.body["id"];
    let method = got.body["method"].as_str().unwrap_or_default();
    let has_sessions = shared.has_sessions.load(Ordering::SeqCst);
    if method == "initialize" {
        let session = format!("session-{}", shared.next.fetch_add(1, Ordering::SeqCst));
        shared.sessions.lock().unwrap().push(session.clone());
        let mut capabilities = capabilities();
        capabilities["tasks"] = json!({ "list": {}, "cancel": {}, "requests": { "tools": { "call": {} } } });
        let result = json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": { "name": "fixture", "version": "1" }, "instructions": "Be kind." });
        let mut response = json_rpc(id, &result);
        if has_sessions {
            response.headers_mut().insert("mcp-session-id", session.parse().unwrap());
        }
        return response;
    }
    if has_sessions && !shared.sessions.lock().unwrap().iter().any(|session| session == got.header("mcp-session-id")) {
        return rpc_error(404, id, -32001, "Session not found");
    }
    match method {
        "" => {
            let _ = shared.answers.send(got.body.clone());
            plain(202, "", "")
        }
        method if method.starts_with("notifications/") => plain(202, "", ""),
        "tools/call" => call(shared, got, false).await,
        method if method.starts_with("tasks/") => task(got, method),
        method => common(shared, got, method, false).await,
    }
}

/// A task of 2025-11-25: one for each call, which has ended before anybody asks.
fn task(got: &Got, method: &str) -> Response {
    let (id, own) = (&got.body["id"], got.body["params"]["taskId"].as_str().unwrap_or_default());
    if !own.starts_with("own-task-") {
        return rpc_error(200, id, -32602, "No such task");
    }
    let related = json!({ "io.modelcontextprotocol/related-task": { "taskId": own } });
    match method {
        "tasks/result" => {
            json_rpc(id, &json!({ "content": [{ "type": "text", "text": format!("the result of {own}") }], "_meta": related }))
        }
        "tasks/get" => json_rpc(id, &task_state(own, "completed")),
        "tasks/cancel" => json_rpc(id, &task_state(own, "cancelled")),
        _ => rpc_error(200, id, -32601, "No such method"),
    }
}

fn task_state(own: &str, status: &str) -> Value {
    let at = "2026-01-01T00:00:00Z";
    json!({ "taskId": own, "status": status, "createdAt": at, "lastUpdatedAt": at, "ttl": 60_000, "pollInterval": 10 })
}

fn versions(eras: Eras) -> &'static [&'static str] {
    if eras == Eras::Dual { &["2025-11-25", "2026-07-28"] } else { &["2026-07-28"] }
}

async fn modern(shared: &Arc<Shared>, got: &Got) -> Response {
    let method = got.body["method"].as_str().unwrap_or_default();
    let meta = &got.body["params"]["_meta"];
    assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28", "{}", got.text);
    assert!(meta["io.modelcontextprotocol/clientCapabilities"].is_object(), "{}", got.text);
    assert_eq!(got.header("mcp-method"), method);
    match method {
        "server/discover" => json_rpc(
            &got.body["id"],
            &json!({ "resultType": "complete", "supportedVersions": versions(shared.eras), "capabilities": capabilities(), "ttlMs": 0, "cacheScope": "public" }),
        ),
        "subscriptions/listen" => told(shared, Some((&got.body["id"], &got.body["params"]["notifications"]))),
        "tools/call" => {
            assert_eq!(got.header("mcp-name"), got.body["params"]["name"]);
            call(shared, got, true).await
        }
        _ => common(shared, got, method, true).await,
    }
}

async fn common(shared: &Shared, got: &Got, method: &str, is_modern: bool) -> Response {
    let is_withheld = *shared.withholds.lock().unwrap() == Some(method);
    if is_withheld {
        std::future::pending::<()>().await;
    }
    let id = &got.body["id"];
    let params = &got.body["params"];
    let mut result = match method {
        "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => json!({}),
        "tools/list" => match params["cursor"].as_str() {
            None => json!({ "tools": shared.tools.lock().unwrap()[..2], "nextCursor": "2" }),
            Some(_) => json!({ "tools": shared.tools.lock().unwrap()[2..] }),
        },
        "resources/list" => json!({ "resources": [{ "uri": "test://one", "name": "one", "x-vendor": 1 }] }),
        "resources/templates/list" => json!({ "resourceTemplates": [{ "uriTemplate": "test://item/{id}", "name": "item" }] }),
        "resources/read" if params["uri"] == "test://none" => {
            return if is_modern { rpc_error(200, id, -32602, "No such resource") } else { rpc_error(200, id, -32002, "No such resource") };
        }
        "resources/read" => json!({ "contents": [{ "uri": params["uri"], "text": "content" }], "x-vendor": 1.50 }),
        "prompts/list" => json!({ "prompts": [{ "name": "hello", "arguments": [{ "name": "whom" }] }] }),
        "prompts/get" => {
            json!({ "messages": [{ "role": "user", "content": { "type": "text", "text": format!("Hello {}", params["arguments"]["whom"]) } }] })
        }
        "completion/complete" => json!({ "completion": { "values": ["world"], "total": 1, "hasMore": false } }),
        _ => return rpc_error(if is_modern { 404 } else { 200 }, id, -32601, "No such method"),
    };
    if is_modern {
        result["resultType"] = "complete".into();
        if method.ends_with("/list") || method == "resources/read" {
            result["ttlMs"] = 5000.into();
            result["cacheScope"] = "public".into();
        }
    }
    json_rpc(id, &result)
}

/// The stream on which it tells of changes.
fn told(shared: &Arc<Shared>, listen: Option<(&Value, &Value)>) -> Response {
    let (sender, receiver) = mpsc::channel(64);
    let mut news = shared.told.subscribe();
    let id = listen.map(|(id, _)| id.clone());
    if let Some((id, wanted)) = listen {
        let params = json!({ "notifications": wanted, "_meta": { "io.modelcontextprotocol/subscriptionId": id } });
        let first = json!({ "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": params });
        sender.try_send(event(&first)).unwrap();
    }
    tokio::spawn(async move {
        loop {
            let message = tokio::select! {
                message = news.recv() => message,
                () = sender.closed() => return,
            };
            let Ok(mut message) = message else { return };
            if let Some(id) = &id {
                message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] = id.clone();
            }
            if sender.send(event(&message)).await.is_err() {
                return;
            }
        }
    });
    events(receiver)
}

async fn call(shared: &Arc<Shared>, got: &Got, is_modern: bool) -> Response {
    let (id, params) = (&got.body["id"], &got.body["params"]);
    let done = |mut result: Value| {
        if is_modern {
            result["resultType"] = "complete".into();
        }
        json!({ "jsonrpc": "2.0", "id": id, "result": result })
    };
    let text = |text: String| json!({ "content": [{ "type": "text", "text": text }] });
    let (sender, receiver) = mpsc::channel(64);
    let say = |message: &Value| sender.try_send(event(message)).unwrap();
    if !is_modern && params["task"].is_object() {
        let own = format!("own-task-{}", shared.next.fetch_add(1, Ordering::SeqCst));
        return json_rpc(id, &json!({ "task": task_state(&own, "working") }));
    }
    match params["name"].as_str().unwrap() {
        "echo" => {
            // In the caller's own words: number forms and order must survive the way.
            let raw: serde_json::Map<String, Value> = serde_json::from_str(&got.text).unwrap();
            let arguments = got.text.split_once("\"arguments\":").map_or("{}", |(_, rest)| rest);
            let end = if arguments.contains(",\"_meta\"") { arguments.find(",\"_meta\"") } else { arguments.rfind("}}") };
            let body = format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{{}\"content\":[{{\"type\":\"text\",\"text\":\"ok\"}}],\"structuredContent\":{},\"x-vendor\":1.50,\"isError\":false}}}}",
                raw["id"],
                if is_modern { "\"resultType\":\"complete\"," } else { "" },
                &arguments[..end.unwrap_or(arguments.len())]
            );
            return plain(200, "application/json", body);
        }
        "region" => return json_rpc_whole(&done(text(got.header("mcp-param-place").to_owned()))),
        "fail" => {
            let mut result = text("it went wrong".to_owned());
            result["isError"] = true.into();
            return json_rpc_whole(&done(result));
        }
        "refuse" => return rpc_error(200, id, -32602, "Bad arguments"),
        "slow" => std::future::pending::<()>().await,
        "progress" => {
            for n in 1..=3 {
                say(
                    &json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": params["_meta"]["progressToken"], "progress": n, "total": 3 } }),
                );
            }
            say(&done(text("done".to_owned())));
        }
        "log" => {
            for level in ["debug", "error"] {
                say(&json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": level, "data": level } }));
            }
            say(&done(text("done".to_owned())));
        }
        "ask" if is_modern => return json_rpc_whole(&ask_modern(id, params)),
        "ask" => {
            let mut answers = shared.answers.subscribe();
            let request = json!({ "jsonrpc": "2.0", "id": "q1", "method": "elicitation/create", "params": { "message": "Who?", "requestedSchema": { "type": "object", "properties": {} } } });
            say(&request);
            let id = id.clone();
            tokio::spawn(async move {
                let answer = tokio::select! {
                    answer = answers.recv() => answer.unwrap(),
                    () = sender.closed() => return,
                };
                let text = format!(
                    "heard {}",
                    if answer["error"].is_null() { &answer["result"]["content"]["name"] } else { &answer["error"]["code"] }
                );
                let result = json!({ "content": [{ "type": "text", "text": text }] });
                let _ = sender.send(event(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))).await;
            });
        }
        "grow" => {
            shared.tools.lock().unwrap().push(tool("grown"));
            let _ = shared.told.send(json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }));
            return json_rpc_whole(&done(text("grown".to_owned())));
        }
        other => return misbehave::answer(other, got, is_modern),
    }
    events(receiver)
}

fn ask_modern(id: &Value, params: &Value) -> Value {
    let answer = &params["inputResponses"]["who"];
    if answer.is_null() {
        let request = json!({ "method": "elicitation/create", "params": { "mode": "form", "message": "Who?", "requestedSchema": { "type": "object", "properties": {} } } });
        let result =
            json!({ "resultType": "input_required", "inputRequests": { "who": request }, "requestState": "the-upstream's-own-state" });
        return json!({ "jsonrpc": "2.0", "id": id, "result": result });
    }
    assert_eq!(params["requestState"], "the-upstream's-own-state", "the upstream gets its own state back");
    let text = format!("heard {}", answer["content"]["name"]);
    json!({ "jsonrpc": "2.0", "id": id, "result": { "resultType": "complete", "content": [{ "type": "text", "text": text }] } })
}

fn event(message: &Value) -> Bytes {
    format!("event: message\ndata: {message}\n\n").into()
}

fn events(receiver: mpsc::Receiver<Bytes>) -> Response {
    let all = stream::unfold(receiver, |mut receiver| async move { Some((Ok::<_, Infallible>(receiver.recv().await?), receiver)) });
    let mut response = Response::new(Body::from_stream(all));
    response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
    response
}

fn json_rpc(id: &Value, result: &Value) -> Response {
    json_rpc_whole(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

fn json_rpc_whole(message: &Value) -> Response {
    plain(200, "application/json", message.to_string())
}

fn rpc_error(status: u16, id: &Value, code: i64, message: &str) -> Response {
    plain(status, "application/json", json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } }).to_string())
}

fn plain(status: u16, kind: &str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status.try_into().unwrap();
    if !kind.is_empty() {
        response.headers_mut().insert("content-type", kind.parse().unwrap());
    }
    response
}
