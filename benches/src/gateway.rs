//! Other MCP servers behind a node: calls beside a bare proxy, lists, sessions that nobody uses.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread::sleep,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    job::Job,
    process::{Process, free_address},
    report::median,
    scenarios::{Bench, Subject, megabytes},
    upstream,
    world::{Floor, Installation, Node, Programs, mcp, tools_list},
};

/// Lengths of the text that is repeated, with their names.
const SIZES: [(usize, &str); 3] = [(64, "64 B"), (10 * 1024, "10 KB"), (100 * 1024, "100 KB")];
/// MCP servers and their tools, where it is about long lists.
const MANY: (usize, usize) = (50, 40);
/// Sessions open at once.
const SESSIONS: usize = 10_000;

/// Something of this program that listens.
struct Helper {
    address: SocketAddr,
    process: Process,
}

impl Helper {
    fn start(cores: Option<&str>, programs: &Programs, role: &str, more: &[&str]) -> Result<Self, String> {
        let address = free_address()?;
        let text = address.to_string();
        let arguments: Vec<&OsStr> = [role, "--listen", &text].into_iter().chain(more.iter().copied()).map(OsStr::new).collect();
        let mut process = Process::start(cores, &programs.bench, &arguments, &[])?;
        process.wait_for(address)?;
        Ok(Self { address, process })
    }
}

impl Bench {
    /// Measures all of it.
    pub fn gateway(&mut self) -> Result<(), String> {
        let tools = MANY.1.to_string();
        let behind = Helper::start(self.programs.cores.others.as_deref(), &self.programs, "upstream", &["--tools", &tools])?;
        let installation = Installation::new(&self.programs, self.platform.address, 10)?;
        let node = installation.start(&self.programs)?;
        let names: Vec<String> = (0..MANY.0).map(|n| format!("many{n:02}")).collect();
        for name in ["one"].into_iter().chain(names.iter().map(String::as_str)) {
            let body = json!({ "name": name, "url": format!("http://{}{}", behind.address, upstream::PATH) });
            node.call("/api/v1/user-mcp-servers", &body)?;
        }
        let path = server(&node, &["one".to_owned()])?;
        self.against_the_proxy(&node, &behind, &path)?;
        self.added_to_the_proxy(&node, &behind, &path)?;
        self.long_list(&node, &names)?;
        self.idle_sessions(&node, &path)
    }

    fn against_the_proxy(&mut self, node: &Node, behind: &Helper, path: &str) -> Result<(), String> {
        let text = behind.address.to_string();
        let proxy = Helper::start(self.programs.cores.subject.as_deref(), &self.programs, "proxy", &["--to", &text])?;
        for (size, named) in SIZES {
            for modern in [false, true] {
                let job = call(node.address, modern, path, size);
                let requests = if size > 50_000 { self.requests / 3 } else { self.requests };
                let below = Subject { process: &proxy.process, job: job.at(proxy.address) };
                let (costs, ratios) = self.compare(&below, &Subject { process: &node.process, job }, requests)?;
                let name = format!("tool of another MCP server, {named}{}", if modern { ", revision 2026-07-28" } else { "" });
                self.note(&name, &format!("{:.1} us CPU, bare proxy {:.1} us", costs.1, costs.0), ratios, "x", Some(1.6));
            }
        }
        Ok(())
    }

    fn added_to_the_proxy(&mut self, node: &Node, behind: &Helper, path: &str) -> Result<(), String> {
        let text = behind.address.to_string();
        let proxy = Helper::start(self.programs.cores.subject.as_deref(), &self.programs, "proxy", &["--to", &text])?;
        let requests = self.requests / 5;
        let through = call(node.address, true, path, SIZES[0].0).sized(1, requests);
        let direct = Job { paths: vec![upstream::PATH.to_owned()], ..through.at(behind.address) };
        let (mut all, mut differences) = ([Vec::new(), Vec::new(), Vec::new()], Vec::new());
        for _ in 0..self.rounds {
            let times =
                [&direct, &through.at(proxy.address), &through].map(|job| self.generator.run(job).map(|timing| timing.p50_us / 1000.0));
            let [direct, bare, node] = times;
            let (direct, bare, node) = (direct?, bare?, node?);
            for (times, time) in all.iter_mut().zip([direct, bare, node]) {
                times.push(time);
            }
            differences.push(node - bare);
        }
        let [direct, bare, node] = all.map(median);
        let measured = format!("{node:.3} ms, bare proxy {bare:.3} ms, called directly {direct:.3} ms");
        self.note("p50 added to the bare proxy, one connection", &measured, differences, "ms", Some(0.1));
        Ok(())
    }

    fn long_list(&mut self, node: &Node, names: &[String]) -> Result<(), String> {
        let list = |path: String| Job { expect: "tool_0001".to_owned(), ..tools_list(node.address, true, vec![path]) };
        let job = list(server(node, names)?);
        let floor = Floor::start(&self.programs, &job, &job)?;
        let below = Subject { process: &floor.process, job: job.at(floor.address) };
        let (costs, ratios) = self.compare(&below, &Subject { process: &node.process, job }, self.requests / 15)?;
        let name = format!("tools/list, {} MCP servers, {} tools", MANY.0, MANY.0 * MANY.1);
        self.note(&name, &format!("{:.1} us CPU, the same bytes {:.1} us", costs.1, costs.0), ratios, "x", Some(3.0));
        Ok(())
    }

    /// What sessions of clients cost that do nothing, once they have been greeted, and once each has called an MCP server.
    fn idle_sessions(&mut self, node: &Node, path: &str) -> Result<(), String> {
        for (named, calls) in [("greeted", false), ("one call made", true)] {
            let mut client = Client::connect(node.address, path)?;
            // What is made once for all is there already.
            for _ in 0..100 {
                client.session(calls)?;
            }
            sleep(Duration::from_secs(1));
            let before = node.process.memory()?.resident;
            for _ in 0..SESSIONS {
                client.session(calls)?;
            }
            sleep(Duration::from_secs(1));
            let more = node.process.memory()?.resident.saturating_sub(before);
            let measured = format!("{SESSIONS} sessions, {:.1} MB more", megabytes(more));
            let each = more as f64 / 1024.0 / SESSIONS as f64;
            self.note(&format!("RSS of an idle session, {named}"), &measured, vec![each], "KB", Some(1.0));
        }
        Ok(())
    }
}

/// A server that exposes these directly; the path of its token URL.
fn server(node: &Node, connectors: &[String]) -> Result<String, String> {
    let body = json!({
        "name": format!("Direct {}", connectors.len()), "exposure": "direct", "connectors": connectors, "toolPrefix": "conflict",
        "tokenExpiresInDays": Value::Null, "rateLimitPerMinute": 1_000_000_000,
        "restrictions": {
            "connectors": { "mode": "allowlist", "allowedIds": connectors },
            "actions": { "mode": "blocklist", "blockedActions": ["delete_*", "slack/delete_*"] } },
    });
    let made = node.call("/api/servers", &body)?;
    match (made["serverId"].as_str(), made["accessToken"].as_str()) {
        (Some(id), Some(token)) => Ok(format!("/mcp/{id}/{token}")),
        _ => Err("a server without id and token was created".to_owned()),
    }
}

fn call(address: SocketAddr, modern: bool, path: &str, size: usize) -> Job {
    let params = json!({ "name": upstream::TOOL, "arguments": { "text": "x".repeat(size) } });
    mcp(address, modern, vec![path.to_owned()], "tools/call", Some(upstream::TOOL), params, upstream::EXPECT)
}

/// A client of the handshake era on one connection.
struct Client {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
    path: String,
}

impl Client {
    fn connect(address: SocketAddr, path: &str) -> Result<Self, String> {
        let stream = TcpStream::connect(address).and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        Ok(Self { stream: BufReader::new(stream.map_err(|e| e.to_string())?), address, path: path.to_owned() })
    }

    /// Opens one more session, and leaves it open.
    fn session(&mut self, calls: bool) -> Result<(), String> {
        let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "bench", "version": "1" } });
        let id = self.ask("initialize", &hello, None)?.ok_or("initialize was answered without a session")?;
        if calls {
            let params = json!({ "name": upstream::TOOL, "arguments": { "text": "x" } });
            self.ask("tools/call", &params, Some(&id))?;
        }
        Ok(())
    }

    /// One request; the session that its answer names.
    fn ask(&mut self, method: &str, params: &Value, session: Option<&str>) -> Result<Option<String>, String> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let session = session.map(|id| format!("mcp-session-id: {id}\r\n")).unwrap_or_default();
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\naccept: application/json, text/event-stream\r\ncontent-type: application/json\r\n{session}content-length: {}\r\n\r\n",
            self.path,
            self.address,
            body.len()
        );
        self.exchange(&head, &body).map_err(|e| format!("{method}: {e}"))
    }

    fn exchange(&mut self, head: &str, body: &str) -> std::io::Result<Option<String>> {
        self.stream.get_mut().write_all(format!("{head}{body}").as_bytes())?;
        let (mut line, mut length, mut session, mut is_first) = (String::new(), 0, None, true);
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            if std::mem::take(&mut is_first) && !line.starts_with("HTTP/1.1 200") {
                return Err(std::io::Error::other(format!("answered {line}")));
            }
            match line.trim_end().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().map_err(std::io::Error::other)?,
                Some(("mcp-session-id", value)) => session = Some(value.to_owned()),
                Some(_) => {}
                None if line.trim_end().is_empty() => break,
                None => {}
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(session)
    }
}
