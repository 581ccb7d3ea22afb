//! The product from outside: the built binary, real databases, real requests.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects by failing"
)]
#![expect(unreachable_pub, reason = "the harness is shared by the modules of this one program")]

mod api_contract;
mod backup;
mod bad_input;
mod broker;
mod crash;
mod credentials;
mod echoes;
mod hostile_code;
mod masking;
mod key_rotation;
mod matrix;
mod people;
mod rotation;
mod runs;
mod scene;
mod server;
mod single_sign_on;
mod tampering;
mod walkthrough;
