//! Names that fit `[A-Za-z0-9_.-]{1,64}` and are unique: ids of actions, names of arguments.

use std::collections::HashSet;

use super::text;

/// The longest name that models' tool interfaces accept.
const LIMIT: usize = 64;

/// Whether a provider's own name can stay byte for byte.
pub(super) fn fits(name: &str) -> bool {
    (1..=LIMIT).contains(&name.len()) && name.bytes().all(allowed)
}

fn allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// Replaces what does not fit by `_`; a name that is too long keeps its head and gets a hash of the whole.
pub(super) fn fit(name: &str) -> String {
    if fits(name) {
        return name.to_owned();
    }
    let mut out = String::new();
    for character in name.chars().take(1000) {
        match u8::try_from(character) {
            Ok(byte) if allowed(byte) => out.push(character),
            _ if out.ends_with('_') => {}
            _ => out.push('_'),
        }
    }
    let out = out.trim_matches('_');
    if out.is_empty() {
        return format!("x{}", hash(name));
    }
    if out.len() > LIMIT { with_suffix(out, &hash(name)) } else { out.to_owned() }
}

/// `get_users_by_id` for `GET /users/{id}`.
pub(super) fn from_path(method: &str, path: &str) -> String {
    let spelled = path.replace('{', "by_").replace('}', "");
    fit(&text::slug(&format!("{method}_{spelled}"), '_', 1000))
}

/// Appends `_suffix`, cutting the head so that the whole still fits.
pub(super) fn with_suffix(name: &str, suffix: &str) -> String {
    let room = LIMIT.saturating_sub(suffix.len() + 1);
    format!("{}_{suffix}", name.get(..name.len().min(room)).unwrap_or_default())
}

/// A name that is not `taken` yet. `origin` (method and path, place and wire name) decides the suffix, so it is stable.
pub(super) fn unique(name: String, origin: &str, taken: &HashSet<String>) -> String {
    if !taken.contains(&name) {
        return name;
    }
    let first = with_suffix(&name, &hash(origin));
    if !taken.contains(&first) {
        return first;
    }
    (2..usize::MAX)
        .map(|count| with_suffix(&name, &format!("{}_{count}", hash(origin))))
        .find(|name| !taken.contains(name))
        .unwrap_or(first)
}

/// FNV-1a, 32 bits, as 8 hexadecimal digits: stable over versions and platforms.
fn hash(text: &str) -> String {
    let value = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{value:08x}")
}
