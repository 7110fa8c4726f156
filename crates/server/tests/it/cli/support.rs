//! A node of its own for each test, the command line against it, and a platform on loopback.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::Value;
use tempfile::TempDir;

/// The first admin key of every node here.
pub const KEY: &str = "first-admin-key-of-a-test";

/// A node as people start it: the binary itself, on a free port, in a directory of its own.
pub struct Node {
    child: Child,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// Removed with the node.
    pub directory: TempDir,
}

impl Node {
    /// Starts it and waits until it listens.
    pub fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_amalgam"))
            .args(["serve", "--listen", "127.0.0.1:0", "--egress-allow", "127.0.0.0/8", "--log", "error", "--data-dir"])
            .arg(directory.path().join("data"))
            .current_dir(directory.path())
            .env_clear()
            .env("AMALGAM_ADMIN_KEY", KEY)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split(['(', ')']).nth(1).unwrap_or_else(|| panic!("the node did not start: {line:?}")).to_owned();
        Self { child, url, directory }
    }

    /// Runs a command as the admin. Nothing of the tester's own environment reaches it.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_as(KEY, args, "")
    }

    /// Runs a command with this on standard input.
    pub fn pipe(&self, args: &[&str], stdin: &str) -> Ran {
        self.run_as(KEY, args, stdin)
    }

    /// Runs a command with this key, or without one when it is empty.
    pub fn run_as(&self, key: &str, args: &[&str], stdin: &str) -> Ran {
        run(&[("AMALGAM_URL", &self.url), ("AMALGAM_KEY", key)], args, stdin)
    }

    /// Runs a command that must succeed, and reads its JSON.
    pub fn json(&self, args: &[&str]) -> Value {
        let mut args = args.to_vec();
        args.push("--json");
        serde_json::from_str(&self.run(&args).ok()).unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the binary in an environment of these variables alone.
pub fn run(variables: &[(&str, &str)], args: &[&str], stdin: &str) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_amalgam"))
        .args(args)
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input may be gone by now.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let ran = Ran { code: status.code().unwrap(), out: String::from_utf8(stdout).unwrap(), err: String::from_utf8(stderr).unwrap() };
    assert!(!ran.err.contains(KEY), "the key is in the errors of {args:?}: {}", ran.err);
    assert!(!ran.out.contains('\x1b') && !ran.err.contains('\x1b'), "colours without a terminal: {args:?}");
    ran
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// The output of a command that must have succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{} {}", self.out, self.err);
        self.out
    }

    /// The errors of a command that must have ended so.
    #[track_caller]
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "{} {}", self.out, self.err);
        self.err
    }
}

/// A platform that answers every request with what it heard: `{"path", "authorization", "body"}`; 422 on paths with `refuse`.
pub struct Platform {
    pub url: String,
    heard: Arc<Mutex<Vec<Value>>>,
}

impl Platform {
    /// Starts it. Its thread ends with the process.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let records = heard.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A connection that ends before its request is no request.
                let _ = answer(stream.unwrap(), &records);
            }
        });
        Self { url, heard }
    }

    /// All requests so far.
    pub fn heard(&self) -> Vec<Value> {
        self.heard.lock().unwrap().clone()
    }
}

fn answer(stream: TcpStream, records: &Mutex<Vec<Value>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let header = |name: &str| {
        lines.iter().find_map(|line| line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name))).map(|(_, value)| value.to_owned())
    };
    let mut body = vec![0; header("content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    let request = serde_json::json!({
        "path": lines[0].split(' ').nth(1),
        "authorization": header("authorization"),
        "body": serde_json::from_slice::<Value>(&body).unwrap_or_default(),
    });
    records.lock().unwrap().push(request.clone());
    let (status, text) =
        if lines[0].contains("refuse") { ("422 No", r#"{"message":"not today"}"#.to_owned()) } else { ("200 OK", request.to_string()) };
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}", text.len());
    reader.get_mut().write_all(head.as_bytes()).ok()
}
