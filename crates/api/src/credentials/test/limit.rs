//! How often credentials may be tested: each test is a real request to somebody else's service.

use keyward_model::clock::Timestamp;
use keyward_model::id::{CredentialId, MemberId};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

const WINDOW_MILLIS: i64 = 60_000;
const OF_A_CREDENTIAL: usize = 10;
const OF_A_MEMBER: usize = 30;

/// Whom tests are counted for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Counted {
    Credential(CredentialId),
    Member(MemberId),
}

/// The tests of the last minute on this node.
#[derive(Default)]
pub(crate) struct TestLimit(Mutex<HashMap<Counted, VecDeque<Timestamp>>>);

impl TestLimit {
    /// Counts a test; where there were too many, after how many milliseconds the next one may be
    /// made.
    pub(crate) fn admit(
        &self,
        credential: CredentialId,
        member: MemberId,
        now: Timestamp,
    ) -> Result<(), i64> {
        let mut tests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tests.retain(|_, times| {
            times.retain(|at| at.plus_millis(WINDOW_MILLIS) > now);
            !times.is_empty()
        });
        let counted = [
            (Counted::Credential(credential), OF_A_CREDENTIAL),
            (Counted::Member(member), OF_A_MEMBER),
        ];
        let wait = |(counted, most): &(Counted, usize)| {
            let times = tests.get(counted).filter(|times| times.len() >= *most)?;
            let free = times.front()?.plus_millis(WINDOW_MILLIS);
            Some(free.millis().saturating_sub(now.millis()))
        };
        if let Some(millis) = counted.iter().filter_map(wait).max() {
            return Err(millis);
        }
        for (counted, _) in counted {
            tests.entry(counted).or_default().push_back(now);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_model::id::Identifier as _;

    #[test]
    fn a_minute_holds_ten_of_a_credential_and_thirty_of_a_member() {
        let limit = TestLimit::default();
        let check = |credential: u8, member: u8, at: i64, expected: Result<(), i64>| {
            let credential = CredentialId::from_bytes([credential; 16]);
            let member = MemberId::from_bytes([member; 16]);
            let found = limit.admit(credential, member, Timestamp::from_millis(at));
            assert_eq!(found, expected, "at {at}");
        };
        for at in 0..10 {
            check(1, 1, at, Ok(()));
        }
        check(1, 1, 10, Err(59_990));
        // Another member does not help, another credential does.
        check(1, 2, 20, Err(59_980));
        for at in 100..110 {
            check(2, 1, at, Ok(()));
            check(3, 1, at, Ok(()));
        }
        check(4, 1, 1_000, Err(59_000));
        check(4, 2, 1_000, Ok(()));
        check(1, 1, 59_999, Err(1));
        check(1, 1, 60_000, Ok(()));
        check(1, 1, 60_000, Err(1));
    }
}
