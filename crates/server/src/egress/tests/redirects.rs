//! Redirects: judged like first requests, and never a way out for credentials.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::support::{Server, egress, get, moved, ok};
use crate::egress::{EgressErrorKind, OutgoingRequest};

fn secret_headers() -> HeaderMap {
    HeaderMap::from_iter([
        (ACCEPT, HeaderValue::from_static("application/json")),
        (AUTHORIZATION, HeaderValue::from_static("Bearer SECRET")),
        (COOKIE, HeaderValue::from_static("sid=SECRET")),
        (HeaderName::from_static("x-api-key"), HeaderValue::from_static("SECRET")),
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
    ])
}

fn post(url: &str) -> OutgoingRequest<'_> {
    OutgoingRequest { method: Method::POST, headers: secret_headers(), body: Bytes::from_static(b"{\"a\":1}").into(), ..get(url) }
}

#[tokio::test]
async fn methods_change_as_the_standards_say() {
    // (status, method sent, method after the redirect)
    let cases = [
        (301, Method::POST, "GET"),
        (302, Method::POST, "GET"),
        (303, Method::POST, "GET"),
        (307, Method::POST, "POST"),
        (308, Method::POST, "POST"),
        (301, Method::PUT, "PUT"),
        (303, Method::PUT, "GET"),
        (303, Method::HEAD, "HEAD"),
        (302, Method::DELETE, "DELETE"),
    ];
    for (status, method, expected) in cases {
        let server = Server::start(move |n, _| if n == 0 { moved(status, "next?x=1#part") } else { ok("") }).await;
        let url = server.url("/a/b");
        let mut request = post(&url);
        request.method = method.clone();
        egress().send(request).await.unwrap();
        let second = server.request(1);
        assert!(second.starts_with(&format!("{expected} /a/next?x=1 HTTP/1.1")), "{status} {method}: {second}");
        // The same origin keeps its credentials; the body goes with the method.
        assert!(second.contains("authorization: Bearer SECRET"), "{second}");
        assert_eq!(second.ends_with("{\"a\":1}"), expected != "GET", "{status} {method}: {second}");
        assert_eq!(second.contains("content-type"), expected != "GET", "{second}");
    }
}

/// A secret leaves only for its own hosts.
#[tokio::test]
async fn credentials_stay_with_their_origin() {
    let other = Server::start(|_, _| ok("other")).await;
    let target = other.url("/x");
    let first = Server::start(move |_, _| moved(307, &target)).await;
    let url = first.url("/");
    let answer = egress().send(post(&url)).await.unwrap();
    assert_eq!(answer.body, "other");
    assert!(first.request(0).contains("x-api-key: SECRET"));
    let crossed = other.request(0);
    assert!(!crossed.contains("SECRET"), "{crossed}");
    assert!(crossed.contains("accept: application/json") && crossed.contains("accept-encoding: identity"), "{crossed}");
    assert!(crossed.contains(&format!("host: {}", other.authority())), "{crossed}");

    let mut request = post(&url);
    request.credential_bound = true;
    let error = egress().send(request).await.unwrap_err();
    assert!(matches!(error.kind(), EgressErrorKind::Redirect(_)));
    assert!(error.to_string().contains("carries a credential"), "{error}");
    assert_eq!(other.connections(), 1);
}

#[tokio::test]
async fn coming_back_does_not_bring_credentials_back() {
    let first = Server::start(|n, head| {
        let back = head.split("from=").nth(1).and_then(|rest| rest.split(' ').next());
        if n == 0 { moved(302, back.unwrap()) } else { ok("home") }
    })
    .await;
    let home = first.url("/home");
    let other = Server::start(move |_, _| moved(302, &home)).await;
    let url = first.url(&format!("/?from={}", other.url("/")));
    let mut request = get(&url);
    request.headers = secret_headers();
    assert_eq!(egress().send(request).await.unwrap().body, "home");
    assert!(!first.request(1).contains("SECRET"));
}

/// A redirect leads neither into the private network nor to an odd target.
#[tokio::test]
async fn private_and_odd_targets_are_refused() {
    let forbidden = [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "//192.168.0.1/x",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://2852039166/",
        "http://0xa9.0xfe.0xa9.0xfe/",
        "http://0251.0376.0251.0376/",
        "http://[64:ff9b::a9fe:a9fe]/",
    ];
    let refused =
        ["ftp://127.0.0.1/", "file:///etc/passwd", "http://user:pw@127.0.0.1/", "http://127.0.0.1:0/", "http://[/", "javascript:1"];
    let cases = forbidden.into_iter().map(|target| (target, true)).chain(refused.map(|target| (target, false)));
    for (target, is_forbidden) in cases {
        let server = Server::start(move |_, _| moved(302, target)).await;
        let error = egress().send(get(&server.url("/"))).await.unwrap_err();
        if is_forbidden {
            assert_eq!(*error.kind(), EgressErrorKind::Forbidden, "{target}");
        } else {
            assert!(matches!(error.kind(), EgressErrorKind::Redirect(_)), "{target}: {error}");
        }
        // The sentence names the host that the caller knows, and nothing of the target.
        let text = error.to_string();
        assert!(text.contains("127.0.0.1") && !text.contains("169.254") && !text.contains("10.0.0.1"), "{text}");
    }
}

#[tokio::test]
async fn loops_end() {
    let server = Server::start(|_, _| moved(302, "/again")).await;
    let error = egress().send(get(&server.url("/"))).await.unwrap_err();
    assert_eq!(*error.kind(), EgressErrorKind::Redirect("there were too many in a row"));
    assert_eq!(server.request(5).lines().next().unwrap(), "GET /again HTTP/1.1");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn redirects_are_answers_when_not_followed() {
    let server = Server::start(|_, _| moved(302, "http://10.0.0.1/")).await;
    let url = server.url("/");
    let mut request = get(&url);
    request.follow_redirects = false;
    let answer = egress().send(request).await.unwrap();
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(answer.headers["location"], "http://10.0.0.1/");
}
