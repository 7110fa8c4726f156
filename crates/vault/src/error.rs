//! What can go wrong in the vault. No variant holds any part of a secret.

use std::fmt;

/// Why a key was refused, or something was not sealed or opened. Displayed, it is a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaultError {
    /// The text of a master key is not 32 bytes in hexadecimal or base64. Holds its length in characters.
    MasterKeyText(usize),
    /// The id of a data key is not 1 to 64 visible ASCII characters.
    KeyId,
    /// A data key was sealed with another master key than the one given.
    WrongMasterKey,
    /// A row was sealed with the data key of this id, not with the one given.
    OtherKey(String),
    /// Not something that this vault seals, or a newer version of it.
    Malformed,
    /// The right key does not open it: it was changed, or belongs to another owner.
    NotOpened,
    /// What was opened is not UTF-8 text.
    NotText,
    /// The payload of a sealed id is longer than `MAX_PAYLOAD` bytes.
    PayloadTooLong,
    /// The cryptographic library refused, which it does not for any key and text of ours.
    Library,
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MasterKeyText(chars) => write!(
                f,
                "The master key must be 32 random bytes, written as 64 hexadecimal digits or as base64 (43 or 44 characters), \
                 but what was given is not that ({chars} characters). `openssl rand -hex 32` makes one."
            ),
            Self::KeyId => f.write_str("The id of a data key must be 1 to 64 visible ASCII characters."),
            Self::WrongMasterKey => f.write_str("The data key was sealed with another master key: give the one it was sealed with."),
            Self::OtherKey(id) => write!(f, "This was sealed with the data key \"{id}\": open it with that one."),
            Self::Malformed => f.write_str("This was not sealed by this vault, or by a newer version of it."),
            Self::NotOpened => f.write_str("This does not open: it was changed, or it belongs to another owner."),
            Self::NotText => f.write_str("What was sealed is not text: open it as bytes."),
            Self::PayloadTooLong => f.write_str("The payload is too long for a sealed id: keep it in the database and seal its id."),
            Self::Library => f.write_str("The cryptographic library refused to work with this key."),
        }
    }
}

impl std::error::Error for VaultError {}
