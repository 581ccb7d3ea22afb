//! What all steps have in common: when they run, how often, and what follows a failure.

use super::agent::{self, AgentStep};
use super::app::{self, AppStep};
use super::available::Feature;
use super::code::{self, CodeStep};
use super::credential::CredentialInput;
use super::http::{self, HttpStep};
use super::key::CredentialKey;
use super::node::{Node, Object};
use super::step_id::StepId;
use crate::run::StepRules;
use crate::template::{Context, Template, TemplateError, is_true};
use std::time::Duration;

const COMMON: &[&str] =
    &["id", "kind", "when", "for_each", "retry", "timeout_seconds", "on_error", "on_interrupt"];

/// No step waits longer than this between two attempts.
const MAX_DELAY: Duration = Duration::from_secs(3600);

/// One step of a workflow.
#[derive(Debug)]
pub struct Step {
    /// Its name, unique in the workflow.
    pub id: StepId,
    /// What it does.
    pub kind: StepKind,
    /// Runs only where this holds.
    pub when: Option<Condition>,
    /// Runs once for each item of this array.
    pub for_each: Option<Template>,
    /// What follows a failed attempt.
    pub retry: Retry,
    /// How long an attempt may take, 0.1 s to 1 h; `None` for the kind's own limit.
    pub timeout: Option<Duration>,
    /// What follows when no attempt is left.
    pub on_error: OnError,
    /// What follows when the node dies in the middle of an attempt.
    pub on_interrupt: OnInterrupt,
}

/// What a step does.
#[derive(Debug)]
pub enum StepKind {
    /// Runs a script.
    Code(CodeStep),
    /// Sends a request.
    Http(HttpStep),
    /// Does an app's action.
    App(AppStep),
    /// Lets a model work.
    Agent(AgentStep),
}

/// The expression of a `when`.
#[derive(Debug)]
pub struct Condition(Template);

impl Condition {
    /// Whether the step runs; what counts as true is in [`is_true`].
    ///
    /// # Errors
    /// The expression gives nothing.
    pub fn holds(&self, context: &Context) -> Result<bool, TemplateError> {
        self.0.render(context).map(|value| is_true(&value))
    }
}

/// How often a step is tried, and how far apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all, 1 to 10.
    pub attempts: u32,
    /// The time before the second attempt, 0 to 3,600 s.
    pub delay: Duration,
    /// How the time grows.
    pub backoff: Backoff,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 1, delay: Duration::from_secs(1), backoff: Backoff::Fixed }
    }
}

impl Retry {
    /// The time to wait after the failure of an attempt (from 1) before the next; one hour at most.
    pub fn delay_after(&self, attempt: u32) -> Duration {
        match self.backoff {
            Backoff::Fixed => self.delay,
            Backoff::Exponential => {
                let factor = 2_u32.saturating_pow(attempt.saturating_sub(1));
                self.delay.saturating_mul(factor).min(MAX_DELAY)
            }
        }
    }
}

/// How the time between attempts grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backoff {
    /// Not at all.
    #[default]
    Fixed,
    /// It doubles.
    Exponential,
}

/// What follows when a step has failed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// The run fails.
    #[default]
    Fail,
    /// The run goes on; the step has no output.
    Continue,
}

/// What follows when a node dies while a step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnInterrupt {
    /// The step runs again from its start.
    #[default]
    Retry,
    /// The step fails with `interrupted`.
    Fail,
}

#[derive(Clone, Copy)]
enum Kind {
    Code,
    Http,
    App,
    Agent,
}

const KINDS: &[(&str, Kind)] =
    &[("code", Kind::Code), ("http", Kind::Http), ("app", Kind::App), ("agent", Kind::Agent)];

impl Kind {
    fn members(self) -> &'static [&'static str] {
        match self {
            Self::Code => code::MEMBERS,
            Self::Http => http::MEMBERS,
            Self::App => app::MEMBERS,
            Self::Agent => agent::MEMBERS,
        }
    }
}

impl Step {
    pub(super) fn read(node: &Node<'_>) -> Option<Self> {
        let open = node.open_object()?;
        let kind_node = open.required("kind");
        let kind = kind_node.as_ref().and_then(|kind| kind.word(KINDS));
        let object = match kind {
            Some(kind) => node.object(&[COMMON, kind.members()].concat())?,
            // Which other members there are depends on the kind that is not known.
            None => open,
        };
        let id = object.required("id").and_then(|id| read_id(&id));
        let what = kind_node.zip(kind).and_then(|(at, kind)| StepKind::read(&object, kind, &at));
        let when = object.optional("when", |when| when.lone_template().map(Condition));
        let for_each = object.optional("for_each", |node| {
            node.require(Feature::ForEach);
            node.lone_template()
        });
        let retry = object.or_default("retry", Retry::read);
        let timeout = object.optional("timeout_seconds", |time| time.seconds(0.1..=3600.0));
        let on_error = object.or_default("on_error", |word| {
            word.word(&[("fail", OnError::Fail), ("continue", OnError::Continue)])
        });
        let on_interrupt = object.or_default("on_interrupt", |word| {
            word.word(&[("retry", OnInterrupt::Retry), ("fail", OnInterrupt::Fail)])
        });
        Some(Self {
            id: id?,
            kind: what?,
            when: when?,
            for_each: for_each?,
            retry: retry?,
            timeout: timeout?,
            on_error: on_error?,
            on_interrupt: on_interrupt?,
        })
    }

    /// The keys that the step's definition names; those in a code step's source are the
    /// sandbox's to find.
    pub fn declared_keys(&self) -> Vec<&CredentialKey> {
        match &self.kind {
            StepKind::Code(code) => code.credentials.iter().collect(),
            StepKind::Http(http) => key_of(http.credential.as_ref()),
            StepKind::App(app) => key_of(app.credential.as_ref()),
            StepKind::Agent(agent) => {
                let model = agent.model.credential.as_ref().and_then(CredentialInput::key);
                model.into_iter().chain(&agent.credentials).collect()
            }
        }
    }

    /// What the run's state machine needs to know.
    pub fn rules(&self) -> StepRules {
        StepRules {
            attempts: self.retry.attempts,
            continue_on_error: self.on_error == OnError::Continue,
            fail_on_interrupt: self.on_interrupt == OnInterrupt::Fail,
        }
    }
}

fn key_of(credential: Option<&CredentialInput>) -> Vec<&CredentialKey> {
    credential.and_then(CredentialInput::key).into_iter().collect()
}

fn read_id(node: &Node<'_>) -> Option<StepId> {
    let text = node.text()?;
    StepId::parse(text).map_or_else(|e| node.fault("invalid_id", e.to_string()), Some)
}

impl StepKind {
    /// The word that names the kind.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Code(_) => "code",
            Self::Http(_) => "http",
            Self::App(_) => "app",
            Self::Agent(_) => "agent",
        }
    }

    fn read(step: &Object<'_>, kind: Kind, at: &Node<'_>) -> Option<Self> {
        match kind {
            Kind::Code => CodeStep::read(step).map(Self::Code),
            Kind::Http => HttpStep::read(step).map(Self::Http),
            Kind::App => {
                at.require(Feature::AppStep);
                AppStep::read(step).map(Self::App)
            }
            Kind::Agent => {
                at.require(Feature::AgentStep);
                AgentStep::read(step).map(Self::Agent)
            }
        }
    }
}

impl Retry {
    fn read(node: &Node<'_>) -> Option<Self> {
        let object = node.object(&["attempts", "delay_seconds", "backoff"])?;
        let attempts = object.required("attempts").and_then(|attempts| attempts.integer(1..=10));
        let delay = object.optional("delay_seconds", |delay| delay.seconds(0.0..=3600.0));
        let backoff = object.or_default("backoff", |word| {
            word.word(&[("fixed", Backoff::Fixed), ("exponential", Backoff::Exponential)])
        });
        let delay = delay?.unwrap_or(Self::default().delay);
        Some(Self { attempts: attempts?, delay, backoff: backoff? })
    }
}
