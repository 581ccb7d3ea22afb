//! The only way out: a guarded client that sends one hop to a checked address.
//!
//! It follows no redirect, knows no credential and asks no proxy. A request begins as a readable
//! [`Draft`] and leaves as a [`Request`], which nobody can read; [`Client::send`] looks the name up,
//! checks every address, dials one that was checked, and brings back a bounded [`Response`].

mod address;
mod allow;
mod client;
mod connect;
mod decode;
mod destination;
mod draft;
mod error;
mod guard;
mod pools;
mod request;
mod response;
mod sink;
mod tls;

pub use allow::{Allow, AllowError};
pub use client::{Client, Options};
pub use destination::{Ambiguous, Destination, Scheme};
pub use draft::Draft;
pub use error::{Blocked, EgressError, Excess, Failure, Invalid, Phase};
pub use request::{Filled, Request};
pub use response::Response;
pub use sink::{Sink, SinkError, SinkKind, SinkSetupError};
pub use tls::SetupError;
