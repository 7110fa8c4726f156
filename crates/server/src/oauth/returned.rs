//! What a browser comes back with from an authorization server (RFC 6749 section 4.1.2, RFC 9207).

use url::form_urlencoded;

use crate::error::{Error, Kind, Result};

/// Parameters that are looked at.
const MAX_PAIRS: usize = 100;

/// The parameters that count.
#[derive(Default)]
pub struct Returned {
    /// `state`.
    pub state: String,
    /// `code`.
    pub code: Option<String>,
    /// `error`.
    pub error: Option<String>,
    /// `iss`.
    pub iss: Option<String>,
}

impl Returned {
    /// From the query of the address.
    ///
    /// # Errors
    /// One is there twice: the server and we might disagree on which one counts.
    pub fn read(query: &str) -> Result<Self> {
        let mut returned = Self::default();
        let mut state = None;
        for (name, value) in form_urlencoded::parse(query.as_bytes()).take(MAX_PAIRS) {
            let place = match &*name {
                "state" => &mut state,
                "code" => &mut returned.code,
                "error" => &mut returned.error,
                "iss" => &mut returned.iss,
                _ => continue,
            };
            if place.replace(value.into_owned()).is_some() {
                let sentence = "The browser was sent back with a parameter twice. Nothing was connected.";
                return Err(Error::new(Kind::InvalidRequest, sentence));
            }
        }
        returned.state = state.unwrap_or_default();
        Ok(returned)
    }
}
