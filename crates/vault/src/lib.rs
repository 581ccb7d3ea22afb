//! The only crate that opens credential values: keys, sealing, placeholders, and the broker that
//! fills values into requests on their way out.

mod accounts;
mod action;
mod anchor;
mod apps;
mod audit;
mod authentication;
pub mod backup;
mod broker;
mod bytes;
mod credentials;
mod derive;
mod explain;
mod gate;
mod inject;
mod keyring;
mod keys;
mod link;
mod password;
mod placeholder;
mod received;
mod ring;
mod root;
mod root_file;
mod rotate;
mod run;
mod seal;
mod secret;
mod session;
mod single_sign_on;
#[cfg_attr(not(test), allow(dead_code, reason = "actions of apps are the caller"))]
mod sources;
mod step;
mod test;
mod token;
mod totp;
mod vault;

pub use action::Act;
pub use anchor::{Anchor, AnchorError};
pub use audit::{AuditExport, AuditKeys};
pub use authentication::{ExternalValues, Using, template};
pub use broker::{Answer, Outgoing, Sign};
pub use bytes::fresh_id;
pub use credentials::ReplyOwner;
pub use derive::{Derivation, DeriveError};
pub use explain::{Explained, Question};
pub use gate::{AuditGate, SinkState};
pub use inject::AttachError;
pub use keyring::{read_identity, root_key_waits};
pub use placeholder::PREFIX;
pub use root::{RootKey, RootKeyError};
pub use rotate::{RootRotated, RotateError};
pub use run::{RunVault, Standing, Unsaved};
pub use secret::{Exposed, Incoming};
pub use single_sign_on::{
    Begun, Provider, ProviderSettings, Returned, SettingsError, SignOnError, SignedOn,
};
pub use step::{Handle, StepFailure, StepVault, UsedCredential};
pub use token::{NewToken, TokenKind};
pub use vault::{Vault, VaultError};
