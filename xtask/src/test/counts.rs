//! How many checks passed and failed, as test runners print it.

use std::fmt;
use std::ops::AddAssign;

/// Checks that passed and failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) failed: usize,
}

impl Counts {
    /// One check that passed.
    pub(super) fn one((): ()) -> Self {
        Self { passed: 1, failed: 0 }
    }

    /// One check that failed.
    pub(super) fn failure() -> Self {
        Self { passed: 0, failed: 1 }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// What a runner's line counts: nextest's `Summary` or a `test result:` of `cargo test`.
pub(super) fn in_line(line: &str) -> Counts {
    let summary = line.trim_start();
    let is_summary = summary.starts_with("Summary [") && summary.contains(" run: ");
    let Some(numbers) = summary.strip_prefix("test result: ").or(is_summary.then_some(summary))
    else {
        return Counts::default();
    };
    let failures = ["failed", "timed out", "exec failed", "setup script failed"];
    let failed = failures.iter().map(|what| number_before(numbers, what)).sum();
    Counts { passed: number_before(numbers, "passed"), failed }
}

/// The number in `12 passed`; zero where the line does not say.
fn number_before(text: &str, what: &str) -> usize {
    let pieces = text.split([',', ';', ':', '.', '(', ')']);
    let number = |piece: &str| piece.trim().strip_suffix(what)?.trim_end().parse().ok();
    pieces.filter_map(number).next().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Counts, in_line};

    #[test]
    fn runners_lines_are_read() {
        let cases = [
            ("     Summary [   1.374s] 3 tests run: 3 passed, 0 skipped", 3, 0),
            (
                "     Summary [   1.3s] 9 tests run: 5 passed (1 leaky), 3 failed, 1 timed out, 0 skipped",
                5,
                4,
            ),
            ("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured", 12, 0),
            ("test result: FAILED. 2 passed; 7 failed; 0 ignored", 2, 7),
            ("        PASS [   1.1s] (1/3) a 3 passed", 0, 0),
            ("running 3 tests", 0, 0),
        ];
        for (line, passed, failed) in cases {
            assert_eq!(in_line(line), Counts { passed, failed }, "{line}");
        }
    }
}
