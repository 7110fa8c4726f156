//! The bare proxy: the least that anything between a client and an MCP server does. It parses the envelope, checks nothing, and passes the
//! body on as it came, and the answer as it comes.

use std::{net::SocketAddr, sync::Arc};

use amalgam_protocol::Body;
use axum::{
    Router,
    body::Body as AxumBody,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{StatusCode, Uri};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

struct Proxy {
    client: Client<HttpConnector, Full<Bytes>>,
    to: Uri,
}

/// Serves it in front of an MCP server at this address.
///
/// # Errors
/// A sentence when the address cannot be listened on.
pub fn run(listen: SocketAddr, to: SocketAddr) -> Result<(), String> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let to = Uri::try_from(format!("http://{to}{}", crate::upstream::PATH)).map_err(|e| e.to_string())?;
    let router = Router::new().route("/mcp/{serverId}/{accessToken}", post(pass)).with_state(Arc::new(Proxy { client, to }));
    crate::listen::serve(listen, router)
}

async fn pass(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    forward(&proxy, request).await.unwrap_or_else(|| StatusCode::BAD_GATEWAY.into_response())
}

async fn forward(proxy: &Proxy, request: Request) -> Option<Response> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    let Ok(Body::Single(mut message)) = Body::parse(&body) else { return None };
    message.read_params().ok()?;
    parts.uri = proxy.to.clone();
    for name in ["host", "content-length"] {
        parts.headers.remove(name);
    }
    parts.extensions = hyper::http::Extensions::new();
    let answer = proxy.client.request(Request::from_parts(parts, Full::new(body))).await.ok()?;
    Some(answer.map(AxumBody::new))
}
