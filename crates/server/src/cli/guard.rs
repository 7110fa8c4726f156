//! `amalgam guard`: runs one MCP server as a process for a node, and ends it with all its children when the node is gone.
//!
//! The node holds the other end of our standard input. When it closes, whether by the node's decision or because the node was killed,
//! the process gets a moment to end by itself; then its whole group is killed.

use std::{
    io::{Read as _, Write as _},
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use clap::Args;
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};

/// The process has this long to end by itself after its input is closed.
const GRACE: Duration = Duration::from_secs(2);

/// Run an MCP server for a node.
#[derive(Args)]
pub struct Guard {
    /// Memory that the process may take for its data, in MiB
    #[arg(long)]
    memory_mb: Option<u64>,

    /// The command with its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

impl Guard {
    /// Runs until the process ends or our input is closed.
    pub fn run(self) -> Result<(), String> {
        let (program, arguments) = self.command.split_first().ok_or("no command was named")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|e| format!("cannot start {program}: {e}"))?;
        let mut input = child.stdin.take().ok_or("the process has no standard input")?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or("the process has no id")?;
        if let Some(mb) = self.memory_mb {
            // What it starts inherits it. Data rather than address space: runtimes reserve far more addresses than they use.
            let bytes = Some(mb.saturating_mul(1024 * 1024));
            prlimit(Some(group), Resource::Data, Rlimit { current: bytes, maximum: bytes })
                .map_err(|e| format!("cannot limit the memory of {program}: {e}"))?;
        }
        thread::spawn(move || {
            let mut piece = vec![0; 64 * 1024];
            let mut stdin = std::io::stdin().lock();
            let mut is_read = true;
            while let Ok(n @ 1..) = stdin.read(&mut piece) {
                // A process that no longer reads may still work; our own end is what is watched.
                is_read = is_read && input.write_all(piece.get(..n).unwrap_or_default()).and_then(|()| input.flush()).is_ok();
            }
            drop(input);
            thread::sleep(GRACE);
            kill(group);
        });
        child.wait().map_err(|e| e.to_string())?;
        // Whatever the process has started goes with it.
        kill(group);
        Ok(())
    }
}

fn kill(group: Pid) {
    // An error means that the group is gone already.
    let _ = kill_process_group(group, Signal::KILL);
}
