//! Single sign-on: what an ID token must say to be believed, what roles its claims give, and where
//! a browser may be sent afterwards.

mod claims;
mod mapping;
mod membership;

pub use claims::{Claims, Expected, Identity, Refused, check};
pub use mapping::{Mapping, MappingError, Verdict};
pub use membership::{Change, change};

/// The longest path that a browser is sent back to.
const MAX_RETURN: usize = 1000;

/// The path that a browser may be sent to after signing in: one of this server, or `None`.
///
/// It begins with one slash, and holds nothing that a browser would read as another host: no second
/// slash in a row, no backslash, no space or control character.
pub fn return_path(asked: &str) -> Option<&str> {
    let path = asked.split(['?', '#']).next().unwrap_or_default();
    let plain = asked.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let local = path.starts_with('/') && !path.contains("//");
    (plain && local && asked.len() <= MAX_RETURN).then_some(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_sent_to_this_server_alone() {
        let check = |asked: &str, allowed: bool| {
            assert_eq!(return_path(asked), allowed.then_some(asked), "{asked:?}");
        };
        check("/", true);
        check("/w/default/runs?status=failed&x=//y#top", true);
        check("/%2f%2fevil.example", true);
        check("/a@evil.example", true);
        for outside in [
            "", "//evil.example", "///evil.example", "/\\evil.example", "\\/evil.example",
            "https://evil.example/", "https:evil.example", "javascript:alert(1)", "evil.example",
            "/\t/evil.example", "/\n/evil.example", " //evil.example", "/ /evil.example", "?/",
            "#/", "/..//evil.example", "/a\r\nSet-Cookie: x=y", "/ünlaut", "/a\\b", "/\u{0}",
        ] {
            check(outside, false);
        }
        check(&format!("/{}", "a".repeat(MAX_RETURN - 1)), true);
        check(&format!("/{}", "a".repeat(MAX_RETURN)), false);
    }
}
