//! The real binary as a child process, for what only a process can show.

use std::{
    fs::File,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use super::{Ask, node::ADMIN_KEY, until};

/// A running `amalgam serve`; killed when it is dropped.
pub struct Process {
    /// Where it listens.
    pub url: String,
    child: Child,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command with a clean environment; standard output and error go to files in this directory.
pub fn command(data: &Path, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_amalgam"));
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--egress-allow", "127.0.0.0/8", "--data-dir"])
        .arg(data)
        .env_clear()
        .env("AMALGAM_ADMIN_KEY", ADMIN_KEY)
        .envs(variables.iter().copied())
        .current_dir(data.parent().unwrap())
        .stdin(Stdio::null());
    command
}

/// Runs it to its end, for starts that must be refused.
pub fn run(data: &Path, variables: &[(&str, &str)]) -> Output {
    command(data, variables).output().unwrap()
}

/// What it said on standard error.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

impl Process {
    /// Starts it and waits until it answers.
    pub async fn start(data: &Path, variables: &[(&str, &str)]) -> Self {
        let home = data.parent().unwrap();
        let out = home.join("out.txt");
        let child = command(data, variables)
            .stdout(File::create(&out).unwrap())
            .stderr(File::options().create(true).append(true).open(home.join("log.txt")).unwrap())
            .spawn()
            .unwrap();
        let mut process = Self { url: String::new(), child };
        process.url = until("the binary says where it listens", || {
            assert!(process.child.try_wait().unwrap().is_none(), "{}", log(data));
            let text = std::fs::read_to_string(&out).unwrap();
            std::future::ready(text.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(url, _)| url.to_owned()))
        })
        .await;
        process
    }

    /// A request with the admin key.
    pub fn ask(&self, method: &str, path: &str) -> Ask {
        Ask::new(method, format!("{}{path}", self.url)).key(ADMIN_KEY)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: nothing can be written down any more.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        until("the binary ends", || std::future::ready(self.child.try_wait().unwrap())).await
    }
}

/// Everything that was logged in this directory's home.
pub fn log(data: &Path) -> String {
    std::fs::read_to_string(data.parent().unwrap().join("log.txt")).unwrap_or_default()
}
