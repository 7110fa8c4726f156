//! Child processes on chosen cores, and what the kernel says about their CPU time and memory. Linux only.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use crate::job::{Job, Timing};

/// Which cores children run on, as `taskset` takes them; `None` = wherever the kernel puts them.
#[derive(Default)]
pub struct Cores {
    /// Of what is measured.
    pub subject: Option<String>,
    /// Of who measures, and of the platform.
    pub others: Option<String>,
}

impl Cores {
    /// Keeps what is measured on the first core and everything else off it, where the machine has several cores and `taskset`.
    pub fn apart() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let works = Command::new("taskset").args(["-c", "0", "true"]).status().is_ok_and(|status| status.success());
        if cores < 2 || !works {
            return Self::default();
        }
        Self { subject: Some("0".to_owned()), others: Some(format!("1-{}", cores - 1)) }
    }
}

/// A child process; it ends when this is dropped.
pub struct Process {
    child: Child,
}

/// Memory of a process in bytes.
#[derive(Clone, Copy)]
pub struct Memory {
    /// Resident now.
    pub resident: u64,
    /// The most that was ever resident.
    pub peak: u64,
}

/// CPU time of each thread of a process, in nanoseconds.
pub struct CpuTime(HashMap<u32, u64>);

impl Process {
    /// Starts a program. It gets an empty environment with these variables, and says nothing.
    ///
    /// # Errors
    /// A sentence when it cannot be started.
    pub fn start(cores: Option<&str>, program: &OsStr, arguments: &[&OsStr], variables: &[(&str, &str)]) -> Result<Self, String> {
        let mut command = command(cores, program, arguments);
        command.env_clear().envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        let child = command.spawn().map_err(|e| format!("cannot start {}: {e}", program.display()))?;
        Ok(Self { child })
    }

    /// Waits until it accepts connections.
    ///
    /// # Errors
    /// A sentence when it does not within ten seconds.
    pub fn wait_for(&mut self, address: SocketAddr) -> Result<(), String> {
        let started = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("a process ended before it listened on {address}: {status}"));
            }
            if started.elapsed() > Duration::from_secs(10) {
                return Err(format!("nothing listens on {address} after ten seconds"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Asks it to stop in an orderly way, and waits.
    ///
    /// # Errors
    /// A sentence when it cannot be asked.
    pub fn stop(mut self) -> Result<(), String> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().map_err(|e| format!("cannot run kill: {e}"))?;
        self.child.wait().map_err(|e| e.to_string())?;
        Ok(())
    }

    /// What all its threads have used so far, in user and kernel mode.
    ///
    /// # Errors
    /// A sentence when the kernel does not tell.
    pub fn cpu_time(&self) -> Result<CpuTime, String> {
        let tasks = format!("/proc/{}/task", self.child.id());
        let entries = fs::read_dir(&tasks).map_err(|e| format!("cannot read {tasks}: {e}"))?;
        let threads = entries.filter_map(|entry| {
            let entry = entry.ok()?;
            let thread = entry.file_name().to_str()?.parse().ok()?;
            // A thread may end between the two reads; then it counts for nothing.
            let text = fs::read_to_string(entry.path().join("schedstat")).ok()?;
            Some((thread, text.split(' ').next()?.parse().ok()?))
        });
        Ok(CpuTime(threads.collect()))
    }

    /// What it holds in memory.
    ///
    /// # Errors
    /// A sentence when the kernel does not tell.
    pub fn memory(&self) -> Result<Memory, String> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(&path).map_err(|e| format!("cannot read {path}: {e}"))?;
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let kilobytes: Option<u64> = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
            kilobytes.map(|kilobytes| kilobytes * 1024).ok_or(format!("{path} has no {name}"))
        };
        Ok(Memory { resident: field("VmRSS")?, peak: field("VmHWM")? })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl CpuTime {
    /// Microseconds since an earlier reading. Threads that ended in between are not in it.
    pub fn since(&self, before: &Self) -> f64 {
        let used = |(thread, now): (&u32, &u64)| now.saturating_sub(before.0.get(thread).copied().unwrap_or(0));
        let nanos: u64 = self.0.iter().map(used).sum();
        nanos as f64 / 1000.0
    }
}

/// The load generator as a process of its own.
pub struct Generator {
    _process: Process,
    jobs: ChildStdin,
    results: BufReader<ChildStdout>,
}

impl Generator {
    /// Starts it.
    ///
    /// # Errors
    /// A sentence when it cannot be started.
    pub fn start(cores: Option<&str>, program: &OsStr) -> Result<Self, String> {
        let mut command = command(cores, program, &[OsStr::new("load")]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(|e| format!("cannot start the load generator: {e}"))?;
        let (Some(jobs), Some(results)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the load generator has no pipes".to_owned());
        };
        Ok(Self { _process: Process { child }, jobs, results: BufReader::new(results) })
    }

    /// Has a job done.
    ///
    /// # Errors
    /// A sentence when it failed; what failed stands on stderr.
    pub fn run(&mut self, job: &Job) -> Result<Timing, String> {
        let line = serde_json::to_string(job).map_err(|e| e.to_string())?;
        writeln!(self.jobs, "{line}").and_then(|()| self.jobs.flush()).map_err(|e| format!("the load generator has ended: {e}"))?;
        let mut line = String::new();
        self.results.read_line(&mut line).map_err(|e| e.to_string())?;
        serde_json::from_str(&line).map_err(|_| "the load generator failed; its last words are above".to_owned())
    }
}

fn command(cores: Option<&str>, program: &OsStr, arguments: &[&OsStr]) -> Command {
    let mut command = match cores {
        None => Command::new(program),
        Some(cores) => {
            let mut taskset = Command::new("taskset");
            taskset.args(["-c", cores]).arg(program);
            taskset
        }
    };
    command.args(arguments);
    command
}

/// An address on loopback that nobody listens on.
///
/// # Errors
/// A sentence when there is none.
pub fn free_address() -> Result<SocketAddr, String> {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).map_err(|e| format!("no free port: {e}"))
}
