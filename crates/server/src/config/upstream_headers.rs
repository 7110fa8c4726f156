//! Which headers of a client may reach the MCP servers behind this one.

use http::HeaderName;

/// Headers that say who the client is, here and nowhere else, and those that belong to one connection or message.
const NEVER: [&str; 14] = [
    "authorization",
    "cookie",
    "host",
    "origin",
    "referer",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "last-event-id",
    "x-credential-id",
];
/// The same, by their beginnings.
const NEVER_SUCH: [&str; 7] = ["accept", "content-", "mcp-", "proxy-", "sec-", "x-alloy-", "x-mcp-"];

/// One name, for a flag.
pub fn name(text: &str) -> Result<String, String> {
    let name = HeaderName::try_from(text).map_err(|_| "give the name of a header, such as x-tenant".to_owned())?;
    if NEVER.contains(&name.as_str()) || NEVER_SUCH.iter().any(|such| name.as_str().starts_with(such)) {
        return Err(format!("the header {name} is for this server alone, or written by it, and is never passed on"));
    }
    Ok(name.as_str().to_owned())
}

/// The names, checked again, because those of the file were not.
pub fn checked(names: &[String]) -> Result<Vec<HeaderName>, String> {
    let one = |text: &String| {
        let name = name(text).map_err(|why| format!("--upstream-headers: {why}"))?;
        HeaderName::try_from(name).map_err(|_| format!("--upstream-headers: {text} is no header"))
    };
    names.iter().map(one).collect()
}
