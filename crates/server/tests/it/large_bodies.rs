//! Room for large bodies: taken as they arrive, never by one caller alone, and for nobody who is unknown.

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{DEADLINE, TestNode, node::ADMIN_KEY};

const MB: usize = 1024 * 1024;

/// A request whose head is sent, and whose body may follow.
async fn begin(node: &TestNode, path: &str, key: &str, length: &str) -> TcpStream {
    let host = node.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n{length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// The head of an answer, whose body is read as well.
async fn head(stream: &mut TcpStream) -> String {
    let mut seen = Vec::new();
    tokio::time::timeout(DEADLINE, async {
        loop {
            let text = String::from_utf8_lossy(&seen).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
                if body.len() >= length.parse().unwrap() {
                    return head.to_owned();
                }
            }
            assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "{text}");
        }
    })
    .await
    .unwrap()
}

/// The status that is answered.
async fn status(stream: &mut TcpStream) -> String {
    let mut line = [0; 12];
    tokio::time::timeout(DEADLINE, stream.read_exact(&mut line)).await.unwrap().unwrap();
    String::from_utf8_lossy(&line[9..]).into_owned()
}

/// A body of this size that is answered with 400, because a name is missing.
fn nameless(size: usize) -> String {
    json!({ "description": "x".repeat(size) }).to_string()
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_before_it_arrives() {
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "S" })).await;
    let mcp = server.access_url.strip_prefix(&node.url).unwrap();
    let length = |size: usize| format!("accept: */*\r\ncontent-length: {size}");
    for (path, size) in [("/api/servers", 10 * MB + 1), (mcp, 64 * MB), ("/api/connectors", 64 * MB + 1)] {
        assert_eq!(status(&mut begin(&node, path, ADMIN_KEY, &length(size)).await).await, "413", "{path}");
    }
    for (path, size) in
        [("/api/servers", 9 * MB), ("/mcp/x/mcp_token_x", 9 * MB), ("/api/connectors", 9), ("/connectors/slack/credentials", 9)]
    {
        assert_eq!(status(&mut begin(&node, path, "unknown", &length(size)).await).await, "401", "{path}");
    }
}

#[tokio::test]
async fn bodies_that_do_not_arrive_take_no_room() {
    let node = TestNode::start().await;
    let mut waiting = Vec::new();
    for _ in 0..30 {
        waiting.push(begin(&node, "/api/servers", ADMIN_KEY, &format!("content-length: {}", 10 * MB)).await);
    }
    let send = |size| node.ask("POST", "/api/servers").body("application/json", nameless(size)).send();
    send(9 * MB).await.refuses(400, "name");
    let mut chunked = begin(&node, "/api/servers", ADMIN_KEY, "transfer-encoding: chunked").await;
    chunked.write_all(b"2\r\n{}\r\n0\r\n\r\n").await.unwrap();
    assert_eq!(status(&mut chunked).await, "400");
}

/// Bodies that each held a part of their room would wait for one another for ever.
#[tokio::test]
async fn many_large_bodies_at_once_all_find_room() {
    let node = TestNode::start().await;
    let send = || tokio::spawn(node.ask("POST", "/api/servers").body("application/json", nameless(9 * MB)).send());
    for sent in (0..12).map(|_| send()).collect::<Vec<_>>() {
        sent.await.unwrap().refuses(400, "name");
    }
}

/// The body of a request that is refused on its head is read, or the answer says that the connection ends with it.
#[tokio::test]
async fn a_refusal_leaves_the_connection_usable_or_says_that_it_ends() {
    let node = TestNode::start().await;
    for (path, key) in
        [("/mcp/x/mcp_token_x", "none"), ("/connectors/slack/credentials", "none"), ("/nowhere", ADMIN_KEY), ("/api/keys", "none")]
    {
        let mut stream = begin(&node, path, key, "content-length: 2").await;
        stream.write_all(b"{}").await.unwrap();
        let head = head(&mut stream).await;
        assert!(!head.contains("connection: close"), "{path}: {head}");
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        assert_eq!(status(&mut stream).await, "200", "{path}");
        let mut stream = begin(&node, path, key, &format!("content-length: {MB}")).await;
        let head = self::head(&mut stream).await;
        assert!(head.contains("connection: close"), "{path}: {head}");
    }
}

#[tokio::test]
async fn one_caller_cannot_take_all_the_room() {
    let node = TestNode::start().await;
    let other = node.key("ann", "member").await;
    // All that one caller may hold: the last byte of it never arrives.
    let mut held = begin(&node, "/api/connectors", ADMIN_KEY, &format!("content-length: {}", 64 * MB)).await;
    held.write_all(&vec![b' '; 64 * MB - 1]).await.unwrap();
    let own = tokio::spawn(node.ask("POST", "/api/servers").body("application/json", nameless(9 * MB)).send());
    node.ask("POST", "/api/servers").key(&other).body("application/json", nameless(9 * MB)).send().await.refuses(400, "name");
    assert!(!own.is_finished(), "it waits for the caller's own room");
    node.post("/api/servers", json!({})).await.refuses(400, "name");
    drop(held);
    own.await.unwrap().refuses(400, "name");
}
