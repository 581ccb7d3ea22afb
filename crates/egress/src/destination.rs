//! Where a request goes: scheme, host, port and path as they may be shown and compared.

use std::fmt;

use url::{Host, Url};

use crate::error::Invalid;

/// How the destination is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain http, which only the allow list opens.
    Http,
    /// http over TLS.
    Https,
    /// A bare connection of [`Client::dial`](crate::Client::dial).
    Tcp,
}

impl Scheme {
    /// The scheme as a URL has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Tcp => "tcp",
        }
    }

    fn default_port(self) -> Option<u16> {
        match self {
            Self::Http => Some(80),
            Self::Https => Some(443),
            Self::Tcp => None,
        }
    }
}

/// A destination in canonical form. It shows as a URL without query, and holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    scheme: Scheme,
    host: Host<String>,
    host_text: String,
    port: u16,
    path: String,
    ambiguous: Option<Ambiguous>,
}

/// Why a path cannot be matched against a policy: services read it in more than one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ambiguous {
    /// An encoded slash or backslash.
    #[error("the path holds an encoded slash or backslash")]
    Slash,
    /// Two dots, plain or encoded.
    #[error("the path holds `..`")]
    Dots,
}

impl Destination {
    /// From a parsed URL and the path as it was written, before dot segments were removed.
    pub(crate) fn of(url: &Url, written_path: &str) -> Result<Self, Invalid> {
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(Invalid::Scheme),
        };
        let host = url.host().ok_or(Invalid::Url)?.to_owned();
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(Invalid::Url)?;
        let ambiguous = ambiguity(written_path).or_else(|| ambiguity(url.path()));
        let path = url.path().to_owned();
        Ok(Self { host_text: host.to_string(), scheme, host, port, path, ambiguous })
    }

    /// A bare host and port, for connections that are not http.
    pub(crate) fn tcp(host: &str, port: u16) -> Result<Self, Invalid> {
        let bare = host.strip_suffix('.').unwrap_or(host);
        // RFC 4291 text without brackets is how configuration writes an IPv6 host.
        let host = match bare.parse::<std::net::Ipv6Addr>() {
            Ok(v6) => Host::Ipv6(v6),
            Err(_) => Host::parse(bare).map_err(|_| Invalid::Url)?,
        };
        if port == 0
            || matches!(&host, Host::Domain(name) if name.is_empty() || name.ends_with('.'))
        {
            return Err(Invalid::Url);
        }
        let host_text = host.to_string();
        let scheme = Scheme::Tcp;
        Ok(Self { scheme, host, host_text, port, path: String::new(), ambiguous: None })
    }

    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host: lower-case A-label without trailing dot, or an address (IPv6 in brackets).
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host_text
    }

    /// Whether the host is an address and not a name.
    #[must_use]
    pub fn is_address(&self) -> bool {
        !matches!(self.host, Host::Domain(_))
    }

    /// The port, also where it is the scheme's own.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path for showing: percent-encoded, dot segments removed, before anything is filled in.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path for matching against a policy.
    ///
    /// # Errors
    /// Refuses a path with `..`, or with a slash or backslash that is percent-encoded (also
    /// twice), as written before dot segments were removed: the service may see another path.
    pub fn match_path(&self) -> Result<&str, Ambiguous> {
        match self.ambiguous {
            Some(ambiguous) => Err(ambiguous),
            None => Ok(&self.path),
        }
    }

    /// Whether scheme, host and port are the same.
    #[must_use]
    pub fn same_origin(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.host == other.host && self.port == other.port
    }

    /// `host`, or `host:port` where the port is not the scheme's own.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.scheme.default_port() == Some(self.port) {
            return self.host_text.clone();
        }
        format!("{}:{}", self.host_text, self.port)
    }

    pub(crate) fn typed_host(&self) -> &Host<String> {
        &self.host
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.as_str(), self.authority(), self.path)
    }
}

fn ambiguity(path: &str) -> Option<Ambiguous> {
    let mut plain = path.to_ascii_lowercase();
    while plain.contains("%25") {
        plain = plain.replace("%25", "%");
    }
    let plain = plain.replace("%2e", ".");
    if plain.contains("..") {
        return Some(Ambiguous::Dots);
    }
    let slash = ["%2f", "%5c", "\\"].iter().any(|form| plain.contains(form));
    slash.then_some(Ambiguous::Slash)
}
