//! From which address a request comes, for limits of those who are not known otherwise.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use axum::extract::FromRequestParts;
use http::{Extensions, HeaderMap, request::Parts};

use crate::config::Config;

/// Longest chain of proxies that is looked at, in entries.
const MAX_CHAIN: usize = 20;

/// The other end of a request's connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

impl Peer {
    /// As the listener has put it.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or(Self(IpAddr::V6(Ipv6Addr::UNSPECIFIED)))
    }

    /// Who asks, as far as we can know: behind a proxy of the operator's, the last address of `X-Forwarded-For` that is not of such a
    /// proxy, because everything before it is the client's own claim. A whole network of IPv6 is one: it has more addresses than
    /// anybody could count (RFC 4291 section 2.5.4).
    pub fn source(self, config: &Config, headers: &HeaderMap) -> IpAddr {
        let is_proxy = |address: &IpAddr| config.trusted_proxies.iter().any(|range| range.contains(address));
        let mut source = self.0.to_canonical();
        if is_proxy(&source) {
            let lines = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
            let entries: Vec<&str> = lines.flat_map(|line| line.split(',')).collect();
            for entry in entries.into_iter().rev().take(MAX_CHAIN) {
                let Some(address) = address(entry.trim()) else { break };
                source = address.to_canonical();
                if !is_proxy(&source) {
                    break;
                }
            }
        }
        match source {
            IpAddr::V4(_) => source,
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        }
    }
}

/// An address, also with a port as some proxies write it.
fn address(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|entry| entry.strip_suffix(']')).unwrap_or(entry);
    bare.parse().ok().or_else(|| Some(entry.parse::<SocketAddr>().ok()?.ip()))
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_a_port() {
        for (entry, bare) in [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:4711", "203.0.113.7"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            assert_eq!(address(entry), bare.parse().ok(), "{entry}");
        }
        assert_eq!(address("unknown"), None);
    }
}
