//! Test equipment shared by every crate's tests: real servers on loopback (databases, OpenBao, AWS, mail,
//! an OpenID provider), stand-ins for vendors and for any HTTP service, and canary values with the sweep
//! that looks for them. A dev-dependency only; it knows no product code but the pure rules of `model`.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test equipment: where a set-up fails, the test that asked for it must stop"
)]

pub mod authority;
pub mod aws;
mod call;
pub mod canary;
mod child;
pub mod echo;
pub mod evidence;
pub mod hosts;
mod listener;
pub mod mariadb;
pub mod nango;
pub mod oidc;
pub mod openbao;
pub mod postgres;
pub mod python;
pub mod smtp;
pub mod sweep;
pub mod vendors;
