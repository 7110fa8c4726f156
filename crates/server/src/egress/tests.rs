//! The client against real sockets on loopback.

mod addresses;
mod redirects;
mod support;
mod tls;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::{Egress, EgressConfig, EgressErrorKind, OutgoingRequest};
use support::{Reply, Scripted, Server, config, egress, get, ok};

#[tokio::test]
async fn an_answer_comes_back_whole() {
    let server = Server::start(|_, _| ok("hello")).await;
    let answer = egress().send(get(&server.url("/a?b=c"))).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, "hello");
    let request = server.request(0);
    assert!(request.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("host: {}\r\n", server.authority())), "{request}");
    assert!(request.contains("accept-encoding: identity\r\n"), "{request}");
    assert!(request.contains("user-agent: amalgam/"), "{request}");
}

#[tokio::test]
async fn calls_share_a_connection() {
    let server = Server::start(|_, _| ok("hello")).await;
    let egress = egress();
    for _ in 0..20 {
        egress.clone().send(get(&server.url("/"))).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn owners_share_no_connection() {
    let server = Server::start(|_, _| ok("x")).await;
    let nobodys = Egress::new(config()).unwrap();
    let of = |user: &str| nobodys.of(&"account".into(), &user.into());
    for (egress, connections) in [(of("ann"), 1), (of("bob"), 2), (of("ann"), 2), (nobodys.clone(), 3), (nobodys.clone(), 4)] {
        egress.send(get(&server.url("/"))).await.unwrap();
        assert_eq!(server.connections(), connections);
    }
}

#[tokio::test]
async fn idle_connections_of_all_owners_are_bounded() {
    let (one, other) = (Server::start(|_, _| ok("x")).await, Server::start(|_, _| ok("x")).await);
    let nobodys = Egress::new(EgressConfig { max_idle: 1, ..config() }).unwrap();
    let (ann, bob) = (nobodys.of(&"account".into(), &"ann".into()), nobodys.of(&"account".into(), &"bob".into()));
    for _ in 0..2 {
        ann.send(get(&one.url("/"))).await.unwrap();
        bob.send(get(&other.url("/"))).await.unwrap();
    }
    assert_eq!((one.connections(), other.connections()), (1, 2), "the second finds no place, and is closed after its answer");
}

/// One look finds all that have ended, however many there are.
#[tokio::test]
async fn a_sweep_frees_every_connection_that_has_ended() {
    const OWNERS: usize = 400;
    let server = Server::start(|_, _| Reply::Last("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx".into())).await;
    let nobodys = Egress::new(config()).unwrap();
    let all = nobodys.shared.idle.available_permits();
    for owner in 0..OWNERS {
        nobodys.of(&"account".into(), &owner.to_string().into()).send(get(&server.url("/"))).await.unwrap();
    }
    while server.closed() < OWNERS {
        tokio::task::yield_now().await;
    }
    nobodys.sweep();
    assert_eq!(nobodys.shared.idle.available_permits(), all);
}

/// A platform may announce its answer (1xx), but not without end.
#[tokio::test]
async fn announcements_without_end_are_refused() {
    let announced = |times: usize| "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".repeat(times);
    let server = Server::start(move |n, _| match n {
        0 => Reply::Keep(format!("{}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", announced(3)).into()),
        _ => Reply::Hang(announced(100_000).into()),
    })
    .await;
    let egress = egress();
    assert_eq!(egress.send(get(&server.url("/"))).await.unwrap().body, "ok");
    let error = egress.send(get(&server.url("/"))).await.unwrap_err();
    assert!(matches!(error.kind(), EgressErrorKind::Protocol(_)), "{error}");
    assert!(error.cause().contains("belongs before an answer"), "{}", error.cause());
}

/// What follows would be read as the answer to the next request.
#[tokio::test]
async fn a_connection_with_more_than_its_answer_is_not_used_again() {
    for head in ["204 No Content\r\ncontent-length: 11", "304 Not Modified\r\ntransfer-encoding: chunked", "204 No Content"] {
        let server = Server::start(move |n, _| match n {
            0 => Reply::Keep(format!("HTTP/1.1 {head}\r\n\r\n{{\"ok\":true}}").into()),
            _ => ok("mine"),
        })
        .await;
        let egress = egress();
        egress.send(get(&server.url("/"))).await.unwrap();
        assert_eq!(egress.send(get(&server.url("/"))).await.unwrap().body, "mine", "{head}");
    }
}

#[tokio::test]
async fn an_empty_post_says_that_it_is_empty() {
    let server = Server::start(|_, _| ok("")).await;
    let mut request = get("");
    let url = server.url("/");
    (request.url, request.method) = (&url, Method::POST);
    egress().send(request).await.unwrap();
    assert!(server.request(0).contains("content-length: 0\r\n"), "{}", server.request(0));
}

/// The name is resolved once for a connection, and what was judged is what is called.
#[tokio::test]
async fn a_name_that_turns_private_is_refused() {
    let server = Server::start(|_, _| Reply::Last(ok("x").bytes())).await;
    let resolver = Scripted::new([vec!["127.0.0.1"], vec!["127.0.0.9"]]);
    let egress = Egress::new(EgressConfig {
        allow: vec!["127.0.0.1/32".parse().unwrap()],
        resolver: Arc::clone(&resolver) as _,
        ..support::config()
    })
    .unwrap();
    let url = format!("http://rebind.example:{}/", server.port());

    assert_eq!(egress.send(get(&url)).await.unwrap().body, "x");
    assert_eq!(resolver.asked.load(Ordering::Relaxed), 1);
    assert!(server.request(0).contains("host: rebind.example:"), "{}", server.request(0));

    let error = egress.send(get(&url)).await.unwrap_err();
    assert_eq!(*error.kind(), EgressErrorKind::Forbidden);
    assert!(error.cause().contains("127.0.0.9"));
    assert!(!error.to_string().contains("127.0.0.9"), "{error}");
    assert!(!error.is_retryable_before_send());
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn one_private_address_among_public_ones_closes_the_name() {
    let server = Server::start(|_, _| ok("x")).await;
    for addresses in [vec!["127.0.0.1", "10.0.0.1"], vec!["::1", "127.0.0.1"], vec!["127.0.0.1", "::ffff:10.0.0.1"]] {
        let egress = Egress::new(EgressConfig {
            allow: vec!["127.0.0.0/8".parse().unwrap()],
            resolver: Scripted::new([addresses]),
            ..support::config()
        })
        .unwrap();
        let error = egress.send(get(&format!("http://mixed.example:{}/", server.port()))).await.unwrap_err();
        assert_eq!(*error.kind(), EgressErrorKind::Forbidden);
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_fails() {
    let server = Server::start(|_, _| ok("second")).await;
    let resolver = Scripted::new([vec!["127.0.0.2", "127.0.0.1"]]);
    let egress = Egress::new(EgressConfig { resolver, ..support::config() }).unwrap();
    let answer = egress.send(get(&format!("http://two.example:{}/", server.port()))).await.unwrap();
    assert_eq!(answer.body, "second");
}

#[tokio::test]
async fn names_that_do_not_resolve_and_ports_that_do_not_listen_say_so() {
    let free = support::free_port().await;
    let resolver = Scripted::new([vec!["127.0.0.1"], vec![]]);
    let egress = Egress::new(EgressConfig { resolver, ..support::config() }).unwrap();
    let url = format!("http://name.example:{free}/?key=SECRET");
    // The script: an address where nobody listens, no address, an error.
    for kind in [EgressErrorKind::Connect, EgressErrorKind::Resolve, EgressErrorKind::Resolve] {
        let error = egress.send(get(&url)).await.unwrap_err();
        assert_eq!(*error.kind(), kind);
        assert!(error.is_retryable_before_send());
        assert!(error.to_string().contains("name.example"), "{error}");
        assert!(!error.to_string().contains("127.") && !error.to_string().contains("SECRET"), "{error}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let long = "x".repeat(5000);
    let chunked = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n", "1\r\nx\r\n".repeat(5000));
    let until_close = format!("HTTP/1.1 200 OK\r\n\r\n{long}");
    let cases = [ok(&long), Reply::Keep(chunked.into()), Reply::Last(until_close.into())];
    for reply in cases {
        let server = Server::start(move |_, _| reply.clone()).await;
        let url = server.url("/");
        let mut request = get(&url);
        request.max_response_bytes = 4999;
        let error = egress().send(request).await.unwrap_err();
        assert_eq!(*error.kind(), EgressErrorKind::TooLarge(4999));
        assert!(error.to_string().contains("4999 bytes"), "{error}");
        assert!(!error.is_retryable_before_send());

        let mut request = get(&url);
        request.max_response_bytes = 5000;
        assert_eq!(egress().send(request).await.unwrap().body, long);
    }
}

#[tokio::test]
async fn a_stream_that_announces_too_much_does_not_start() {
    let server = Server::start(|_, _| ok("12345")).await;
    let url = server.url("/");
    let mut request = get(&url);
    request.max_response_bytes = 4;
    let error = egress().send_streaming(&mut request).await.unwrap_err();
    assert_eq!(*error.kind(), EgressErrorKind::TooLarge(4));
}

#[tokio::test]
async fn slow_heads_and_bodies_end_with_the_timeout() {
    let parts = ["", "HTTP/1.1 200 OK\r\nx-a: ", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"];
    for part in parts {
        let server = Server::start(move |_, _| Reply::Hang(part.into())).await;
        let url = server.url("/");
        let mut request = get(&url);
        request.timeout = Duration::from_millis(150);
        let error = egress().send(request).await.unwrap_err();
        assert_eq!(*error.kind(), EgressErrorKind::Timeout(Duration::from_millis(150)), "{part}");
        assert!(!error.is_retryable_before_send());
        assert!(error.to_string().contains("within 0.15 s"), "{error}");
    }
}

#[tokio::test]
async fn garbage_is_an_error_and_not_an_answer() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x-h: 1\r\n".repeat(200));
    let large = format!("HTTP/1.1 200 OK\r\nx-h: {}\r\n\r\n", "a".repeat(300_000));
    let garbage: [&str; 14] = [
        "\0\0\0\0",
        "SSH-2.0-OpenSSH_9.9\r\n",
        "<html>hello</html>\r\n\r\n",
        "HTTP/1.1 99999 Odd\r\n\r\n",
        "HTTP/9.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nname : spaced\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
    ];
    for text in garbage.into_iter().chain([many.as_str(), large.as_str()]) {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let server = Server::start(move |_, _| Reply::Last(bytes.clone())).await;
        let error = egress().send(get(&server.url("/"))).await.unwrap_err();
        let start: String = text.chars().take(60).collect();
        assert!(matches!(error.kind(), EgressErrorKind::Protocol(_)), "{start}: {error:?}");
        assert!(error.to_string().starts_with("127.0.0.1 "), "{error}");
    }
}

#[tokio::test]
async fn a_closed_idle_connection_costs_nobody_an_error() {
    let server = Server::start(|_, _| Reply::Last(ok("x").bytes())).await;
    let egress = egress();
    for _ in 0..20 {
        let url = server.url("/");
        let mut request = get(&url);
        request.method = Method::POST;
        request.body = Bytes::from_static(b"{}").into();
        egress.send(request).await.unwrap();
    }
    assert_eq!(server.connections(), 20);
}

/// A connection that was kept may have been given up by the other side before it saw the request.
#[tokio::test]
async fn a_safe_request_over_a_kept_connection_is_repeated_once() {
    let drop_second = |n, _: &str| {
        if n == 1 { Reply::Last(Bytes::new()) } else { ok("x") }
    };
    let ask = async |egress: &Egress, server: &Server, method: Method| {
        let url = server.url("/");
        egress.send(OutgoingRequest { method, ..get(&url) }).await
    };
    let (server, client) = (Server::start(drop_second).await, egress());
    for _ in 0..2 {
        assert_eq!(ask(&client, &server, Method::GET).await.unwrap().body, "x");
    }
    assert_eq!(server.connections(), 2);

    let (server, client) = (Server::start(drop_second).await, egress());
    ask(&client, &server, Method::GET).await.unwrap();
    let error = ask(&client, &server, Method::POST).await.unwrap_err();
    assert!(matches!(error.kind(), EgressErrorKind::Protocol(_)) && !error.is_retryable_before_send());
    assert_eq!(server.connections(), 1, "what may have been done is not done again");

    let server = Server::start(|_, _| Reply::Last(Bytes::new())).await;
    assert!(ask(&egress(), &server, Method::GET).await.is_err());
    assert_eq!(server.connections(), 1, "whoever calls knows whether to try again");
}

/// No header of a client chooses the host or the framing.
#[tokio::test]
async fn headers_of_the_connection_are_refused() {
    let names = [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "proxy-authorization",
        "proxy-connection",
    ];
    for name in names {
        let mut request = get("http://127.0.0.1:1/");
        request.headers = HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static("x"))]);
        let error = egress().send(request).await.unwrap_err();
        assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
    }
    for method in [Method::CONNECT, Method::TRACE] {
        let mut request = get("http://127.0.0.1:1/");
        request.method = method;
        let error = egress().send(request).await.unwrap_err();
        assert!(matches!(error.kind(), EgressErrorKind::Invalid(_)));
    }
}

#[tokio::test]
async fn a_stream_comes_piece_by_piece() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let reply = Reply::Hang(format!("{head}9\r\ndata: 1\n\n\r\n").into());
    let server = Server::start(move |_, _| reply.clone()).await;
    let url = server.url("/");
    let mut request = get(&url);
    request.max_response_bytes = 9;
    let mut answer = egress().send_streaming(&mut request).await.unwrap();
    // The stream is still open, and the piece is there.
    assert_eq!(answer.body.chunk().await.unwrap().unwrap(), "data: 1\n\n");
    assert!(tokio::time::timeout(Duration::from_millis(100), answer.body.chunk()).await.is_err());

    let mut request = get(&url);
    request.max_response_bytes = 8;
    let mut answer = egress().send_streaming(&mut request).await.unwrap();
    let error = answer.body.chunk().await.unwrap_err();
    assert_eq!(*error.kind(), EgressErrorKind::TooLarge(8));
}

#[tokio::test]
async fn many_calls_at_once_get_their_own_answers() {
    let server = Server::start(|_, head| ok(head.split(' ').nth(1).unwrap())).await;
    let egress = egress();
    let calls = (0..200).map(|i| {
        let (egress, url) = (egress.clone(), server.url(&format!("/{i}")));
        async move { assert_eq!(egress.send(get(&url)).await.unwrap().body, format!("/{i}")) }
    });
    futures_util::future::join_all(calls).await;
}

#[tokio::test]
async fn the_resolver_of_the_system_knows_loopback() {
    use super::{Resolve, SystemResolver};
    let addresses = SystemResolver.resolve("localhost").await.unwrap();
    assert!(!addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback));
}
