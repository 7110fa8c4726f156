//! A server as its clients see it: its token URL, JSON-RPC, tools.

use serde_json::{Value, json};

use super::{Answer, Ask, ask::Events};

/// What every MCP client accepts.
pub const ACCEPT: &str = "application/json, text/event-stream";
/// The revision without sessions.
pub const MODERN: &str = "2026-07-28";

/// A created server.
#[derive(Clone)]
pub struct Server {
    /// Its id.
    pub id: String,
    /// Its token.
    pub token: String,
    /// Its token URL.
    pub access_url: String,
    /// Its address for keys.
    pub url: String,
}

/// What a tool said.
#[derive(Debug)]
pub struct Tool {
    /// `isError`.
    pub is_error: bool,
    /// The one text block.
    pub text: String,
    /// The text as JSON, where it is.
    pub json: Value,
    /// The whole HTTP answer.
    pub answer: Answer,
}

impl Tool {
    /// Its JSON, if it is no error.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(!self.is_error, "{}", self.text);
        self.json
    }

    /// Fails unless it is an error whose text holds these words.
    #[track_caller]
    pub fn refuses(&self, words: &str) {
        assert!(self.is_error, "{}", self.text);
        assert!(self.text.contains(words), "{words:?} is not in {:?}", self.text);
    }
}

impl Server {
    /// From the answer to its creation or to a rotation.
    pub fn of(answer: &Answer) -> Self {
        let part = |name: &str| answer.body[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", answer.text)).to_owned();
        Self { id: part("serverId"), token: part("accessToken"), access_url: part("accessUrl"), url: part("url") }
    }

    /// A POST to the token URL, as clients send it.
    pub fn ask(&self) -> Ask {
        Ask::new("POST", &self.access_url).header("accept", ACCEPT)
    }

    /// A POST to the address for keys.
    pub fn ask_as(&self, key: &str) -> Ask {
        Ask::new("POST", &self.url).header("accept", ACCEPT).key(key)
    }

    /// One JSON-RPC request by the token URL.
    pub async fn rpc(&self, method: &str, params: Value) -> Answer {
        self.ask().json(&request(method, params)).send().await
    }

    /// One tool call by the token URL.
    pub async fn tool(&self, name: &str, arguments: Value) -> Tool {
        tool(self.ask(), name, arguments).await
    }

    /// One action by the token URL.
    pub async fn execute(&self, connector: &str, action: &str, parameters: Value) -> Tool {
        self.tool("execute_action_alloy", call(connector, action, parameters)).await
    }

    /// A legacy session; returns its id.
    pub async fn session(&self) -> String {
        let answer = self.rpc("initialize", initialize("2025-11-25")).await.expect(200);
        let id = answer.header("mcp-session-id").to_owned();
        assert!(!id.is_empty());
        id
    }

    /// The stream of a legacy session.
    pub async fn stream(&self, session: &str) -> Events {
        Ask::new("GET", &self.access_url).header("accept", "text/event-stream").header("mcp-session-id", session).open().await
    }

    /// A request of the modern era, with its headers and its envelope.
    pub fn modern(&self, method: &str, mut params: Value) -> Ask {
        params["_meta"] = envelope();
        let name = params.get("name").or(params.get("uri")).and_then(Value::as_str).map(str::to_owned);
        let ask = self.ask().header("mcp-protocol-version", MODERN).header("mcp-method", method).json(&request(method, params));
        match name {
            Some(name) => ask.header("mcp-name", name),
            None => ask,
        }
    }
}

/// The envelope of the modern era.
pub fn envelope() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

/// A JSON-RPC request with the id 1.
pub fn request(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

/// The parameters of `initialize`.
pub fn initialize(revision: &str) -> Value {
    json!({ "protocolVersion": revision, "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } })
}

/// The arguments of `execute_action_alloy`.
pub fn call(connector: &str, action: &str, parameters: Value) -> Value {
    json!({ "connectorId": connector, "actionId": action, "parameters": parameters })
}

/// One tool call with this request.
pub async fn tool(ask: Ask, name: &str, arguments: Value) -> Tool {
    let answer = ask.json(&request("tools/call", json!({ "name": name, "arguments": arguments }))).send().await.expect(200);
    let result = &answer.body["result"];
    let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no tool result: {}", answer.text)).to_owned();
    assert_eq!(result["content"].as_array().unwrap().len(), 1, "one text block");
    Tool { is_error: result["isError"] == true, json: serde_json::from_str(&text).unwrap_or_default(), text, answer }
}
