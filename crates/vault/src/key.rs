//! Keys: the operator's master key, the data keys that it seals, and what is derived from them.

use aws_lc_rs::{aead, hkdf, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD_INDIFFERENT, URL_SAFE_NO_PAD, URL_SAFE_NO_PAD_INDIFFERENT};
use zeroize::Zeroizing;

use crate::fingerprint::Fingerprints;
use crate::seal::{Cipher, Domain, VERSION, open, seal};
use crate::token::{hex, keyed_hash, read_hex};
use crate::{Secret, VaultError};

const KEY_BYTES: usize = 32;
/// How many bytes of a data key's seal tell which master key it was sealed with.
const FINGERPRINT_BYTES: usize = 8;
const MAX_KEY_ID_BYTES: usize = 64;

/// The key that the operator keeps. It only seals data keys.
pub struct MasterKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

impl MasterKey {
    /// A new key of 32 random bytes.
    pub fn generate(random: [u8; KEY_BYTES]) -> Self {
        Self { bytes: Zeroizing::new(random) }
    }

    /// Reads the key from a file's or a variable's text: 64 hexadecimal digits, or base64 (standard or URL-safe, padded or not).
    /// White space around it is ignored.
    ///
    /// # Errors
    /// `MasterKeyText`, which tells the length of the text and nothing else of it.
    pub fn parse(text: &str) -> Result<Self, VaultError> {
        let text = text.trim();
        let bytes = if text.len() == 2 * KEY_BYTES { from_hex(text) } else { from_base64(text) };
        bytes.map(|bytes| Self { bytes }).ok_or_else(|| VaultError::MasterKeyText(text.chars().count()))
    }

    /// The text for a key file, which `parse` reads: 64 lower-case hexadecimal digits.
    pub fn to_text(&self) -> Secret {
        Secret::new(hex(&*self.bytes))
    }

    /// Tells master keys apart without saying anything of them.
    fn fingerprint(&self) -> Result<[u8; FINGERPRINT_BYTES], VaultError> {
        let hash = keyed_hash(&derive(&self.bytes, "amalgam master key: fingerprint")?, "");
        hash.first_chunk().copied().ok_or(VaultError::Library)
    }

    fn cipher(&self) -> Result<Cipher, VaultError> {
        cipher(&self.bytes, "amalgam master key: seal data keys")
    }
}

/// A key that seals rows and ids. Its cipher is set up once, so that opening a row costs about a microsecond.
pub struct DataKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    cipher: Cipher,
    /// How everything sealed with it begins: version, length of the id, id.
    head: Vec<u8>,
    fingerprints: Fingerprints,
}

impl DataKey {
    /// A new key of 32 random bytes.
    ///
    /// # Errors
    /// `KeyId` when the id is not 1 to 64 visible ASCII characters.
    pub fn new(id: &str, random: [u8; KEY_BYTES]) -> Result<Self, VaultError> {
        Self::from_bytes(id, Zeroizing::new(random))
    }

    fn from_bytes(id: &str, bytes: Zeroizing<[u8; KEY_BYTES]>) -> Result<Self, VaultError> {
        let length = u8::try_from(id.len()).map_err(|_| VaultError::KeyId)?;
        if id.is_empty() || id.len() > MAX_KEY_ID_BYTES || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(VaultError::KeyId);
        }
        let head = [&[VERSION, length], id.as_bytes()].concat();
        let cipher = cipher(&bytes, "amalgam data key: seal")?;
        let purpose = |step: &str| expand(&bytes, &format!("amalgam data key: fingerprint, {step}"));
        let fingerprints = Fingerprints::new(&*purpose("hash")?, &*purpose("hide")?)?;
        Ok(Self { bytes, cipher, head, fingerprints })
    }

    /// Seals this key with the master key, for the database: base64url. The id is bound to it. Layout: version (1), fingerprint
    /// of the master key (8), nonce (12), sealed key (32), tag (16).
    ///
    /// # Errors
    /// `Library` only.
    pub fn seal(&self, master: &MasterKey, nonce: [u8; 12]) -> Result<String, VaultError> {
        let head = [&[VERSION][..], &master.fingerprint()?].concat();
        let sealed = master.cipher()?.seal(Domain::DataKey, &head, nonce, &[self.id()], &*self.bytes)?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens a data key that `seal` made.
    ///
    /// # Errors
    /// `WrongMasterKey` when another master key sealed it, `NotOpened` when it was changed or is of another id, `Malformed`.
    pub fn open(master: &MasterKey, id: &str, sealed: &str) -> Result<Self, VaultError> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| VaultError::Malformed)?;
        let rest = sealed.strip_prefix(&[VERSION]).ok_or(VaultError::Malformed)?;
        let (fingerprint, rest) = rest.split_first_chunk().ok_or(VaultError::Malformed)?;
        if *fingerprint != master.fingerprint()? {
            return Err(VaultError::WrongMasterKey);
        }
        let head = [&[VERSION][..], fingerprint].concat();
        let bytes = master.cipher()?.open(Domain::DataKey, &head, &[id], rest)?;
        let bytes = <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).map_err(|_| VaultError::Malformed)?;
        Self::from_bytes(id, Zeroizing::new(bytes))
    }

    /// Its id.
    pub fn id(&self) -> &str {
        self.head.get(2..).and_then(|id| std::str::from_utf8(id).ok()).unwrap_or_default()
    }

    /// A key for keyed hashes of one purpose (HKDF-SHA256, RFC 5869). What is known of one tells nothing of another.
    ///
    /// # Errors
    /// `Library` only.
    pub fn derive(&self, purpose: &str) -> Result<HmacKey, VaultError> {
        derive(&self.bytes, &format!("amalgam data key: derive {purpose}"))
    }

    /// Tells equal texts from different ones, and says nothing else of them: without the key, not even a text that could be guessed.
    ///
    /// # Errors
    /// `Library` only.
    pub fn fingerprint(&self, text: &[u8]) -> Result<[u8; 16], VaultError> {
        self.fingerprints.of(text)
    }

    /// `seal` in base64url, for text columns.
    ///
    /// # Errors
    /// `Library` only.
    pub fn seal_text(&self, owner: &[&str], plain: &[u8], nonce: [u8; 12]) -> Result<String, VaultError> {
        Ok(URL_SAFE_NO_PAD.encode(seal(self, nonce, owner, plain)?))
    }

    /// Opens what `seal_text` made for the same owner, when it is text.
    ///
    /// # Errors
    /// As `open`, and `NotText`.
    pub fn open_text(&self, owner: &[&str], sealed: &str) -> Result<Secret, VaultError> {
        self.open_secret(owner, &URL_SAFE_NO_PAD.decode(sealed).map_err(|_| VaultError::Malformed)?)
    }

    /// Opens what `seal` made for the same owner, when it is text.
    ///
    /// # Errors
    /// As `open`, and `NotText`.
    pub fn open_secret(&self, owner: &[&str], sealed: &[u8]) -> Result<Secret, VaultError> {
        Secret::from_utf8(open(self, owner, sealed)?)
    }

    pub(crate) fn cipher(&self) -> &Cipher {
        &self.cipher
    }

    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }
}

/// A key for keyed hashes (HMAC-SHA256), derived for one purpose.
pub struct HmacKey(pub(crate) hmac::Key);

fn derive(bytes: &[u8; KEY_BYTES], purpose: &str) -> Result<HmacKey, VaultError> {
    let prk = extract(bytes);
    let info = [purpose.as_bytes()];
    let okm = prk.expand(&info, hmac::HMAC_SHA256).map_err(|_| VaultError::Library)?;
    Ok(HmacKey(okm.into()))
}

fn cipher(bytes: &[u8; KEY_BYTES], purpose: &str) -> Result<Cipher, VaultError> {
    let key = expand(bytes, purpose)?;
    aead::UnboundKey::new(&aead::AES_256_GCM_SIV, &*key).map(Cipher::new).map_err(|_| VaultError::Library)
}

/// 32 bytes for one purpose.
fn expand(bytes: &[u8; KEY_BYTES], purpose: &str) -> Result<Zeroizing<[u8; KEY_BYTES]>, VaultError> {
    let prk = extract(bytes);
    let info = [purpose.as_bytes()];
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    let filled = prk.expand(&info, &aead::AES_256_GCM_SIV).and_then(|okm| okm.fill(&mut *key));
    filled.map(|()| key).map_err(|_| VaultError::Library)
}

/// The keys are uniformly random, so that the salt may be empty (RFC 5869, section 3.1).
fn extract(bytes: &[u8; KEY_BYTES]) -> hkdf::Prk {
    hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(bytes)
}

fn from_hex(text: &str) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    read_hex(text, &mut *bytes)?;
    Some(bytes)
}

fn from_base64(text: &str) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let engine = if text.contains(['-', '_']) { URL_SAFE_NO_PAD_INDIFFERENT } else { STANDARD_NO_PAD_INDIFFERENT };
    // Room for one block more than a key: what decodes to more is too long, and the engine says so.
    let mut buffer = Zeroizing::new([0; KEY_BYTES + 3]);
    let length = engine.decode_slice(text, &mut *buffer).ok()?;
    let bytes = <[u8; KEY_BYTES]>::try_from(buffer.get(..length)?).ok()?;
    Some(Zeroizing::new(bytes))
}
