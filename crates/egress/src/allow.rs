//! The operator's egress allow list: what may be reached although it is not public, or by plain http.

use std::net::{IpAddr, Ipv6Addr};

use url::Host;

use crate::address;

/// The parsed allow list (`KEYWARD_EGRESS_ALLOW`). Its default opens nothing.
#[derive(Clone, Debug, Default)]
pub struct Allow {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Network { network: IpAddr, prefix: u8, port: Option<u16> },
    Name { host: String, port: Option<u16> },
}

/// An entry of the allow list that cannot be read. The entry is the operator's own text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("egress allow list: `{entry}` {reason}")]
pub struct AllowError {
    entry: String,
    reason: &'static str,
}

const EXPECTED: &str = "is neither a CIDR (10.0.0.0/8) nor `host` nor `host:port`";

impl Allow {
    /// Reads a comma-separated list of CIDRs, `host` and `host:port`; empty entries are skipped.
    ///
    /// A host is a name or an address (IPv6 in brackets where a port follows). A name opens
    /// whatever it resolves to; an address or CIDR opens it under any name.
    ///
    /// # Errors
    /// Names the first entry that is none of these, or a CIDR with bits beyond its prefix.
    pub fn parse(list: &str) -> Result<Self, AllowError> {
        let written = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let entries = written
            .map(|entry| {
                Entry::parse(entry).map_err(|reason| AllowError { entry: entry.to_owned(), reason })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    /// Whether an entry names this host (lower-case A-label, no trailing dot) and port.
    pub(crate) fn names(&self, host: &str, port: u16) -> bool {
        self.entries.iter().any(|entry| match entry {
            Entry::Name { host: named, port: only } => {
                named == host && only.is_none_or(|only| only == port)
            }
            Entry::Network { .. } => false,
        })
    }

    /// Whether an address or CIDR of the list covers this canonical address and port.
    pub(crate) fn covers(&self, address: IpAddr, port: u16) -> bool {
        self.matches(address, port, false)
    }

    /// Whether the list holds this very address, not only a wider network.
    pub(crate) fn covers_exactly(&self, address: IpAddr, port: u16) -> bool {
        self.matches(address, port, true)
    }

    /// Whether it takes a look-up to know what the list opens for a name.
    pub(crate) fn has_networks(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry, Entry::Network { .. }))
    }

    fn matches(&self, address: IpAddr, port: u16, exactly: bool) -> bool {
        self.entries.iter().any(|entry| match entry {
            Entry::Network { network, prefix, port: only } => {
                address::within(address, *network, *prefix)
                    && only.is_none_or(|only| only == port)
                    && (!exactly || *prefix == full_prefix(*network))
            }
            Entry::Name { .. } => false,
        })
    }
}

impl Entry {
    fn parse(entry: &str) -> Result<Self, &'static str> {
        if entry.contains("://") {
            return Err("is a URL; write `host` or `host:port`");
        }
        if entry.contains('*') {
            return Err("holds a wildcard; write each host, or a CIDR");
        }
        if entry.contains('%') {
            return Err("holds a zone id or a percent sign");
        }
        if let Some((network, prefix)) = entry.split_once('/') {
            return Self::parse_network(network, prefix);
        }
        if let Ok(address) = entry.parse::<Ipv6Addr>() {
            return Ok(Self::address(address.into(), None));
        }
        let (host, port) = split_port(entry)?;
        let host = Host::parse(host.strip_suffix('.').unwrap_or(host)).map_err(|_| EXPECTED)?;
        Ok(match host {
            Host::Ipv4(v4) => Self::address(v4.into(), port),
            Host::Ipv6(v6) => Self::address(v6.into(), port),
            Host::Domain(host) if host.is_empty() || host.ends_with('.') => return Err(EXPECTED),
            Host::Domain(host) => Self::Name { host, port },
        })
    }

    fn parse_network(network: &str, prefix: &str) -> Result<Self, &'static str> {
        let written: IpAddr = network.parse().map_err(|_| EXPECTED)?;
        if prefix.is_empty() || !prefix.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(EXPECTED);
        }
        let prefix: u8 = prefix.parse().map_err(|_| EXPECTED)?;
        if prefix > full_prefix(written) {
            return Err("has a prefix longer than an address");
        }
        // ::ffff:10.0.0.0/104 says 10.0.0.0/8.
        let canonical = address::canonical(written);
        let (network, prefix) = match (written, canonical) {
            (IpAddr::V6(_), IpAddr::V4(_)) if prefix >= 96 => (canonical, prefix - 96),
            _ => (written, prefix),
        };
        if has_bits_beyond(network, prefix) {
            return Err("has bits beyond its prefix; write the network's first address");
        }
        Ok(Self::Network { network, prefix, port: None })
    }

    fn address(address: IpAddr, port: Option<u16>) -> Self {
        let network = address::canonical(address);
        Self::Network { network, prefix: full_prefix(network), port }
    }
}

fn split_port(entry: &str) -> Result<(&str, Option<u16>), &'static str> {
    let after_brackets = entry.rfind(']').map_or(0, |end| end + 1);
    let Some(colon) = entry.rfind(':').filter(|colon| *colon >= after_brackets) else {
        return Ok((entry, None));
    };
    let (host, port) = entry.split_at(colon);
    let digits = port.trim_start_matches(':');
    let valid = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    match digits.parse() {
        Ok(port @ 1..) if valid => Ok((host, Some(port))),
        _ => Err("has a port that is not a number from 1 to 65535"),
    }
}

fn full_prefix(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn has_bits_beyond(network: IpAddr, prefix: u8) -> bool {
    let beyond = u32::from(full_prefix(network).saturating_sub(prefix));
    match network {
        IpAddr::V4(v4) => u32::from(v4).trailing_zeros() < beyond,
        IpAddr::V6(v6) => u128::from(v6).trailing_zeros() < beyond,
    }
}

#[cfg(test)]
mod tests;
