//! Which era a message speaks, and whether its headers agree with its body: the ladder of the 2026-07-28 revision.
//!
//! The body decides and the headers are only compared with it, because a proxy that strips a header must not change what a
//! request means. The first step that fails answers; the order is the one that the official SDKs share.

use crate::envelope::Message;
use crate::fault::{Fault, quote};
use crate::header::{decoded, trimmed};
use crate::params::{CLIENT_CAPABILITIES_KEY, PROTOCOL_VERSION_KEY, Params};
pub use crate::revision::Era;
use crate::revision::{Revision, names_modern};

/// The headers that the ladder compares, as sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeaderView<'a> {
    /// `MCP-Protocol-Version`.
    pub protocol_version: Option<&'a str>,
    /// `Mcp-Method`.
    pub method: Option<&'a str>,
    /// `Mcp-Name`.
    pub name: Option<&'a str>,
    /// Whether any of the three, or an `Mcp-Param-*` header, was sent more than once, so that two readers may pick two values.
    pub duplicates: bool,
}

/// The methods of the modern era: the core's, and those of the extensions for tasks and skills.
const MODERN_METHODS: [&str; 16] = [
    "server/discover",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "subscriptions/listen",
    "tasks/get",
    "tasks/update",
    "tasks/cancel",
    "skills/list",
    "skills/get",
    "resources/directory/read",
];

/// The methods that a client may call in one of the revisions with a handshake.
const LEGACY_METHODS: [&str; 17] = [
    "initialize",
    "ping",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "logging/setLevel",
    "tasks/get",
    "tasks/result",
    "tasks/list",
    "tasks/cancel",
];

/// Whether the modern era has this method. `initialize`, `ping` and others were removed.
#[must_use]
pub fn is_modern_method(method: &str) -> bool {
    MODERN_METHODS.contains(&method)
}

/// Whether the legacy era has this method.
#[must_use]
pub fn is_legacy_method(method: &str) -> bool {
    LEGACY_METHODS.contains(&method)
}

/// Finds the era of one message and checks everything that can be checked before the method is looked at.
///
/// `params` are those of `message`, parsed. For a batch see [`batch_allowed`].
///
/// # Errors
/// The first of: a header sent twice, an incomplete envelope (-32602, HTTP 400), a header that contradicts the body (-32020), a
/// revision that is not served (-32022), a required header that is missing (-32020), a method that the era lacks (-32601).
pub fn classify(headers: &HeaderView<'_>, message: &Message<'_>, params: Option<&Params<'_>>) -> Result<Era, Fault> {
    if headers.duplicates {
        return Err(Fault::header_mismatch("An MCP header was sent more than once; send each once."));
    }
    let header_version = headers.protocol_version.map(trimmed);
    let header_is_modern = header_version.is_some_and(names_modern);
    let claim = params.and_then(Params::claimed_version);
    match message {
        Message::Request(request) if request.method == "initialize" && !is_valid_claim(params) => {
            if header_is_modern {
                return Err(Fault::header_mismatch(
                    "The MCP-Protocol-Version header names a revision without initialize; send server/discover instead.",
                ));
            }
            // The header is not judged here: initialize is what negotiates the version.
            Ok(Era::Legacy { header_version: header_version.and_then(Revision::parse) })
        }
        Message::Request(request) => {
            let era = match claim {
                Some(claim) => modern_request(headers, claim, &request.method, params)?,
                None if header_is_modern => return Err(missing_envelope(params)),
                None => legacy(header_version)?,
            };
            let exists = if era.is_modern() { is_modern_method } else { is_legacy_method };
            if exists(&request.method) { Ok(era) } else { Err(Fault::method_not_found(era, &request.method)) }
        }
        Message::Notification(notification) => {
            let Some(version) = claim.or(header_version.filter(|_| header_is_modern)) else {
                return legacy(header_version);
            };
            modern_version(headers, version)?;
            same_method(headers, &notification.method)?;
            Ok(Era::Modern)
        }
        Message::Response(_) if header_is_modern => {
            Err(Fault::invalid_request("This protocol revision has no requests to a client; send a request or a notification."))
        }
        Message::Response(_) => legacy(header_version),
    }
}

/// Whether a request may come in an array at all, judged by the header: only revisions before 2025-06-18 have batches.
///
/// Each member then passes [`classify`]; a member that turns out modern must be refused with [`modern_in_batch`].
///
/// # Errors
/// -32600 when the header names a later revision or none that we know.
pub fn batch_allowed(headers: &HeaderView<'_>) -> Result<(), Fault> {
    match headers.protocol_version.map(trimmed) {
        None => Ok(()),
        Some(version) if Revision::parse(version).is_some_and(Revision::has_batches) => Ok(()),
        Some(_) => Err(Fault::invalid_request("This protocol revision has no batches; send one message in each request.")),
    }
}

/// The refusal of a modern message inside a batch.
#[must_use]
pub fn modern_in_batch() -> Fault {
    Fault::invalid_request("A batch may not hold requests of revision 2026-07-28; send one message in each request.")
}

/// The member of `params` that `Mcp-Name` repeats for this method, with its name (SEP-2243; for tasks SEP-2663).
#[must_use]
pub fn named_value<'p>(method: &str, params: Option<&'p Params<'_>>) -> Option<(&'static str, Option<&'p str>)> {
    let (member, value) = match method {
        "tools/call" | "prompts/get" => ("name", params.and_then(|params| params.name.as_deref())),
        "resources/read" => ("uri", params.and_then(|params| params.uri.as_deref())),
        "tasks/get" | "tasks/update" | "tasks/cancel" => ("taskId", params.and_then(|params| params.task_id.as_deref())),
        _ => return None,
    };
    Some((member, value))
}

fn legacy(header_version: Option<&str>) -> Result<Era, Fault> {
    let Some(name) = header_version else {
        return Ok(Era::Legacy { header_version: None });
    };
    match Revision::parse(name) {
        Some(revision) => Ok(Era::Legacy { header_version: Some(revision) }),
        None => Err(Fault::invalid_request(format!(
            "The MCP-Protocol-Version header names {}, which is not supported; send the version that initialize agreed on.",
            quote(name)
        ))),
    }
}

/// An envelope that overrides the meaning of `initialize`: complete, and naming the modern era.
fn is_valid_claim(params: Option<&Params<'_>>) -> bool {
    let Some(meta) = params.and_then(|params| params.meta.as_ref()) else {
        return false;
    };
    meta.client_capabilities.is_some() && meta.protocol_version.as_deref().is_some_and(names_modern)
}

fn missing_envelope(params: Option<&Params<'_>>) -> Fault {
    let missing = match params.and_then(|params| params.meta.as_ref()) {
        None => "_meta".to_owned(),
        Some(meta) if meta.client_capabilities.is_none() => {
            format!("{PROTOCOL_VERSION_KEY}, {CLIENT_CAPABILITIES_KEY}")
        }
        Some(_) => PROTOCOL_VERSION_KEY.to_owned(),
    };
    Fault::invalid_envelope(format!(
        "The MCP-Protocol-Version header names a revision whose requests carry an envelope in params._meta; add: {missing}."
    ))
}

fn modern_request(headers: &HeaderView<'_>, claim: &str, method: &str, params: Option<&Params<'_>>) -> Result<Era, Fault> {
    let capabilities = params.and_then(|params| params.meta.as_ref()).and_then(|meta| meta.client_capabilities);
    if capabilities.is_none() {
        return Err(Fault::invalid_envelope(format!(
            "The envelope in params._meta lacks {CLIENT_CAPABILITIES_KEY}; send an object, which may be empty."
        )));
    }
    modern_version(headers, claim)?;
    if headers.protocol_version.is_none() {
        return Err(missing_header("MCP-Protocol-Version", PROTOCOL_VERSION_KEY));
    }
    same_method(headers, method)?;
    if headers.method.is_none() {
        return Err(missing_header("Mcp-Method", "method"));
    }
    same_name(headers, method, params)?;
    Ok(Era::Modern)
}

/// The header, where sent, repeats the claim; and the claim names a modern revision that we serve.
fn modern_version(headers: &HeaderView<'_>, claim: &str) -> Result<(), Fault> {
    if let Some(header) = headers.protocol_version.map(trimmed)
        && header != claim
    {
        return Err(Fault::header_mismatch(format!(
            "The MCP-Protocol-Version header names {}, but the envelope in params._meta names {}; send the same.",
            quote(header),
            quote(claim)
        )));
    }
    if Revision::parse(claim).is_some_and(Revision::is_modern) {
        return Ok(());
    }
    Err(Fault::unsupported_version(claim))
}

/// The header, where sent, repeats the body's method. Compared by case, as methods are.
fn same_method(headers: &HeaderView<'_>, method: &str) -> Result<(), Fault> {
    match headers.method.map(trimmed) {
        Some(header) if header != method => Err(Fault::header_mismatch(format!(
            "The Mcp-Method header names {}, but the body names {}; send the same.",
            quote(header),
            quote(method)
        ))),
        _ => Ok(()),
    }
}

fn same_name(headers: &HeaderView<'_>, method: &str, params: Option<&Params<'_>>) -> Result<(), Fault> {
    let Some((member, value)) = named_value(method, params) else {
        return Ok(());
    };
    let header = match headers.name {
        Some(header) => Some(decoded(header).ok_or_else(|| {
            Fault::header_mismatch("The Mcp-Name header is too long, or not valid inside =?base64?…?=; send canonical Base64 of UTF-8.")
        })?),
        None => None,
    };
    match (header, value) {
        (Some(header), Some(value)) if header != value => Err(Fault::header_mismatch(format!(
            "The Mcp-Name header names {}, but the body's params.{member} is {}; send the same.",
            quote(&header),
            quote(value)
        ))),
        (None, Some(_)) => Err(missing_header("Mcp-Name", member)),
        // A body without the member is for the method to refuse: it alone knows the sentence.
        _ => Ok(()),
    }
}

fn missing_header(header: &str, member: &str) -> Fault {
    Fault::header_mismatch(format!("The {header} header is missing; it must repeat {member} of the body."))
}
