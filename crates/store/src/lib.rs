//! Persistence, the only SQL: one `Store` over SQLite and PostgreSQL.
//!
//! - `store.write(|tx| …)` for what people and the audit change: gives an `AuditReceipt` only after
//!   the commit that holds its events. `store.record(|tx| …)` for the engine's bookkeeping.
//!   `store.read(|reader| …)` for the rest.
//! - Closures are run again after a collision, so they hold no cryptography and wait for nothing.
//! - Operations are methods on `Reader`, `RunTx` and `Tx`, each in the file of its subject.
//! - Adding one: put its SQL into that file's `statements!`, with `$1` placeholders and text,
//!   integers and bytes only; a test prepares it on both back ends. What must differ goes into
//!   `dialect.rs`. A new table goes into a new file in `migrations/`.

mod accounts;
mod apps;
mod audit;
pub mod backup;
mod chain;
mod credentials;
mod dialect;
mod error;
mod idempotency;
mod invitations;
mod keys;
mod members;
mod meta;
mod migrate;
mod nodes;
mod page;
mod person;
mod postgres;
mod queue;
mod review;
mod rewrap;
mod runs;
mod schema;
mod session;
mod sessions;
mod settings;
mod shares;
mod sqlite;
mod steps;
mod store;
mod tls;
mod tokens;
mod tx;
mod usage;
mod uses;
mod value;
mod workflows;
mod workspaces;

pub use audit::AuditFilter;
pub use audit::sinks::ChainEnd;
pub use chain::AuditMac;
pub use credentials::{CredentialFilter, Listed, Visible};
pub use error::{Cause, StoreError};
pub use idempotency::Reply;
pub use keys::{KeyRotation, KeysState, ROOT_FINGERPRINT, ROOT_KEY, RotationPhase};
pub use page::{Page, Paged};
pub use review::{Naming, UsedFor};
pub use rewrap::{CellKind, CellOwner, SIGNED_TABLES, SealedCell, Signed, SignedRow, VersionKey};
pub use runs::{OldRun, Owned, RunFilter};
pub use steps::RunSecret;
pub use store::{Store, Target};
pub use tx::{AuditReceipt, Audited, Reader, RunTx, Tx};
pub use usage::{DayOfUse, User, UserHead};
pub use uses::{Activity, Dependent, Use, Uses};
