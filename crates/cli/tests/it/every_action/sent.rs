//! Holding what arrived against what must arrive.

use super::subject::{Expected, Subject};
use data_encoding::BASE64;
use keyward_testkit::echo::Received;
use keyward_testkit::vendors;
use serde_json::Value;
use std::collections::BTreeSet;
use url::form_urlencoded;

/// Headers that HTTP itself needs, that every request has, or that a signature covers.
const ALWAYS: [&str; 7] = [
    "host", "user-agent", "accept-encoding", "content-length", "idempotency-key", "x-amz-date",
    "x-amz-content-sha256",
];

/// Fails unless these requests arrived, no other, and each as its vendor describes it.
#[track_caller]
pub fn check(subject: &Subject, arrived: &[Received], expected: &[Expected], at: &str) {
    let told = arrived.iter().map(|r| format!("{} {}{}", r.method, r.host(), r.path()));
    let told: Vec<_> = told.collect();
    assert_eq!(arrived.len(), expected.len(), "{at}: {told:?}");
    for (received, expected) in arrived.iter().zip(expected) {
        same(received, expected, at);
        let described = subject.description.as_ref();
        let faults = described.map(|known| vendors::check(known, received)).unwrap_or_default();
        // Descriptions that are kept here may know only some of an app's requests.
        let unknown = format!("{}{} is not described", received.host(), received.path());
        let faults: Vec<_> = faults.iter().filter(|fault| !fault.starts_with(&unknown)).collect();
        assert!(faults.is_empty(), "{at}: {faults:?}");
    }
}

#[track_caller]
fn same(received: &Received, expected: &Expected, at: &str) {
    let url = &expected.url;
    let target = (received.method.as_str(), received.host(), received.path());
    let host = url.host_str().expect("a host");
    assert_eq!(target, (expected.method.as_str(), host, url.path()), "{at}");
    let sent: Vec<_> = form_urlencoded::parse(received.query().as_bytes()).collect();
    assert_eq!(sent, url.query_pairs().collect::<Vec<_>>(), "{at}: the query");
    headers(received, expected, at);
    let (kind, body) = (received.header("content-type").unwrap_or_default(), &expected.body);
    let body_is_right = match body {
        Value::Null => received.body.is_empty(),
        Value::Array(pairs) if kind.contains("form") => {
            let sent = form_urlencoded::parse(&received.body);
            let sent = sent.map(|(name, value)| Value::from(format!("{name}={value}")));
            sent.eq(pairs.iter().cloned())
        }
        Value::String(size) => *size == format!("{} bytes", received.body.len()),
        json => received.json() == *json,
    };
    assert!(body_is_right, "{at}: {}\nis not {body}", received.text());
}

#[track_caller]
fn headers(received: &Received, expected: &Expected, at: &str) {
    for (name, value) in &expected.headers {
        let sent = received.header(name).unwrap_or_default();
        let signed = value.strip_prefix("AWS4-HMAC-SHA256 of ");
        let fits = match (signed, value.strip_prefix("Basic base64(")) {
            (Some(signed), _) => is_signed(sent, signed),
            (_, Some(pair)) => {
                let pair = pair.trim_end_matches(')');
                sent == format!("Basic {}", BASE64.encode(pair.as_bytes()))
            }
            _ => sent == value,
        };
        assert!(fits, "{at}: {name}: {sent}\nis not {value}");
    }
    let lower = |name: &String| name.to_ascii_lowercase();
    let known: BTreeSet<_> = expected.headers.iter().map(|(name, _)| lower(name)).collect();
    let others = received.headers.iter().map(|(name, _)| lower(name));
    let others = others.filter(|name| !known.contains(name) && !ALWAYS.contains(&name.as_str()));
    assert_eq!(others.collect::<Vec<_>>(), [""; 0], "{at}: further headers");
}

/// `<key> for <service> in <region>`; whether the signature is right, a server that checks them tells
/// in another test.
fn is_signed(sent: &str, told: &str) -> bool {
    let mut words = told.split(' ');
    let (key, service, region) = (words.next(), words.nth(1), words.nth(1));
    let scope = format!("/{}/{}/aws4_request", region.unwrap_or("?"), service.unwrap_or("?"));
    let key = format!("AWS4-HMAC-SHA256 Credential={}/", key.unwrap_or("?"));
    sent.starts_with(&key) && sent.contains(&scope)
}
