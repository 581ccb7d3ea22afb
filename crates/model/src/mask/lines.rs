//! Lines that came one after the other: a value in pieces, a piece on each line, is a value too.

use super::cover::Cover;
use super::index::Index;
use super::stream::{Surface, WINDOW};
use super::{MARK, Masked, Masker, all_covers};
use std::ops::Range;

/// How much of the lines before is looked at together with new ones: more than any encoded value
/// of everyday length.
const OVERLAP: usize = WINDOW / 2;

impl Masker {
    /// Masks each line as [`Masker::text`] does, and beside that what they show when they are read
    /// without the breaks between them.
    #[must_use]
    pub fn lines(&self, lines: &[&str]) -> Vec<Masked> {
        if self.is_empty() || lines.len() < 2 {
            return lines.iter().map(|line| self.text(line)).collect();
        }
        let hidden = across(&self.inner.index(), lines);
        lines.iter().zip(hidden).map(|(line, ranges)| self.text(&without(line, &ranges))).collect()
    }
}

/// For each line the ranges of it that belong to a hit on several lines.
fn across(index: &Index, lines: &[&str]) -> Vec<Vec<Range<usize>>> {
    let mut hidden = vec![Vec::new(); lines.len()];
    let mut first = 0;
    while first < lines.len() {
        let (last, joined) = window(lines, first);
        for cover in all_covers(index, joined.as_bytes(), Surface::Text) {
            spread(&cover, lines, first..last, &mut hidden);
        }
        if last == lines.len() {
            break;
        }
        first = step_back(lines, first, last);
    }
    hidden
}

/// Joined lines from `first` on, as many as a window takes, at least one.
fn window(lines: &[&str], first: usize) -> (usize, String) {
    let mut joined = String::new();
    let mut last = first;
    for line in lines.iter().skip(first) {
        if last > first && joined.len() + line.len() > WINDOW {
            break;
        }
        // A line that fills a window by itself is masked by itself.
        joined.push_str(if line.len() > WINDOW { "\n" } else { line });
        last += 1;
    }
    (last, joined)
}

/// Where the next window begins, so that both look at the lines around the cut.
fn step_back(lines: &[&str], first: usize, last: usize) -> usize {
    let (mut next, mut size) = (last, 0);
    while next > first + 1 {
        size += lines.get(next - 1).map_or(0, |line| line.len());
        if size > OVERLAP {
            break;
        }
        next -= 1;
    }
    next
}

/// Notes a hit's part of each line, where it is on more than one.
fn spread(cover: &Cover, lines: &[&str], among: Range<usize>, hidden: &mut [Vec<Range<usize>>]) {
    let (mut start, mut parts) = (0, Vec::new());
    for at in among {
        let length =
            lines.get(at).map_or(0, |line| if line.len() > WINDOW { 1 } else { line.len() });
        let from = cover.range.start.clamp(start, start + length) - start;
        let to = cover.range.end.clamp(start, start + length) - start;
        if from < to {
            parts.push((at, from..to));
        }
        start += length;
    }
    if parts.len() > 1 {
        for (at, range) in parts {
            if let Some(ranges) = hidden.get_mut(at) {
                ranges.push(range);
            }
        }
    }
}

fn without(line: &str, ranges: &[Range<usize>]) -> String {
    let mut ranges = ranges.to_vec();
    ranges.sort_by_key(|range| range.start);
    let (mut out, mut done) = (String::new(), 0);
    for range in ranges {
        // A range that cuts a character in two hides all of it.
        let start = (0..=range.start).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        let end = (range.end..=line.len()).find(|at| line.is_char_boundary(*at));
        let end = end.unwrap_or(line.len());
        if start >= done {
            out.push_str(line.get(done..start).unwrap_or_default());
            out.push_str(MARK);
        }
        done = done.max(end);
    }
    out.push_str(line.get(done..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::Needles;
    use std::sync::Arc;

    const SECRET: &str = "kwtest_8HlrwYMfvea9lkxwkkMxzwwM5hpA6eEfu";

    fn masker() -> Masker {
        let masker = Masker::new();
        let seal = "kws1_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        masker.learn(Arc::new(Needles::build(SECRET.as_bytes())), seal);
        masker
    }

    fn shown(lines: &[&str]) -> Vec<String> {
        masker().lines(lines).into_iter().map(Masked::into_string).collect()
    }

    #[test]
    fn a_value_in_pieces_on_lines_is_hidden() {
        for size in 3..20 {
            let pieces: Vec<&str> =
                SECRET.as_bytes().chunks(size).map(|p| std::str::from_utf8(p).unwrap()).collect();
            let mut lines = vec!["before"];
            lines.extend(&pieces);
            lines.push("after");
            let shown = shown(&lines);
            assert_eq!((shown[0].as_str(), shown.last().unwrap().as_str()), ("before", "after"));
            let body = &shown[1..shown.len() - 1];
            assert!(body.iter().all(|line| line == "***"), "{size}: {body:?}");
        }
    }

    #[test]
    fn letter_by_letter_and_with_words_around() {
        let letters: Vec<String> = SECRET.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        assert!(shown(&letters).iter().all(|line| line == "***"));
        let (first, second) = SECRET.split_at(15);
        let lines = [format!("key: {first}"), format!("{second} is the rest")];
        let shown = shown(&[&lines[0], &lines[1]]);
        assert_eq!(shown, ["key: ***", "*** is the rest"]);
    }

    #[test]
    fn other_lines_stay() {
        let lines = ["one", "two é", "kwtest_", "three"];
        assert_eq!(shown(&lines), lines);
        let long = "x".repeat(WINDOW + 1);
        assert_eq!(shown(&[&long, "é"]), [long.as_str(), "é"]);
    }
}
