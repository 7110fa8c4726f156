//! The load generator: HTTP/1.1 by hand on one thread, so that it costs less than what it measures.

use std::{
    io::{BufRead as _, Write as _},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use memchr::memmem;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

use crate::job::{Job, Timing};

/// A job that takes longer has met a server that hangs.
const LIMIT: Duration = Duration::from_secs(300);

/// Does one job a line until stdin ends.
///
/// # Errors
/// A sentence when a job fails; the process then ends.
pub fn run() -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|e| e.to_string())?;
        let job: Job = serde_json::from_str(&line).map_err(|e| format!("not a job: {e}"))?;
        let timing = runtime.block_on(async {
            tokio::time::timeout(LIMIT, work(job)).await.unwrap_or_else(|_| Err("a job took more than five minutes".to_owned()))
        })?;
        let line = serde_json::to_string(&timing).map_err(|e| e.to_string())?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|e| e.to_string())?;
    }
    Ok(())
}

async fn work(job: Job) -> Result<Timing, String> {
    let job = Arc::new(job);
    let mut streams = Vec::with_capacity(job.connections);
    for _ in 0..job.connections {
        let stream = TcpStream::connect(job.address).await.map_err(|e| format!("cannot connect to {}: {e}", job.address))?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        streams.push(stream);
    }
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for stream in streams {
        tasks.spawn(ask(job.clone(), next.clone(), stream));
    }
    let mut nanos = Vec::with_capacity(job.requests);
    while let Some(done) = tasks.join_next().await {
        nanos.extend(done.map_err(|e| e.to_string())??);
    }
    let seconds = started.elapsed().as_secs_f64();
    nanos.sort_unstable();
    let percentile = |percent: usize| {
        let at = nanos.len().saturating_sub(1) * percent / 100;
        nanos.get(at).map_or(0.0, |nanos| f64::from(*nanos) / 1000.0)
    };
    Ok(Timing { seconds, p50_us: percentile(50), p99_us: percentile(99) })
}

/// Asks on one connection until all requests are done; the nanoseconds of each.
async fn ask(job: Arc<Job>, next: Arc<AtomicUsize>, mut stream: TcpStream) -> Result<Vec<u32>, String> {
    let mut tail = format!("host: {}\r\ncontent-length: {}\r\n", job.address, job.body.len());
    for (name, value) in &job.headers {
        tail.push_str(&format!("{name}: {value}\r\n"));
    }
    tail.push_str("\r\n");
    tail.push_str(&job.body);
    let finder = memmem::Finder::new(job.expect.as_bytes());
    let (mut request, mut answer, mut nanos) = (Vec::new(), Vec::with_capacity(64 * 1024), Vec::new());
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= job.requests {
            return Ok(nanos);
        }
        let path = n.checked_rem(job.paths.len()).and_then(|n| job.paths.get(n)).ok_or("a job without paths")?;
        request.clear();
        request.extend_from_slice(if job.body.is_empty() { b"GET ".as_slice() } else { b"POST ".as_slice() });
        request.extend_from_slice(path.as_bytes());
        request.extend_from_slice(b" HTTP/1.1\r\n");
        if let Some((name, values)) = &job.each
            && let Some(value) = n.checked_rem(values.len()).and_then(|n| values.get(n))
        {
            request.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        request.extend_from_slice(tail.as_bytes());
        let started = Instant::now();
        stream.write_all(&request).await.map_err(|e| format!("cannot send: {e}"))?;
        receive(&mut stream, &mut answer).await?;
        nanos.push(u32::try_from(started.elapsed().as_nanos()).unwrap_or(u32::MAX));
        if !answer.starts_with(b"HTTP/1.1 200") || finder.find(&answer).is_none() {
            let text = String::from_utf8_lossy(&answer);
            return Err(format!("an unexpected answer: {}", text.chars().take(1500).collect::<String>()));
        }
    }
}

/// Reads one answer, head and body.
async fn receive(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<(), String> {
    answer.clear();
    let mut whole = None;
    while whole.is_none_or(|whole| answer.len() < whole) {
        if stream.read_buf(answer).await.map_err(|e| format!("cannot receive: {e}"))? == 0 {
            return Err("the connection ended in the middle of an answer".to_owned());
        }
        if whole.is_none()
            && let Some(head) = memmem::find(answer, b"\r\n\r\n")
        {
            let length = content_length(answer.get(..head).unwrap_or_default()).ok_or("an answer without content-length")?;
            whole = Some(head + 4 + length);
        }
    }
    Ok(())
}

/// Of the head of an answer.
pub fn content_length(head: &[u8]) -> Option<usize> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at(colon);
        if !name.eq_ignore_ascii_case(b"content-length") {
            return None;
        }
        std::str::from_utf8(value.get(1..)?).ok()?.trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::content_length;

    #[test]
    fn the_length_is_found_in_any_spelling() {
        assert_eq!(content_length(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nx: 1"), Some(12));
        assert_eq!(content_length(b"HTTP/1.1 200 OK\r\ncontent-length:7"), Some(7));
        assert_eq!(content_length(b"HTTP/1.1 200 OK\r\nx-content-length: 7"), None);
    }
}
