//! Answers that no MCP server should give.

use std::convert::Infallible;

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use futures_util::stream;
use serde_json::json;
use tokio::sync::mpsc;

use super::{Got, event, events, json_rpc, plain, rpc_error};

/// What a tool of this name answers.
pub fn answer(what: &str, got: &Got, is_modern: bool) -> Response {
    let id = &got.body["id"];
    let stream = |text: String| plain(200, "text/event-stream", text);
    match what {
        "leak" => leak(got, is_modern),
        // A member of the other era.
        "pretend" => json_rpc(id, &json!({ "content": [], "resultType": "input_required", "requestState": "raw" })),
        // The connection breaks in the middle of an event.
        "die" => {
            let pieces = [Ok(Bytes::from_static(b"data: {\"jsonrpc\"")), Err(std::io::Error::other("gone"))];
            let mut response = Response::new(Body::from_stream(stream::iter(pieces)));
            response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
            response
        }
        "hang" => events(mpsc::channel::<Bytes>(1).1.into_never()),
        "garbage" => plain(200, "application/json", "{\"jsonrpc\": \"2.0\", \"id\": "),
        "wrong-id" => stream("data: {\"jsonrpc\":\"2.0\",\"id\":987654,\"result\":{}}\n\n".to_owned()),
        "both" => plain(
            200,
            "application/json",
            json!({ "jsonrpc": "2.0", "id": id, "result": {}, "error": { "code": 1, "message": "x" } }).to_string(),
        ),
        "big" => stream(format!("data: \"{}\"\n\n", "x".repeat(3 * 1024 * 1024))),
        "bad-utf8" => plain(200, "text/event-stream", &b"data: \xff\xfe\n\n"[..]),
        "endless" => forever(Bytes::from_static(b": still here\n\n")),
        "flood" => {
            let message =
                json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": "x".repeat(1000) } });
            forever(event(&message))
        }
        "unanswered" => {
            stream("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\"}}\n\n".to_owned())
        }
        _ => plain(500, "text/plain", "it is broken: secret-of-the-upstream"),
    }
}

/// Repeats the credential that came along.
fn leak(got: &Got, is_modern: bool) -> Response {
    let (id, said) = (&got.body["id"], format!("you sent {}", got.header("authorization")));
    let mut result = json!({ "content": [{ "type": "text", "text": said }] });
    if is_modern {
        result["resultType"] = "complete".into();
    }
    let failure = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32000, "message": said } });
    match got.body["params"]["arguments"]["as"].as_str().unwrap() {
        "error" => rpc_error(200, id, -32000, &said),
        "escaped" => plain(
            200,
            "application/json",
            failure.to_string().replace("\"error\"", "\"err\\u006fr\"").replace('+', "\\u002b").replace("k3y", "\\u006b3y"),
        ),
        "stream" => plain(200, "text/event-stream", event(&failure)),
        "status" => plain(500, "text/plain", said),
        _ => json_rpc(id, &result),
    }
}

/// More and more, until the reader has enough.
fn forever(piece: Bytes) -> Response {
    let mut response = Response::new(Body::from_stream(stream::repeat(piece).map_ok()));
    response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
    response
}

trait Pieces {
    fn map_ok(self) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> + Send + 'static;
}

impl<S: futures_util::Stream<Item = Bytes> + Send + 'static> Pieces for S {
    fn map_ok(self) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        futures_util::StreamExt::map(self, Ok)
    }
}

trait Never {
    fn into_never(self) -> Self;
}

impl Never for mpsc::Receiver<Bytes> {
    /// A stream that says nothing and does not end: its sender is never dropped.
    fn into_never(self) -> Self {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move { sender.closed().await });
        receiver
    }
}
