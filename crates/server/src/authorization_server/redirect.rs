//! Redirect addresses of clients: which may be registered, which match, and what is added to them.

use std::net::IpAddr;

use url::{Host, Url};

/// Longest, in bytes.
const MAX: usize = 1_000;
/// Schemes that a browser does something with itself. Every other one belongs to an application on the user's machine (RFC 8252 section 7.1).
const BROWSERS: [&str; 16] = [
    "about",
    "blob",
    "chrome",
    "data",
    "edge",
    "file",
    "filesystem",
    "ftp",
    "javascript",
    "mailto",
    "resource",
    "tel",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];
/// How the schemes begin that start programs of the system itself.
const SYSTEM: [&str; 4] = ["ms-", "search", "intent", "itms"];

/// A redirect address that may be registered.
///
/// # Errors
/// What is wrong with it.
pub fn checked(text: &str) -> Result<Url, &'static str> {
    if text.len() > MAX || text.bytes().any(|byte| byte <= b' ' || byte >= 0x7f || matches!(byte, b'\\' | b'"' | b'<' | b'>')) {
        return Err("it must have at most 1,000 visible ASCII characters, escaped as in a URL");
    }
    let url = Url::parse(text).map_err(|_| "it is not an absolute URL")?;
    if url.fragment().is_some() {
        return Err("it must not have a fragment");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it must not have a user name or password");
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err("http is for addresses of the user's own machine (127.0.0.1, [::1], localhost); use https"),
        scheme if BROWSERS.contains(&scheme) || SYSTEM.iter().any(|start| scheme.starts_with(start)) || !text.contains(":/") => {
            Err("its scheme cannot lead to an application")
        }
        _ => Ok(url),
    }
}

/// True for addresses that lead to the user's own machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    }
}

/// Exactly the same text; on the user's own machine any port, because applications take one that is free (RFC 8252 section 7.3).
pub fn matches(registered: &str, given: &str) -> bool {
    if registered == given {
        return true;
    }
    let as_given = given;
    let (Ok(mut registered), Ok(mut given)) = (checked(registered), checked(given)) else { return false };
    // Written in another way, it is another text: `/x/../callback`.
    if given.as_str() != as_given {
        return false;
    }
    let both_loopback = [&registered, &given].iter().all(|url| url.scheme() == "http" && is_loopback(url));
    both_loopback && registered.set_port(None).is_ok() && given.set_port(None).is_ok() && registered == given
}

/// The address with these parameters added to its query.
pub fn with(uri: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    // As text, because parsing could change what must match exactly.
    let separator = if uri.contains('?') { '&' } else { '?' };
    format!("{uri}{separator}{}", query.finish())
}

/// Where it leads, as Content Security Policy writes it: an origin, or a scheme where that is no origin or has no name.
pub fn source(uri: &str) -> Option<String> {
    let url = Url::parse(uri).ok()?;
    match (url.scheme(), url.host()) {
        ("http" | "https", Some(Host::Domain(_) | Host::Ipv4(_))) => Some(url.origin().ascii_serialization()),
        (scheme, _) => Some(format!("{scheme}:")),
    }
}

/// Where it leads, for people.
pub fn place(uri: &str) -> String {
    match Url::parse(uri) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && is_loopback(&url) => "an application on this computer".to_owned(),
        Ok(url) if matches!(url.scheme(), "http" | "https") => url.host_str().unwrap_or_default().to_owned(),
        Ok(url) => format!("the application that opens {}: links", url.scheme()),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{checked, matches, source, with};

    #[test]
    fn only_addresses_that_lead_to_an_application_are_registered() {
        for good in [
            "https://a.example/cb",
            "http://127.0.0.1/cb",
            "http://localhost:8000/",
            "http://[::1]:1/x?y=z",
            "cursor://a/b",
            "com.example.app:/cb",
        ] {
            assert!(checked(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/cb",
            "http://a.example/cb",
            "http://10.0.0.1/",
            "https://a.example/#x",
            "https://u@a.example/",
            "javascript:alert(1)",
            "javascript://x/%0aalert(1)",
            "data:text/html,x",
            "JAVASCRIPT://x/",
            "https://a.example/\r\nx",
            "https:\\\\a.example",
            "file:///etc/passwd",
            "x:y",
            "https://a.example/\u{e9}",
        ] {
            assert!(checked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_port_of_the_own_machine_is_free() {
        assert!(matches("http://127.0.0.1/cb", "http://127.0.0.1:5123/cb"));
        assert!(matches("http://localhost:1/cb", "http://localhost:2/cb"));
        for (registered, given) in [
            ("https://a.example/cb", "https://a.example:444/cb"),
            ("https://a.example/cb", "https://a.example/cb/"),
            ("https://a.example/cb", "https://a.example/cb?x=y"),
            ("https://a.example/cb", "https://a.example/CB"),
            ("https://a.example/cb", "https://a.example/./cb"),
            ("https://a.example/cb", "https://a.example.evil.example/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:5123/other"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:5123/x/../cb"),
            ("http://127.0.0.1/cb", "http://localhost/cb"),
            ("http://127.0.0.1/cb", "https://127.0.0.1:5/cb"),
            ("cursor://a/b", "cursor://a:5/b"),
        ] {
            assert!(!matches(registered, given), "{registered} {given}");
        }
    }

    #[test]
    fn parameters_are_escaped_and_policies_name_origins() {
        assert_eq!(with("https://a.example/cb?x=y", &[("code", Some("a&b")), ("state", None)]), "https://a.example/cb?x=y&code=a%26b");
        assert_eq!(source("https://a.example:444/x").as_deref(), Some("https://a.example:444"));
        assert_eq!(source("http://[::1]:5/x").as_deref(), Some("http:"));
        assert_eq!(source("cursor://a/b").as_deref(), Some("cursor:"));
    }
}
