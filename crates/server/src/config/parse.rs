//! Reading settings: addresses, ranges, claims, numbers, and what is said about a mistake in the file.

use std::{
    fmt::Display,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    path::Path,
};

use ipnet::IpNet;
use serde::{Deserialize, de::Error as _};
use url::{Host, Url};

use crate::error::in_words;

/// An address to listen on.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "give an IP address and a port, such as 127.0.0.1:3000, or 0.0.0.0:3000 for all interfaces".to_owned())
}

/// A range, or one address.
pub fn range(text: &str) -> Result<IpNet, String> {
    let one = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| one()).map_err(|_| "give a range such as 10.0.0.0/8, or an address such as 127.0.0.1".to_owned())
}

/// This machine.
pub fn local(address: impl Into<IpAddr>, prefix: u8) -> IpNet {
    IpNet::new_assert(address.into(), prefix).trunc()
}

/// Whether nobody on the way reads what is sent there: https, or http on loopback where the operator lets calls go there.
pub fn is_unread(url: &Url, allowed: &[IpNet]) -> bool {
    let loopback = match url.host() {
        Some(Host::Domain("localhost")) => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        Some(Host::Ipv4(ip)) if ip.is_loopback() => Some(IpAddr::V4(ip)),
        Some(Host::Ipv6(ip)) if ip.is_loopback() => Some(IpAddr::V6(ip)),
        _ => None,
    };
    match url.scheme() {
        "https" => url.has_host(),
        "http" => loopback.is_some_and(|ip| allowed.iter().any(|range| range.contains(&ip))),
        _ => false,
    }
}

/// In the file: ranges as an array, or as one text with commas, as for the flag.
pub fn ranges<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<IpNet>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected an array of ranges such as [\"10.0.0.0/8\"]")]
    enum Given {
        One(String),
        Many(Vec<String>),
    }
    let given = match Given::deserialize(deserializer)? {
        Given::One(text) => text.split(',').map(|part| part.trim().to_owned()).collect(),
        Given::Many(texts) => texts,
    };
    given
        .iter()
        .map(|text| range(text).map_err(|_| D::Error::custom("expected an array of ranges such as [\"10.0.0.0/8\"]")))
        .collect::<Result<_, _>>()
        .map(Some)
}

/// Claims about a user that the user may say, and change: nobody vouches for them, and two may have the same. Source: OpenID Connect Core,
/// section 5.1 and 5.7.
pub const EDITABLE: [&str; 16] = [
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "phone_number",
    "address",
    "email_verified",
];

/// The number, if it is one of these.
pub fn within<N: PartialOrd + Display>(setting: &str, number: N, range: RangeInclusive<N>) -> Result<N, String> {
    if range.contains(&number) {
        return Ok(number);
    }
    Err(format!("{setting} must be between {} and {}, not {number}", range.start(), range.end()))
}

/// The file, the line, the key and what is wrong there; never the value, because a password may stand in it.
pub fn mistake(path: &Path, text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let number = before.matches('\n').count();
    let key = text.lines().nth(number).and_then(|line| line.split_once('=')).map_or("", |(key, _)| key.trim());
    let what = error.message();
    let about_a_value = ["invalid ", "unknown field ", "missing field ", "expected an array of ranges"];
    let what = if about_a_value.iter().any(|start| what.starts_with(start)) { in_words(what).0 } else { format!("is no TOML: {what}") };
    format!("mistake in {}, line {}: `{key}` {what}", path.display(), number + 1)
}
