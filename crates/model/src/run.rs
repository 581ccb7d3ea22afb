//! Runs: their states, what comes next, and what is stored of a run and its steps.

use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::error::StepErrorCode;
use crate::id::{MemberId, NodeId, RunId, WorkflowId, WorkspaceId};
use crate::mask::Masked;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// The word stored and shown.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
            /// Reads the stored word.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// Where a run stands.
    RunStatus {
        /// Accepted, not begun.
        Queued "queued",
        /// A node drives it.
        Running "running",
        /// It waits for a retry's time.
        Waiting "waiting",
        /// All steps ended well, or may fail.
        Succeeded "succeeded",
        /// A step failed that may not.
        Failed "failed",
        /// A person ended it.
        Cancelled "cancelled",
    }
}

impl RunStatus {
    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// How a run ended, in words for the audit trail: `succeeded`, `cancelled`, `failed (http_status)`.
pub fn outcome(status: RunStatus, code: Option<StepErrorCode>) -> String {
    match (status, code) {
        (RunStatus::Failed, Some(code)) => format!("failed ({})", code.as_str()),
        (status, _) => status.as_str().to_owned(),
    }
}

words! {
    /// Where a step stands.
    StepStatus {
        /// It executes, and must not be executed twice (`on_interrupt: fail`).
        Running "running",
        /// An attempt failed; the next one has its time.
        Waiting "waiting",
        /// It gave its output.
        Succeeded "succeeded",
        /// It failed, with no attempt left.
        Failed "failed",
        /// A person ended the run in it.
        Cancelled "cancelled",
        /// Its `when` said no.
        Skipped "skipped",
    }
}

words! {
    /// Which door an event came by.
    Origin {
        /// An HTTP trigger.
        Hook "http",
        /// A person or token.
        Manual "manual",
        /// A retry of an earlier run.
        Retry "retry",
    }
}

/// What the definition says of a step's failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepRules {
    /// How many attempts in all, at least 1.
    pub attempts: u32,
    /// Whether the run goes on after a failure.
    pub continue_on_error: bool,
    /// Whether an attempt cut short by a dead node ends the step.
    pub fail_on_interrupt: bool,
}

/// What is known of a step, from its stored record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Where it stands.
    pub status: StepStatus,
    /// The attempt that the status speaks of, from 1.
    pub attempt: u32,
    /// For `waiting`: when the next attempt begins.
    pub wake_at: Option<Timestamp>,
}

/// What a run does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Execute the step at this position; attempts count from 1.
    Execute {
        /// Index in the definition.
        position: usize,
        /// The attempt.
        attempt: u32,
        /// Not before this time.
        not_before: Option<Timestamp>,
    },
    /// End the step at this position as interrupted.
    Interrupt {
        /// Index in the definition.
        position: usize,
        /// The attempt that was cut short.
        attempt: u32,
    },
    /// The run is over.
    Done(RunStatus),
}

/// Decides what a run does next from its steps' rules and the records stored so far, in order.
pub fn next(rules: &[StepRules], records: &[Progress]) -> Next {
    let Some(last) = records.len().checked_sub(1) else { return execute(rules, 0, 1, None) };
    let (Some(record), Some(rule)) = (records.get(last), rules.get(last)) else {
        return Next::Done(RunStatus::Failed);
    };
    match record.status {
        StepStatus::Running if rule.fail_on_interrupt => {
            Next::Interrupt { position: last, attempt: record.attempt }
        }
        StepStatus::Running => execute(rules, last, record.attempt, None),
        StepStatus::Waiting => execute(rules, last, record.attempt + 1, record.wake_at),
        StepStatus::Cancelled => Next::Done(RunStatus::Cancelled),
        StepStatus::Failed if !rule.continue_on_error => Next::Done(RunStatus::Failed),
        StepStatus::Failed | StepStatus::Succeeded | StepStatus::Skipped => {
            execute(rules, last + 1, 1, None)
        }
    }
}

fn execute(
    rules: &[StepRules],
    position: usize,
    attempt: u32,
    not_before: Option<Timestamp>,
) -> Next {
    if position >= rules.len() {
        return Next::Done(RunStatus::Succeeded);
    }
    Next::Execute { position, attempt, not_before }
}

/// A run as it is first written.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its id.
    pub id: RunId,
    /// The workflow.
    pub workflow: WorkflowId,
    /// The workflow's version.
    pub version: i64,
    /// Which door it came by.
    pub origin: Origin,
    /// Who it is put down to.
    pub starter: Actor,
    /// The member whose rights count, where a person started it.
    pub member: Option<MemberId>,
    /// The trigger, as JSON.
    pub trigger: Masked,
    /// Which sealed value in it stands for what: a JSON object, made by the server.
    pub seals: String,
    /// Whether nothing readable may stay (no-store).
    pub no_store: bool,
    /// Whether that counts only until the secrets in its data are known.
    pub withheld: bool,
    /// The run that this one retries.
    pub retry_of: Option<RunId>,
    /// The node that drives it from birth.
    pub node: NodeId,
    /// When it was accepted.
    pub created_at: Timestamp,
}

/// A run as it is stored.
#[derive(Debug, Clone)]
pub struct Run {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its id.
    pub id: RunId,
    /// The workflow.
    pub workflow: WorkflowId,
    /// The workflow's version.
    pub version: i64,
    /// Where it stands.
    pub status: RunStatus,
    /// Which door it came by.
    pub origin: Origin,
    /// Who it is put down to.
    pub starter: Actor,
    /// The member whose rights count, where a person started it.
    pub member: Option<MemberId>,
    /// The trigger as masked JSON; empty once a no-store run has ended.
    pub trigger: String,
    /// JSON object: sealed value in the trigger to its origin.
    pub seals: String,
    /// Whether nothing readable may stay.
    pub no_store: bool,
    /// Whether that counts only until the secrets in its data are known.
    pub withheld: bool,
    /// The run that this one retries.
    pub retry_of: Option<RunId>,
    /// The node that drives it.
    pub node: NodeId,
    /// Raised at each takeover; a write by an earlier owner finds no row.
    pub epoch: i64,
    /// How it failed.
    pub error: Option<StepError>,
    /// The step that it failed in.
    pub error_step: Option<String>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// Why a step failed, as stored and shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepError {
    /// The stable code.
    pub code: StepErrorCode,
    /// Masked text for people.
    pub message: String,
}

/// A step's record as it is written; replaces the record of an earlier attempt.
#[derive(Debug, Clone)]
pub struct NewStep {
    /// Index in the definition.
    pub position: i64,
    /// The step's id in the definition.
    pub step: String,
    /// `code`, `http`, …
    pub kind: String,
    /// Where it stands.
    pub status: StepStatus,
    /// From 1.
    pub attempt: i64,
    /// For `waiting`: when the next attempt begins.
    pub wake_at: Option<Timestamp>,
    /// When this attempt began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// What the step was given, as JSON.
    pub input: Option<Masked>,
    /// What it gave, as JSON.
    pub output: Option<Masked>,
    /// Why it failed.
    pub error_code: Option<StepErrorCode>,
    /// The same for people.
    pub error_message: Option<Masked>,
    /// Log lines of all attempts, a JSON array.
    pub logs: Masked,
    /// The credentials used, a JSON array; names, ids and versions, made by the server.
    pub credentials: String,
    /// Which sealed value stands for which key: a JSON object, made by the server.
    pub seals: String,
}

/// A step's record as it is stored.
#[derive(Debug, Clone)]
pub struct Step {
    /// Index in the definition.
    pub position: i64,
    /// The step's id in the definition.
    pub step: String,
    /// `code`, `http`, …
    pub kind: String,
    /// Where it stands.
    pub status: StepStatus,
    /// From 1.
    pub attempt: i64,
    /// For `waiting`: when the next attempt begins.
    pub wake_at: Option<Timestamp>,
    /// When this attempt began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Masked JSON.
    pub input: Option<String>,
    /// Masked JSON.
    pub output: Option<String>,
    /// Why it failed.
    pub error: Option<StepError>,
    /// Masked JSON array of `{"at","level","message","attempt"}`.
    pub logs: String,
    /// JSON array of the credentials used.
    pub credentials: String,
    /// JSON object: sealed value to key.
    pub seals: String,
}

/// A stored record is one that went through the masker when it was written.
impl From<Step> for NewStep {
    fn from(step: Step) -> Self {
        let (error_code, error_message) = match step.error {
            Some(error) => (Some(error.code), Some(Masked::stored(error.message))),
            None => (None, None),
        };
        Self {
            position: step.position,
            step: step.step,
            kind: step.kind,
            status: step.status,
            attempt: step.attempt,
            wake_at: step.wake_at,
            started_at: step.started_at,
            finished_at: step.finished_at,
            input: step.input.map(Masked::stored),
            output: step.output.map(Masked::stored),
            error_code,
            error_message,
            logs: Masked::stored(step.logs),
            credentials: step.credentials,
            seals: step.seals,
        }
    }
}

/// How a run ends, as it is written with its last step.
#[derive(Debug, Clone)]
pub struct RunEnd {
    /// A final status.
    pub status: RunStatus,
    /// Why it failed.
    pub error_code: Option<StepErrorCode>,
    /// The same for people.
    pub error_message: Option<Masked>,
    /// The step that it failed in.
    pub error_step: Option<String>,
    /// When.
    pub finished_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: StepRules =
        StepRules { attempts: 1, continue_on_error: false, fail_on_interrupt: false };

    fn at(status: StepStatus) -> Progress {
        Progress { status, attempt: 1, wake_at: None }
    }

    #[test]
    fn what_comes_next() {
        let go = |position, attempt| Next::Execute { position, attempt, not_before: None };
        let check = |rule: StepRules, records: &[StepStatus], expected| {
            let records: Vec<_> = records.iter().map(|status| at(*status)).collect();
            assert_eq!(next(&[rule, rule], &records), expected, "{records:?}");
        };
        use StepStatus::*;
        let lenient = StepRules { continue_on_error: true, ..PLAIN };
        let once = StepRules { fail_on_interrupt: true, ..PLAIN };
        check(PLAIN, &[], go(0, 1));
        check(PLAIN, &[Succeeded], go(1, 1));
        check(PLAIN, &[Skipped], go(1, 1));
        check(PLAIN, &[Succeeded, Succeeded], Next::Done(RunStatus::Succeeded));
        check(PLAIN, &[Failed], Next::Done(RunStatus::Failed));
        check(lenient, &[Failed], go(1, 1));
        check(lenient, &[Succeeded, Failed], Next::Done(RunStatus::Succeeded));
        check(PLAIN, &[Running], go(0, 1));
        check(once, &[Running], Next::Interrupt { position: 0, attempt: 1 });
        check(PLAIN, &[Waiting], go(0, 2));
        check(PLAIN, &[Cancelled], Next::Done(RunStatus::Cancelled));
        assert_eq!(next(&[], &[]), Next::Done(RunStatus::Succeeded));
    }

    proptest! {
        #[test]
        fn a_run_always_ends_and_never_goes_back(
            outcomes in prop::collection::vec(0..4u8, 0..60),
            lenient in any::<bool>(),
            attempts in 1..4u32,
        ) {
            let rule = StepRules { attempts, continue_on_error: lenient, fail_on_interrupt: false };
            let rules = vec![rule; 5];
            let mut records: Vec<Progress> = Vec::new();
            let mut outcomes = outcomes.into_iter().chain(std::iter::repeat(0));
            for _ in 0..5 * 4 + 1 {
                let Next::Execute { position, attempt, .. } = next(&rules, &records) else { break };
                prop_assert!(position == records.len() || position + 1 == records.len());
                prop_assert!(attempt <= attempts);
                let status = match outcomes.next() {
                    Some(1) => StepStatus::Skipped,
                    Some(2) if attempt < attempts => StepStatus::Waiting,
                    Some(2 | 3) => StepStatus::Failed,
                    _ => StepStatus::Succeeded,
                };
                records.truncate(position);
                records.push(Progress { status, attempt, wake_at: None });
            }
            prop_assert!(matches!(next(&rules, &records), Next::Done(_)));
        }
    }
}
