//! The guided rotation: what it says after each step of a credential's life.
#![expect(clippy::expect_used, reason = "a test helper that fails is a failed test")]

use keyward_model::clock::Timestamp;
use keyward_model::credential::{
    CodeAccess, Credential, CredentialType, Details, Scope, Status, TestRequest,
};
use keyward_model::destination::EgressPolicy;
use keyward_model::id::{CredentialId, Identifier as _, MemberId, WorkspaceId};
use keyward_model::lifecycle::{FieldSet, Lifecycle, TestOutcome};
use keyward_model::rotation::{Call, Rotation, Seen, State, StepId};
use keyward_model::settings::Settings;

const DAY: i64 = 86_400_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn member() -> MemberId {
    MemberId::from_bytes([1; 16])
}

fn fields() -> FieldSet {
    FieldSet { secret: vec!["value".into()], ..FieldSet::default() }
}

/// An API key, with a test where that is asked for.
fn credential(testable: bool) -> Credential {
    let test = TestRequest { method: "GET".into(), url: "https://example.com/me".into() };
    Credential {
        workspace: WorkspaceId::from_bytes([1; 16]),
        id: CredentialId::from_bytes([2; 16]),
        key: "KEY".into(),
        kind: CredentialType::ApiKey,
        scope: Scope::Workspace,
        policy: EgressPolicy::default(),
        code_access: CodeAccess::Sealed,
        details: Details {
            name: String::new(),
            description: String::new(),
            environment: String::new(),
            tags: Vec::new(),
            plain: Default::default(),
            secret: fields().secret,
            template: None,
            test: testable.then_some(test),
            ..Details::default()
        },
        version: 1,
        status: Status::Active,
        status_reason: None,
        owner: member(),
        created_at: at(0),
        updated_at: at(0),
        rotated_at: at(0),
        expires_at: None,
        revision: 1,
        lifecycle: Lifecycle::default(),
    }
}

/// The settings of these tests: two uses verify, a day of grace.
fn settings(required: bool) -> Settings {
    let base = Settings { verified_runs: 2, grace_days: 1, ..Settings::default() };
    Settings { require_version_test: required, ..base }
}

fn outcome(ok: bool) -> TestOutcome {
    TestOutcome { ok, status: Some(200), detail: String::new(), tested_at: at(20) }
}

/// The steps in a line: `+` done, `-` skipped, `!` what can be done now, `.` what cannot.
fn line(rotation: &Rotation) -> String {
    let mark = |step: &keyward_model::rotation::Step| match (step.done, step.skipped, step.call) {
        (true, ..) => '+',
        (_, true, _) => '-',
        (.., Some(_)) => '!',
        _ => '.',
    };
    rotation.steps.iter().map(mark).collect()
}

#[derive(Clone, Copy)]
struct Case<'a> {
    testable: bool,
    required: bool,
    life: &'a dyn Fn(&mut Credential, &Settings),
    seen: (i64, i64),
}

#[track_caller]
fn check(case: Case<'_>, state: State, steps: &str, versions: (i64, Option<i64>)) -> Rotation {
    let (mut head, settings) = (credential(case.testable), settings(case.required));
    (case.life)(&mut head, &settings);
    let seen = Seen { runs: case.seen.0, failures: case.seen.1 };
    let rotation = Rotation::of(&head, &settings, seen);
    assert_eq!((rotation.state, line(&rotation).as_str()), (state, steps));
    assert_eq!((rotation.version, rotation.previous), versions);
    let order = [StepId::Stage, StepId::Test, StepId::Promote, StepId::Verify, StepId::Revoke];
    assert_eq!(rotation.steps.iter().map(|step| step.id).collect::<Vec<_>>(), order);
    rotation
}

fn stage(head: &mut Credential, _: &Settings) {
    head.stage(fields(), member(), at(10)).expect("it can be staged");
}

fn test(head: &mut Credential, settings: &Settings, ok: bool) {
    stage(head, settings);
    head.note_test(2, outcome(ok), at(20));
}

fn promote(head: &mut Credential, settings: &Settings) {
    test(head, settings, true);
    head.promote(2, member(), at(30), settings).expect("it can be promoted");
}

fn promote_untested(head: &mut Credential, settings: &Settings) {
    stage(head, settings);
    head.promote(2, member(), at(30), settings).expect("it can be promoted");
}

#[test]
fn each_state_says_what_is_done_and_what_comes_next() {
    let case = |testable, required, life| Case { testable, required, life, seen: (5, 0) };
    let none: &dyn Fn(&mut Credential, &Settings) = &|_, _| {};
    let failed: &dyn Fn(&mut Credential, &Settings) = &|c, s| test(c, s, false);
    let passed: &dyn Fn(&mut Credential, &Settings) = &|c, s| test(c, s, true);
    check(case(true, false, none), State::Idle, "!....", (1, None));
    check(case(false, false, none), State::Idle, "!-...", (1, None));
    check(case(false, true, none), State::Idle, "!....", (1, None));
    check(case(true, false, &stage), State::Staged, "+!!..", (2, Some(1)));
    check(case(true, true, &stage), State::Staged, "+!...", (2, Some(1)));
    check(case(false, false, &stage), State::Staged, "+-!..", (2, Some(1)));
    let undefined = check(case(false, true, &stage), State::Staged, "+!...", (2, Some(1)));
    assert_eq!(undefined.steps[1].call, Some(Call::DefineTest));
    assert!(undefined.steps[1].hint.is_some());
    check(case(true, true, failed), State::Staged, "+!...", (2, Some(1)));
    let tested = check(case(true, true, passed), State::Tested, "++!..", (2, Some(1)));
    assert_eq!(tested.steps[1].call, Some(Call::Test(2)), "it can be tested once more");
    assert_eq!(tested.steps[2].call, Some(Call::Promote(2)));
    // What the current version has done before says nothing of the one that waits.
    assert_eq!((tested.verified_runs, tested.grace_ends_at), (0, None));
}

#[test]
fn a_promoted_version_is_verified_by_what_succeeds() {
    let case = |life, seen| Case { testable: true, required: false, life, seen };
    let fresh = check(case(&promote, (0, 0)), State::Promoted, "+++..", (2, Some(1)));
    assert_eq!((fresh.needed_runs, fresh.grace_ends_at), (2, Some(at(30 + DAY))));
    let times: Vec<_> = fresh.steps.iter().map(|step| step.at.map(Timestamp::millis)).collect();
    assert_eq!(times, [Some(10), Some(20), Some(30), None, None]);
    let failing = check(case(&promote, (1, 3)), State::Promoted, "+++..", (2, Some(1)));
    assert_eq!((failing.verified_runs, failing.failed_runs), (1, 3));
    let verified = check(case(&promote, (2, 3)), State::Verified, "++++!", (2, Some(1)));
    assert_eq!(verified.steps[4].call, Some(Call::Revoke(1)));
    assert!(verified.steps[4].hint.is_some());
    check(case(&promote_untested, (2, 0)), State::Verified, "+-++!", (2, Some(1)));
}

#[test]
fn it_is_over_once_the_earlier_version_is_gone_or_current_again() {
    let case = |life| Case { testable: true, required: false, life, seen: (5, 0) };
    let revoked: &dyn Fn(&mut Credential, &Settings) = &|head, settings| {
        promote(head, settings);
        head.discard(1, at(40)).expect("it can be destroyed");
    };
    check(case(revoked), State::Idle, "!....", (2, None));
    let late: &dyn Fn(&mut Credential, &Settings) = &|head, settings| {
        promote(head, settings);
        assert_eq!(head.end_grace(at(30 + DAY)), [1]);
        assert_eq!(head.lifecycle.promoted, None);
    };
    check(case(late), State::Idle, "!....", (2, None));
    let back: &dyn Fn(&mut Credential, &Settings) = &|head, settings| {
        promote(head, settings);
        head.roll_back(1, at(40), settings).expect("it can be returned to");
    };
    check(case(back), State::Idle, "!....", (1, None));
    let overwritten: &dyn Fn(&mut Credential, &Settings) = &|head, settings| {
        promote(head, settings);
        assert_eq!(head.overwrite(fields(), at(40), settings), 3);
    };
    check(case(overwritten), State::Idle, "!....", (3, None));
    let discarded: &dyn Fn(&mut Credential, &Settings) = &|head, settings| {
        stage(head, settings);
        head.discard(2, at(40)).expect("it can be discarded");
    };
    check(case(discarded), State::Idle, "!....", (1, None));
    let next: &dyn Fn(&mut Credential, &Settings) = &|head, settings| {
        promote(head, settings);
        assert_eq!(head.stage(fields(), member(), at(40)), Ok(3));
    };
    check(case(next), State::Staged, "+!!..", (3, Some(2)));
}

#[test]
fn a_template_decides_whether_a_custom_credential_can_be_tested() {
    let check = |template: Option<serde_json::Value>, expected: bool| {
        let mut head = Credential { kind: CredentialType::Custom, ..credential(true) };
        head.details.template = template;
        assert_eq!(head.is_testable(), expected);
    };
    check(None, false);
    check(Some(serde_json::json!({"headers": {"x": "{{ value }}"}})), true);
}
