//! What is hidden of a text: ranges, told apart by whether they cover a run, and merged.

use std::ops::Range;

use super::run;

/// A range that is hidden.
#[derive(Clone, Debug)]
pub(super) struct Cover {
    pub(super) range: Range<usize>,
    /// The value that stood there; none for patterns.
    pub(super) secret: Option<u32>,
    /// It began in text that was given out before: no second mark.
    pub(super) continued: bool,
    /// What it goes on over when more text comes.
    pub(super) grows: Grows,
}

/// How a cover that reaches the end of a text goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Grows {
    /// It does not.
    #[default]
    No,
    /// Over the rest of the run.
    Run,
    /// Over the rest of the line.
    Line,
}

/// A hit that covers the run around it.
struct Loose {
    hit: Range<usize>,
    /// The hit with as much of the run as a decoded text showed.
    around: Range<usize>,
    secret: u32,
}

/// Collects hits and turns them into covers.
#[derive(Default)]
pub(super) struct Covers {
    exact: Vec<Cover>,
    /// Hits of blocks and of shifted bases.
    loose: Vec<Loose>,
}

impl Covers {
    /// A hit that covers just `range`.
    pub(super) fn exact(&mut self, range: Range<usize>, secret: Option<u32>) {
        self.add(Cover { range, secret, continued: false, grows: Grows::No });
    }

    pub(super) fn add(&mut self, cover: Cover) {
        if !cover.range.is_empty() {
            self.exact.push(cover);
        }
    }

    /// A hit that covers the run around it, unless an exact one covers it.
    pub(super) fn loose(&mut self, hit: Range<usize>, around: Range<usize>, secret: u32) {
        if !hit.is_empty() {
            self.loose.push(Loose { hit, around, secret });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.loose.is_empty()
    }

    /// The covers in order, none touching another's inside.
    pub(super) fn merged(mut self, text: &[u8]) -> Vec<Cover> {
        let order =
            |a: &Range<usize>, b: &Range<usize>| a.start.cmp(&b.start).then(b.end.cmp(&a.end));
        self.exact.sort_by(|a, b| order(&a.range, &b.range));
        self.loose.sort_by(|a, b| order(&a.hit, &b.hit));
        let mut all = Vec::with_capacity(self.exact.len());
        let (mut exact, mut furthest, mut run) = (self.exact.iter().peekable(), 0, 0..0);
        for Loose { hit, around, secret } in self.loose {
            while let Some(cover) = exact.next_if(|cover| cover.range.start <= hit.start) {
                furthest = furthest.max(cover.range.end);
            }
            let known = run.start <= around.start && around.end <= run.end;
            if known || hit.end <= furthest {
                continue;
            }
            run = run::cover(text, &hit, &around);
            let grows = if run.end == text.len() { Grows::Run } else { Grows::No };
            all.push(Cover { range: run.clone(), secret: Some(secret), continued: false, grows });
        }
        all.append(&mut self.exact);
        all.sort_by(|a, b| order(&a.range, &b.range));
        merge(all)
    }
}

fn merge(covers: Vec<Cover>) -> Vec<Cover> {
    let mut out: Vec<Cover> = Vec::with_capacity(covers.len());
    for cover in covers {
        match out.last_mut().filter(|last| cover.range.start < last.range.end) {
            None => out.push(cover),
            Some(last) => {
                last.continued |= cover.continued;
                last.secret = last.secret.or(cover.secret);
                if cover.range.end >= last.range.end {
                    last.range.end = cover.range.end;
                    if last.grows == Grows::No || cover.grows == Grows::Line {
                        last.grows = cover.grows;
                    }
                }
            }
        }
    }
    out
}
