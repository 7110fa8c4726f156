//! A minimal HTTP client for setting things up: one request, one connection.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use memchr::memmem;
use serde_json::Value;

/// Status and body of one POST.
///
/// # Errors
/// A sentence when there was no answer.
pub fn post(address: SocketAddr, path: &str, headers: &[(String, String)], body: &str) -> Result<(u16, Vec<u8>), String> {
    exchange(address, "POST", path, headers, body).map_err(|e| format!("no answer from {address}: {e}"))
}

/// The body of the answer to one GET with an API key.
///
/// # Errors
/// A sentence with what the server said, unless the status is 200.
pub fn get(address: SocketAddr, path: &str, key: &str) -> Result<Vec<u8>, String> {
    let headers = [("authorization".to_owned(), format!("Bearer {key}"))];
    match exchange(address, "GET", path, &headers, "").map_err(|e| format!("no answer from {address}: {e}"))? {
        (200, answer) => Ok(answer),
        (status, answer) => Err(format!("GET {path} answered {status}: {}", String::from_utf8_lossy(&answer))),
    }
}

fn exchange(address: SocketAddr, method: &str, path: &str, headers: &[(String, String)], body: &str) -> std::io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    request.push_str(body);
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let status = answer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    let head = memmem::find(&answer, b"\r\n\r\n");
    let (Some(status), Some(head)) = (status, head) else {
        return Err(std::io::Error::other("the answer is not HTTP"));
    };
    Ok((status, answer.split_off(head + 4)))
}

/// The JSON answer of one POST with an API key.
///
/// # Errors
/// A sentence with what the server said, unless the status is 2xx.
pub fn call(address: SocketAddr, path: &str, key: &str, body: &Value) -> Result<Value, String> {
    let headers = [("authorization".to_owned(), format!("Bearer {key}")), ("content-type".to_owned(), "application/json".to_owned())];
    let (status, answer) = post(address, path, &headers, &body.to_string())?;
    if !(200..300).contains(&status) {
        return Err(format!("POST {path} answered {status}: {}", String::from_utf8_lossy(&answer)));
    }
    serde_json::from_slice(&answer).map_err(|e| format!("POST {path} did not answer JSON: {e}"))
}
