//! The OAuth 2 client, for platforms and for other MCP servers: the address of the consent page, token requests, revocation.
//!
//! It keeps nothing: whoever uses it keeps state, verifier and tokens. Sources: RFC 6749, RFC 7636 (PKCE, always S256), RFC 7009
//! (revocation), RFC 7523 (`private_key_jwt`), RFC 9700 (what went wrong elsewhere).

mod client;
mod consent;
mod returned;
mod token;

pub use self::{
    client::{Authentication, Client, PrivateKey},
    consent::{Consent, Pkce, for_browser, state},
    returned::Returned,
    token::{Failure, Pointers, TokenRequest, Tokens, request, revoke},
};
