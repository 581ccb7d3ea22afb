//! The guarded client against small servers on loopback.

#![expect(clippy::unwrap_used, reason = "a test server that fails is a failed test")]

mod blocked;
mod drafting;
mod filling;
mod limits;
mod sending;
mod server;
mod sinks;
mod tls;
