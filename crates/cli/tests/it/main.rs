//! The product from outside: the built binary, real databases, real requests.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects by failing"
)]
#![expect(unreachable_pub, reason = "the harness is shared by the modules of this one program")]

mod api_contract;
mod apps;
mod apps_credentials;
mod audit;
mod backup;
mod bad_input;
mod broker;
mod crash;
mod credentials;
mod echoes;
mod every_action;
mod external;
mod hostile_code;
mod import;
mod key_rotation;
mod masking;
mod matrix;
mod objects;
mod odd_shapes;
mod people;
mod review;
mod rotation;
mod runs;
mod samples;
mod scene;
mod server;
mod sharing;
mod single_sign_on;
mod tampering;
mod tokens_in_paths;
mod vendors;
mod walkthrough;
