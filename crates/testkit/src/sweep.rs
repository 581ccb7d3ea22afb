//! The sweep: finds known values in bytes of any kind, however they were encoded on their way.
//!
//! The product's masker knows what a value looks like in each encoding and searches for that. The
//! sweep goes the other way, so that one mistake cannot blind both: it decodes whatever looks
//! encoded, up to three layers deep, and searches for any 12 characters of a value in what comes
//! out. Letter case never matters.

mod bases;
mod numbers;
mod packed;
mod text;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aho_corasick::AhoCorasick;

use self::view::View;
use crate::canary::PREFIX;

const WINDOW: usize = 12;
const DEPTH: usize = 3;

/// Makes the views of some bytes in one encoding: none, or one for each alignment.
type Decoder = fn(&[u8]) -> Vec<View>;

const DECODERS: &[Decoder] = &[
    text::percent,
    text::backslash,
    text::entities,
    text::quoted_printable,
    text::utf16,
    bases::base64,
    bases::base32,
    numbers::hex,
    numbers::decimal,
    packed::deflated,
];

/// A leak: where, of what, and in which encoding. Never the value itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file, or whatever the bytes were called.
    pub place: String,
    /// Offset of the first hit in bytes; for a decoded layer, where the encoded run begins.
    pub offset: usize,
    /// How many separate pieces of the value are there.
    pub pieces: usize,
    /// The value's name.
    pub canary: String,
    /// `raw`, or the layers from the outside in, as in `percent > base64`.
    pub encoding: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, offset, pieces, canary, encoding } = self;
        write!(f, "{canary} in {place} at byte {offset}, {encoding}, {pieces} piece(s)")
    }
}

/// Searches for a set of values.
#[derive(Debug)]
pub struct Sweep {
    windows: AhoCorasick,
    /// The value's name, by window.
    names: Vec<String>,
}

impl Sweep {
    /// Takes pairs of name and value. A canary's public prefix is not looked for.
    pub fn new<'a>(values: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut names = Vec::new();
        let mut needles = Vec::new();
        for (name, value) in values {
            let secret = value.strip_prefix(PREFIX).unwrap_or(value).as_bytes();
            for window in secret.windows(WINDOW.min(secret.len().max(1))) {
                names.push(name.to_owned());
                needles.push(window.to_vec());
            }
        }
        let windows = AhoCorasick::builder().ascii_case_insensitive(true).build(needles);
        Self { windows: windows.expect("a few thousand short needles"), names }
    }

    /// Everything found in the bytes, which the findings call `place`.
    pub fn bytes(&self, place: &str, bytes: &[u8]) -> Vec<Finding> {
        let mut search = Search { sweep: self, seen: BTreeSet::new(), hits: BTreeMap::new() };
        for depth in 0..=DEPTH {
            // Level by level, so that a finding names the fewest layers it can be seen through.
            search.below(depth, bytes, &mut Vec::new(), &|offset| offset);
        }
        let finding = |((canary, encoding), (offset, pieces)): ((&str, String), (usize, usize))| {
            let (place, canary) = (place.to_owned(), canary.to_owned());
            Finding { place, offset, pieces, canary, encoding }
        };
        search.hits.into_iter().map(finding).collect()
    }
}

struct Search<'a> {
    sweep: &'a Sweep,
    /// Names and offsets found in an outer layer, which an inner one often leaves as they were.
    seen: BTreeSet<(&'a str, usize)>,
    /// First offset and number of hits, by name and encoding.
    hits: BTreeMap<(&'a str, String), (usize, usize)>,
}

impl Search<'_> {
    /// Searches what is exactly `depth` layers below some bytes.
    fn below(
        &mut self,
        depth: usize,
        bytes: &[u8],
        layers: &mut Vec<&'static str>,
        origin: &dyn Fn(usize) -> usize,
    ) {
        if depth == 0 {
            let encoding = if layers.is_empty() { "raw".to_owned() } else { layers.join(" > ") };
            return self.hits(bytes, &encoding, origin);
        }
        for view in DECODERS.iter().flat_map(|decode| decode(bytes)) {
            layers.push(view.encoding);
            self.below(depth - 1, &view.bytes, layers, &|offset| origin(view.source_of(offset)));
            layers.pop();
        }
    }

    fn hits(&mut self, bytes: &[u8], encoding: &str, origin: &dyn Fn(usize) -> usize) {
        for hit in self.sweep.windows.find_iter(bytes) {
            let name = self.sweep.names[hit.pattern()].as_str();
            let offset = origin(hit.start());
            if self.seen.insert((name, offset)) {
                self.hits.entry((name, encoding.to_owned())).or_insert((offset, 0)).1 += 1;
            }
        }
    }
}
