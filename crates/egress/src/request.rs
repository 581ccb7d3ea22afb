//! A request that is ready to be sent: made from a draft, read by nobody, wiped when it is dropped.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};
use http_body_util::Full;
use zeroize::Zeroizing;

use crate::destination::Destination;
use crate::draft::{self, Draft, MAX_REQUEST_HEADERS};
use crate::error::{EgressError, Invalid};

/// Ready to be sent. It has no accessor, no `Debug` and no `Clone`.
///
/// Filled values live in buffers that are wiped when the last holder, also inside hyper, lets go.
/// The copies in write buffers, in HPACK's and in TLS's cannot be wiped.
pub struct Request {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
    destination: Arc<Destination>,
}

/// What takes the place of the draft's parts. What is `None`, or not named, stays as it was drafted.
#[derive(Default)]
pub struct Filled {
    /// Path and query, percent-encoded, beginning with `/`.
    pub path_and_query: Option<Zeroizing<String>>,
    /// Headers that replace all of the same name, or are added.
    pub headers: Vec<(HeaderName, Zeroizing<Vec<u8>>)>,
    /// The body.
    pub body: Option<Zeroizing<Vec<u8>>>,
}

impl Draft {
    /// Makes the request with secrets in place. Scheme, host, port and method stay the draft's.
    ///
    /// # Errors
    /// [`Invalid::HeaderValue`] for a value with CR, LF, NUL or another control character,
    /// [`Invalid::ConnectionHeader`] for `Host`, `Content-Length` and hop-by-hop headers,
    /// [`Invalid::Path`] where the filled path has other segments than the drafted one,
    /// [`Invalid::Target`] where it cannot be sent.
    pub fn fill(&self, filled: Filled) -> Result<Request, EgressError> {
        let uri = match filled.path_and_query {
            Some(path_and_query) => self.filled_uri(path_and_query)?,
            None => self.uri.clone(),
        };
        let secret = filled
            .headers
            .into_iter()
            .map(|(name, value)| Ok((name.clone(), secret_header(&name, value)?)))
            .collect::<Result<Vec<_>, Invalid>>()?;
        if self.headers.len() + secret.len() > MAX_REQUEST_HEADERS {
            return Err(Invalid::Headers.into());
        }
        let drafted = self.headers.iter();
        let kept = drafted.filter(|(name, _)| !secret.iter().any(|(filled, _)| filled == name));
        let headers = header_map(kept.chain(&secret));
        let body = match filled.body {
            Some(body) => Bytes::from_owner(body),
            None => self.body.clone(),
        };
        Ok(self.request(uri, headers, body))
    }

    /// Makes the request as it was drafted, where it needs no secret.
    #[must_use]
    pub fn plain(&self) -> Request {
        self.request(self.uri.clone(), header_map(self.headers.iter()), self.body.clone())
    }

    fn filled_uri(&self, filled: Zeroizing<String>) -> Result<Uri, Invalid> {
        // Anything but visible ASCII would be re-encoded or end the path.
        if !filled.starts_with('/') || !filled.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
            return Err(Invalid::Target);
        }
        let path = filled.split('?').next().unwrap_or_default();
        if !same_segments(self.url.path(), path) {
            return Err(Invalid::Path);
        }
        draft::to_uri(&self.destination, Bytes::from_owner(filled))
    }

    fn request(&self, uri: Uri, mut headers: HeaderMap, body: Bytes) -> Request {
        let gzip = HeaderValue::from_static("gzip");
        headers.entry(header::ACCEPT_ENCODING).or_insert(gzip);
        headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static("keyward"));
        if body.is_empty() && [Method::POST, Method::PUT, Method::PATCH].contains(&self.method) {
            // RFC 9110 section 8.6: a method with a body says so also where it is empty.
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let destination = Arc::clone(&self.destination);
        Request { method: self.method.clone(), uri, headers, body, destination }
    }
}

impl Request {
    pub(crate) fn destination(&self) -> &Arc<Destination> {
        &self.destination
    }

    pub(crate) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    pub(crate) fn into_http(self) -> http::Request<Full<Bytes>> {
        let mut request = http::Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request
    }
}

fn secret_header(name: &HeaderName, value: Zeroizing<Vec<u8>>) -> Result<HeaderValue, Invalid> {
    if *name == header::UPGRADE || draft::is_dropped(name) {
        return Err(Invalid::ConnectionHeader);
    }
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(value))
        .map_err(|_| Invalid::HeaderValue)?;
    value.set_sensitive(true);
    Ok(value)
}

fn header_map<'a>(headers: impl Iterator<Item = &'a (HeaderName, HeaderValue)>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name.clone(), value.clone());
    }
    map
}

/// Whether a filled path has the drafted one's segments, none of which is empty, a step up or a slash.
fn same_segments(drafted: &str, filled: &str) -> bool {
    if drafted == filled {
        return true;
    }
    let count = |path: &str| path.split('/').count();
    let mut pairs = drafted.split('/').zip(filled.split('/'));
    count(drafted) == count(filled)
        && pairs.all(|(before, after)| before == after || is_plain_segment(after))
}

fn is_plain_segment(segment: &str) -> bool {
    let lower = segment.to_ascii_lowercase();
    let dots = lower.replace("%2e", ".");
    let steps = ["", ".", ".."].contains(&dots.as_str());
    !steps && !["%2f", "%5c", "\\"].iter().any(|slash| lower.contains(slash))
}
