//! Where a credential may go: hosts, methods, paths and places, and how a request is held against them.

use crate::tag::Columns;
use serde::{Deserialize, Serialize};

/// The scheme of a destination; nothing else leaves the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// TLS.
    Https,
    /// Plain text, only where a binding or the operator names it.
    Http,
    /// A protocol of its own, such as a database's: bound like https, by host and port.
    Tcp,
}

impl Scheme {
    /// The word in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::Tcp => "tcp",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
            Self::Tcp => 0,
        }
    }
}

/// One request's target, in canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// https or http.
    pub scheme: Scheme,
    /// Lower-case A-label or address literal (IPv6 in brackets), without a trailing dot.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Upper-case method.
    pub method: String,
    /// Absolute path after dot removal, without query; placeholders unsubstituted.
    pub path: String,
}

impl Destination {
    /// `https://host` or `scheme://host:port`, as the audit and run pages show it.
    pub fn origin(&self) -> String {
        let Self { scheme, host, port, .. } = self;
        if *port == scheme.default_port() {
            format!("{}://{host}", scheme.as_str())
        } else {
            format!("{}://{host}:{port}", scheme.as_str())
        }
    }
}

/// A part of a request in which a secret may stand.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A header's value.
    Header,
    /// The query string.
    Query,
    /// The body.
    Body,
    /// A path segment; only where listed.
    Path,
    /// The `Cookie` header; only where listed.
    Cookie,
}

impl Place {
    /// Every place.
    pub const ALL: &[Self] = &[Self::Header, Self::Query, Self::Body, Self::Path, Self::Cookie];

    /// The word in definitions and errors.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Query => "query",
            Self::Body => "body",
            Self::Path => "path",
            Self::Cookie => "cookie",
        }
    }
}

/// A host entry: `api.example.com` (https, port 443), `*.example.com`, `host:port`, `http://host:port`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPattern {
    scheme: Scheme,
    wildcard: bool,
    host: String,
    port: u16,
}

/// Why a policy's entry is refused; the text says what to write instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFault {
    /// Not a host entry.
    #[error(
        "a host is written `api.example.com`, `*.example.com`, `host:port` or `http://host:port`"
    )]
    Host,
    /// A wildcard over a whole registry.
    #[error("a wildcard needs a registered domain after `*.`, such as `*.example.com`")]
    Wildcard,
    /// Not a method.
    #[error("a method is upper-case letters, such as `POST`")]
    Method,
    /// Not a path pattern.
    #[error("a path begins with `/`, may hold `*`, and has no query, `..`, `\\` or `%2f`")]
    Path,
}

impl HostPattern {
    /// Reads an entry.
    pub fn parse(text: &str) -> Result<Self, PolicyFault> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(_) => return Err(PolicyFault::Host),
            None => (Scheme::Https, text),
        };
        let (wildcard, rest) = match rest.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let (host, port) = split_port(rest).ok_or(PolicyFault::Host)?;
        let host = canonical_host(host).ok_or(PolicyFault::Host)?;
        let is_name = host.parse::<std::net::IpAddr>().is_err() && !host.starts_with('[');
        if wildcard && (!is_name || !is_registrable(&host)) {
            return Err(PolicyFault::Wildcard);
        }
        Ok(Self { scheme, wildcard, host, port: port.unwrap_or(scheme.default_port()) })
    }

    fn matches(&self, destination: &Destination) -> bool {
        let scheme = self.scheme == destination.scheme
            || self.scheme == Scheme::Https && destination.scheme == Scheme::Tcp;
        scheme && self.port == destination.port && self.matches_host(&destination.host)
    }

    fn matches_host(&self, host: &str) -> bool {
        if !self.wildcard {
            return self.host == host;
        }
        let label = host.strip_suffix(&self.host).and_then(|rest| rest.strip_suffix('.'));
        label.is_some_and(|label| !label.is_empty())
    }

    /// Whether every host of `other` is one of this entry's.
    fn covers(&self, other: &Self) -> bool {
        let same = self.scheme == other.scheme && self.port == other.port;
        let host = self.host == other.host && (self.wildcard == other.wildcard);
        same && (host || (self.wildcard && self.matches_host(&other.host)))
    }
}

impl std::fmt::Display for HostPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.scheme == Scheme::Http {
            f.write_str("http://")?;
        }
        if self.wildcard {
            f.write_str("*.")?;
        }
        f.write_str(&self.host)?;
        if self.port == self.scheme.default_port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Splits `host`, `host:port` and `[v6]:port`.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let after_host = if text.starts_with('[') { text.find(']')? + 1 } else { 0 };
    let Some(colon) = text.get(after_host..)?.find(':') else { return Some((text, None)) };
    let (host, port) = text.split_at(after_host + colon);
    let port = port.get(1..)?.parse().ok().filter(|port| *port != 0)?;
    Some((host, Some(port)))
}

/// Lower-case A-label without trailing dot, or an address literal as URLs write it.
pub fn canonical_host(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let host = url::Host::parse(text).ok()?.to_string();
    (!host.is_empty() && !host.contains("..") && !host.contains('*')).then_some(host)
}

/// Second-level registries under which anybody may register a name; a wildcard over one is refused.
const SHARED_SUFFIXES: &[&str] = &[
    "co.uk", "org.uk", "ac.uk", "gov.uk", "com.au", "net.au", "org.au", "co.nz", "co.jp", "ne.jp",
    "or.jp", "co.kr", "co.in", "com.br", "com.cn", "com.mx", "com.tr", "com.tw", "com.sg",
    "com.hk", "co.za", "github.io", "gitlab.io", "herokuapp.com", "pages.dev", "workers.dev",
    "vercel.app", "netlify.app", "web.app", "firebaseapp.com", "azurewebsites.net",
    "cloudfront.net", "amazonaws.com", "blogspot.com", "ngrok.io", "ngrok.app",
    "trycloudflare.com", "fly.dev", "onrender.com", "appspot.com", "run.app", "azureedge.net",
    "s3.amazonaws.com",
];

fn is_registrable(host: &str) -> bool {
    host.contains('.') && !SHARED_SUFFIXES.contains(&host)
}

/// `pattern` with `*` for any run of characters.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    true
}

/// Whether a path holds a slash or backslash that is percent-encoded, also twice: services read such
/// a path in more than one way, so no pattern says what it is.
fn is_ambiguous(path: &str) -> bool {
    let mut plain = path.to_ascii_lowercase();
    while plain.contains("%25") {
        plain = plain.replace("%25", "%");
    }
    ["%2f", "%5c", "\\"].iter().any(|form| plain.contains(form))
}

/// The binding that is sealed with a credential: where, how and in which part of a request it may go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EgressPolicy {
    hosts: Vec<HostPattern>,
    methods: Vec<String>,
    paths: Vec<String>,
    places: Vec<Place>,
}

/// What of a request lies outside a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// Scheme, host or port.
    Host,
    /// Method.
    Method,
    /// Path.
    Path,
    /// Part of the request.
    Place,
}

impl Outside {
    /// The word in the audit's reason and the error.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Method => "method",
            Self::Path => "path",
            Self::Place => "place",
        }
    }
}

impl EgressPolicy {
    /// Reads the four lists as the API takes them; an empty list does not narrow.
    /// The fault comes with the list's name and the entry's position.
    pub fn parse(
        hosts: &[String],
        methods: &[String],
        paths: &[String],
        places: &[Place],
    ) -> Result<Self, (&'static str, usize, PolicyFault)> {
        let hosts = each("hosts", hosts, HostPattern::parse)?;
        let methods = each("methods", methods, |text| {
            let valid = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase());
            valid.then(|| text.to_owned()).ok_or(PolicyFault::Method)
        })?;
        let paths = each("paths", paths, |text| {
            let lower = text.to_ascii_lowercase();
            let odd = ["..", "\\", "%2f", "%5c", "?", "#", "//"];
            let valid = text.starts_with('/') && !odd.iter().any(|part| lower.contains(part));
            valid.then(|| text.to_owned()).ok_or(PolicyFault::Path)
        })?;
        let mut places = places.to_vec();
        places.sort();
        places.dedup();
        Ok(Self { hosts, methods, paths, places })
    }

    /// A policy that admits nothing.
    pub fn nowhere() -> Self {
        let nobody = HostPattern {
            scheme: Scheme::Https,
            wildcard: false,
            host: "invalid".into(),
            port: 443,
        };
        Self { hosts: vec![nobody], methods: vec![String::new()], ..Self::default() }
    }

    /// Whether the credential is bound to hosts at all.
    pub fn is_bound(&self) -> bool {
        !self.hosts.is_empty()
    }

    /// The four lists, for showing.
    pub fn lists(&self) -> (Vec<String>, &[String], &[String], &[Place]) {
        let hosts = self.hosts.iter().map(ToString::to_string).collect();
        (hosts, &self.methods, &self.paths, &self.places)
    }

    /// Holds a request against the policy. `operator_allows` says that the operator's egress allow
    /// list names the destination, which an unbound credential may then use without TLS.
    pub fn admits(
        &self,
        to: &Destination,
        places: &[Place],
        operator_allows: bool,
    ) -> Result<(), Outside> {
        let host = match self.hosts.is_empty() {
            true => to.scheme != Scheme::Http || operator_allows,
            false => self.hosts.iter().any(|host| host.matches(to)),
        };
        let method = self.methods.is_empty() || self.methods.contains(&to.method);
        let path = self.paths.is_empty()
            || (!is_ambiguous(&to.path) && self.paths.iter().any(|path| glob(path, &to.path)));
        let place = places.iter().all(|place| self.admits_place(*place));
        match (host, method, path, place) {
            (false, ..) => Err(Outside::Host),
            (_, false, ..) => Err(Outside::Method),
            (_, _, false, _) => Err(Outside::Path),
            (.., false) => Err(Outside::Place),
            _ => Ok(()),
        }
    }

    fn admits_place(&self, place: Place) -> bool {
        if self.places.is_empty() {
            return !matches!(place, Place::Path | Place::Cookie);
        }
        self.places.contains(&place)
    }

    /// Whether everything that `other` admits is admitted here too: then a change to it narrows.
    pub fn covers(&self, other: &Self) -> bool {
        let hosts = self.hosts.is_empty()
            || (!other.hosts.is_empty()
                && other.hosts.iter().all(|new| self.hosts.iter().any(|old| old.covers(new))));
        // An unbound credential goes over https only; binding one to plain http widens.
        let plain =
            self.hosts.is_empty() && other.hosts.iter().any(|new| new.scheme == Scheme::Http);
        let methods = self.methods.is_empty()
            || (!other.methods.is_empty()
                && other.methods.iter().all(|new| self.methods.contains(new)));
        let paths = self.paths.is_empty()
            || (!other.paths.is_empty()
                && other.paths.iter().all(|new| self.paths.iter().any(|old| glob(old, new))));
        let all = [Place::Header, Place::Query, Place::Body, Place::Path, Place::Cookie];
        let places =
            all.into_iter().all(|place| self.admits_place(place) || !other.admits_place(place));
        hosts && !plain && methods && paths && places
    }

    /// The bytes whose SHA-256 is bound into the wrap of every version key (docs/sealed-format.md).
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = Columns::default();
        let mut list = |name: &str, mut entries: Vec<String>| {
            entries.sort();
            entries.dedup();
            out.text(name).number(i64::try_from(entries.len()).unwrap_or(i64::MAX));
            entries.iter().for_each(|entry| {
                out.text(entry);
            });
        };
        list("hosts", self.hosts.iter().map(ToString::to_string).collect());
        list("methods", self.methods.clone());
        list("paths", self.paths.clone());
        list("places", self.places.iter().map(|place| place.as_str().to_owned()).collect());
        out.finish().to_vec()
    }
}

fn each<T>(
    name: &'static str,
    entries: &[String],
    read: impl Fn(&str) -> Result<T, PolicyFault>,
) -> Result<Vec<T>, (&'static str, usize, PolicyFault)> {
    let read = |(at, text): (usize, &String)| read(text).map_err(|fault| (name, at, fault));
    entries.iter().enumerate().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    fn policy(hosts: &[&str], methods: &[&str], paths: &[&str], places: &[Place]) -> EgressPolicy {
        EgressPolicy::parse(&strings(hosts), &strings(methods), &strings(paths), places).unwrap()
    }

    fn to(url: &str, method: &str) -> Destination {
        let url = url::Url::parse(url).unwrap();
        let scheme = if url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
        Destination {
            scheme,
            host: url.host_str().unwrap().into(),
            port: url.port_or_known_default().unwrap(),
            method: method.into(),
            path: url.path().into(),
        }
    }

    #[test]
    fn hosts_match_as_written() {
        let check = |entry: &str, url: &str, expected: bool| {
            let found = policy(&[entry], &[], &[], &[]).admits(&to(url, "GET"), &[], false).is_ok();
            assert_eq!(found, expected, "{entry} against {url}");
        };
        check("api.example.com", "https://api.example.com/x", true);
        check("API.Example.com.", "https://api.example.com/x", true);
        check("api.example.com", "http://api.example.com/x", false);
        check("api.example.com", "https://api.example.com:8443/x", false);
        check("api.example.com", "https://api.example.com.evil.org/", false);
        check("*.example.com", "https://a.b.example.com/", true);
        check("*.example.com", "https://example.com/", false);
        check("*.example.com", "https://badexample.com/", false);
        check("example.com:8443", "https://example.com:8443/", true);
        check("http://127.0.0.1:9000", "http://127.0.0.1:9000/", true);
        check("http://127.0.0.1:9000", "https://127.0.0.1:9000/", false);
        check("bücher.example", "https://xn--bcher-kva.example/", true);
        check("http://[::1]:80", "http://[::1]/", true);
    }

    #[test]
    fn entries_that_say_nothing_sensible_are_refused() {
        for entry in [
            "", "*", "*.com", "*.co.uk", "ftp://x.org", "a b", "x.org/p", "*.1.2.3.4", "h:0",
            "user@x.org", "a.*.org", "https://",
        ] {
            assert!(HostPattern::parse(entry).is_err(), "{entry}");
        }
        for path in ["api", "/a/../b", "/a%2Fb", "/a\\b", "/a?b"] {
            let found = EgressPolicy::parse(&[], &[], &strings(&["/ok", path]), &[]);
            assert_eq!(found, Err(("paths", 1, PolicyFault::Path)), "{path}");
        }
        assert!(EgressPolicy::parse(&[], &strings(&["get"]), &[], &[]).is_err());
    }

    #[test]
    fn method_path_and_place_are_held_too() {
        let bound = policy(&["x.org"], &["POST"], &["/api/*", "/one"], &[Place::Header]);
        let admits =
            |url: &str, method: &str, place| bound.admits(&to(url, method), &[place], false);
        assert_eq!(admits("https://x.org/api/v1", "POST", Place::Header), Ok(()));
        assert_eq!(admits("https://x.org/one", "POST", Place::Header), Ok(()));
        assert_eq!(admits("https://x.org/one/two", "POST", Place::Header), Err(Outside::Path));
        for path in ["/api/a%2Fb", "/api/%2fadmin", "/api/a%5Cb", "/api/a%25252fb"] {
            let url = format!("https://x.org{path}");
            assert_eq!(admits(&url, "POST", Place::Header), Err(Outside::Path), "{path}");
            let anywhere = policy(&["x.org"], &[], &[], &[]);
            assert_eq!(anywhere.admits(&to(&url, "GET"), &[], false), Ok(()), "{path}");
        }
        assert_eq!(admits("https://x.org/api/v1", "GET", Place::Header), Err(Outside::Method));
        assert_eq!(admits("https://x.org/api/v1", "POST", Place::Query), Err(Outside::Place));
        assert_eq!(admits("https://y.org/api/v1", "POST", Place::Header), Err(Outside::Host));
    }

    #[test]
    fn an_unbound_credential_goes_to_https_or_where_the_operator_says() {
        let unbound = EgressPolicy::default();
        assert_eq!(unbound.admits(&to("https://any.org/", "GET"), &[Place::Header], false), Ok(()));
        let plain = to("http://127.0.0.1:1/", "GET");
        assert_eq!(unbound.admits(&plain, &[], false), Err(Outside::Host));
        assert_eq!(unbound.admits(&plain, &[], true), Ok(()));
        assert_eq!(unbound.admits(&plain, &[Place::Cookie], true), Err(Outside::Place));
    }

    #[test]
    fn narrowing_is_told_from_widening() {
        let wide = policy(&["*.x.org"], &[], &["/api/*"], &[]);
        let check = |other: EgressPolicy, narrows: bool| {
            assert_eq!(wide.covers(&other), narrows, "{other:?}");
        };
        check(wide.clone(), true);
        check(policy(&["a.x.org"], &["GET"], &["/api/v1/*"], &[Place::Header]), true);
        check(policy(&["*.a.x.org"], &[], &["/api/one"], &[]), true);
        check(policy(&[], &[], &["/api/*"], &[]), false);
        check(policy(&["x.org"], &[], &["/api/*"], &[]), false);
        check(policy(&["a.x.org:8443"], &[], &["/api/*"], &[]), false);
        check(policy(&["a.x.org"], &[], &[], &[]), false);
        check(policy(&["a.x.org"], &[], &["/api*"], &[]), false);
        check(policy(&["a.x.org"], &[], &["/api/*"], &[Place::Cookie]), false);
        assert!(EgressPolicy::default().covers(&wide));
        assert!(!EgressPolicy::default().covers(&policy(&["http://x.org"], &[], &[], &[])));
    }

    #[test]
    fn the_canonical_form_ignores_order_only() {
        let a = policy(&["a.org", "b.org"], &["GET", "POST"], &[], &[]);
        let b = policy(&["b.org", "a.org"], &["POST", "GET"], &[], &[]);
        assert_eq!(a.canonical(), b.canonical());
        assert_ne!(a.canonical(), policy(&["a.org"], &["GET", "POST"], &[], &[]).canonical());
    }
}
