//! What a step asks to have sent, readable, before any secret is in it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Uri};
use url::Url;

use crate::destination::Destination;
use crate::error::{EgressError, Invalid};

/// A checked request in canonical form: this is what a policy looks at.
#[derive(Clone)]
pub struct Draft {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) uri: Uri,
    pub(crate) destination: Arc<Destination>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
    dropped: Vec<(HeaderName, HeaderValue)>,
}

/// Headers of the connection (RFC 9110 section 7.6.1) and those we compute; asked for, they are not sent.
const DROPPED: &[&str] = &[
    "connection", "content-length", "expect", "host", "http2-settings", "keep-alive",
    "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding",
];

/// More headers than any service takes; keeps the header map far from its own limit.
pub(crate) const MAX_REQUEST_HEADERS: usize = 1000;

impl Draft {
    /// Reads a request. Headers keep their order; `Content-Length`, a `Host` equal to the URL's and
    /// hop-by-hop headers are taken out (see [`Draft::dropped`]).
    ///
    /// The URL is read as browsers do (WHATWG), but `\`, user names and passwords are refused and a
    /// host's trailing dot goes. Methods that differ from a common one only in case become it.
    ///
    /// # Errors
    /// [`EgressError::Invalid`] with the rule that is broken.
    pub fn parse<N: AsRef<str>, V: AsRef<[u8]>>(
        method: &str,
        url: &str,
        headers: impl IntoIterator<Item = (N, V)>,
        body: Bytes,
    ) -> Result<Self, EgressError> {
        let method = parse_method(method)?;
        let (url, destination) = parse_url(url)?;
        let uri = to_uri(&destination, Bytes::copy_from_slice(path_and_query(&url).as_bytes()))?;
        let mut kept = Vec::new();
        let mut dropped = Vec::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_ref().as_bytes())
                .map_err(|_| Invalid::HeaderName)?;
            let value =
                HeaderValue::from_bytes(trim(value.as_ref())).map_err(|_| Invalid::HeaderValue)?;
            if name == header::UPGRADE {
                return Err(Invalid::ConnectionHeader.into());
            }
            if name == header::HOST && !is_host_of(&value, &destination) {
                return Err(Invalid::Host.into());
            }
            let list = if is_dropped(&name) { &mut dropped } else { &mut kept };
            list.push((name, value));
        }
        if kept.len() > MAX_REQUEST_HEADERS {
            return Err(Invalid::Headers.into());
        }
        let destination = Arc::new(destination);
        Ok(Self { method, url, uri, destination, headers: kept, body, dropped })
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The URL as parsed, with its query, and its fragment, which is never sent.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Path and query as they would be sent, percent-encoded.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        path_and_query(&self.url)
    }

    /// Where it goes.
    #[must_use]
    pub fn destination(&self) -> &Arc<Destination> {
        &self.destination
    }

    /// The headers that will be sent, in order, names in lower case.
    #[must_use]
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// The headers that were asked for and will not be sent.
    #[must_use]
    pub fn dropped(&self) -> &[(HeaderName, HeaderValue)] {
        &self.dropped
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

/// Shows method and destination; headers, query and body may hold what somebody pasted.
impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Draft({} {})", self.method, self.destination)
    }
}

/// Whether a header belongs to the connection or is computed, and so is never taken from outside.
pub(crate) fn is_dropped(name: &HeaderName) -> bool {
    DROPPED.contains(&name.as_str())
}

/// The URI that hyper sends. Path and query are taken over without a copy.
pub(crate) fn to_uri(destination: &Destination, path_and_query: Bytes) -> Result<Uri, Invalid> {
    let path_and_query =
        http::uri::PathAndQuery::from_maybe_shared(path_and_query).map_err(|_| Invalid::Target)?;
    Uri::builder()
        .scheme(destination.scheme().as_str())
        .authority(destination.authority())
        .path_and_query(path_and_query)
        .build()
        .map_err(|_| Invalid::Url)
}

fn parse_method(written: &str) -> Result<Method, Invalid> {
    const COMMON: [Method; 7] = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
    ];
    if let Some(method) =
        COMMON.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(written))
    {
        return Ok(method);
    }
    // CONNECT asks for a tunnel past the guard; TRACE echoes headers (as fetch forbids them).
    if ["CONNECT", "TRACE", "TRACK"].iter().any(|no| no.eq_ignore_ascii_case(written)) {
        return Err(Invalid::Method);
    }
    Method::from_bytes(written.as_bytes()).map_err(|_| Invalid::Method)
}

fn parse_url(written: &str) -> Result<(Url, Destination), Invalid> {
    let written = written.trim_matches(|c: char| c <= ' ');
    if written.contains(|c: char| c < ' ' || c == '\u{7f}') {
        return Err(Invalid::Url);
    }
    let (scheme, rest) = written.split_once(':').ok_or(Invalid::Url)?;
    if !["http", "https"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        return Err(Invalid::Scheme);
    }
    let hierarchy = rest.split(['?', '#']).next().unwrap_or_default();
    if hierarchy.contains('\\') {
        return Err(Invalid::Backslash);
    }
    let after_slashes = hierarchy.strip_prefix("//").ok_or(Invalid::Url)?;
    let (authority, path) = match after_slashes.find('/') {
        Some(slash) => after_slashes.split_at(slash),
        None => (after_slashes, ""),
    };
    if authority.contains('@') {
        return Err(Invalid::Userinfo);
    }
    if authority.is_empty() {
        return Err(Invalid::Url);
    }
    let mut url = Url::parse(written).map_err(|_| Invalid::Url)?;
    drop_trailing_dot(&mut url)?;
    let destination = Destination::of(&url, path)?;
    Ok((url, destination))
}

fn drop_trailing_dot(url: &mut Url) -> Result<(), Invalid> {
    let Some(host) = url.host_str().and_then(|host| host.strip_suffix('.')) else {
        return Ok(());
    };
    let host = host.to_owned();
    if host.is_empty() || host.ends_with('.') {
        return Err(Invalid::Url);
    }
    url.set_host(Some(&host)).map_err(|_| Invalid::Url)
}

fn path_and_query(url: &Url) -> &str {
    // Positions are boundaries of the URL's own text.
    &url[url::Position::BeforePath..url::Position::AfterQuery]
}

/// Without the white space that RFC 9110 section 5.5 takes off a field value; line breaks stay.
fn trim(value: &[u8]) -> &[u8] {
    let inside = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let start = value.iter().position(inside).unwrap_or(value.len());
    let end = value.iter().rposition(inside).map_or(start, |last| last + 1);
    value.get(start..end).unwrap_or_default()
}

fn is_host_of(value: &HeaderValue, destination: &Destination) -> bool {
    let Ok(value) = value.to_str() else {
        return false;
    };
    let with_port = format!("{}:{}", destination.host(), destination.port());
    value.eq_ignore_ascii_case(&destination.authority()) || value.eq_ignore_ascii_case(&with_port)
}
