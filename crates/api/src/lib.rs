//! HTTP in: parse, authorise, one call, present. One file per operation; this listing is the API.

mod account;
mod apps;
mod audit;
mod auth;
mod body;
mod cookie;
mod credentials;
mod guard;
mod hooks;
mod idempotency;
mod invitations;
mod list;
mod members;
mod metrics;
mod names;
mod openapi;
mod operation;
mod pages;
mod problem;
mod router;
mod runs;
mod scopes;
mod sessions;
mod setup;
mod single_sign_on;
#[cfg(test)]
mod testing;
mod tokens;
mod workflows;
mod workspaces;

pub use guard::forget_old_sessions;
pub use idempotency::forget_old_replies;
pub use metrics::metrics_router;
pub use openapi::document as openapi_document;
pub use problem::Problem;
pub use router::{Api, probe_router, router};
pub use setup::{NewOwner, SetUpError, check_owner, create_owner, has_owner, new_set_up_token};
pub use single_sign_on::{CALLBACK, SignIn, SingleSignOn};
