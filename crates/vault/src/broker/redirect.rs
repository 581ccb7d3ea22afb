//! What a redirect turns a request into (RFC 9110 §15.4; the Fetch standard's HTTP-redirect fetch):
//! always from the unsubstituted original, and without what held a secret where the origin changes.

use super::Outgoing;
use bytes::Bytes;
use keyward_egress::{Draft, Response};

/// What follows an answer.
pub(super) enum Next {
    /// It is the answer.
    Answer,
    /// A new request, through all checks again.
    Follow(Box<Outgoing>),
    /// It must not be followed; the reason is for people.
    Stop(&'static str),
}

/// Where an answer leads, as the service wrote it.
pub(super) fn location(response: &Response) -> Option<&[u8]> {
    let found = response.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("location"));
    found.map(|(_, value)| value.as_slice())
}

/// Decides on a response, given with its location, in which sealed values stand again where the
/// service wrote secrets: they go on only as any other, through all checks.
/// `substituted`: the hop carried secrets. `secret`: a text holds a placeholder.
pub(super) fn next(
    request: &Outgoing,
    draft: &Draft,
    (response, location): (&Response, Option<Vec<u8>>),
    substituted: bool,
    secret: impl Fn(&[u8]) -> bool,
) -> Next {
    if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
        return Next::Answer;
    }
    let location = location.as_deref().and_then(|value| std::str::from_utf8(value).ok());
    let Some(target) = location.and_then(|text| draft.url().join(text).ok()) else {
        return Next::Answer;
    };
    if draft.url().scheme() == "https" && target.scheme() != "https" {
        return Next::Stop("it leads from https to a destination without TLS");
    }
    let same_origin = draft.url().origin() == target.origin();
    let mut next = Outgoing { url: target.into(), ..request.clone() };
    let becomes_get = response.status == 303 && request.method != "HEAD"
        || matches!(response.status, 301 | 302) && request.method.eq_ignore_ascii_case("POST");
    if becomes_get {
        next.method = "GET".into();
        next.body = Bytes::new();
        next.headers.retain(|(name, _)| !name.to_ascii_lowercase().starts_with("content-"));
    }
    if !same_origin {
        if substituted && secret(&next.body) {
            return Next::Stop("it would carry a body with a secret to another host");
        }
        next.headers.retain(|(name, value)| !is_personal(name) && !holds(&secret, name, value));
        // An authority of one's own is trusted for one's own service.
        next.roots = None;
    }
    Next::Follow(Box::new(next))
}

/// Headers that speak for the sender, dropped towards another origin whatever they hold.
fn is_personal(name: &str) -> bool {
    ["authorization", "cookie", "proxy-authorization"]
        .iter()
        .any(|personal| name.eq_ignore_ascii_case(personal))
}

fn holds(secret: &impl Fn(&[u8]) -> bool, name: &str, value: &[u8]) -> bool {
    let inside = super::scan::basic_payload(&name.to_ascii_lowercase(), value);
    secret(value) || inside.is_some_and(|inside| secret(&inside))
}
