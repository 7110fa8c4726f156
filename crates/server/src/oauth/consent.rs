//! The way to the consent page: state, PKCE, the URL that a browser is given.

use amalgam_vault::{Secret, hash_token, url_safe};
use ipnet::IpNet;
use url::Url;

use crate::{clock::random, config::is_unread};

/// A proof key (RFC 7636): the verifier stays here until the code comes back, the challenge goes with the browser.
pub struct Pkce {
    /// Kept sealed beside the state.
    pub verifier: Secret,
    /// S256 of the verifier.
    pub challenge: String,
}

impl Pkce {
    /// A new pair from 256 random bits.
    pub fn new() -> Self {
        Self::of(url_safe(&random::<32>()))
    }

    /// The pair of a kept verifier.
    pub fn of(verifier: String) -> Self {
        let challenge = url_safe(&hash_token(&verifier));
        Self { verifier: Secret::new(verifier), challenge }
    }
}

/// A new `state`: 256 random bits. Keep its hash alone.
pub fn state() -> String {
    url_safe(&random::<32>())
}

/// What the consent page is asked for (RFC 6749 section 4.1.1).
pub struct Consent<'a> {
    /// The authorization endpoint.
    pub endpoint: &'a str,
    /// The client's id there.
    pub client_id: &'a str,
    /// Where the browser comes back to.
    pub redirect_uri: &'a str,
    /// From `state`.
    pub state: &'a str,
    /// From `Pkce`.
    pub challenge: &'a str,
    /// The scopes, joined as the server wants them; empty for none.
    pub scope: &'a str,
    /// The parameter that carries them: usually `scope`.
    pub scope_parameter: &'a str,
    /// Further parameters, such as `resource` (RFC 8707).
    pub further: &'a [(&'a str, &'a str)],
}

impl Consent<'_> {
    /// The URL for the browser; parameters that the endpoint itself has are kept.
    ///
    /// # Errors
    /// A sentence, when a browser must not be sent there.
    pub fn url(&self, allowed: &[IpNet]) -> Result<Url, String> {
        let mut url = for_browser(self.endpoint, allowed)?;
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", self.client_id)
            .append_pair("redirect_uri", self.redirect_uri)
            .append_pair("state", self.state)
            .append_pair("code_challenge", self.challenge)
            .append_pair("code_challenge_method", "S256");
        if !self.scope.is_empty() {
            query.append_pair(self.scope_parameter, self.scope);
        }
        query.extend_pairs(self.further);
        drop(query);
        Ok(url)
    }
}

/// A URL that a browser may be sent to: https, or http on loopback where the operator allows calls to it. Never a script, a file or a
/// command of the user's machine.
///
/// # Errors
/// A sentence without the URL.
pub fn for_browser(url: &str, allowed: &[IpNet]) -> Result<Url, String> {
    let refused = || Err("A browser is only sent to https addresses.".to_owned());
    let Ok(url) = Url::parse(url) else { return refused() };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("A browser is not sent to an address with a user name in it.".to_owned());
    }
    if is_unread(&url, allowed) { Ok(url) } else { refused() }
}
