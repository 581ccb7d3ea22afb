//! Bytes written as numbers: hexadecimal with or without separators, and decimal lists.

use super::view::{View, hex_byte};

const MOST_BETWEEN: usize = 4;

/// Pairs of hex digits, with nothing between them, or `:`, `-`, space, `\x`, `0x`, commas, quotes.
pub(super) fn hex(bytes: &[u8]) -> Vec<View> {
    // The second view begins one digit later, for a value inside a longer odd run.
    let aligned = |odd: bool| {
        let mut view = View::of_runs("hex");
        let mut at = 0;
        while at < bytes.len() {
            if hex_byte(&bytes[at..]).is_none() {
                at += 1;
                continue;
            }
            let start = at + usize::from(odd);
            let (decoded, length) = hex_run(&bytes[start..]);
            view.run(start, &decoded);
            at = start + length.max(1);
        }
        view.into_vec()
    };
    [false, true].into_iter().flat_map(aligned).collect()
}

/// The bytes of a run of pairs, and its length in the source.
fn hex_run(bytes: &[u8]) -> (Vec<u8>, usize) {
    let (mut decoded, mut at) = (Vec::new(), 0);
    loop {
        let between = separator(&bytes[at..]);
        let Some(byte) = hex_byte(&bytes[at + between..]) else { return (decoded, at) };
        decoded.push(byte);
        at += between + 2;
    }
}

fn separator(rest: &[u8]) -> usize {
    let plain = rest.iter().take(MOST_BETWEEN).take_while(|b| b":-, \t\r\n\"'".contains(b)).count();
    let prefix = match &rest[plain..] {
        [b'\\' | b'0', b'x' | b'X', ..] => 2,
        [b'%', ..] => 1,
        _ => 0,
    };
    plain + prefix
}

/// Numbers up to 255 in a list, as arrays of bytes are printed.
pub(super) fn decimal(bytes: &[u8]) -> Vec<View> {
    let mut view = View::of_runs("decimal");
    let mut run = Vec::new();
    let (mut run_start, mut run_end, mut at) = (0, 0, 0);
    while at < bytes.len() {
        let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            at += 1;
            continue;
        }
        let follows = !run.is_empty() && is_list_gap(&bytes[run_end..at]);
        let text = std::str::from_utf8(&bytes[at..at + digits]).unwrap_or_default();
        let value: Option<u8> = text.parse().ok();
        if !follows || value.is_none() {
            view.run(run_start, &std::mem::take(&mut run));
            run_start = at;
        }
        run.extend(value);
        at += digits;
        run_end = at;
    }
    view.run(run_start, &run);
    view.into_vec()
}

fn is_list_gap(gap: &[u8]) -> bool {
    (1..=8).contains(&gap.len()) && gap.iter().all(|byte| b",;: \t\r\n[]\"'u8b".contains(byte))
}
