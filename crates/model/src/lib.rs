//! The domain: names, states and rules, without I/O, SQL, cryptography or clock reads.

pub mod actor;
pub mod audit;
pub mod clock;
pub mod credential;
pub mod destination;
pub mod error;
pub mod id;
pub mod json;
pub mod lifecycle;
pub mod mask;
pub mod people;
pub mod permission;
pub mod policy;
pub mod resolution;
pub mod review;
pub mod rotation;
pub mod run;
pub mod saved_workflow;
pub mod settings;
pub mod share;
pub mod sign_in;
pub mod single_sign_on;
pub mod tag;
pub mod template;
pub mod tenant;
pub mod workflow;
