//! Where a credential's rotation stands and what comes next: one list of steps, which the page and
//! the command line both show.

use crate::clock::Timestamp;
use crate::credential::Credential;
use crate::lifecycle::{Promoted, Staged};
use crate::settings::Settings;
use serde::Serialize;

/// How far a rotation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing waits, and there is nothing to clear away.
    Idle,
    /// A new version waits.
    Staged,
    /// It has passed its test.
    Tested,
    /// It is the current one; the earlier one can still be returned to.
    Promoted,
    /// Enough steps have used it since.
    Verified,
}

/// One step of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepId {
    /// Saving the new value beside the current one.
    Stage,
    /// Asking the service whether it takes the new value.
    Test,
    /// Making it the current one.
    Promote,
    /// Waiting until steps have used it.
    Verify,
    /// Destroying the earlier value.
    Revoke,
}

/// What can be asked of the server to do a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Save a new version.
    Stage,
    /// Say how the credential is tested.
    DefineTest,
    /// Test that version.
    Test(i64),
    /// Promote that version.
    Promote(i64),
    /// Destroy that version.
    Revoke(i64),
}

/// A step and whether it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub id: StepId,
    /// Whether it is done.
    pub done: bool,
    /// Whether it does not apply: nobody has said how to test, and nobody asks for a test.
    pub skipped: bool,
    /// When it was done, as far as that is known.
    pub at: Option<Timestamp>,
    /// What does it, where it can be done now.
    pub call: Option<Call>,
    /// What people should know before they do it.
    pub hint: Option<&'static str>,
}

/// A rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// How far it has come.
    pub state: State,
    /// The new version; of an idle credential, the current one.
    pub version: i64,
    /// The version that it takes the place of.
    pub previous: Option<i64>,
    /// How many runs have used it since the promotion and went on.
    pub verified_runs: i64,
    /// How many it takes.
    pub needed_runs: i64,
    /// How many have failed.
    pub failed_runs: i64,
    /// Until when the earlier version can be returned to.
    pub grace_ends_at: Option<Timestamp>,
    /// What is done and what comes next, in order.
    pub steps: Vec<Step>,
}

/// What was seen of the current version in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// How many runs have used it and went on.
    pub runs: i64,
    /// How often such a step failed.
    pub failures: i64,
}

const DEFINE_TEST: &str =
    "this workspace wants a passed test: say how this credential is tested first";
const REVOKE: &str =
    "revoke the earlier value at the service first; then destroy what the server keeps of it";

impl Rotation {
    /// Where the rotation of a credential stands; `seen` is of its current version.
    pub fn of(head: &Credential, settings: &Settings, seen: Seen) -> Self {
        let life = &head.lifecycle;
        let promoted = life.promoted.as_ref().filter(|done| done.version == head.version);
        let promoted = promoted.and_then(|done| Some((done, head.retired(done.from)?.until)));
        match (&life.staged, promoted) {
            // A version that waits is what its people work at, though an earlier one is not cleared.
            (Some(staged), _) => Self::staged(head, settings, staged),
            (None, Some((promoted, until))) => Self::promoted(settings, promoted, until, seen),
            (None, None) => Self::idle(head, settings),
        }
    }

    fn new(state: State, version: i64, settings: &Settings) -> Self {
        Self {
            state,
            version,
            previous: None,
            verified_runs: 0,
            needed_runs: settings.verified_runs.into(),
            failed_runs: 0,
            grace_ends_at: None,
            steps: Vec::with_capacity(5),
        }
    }

    fn idle(head: &Credential, settings: &Settings) -> Self {
        let skipped = !settings.require_version_test && !head.is_testable();
        let steps = vec![
            Step { call: Some(Call::Stage), ..step(StepId::Stage) },
            Step { skipped, ..step(StepId::Test) },
            step(StepId::Promote),
            step(StepId::Verify),
            step(StepId::Revoke),
        ];
        Self { steps, ..Self::new(State::Idle, head.version, settings) }
    }

    fn staged(head: &Credential, settings: &Settings, staged: &Staged) -> Self {
        let (version, required) = (staged.version, settings.require_version_test);
        let passed = staged.test.as_ref().filter(|test| test.ok).map(|test| test.tested_at);
        let test = match head.is_testable() {
            true => Step { call: Some(Call::Test(version)), ..done(StepId::Test, passed) },
            false if passed.is_some() => done(StepId::Test, passed),
            false if required => {
                let (call, hint) = (Some(Call::DefineTest), Some(DEFINE_TEST));
                Step { call, hint, ..step(StepId::Test) }
            }
            false => Step { skipped: true, ..step(StepId::Test) },
        };
        let promote = Some(Call::Promote(version)).filter(|_| passed.is_some() || !required);
        let steps = vec![
            done(StepId::Stage, Some(staged.at)),
            test,
            Step { call: promote, ..step(StepId::Promote) },
            step(StepId::Verify),
            step(StepId::Revoke),
        ];
        let state = if passed.is_some() { State::Tested } else { State::Staged };
        Self { previous: Some(head.version), steps, ..Self::new(state, version, settings) }
    }

    fn promoted(settings: &Settings, promoted: &Promoted, until: Timestamp, seen: Seen) -> Self {
        let verified_runs = seen.runs;
        let verified = verified_runs >= i64::from(settings.verified_runs);
        let state = if verified { State::Verified } else { State::Promoted };
        let test = done(StepId::Test, promoted.tested_at);
        let revoke = Some(Call::Revoke(promoted.from)).filter(|_| verified);
        let steps = vec![
            done(StepId::Stage, Some(promoted.staged_at)),
            Step { skipped: !test.done, ..test },
            done(StepId::Promote, Some(promoted.at)),
            Step { done: verified, ..step(StepId::Verify) },
            Step { call: revoke, hint: Some(REVOKE), ..step(StepId::Revoke) },
        ];
        Self {
            previous: Some(promoted.from),
            verified_runs,
            failed_runs: seen.failures,
            grace_ends_at: Some(until),
            steps,
            ..Self::new(state, promoted.version, settings)
        }
    }
}

fn step(id: StepId) -> Step {
    Step { id, done: false, skipped: false, at: None, call: None, hint: None }
}

/// A step that is done where it is known when.
fn done(id: StepId, at: Option<Timestamp>) -> Step {
    Step { done: at.is_some(), at, ..step(id) }
}
