//! Upstreams that are processes: from the configuration alone, started on demand, gone with the node.

use std::{fs, path::Path};

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Ask, Process, mcp::request, node::ADMIN_KEY, until};

/// An MCP server of the legacy era in shell, which starts a child of its own and writes both process ids down.
const SCRIPT: &str = r#"
echo "started with ${AMALGAM_ADMIN_KEY:-no secret}" >&2
sleep 1000 &
echo "$$ $!" >> "$PIDS"
while read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
  say() { printf '{"jsonrpc":"2.0","id":%s,%s}\n' "$id" "$1"; }
  case "$line" in
    *'"server/discover"'*) say '"error":{"code":-32601,"message":"Method not found"}' ;;
    *'"initialize"'*) say '"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"sh","version":"1"}}' ;;
    *'"tools/list"'*) say '"result":{"tools":[{"name":"hello","inputSchema":{"type":"object"}},{"name":"exit","inputSchema":{"type":"object"}}]}' ;;
    *'"exit"'*) exit 3 ;;
    *'"tools/call"'*) say "\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"hello from $$\"}]}" ;;
  esac
done
"#;

struct Home {
    directory: TempDir,
    process: Option<Process>,
    url: String,
}

impl Home {
    async fn start(shared: bool) -> Self {
        let directory = TempDir::new().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        fs::write(directory.path().join("server.sh"), SCRIPT).unwrap();
        let text = format!(
            "[stdio.shell]\ncommand = \"sh\"\nargs = [{:?}]\nenv = {{ PIDS = {:?} }}\nshared = {shared}\nmemory-mb = 256\n",
            path("server.sh"),
            path("pids")
        );
        fs::write(directory.path().join("amalgam.toml"), text).unwrap();
        let config = path("amalgam.toml");
        let variables = [("AMALGAM_CONFIG", config.as_str()), ("PATH", "/usr/local/bin:/usr/bin:/bin")];
        let process = Process::start(&directory.path().join("data"), &variables).await;
        let url = process.url.clone();
        Self { directory, process: Some(process), url }
    }

    fn ask(&self, method: &str, path: &str) -> Ask {
        Ask::new(method, format!("{}{path}", self.url)).key(ADMIN_KEY)
    }

    async fn id(&self) -> String {
        let all = self.ask("GET", "/api/v1/user-mcp-servers").send().await.expect(200);
        assert_eq!((&all.body["servers"][0]["transport_type"], &all.body["total"]), (&json!("stdio"), &json!(1)), "{}", all.text);
        all.body["servers"][0]["id"].as_str().unwrap().to_owned()
    }

    async fn call(&self, id: &str, tool: &str, user: &str) -> crate::support::Answer {
        let body = json!({ "mcp_server_id": id, "tool_slug": tool, "end_user_id": user });
        self.ask("POST", "/api/v1/mcp-tools/execute").json(&body).send().await
    }

    /// The ids of all processes that were started: servers and their children.
    fn pids(&self) -> Vec<String> {
        let text = fs::read_to_string(self.directory.path().join("pids")).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    }
}

fn lives(pid: &str) -> bool {
    // One that has ended and was not waited for yet does nothing any more.
    let status = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    !status.is_empty() && !status.contains(") Z ")
}

#[tokio::test]
async fn a_process_is_started_called_and_gone_with_the_node() {
    let mut home = Home::start(false).await;
    let id = home.id().await;
    assert!(home.pids().is_empty(), "nothing runs before it is needed");
    let ada = home.call(&id, "hello", "ada").await.expect(200);
    assert!(ada.text.contains("hello from"), "{}", ada.text);
    let bob = home.call(&id, "hello", "bob").await.expect(200);
    assert_ne!(ada.body["result"], bob.body["result"], "each user has a process");
    let again = home.call(&id, "hello", "ada").await.expect(200);
    assert_eq!(ada.body["result"], again.body["result"], "and keeps it");
    let shown = home.ask("GET", &format!("/api/v1/user-mcp-servers/{id}")).send().await.expect(200);
    assert!(shown.body["stderr"].as_str().unwrap().contains("started with no secret"), "{}", shown.text);
    // One that ends by itself is a clear error, and is started again.
    home.call(&id, "exit", "ada").await.refuses(502, "has ended its process");
    home.call(&id, "hello", "ada").await.expect(200);
    home.ask("DELETE", &format!("/api/v1/user-mcp-servers/{id}")).send().await.refuses(403, "operator");
    let pids = home.pids();
    assert!(pids.len() >= 6 && pids.iter().any(|pid| lives(pid)), "{pids:?}");
    // Killed, not asked to stop.
    drop(home.process.take());
    until("all processes are gone", || async { (!pids.iter().any(|pid| lives(pid))).then_some(()) }).await;
}

#[tokio::test]
async fn a_shared_process_serves_all_users() {
    let home = Home::start(true).await;
    let id = home.id().await;
    let ada = home.call(&id, "hello", "ada").await.expect(200);
    let bob = home.call(&id, "hello", "bob").await.expect(200);
    assert_eq!(ada.body["result"], bob.body["result"]);
}

/// Processes that crash again and again, of several users, leave none of their children.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_leave_no_process() {
    const ROUNDS: usize = 25;
    let mut home = Home::start(false).await;
    let id = home.id().await;
    let users = ["ada", "bob", "eve", "joe"];
    // A minute has room for 30 executions of one user, whoever they are for: the tools of a server have more.
    let body =
        json!({ "name": "Crash", "exposure": "direct", "connectors": ["shell"], "toolPrefix": "never", "rateLimitPerMinute": 100_000 });
    let server = crate::support::Server::of(&home.ask("POST", "/api/servers").json(&body).send().await.expect(201));
    server.ask().json(&request("tools/list", json!({}))).send().await.expect(200);
    let call = async |user: &str, tool: &str| {
        let body = request("tools/call", json!({ "name": tool, "arguments": {} }));
        server.ask().user(user).json(&body).send().await.expect(200)
    };
    let crash = async |user: &str| {
        for _ in 0..ROUNDS {
            let ended = call(user, "exit").await;
            assert!(ended.text.contains("has ended its process"), "{}", ended.text);
            assert!(call(user, "hello").await.text.contains("hello from"));
        }
    };
    futures_util::future::join_all(users.map(crash)).await;
    let pids = home.pids();
    assert!(pids.len() >= 2 * users.len() * (ROUNDS + 1), "two for each crash: {}", pids.len());
    until("only those that are in use live", || async { (pids.iter().filter(|pid| lives(pid)).count() == 2 * users.len()).then_some(()) })
        .await;
    let shown = home.ask("GET", &format!("/api/v1/user-mcp-servers/{id}")).send().await.expect(200);
    assert_eq!(shown.body["status"], "ok", "{}", shown.text);
    drop(home.process.take());
    until("all processes are gone", || async { (!pids.iter().any(|pid| lives(pid))).then_some(()) }).await;
}
