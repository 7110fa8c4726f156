//! Sealing bytes for an owner.
//!
//! AES-256-GCM-SIV (RFC 8452) rather than AES-256-GCM: the nonce comes from outside, and should it ever repeat (a restored snapshot
//! of a machine, a seeded generator), the only thing learned is whether two equal plaintexts were sealed for the same owner.

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::{DataKey, VaultError};

/// The first byte of everything sealed.
pub(crate) const VERSION: u8 = 1;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;

/// What is sealed, so that one kind never opens as another under the same key.
#[derive(Clone, Copy)]
pub(crate) enum Domain {
    Row = 1,
    Id = 2,
    DataKey = 3,
}

/// Seals `plain` so that only the same key opens it, and only for the same `owner`: a list of parts such as account, user,
/// connector, credential id, which is authenticated but not stored.
/// Layout: version (1), length of the key id (1), key id, nonce (12), ciphertext, tag (16).
///
/// # Errors
/// `Library` only.
pub fn seal(key: &DataKey, nonce: [u8; 12], owner: &[&str], plain: &[u8]) -> Result<Vec<u8>, VaultError> {
    key.cipher().seal(Domain::Row, key.head(), nonce, owner, plain)
}

/// Opens what `seal` made for the same owner.
///
/// # Errors
/// `OtherKey` when another data key sealed it, `NotOpened` when it was changed or belongs to another owner, `Malformed`.
pub fn open(key: &DataKey, owner: &[&str], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    open_in(key, Domain::Row, owner, sealed)
}

/// The id of the data key that sealed this; `None` when it is nothing that `seal` made.
pub fn sealed_by(sealed: &[u8]) -> Option<&str> {
    let (&length, rest) = sealed.strip_prefix(&[VERSION])?.split_first()?;
    std::str::from_utf8(rest.get(..usize::from(length))?).ok()
}

pub(crate) fn open_in(key: &DataKey, domain: Domain, owner: &[&str], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let Some(rest) = sealed.strip_prefix(key.head()) else {
        let other = sealed_by(sealed).filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic()));
        return Err(other.map_or(VaultError::Malformed, |id| VaultError::OtherKey(id.to_owned())));
    };
    key.cipher().open(domain, key.head(), owner, rest)
}

/// AES-256-GCM-SIV with its key schedule done.
pub(crate) struct Cipher(LessSafeKey);

impl Cipher {
    pub(crate) fn new(key: UnboundKey) -> Self {
        Self(LessSafeKey::new(key))
    }

    /// `head`, nonce, ciphertext, tag. The head is authenticated too.
    pub(crate) fn seal(&self, domain: Domain, head: &[u8], nonce: [u8; 12], owner: &[&str], plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let start = head.len() + NONCE_BYTES;
        // All the room at once: a vector that grew would leave a copy of the plaintext behind.
        let mut out = Zeroizing::new(Vec::with_capacity(start + plain.len() + TAG_BYTES));
        for part in [head, &nonce, plain] {
            out.extend_from_slice(part);
        }
        let body = out.get_mut(start..).ok_or(VaultError::Library)?;
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), associated(domain, head, owner), body)
            .map_err(|_| VaultError::Library)?;
        out.extend_from_slice(tag.as_ref());
        Ok(std::mem::take(&mut *out))
    }

    /// `sealed` is what follows the head.
    pub(crate) fn open(&self, domain: Domain, head: &[u8], owner: &[&str], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (&nonce, body) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(VaultError::Malformed)?;
        let mut plain = Zeroizing::new(body.to_vec());
        let length = self
            .0
            .open_in_place(Nonce::assume_unique_for_key(nonce), associated(domain, head, owner), &mut plain)
            .map_err(|_| VaultError::NotOpened)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }
}

/// Domain, head and owner without ambiguity: each part follows its length, so that no other split gives the same bytes.
fn associated(domain: Domain, head: &[u8], owner: &[&str]) -> Aad<Vec<u8>> {
    let parts = || std::iter::once(head).chain(owner.iter().map(|part| part.as_bytes()));
    let mut bytes = Vec::with_capacity(1 + parts().map(|part| size_of::<u64>() + part.len()).sum::<usize>());
    bytes.push(domain as u8);
    for part in parts() {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    Aad::from(bytes)
}
