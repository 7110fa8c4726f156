//! Tokens: their text, their hashes, their comparison.

use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::HmacKey;

/// SHA-256 of a token. Tokens have at least 128 random bits, so that nothing slower is needed against guessing.
pub fn hash_token(token: &str) -> [u8; 32] {
    array(digest::digest(&digest::SHA256, token.as_bytes()).as_ref())
}

/// HMAC-SHA256 of a text. Compare it with `same`.
pub fn keyed_hash(key: &HmacKey, text: &str) -> [u8; 32] {
    array(hmac::sign(&key.0, text.as_bytes()).as_ref())
}

/// Whether two secrets or hashes are equal, in a time that depends on their length alone.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// Random bytes as text for tokens and ids: base64url without padding, 22 characters for 16 bytes.
pub fn url_safe(random: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(random)
}

/// Reads what `url_safe` wrote; `None` for anything else.
pub fn from_url_safe(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = vec![0; 2 * bytes.len()];
    for (pair, byte) in text.as_chunks_mut().0.iter_mut().zip(bytes) {
        *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    }
    // Digits alone are text.
    String::from_utf8(text).unwrap_or_default()
}

/// Reads hexadecimal digits, two for each byte of `into`; `None` for anything else.
pub fn read_hex(text: &str, into: &mut [u8]) -> Option<()> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != into.len() || !rest.is_empty() {
        return None;
    }
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    for (byte, [high, low]) in into.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(())
}

/// Both algorithms give 32 bytes; the library hands them out as a slice.
fn array(bytes: &[u8]) -> [u8; 32] {
    let mut array = [0; 32];
    for (to, from) in array.iter_mut().zip(bytes) {
        *to = *from;
    }
    array
}
