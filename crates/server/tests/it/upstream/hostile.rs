//! Upstreams that die, hang, flood and lie: a clear error in time, and nobody else notices.

use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::{direct, register};
use crate::support::{
    Ask, Platform, Process, Server, TestNode,
    mcp::{ACCEPT, MODERN, envelope, request},
    until,
    upstream::{Eras, Upstream},
};

#[tokio::test]
async fn every_misbehaviour_is_a_clear_error_in_time() {
    let node = TestNode::with(|config| config.max_response_bytes = 2 * 1024 * 1024).await;
    for eras in [Eras::Legacy, Eras::Modern] {
        for tool in ["die", "hang", "garbage", "wrong-id", "both", "big", "bad-utf8", "endless", "flood", "unanswered", "status"] {
            let upstream = Upstream::start(eras).await;
            let made = register(&node, &format!("{eras:?} {tool}"), &upstream).await;
            let path = format!("/api/v1/user-mcp-servers/{}", made["id"].as_str().unwrap());
            node.ask("PATCH", &path).json(&json!({ "timeout_seconds": 1 })).send().await.expect(200);
            let server = direct(&node, &[made["connectorId"].as_str().unwrap()]).await;
            let called = server.modern("tools/call", json!({ "name": tool, "arguments": {} })).send().await.expect(200);
            let result = &called.body["result"];
            assert_eq!(result["isError"], true, "{eras:?} {tool}: {}", called.text);
            let text = result["content"][0]["text"].as_str().unwrap();
            assert!(text.starts_with(&format!("{eras:?} {tool} ")), "it names the upstream: {text}");
            assert!(!text.contains("secret-of-the-upstream"), "{text}");
            let shown = node.get(&path).await.expect(200);
            assert_eq!(shown.body["status"], "failing", "{eras:?} {tool}: {}", shown.text);
            // The same upstream still does what it can.
            let fine = server.modern("tools/call", json!({ "name": "echo", "arguments": {} })).send().await.expect(200);
            assert_eq!(fine.body["result"]["isError"], false, "{eras:?} {tool}: {}", fine.text);
        }
    }
}

/// A body that never ends in place of the stream that was asked for.
#[tokio::test]
async fn what_stands_in_place_of_a_stream_is_bounded() {
    let node = TestNode::with(|config| config.max_response_bytes = 256 * 1024).await;
    let platform = Platform::start().await;
    let body = json!({ "name": "One", "url": format!("{}/do/endless", platform.url()), "transport_type": "sse", "auth_type": "none" });
    let made = node.post("/api/v1/user-mcp-servers", body).await.expect(201);
    let call = json!({ "mcp_server_id": made.body["id"], "tool_slug": "echo" });
    node.post("/api/v1/mcp-tools/execute", call).await.refuses(502, "more than 262144 bytes");
}

#[tokio::test]
async fn by_rest_a_failing_upstream_is_502_and_a_slow_one_504() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Dual).await;
    let made = register(&node, "One", &upstream).await;
    let path = format!("/api/v1/user-mcp-servers/{}", made["id"].as_str().unwrap());
    node.ask("PATCH", &path).json(&json!({ "timeout_seconds": 1 })).send().await.expect(200);
    for (tool, status) in [("status", 502), ("garbage", 502), ("hang", 504)] {
        let answer = node.post("/api/v1/mcp-tools/execute", json!({ "mcp_server_id": made["id"], "tool_slug": tool })).await;
        answer.refuses(status, "One");
        assert!(answer.body["error"].is_string());
    }
}

/// After failures in a row nothing is sent for a while, and what was offered stays.
#[tokio::test]
async fn a_failing_upstream_is_left_alone_and_hides_nothing() {
    let node = TestNode::start().await;
    let (bad, good) = (Upstream::start(Eras::Modern).await, Upstream::start(Eras::Modern).await);
    register(&node, "bad", &bad).await;
    register(&node, "good", &good).await;
    let server = direct(&node, &["bad", "good"]).await;
    for _ in 0..5 {
        server.modern("tools/call", json!({ "name": "bad_status", "arguments": {} })).send().await.expect(200);
    }
    let before = bad.of("tools/call").len();
    let refused = server.modern("tools/call", json!({ "name": "bad_echo", "arguments": {} })).send().await.expect(200);
    assert!(refused.text.contains("5 times in a row"), "{}", refused.text);
    assert_eq!(bad.of("tools/call").len(), before, "nothing was sent");
    let fine = server.modern("tools/call", json!({ "name": "good_echo", "arguments": {} })).send().await.expect(200);
    assert_eq!(fine.body["result"]["isError"], false, "{}", fine.text);
    let tools = server.modern("tools/list", json!({})).send().await.expect(200);
    assert!(tools.text.contains("\"bad_echo\""), "what it offered last is kept");
}

/// What an upstream promises and does not give hides nothing else, neither of its own nor of others.
#[tokio::test]
async fn a_list_that_is_promised_and_not_given_hides_nothing() {
    let node = TestNode::start().await;
    let (bad, good) = (Upstream::start(Eras::Legacy).await, Upstream::start(Eras::Modern).await);
    bad.withhold("resources/list");
    let body = json!({ "name": "bad", "url": bad.url(), "timeout_seconds": 1 });
    let made = node.post("/api/v1/user-mcp-servers", body).await.expect(201);
    assert_eq!((&made.body["status"], &made.body["offers"]["tools"]), (&json!("ok"), &json!(20)), "{}", made.text);
    register(&node, "good", &good).await;
    let server = direct(&node, &["bad", "good"]).await;
    let tools = server.modern("tools/list", json!({})).send().await.expect(200);
    assert!(tools.text.contains("\"bad_echo\"") && tools.text.contains("\"good_echo\""), "{}", tools.text);
    let resources = server.modern("resources/list", json!({})).send().await.expect(200);
    assert!(resources.text.contains("\"test://one\""), "{}", resources.text);
}

/// One that says over and over that its lists have changed is asked a few times, not each time.
#[tokio::test]
async fn changes_that_never_stop_are_one_change() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Modern).await;
    register(&node, "one", &upstream).await;
    let server = direct(&node, &["one"]).await;
    let session = server.session().await;
    let mut events = server.stream(&session).await;
    until("it is heard", || async { (upstream.listeners() > 0).then_some(()) }).await;
    for _ in 0..20 {
        for _ in 0..50 {
            upstream.tell(json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {} }));
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(events.next().await.unwrap()["method"], "notifications/tools/list_changed");
    let fine = server.modern("tools/call", json!({ "name": "echo", "arguments": {} })).send().await.expect(200);
    assert_eq!(fine.body["result"]["isError"], false, "{}", fine.text);
    let asked = upstream.of("tools/list").len();
    assert!(asked < 60, "asked {asked} times after 1,000 changes");
}

#[tokio::test]
async fn a_lost_session_is_opened_again() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Legacy).await;
    let made = register(&node, "One", &upstream).await;
    let call = json!({ "mcp_server_id": made["id"], "tool_slug": "echo" });
    node.post("/api/v1/mcp-tools/execute", call.clone()).await.expect(200);
    upstream.forget_sessions();
    node.post("/api/v1/mcp-tools/execute", call).await.expect(200);
    // What is open ends with the registration.
    node.delete(&format!("/api/v1/user-mcp-servers/{}", made["id"].as_str().unwrap())).await.expect(200);
    until("the session is ended", || async { upstream.got().iter().any(|got| got.http == "DELETE").then_some(()) }).await;
}

/// A client that goes away, or says so, ends the call at the upstream.
#[tokio::test]
async fn a_cancelled_call_is_cancelled_at_the_upstream() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Legacy).await;
    register(&node, "one", &upstream).await;
    let server = direct(&node, &["one"]).await;
    let session = server.session().await;
    let slow = server.ask().header("mcp-session-id", &session).json(&request("tools/call", json!({ "name": "slow", "arguments": {} })));
    let calling = tokio::spawn(slow.send());
    until("the call is there", || async { (!upstream.of("tools/call").is_empty()).then_some(()) }).await;
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
    server.ask().header("mcp-session-id", &session).json(&cancel).send().await.expect(202);
    let cancelled = until("it is cancelled", || async { upstream.of("notifications/cancelled").pop() }).await;
    assert_eq!(cancelled.body["params"]["requestId"], upstream.of("tools/call")[0].body["id"]);
    assert!(calling.await.unwrap().text.contains("cancelled"));
    let gone = tokio::spawn(
        server.ask().header("mcp-session-id", &session).json(&request("tools/call", json!({ "name": "slow", "arguments": {} }))).send(),
    );
    until("the second call is there", || async { (upstream.of("tools/call").len() == 2).then_some(()) }).await;
    gone.abort();
    until("it is cancelled too", || async { (upstream.of("notifications/cancelled").len() == 2).then_some(()) }).await;
}

/// Two users at once through one upstream: each has sessions of its own, and never a byte of the other's.
#[tokio::test]
async fn users_never_share_a_session() {
    let node = TestNode::start().await;
    for eras in [Eras::Legacy, Eras::Modern] {
        let upstream = Upstream::start(eras).await;
        let name = format!("{eras:?}").to_lowercase();
        register(&node, &name, &upstream).await;
        let server = direct(&node, &[&name]).await;
        let call = |user: &'static str, n: usize| {
            let body = request("tools/call", json!({ "name": "echo", "arguments": { "user": user, "n": n, "rest": user.repeat(n % 97) } }));
            Ask::new("POST", &server.access_url).header("accept", ACCEPT).user(user).json(&body).send()
        };
        let calls = (0..1_000).map(|n| async move {
            let (user, other) = if n % 2 == 0 { ("ada", "bob") } else { ("bob", "ada") };
            (user, other, n, call(user, n).await.expect(200))
        });
        let mut calls = futures_util::stream::iter(calls).buffer_unordered(32);
        while let Some((user, other, n, answer)) = calls.next().await {
            let arguments = json!({ "user": user, "n": n, "rest": user.repeat(n % 97) });
            assert_eq!(answer.body["result"]["structuredContent"], arguments, "{}", answer.text);
            assert!(!answer.text.contains(other), "{}", answer.text);
        }
        if eras == Eras::Modern {
            continue;
        }
        let mut by_session: std::collections::HashMap<String, Value> = std::collections::HashMap::new();
        for got in upstream.of("tools/call") {
            let user = got.body["params"]["arguments"]["user"].clone();
            let known = by_session.entry(got.header("mcp-session-id").to_owned()).or_insert_with(|| user.clone());
            assert_eq!(*known, user, "one session, one user");
        }
        assert_eq!(by_session.len(), 2);
    }
}

/// An upstream without session ids cannot tell the sessions of one user apart: they need no handshake each. Users do, and so does every
/// session as soon as there are ids.
#[tokio::test]
async fn where_there_are_no_sessions_one_handshake_serves_a_user() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Legacy).await;
    upstream.has_sessions(false);
    register(&node, "one", &upstream).await;
    let server = direct(&node, &["one"]).await;
    let ask = |user: &str| Ask::new("POST", &server.access_url).header("accept", ACCEPT).user(user);
    let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } });
    let call = async |user: &str| {
        let session = ask(user).json(&request("initialize", hello.clone())).send().await.expect(200).header("mcp-session-id").to_owned();
        let call = request("tools/call", json!({ "name": "echo", "arguments": { "user": user } }));
        let answer = ask(user).header("mcp-session-id", &session).json(&call).send().await.expect(200);
        assert_eq!(answer.body["result"]["structuredContent"]["user"], user, "{}", answer.text);
    };
    call("ada").await;
    let before = upstream.of("initialize").len();
    for _ in 0..3 {
        call("ada").await;
    }
    assert!(upstream.of("initialize").len() <= before + 1, "one for all sessions");
    let before = upstream.of("initialize").len();
    call("bob").await;
    assert_eq!(upstream.of("initialize").len(), before + 1, "another user");
    upstream.has_sessions(true);
    for _ in 0..2 {
        call("eve").await;
    }
    let of_eve = upstream.of("tools/call").into_iter().filter(|got| got.body["params"]["arguments"]["user"] == "eve");
    let sessions: std::collections::HashSet<String> = of_eve.map(|got| got.header("mcp-session-id").to_owned()).collect();
    assert_eq!(sessions.len(), 2, "{sessions:?}");
}

/// What a process has open and holds.
#[derive(Debug)]
struct Held {
    files: usize,
    threads: usize,
    children: usize,
    kib: usize,
}

impl Held {
    fn by(process: &Process) -> Self {
        let folder = format!("/proc/{}", process.id());
        let status = std::fs::read_to_string(format!("{folder}/status")).unwrap();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
        };
        let children = std::fs::read_dir(format!("{folder}/task")).unwrap().flatten();
        let children = children.map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default());
        Self {
            files: std::fs::read_dir(format!("{folder}/fd")).unwrap().count(),
            threads: number("Threads"),
            children: children.map(|pids| pids.split_whitespace().count()).sum(),
            kib: number("VmRSS"),
        }
    }
}

/// An upstream that misbehaves, with a server in front of it.
struct Lane {
    number: usize,
    upstream: Upstream,
    access_url: String,
    client: reqwest::Client,
}

impl Lane {
    async fn new(process: &Process, number: usize) -> Self {
        let upstream = Upstream::start(if number.is_multiple_of(2) { Eras::Legacy } else { Eras::Modern }).await;
        let name = format!("lane{number}");
        // Long, so that a busy machine answers what is harmless in time.
        let body = json!({ "name": name, "url": upstream.url(), "timeout_seconds": 10 });
        process.ask("POST", "/api/v1/user-mcp-servers").json(&body).send().await.expect(201);
        let body = json!({ "name": name, "exposure": "direct", "connectors": [name], "rateLimitPerMinute": 1_000_000 });
        let made = process.ask("POST", "/api/servers").json(&body).send().await.expect(201);
        // With a pool: so many calls would use up the ports.
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { number, upstream, access_url: Server::of(&made).access_url, client }
    }

    async fn call(&self, tool: &str) -> Value {
        let ask = self.client.post(&self.access_url).header("accept", ACCEPT).header("content-type", "application/json");
        let ask = ask.header("mcp-protocol-version", MODERN).header("mcp-method", "tools/call").header("mcp-name", tool);
        let body = request("tools/call", json!({ "name": tool, "arguments": {}, "_meta": envelope() }));
        let answer = ask.body(body.to_string()).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// Calls tools that misbehave, one after the other; so often one that does not that the circuit stays closed.
    async fn hammer(&self, calls: usize) {
        for n in 0..calls {
            let tool = match n {
                n if n % 300 == 299 => ["hang", "endless", "flood"][(self.number + n / 300) % 3],
                n if n % 50 == 0 => "big",
                n => ["die", "garbage", "wrong-id", "both", "bad-utf8", "unanswered", "status"][n % 7],
            };
            let failed = self.call(tool).await;
            assert_eq!(failed["result"]["isError"], true, "{tool}: {failed}");
            if n % 3 == 2 || n + 1 == calls {
                let fine = self.call("echo").await;
                assert_eq!(fine["result"]["isError"], false, "after {tool}: {fine}");
            }
        }
    }
}

/// Ten thousand calls that go wrong leave nothing behind: no memory, socket, thread or process here, no session there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_hostile_calls_leave_nothing() {
    const LANES: usize = 16;
    let directory = tempfile::TempDir::new().unwrap();
    let process = Process::start(&directory.path().join("data"), &[]).await;
    let mut lanes = Vec::new();
    for n in 0..LANES {
        lanes.push(Lane::new(&process, n).await);
    }
    let hammer = |calls: usize| futures_util::future::join_all(lanes.iter().map(move |lane| lane.hammer(calls / LANES)));
    let sessions = || lanes.iter().map(|lane| lane.upstream.sessions()).sum::<usize>();
    hammer(2_000).await;
    let (mut before, open) = (Held::by(&process), sessions());
    // How many calls are in the air at once depends on the machine, and with it how far memory has ever grown. What is left by calls shows in
    // every round.
    for round in 1.. {
        hammer(10_000).await;
        let settled = until("sockets are closed", || async {
            let after = Held::by(&process);
            (after.files <= before.files + LANES && after.threads <= before.threads + 8).then_some(after)
        });
        let after = settled.await;
        assert_eq!(after.children, 0);
        assert_eq!(sessions(), open, "no session was lost or left");
        if after.kib < before.kib + 24 * 1024 {
            break;
        }
        assert!(round < 3, "it grows by every round: before {before:?}, after {after:?}");
        before = after;
    }
}

/// No error shows what went along with a call, also where the upstream repeats it. Results are passed on as they came.
#[tokio::test]
async fn errors_show_no_credential_that_an_upstream_repeats() {
    let node = TestNode::start().await;
    for eras in [Eras::Legacy, Eras::Modern] {
        let upstream = Upstream::start(eras).await;
        upstream.add_tool("leak");
        let headers = json!({ "Authorization": "Bearer k3y-AbcdEfghQxyz+12==" });
        let body =
            json!({ "name": format!("{eras:?}"), "url": upstream.url(), "auth_type": "manual", "auth_config": { "headers": headers } });
        let made = node.post("/api/v1/user-mcp-servers", body).await.expect(201).body;
        let server = direct(&node, &[made["connectorId"].as_str().unwrap()]).await;
        for way in ["error", "escaped", "stream", "status", "result"] {
            let params = json!({ "name": "leak", "arguments": { "as": way } });
            let by_rest = json!({ "mcp_server_id": made["id"], "tool_slug": "leak", "args": { "as": way } });
            let answers = [
                server.ask().json(&request("tools/call", params.clone())).send().await,
                server.modern("tools/call", params).send().await,
                node.post("/api/v1/mcp-tools/execute", by_rest).await,
            ];
            for answer in answers {
                let is_cut = answer.text.contains("[credential removed]");
                assert_eq!(is_cut, !matches!(way, "status" | "result"), "{eras:?} {way}: {}", answer.text);
                assert_eq!(answer.text.contains("AbcdEfghQxyz"), way == "result", "{eras:?} {way}: {}", answer.text);
            }
        }
        assert!(upstream.of("tools/call").iter().all(|got| got.header("authorization") == "Bearer k3y-AbcdEfghQxyz+12=="));
    }
}

/// The names that the modern era has for inputs mean nothing in the legacy one.
#[tokio::test]
async fn a_legacy_client_sends_no_inputs_of_the_modern_era() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Modern).await;
    register(&node, "modern", &upstream).await;
    let server = direct(&node, &["modern"]).await;
    let params = json!({ "name": "echo", "arguments": { "requestState": "an argument" }, "requestState": "raw",
        "inputResponses": { "who": {} } });
    server.ask().json(&request("tools/call", params)).send().await.expect(200);
    let got = upstream.of("tools/call").pop().unwrap().body["params"].clone();
    assert!(got.get("requestState").is_none() && got.get("inputResponses").is_none(), "{got}");
    assert_eq!(got["arguments"]["requestState"], "an argument");
}

/// Nor does what a legacy upstream says by such a name.
#[tokio::test]
async fn a_legacy_upstream_asks_for_no_inputs_of_the_modern_era() {
    let node = TestNode::start().await;
    let upstream = Upstream::start(Eras::Legacy).await;
    upstream.add_tool("pretend");
    register(&node, "legacy", &upstream).await;
    let server = direct(&node, &["legacy"]).await;
    let told = server.modern("tools/call", json!({ "name": "pretend", "arguments": {} })).send().await.expect(200);
    assert_eq!(told.body["result"]["resultType"], "complete", "{}", told.text);
}
