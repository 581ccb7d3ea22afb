//! What else to look for when a value has parts: leaves of JSON, lines of PEM, segments of a JWT.

use serde_json::Value;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// A value inside a value, or another way of writing the whole.
pub(super) struct Composite {
    /// Other spellings of the whole, looked for uncut.
    pub(super) wholes: Vec<Zeroizing<String>>,
    /// The parts, each a value of its own.
    pub(super) parts: Vec<Zeroizing<String>>,
}

/// Takes a value apart; none when it is a plain one.
pub(super) fn composite(value: &str) -> Option<Composite> {
    json(value).or_else(|| pem(value)).or_else(|| jwt(value))
}

/// The ways in which the same text may be spelled: normal forms and, beyond ASCII, cases.
pub(super) fn spellings(value: &str) -> Vec<Zeroizing<String>> {
    let mut out = vec![Zeroizing::new(value.to_owned())];
    if value.is_ascii() {
        return out;
    }
    let mut all: Vec<String> = vec![value.nfc().collect(), value.nfd().collect()];
    all.extend([value.to_uppercase(), value.to_lowercase()]);
    for spelling in all.into_iter().map(Zeroizing::new) {
        if !out.contains(&spelling) {
            out.push(spelling);
        }
    }
    out
}

fn json(value: &str) -> Option<Composite> {
    if !value.starts_with(['{', '[']) {
        return None;
    }
    let tree: Value = serde_json::from_str(value).ok()?;
    let wholes = [serde_json::to_string(&tree), serde_json::to_string_pretty(&tree)];
    let wholes = wholes.into_iter().flatten().map(Zeroizing::new);
    let wholes = wholes.filter(|whole| whole.as_str() != value).collect();
    let mut parts = Vec::new();
    leaves(tree, &mut parts);
    Some(Composite { wholes, parts })
}

/// Moves the string leaves out, so that the tree leaves no copies behind.
fn leaves(tree: Value, out: &mut Vec<Zeroizing<String>>) {
    match tree {
        Value::String(leaf) => out.push(Zeroizing::new(leaf)),
        Value::Array(items) => items.into_iter().for_each(|item| leaves(item, out)),
        Value::Object(fields) => fields.into_iter().for_each(|(_, item)| leaves(item, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn pem(value: &str) -> Option<Composite> {
    if !value.contains("-----BEGIN ") {
        return None;
    }
    let line_of_body = |line: &&str| !line.is_empty() && !line.contains("-----");
    let lines = value.lines().map(str::trim).filter(line_of_body);
    let parts: Vec<_> =
        lines.filter(|line| !line.contains(':')).map(|l| Zeroizing::new(l.to_owned())).collect();
    let body = parts.iter().map(|line| line.as_str()).collect::<String>();
    Some(Composite { wholes: vec![Zeroizing::new(body)], parts })
}

fn jwt(value: &str) -> Option<Composite> {
    let segments: Vec<&str> = value.split('.').collect();
    let (header, rest) = segments.split_first()?;
    let shaped = matches!(segments.len(), 3 | 5) && header.starts_with("eyJ");
    if !shaped {
        return None;
    }
    let header = data_encoding::BASE64URL_NOPAD.decode(header.as_bytes()).ok()?;
    serde_json::from_slice::<serde_json::Map<String, Value>>(&header).ok()?;
    let parts = rest.iter().filter(|s| !s.is_empty());
    let parts = parts.map(|s| Zeroizing::new((*s).to_owned())).collect();
    Some(Composite { wholes: Vec::new(), parts })
}
