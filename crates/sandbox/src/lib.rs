//! Runs untrusted JavaScript and TypeScript in confined single-use processes.
//!
//! The server holds a [`Sandbox`]. Behind it a zygote (the same binary, started with nothing but
//! one socket) forks a process ahead of each step; the process locks itself in, waits for its one
//! request, runs it, and is killed from outside. What a script may do beyond computing is to send
//! frames: a log line, a `fetch`, a question about a credential. The crate knows no credential,
//! database or network; whoever drives the [`Session`] answers.

mod compile;
mod confine;
mod descriptors;
mod engine;
mod error;
mod flow;
mod host;
mod memory;
mod natives;
mod pool;
mod sandbox;
mod session;
mod shape;
mod step;
mod walls;
mod wire;
mod zygote;

pub use error::{CompileError, CompileFailure, SandboxError, ScriptError};
pub use sandbox::{Options, Sandbox};
pub use session::Session;
pub use shape::{How, InputPath, Origins, Segment, Shape};
pub use step::{
    Answer, Ask, Compiled, CredentialHandle, Derivation, Event, Failure, FetchRequest,
    FetchResponse, KeyLiteral, Language, Level, Limits, Outcome, Redirect, Start,
};
pub use walls::{Wall, WallName, Walls};
pub use zygote::zygote_main;
