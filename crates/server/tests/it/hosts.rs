//! Host and Origin: a web page of somebody else reaches nothing.

use serde_json::json;

use crate::support::{Ask, TestNode, mcp::request, node::ADMIN_KEY};

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused_on_every_path() {
    let node = TestNode::with(|config| config.allowed_hosts = vec!["mcp.example.com".to_owned()]).await;
    let server = node.server(json!({ "name": "S" })).await;
    let asks: [Box<dyn Fn() -> Ask>; 5] = [
        Box::new(|| Ask::new("GET", format!("{}/health", node.url))),
        Box::new(|| Ask::new("GET", format!("{}/openapi.json", node.url))),
        Box::new(|| Ask::new("GET", format!("{}/api/servers", node.url)).key(ADMIN_KEY)),
        Box::new(|| Ask::new("GET", format!("{}/connectors", node.url)).key(ADMIN_KEY)),
        Box::new(|| server.ask().json(&request("ping", json!({})))),
    ];
    for ask in asks {
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "mcp.example.com.evil.example",
            "",
            "a b",
            "evil.example:80",
            "[::1].evil.example",
            "[::1]evil.example:80",
            "[::1]:80.evil.example",
        ] {
            let answer = ask().header("host", host).send().await;
            assert!(answer.status == 403 || answer.status == 400, "{host:?}: {} {}", answer.status, answer.text);
        }
        for host in ["localhost", "localhost:3000", "127.0.0.1", "[::1]", "[::1]:3000", "mcp.example.com", "MCP.example.com:443"] {
            ask().header("host", host).send().await.expect(200);
        }
        for origin in [
            "http://evil.example",
            "null",
            "https://mcp.example.com.evil.example",
            "http://localhost.evil.example",
            "",
            "file://",
            "x://localhost",
            "file://localhost",
            "ftp://127.0.0.1",
        ] {
            let answer = ask().header("origin", origin).send().await;
            answer.refuses(403, "origin");
            assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
        }
        ask().header("origin", "http://localhost:5173").header("origin", "http://evil.example").send().await.expect(403);
        let own = ask().header("origin", "http://localhost:5173").send().await.expect(200);
        assert_eq!(own.header("access-control-allow-origin"), "http://localhost:5173");
    }
}

#[tokio::test]
async fn named_origins_may_call() {
    let node = TestNode::with(|config| config.allowed_origins = vec!["https://app.example.com".to_owned()]).await;
    let server = node.server(json!({ "name": "S" })).await;
    let answer = server.ask().header("origin", "https://app.example.com").json(&request("ping", json!({}))).send().await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example.com");
    let preflight = |origin: &str| {
        Ask::new("OPTIONS", &server.access_url)
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type,mcp-session-id")
    };
    let allowed = preflight("https://app.example.com").send().await.expect(200);
    assert!(allowed.header("access-control-allow-methods").contains("POST"));
    assert!(allowed.header("access-control-allow-headers").contains("mcp-session-id"));
    preflight("https://other.example.com").send().await.expect(403);
}

#[tokio::test]
async fn answers_are_not_kept_or_guessed_at() {
    let node = TestNode::start().await;
    for path in ["/health", "/api/servers", "/nothing"] {
        let answer = node.get(path).await;
        assert_eq!((answer.header("cache-control"), answer.header("x-content-type-options")), ("no-store", "nosniff"), "{path}");
    }
    let health = node.ask("GET", "/health").anonymous().send().await.expect(200);
    assert_eq!(health.body["status"], "healthy");
    assert!(health.body["timestamp"].as_str().unwrap().ends_with('Z'));
    let wrong = node.ask("PATCH", "/api/servers").send().await.expect(405);
    assert!(wrong.header("allow").contains("POST") && wrong.sentence().contains("PATCH"), "{}", wrong.text);
}

/// A target that names its host counts more than the header (RFC 9112, section 3.2.2).
#[tokio::test]
async fn the_host_of_an_absolute_target_counts() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let node = TestNode::start().await;
    let server = node.server(json!({ "name": "S" })).await;
    let own = node.url.strip_prefix("http://").unwrap();
    let path = server.access_url.strip_prefix(&node.url).unwrap();
    let body = request("ping", json!({})).to_string();
    for (method, path, body) in [("POST", path, body.as_str()), ("GET", "/health", "")] {
        for (host, status) in [(own, "200"), ("localhost", "200"), ("evil.example", "403"), ("127.0.0.1@evil.example", "403")] {
            let text = format!(
                "{method} http://{host}{path} HTTP/1.1\r\nhost: {own}\r\naccept: application/json, text/event-stream\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let mut stream = tokio::net::TcpStream::connect(own).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer.split(' ').nth(1), Some(status), "{host}{path}: {answer}");
        }
    }
}
