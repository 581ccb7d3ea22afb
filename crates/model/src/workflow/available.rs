//! What a definition may say that this version of the server does not run yet. It is refused when
//! a workflow is saved, never accepted and passed over.

/// A part of the definition that a server may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// Steps of kind `app`.
    AppStep,
    /// Steps of kind `agent`.
    AgentStep,
    /// Triggers of kind `schedule`.
    Schedule,
    /// `for_each` on a step.
    ForEach,
    /// `$external` credentials.
    External,
}

impl Feature {
    /// Every feature that is not a matter of course.
    pub const ALL: &[Self] =
        &[Self::AppStep, Self::AgentStep, Self::Schedule, Self::ForEach, Self::External];

    /// What this server runs of them.
    pub const AVAILABLE: &[Self] = &[Self::AppStep, Self::External];

    /// The text of a refusal.
    pub(super) fn refusal(self) -> &'static str {
        match self {
            Self::AppStep => "this server version does not run app steps yet",
            Self::AgentStep => "this server version does not run agent steps yet",
            Self::Schedule => "this server version does not run schedules yet",
            Self::ForEach => "this server version does not run for_each yet",
            Self::External => "this server version does not take external credentials yet",
        }
    }
}
