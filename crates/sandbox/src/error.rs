//! What can go wrong, as the callers of this crate see it.

use crate::walls::WallName;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Why a step could not be started at all. What goes wrong inside a step is an
/// [`Outcome`](crate::Outcome) instead.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A wall that code steps need is missing on this machine.
    #[error("code steps are refused: the wall `{wall}` is missing ({reason})")]
    WallMissing {
        /// Which wall.
        wall: WallName,
        /// Why the kernel did not give it.
        reason: String,
    },
    /// The zygote could not be started or did not answer.
    #[error("the sandbox cannot be started: {0}")]
    Unavailable(String),
    /// `shutdown` was called.
    #[error("the sandbox has been shut down")]
    ShutDown,
    /// The step's input is larger than a frame can be.
    #[error("the input of the code step is too large for the sandbox")]
    InputTooLarge,
}

/// Why a source was not accepted. Positions are the author's: line and column count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct CompileError {
    /// Line in the author's source, from 1.
    pub line: u32,
    /// Column in the author's source, in characters, from 1.
    pub column: u32,
    /// What is wrong with the source.
    pub message: String,
}

/// Why [`Sandbox::compile`](crate::Sandbox::compile) gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum CompileFailure {
    /// The author's source is at fault.
    #[error(transparent)]
    Source(#[from] CompileError),
    /// The sandbox is at fault.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

/// An error that a script sees as a thrown `Error` with `.code`, `.message` and `.key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptError {
    /// A step error code, such as `connection_failed`.
    pub code: Cow<'static, str>,
    /// Text for the author; never a secret.
    pub message: String,
    /// The credential it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl ScriptError {
    /// An error with this step error code and text.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), key: None }
    }

    /// The same, about this credential.
    #[must_use]
    pub fn about(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}
