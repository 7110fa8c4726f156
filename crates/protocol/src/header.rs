//! Values of the `Mcp-*` headers: white space around them, and the Base64 form of what a header cannot carry (SEP-2243).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How many bytes of a header value are looked at. Larger ones never match, and are never decoded.
pub const MAX_VALUE_BYTES: usize = 8192;

const OPEN: &str = "=?base64?";
const CLOSE: &str = "?=";

/// A header value without the optional white space around it (RFC 9110, section 5.5).
#[must_use]
pub fn trimmed(value: &str) -> &str {
    value.trim_matches([' ', '\t'])
}

/// What a header value says: itself, or the text inside `=?base64?…?=`.
///
/// `None` when the Base64 is not canonical, the bytes are not UTF-8, or the value is longer than [`MAX_VALUE_BYTES`]. Text with only
/// one half of the frame stands for itself.
#[must_use]
pub fn decoded(value: &str) -> Option<Cow<'_, str>> {
    let value = trimmed(value);
    if value.len() > MAX_VALUE_BYTES {
        return None;
    }
    match value.strip_prefix(OPEN).and_then(|rest| rest.strip_suffix(CLOSE)) {
        None => Some(Cow::Borrowed(value)),
        Some(payload) => String::from_utf8(STANDARD.decode(payload).ok()?).ok().map(Cow::Owned),
    }
}

/// The header value that says `text`: itself where a header can carry it unchanged, else its Base64 form.
#[must_use]
pub fn encoded(text: &str) -> Cow<'_, str> {
    let is_plain = text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    let is_framed = text.starts_with(OPEN) && text.ends_with(CLOSE);
    if is_plain && trimmed(text) == text && !is_framed {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{OPEN}{}{CLOSE}", STANDARD.encode(text)))
}
