//! Everything by which one value is recognised.

use std::fmt;
use std::ops::Range;

use zeroize::{Zeroize, Zeroizing};

use super::bytes::{ByteSet, at, before, is_word};
use super::form::{Form, url_character};
use super::parts;
use super::strength::{Strength, blocks, strength};

/// Bytes that a fingerprint holds.
pub(super) const WINDOW: usize = 5;
/// No needle is shorter: it has a window at each of its first two characters.
const SHORTEST: usize = WINDOW + 1;
/// Values nested in values (JSON in JSON, PEM in JSON) are taken apart so deep.
const DEEPEST: usize = 4;

/// Everything by which one value is recognised: spellings, parts and blocks, each in the fixed
/// encodings. Expensive to build and meant to be shared by `Arc` and cached for each version of a
/// credential. It holds the value; it is wiped on drop and shows nothing of itself.
pub struct Needles {
    sources: Vec<Source>,
    literals: Vec<Literal>,
    keys: Zeroizing<Vec<u64>>,
    owners: Vec<(u32, u8)>,
    tiny: Vec<Zeroizing<Vec<u8>>>,
    bytes: ByteSet,
    longest: usize,
    longest_value: usize,
    has_weak: bool,
}

/// Bytes that literals are cut from.
struct Source {
    bytes: Zeroizing<Vec<u8>>,
    width: Width,
}

/// The text encoding of a source.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Width {
    Utf8,
    Utf16Le,
    Utf16Be,
}

/// One thing to look for: a range of a source in one form.
struct Literal {
    source: usize,
    range: Range<usize>,
    form: Form,
    /// Found as a whole token only.
    weak: bool,
    /// The whole value, not a block of it.
    whole: bool,
    length: usize,
}

/// How far the text goes along with a literal.
pub(super) enum Match {
    /// Not at all.
    No,
    /// The text ends within it: with more text it may become a hit.
    Live,
    /// All of it is there.
    Hit {
        /// Length in the text.
        length: usize,
        /// A hit that covers just itself.
        exact: bool,
        /// Padding may follow.
        padded: bool,
    },
}

impl Needles {
    /// Computes the needles of a value. White space around it does not count as part of it.
    #[must_use]
    pub fn build(value: &[u8]) -> Self {
        let mut needles = Self {
            sources: Vec::new(),
            literals: Vec::new(),
            keys: Zeroizing::default(),
            owners: Vec::new(),
            tiny: Vec::new(),
            bytes: ByteSet::default(),
            longest: 0,
            longest_value: 0,
            has_weak: false,
        };
        needles.add(value, 0);
        needles.index();
        needles
    }

    /// Whether there is nothing to look for (the value was empty or blank).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.literals.is_empty() && self.tiny.is_empty()
    }

    fn add(&mut self, value: &[u8], depth: usize) {
        let value = value.trim_ascii();
        if value.is_empty() {
            return;
        }
        let Ok(text) = std::str::from_utf8(value) else {
            return self.spelling(value, None, true);
        };
        match parts::composite(text).filter(|_| depth < DEEPEST) {
            Some(composite) => {
                self.spelling(value, Some(text), false);
                for whole in &composite.wholes {
                    self.spelling(whole.as_bytes(), Some(whole), false);
                }
                for part in &composite.parts {
                    self.add(part.as_bytes(), depth + 1);
                }
            }
            None => {
                for spelling in parts::spellings(text) {
                    self.spelling(spelling.as_bytes(), Some(&spelling), true);
                }
            }
        }
    }

    fn spelling(&mut self, value: &[u8], text: Option<&str>, cut: bool) {
        match strength(value) {
            Strength::Tiny => {
                if !self.tiny.iter().any(|known| known.as_slice() == value) {
                    self.tiny.push(Zeroizing::new(value.to_vec()));
                }
            }
            Strength::Weak => self.weak(value, text),
            Strength::Strong => self.strong(value, text, cut),
        }
    }

    fn strong(&mut self, value: &[u8], text: Option<&str>, cut: bool) {
        let cuts = if cut { blocks(value) } else { Vec::new() };
        let packed = [0, 1, 2].map(Form::Base64);
        let mut forms = vec![Form::Raw, Form::Hex];
        forms.extend(packed);
        forms.extend([0, 1, 2, 3, 4].map(Form::Base32));
        let source = self.source(value, Width::Utf8);
        self.ranges(source, &cuts, &forms);
        self.literal(source, 0..value.len(), Form::Base64End, false, true);
        let Some(text) = text else { return };
        let offsets = utf16_offsets(text);
        let wide = |cut: &Range<usize>| Some(*offsets.get(cut.start)?..*offsets.get(cut.end)?);
        let cuts: Vec<_> = cuts.iter().filter_map(wide).collect();
        let source = self.source(&utf16(text, u16::to_le_bytes), Width::Utf16Le);
        self.ranges(source, &cuts, &[Form::Raw, packed[0], packed[1], packed[2]]);
        let source = self.source(&utf16(text, u16::to_be_bytes), Width::Utf16Be);
        self.ranges(source, &cuts, &[Form::Raw]);
    }

    fn weak(&mut self, value: &[u8], text: Option<&str>) {
        self.has_weak = true;
        let add = |needles: &mut Self, bytes: &[u8], width, forms: &[Form]| {
            let source = needles.source(bytes, width);
            for form in forms {
                needles.literal(source, 0..bytes.len(), *form, true, true);
            }
        };
        add(self, value, Width::Utf8, &[Form::Raw, Form::Base64End, Form::Base32End]);
        // `echo value | base64` encodes the line's end too.
        let line = Zeroizing::new([value, b"\n"].concat());
        add(self, &line, Width::Utf8, &[Form::Base64End]);
        if let Some(text) = text {
            let le = utf16(text, u16::to_le_bytes);
            add(self, &le, Width::Utf16Le, &[Form::Raw, Form::Base64End]);
            add(self, &utf16(text, u16::to_be_bytes), Width::Utf16Be, &[Form::Raw]);
        }
    }

    fn source(&mut self, bytes: &[u8], width: Width) -> usize {
        self.sources.push(Source { bytes: Zeroizing::new(bytes.to_vec()), width });
        self.sources.len() - 1
    }

    fn ranges(&mut self, source: usize, cuts: &[Range<usize>], forms: &[Form]) {
        let all = self.sources.get(source).map_or(0, |source| source.bytes.len());
        for form in forms {
            self.literal(source, 0..all, *form, false, true);
            for cut in cuts.iter().filter(|cut| cut.len() < all) {
                self.literal(source, cut.clone(), *form, false, false);
            }
        }
    }

    fn literal(&mut self, source: usize, range: Range<usize>, form: Form, weak: bool, whole: bool) {
        let length = form.length(range.len());
        if length >= SHORTEST {
            self.longest = self.longest.max(length);
            self.literals.push(Literal { source, range, form, weak, whole, length });
        }
    }

    /// Computes the fingerprints and the set of bytes that needles are made of.
    fn index(&mut self) {
        for (i, literal) in self.literals.iter().enumerate() {
            let Ok(owner) = u32::try_from(i) else { break };
            let bytes = self.bytes_of(literal);
            let mut head = [0; SHORTEST];
            for (i, b) in head.iter_mut().enumerate() {
                *b = literal.form.character(bytes, i);
            }
            let mut url = head.map(url_character);
            let heads =
                [Some(head), Some(url).filter(|url| literal.form.is_packed() && *url != head)];
            for (offset, window) in
                heads.iter().flatten().flat_map(|head| (0..).zip(head.array_windows::<WINDOW>()))
            {
                self.keys.push(fingerprint(window));
                self.owners.push((owner, offset));
            }
            head.zeroize();
            url.zeroize();
        }
        for source in &self.sources {
            if source.width == Width::Utf8 {
                self.longest_value = self.longest_value.max(source.bytes.len());
            }
            for b in source.bytes.iter() {
                self.bytes.insert(*b);
                self.bytes.insert(b.to_ascii_lowercase());
                self.bytes.insert(b.to_ascii_uppercase());
            }
        }
    }

    fn bytes_of(&self, literal: &Literal) -> &[u8] {
        let source = self.sources.get(literal.source);
        source.and_then(|s| s.bytes.get(literal.range.clone())).unwrap_or_default()
    }

    /// Fingerprints, the literals that they belong to and the offsets of their windows.
    pub(super) fn keys(&self) -> impl Iterator<Item = (u64, u32, u8)> + '_ {
        let owners = self.keys.iter().zip(&self.owners);
        owners.map(|(key, (literal, offset))| (*key, *literal, *offset))
    }

    /// Values that are hidden as a whole string only.
    pub(super) fn tiny(&self) -> impl Iterator<Item = &[u8]> {
        self.tiny.iter().map(|tiny| tiny.as_slice())
    }

    /// The bytes that occur in the value, in either case.
    pub(super) fn bytes(&self) -> &ByteSet {
        &self.bytes
    }

    /// Length of the longest literal in text.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Length of the longest value, not encoded.
    pub(super) fn longest_value(&self) -> usize {
        self.longest_value
    }

    /// Whether any part is looked for as a token.
    pub(super) fn has_weak(&self) -> bool {
        self.has_weak
    }

    /// Compares literal `id` with `text` at `start`. `prior` is the byte before the text.
    pub(super) fn compare(&self, id: u32, text: &[u8], start: usize, prior: u8) -> Match {
        let literal = usize::try_from(id).ok().and_then(|id| self.literals.get(id));
        let Some(literal) = literal else { return Match::No };
        let bytes = self.bytes_of(literal);
        let seen = text.get(start..).unwrap_or_default();
        let seen = seen.get(..literal.length).unwrap_or(seen);
        let same = if literal.form == Form::Raw {
            bytes.get(..seen.len()).is_some_and(|own| same_case(own, seen, literal.weak))
        } else {
            let own =
                |(i, b): (usize, &u8)| literal.form.same(literal.form.character(bytes, i), *b);
            seen.iter().enumerate().all(own)
        };
        if !same {
            return Match::No;
        }
        let end = start + literal.length;
        if seen.len() < literal.length || (literal.weak && end == text.len() && prior == LOOKING) {
            return Match::Live;
        }
        let width = self.sources.get(literal.source).map_or(Width::Utf8, |source| source.width);
        if !literal.stands_alone(text, start, end, prior, width) {
            return Match::No;
        }
        let bounded = matches!(literal.form, Form::Base64End | Form::Base32End);
        let exact = literal.whole && (bounded || !literal.form.is_packed());
        Match::Hit { length: literal.length, exact, padded: bounded }
    }
}

/// Stands for the byte before when the question is whether a needle is live at the text's end.
pub(super) const LOOKING: u8 = 0xff;

impl Literal {
    /// A weak literal and one with its own end count only where nothing goes on beside them.
    fn stands_alone(&self, text: &[u8], start: usize, end: usize, prior: u8, width: Width) -> bool {
        let left = if start == 0 { prior } else { before(text, start) };
        let right = at(text, end);
        match (self.form, width) {
            (Form::Base64End | Form::Base32End, _) if !self.weak => {
                !left.is_ascii_alphanumeric() && !right.is_ascii_alphanumeric()
            }
            _ if !self.weak => true,
            (Form::Raw, Width::Utf16Le) => {
                // The byte before is the high one of the character before.
                let low = start.checked_sub(2).map_or(0, |i| at(text, i));
                let beside =
                    (left == 0 && is_word(low)) || (at(text, end + 1) == 0 && is_word(right));
                !beside
            }
            (Form::Raw, Width::Utf16Be) => {
                let next = at(text, end + 1);
                !(is_word(left) || (right == 0 && is_word(next)))
            }
            _ => !is_word(left) && !is_word(right),
        }
    }
}

/// Equal as it is, all upper or all lower; any mix will do for what is strong.
fn same_case(own: &[u8], seen: &[u8], weak: bool) -> bool {
    if !own.eq_ignore_ascii_case(seen) {
        return false;
    }
    let lower = || seen.iter().all(|b| !b.is_ascii_uppercase());
    let upper = || seen.iter().all(|b| !b.is_ascii_lowercase());
    !weak || own == seen || lower() || upper()
}

/// The sort key of a literal: its first bytes, case folded, big-endian so that prefixes are ranges.
pub(super) fn fingerprint(head: &[u8; WINDOW]) -> u64 {
    head.iter().fold(0, |key, b| key << 8 | u64::from(b | 0x20)) << 24
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.encode_utf16().flat_map(bytes).collect())
}

/// For each byte offset of the text, its offset in UTF-16 bytes.
fn utf16_offsets(text: &str) -> Vec<usize> {
    let mut offsets = vec![0; text.len() + 1];
    let mut wide = 0;
    for (i, c) in text.char_indices() {
        if let Some(offset) = offsets.get_mut(i) {
            *offset = wide;
        }
        wide += 2 * c.len_utf16();
    }
    if let Some(last) = offsets.last_mut() {
        *last = wide;
    }
    offsets
}

impl fmt::Debug for Needles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Needles")
    }
}
