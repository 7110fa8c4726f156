//! The floor: the least that any MCP server on axum does. It parses the envelope and answers a constant that a node has answered.

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use amalgam_protocol::Body;
use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use hyper::{StatusCode, header::CONTENT_TYPE};

struct Answers {
    tools_list: Bytes,
    tools_call: Bytes,
}

/// Serves the two constants, which are read from files.
///
/// # Errors
/// A sentence when a file cannot be read or the address cannot be listened on.
pub fn run(listen: SocketAddr, tools_list: &Path, tools_call: &Path) -> Result<(), String> {
    let read = |path: &Path| fs::read(path).map(Bytes::from).map_err(|e| format!("cannot read {}: {e}", path.display()));
    let answers = Answers { tools_list: read(tools_list)?, tools_call: read(tools_call)? };
    let router = Router::new().route("/mcp/{serverId}/{accessToken}", post(answer)).with_state(Arc::new(answers));
    crate::listen::serve(listen, router)
}

async fn answer(State(answers): State<Arc<Answers>>, body: Bytes) -> Response {
    match constant(&answers, &body) {
        Some(bytes) => ([(CONTENT_TYPE, "application/json")], bytes).into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}

fn constant(answers: &Answers, body: &[u8]) -> Option<Bytes> {
    let Ok(Body::Single(mut message)) = Body::parse(body) else { return None };
    message.read_params().ok()?;
    match message.method()? {
        "tools/list" => Some(answers.tools_list.clone()),
        "tools/call" => Some(answers.tools_call.clone()),
        _ => None,
    }
}
