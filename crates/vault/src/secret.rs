//! A secret text that leaves memory when dropped and cannot be shown by accident.

use zeroize::{Zeroize, Zeroizing};

use crate::VaultError;

/// A secret text. It has no `Debug`, `Display`, `Serialize` and `Clone`, so that it cannot slip into a log, an error or an answer;
/// `expose` is easy to search for.
///
/// ```compile_fail
/// format!("{:?}", amalgam_vault::Secret::new("token".to_owned()));
/// ```
/// ```compile_fail
/// format!("{}", amalgam_vault::Secret::new("token".to_owned()));
/// ```
/// ```compile_fail
/// fn cloned<T: Clone>(_: T) {}
/// cloned(amalgam_vault::Secret::new("token".to_owned()));
/// ```
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over; copies that the caller keeps are the caller's to erase.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text in the clear. Call it only where it is about to be sent or sealed.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// From bytes, which are erased when they are not UTF-8.
    pub(crate) fn from_utf8(mut bytes: Zeroizing<Vec<u8>>) -> Result<Self, VaultError> {
        String::from_utf8(std::mem::take(&mut *bytes)).map(Self::new).map_err(|error| {
            error.into_bytes().zeroize();
            VaultError::NotText
        })
    }
}
