//! Sealed values: the placeholders that stand for a secret in a run, and how a text is searched
//! for whole, damaged and encoded ones.

use crate::bytes::Key;
use crate::derive::Derivation;
use data_encoding::{Encoding, Specification};
use keyward_model::id::{CredentialId, Identifier as _};
use keyward_model::tag::Columns;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// What every placeholder begins with.
pub const PREFIX: &str = "kws1_";
/// How many bytes a placeholder has: `[a-z0-9_]` only, so nothing ever needs escaping.
pub(crate) const LENGTH: usize = 45;
/// This many characters of a live placeholder in a row count as a damaged one.
const WINDOW: usize = 12;

static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    // A 32-symbol alphabet is always a valid specification.
    specification.encoding().unwrap_or(data_encoding::BASE32_NOPAD)
});

/// The placeholder of a credential's field in a run: the same on every node, dead in any other run.
pub(crate) fn compute(
    sealing: &Key,
    credential: CredentialId,
    field: &str,
    derivation: Option<&Derivation>,
) -> String {
    let mut columns = Columns::default();
    columns.bytes(credential.as_bytes()).text(field);
    columns.text(&derivation.map(Derivation::canonical).unwrap_or_default());
    let mac = sealing.mac(&[columns.finish()]);
    format!("{PREFIX}{}", BASE32.encode(mac.get(..25).unwrap_or_default()))
}

/// The placeholders that a step may meet, for searching.
pub(crate) struct Known {
    whole: HashMap<String, usize>,
    windows: HashSet<[u8; WINDOW]>,
    /// By the hash of three bytes, whether anything that is searched for begins so: bodies are
    /// large, and nearly all of their bytes begin nothing.
    begins: Vec<bool>,
}

impl Default for Known {
    fn default() -> Self {
        let mut known =
            Self { whole: HashMap::new(), windows: HashSet::new(), begins: vec![false; 1 << 16] };
        known.note_begin(PREFIX.as_bytes());
        known
    }
}

/// What was found in a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A whole placeholder: where it stands and its number in the `Known` list.
    Whole { at: usize, number: usize },
    /// The form of a placeholder, but none of this run's step.
    Unknown,
    /// A piece of a live one.
    Damaged,
}

impl Known {
    /// Adds a placeholder under a number; the same one twice keeps its first number.
    pub(crate) fn insert(&mut self, placeholder: &str, number: usize) {
        self.whole.entry(placeholder.to_owned()).or_insert(number);
        for window in placeholder.as_bytes().windows(WINDOW) {
            self.note_begin(window);
            if let Ok(window) = window.try_into() {
                self.windows.insert(window);
            }
        }
    }

    fn note_begin(&mut self, text: &[u8]) {
        if let Some(slot) = self.begins.get_mut(hash_begin(text)) {
            *slot = true;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.whole.is_empty()
    }

    /// Searches a text as it would be sent; case is ignored.
    pub(crate) fn search(&self, text: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(window) = text.get(at..at + WINDOW) {
            if self.begins.get(hash_begin(window)) != Some(&true) {
                at += 1;
                continue;
            }
            let piece = text.get(at..text.len().min(at + LENGTH)).unwrap_or_default();
            let mut lower = [0; LENGTH];
            lower.iter_mut().zip(piece).for_each(|(slot, byte)| *slot = byte.to_ascii_lowercase());
            let window = lower.get(..WINDOW).unwrap_or_default();
            if let Some(candidate) = shaped(&lower) {
                found.push(match self.whole.get(candidate) {
                    Some(number) => Found::Whole { at, number: *number },
                    None => Found::Unknown,
                });
                at += LENGTH;
            } else if self.is_piece(window) {
                found.push(Found::Damaged);
                at += WINDOW;
            } else {
                at += 1;
            }
        }
        found
    }

    /// Searches for placeholders in encodings in which they cannot be filled.
    pub(crate) fn search_encoded(&self, text: &[u8]) -> bool {
        let hit = |view: &[u8]| !self.search(view).is_empty();
        let percent = percent_encoding::percent_decode(text).collect::<Vec<u8>>();
        let twice = percent_encoding::percent_decode(&percent).collect::<Vec<u8>>();
        (percent != text && hit(&percent))
            || (twice != percent && hit(&twice))
            || json_unescaped(text).is_some_and(|view| hit(&view))
            || any_decoded(text, hit)
    }

    fn is_piece(&self, window: &[u8]) -> bool {
        <[u8; WINDOW]>::try_from(window).is_ok_and(|window| self.windows.contains(&window))
    }
}

/// Whether a text holds anything of the form of a whole placeholder.
pub(crate) fn holds_whole(text: &str) -> bool {
    whole(text).next().is_some()
}

/// All of a text that has the form of a whole placeholder.
pub(crate) fn whole(text: &str) -> impl Iterator<Item = &str> {
    let piece = |(at, _)| shaped(text.as_bytes().get(at..at + LENGTH)?);
    text.match_indices(PREFIX).filter_map(piece)
}

/// Whether a text is one whole placeholder and nothing else.
pub(crate) fn is_whole(text: &str) -> bool {
    text.len() == LENGTH && shaped(text.as_bytes()).is_some()
}

/// Where `Known` notes the first three bytes of a text, in any case.
fn hash_begin(text: &[u8]) -> usize {
    let [a, b, c, ..] = text else { return 0 };
    let [a, b, c] = [a, b, c].map(|byte| usize::from(byte.to_ascii_lowercase()));
    (a * 1_021 + b * 37 + c) & 0xffff
}

/// The placeholder-like text of 45 bytes that these begin with.
fn shaped(lower: &[u8]) -> Option<&str> {
    let candidate = lower.get(..LENGTH)?;
    let body = candidate.strip_prefix(PREFIX.as_bytes())?;
    let valid = body.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
    valid.then(|| std::str::from_utf8(candidate).ok())?
}

/// `\uXXXX` escapes of ASCII characters decoded; `None` where there are none.
fn json_unescaped(text: &[u8]) -> Option<Vec<u8>> {
    if !text.windows(2).any(|pair| pair == b"\\u") {
        return None;
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let code = (*first == b'\\')
            .then(|| tail.strip_prefix(b"u"))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits.get(..4)?).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(code) => {
                out.push(code);
                rest = tail.get(5..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    Some(out)
}

/// Whether there is a hit in a run of base64 or hexadecimal characters that is long enough to hold a
/// piece, decoded at every alignment.
fn any_decoded(text: &[u8], hit: impl Fn(&[u8]) -> bool) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    let mut runs = text.split(|byte| !is_base64(byte)).filter(|run| run.len() >= WINDOW * 4 / 3);
    runs.any(|run| {
        let standard: Vec<u8> = run
            .iter()
            .map(|byte| match byte {
                b'-' => b'+',
                b'_' => b'/',
                other => *other,
            })
            .collect();
        let base64 = |skip| decode_base64(standard.get(skip..)?).map(|view| hit(&view));
        let hex = |skip| decode_hex(run.get(skip..)?).map(|view| hit(&view));
        let is_hex = run.len() >= WINDOW * 2 && run.iter().all(u8::is_ascii_hexdigit);
        (0..4).any(|skip| base64(skip) == Some(true))
            || is_hex && (0..2).any(|skip| hex(skip) == Some(true))
    })
}

fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let whole = text.get(..text.len() / 4 * 4)?;
    data_encoding::BASE64_NOPAD.decode(whole).ok()
}

fn decode_hex(text: &[u8]) -> Option<Vec<u8>> {
    let whole = text.get(..text.len() / 2 * 2)?;
    data_encoding::HEXLOWER_PERMISSIVE.decode(whole).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;

    fn known() -> (Known, String) {
        let key = Key::new([7; 32]);
        let placeholder = compute(&key, CredentialId::from_bytes([1; 16]), "value", None);
        let mut known = Known::default();
        known.insert(&placeholder, 3);
        (known, placeholder)
    }

    #[test]
    fn a_placeholder_has_its_form_and_depends_on_everything() {
        let (_, placeholder) = known();
        assert_eq!(placeholder.len(), LENGTH);
        assert!(shaped(placeholder.as_bytes()).is_some());
        let key = Key::new([7; 32]);
        let id = CredentialId::from_bytes([1; 16]);
        assert_ne!(compute(&key, id, "other", None), placeholder);
        assert_ne!(compute(&Key::new([8; 32]), id, "value", None), placeholder);
        assert_ne!(compute(&key, id, "value", Some(&Derivation::Basic)), placeholder);
    }

    #[test]
    fn whole_damaged_unknown_and_clean() {
        let (known, placeholder) = known();
        let check = |text: &str, expected: &[Found]| {
            assert_eq!(known.search(text.as_bytes()), expected, "{text}");
        };
        let (whole, upper) = (format!("Bearer {placeholder}!"), placeholder.to_uppercase());
        check(&whole, &[Found::Whole { at: 7, number: 3 }]);
        check(&upper, &[Found::Whole { at: 0, number: 3 }]);
        check(&placeholder[10..30], &[Found::Damaged]);
        check(&placeholder[20..], &[Found::Damaged, Found::Damaged]);
        check(&format!("{PREFIX}{}", "a".repeat(40)), &[Found::Unknown]);
        check("nothing of the kind, kws1_ alone", &[]);
        check("", &[]);
        check(&format!("kws1_{whole}"), &[Found::Whole { at: 12, number: 3 }]);
    }

    #[test]
    fn large_bodies_are_searched_in_little_time() {
        let (known, placeholder) = known();
        let mut body: Vec<u8> = b"kws1_kws1 Zm9v%20\\u0041".repeat(40_000);
        let begun = std::time::Instant::now();
        assert!(known.search(&body).is_empty() && !known.search_encoded(&body));
        body.extend_from_slice(placeholder.as_bytes());
        assert_eq!(known.search(&body).len(), 1);
        // Built without optimisation; what matters is that it is far from quadratic.
        assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
    }

    #[test]
    fn encoded_ones_are_seen() {
        let (known, placeholder) = known();
        let base64 = |text: String| base64::engine::general_purpose::STANDARD.encode(text);
        let percent: String = placeholder.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let check = |text: String, expected| {
            assert_eq!(known.search_encoded(text.as_bytes()), expected, "{text}");
        };
        check(base64(placeholder.clone()), true);
        check(base64(format!("x{placeholder}")), true);
        check(base64(format!("xy{placeholder}")), true);
        check(data_encoding::HEXUPPER.encode(placeholder.as_bytes()), true);
        check(percent.replace('%', "%25"), true);
        check(percent, true);
        check(placeholder.replacen('k', "\\u006b", 1), true);
        check(base64("a harmless text that is long enough".into()), false);
        check("plain".into(), false);
    }
}
