//! The whole database as one stream of rows, the same for both back ends: written as of one moment,
//! loaded into an empty database. Neither encrypted nor checked against damage; the vault does that.

mod load;
mod rows;
mod snapshot;

pub use load::{clear, load};
pub use snapshot::write;

use crate::error::StoreError;
use crate::schema::Table;
use std::collections::BTreeMap;
use std::io;

/// Why a database could not be written out or loaded.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stream that is written or read.
    #[error(transparent)]
    Stream(#[from] io::Error),
    /// A cell holds what its column cannot: somebody else wrote it.
    #[error("a stored row of {table} cannot be read (key {key})")]
    Unreadable {
        /// The table.
        table: String,
        /// The row's key, as far as it is an id.
        key: String,
    },
    /// The stream holds something else than a database.
    #[error("this is not a database that this release can load: {0}")]
    Malformed(&'static str),
    /// A newer release wrote it.
    #[error(
        "it was made by a newer release (schema {found}; this one knows up to {known}): use that release or a newer one"
    )]
    NewerSchema {
        /// The backup's schema.
        found: i64,
        /// The newest that this release knows.
        known: i64,
    },
    /// There are rows already.
    #[error("the database is not empty (there are rows in {table}): give a new one")]
    NotEmpty {
        /// The first table with rows.
        table: String,
    },
}

/// What a stream holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The number of its schema.
    pub schema: i64,
    /// The number of rows by table.
    pub rows: BTreeMap<String, u64>,
}

impl Contents {
    /// All rows.
    pub fn total(&self) -> u64 {
        self.rows.values().sum()
    }
}

/// Whether a table's rows go along: nodes live where they beat, and the loader applies the
/// migrations itself.
fn goes_along(table: &Table) -> bool {
    table.name != "migrations" && table.name != "nodes"
}

#[cfg(test)]
mod tests;
