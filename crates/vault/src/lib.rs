//! The vault: seals and opens secrets. Pure: randomness is passed in, keys come from the caller.
//!
//! A `MasterKey` (kept by the operator) seals `DataKey`s (kept in the database), and these seal rows and ids. To change the master
//! key, open each data key with the old one and seal it with the new one; no row changes. To change the data key, seal new rows
//! with a new one: a sealed row names its key (`sealed_by`), so old rows open with the old one.

mod error;
mod fingerprint;
mod key;
mod seal;
mod sealed_id;
mod secret;
mod token;

pub use error::VaultError;
pub use key::{DataKey, HmacKey, MasterKey};
pub use seal::{open, seal, sealed_by};
pub use sealed_id::{MAX_ID_CHARS, MAX_PAYLOAD, open_id, seal_id};
pub use secret::Secret;
pub use token::{from_url_safe, hash_token, hex, keyed_hash, read_hex, same, url_safe};
pub use zeroize::Zeroizing;
