//! The MCP server that stands behind the node and behind the bare proxy. It speaks both eras, keeps nothing, and repeats what it is told.

use std::{net::SocketAddr, sync::Arc};

use amalgam_protocol::{Body, Message, Params};
use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use hyper::{StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};

/// Where it answers.
pub const PATH: &str = "/mcp";
/// The tool that is called.
pub const TOOL: &str = "echo";
/// What an answer to that tool contains.
pub const EXPECT: &str = "structuredContent";

struct Lists {
    tools: String,
}

/// Serves it, with so many tools.
///
/// # Errors
/// A sentence when the address cannot be listened on.
pub fn run(listen: SocketAddr, tools: usize) -> Result<(), String> {
    let tool = |n: usize| {
        let name = if n == 0 { TOOL.to_owned() } else { format!("tool_{n:04}") };
        let text = json!({ "type": "string", "description": "What to repeat, word for word." });
        json!({ "name": name, "description": "Repeats what it is told, as such tools do; this sentence is as long as most are.",
            "inputSchema": { "type": "object", "properties": { "text": text }, "required": ["text"] } })
    };
    let tools: Vec<Value> = (0..tools).map(tool).collect();
    let lists = Lists { tools: Value::Array(tools).to_string() };
    crate::listen::serve(listen, Router::new().route(PATH, post(answer)).with_state(Arc::new(lists)))
}

async fn answer(State(lists): State<Arc<Lists>>, body: Bytes) -> Response {
    let Ok(Body::Single(Message::Request(request))) = Body::parse(&body) else { return StatusCode::ACCEPTED.into_response() };
    let result = match &*request.method {
        "initialize" => r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1"}}"#.to_owned(),
        "server/discover" => {
            r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":60000,"cacheScope":"public"}"#
                .to_owned()
        }
        "tools/list" => format!(r#"{{"resultType":"complete","ttlMs":60000,"cacheScope":"public","tools":{}}}"#, lists.tools),
        "tools/call" => {
            let arguments = request.params.and_then(|params| Some(Params::parse(params).ok()?.arguments?.get().to_owned()));
            let arguments = arguments.unwrap_or_else(|| "{}".to_owned());
            format!(r#"{{"resultType":"complete","content":[{{"type":"text","text":"done"}}],"{EXPECT}":{arguments},"isError":false}}"#)
        }
        _ => return StatusCode::BAD_REQUEST.into_response(),
    };
    let message = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, request.id.get());
    let mut response = ([(CONTENT_TYPE, "application/json")], message).into_response();
    if &*request.method == "initialize" {
        response.headers_mut().insert("mcp-session-id", hyper::header::HeaderValue::from_static("bench-session"));
    }
    response
}
