//! Which addresses a request may reach: pure arithmetic, no names, no sockets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// IPv4 ranges that are not the public internet.
/// Source: IANA IPv4 Special-Purpose Address Registry (RFC 6890), plus the one address noted below.
const CLOSED_V4: [Ipv4Net; 16] = [
    v4(0, 0, 0, 0, 8),        // "this network"; 0.0.0.0 reaches loopback on Linux
    v4(10, 0, 0, 0, 8),       // private, RFC 1918
    v4(100, 64, 0, 0, 10),    // carrier-grade NAT, RFC 6598; one cloud's metadata service lives here
    v4(127, 0, 0, 0, 8),      // loopback
    v4(168, 63, 129, 16, 32), // public by number, yet served to virtual machines by their host (Azure)
    v4(169, 254, 0, 0, 16),   // link-local, RFC 3927; the metadata services live here
    v4(172, 16, 0, 0, 12),    // private, RFC 1918
    v4(192, 0, 0, 0, 24),     // IETF protocol assignments, RFC 6890
    v4(192, 0, 2, 0, 24),     // documentation, RFC 5737
    v4(192, 88, 99, 0, 24),   // 6to4 relays, withdrawn by RFC 7526
    v4(192, 168, 0, 0, 16),   // private, RFC 1918
    v4(198, 18, 0, 0, 15),    // benchmarking, RFC 2544
    v4(198, 51, 100, 0, 24),  // documentation, RFC 5737
    v4(203, 0, 113, 0, 24),   // documentation, RFC 5737
    v4(224, 0, 0, 0, 4),      // multicast, RFC 5771
    v4(240, 0, 0, 0, 4),      // reserved, RFC 1112, and broadcast
];

/// The only IPv6 block from which public addresses are given out (RFC 4291 section 2.4). All that lies outside it is
/// closed: unspecified, loopback, IPv4-mapped and -compatible, NAT64, discard, unique-local, link- and site-local, multicast.
const PUBLIC_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// Closed ranges inside [`PUBLIC_V6`]. Source: IANA IPv6 Special-Purpose Address Registry.
const CLOSED_V6: [Ipv6Net; 4] = [
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),     // IETF protocol assignments: Teredo, benchmarking, ORCHID
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation, RFC 3849
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),     // 6to4, RFC 3056
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),     // documentation, RFC 9637
];

// Ranges whose addresses carry IPv4 addresses. The layout inside `NAT64_LOCAL` (RFC 8215) is its operator's choice; it is
// read with a /96 prefix, which is the layout in use.
const MAPPED: Ipv6Net = v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96);
const COMPATIBLE: Ipv6Net = v6([0, 0, 0, 0, 0, 0, 0, 0], 96);
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);
const NAT64_LOCAL: Ipv6Net = v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48);
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);
const TEREDO: Ipv6Net = v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32);

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(s: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]), prefix)
}

/// Whether a connection to `address` may be made: it is public, or an entry of `allow` names it.
///
/// An IPv4 entry opens the IPv4-mapped form too. An entry that opens a range of translated addresses (NAT64, 6to4,
/// Teredo) does not open the IPv4 network behind it: every embedded IPv4 address is judged as well.
pub(super) fn is_permitted(address: IpAddr, allow: &[IpNet]) -> bool {
    let named = |address: IpAddr| allow.iter().any(|net| net.contains(&address));
    let v6 = match address {
        IpAddr::V4(v4) => return named(address) || !CLOSED_V4.iter().any(|net| net.contains(&v4)),
        IpAddr::V6(v6) => v6,
    };
    let public = PUBLIC_V6.contains(&v6) && !CLOSED_V6.iter().any(|net| net.contains(&v6));
    let opened = named(address) || v6.to_ipv4_mapped().is_some_and(|v4| named(IpAddr::V4(v4)));
    (public || opened) && embedded_v4(v6).into_iter().flatten().all(|v4| is_permitted(IpAddr::V4(v4), allow))
}

/// The IPv4 addresses to which a packet for `address` may be translated: none, one, or two for Teredo (its server,
/// and its client, whose bits are stored inverted: RFC 4380 section 4).
fn embedded_v4(address: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    if address.is_loopback() || address.is_unspecified() {
        return [None, None]; // They only look like IPv4-compatible addresses.
    }
    let bits = address.to_bits();
    // Shifting and truncating picks 32 of the 128 bits.
    let at = |shift: u32| Ipv4Addr::from_bits((bits >> shift) as u32);
    if SIX_TO_FOUR.contains(&address) {
        [Some(at(80)), None]
    } else if TEREDO.contains(&address) {
        [Some(at(64)), Some(Ipv4Addr::from_bits(!(bits as u32)))]
    } else if [MAPPED, COMPATIBLE, NAT64, NAT64_LOCAL].iter().any(|net| net.contains(&address)) {
        [Some(at(0)), None]
    } else {
        [None, None]
    }
}
