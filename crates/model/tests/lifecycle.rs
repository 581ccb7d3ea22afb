//! The life of a credential's value, step by step, and what holds after any order of steps.

use keyward_model::clock::Timestamp;
use keyward_model::credential::{CodeAccess, Credential, CredentialType, Details, Scope, Status};
use keyward_model::destination::EgressPolicy;
use keyward_model::id::{CredentialId, Identifier as _, MemberId, WorkspaceId};
use keyward_model::lifecycle::{FieldSet, Lifecycle, LifecycleError, OWNER_LEFT, TestOutcome};
use keyward_model::settings::Settings;
use proptest::prelude::*;
use std::collections::BTreeMap;

const DAY: i64 = 86_400_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn member(byte: u8) -> MemberId {
    MemberId::from_bytes([byte; 16])
}

fn fields(user: &str) -> FieldSet {
    let plain = BTreeMap::from([("username".to_owned(), user.to_owned())]);
    FieldSet { plain, secret: vec!["password".into()], ..FieldSet::default() }
}

fn credential() -> Credential {
    Credential {
        workspace: WorkspaceId::from_bytes([1; 16]),
        id: CredentialId::from_bytes([2; 16]),
        key: "KEY".into(),
        kind: CredentialType::Basic,
        scope: Scope::Personal(member(1)),
        policy: EgressPolicy::default(),
        code_access: CodeAccess::Sealed,
        details: Details {
            name: String::new(),
            description: String::new(),
            environment: String::new(),
            tags: Vec::new(),
            plain: fields("one").plain,
            secret: fields("one").secret,
            template: None,
            test: None,
            ..Details::default()
        },
        version: 1,
        status: Status::Active,
        status_reason: None,
        owner: member(1),
        created_at: at(0),
        updated_at: at(0),
        rotated_at: at(0),
        expires_at: None,
        revision: 1,
        lifecycle: Lifecycle::default(),
    }
}

fn tested(ok: bool) -> TestOutcome {
    TestOutcome { ok, status: Some(200), detail: String::new(), tested_at: at(1) }
}

#[test]
fn a_rotation_promotes_what_was_staged_and_can_be_taken_back() {
    let settings = Settings { require_version_test: true, grace_days: 2, ..Settings::default() };
    let mut c = credential();
    assert_eq!(c.promote(2, member(1), at(1), &settings), Err(LifecycleError::NotStaged));
    assert_eq!(c.stage(fields("two"), member(1), at(1)), Ok(2));
    assert_eq!(c.stage(fields("x"), member(1), at(1)), Err(LifecycleError::StagedAlready));
    assert_eq!(c.promote(2, member(1), at(2), &settings), Err(LifecycleError::NotTested));
    c.note_test(2, tested(false), at(2));
    assert_eq!(c.promote(2, member(1), at(2), &settings), Err(LifecycleError::NotTested));
    c.note_test(2, tested(true), at(2));
    assert_eq!((c.version, c.kept_versions()), (1, vec![1, 2]));
    assert_eq!(c.promote(2, member(1), at(3), &settings), Ok(()));
    assert_eq!((c.version, c.details.plain["username"].as_str()), (2, "two"));
    assert_eq!((c.rotated_at, c.kept_versions()), (at(3), vec![2, 1]));
    assert_eq!(c.promote(2, member(1), at(3), &settings), Err(LifecycleError::Current));
    assert_eq!(c.roll_back(1, at(4), &settings), Ok(()));
    assert_eq!((c.version, c.details.plain["username"].as_str()), (1, "one"));
    // Numbers are never given twice.
    assert_eq!(c.stage(fields("three"), member(1), at(5)), Ok(3));
    assert_eq!(c.next_due(), Some(at(4 + 2 * DAY)));
    assert_eq!(c.roll_back(2, at(4 + 2 * DAY), &settings), Err(LifecycleError::Gone));
    assert_eq!(c.end_grace(at(4 + 2 * DAY)), [2]);
    assert_eq!((c.kept_versions(), c.next_due()), (vec![1, 3], None));
    assert_eq!(c.discard(1, at(6)), Err(LifecycleError::Current));
    assert_eq!(c.discard(3, at(6)), Ok(()));
    assert_eq!(c.discard(3, at(6)), Err(LifecycleError::Gone));
}

#[test]
fn without_a_grace_period_the_earlier_version_is_gone_at_once() {
    let settings = Settings { grace_days: 0, ..Settings::default() };
    let mut c = credential();
    assert_eq!(c.stage(fields("two"), member(1), at(1)), Ok(2));
    assert_eq!(c.promote(2, member(1), at(2), &settings), Ok(()));
    assert_eq!((c.kept_versions(), c.next_due()), (vec![2], None));
    assert_eq!(c.lifecycle.promoted, None);
    assert_eq!(c.roll_back(1, at(2), &settings), Err(LifecycleError::Gone));
    assert_eq!(c.overwrite(fields("three"), at(3), &settings), 3);
    assert_eq!(c.kept_versions(), [3]);
}

#[test]
fn a_version_past_its_date_does_not_become_the_current_one() {
    let settings = Settings::default();
    let until = |at| FieldSet { expires_at: Some(at), ..fields("n") };
    let mut c = credential();
    assert_eq!(c.stage(until(at(5)), member(1), at(1)), Ok(2));
    assert_eq!(c.promote(2, member(1), at(5), &settings), Err(LifecycleError::Expired));
    assert_eq!(c.promote(2, member(1), at(4), &settings), Ok(()));
    assert_eq!(c.expires_at, Some(at(5)));
    assert_eq!(c.overwrite(fields("three"), at(4), &settings), 3);
    assert_eq!(c.expires_at, None);
    let before = c.clone();
    assert_eq!(c.roll_back(2, at(5), &settings), Err(LifecycleError::Expired));
    assert_eq!(c, before);
    assert_eq!(c.roll_back(2, at(4), &settings), Ok(()));
}

#[test]
fn a_good_test_and_a_new_value_forget_a_failure_but_no_suspension() {
    let broken = || Credential {
        status: Status::Error,
        status_reason: Some("unreadable".into()),
        ..credential()
    };
    let check = |change: &dyn Fn(&mut Credential), expected: Status| {
        let mut c = broken();
        change(&mut c);
        assert_eq!(c.status, expected);
    };
    let settings = Settings::default();
    check(&|c| c.note_test(1, tested(false), at(1)), Status::Error);
    check(&|c| c.note_test(1, tested(true), at(1)), Status::Active);
    check(&|c| assert_eq!(c.overwrite(fields("n"), at(1), &settings), 2), Status::Active);
    check(&|c| c.suspend(member(2), at(1), "by_hand").expect("it can be"), Status::Suspended);
    check(
        &|c| {
            c.suspend(member(2), at(1), "by_hand").expect("it can be");
            c.overwrite(fields("n"), at(1), &settings);
            c.note_test(2, tested(true), at(1));
        },
        Status::Suspended,
    );
    check(
        &|c| {
            c.suspend(member(2), at(1), "by_hand").expect("it can be");
            assert_eq!(c.suspend(member(2), at(1), "again"), Err(LifecycleError::Suspended));
            c.resume(at(2)).expect("it can be");
            assert_eq!(c.resume(at(2)), Err(LifecycleError::NotSuspended));
        },
        Status::Active,
    );
}

#[test]
fn a_suspended_credential_stays_suspended_past_its_date() {
    let mut c = Credential { expires_at: Some(at(5)), ..credential() };
    assert_eq!((c.status_at(at(4)), c.status_at(at(5))), (Status::Active, Status::Expired));
    c.suspend(member(1), at(1), "by_hand").expect("it can be");
    assert_eq!(c.status_at(at(9)), Status::Suspended);
}

#[test]
fn what_is_deleted_comes_back_within_thirty_days() {
    let mut c = credential();
    assert_eq!(c.restore(at(1)), Err(LifecycleError::NotDeleted));
    c.delete(member(1), at(1));
    assert_eq!(c.next_due(), Some(at(1 + 30 * DAY)));
    let mut late = c.clone();
    assert_eq!(late.restore(at(1 + 30 * DAY)), Err(LifecycleError::TooLate));
    assert_eq!(c.restore(at(30 * DAY)), Ok(()));
    assert_eq!(c.next_due(), None);
}

#[test]
fn a_new_owner_ends_what_the_old_ones_leaving_began() {
    let check = |reason: &str, expected: Status| {
        let mut c = credential();
        c.suspend(member(9), at(1), reason).expect("it can be");
        c.transfer(member(2), at(2));
        assert_eq!((c.owner, c.scope), (member(2), Scope::Personal(member(2))));
        assert_eq!(c.status, expected, "{reason}");
    };
    check(OWNER_LEFT, Status::Active);
    check("by_hand", Status::Suspended);
}

proptest! {
    /// After any order of steps: numbers are given once, the current version has its key, nothing
    /// is kept twice, and each change is another revision.
    #[test]
    fn any_order_of_steps_keeps_the_books(steps in proptest::collection::vec((0..7u8, 1..9i64), 0..60)) {
        let settings = Settings { grace_days: 1, ..Settings::default() };
        let mut c = credential();
        let (mut now, mut given) = (0, vec![1]);
        for (step, number) in steps {
            now += DAY / 4;
            let before = c.clone();
            match step {
                0 => given.extend(c.stage(fields("s"), member(1), at(now))),
                1 => given.push(c.overwrite(fields("o"), at(now), &settings)),
                2 => drop(c.promote(number, member(1), at(now), &settings)),
                3 => drop(c.roll_back(number, at(now), &settings)),
                4 => drop(c.discard(number, at(now))),
                5 => c.note_test(number, tested(number % 2 == 0), at(now)),
                _ => drop(c.end_grace(at(now))),
            }
            let mut kept = c.kept_versions();
            kept.sort_unstable();
            kept.dedup();
            prop_assert_eq!(kept.len(), c.kept_versions().len());
            prop_assert!(kept.contains(&c.version));
            prop_assert!(c == before || c.revision > before.revision);
            for version in kept {
                prop_assert!(c.at_version(version).is_some_and(|head| head.version == version));
            }
        }
        let mut once = given.clone();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), given.len());
    }
}
