//! Finds every placeholder of a request, in whatever form, before anything is looked up or sent.

use super::Outgoing;
use crate::placeholder::{Found, Known};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_egress::Draft;
use keyward_model::destination::Place;
use std::io::Read as _;

/// The most that a compressed body is inflated for searching.
const MAX_INFLATED: u64 = 16 << 20;

/// A placeholder that may be filled where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Its number in the step's list.
    pub(crate) number: usize,
    /// Where it stands.
    pub(crate) place: Place,
}

/// Why a request with placeholders is not sent: a fixed word and what to do instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotHere {
    pub(crate) reason: &'static str,
    pub(crate) hint: &'static str,
}

const ALTERED: NotHere = NotHere {
    reason: "placeholder_altered",
    hint: "a sealed value works whole; cut, split or changed it stands for nothing",
};
const UNKNOWN: NotHere = NotHere {
    reason: "placeholder_unknown",
    hint: "this sealed value belongs to another run, or the step does not name its credential",
};
const ENCODED: NotHere = NotHere {
    reason: "placeholder_encoded",
    hint: "a sealed value cannot be filled inside an encoding; use credential.base64(\"KEY\"), \
           credential.basic(\"KEY\") or credential.hmac(\"KEY\", message)",
};

fn never(reason: &'static str) -> NotHere {
    NotHere { reason, hint: "a sealed value goes into a header's value, the query or the body" }
}

/// Looks through the parts in which a secret never stands, as the step wrote them.
pub(crate) fn scan_written(written: &Outgoing, known: &Known) -> Result<(), NotHere> {
    let clean = |text: &str| {
        known.search(text.as_bytes()).is_empty() && !known.search_encoded(text.as_bytes())
    };
    if !clean(&written.method) {
        return Err(never("method"));
    }
    let after_scheme = written.url.split_once("://").map_or(written.url.as_str(), |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    if !clean(authority) {
        let hint = "a sealed value is never part of a URL's user, host or port; for HTTP Basic use \
                    the Authorization header or credential.basic(\"KEY\")";
        return Err(NotHere { reason: "userinfo_or_host", hint });
    }
    if written.url.split_once('#').is_some_and(|(_, fragment)| !clean(fragment)) {
        return Err(never("fragment"));
    }
    for (name, _) in &written.headers {
        if !clean(name) {
            return Err(never("header_name"));
        }
    }
    Ok(())
}

/// Finds what is to be filled in the canonical request; anything that cannot be is an error.
pub(crate) fn scan(draft: &Draft, known: &Known) -> Result<Vec<Hit>, NotHere> {
    let mut hits = Vec::new();
    let (path, query) = split_target(draft.path_and_query());
    text(known, path.as_bytes(), Place::Path, &mut hits)?;
    text(known, query.as_bytes(), Place::Query, &mut hits)?;
    for (_, value) in draft.dropped() {
        text(known, value.as_bytes(), Place::Header, &mut Vec::new())?;
        if !known.search(value.as_bytes()).is_empty() {
            return Err(never("connection_header"));
        }
    }
    for (name, value) in draft.headers() {
        let value = value.as_bytes();
        let place = if name == "cookie" { Place::Cookie } else { Place::Header };
        match basic_payload(name.as_str(), value) {
            Some(decoded) if known.search(value).is_empty() => {
                text(known, &decoded, place, &mut hits)?;
            }
            _ => text(known, value, place, &mut hits)?,
        }
    }
    body(draft, known, &mut hits)?;
    Ok(hits)
}

/// Path and query of `path?query`, the query without its question mark.
pub(crate) fn split_target(path_and_query: &str) -> (&str, &str) {
    path_and_query.split_once('?').unwrap_or((path_and_query, ""))
}

/// `user:password` of an `Authorization: Basic` header's value.
pub(crate) fn basic_payload(name: &str, value: &[u8]) -> Option<Vec<u8>> {
    let value = std::str::from_utf8(value).ok().filter(|_| name == "authorization")?;
    let (scheme, encoded) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()).ok())?
}

fn body(draft: &Draft, known: &Known, hits: &mut Vec<Hit>) -> Result<(), NotHere> {
    let body = draft.body();
    let encoded = draft.headers().iter().any(|(name, _)| name == "content-encoding");
    let is_gzip = body.starts_with(&[0x1f, 0x8b]);
    if !encoded && !is_gzip {
        return text(known, body, Place::Body, hits);
    }
    let mut found = Vec::new();
    text(known, body, Place::Body, &mut found)?;
    if !found.is_empty() || inflated(body).is_some_and(|plain| !known.search(&plain).is_empty()) {
        return Err(ENCODED);
    }
    Ok(())
}

fn inflated(body: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let gzip = flate2::read::MultiGzDecoder::new(body).take(MAX_INFLATED).read_to_end(&mut plain);
    if gzip.is_err() {
        plain.clear();
        flate2::read::ZlibDecoder::new(body).take(MAX_INFLATED).read_to_end(&mut plain).ok()?;
    }
    Some(plain)
}

/// Searches one text: whole placeholders become hits, everything else that reminds of one is refused.
fn text(known: &Known, text: &[u8], place: Place, hits: &mut Vec<Hit>) -> Result<(), NotHere> {
    for found in known.search(text) {
        match found {
            Found::Whole { number, .. } => hits.push(Hit { number, place }),
            Found::Unknown => return Err(UNKNOWN),
            Found::Damaged => return Err(ALTERED),
        }
    }
    // Whole ones taken out, an encoded one beside them is still seen: it is in its own run of characters.
    if !known.is_empty() && known.search_encoded(&without_whole(known, text)) {
        return Err(ENCODED);
    }
    Ok(())
}

fn without_whole(known: &Known, text: &[u8]) -> Vec<u8> {
    let mut copy = text.to_vec();
    for found in known.search(text) {
        let Found::Whole { at, .. } = found else { continue };
        if let Some(slots) = copy.get_mut(at..at + crate::placeholder::LENGTH) {
            slots.fill(b' ');
        }
    }
    copy
}
