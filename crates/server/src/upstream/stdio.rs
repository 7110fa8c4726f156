//! Upstreams that are processes of ours. The process runs under a guard (`amalgam guard`), which ends it with all its children when we
//! are gone, however that came about.

use std::{
    collections::VecDeque,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::unix::pipe,
    sync::{mpsc, oneshot},
};

use super::{
    Shared,
    message::failed,
    pipe::{Ends, Pipe},
};
use crate::{config::Process, error::Result, store::upstreams::Upstream};

/// What a process writes to its standard error is kept up to so many bytes.
const MAX_STDERR: usize = 16 * 1024;

/// The last words of a process.
#[derive(Default)]
pub struct Stderr(Mutex<VecDeque<u8>>);

impl Stderr {
    /// As text.
    pub fn text(&self) -> String {
        let bytes: Vec<u8> = self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn push(&self, piece: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(piece);
        let too_many = kept.len().saturating_sub(MAX_STDERR);
        kept.drain(..too_many);
    }
}

impl Shared {
    /// Starts the process of an upstream.
    pub async fn start_process(&self, upstream: &Arc<Upstream>) -> Result<Arc<Pipe>> {
        let Some(process) = upstream.url.strip_prefix("stdio:").and_then(|name| self.processes.get(name)) else {
            return Err(failed(upstream, "is a process that the operator's configuration no longer has"));
        };
        let Ok(place) = self.process_places.clone().try_acquire_owned() else {
            return Err(failed(upstream, "cannot be started: too many processes run already; try again shortly"));
        };
        let mut child = match spawn(process) {
            Ok(child) => child,
            Err(cause) => {
                tracing::warn!(upstream = upstream.id, %cause, "a process of an upstream cannot be started");
                return Err(failed(upstream, "cannot be started; the operator's log says why"));
            }
        };
        let (stdin, stdout, stderr) = ends(&mut child).map_err(|cause| {
            tracing::warn!(upstream = upstream.id, %cause, "a process of an upstream cannot be spoken to");
            failed(upstream, "cannot be started; the operator's log says why")
        })?;
        let Ends { pipe, out, unused } = Pipe::ends(upstream);
        let kept = self.stderr.get_with_by_ref(&upstream.id, Arc::default);
        tokio::spawn(keep(stderr, kept));
        tokio::spawn(write(out, stdin));
        tokio::spawn(listen(Arc::downgrade(&pipe), stdout, self.max_message));
        let (ended, has_ended) = oneshot::channel();
        // The writer ends with the pipe, which closes the guard's standard input; then the guard ends. Waited for, so that none is left.
        std::thread::spawn(move || {
            let _ = child.wait();
            let _ = ended.send(());
            drop(place);
        });
        tokio::spawn(watch_over(has_ended, unused, Arc::downgrade(&pipe)));
        Ok(pipe)
    }
}

fn spawn(process: &Process) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("guard");
    if let Some(mb) = process.memory_mb {
        command.args(["--memory-mb", &mb.to_string()]);
    }
    command.arg("--").arg(&process.command).args(&process.args);
    // Nothing of our own environment: it holds our secrets.
    command.env_clear().envs(process.inherited.iter().map(|(name, value)| (name, value))).envs(&process.env);
    if let Some(directory) = &process.directory {
        command.current_dir(directory);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // The guard's own group, so that a signal to ours does not end it before it has ended its process.
    command.process_group(0);
    command.spawn()
}

async fn keep(mut stderr: impl AsyncRead + Unpin, kept: Arc<Stderr>) {
    let mut piece = [0; 4096];
    while let Ok(n @ 1..) = stderr.read(&mut piece).await {
        kept.push(piece.get(..n).unwrap_or_default());
    }
}

async fn write(mut out: mpsc::Receiver<Bytes>, mut stdin: impl tokio::io::AsyncWrite + Unpin) {
    while let Some(message) = out.recv().await {
        // A message is one line; JSON has raw line breaks between tokens only.
        let mut line: Vec<u8> = message.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect();
        line.push(b'\n');
        if stdin.write_all(&line).await.is_err() || stdin.flush().await.is_err() {
            return;
        }
    }
}

async fn listen(pipe: std::sync::Weak<Pipe>, stdout: impl AsyncRead + Unpin, limit: usize) {
    let mut lines = BufReader::new(stdout);
    let mut line = Vec::new();
    let close = |what: &str| {
        if let Some(pipe) = pipe.upgrade() {
            pipe.close(what);
        }
    };
    loop {
        line.clear();
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        match (&mut lines).take(most).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return close("has ended its process"),
            Ok(_) if line.len() > limit => return close("sent a line that is too long"),
            Ok(_) => {}
        }
        let Some(pipe) = pipe.upgrade() else { return };
        match std::str::from_utf8(&line) {
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) => pipe.hear(text.trim()),
            Err(_) => return pipe.close("sent a line that is not UTF-8"),
        }
    }
}

/// Tells the pipe when the process has ended.
async fn watch_over(has_ended: oneshot::Receiver<()>, unused: tokio_util::sync::CancellationToken, pipe: std::sync::Weak<Pipe>) {
    tokio::select! {
        _ = has_ended => {
            if let Some(pipe) = pipe.upgrade() {
                pipe.close("has ended its process");
            }
        }
        () = unused.cancelled() => {}
    }
}

/// The ends of a process's standard streams that are ours.
fn ends(child: &mut Child) -> std::io::Result<(pipe::Sender, pipe::Receiver, pipe::Receiver)> {
    let gone = || std::io::Error::other("a standard stream is missing");
    let stdin = child.stdin.take().ok_or_else(gone)?;
    let (stdout, stderr) = (child.stdout.take().ok_or_else(gone)?, child.stderr.take().ok_or_else(gone)?);
    Ok((
        pipe::Sender::from_owned_fd(stdin.into())?,
        pipe::Receiver::from_owned_fd(stdout.into())?,
        pipe::Receiver::from_owned_fd(stderr.into())?,
    ))
}
