//! The cookie of a session, and what a write by cookie must bring beside it: the session's CSRF
//! token, and no other origin than the server's own.

use crate::auth::{By, Presented};
use crate::problem::Problem;
use crate::router::Api;
use data_encoding::BASE64URL_NOPAD;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use keyward_model::people::SESSION_MILLIS;
use keyward_vault::{NewToken, TokenKind};
use url::Url;

/// The session's cookie.
const SESSION: &str = "keyward";
const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");

/// The cookie's name: the browser holds `__Host-` to https, this host and the whole path.
fn name(public_url: &str, plain: &str) -> String {
    if is_https(public_url) { format!("__Host-{plain}") } else { plain.to_owned() }
}

fn is_https(public_url: &str) -> bool {
    public_url.starts_with("https://")
}

/// The token in the request's cookie.
pub(crate) fn token<'a>(api: &Api, headers: &'a HeaderMap) -> Option<&'a str> {
    find(api, SESSION, headers)
}

/// What the cookie of that plain name holds.
pub(crate) fn find<'a>(api: &Api, plain: &str, headers: &'a HeaderMap) -> Option<&'a str> {
    let name = name(api.public_url(), plain);
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(found, _)| found.trim() == name).map(|(_, value)| value.trim())
}

/// The header that gives a browser its session.
pub(crate) fn set(api: &Api, token: &NewToken) -> HeaderValue {
    header(api.public_url(), SESSION, token.reveal(), SESSION_MILLIS / 1000)
}

/// The header that takes it away.
pub(crate) fn clear(api: &Api) -> HeaderValue {
    header(api.public_url(), SESSION, "", 0)
}

/// The header that gives a browser another cookie, for so many seconds; its value is visible ASCII.
pub(crate) fn named(api: &Api, plain: &str, value: &str, max_age: i64) -> HeaderValue {
    header(api.public_url(), plain, value, max_age)
}

fn header(public_url: &str, plain: &str, value: &str, max_age: i64) -> HeaderValue {
    let name = name(public_url, plain);
    let secure = if is_https(public_url) { " Secure;" } else { "" };
    let text = format!("{name}={value};{secure} HttpOnly; SameSite=Lax; Path=/; Max-Age={max_age}");
    // Made of visible ASCII alone.
    let mut header = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
    header.set_sensitive(true);
    header
}

/// What writes of the session with that token send in `X-CSRF-Token`; kept nowhere.
pub(crate) fn csrf(api: &Api, token: &str) -> String {
    BASE64URL_NOPAD.encode(&api.vault().token_hash(TokenKind::Csrf, token))
}

/// Fails where a write by cookie lacks its CSRF token or comes from another origin.
pub(crate) fn check_write(api: &Api, parts: &Parts, with: &Presented) -> Result<(), Problem> {
    let By::Session(_, expected) = &with.by else { return Ok(()) };
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    check_origin(api, &parts.headers)?;
    let sent = parts.headers.get(&CSRF).map_or(&[][..], HeaderValue::as_bytes);
    if !same(sent, expected.as_bytes()) {
        let detail = "a write by cookie sends the session's `csrf_token` as `X-CSRF-Token`";
        return Err(Problem::new("forbidden", detail));
    }
    Ok(())
}

/// Fails where a browser says that another site's page sent the request.
pub(crate) fn check_origin(api: &Api, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    if origin.to_str().is_ok_and(|origin| is_own(api.public_url(), origin)) {
        return Ok(());
    }
    let detail = "the page that asks lies under another address than the server's public URL \
                  (`KEYWARD_PUBLIC_URL`)";
    Err(Problem::new("forbidden", detail))
}

/// The same scheme, host and port; this machine may go by another of its names.
fn is_own(public_url: &str, origin: &str) -> bool {
    let (Ok(own), Ok(sent)) = (Url::parse(public_url), Url::parse(origin)) else { return false };
    let loopback = |url: &Url| matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    own.origin() == sent.origin()
        || loopback(&own)
            && loopback(&sent)
            && own.scheme() == sent.scheme()
            && own.port_or_known_default() == sent.port_or_known_default()
}

/// Compares in constant time for texts of the same length.
fn same(sent: &[u8], expected: &[u8]) -> bool {
    let difference = sent.iter().zip(expected).fold(0, |seen, (a, b)| seen | (a ^ b));
    sent.len() == expected.len() && difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_fits_the_public_url() {
        let check = |url: &str, expected: &str| {
            assert_eq!(
                header(url, SESSION, "kwc_x", 60).to_str().expect("text"),
                expected,
                "{url}"
            );
        };
        check(
            "https://keyward.example.com",
            "__Host-keyward=kwc_x; Secure; HttpOnly; SameSite=Lax; Path=/; Max-Age=60",
        );
        check("http://127.0.0.1:7411", "keyward=kwc_x; HttpOnly; SameSite=Lax; Path=/; Max-Age=60");
    }

    #[test]
    fn only_the_server_is_its_own_origin() {
        let check = |url: &str, origin: &str, expected: bool| {
            assert_eq!(is_own(url, origin), expected, "{origin} at {url}");
        };
        let (public, local) = ("https://keyward.example.com", "http://127.0.0.1:7411");
        check(public, "https://keyward.example.com", true);
        check(public, "https://keyward.example.com:443", true);
        check("https://keyward.example.com/base", "https://keyward.example.com", true);
        check(public, "http://keyward.example.com", false);
        check(public, "https://keyward.example.com:8443", false);
        check(public, "https://example.com", false);
        check(public, "https://keyward.example.com.evil.example", false);
        check(public, "null", false);
        check(public, "", false);
        check(local, "http://127.0.0.1:7411", true);
        check(local, "http://localhost:7411", true);
        check(local, "http://[::1]:7411", true);
        check(local, "http://localhost:3000", false);
        check(local, "http://127.0.0.2:7411", false);
        check(public, "https://localhost", false);
    }

    #[test]
    fn only_the_whole_token_is_the_same() {
        assert!(same(b"abc", b"abc"));
        for wrong in [&b""[..], b"ab", b"abcd", b"abd"] {
            assert!(!same(wrong, b"abc"), "{wrong:?}");
        }
    }
}
