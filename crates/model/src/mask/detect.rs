//! Finds everything that a text must not show.

use std::ops::Range;

use super::bytes::{at, before, cut};
use super::cover::{Cover, Covers, Grows};
use super::escape::Escape;
use super::index::{Hit, Index};
use super::pattern::{self, Place};
use super::shadow::Shadow;
use super::{lists, packed, run};

/// What came before a text that was cut where needles may be live.
#[derive(Clone, Copy, Default)]
pub(super) struct Carry {
    /// The byte before.
    pub(super) prior: u8,
    /// So much of the text is covered already.
    pub(super) covered: usize,
    /// How that cover goes on when it reaches the end of what was known.
    pub(super) grows: Grows,
}

/// Packed runs in one run of base64 that are tried.
const TRIES: usize = 8;

/// All covers of `text`, in order and disjoint.
pub(super) fn covers(index: &Index, text: &[u8], patterns: bool, carry: Carry) -> Vec<Cover> {
    let mut covers = Covers::default();
    carried(text, carry, &mut covers);
    values(index, text, carry.prior, &mut covers);
    places(index, text, patterns, &mut covers);
    if covers.is_empty() { Vec::new() } else { covers.merged(text) }
}

/// Goes on with a cover that began in text given out before.
fn carried(text: &[u8], carry: Carry, covers: &mut Covers) {
    let end = match carry.grows {
        Grows::No => carry.covered,
        Grows::Run => run::padding(text, run::forward(text, carry.covered)),
        Grows::Line => {
            let rest = cut(text, carry.covered, text.len());
            let line = rest.iter().position(|b| matches!(b, b'\r' | b'\n'));
            carry.covered + line.unwrap_or(rest.len())
        }
    };
    let grows = if end == text.len() { carry.grows } else { Grows::No };
    covers.add(Cover { range: 0..end, secret: None, continued: true, grows });
}

/// Finds what the run knows the value of.
fn values(index: &Index, text: &[u8], prior: u8, covers: &mut Covers) {
    if index.is_empty() {
        return;
    }
    index.search(text, prior, |hit| plain(text, &hit, covers));
    let mut shadow = Shadow::default();
    escaped(index, text, prior, &mut shadow, covers);
    if index.has_literals() {
        let fewest = if index.has_weak() { lists::FEWEST } else { lists::FEWEST_STRONG };
        lists::decoded(text, fewest, &mut shadow, |list| {
            index.search(&list.bytes, 0, |hit| mapped(text, list, &hit, covers));
        });
        run::joined(text, &mut shadow, |lines| {
            index.search(&lines.bytes, 0, |hit| mapped(text, lines, &hit, covers));
        });
    }
    if index.has_tiny() {
        tiny_strings(index, text, |range, secret| covers.exact(range, Some(secret)));
        tiny_headers(index, text, covers);
    }
}

/// A hit in the text itself.
fn plain(text: &[u8], hit: &Hit, covers: &mut Covers) {
    add(text, hit, hit.start..hit.end, covers);
}

/// A hit in a decoded list or in joined lines.
fn mapped(text: &[u8], shadow: &Shadow, hit: &Hit, covers: &mut Covers) {
    add(text, hit, shadow.range(hit.start, hit.end), covers);
}

fn add(text: &[u8], hit: &Hit, range: Range<usize>, covers: &mut Covers) {
    if hit.exact {
        let end = if hit.padded { run::padding(text, range.end) } else { range.end };
        covers.exact(range.start..end, Some(hit.secret));
    } else {
        covers.loose(range.clone(), range, hit.secret);
    }
}

/// Searches the stretches that escapes occur in, decoded once and twice.
fn escaped(index: &Index, text: &[u8], prior: u8, shadow: &mut Shadow, covers: &mut Covers) {
    let mut twice = Shadow::default();
    for (escape, islands) in islands(index, text) {
        for island in islands {
            let stretch = Stretch {
                prior: if island.start == 0 { prior } else { before(text, island.start) },
                whole: island.end == text.len(),
                extends_runs: escape.extends_runs(),
            };
            escape.decode(cut(text, island.start, island.end), island.start, shadow);
            unescaped(index, text, &stretch, shadow, covers);
            for inner in escape.inner() {
                if inner.occurs(index, &shadow.bytes) {
                    inner.decode_again(shadow, &mut twice);
                    unescaped(index, text, &stretch, &twice, covers);
                }
            }
        }
    }
}

/// What is to know of a decoded stretch of text.
struct Stretch {
    /// The byte before it.
    prior: u8,
    /// Whether its end is the text's; else it is no boundary.
    whole: bool,
    extends_runs: bool,
}

/// Searches a decoded stretch.
fn unescaped(index: &Index, text: &[u8], stretch: &Stretch, shadow: &Shadow, covers: &mut Covers) {
    let bytes = &shadow.bytes;
    index.search(bytes, stretch.prior, |hit| {
        if hit.end == bytes.len() && !stretch.whole {
            return;
        }
        if hit.exact || !stretch.extends_runs {
            return mapped(text, shadow, &hit, covers);
        }
        let around = shadow.run(hit.start, hit.end);
        covers.loose(shadow.range(hit.start, hit.end), around, hit.secret);
    });
    if index.has_tiny() {
        tiny_strings(index, bytes, |range, secret| {
            covers.exact(shadow.range(range.start, range.end), Some(secret));
        });
    }
}

/// For each way to escape, the stretches of text in which it could hide a needle.
fn islands(index: &Index, text: &[u8]) -> Vec<(Escape, Vec<Range<usize>>)> {
    let useful = Escape::ALL.into_iter().filter(|escape| !escape.is_pointless(index));
    let mut found: Vec<(Escape, Vec<Range<usize>>)> =
        useful.map(|escape| (escape, Vec::new())).collect();
    // Which escapes a byte may begin, as bits.
    let mut leads = [0_u8; 256];
    for (number, (escape, _)) in found.iter().enumerate() {
        for lead in escape.leads() {
            if let Some(escapes) = leads.get_mut(usize::from(*lead)) {
                *escapes |= 1 << number;
            }
        }
    }
    for (i, b) in text.iter().enumerate() {
        let escapes = leads.get(usize::from(*b)).copied().unwrap_or(0);
        if escapes == 0 {
            continue;
        }
        for (number, (escape, islands)) in found.iter_mut().enumerate() {
            let counts = || escape.counts(index, text, i);
            if let Some(taken) = (escapes >> number & 1 == 1).then(counts).flatten() {
                let reach = escape.reach(index);
                grow(islands, i.saturating_sub(reach)..(i + taken + reach).min(text.len()));
            }
        }
    }
    found
}

fn grow(islands: &mut Vec<Range<usize>>, next: Range<usize>) {
    match islands.last_mut().filter(|last| next.start <= last.end) {
        Some(last) => last.end = last.end.max(next.end),
        None => islands.push(next),
    }
}

/// Tiny values that are whole JSON strings.
fn tiny_strings(index: &Index, text: &[u8], mut found: impl FnMut(Range<usize>, u32)) {
    for (quote, _) in text.iter().enumerate().filter(|(_, b)| **b == b'"') {
        let start = quote + 1;
        for (number, secret) in index.secrets() {
            for tiny in secret.needles.tiny() {
                let end = start + tiny.len();
                if cut(text, start, end) == tiny && at(text, end) == b'"' {
                    found(start..end, number);
                }
            }
        }
    }
}

/// Tiny values that are whole header values. A line counts as a header when its name has a dash or
/// it ends as headers do; `port: 4711` is prose.
fn tiny_headers(index: &Index, text: &[u8], covers: &mut Covers) {
    let mut start = 0;
    for line in text.split_inclusive(|b| *b == b'\n') {
        let from = start;
        start += line.len();
        let Some(colon) = line.iter().position(|b| *b == b':') else { continue };
        let name = cut(line, 0, colon);
        let is_name = name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
        let is_header = is_name && (name.contains(&b'-') || line.ends_with(b"\r\n"));
        let value = cut(line, colon + 1, line.len());
        let head = value.len() - value.trim_ascii_start().len();
        let value = value.trim_ascii();
        for (number, secret) in index.secrets().filter(|_| is_header) {
            if secret.needles.tiny().any(|tiny| tiny == value) {
                let at = from + colon + 1 + head;
                covers.exact(at..at + value.len(), Some(number));
            }
        }
    }
}

/// Finds patterns and packed text.
fn places(index: &Index, text: &[u8], patterns: bool, covers: &mut Covers) {
    let mut tried = (0..0, 0);
    let mut ranges = Vec::new();
    for place in pattern::places(text) {
        let mut open = false;
        match place {
            Place::Packed(start) if !index.is_empty() && packed::is_long(text, start) => {
                if !tried.0.contains(&start) {
                    tried = (run::cover(text, &(start..start), &(start..start)), 0);
                }
                tried.1 += 1;
                let inside = (tried.1 <= TRIES)
                    .then(|| packed::unpacked(text, start, tried.0.end))
                    .flatten();
                if let Some(secret) = inside.and_then(|inside| first_value(index, &inside)) {
                    covers.loose(start..start + 1, start..start + 1, secret);
                }
            }
            Place::Url(found) if patterns => pattern::url(text, found, &mut ranges),
            Place::Header(header, name) if patterns => {
                open = pattern::header(text, header, name, &mut ranges);
            }
            _ => {}
        }
        for range in ranges.drain(..) {
            let rest = cut(text, range.end, text.len());
            let to_end = open && rest.trim_ascii().is_empty();
            let grows = if to_end { Grows::Line } else { Grows::No };
            covers.add(Cover { range, secret: None, continued: false, grows });
        }
    }
}

/// A value that occurs in unpacked text.
fn first_value(index: &Index, text: &[u8]) -> Option<u32> {
    let mut covers = Covers::default();
    values(index, text, 0, &mut covers);
    covers.merged(text).into_iter().find_map(|cover| cover.secret)
}
