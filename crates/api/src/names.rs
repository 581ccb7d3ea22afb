//! Names and addresses that people give: what may stand in them.

use keyward_model::json::Fault;
use keyward_model::people::MIN_PASSWORD;

/// The most characters of a name that people read.
const MAX_NAME: usize = 100;
/// The longest e-mail address (RFC 5321 §4.5.3.1.3, without its brackets).
const MAX_EMAIL: usize = 254;

/// A name without the space around it.
pub(crate) fn name(pointer: &str, text: &str) -> Result<String, Fault> {
    let text = text.trim();
    let length = text.chars().count();
    if length == 0 || length > MAX_NAME || text.chars().any(char::is_control) {
        let detail = format!("needs 1 to {MAX_NAME} characters and no control characters");
        return Err(Fault::new(pointer, "invalid_value", detail));
    }
    Ok(text.to_owned())
}

/// Fails where a new password of so many bytes is too short.
pub(crate) fn password(pointer: &str, length: usize) -> Result<(), Fault> {
    if length < MIN_PASSWORD {
        let detail = format!("needs at least {MIN_PASSWORD} characters");
        return Err(Fault::new(pointer, "invalid_value", detail));
    }
    Ok(())
}

/// An e-mail address in lower case; whether mail arrives there only mail can tell.
pub(crate) fn email(pointer: &str, text: &str) -> Result<String, Fault> {
    let text = text.trim();
    let odd = |c: char| c.is_whitespace() || c.is_control();
    let right = text.len() <= MAX_EMAIL
        && !text.contains(odd)
        && text.rsplit_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !local.contains('@') && !domain.is_empty()
        });
    if !right {
        return Err(Fault::new(pointer, "invalid_value", "must be an e-mail address"));
    }
    Ok(text.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(name("/name", text).ok().as_deref(), expected, "{text:?}");
        };
        check(" CI of Zoë ", Some("CI of Zoë"));
        check("", None);
        check("   ", None);
        check("a\nb", None);
        check("a\u{7f}", None);
        check(&"ö".repeat(100), Some(&"ö".repeat(100)));
        check(&"a".repeat(101), None);
    }

    #[test]
    fn addresses_have_two_parts() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(email("/email", text).ok().as_deref(), expected, "{text:?}");
        };
        check(" Ada@Example.com ", Some("ada@example.com"));
        check("ada@localhost", Some("ada@localhost"));
        check("ada", None);
        check("@example.com", None);
        check("ada@", None);
        check("a@b@c", None);
        check("a b@c", None);
        check(&format!("{}@c", "a".repeat(254)), None);
    }
}
