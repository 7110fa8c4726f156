//! Where the API is: the base URL and its variables.

use indexmap::IndexMap;
use serde_json::{Map, Value};
use url::ParseError;

use super::document::{Dialect, Document, Notes};
use super::{ImportError, names, text};
use crate::definition::{Variable, VariableKind};
use crate::variables;

/// A base URL without a trailing slash, and the variables that stand in it.
pub(super) struct Server {
    pub base_url: String,
    pub variables: IndexMap<String, Variable>,
    /// Where the document says that the API is, when the caller gave another base URL.
    pub replaced: Option<String>,
    /// The end of the document's base URL, where a secret stands in it: it goes before the path of every action.
    pub secret_path: String,
}

impl Server {
    /// Takes a secret out of the base URL, where one stands in its path: `https://api.telegram.org/bot{token}`. Its name.
    pub(super) fn take_secret(&mut self) -> Option<String> {
        let is_secret = |name: &str| {
            let name = name.to_ascii_lowercase();
            ["token", "secret", "apikey", "api_key", "api-key"].iter().any(|word| name.contains(word)) || name == "key"
        };
        let found = self.variables.iter().find(|(name, variable)| variable.kind == VariableKind::Text && is_secret(name));
        let name = found.map(|(name, _)| name.clone())?;
        let at = self.base_url.find(&format!("{{{name}}}"))?;
        let start = self.base_url.get(..at)?.rfind('/')?;
        self.secret_path = self.base_url.split_off(start);
        self.variables.shift_remove(&name);
        Some(name)
    }
}

/// The caller's base URL, else the document's first server.
pub(super) fn read(document: &Document, notes: &mut Notes, given: Option<&str>) -> Result<Server, ImportError> {
    if let Some(given) = given {
        let replaced = declared(document, &mut Notes::default()).map_or_else(|_| String::new(), |server| server.base_url);
        return build(given, None, notes, true).map(|server| Server { replaced: Some(replaced), ..server });
    }
    declared(document, notes)
}

/// The document's own server.
fn declared(document: &Document, notes: &mut Notes) -> Result<Server, ImportError> {
    if document.dialect == Dialect::Swagger2 {
        return swagger(document, notes);
    }
    let first = first(&document.root).or_else(|| {
        // Twilio declares servers on every path; the first stands for the document.
        document.root.get("paths").and_then(Value::as_object).into_iter().flat_map(Map::values).find_map(first)
    });
    let Some(server) = first else {
        return Err(ImportError::at("baseUrl", "The document has no `servers`; give the base URL of the API as `baseUrl`."));
    };
    let url = server.get("url").and_then(Value::as_str).unwrap_or_default();
    build(url, server.get("variables").and_then(Value::as_object), notes, false)
}

/// What stands between the connector's base URL and the path of an operation whose path item or itself names a server: nothing, or
/// a further path. An error is the reason why the operation cannot be an action. `at` is what warnings call it.
pub(super) fn prefix(server: &Server, holders: [&Value; 2], at: &str, notes: &mut Notes) -> Result<String, String> {
    let url = holders.into_iter().find_map(first).and_then(|server| server.get("url")?.as_str()).map(str::trim).unwrap_or_default();
    if url.is_empty() {
        return Ok(String::new());
    }
    let shown: String = url.chars().take(200).collect();
    // RFC 3986 section 5.2: relative to where the API is.
    let (scheme, rest) = server.base_url.split_once("://").unwrap_or(("https", &server.base_url));
    let host = rest.split('/').next().unwrap_or_default();
    let absolute = match url {
        _ if url.starts_with("//") => format!("{scheme}:{url}"),
        _ if url.starts_with('/') && server.base_url.contains("://") => format!("{scheme}://{host}{url}"),
        _ => url.to_owned(),
    };
    let own = build(&absolute, first_variables(holders), &mut Notes::default(), false)
        .map_err(|_| format!("its own server \"{shown}\" cannot be used"))?;
    if let Some(further) = own.base_url.strip_prefix(&server.base_url)
        && (further.is_empty() || further.starts_with('/'))
        && !further.contains('{')
    {
        return Ok(further.to_owned());
    }
    match &server.replaced {
        // The caller's own base URL replaces those of the document.
        Some(replaced) if absolute == url => {
            if *replaced != own.base_url {
                notes.warn(format!("{at}: the document has it at {}; it is called at the given `baseUrl`.", own.base_url));
            }
            Ok(String::new())
        }
        _ => Err(format!("it is served by {}; import the document again with that `baseUrl` to use it", own.base_url)),
    }
}

fn first_variables(holders: [&Value; 2]) -> Option<&Map<String, Value>> {
    holders.into_iter().find_map(first)?.get("variables")?.as_object()
}

fn first(holder: &Value) -> Option<&Value> {
    holder.get("servers")?.as_array()?.first()
}

fn swagger(document: &Document, notes: &mut Notes) -> Result<Server, ImportError> {
    let Some(host) = document.root.get("host").and_then(Value::as_str).filter(|host| !host.is_empty()) else {
        return Err(ImportError::at("baseUrl", "The document has no `host`; give the base URL of the API as `baseUrl`."));
    };
    let schemes = document.root.get("schemes").and_then(Value::as_array);
    let has = |scheme: &str| schemes.is_some_and(|list| list.iter().any(|one| one == scheme));
    let scheme = if has("http") && !has("https") { "http" } else { "https" };
    let path = document.root.get("basePath").and_then(Value::as_str).unwrap_or_default().trim_start_matches('/');
    build(&format!("{scheme}://{host}/{path}"), None, notes, false)
}

/// Checks a URL template and describes its variables.
fn build(template: &str, declared: Option<&Map<String, Value>>, notes: &mut Notes, given: bool) -> Result<Server, ImportError> {
    let shown: String = template.chars().take(200).collect();
    let (what, way_out) = if given {
        ("`baseUrl`", "send scheme, host, port and path, such as `https://api.example.com/v1`")
    } else {
        ("The server URL", "give the base URL of the API as `baseUrl`")
    };
    let fail = |why: &str| ImportError::at("baseUrl", format!("{what} \"{shown}\" {why}; {way_out}."));
    if template.len() > 2000 {
        return Err(fail("is too long"));
    }
    let mut url = String::new();
    let mut variables = IndexMap::new();
    let mut rest = template.trim();
    while let Some((before, tail)) = rest.split_once('{') {
        let Some((name, after)) = tail.split_once('}') else {
            return Err(fail("has a brace without its partner"));
        };
        url.push_str(before);
        let raw = declared.and_then(|declared| declared.get(name));
        if raw.is_none() {
            notes.warn(format!("The server URL names the variable {{{name}}} without declaring it; it became a required value."));
        }
        // A host may bring its port along, so a port of its own is not asked for.
        let after = match after.strip_prefix(":{").and_then(|port| port.split_once('}')) {
            Some((_, after)) if url.ends_with("://") => after,
            _ => after,
        };
        // `{host}{basePath}`: what follows is known by its default.
        let following = after.strip_prefix('{').and_then(|tail| declared?.get(tail.split_once('}')?.0)?.get("default")?.as_str());
        match variable(name, &url, following.filter(|path| path.starts_with('/')).unwrap_or(after), raw) {
            Substitute::Literal(literal) => url.push_str(&literal),
            Substitute::Variable(variable) => {
                let name = names::fit(name);
                url.push_str(&format!("{{{name}}}"));
                variables.insert(name, variable);
            }
        }
        rest = after;
    }
    url.push_str(rest);
    let url = url.trim_end_matches('/').to_owned();
    let alone = variables.values().any(|variable| variable.kind == VariableKind::Url) && url.starts_with('{');
    let plain = if alone { url.replacen('{', "https://", 1) } else { url.clone() };
    let parsed = url::Url::parse(&plain.replace(['{', '}'], "x")).map_err(|error| fail(&unusable(error, &plain)))?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none_or(str::is_empty) {
        return Err(fail("is not an http or https URL"));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() || !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(fail("has a query, a fragment or a user name"));
    }
    if parsed.port() == Some(0) {
        return Err(fail("has the port 0, at which nothing can be reached"));
    }
    Ok(Server { base_url: url, variables, replaced: None, secret_path: String::new() })
}

/// Why a text is no URL.
fn unusable(error: ParseError, text: &str) -> String {
    match error {
        ParseError::RelativeUrlWithoutBase | ParseError::RelativeUrlWithCannotBeABaseBase => "is not absolute".to_owned(),
        ParseError::InvalidPort => "has a port that is not a number from 1 to 65535".to_owned(),
        ParseError::InvalidIpv6Address if text.contains('%') => "has an IPv6 address with a zone, which cannot be called".to_owned(),
        ParseError::InvalidIpv4Address | ParseError::InvalidIpv6Address => "has a host that is not an IP address".to_owned(),
        ParseError::EmptyHost => "has no host".to_owned(),
        _ => "has a host name with characters that no host has".to_owned(),
    }
}

enum Substitute {
    Literal(String),
    Variable(Variable),
}

/// What stands for the variable `name`, by what is before and after it.
fn variable(name: &str, before: &str, after: &str, raw: Option<&Value>) -> Substitute {
    let text = |value: &Value| value.as_str().map(str::to_owned).or_else(|| value.is_number().then(|| value.to_string()));
    let default = raw.and_then(|raw| raw.get("default")).and_then(text).filter(|text| !text.is_empty() && text.len() <= 200);
    if after.starts_with("://") {
        return Substitute::Literal(if default.as_deref() == Some("http") { "http".into() } else { "https".into() });
    }
    let authority = before.split_once("://").map(|(_, rest)| rest);
    if let Some(path) =
        default.as_ref().filter(|path| path.starts_with('/') && fits_url(path) && authority.is_some_and(|host| !host.is_empty()))
    {
        return Substitute::Literal(path.trim_end_matches('/').to_owned());
    }
    let kind = match authority {
        None if before.is_empty() => VariableKind::Url,
        Some("") if after.is_empty() || after.starts_with('/') => VariableKind::Host,
        Some(rest) if rest.contains('/') => VariableKind::Text,
        _ => VariableKind::Label,
    };
    let mut variable = Variable {
        description: raw
            .and_then(|raw| raw.get("description"))
            .and_then(Value::as_str)
            .map_or_else(String::new, |text| text::describe(text, 300)),
        kind,
        default: None,
        optional: false,
        choices: raw.and_then(|raw| raw.get("enum")?.as_array()).into_iter().flatten().take(100).filter_map(text).collect(),
        sample: None,
    };
    // A port, or what is a version or a path by its looks, needs nobody to be asked. Anything else in a path may be a secret (Telegram).
    let routine = match kind {
        VariableKind::Text => default.as_deref().is_some_and(|default| is_route(name, default)),
        VariableKind::Label => before.ends_with(':') || default.as_deref().is_some_and(|default| default.contains('.')),
        _ => false,
    };
    match default {
        Some(default) if routine && variable.choices.len() <= 1 && fits_url(&default) => {
            return Substitute::Literal(default.trim_matches('/').to_owned());
        }
        Some(default) if is_placeholder(&default) || (kind == VariableKind::Text && variable.choices.is_empty()) => {
            variable.sample = Some(default)
        }
        other => variable.default = other,
    }
    // What the engine would refuse is an example at most.
    let mut probe = variable.clone();
    variable.choices.retain(|choice| {
        probe.choices = vec![choice.clone()];
        variables::judge(name, &probe, choice).is_ok()
    });
    if let Some(default) = variable.default.take() {
        if variables::judge(name, &variable, &default).is_ok() { variable.default = Some(default) } else { variable.sample = Some(default) }
    }
    Substitute::Variable(variable)
}

/// A default that only shows what is meant (`your-domain`) is an example and never an address.
fn is_placeholder(default: &str) -> bool {
    let lower = default.to_ascii_lowercase();
    ["your", "my-", "<", "default", "localhost"].iter().any(|mark| lower.starts_with(mark)) || lower.contains("example")
}

/// Whether a default is a part of the API's own path: `v2`, `2.0`, `api/v1`.
fn is_route(name: &str, default: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let version = default.trim_start_matches('v');
    default.contains('/')
        || ["version", "path", "prefix"].iter().any(|part| name.contains(part))
        || (!version.is_empty()
            && version.len() < 12
            && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            && default.starts_with('v'))
}

fn fits_url(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte)) && !text.contains("..") && !text.contains("//")
}
