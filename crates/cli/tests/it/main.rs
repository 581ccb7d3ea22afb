//! The product from outside: the built binary, real databases, real requests.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects by failing"
)]

mod bad_input;
mod hostile_code;
mod server;
mod walkthrough;
