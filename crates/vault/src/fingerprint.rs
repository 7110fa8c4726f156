//! Fingerprints of texts as long as requests, at a tenth of the cost of a cryptographic hash.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    cipher::{AES_256, EncryptingKey, UnboundCipherKey},
};

use crate::VaultError;

/// A universal hash under one key (GHASH, as the tag of AES-GCM without a plaintext computes it), then AES under another: a pseudorandom
/// function of the text, as AES-GCM-SIV makes its tags (RFC 8452, section 4). The hash alone must not be seen: its nonce never changes, so
/// that its values would betray its key. After AES, which is a permutation, they say whether two texts are equal and nothing else.
pub(crate) struct Fingerprints {
    hash: LessSafeKey,
    hide: EncryptingKey,
}

impl Fingerprints {
    pub(crate) fn new(hash: &[u8; 32], hide: &[u8; 32]) -> Result<Self, VaultError> {
        let hash = UnboundKey::new(&AES_256_GCM, hash).map(LessSafeKey::new).map_err(|_| VaultError::Library)?;
        // One block is encrypted, of which ECB is the cipher itself.
        let hide = UnboundCipherKey::new(&AES_256, hide).and_then(EncryptingKey::ecb).map_err(|_| VaultError::Library)?;
        Ok(Self { hash, hide })
    }

    pub(crate) fn of(&self, text: &[u8]) -> Result<[u8; 16], VaultError> {
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        let tag = self.hash.seal_in_place_separate_tag(nonce, Aad::from(text), &mut []).map_err(|_| VaultError::Library)?;
        let mut block = <[u8; 16]>::try_from(tag.as_ref()).map_err(|_| VaultError::Library)?;
        self.hide.encrypt(&mut block).map_err(|_| VaultError::Library)?;
        Ok(block)
    }
}
