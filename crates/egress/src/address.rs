//! Which addresses are public: IANA's special-purpose registries and the metadata services.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is to the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Globally reachable unicast.
    Public,
    /// In a special-purpose range (RFC 6890 and successors), or not allocated for unicast.
    Special,
    /// A cloud's metadata service, which hands out credentials to whoever asks.
    Metadata,
}

/// The special-purpose IPv4 ranges.
const SPECIAL_V4: &[(Ipv4Addr, u8)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),       // this network, RFC 791
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private use, RFC 1918
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // shared by carriers, RFC 6598
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback, RFC 1122
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // link local, RFC 3927
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private use, RFC 1918
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // IETF protocol assignments, RFC 6890
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // TEST-NET-1, RFC 5737
    (Ipv4Addr::new(192, 31, 196, 0), 24), // AS112, RFC 7535
    (Ipv4Addr::new(192, 52, 193, 0), 24), // AMT relays, RFC 7450
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // 6to4 relays, RFC 7526
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private use, RFC 1918
    (Ipv4Addr::new(192, 175, 48, 0), 24), // AS112 direct delegation, RFC 7534
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarking, RFC 2544
    (Ipv4Addr::new(198, 51, 100, 0), 24), // TEST-NET-2, RFC 5737
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // TEST-NET-3, RFC 5737
    (Ipv4Addr::new(224, 0, 0, 0), 4),     // multicast, RFC 1112
    (Ipv4Addr::new(240, 0, 0, 0), 4),     // reserved and broadcast, RFC 1112, RFC 919
];

/// All that IANA has given out as global unicast IPv6; everything else is refused.
const UNICAST_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// The special-purpose ranges inside global unicast IPv6.
const SPECIAL_V6: &[(Ipv6Addr, u8)] = &[
    // IETF protocol assignments, RFC 2928: Teredo, benchmarking, AMT, AS112, ORCHID, DRIP
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation, RFC 3849
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),     // 6to4, RFC 3056
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48), // AS112, RFC 7534
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),     // documentation, RFC 9637
];

/// NAT64's well-known prefix (RFC 6052): reaches the IPv4 address in its last four bytes.
const NAT64: (Ipv6Addr, u8) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);
/// NAT64 prefixes of a local operator (RFC 8215).
const NAT64_LOCAL: (Ipv6Addr, u8) = (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48);
/// IPv4-compatible addresses (RFC 4291, deprecated).
const COMPATIBLE: (Ipv6Addr, u8) = (Ipv6Addr::UNSPECIFIED, 96);
/// IPv4-translated addresses (RFC 2765, deprecated).
const TRANSLATED: (Ipv6Addr, u8) = (Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96);
const SIX_TO_FOUR: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16);
const TEREDO: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32);

const METADATA_V4: &[Ipv4Addr] = &[
    Ipv4Addr::new(169, 254, 169, 254), // AWS, Google, Azure, Oracle, OpenStack and most others
    Ipv4Addr::new(169, 254, 170, 2),   // AWS container credentials
    Ipv4Addr::new(169, 254, 170, 23),  // AWS pod identity
    Ipv4Addr::new(169, 254, 0, 23),    // Tencent
    Ipv4Addr::new(169, 254, 42, 42),   // Scaleway
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle, older
    Ipv4Addr::new(168, 63, 129, 16),   // Azure's wire server; otherwise a public address
];

const METADATA_V6: &[Ipv6Addr] = &[
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), // AWS
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),  // AWS pod identity
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),  // Google
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),   // Scaleway
];

const METADATA_NAMES: &[&str] = &[
    "instance-data",
    "instance-data.ec2.internal",
    "metadata",
    "metadata.azure.internal",
    "metadata.goog",
    "metadata.google.internal",
    "metadata.oraclecloud.com",
    "metadata.packet.net",
    "metadata.platformequinix.com",
    "metadata.tencentyun.com",
    "rancher-metadata",
];

/// Whether a lower-case host name without trailing dot is that of a metadata service.
pub(crate) fn is_metadata_name(host: &str) -> bool {
    METADATA_NAMES.contains(&host)
}

/// The address a packet really goes to: IPv4-mapped IPv6 is IPv4.
pub(crate) fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Classifies an address, looking through IPv4-mapped, IPv4-compatible, NAT64, 6to4 and Teredo.
pub(crate) fn classify(address: IpAddr) -> Class {
    match canonical(address) {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => classify_v6(v6),
    }
}

/// Whether `address` lies in the `prefix` bits of `network`; families never mix.
pub(crate) fn within(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => within_v4(address, (network, prefix)),
        (IpAddr::V6(address), IpAddr::V6(network)) => within_v6(address, (network, prefix)),
        _ => false,
    }
}

fn classify_v4(address: Ipv4Addr) -> Class {
    if METADATA_V4.contains(&address) {
        return Class::Metadata;
    }
    if SPECIAL_V4.iter().any(|range| within_v4(address, *range)) {
        return Class::Special;
    }
    Class::Public
}

fn classify_v6(address: Ipv6Addr) -> Class {
    if METADATA_V6.contains(&address) {
        return Class::Metadata;
    }
    let inner = embedded(address);
    if inner.iter().any(|v4| classify_v4(*v4) == Class::Metadata) {
        return Class::Metadata;
    }
    if within_v6(address, NAT64) {
        let special = inner.iter().any(|v4| classify_v4(*v4) == Class::Special);
        return if special { Class::Special } else { Class::Public };
    }
    let special = SPECIAL_V6.iter().any(|range| within_v6(address, *range));
    if special || !within_v6(address, UNICAST_V6) {
        return Class::Special;
    }
    Class::Public
}

/// The IPv4 addresses that a gateway could read out of an IPv6 address.
fn embedded(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let [_, _, b2, b3, b4, b5, b6, b7, _, b9, b10, b11, b12, b13, b14, b15] = address.octets();
    let last = Ipv4Addr::new(b12, b13, b14, b15);
    if [NAT64, COMPATIBLE, TRANSLATED].iter().any(|range| within_v6(address, *range)) {
        return vec![last];
    }
    if within_v6(address, NAT64_LOCAL) {
        // The operator chose the prefix length: RFC 6052 section 2.2, from /96 to /48.
        return vec![
            last,
            Ipv4Addr::new(b6, b7, b9, b10),
            Ipv4Addr::new(b7, b9, b10, b11),
            Ipv4Addr::new(b9, b10, b11, b12),
        ];
    }
    if within_v6(address, SIX_TO_FOUR) {
        return vec![Ipv4Addr::new(b2, b3, b4, b5)];
    }
    if within_v6(address, TEREDO) {
        // RFC 4380 section 4: the server, and the client with its bits inverted.
        return vec![Ipv4Addr::new(b4, b5, b6, b7), Ipv4Addr::new(!b12, !b13, !b14, !b15)];
    }
    Vec::new()
}

fn within_v4(address: Ipv4Addr, (network, prefix): (Ipv4Addr, u8)) -> bool {
    let differing = u32::from(address) ^ u32::from(network);
    differing.leading_zeros() >= u32::from(prefix)
}

fn within_v6(address: Ipv6Addr, (network, prefix): (Ipv6Addr, u8)) -> bool {
    let differing = u128::from(address) ^ u128::from(network);
    differing.leading_zeros() >= u32::from(prefix)
}

#[cfg(test)]
mod tests;
