//! How failed sign-ins are answered: so many are free, then each costs a longer wait.

use crate::clock::Timestamp;

/// Failures of one account that cost nothing.
pub const OF_AN_ACCOUNT: i64 = 5;
/// Failures from one network address that cost nothing.
pub const OF_AN_ADDRESS: i64 = 20;
/// After so long without another one, failures are forgotten.
pub const WINDOW_MILLIS: i64 = 15 * 60 * 1000;
/// The first wait; each further failure doubles it, up to the window.
const FIRST_WAIT_MILLIS: i64 = 30 * 1000;

/// Failures that are remembered of an account or an address. An attempt counts as one until it has
/// succeeded, so that many at once are not free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// How many.
    pub count: i64,
    /// When the last one was.
    pub last_at: Timestamp,
}

impl Failures {
    /// For how many milliseconds no further attempt is heard, where `free` cost nothing.
    pub fn wait(self, free: i64, now: Timestamp) -> Option<i64> {
        let beyond = u32::try_from(self.count.saturating_sub(free)).ok()?;
        let doubled = 2i64.checked_pow(beyond).unwrap_or(i64::MAX);
        let wait = FIRST_WAIT_MILLIS.saturating_mul(doubled).min(WINDOW_MILLIS);
        let left = self.last_at.plus_millis(wait).millis().saturating_sub(now.millis());
        (left > 0).then_some(left)
    }

    /// One more, on top of those that are not forgotten yet.
    pub fn one_more(before: Option<Self>, now: Timestamp) -> Self {
        let remembered = before.filter(|f| f.last_at.plus_millis(WINDOW_MILLIS) > now);
        Self { count: remembered.map_or(0, |f| f.count).saturating_add(1), last_at: now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_window() {
        let check = |count: i64, after: i64, expected: Option<i64>| {
            let failures = Failures { count, last_at: Timestamp::from_millis(1_000) };
            let found = failures.wait(5, Timestamp::from_millis(1_000 + after));
            assert_eq!(found, expected, "{count} failures, {after} ms later");
        };
        check(0, 0, None);
        check(4, 0, None);
        check(5, 0, Some(30_000));
        check(5, 29_999, Some(1));
        check(5, 30_000, None);
        check(6, 0, Some(60_000));
        check(7, 0, Some(120_000));
        check(10, 0, Some(WINDOW_MILLIS));
        check(5_000, 0, Some(WINDOW_MILLIS));
        check(i64::MAX, WINDOW_MILLIS, None);
    }

    #[test]
    fn failures_are_forgotten_after_the_window() {
        let at = Timestamp::from_millis;
        let first = Failures::one_more(None, at(0));
        assert_eq!(first, Failures { count: 1, last_at: at(0) });
        let second = Failures::one_more(Some(first), at(WINDOW_MILLIS - 1));
        assert_eq!(second.count, 2);
        let third = Failures::one_more(Some(second), at(2 * WINDOW_MILLIS - 1));
        assert_eq!(third.count, 1);
    }
}
