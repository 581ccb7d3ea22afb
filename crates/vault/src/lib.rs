//! The only crate that opens credential values: keys, sealing, placeholders, and the broker that
//! fills values into requests on their way out.

mod accounts;
mod anchor;
pub mod backup;
mod broker;
mod bytes;
mod credentials;
mod derive;
mod inject;
mod keys;
mod password;
mod placeholder;
mod root;
mod run;
mod seal;
mod secret;
mod single_sign_on;
mod step;
mod token;
mod totp;
mod vault;

pub use anchor::{Anchor, AnchorError};
pub use broker::{Answer, Outgoing};
pub use bytes::fresh_id;
pub use derive::{Derivation, DeriveError};
pub use inject::AttachError;
pub use placeholder::PREFIX;
pub use root::{RootKey, RootKeyError};
pub use run::{RunVault, Unsaved};
pub use secret::{Exposed, Incoming};
pub use single_sign_on::{
    Begun, Provider, ProviderSettings, Returned, SettingsError, SignOnError, SignedOn,
};
pub use step::{Handle, StepFailure, StepVault, UsedCredential};
pub use token::{NewToken, TokenKind};
pub use vault::{Vault, VaultError, read_identity};
