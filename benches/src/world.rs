//! What is measured: a node with a platform imported as a connector, a credential, and servers; and the platform itself.

use std::{
    ffi::{OsStr, OsString},
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    api,
    client::{call, post},
    job::Job,
    process::{Cores, Process, free_address},
    seed,
};

/// Of the first admin key.
pub const KEY: &str = "bench-admin-key-0123456789";
/// The revision of the modern era.
const MODERN: &str = "2026-07-28";

/// The programs that are run.
pub struct Programs {
    /// The node.
    pub node: OsString,
    /// This program, in its other roles.
    pub bench: OsString,
    /// Where they run.
    pub cores: Cores,
}

/// A platform on loopback.
pub struct Platform {
    /// Where it listens.
    pub address: SocketAddr,
    _process: Process,
}

impl Platform {
    /// Starts it.
    ///
    /// # Errors
    /// A sentence when it does not come up.
    pub fn start(programs: &Programs) -> Result<Self, String> {
        let address = free_address()?;
        let text = address.to_string();
        let arguments = ["api", "--listen", &text].map(OsStr::new);
        let mut process = Process::start(programs.cores.others.as_deref(), &programs.bench, &arguments, &[])?;
        process.wait_for(address)?;
        Ok(Self { address, _process: process })
    }
}

/// The floor, with answers that a node has given.
pub struct Floor {
    /// Where it listens.
    pub address: SocketAddr,
    /// The process that is measured.
    pub process: Process,
    _answers: TempDir,
}

impl Floor {
    /// Starts it with the node's answers to these two jobs.
    ///
    /// # Errors
    /// A sentence when it does not come up, or when the node does not answer.
    pub fn start(programs: &Programs, tools_list: &Job, tools_call: &Job) -> Result<Self, String> {
        let answers = directory()?;
        let keep = |name: &str, job: &Job| {
            let file = answers.path().join(name);
            fs::write(&file, answer(job)?).map(|()| file).map_err(|e| e.to_string())
        };
        let (tools_list, tools_call) = (keep("list", tools_list)?, keep("call", tools_call)?);
        let address = free_address()?;
        let text = address.to_string();
        let arguments = [
            "floor".as_ref(),
            "--listen".as_ref(),
            text.as_ref(),
            "--tools-list".as_ref(),
            tools_list.as_os_str(),
            "--tools-call".as_ref(),
            tools_call.as_os_str(),
        ];
        let mut process = Process::start(programs.cores.subject.as_deref(), &programs.bench, &arguments, &[])?;
        process.wait_for(address)?;
        Ok(Self { address, process, _answers: answers })
    }
}

/// A node that runs.
pub struct Node {
    /// Where it listens.
    pub address: SocketAddr,
    /// The process that is measured.
    pub process: Process,
    /// From the start of the process to its first answer.
    pub started_in: Duration,
}

impl Node {
    /// The JSON answer of one POST with the admin key.
    ///
    /// # Errors
    /// A sentence with what the node said, unless the status is 2xx.
    pub fn call(&self, path: &str, body: &Value) -> Result<Value, String> {
        call(self.address, path, KEY, body)
    }
}

/// A node's database with everything that the scenarios need; the node itself may be stopped.
pub struct Installation {
    directory: TempDir,
    servers: usize,
}

impl Installation {
    /// Starts a new node, imports the platform, stores a credential, makes a server through the API and copies it `servers` times.
    ///
    /// # Errors
    /// A sentence with what the node refused.
    pub fn new(programs: &Programs, platform: SocketAddr, servers: usize) -> Result<Self, String> {
        let this = Self { directory: directory()?, servers };
        let (address, mut process) = this.spawn(programs)?;
        process.wait_for(address)?;
        call(address, "/api/connectors", KEY, &json!({ "id": api::CONNECTOR, "spec": api::document(platform) }))?;
        let credential = json!({ "authenticationType": "bearer", "data": { "token": api::TOKEN } });
        call(address, &format!("/connectors/{}/credentials", api::CONNECTOR), KEY, &credential)?;
        let server = json!({
            "name": "Original", "tokenExpiresInDays": Value::Null, "rateLimitPerMinute": 1_000_000_000,
            "restrictions": {
                "connectors": { "mode": "allowlist", "allowedIds": [api::CONNECTOR, "slack"] },
                "actions": { "mode": "blocklist", "blockedActions": ["slack/delete_*", "bench/delete_*"] } },
        });
        let server = call(address, "/api/servers", KEY, &server)?;
        process.stop()?;
        let Some(id) = server["serverId"].as_str() else { return Err("a server without `serverId` was created".to_owned()) };
        seed::copies(&this.path().join("amalgam.db"), id, servers)?;
        Ok(this)
    }

    /// Starts the node and waits for its first answer.
    ///
    /// # Errors
    /// A sentence when it does not answer within ten seconds.
    pub fn start(&self, programs: &Programs) -> Result<Node, String> {
        let started = Instant::now();
        let (address, process) = self.spawn(programs)?;
        let job = tools_list(address, false, vec![seed::path(self.servers / 2)]);
        while let Err(error) = answer(&job) {
            if started.elapsed() > Duration::from_secs(10) {
                return Err(format!("the node does not answer after ten seconds: {error}"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Node { address, process, started_in: started.elapsed() })
    }

    /// The paths of so many servers, spread evenly over all.
    pub fn paths(&self, count: usize) -> Vec<String> {
        let step = (self.servers / count.max(1)).max(1);
        (0..self.servers).step_by(step).map(seed::path).take(count).collect()
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn spawn(&self, programs: &Programs) -> Result<(SocketAddr, Process), String> {
        let address = free_address()?;
        let (text, data) = (address.to_string(), self.path());
        let arguments = [
            "serve".as_ref(),
            "--listen".as_ref(),
            text.as_ref(),
            "--data-dir".as_ref(),
            data.as_os_str(),
            "--egress-allow".as_ref(),
            "127.0.0.0/8".as_ref(),
        ];
        let process = Process::start(
            programs.cores.subject.as_deref(),
            &programs.node,
            &arguments,
            &[("AMALGAM_ADMIN_KEY", KEY), ("AMALGAM_LOG", "warn")],
        )?;
        Ok((address, process))
    }
}

/// The answer to the first request of a job.
fn answer(job: &Job) -> Result<Vec<u8>, String> {
    let path = job.paths.first().ok_or("a job without paths")?;
    let (status, answer) = post(job.address, path, &job.headers, &job.body)?;
    if status == 200 { Ok(answer) } else { Err(format!("answered {status}: {}", String::from_utf8_lossy(&answer))) }
}

fn directory() -> Result<TempDir, String> {
    TempDir::with_prefix("amalgam-bench-").map_err(|e| format!("cannot make a temporary directory: {e}"))
}

/// Where the node's program is: beside this one.
///
/// # Errors
/// A sentence with the way out when it is not there.
pub fn programs(node: Option<&Path>, cores: Cores) -> Result<Programs, String> {
    let bench = std::env::current_exe().map_err(|e| format!("cannot find this program: {e}"))?;
    let node = node.map_or_else(|| bench.with_file_name("amalgam"), Path::to_path_buf);
    if !node.is_file() {
        return Err(format!("{} is missing: build it with `cargo build --release -p amalgam`, or name it with --node", node.display()));
    }
    Ok(Programs { node: node.into(), bench: bench.into(), cores })
}

/// A job that lists the tools of these servers; one request on one connection.
pub fn tools_list(address: SocketAddr, modern: bool, paths: Vec<String>) -> Job {
    mcp(address, modern, paths, "tools/list", None, json!({}), "execute_action_alloy")
}

/// A job that runs the platform's action through these servers, with so many order lines.
pub fn execute(address: SocketAddr, modern: bool, paths: Vec<String>, lines: usize) -> Job {
    let arguments = json!({ "connectorId": api::CONNECTOR, "actionId": api::ACTION, "parameters": api::arguments(lines) });
    let params = json!({ "name": "execute_action_alloy", "arguments": arguments });
    mcp(address, modern, paths, "tools/call", Some("execute_action_alloy"), params, "ord_5f2c9a7d81")
}

/// A job that runs the same action directly.
pub fn direct(address: SocketAddr) -> Job {
    let headers = [("authorization", format!("Bearer {}", api::TOKEN)), ("content-type", "application/json".to_owned())];
    Job {
        address,
        connections: 1,
        requests: 1,
        paths: vec![api::PATH.to_owned()],
        headers: headers.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        body: api::arguments(0).to_string(),
        expect: "ord_5f2c9a7d81".to_owned(),
    }
}

/// A job of one MCP request.
pub fn mcp(
    address: SocketAddr,
    modern: bool,
    paths: Vec<String>,
    method: &str,
    name: Option<&str>,
    mut params: Value,
    expect: &str,
) -> Job {
    let mut headers = vec![("accept", "application/json, text/event-stream"), ("content-type", "application/json")];
    if modern {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientInfo": { "name": "bench", "version": "1.0.0" },
            "io.modelcontextprotocol/clientCapabilities": {} });
        headers.extend([("mcp-protocol-version", MODERN), ("mcp-method", method)]);
        headers.extend(name.map(|name| ("mcp-name", name)));
    }
    Job {
        address,
        connections: 1,
        requests: 1,
        paths,
        headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string(),
        expect: expect.to_owned(),
    }
}
