//! Ids that carry what they stand for: sealed, URL-safe, visible ASCII. Any node that has the key opens them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::seal::{Domain, open_in};
use crate::{DataKey, VaultError};

/// The longest payload in bytes.
pub const MAX_PAYLOAD: usize = 1_024;
/// The longest id in characters: what the longest payload gives with the longest key id. Longer ones are not even decoded.
pub const MAX_ID_CHARS: usize = (2 + 64 + 12 + MAX_PAYLOAD + 16) * 4 / 3 + 1;

/// Seals a payload of at most `MAX_PAYLOAD` bytes as an id for one purpose.
///
/// # Errors
/// `PayloadTooLong`.
pub fn seal_id(key: &DataKey, nonce: [u8; 12], purpose: &str, payload: &[u8]) -> Result<String, VaultError> {
    if payload.len() > MAX_PAYLOAD {
        return Err(VaultError::PayloadTooLong);
    }
    let sealed = key.cipher().seal(Domain::Id, key.head(), nonce, &[purpose], payload)?;
    Ok(URL_SAFE_NO_PAD.encode(sealed))
}

/// What is in an id that `seal_id` made with this key for this purpose; `None` for anything else.
pub fn open_id(key: &DataKey, purpose: &str, id: &str) -> Option<Vec<u8>> {
    if id.len() > MAX_ID_CHARS {
        return None;
    }
    let sealed = URL_SAFE_NO_PAD.decode(id).ok()?;
    let mut payload = open_in(key, Domain::Id, &[purpose], &sealed).ok()?;
    Some(std::mem::take(&mut *payload))
}
