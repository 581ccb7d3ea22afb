//! What can go wrong with the database, in words that hold no stored or sent content.

use std::fmt;

/// Why an operation of the store did not take place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Something of that name exists already, or the row was changed in between (`revision`).
    #[error("{what} is taken, or was changed in the meantime")]
    Conflict {
        /// What is in the way: `slug`, `email`, `key`, `revision`, …
        what: &'static str,
    },
    /// The run has ended, is gone, or another node drives it; its earlier owner must stop.
    #[error("the run has ended or is driven by another node")]
    LostRun,
    /// The database cannot be used now; nothing is known to have been written.
    #[error("the database cannot be used now")]
    Unavailable(#[source] Cause),
    /// A stored row cannot be read: somebody else wrote it.
    #[error("a stored row of {table} cannot be read (key {key})")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The row's key, as far as it is an id.
        key: String,
    },
    /// The audit record could not be authenticated, so nothing was written.
    #[error("the audit record could not be written, so nothing else was")]
    AuditUnavailable,
    /// A write came without an audit event.
    #[error("a write came without its audit event")]
    NoEvent,
    /// A list was asked to go on from a place that the server never gave out.
    #[error("the list position is not one that the server gave out")]
    BadCursor,
    /// The database was last written by a newer release.
    #[error("the database has schema {found}, this release knows up to {known}: use a newer one")]
    NewerSchema {
        /// The schema found.
        found: i64,
        /// The newest that this release knows.
        known: i64,
    },
    /// The database URL cannot be understood.
    #[error("the database URL cannot be used: {0}")]
    Target(&'static str),
}

impl StoreError {
    pub(crate) fn unavailable(text: impl Into<String>) -> Self {
        Self::Unavailable(Cause { kind: CauseKind::Other, text: text.into() })
    }

    /// Gives a unique constraint's violation its name.
    pub(crate) fn named(self, what: &'static str) -> Self {
        match self {
            Self::Conflict { .. } => Self::Conflict { what },
            other => other,
        }
    }

    pub(crate) fn cause(&self) -> Option<CauseKind> {
        match self {
            Self::Unavailable(cause) => Some(cause.kind),
            _ => None,
        }
    }
}

/// The driver's reason, reduced to codes and fixed words: drivers quote row content in theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    kind: CauseKind,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CauseKind {
    /// PostgreSQL asks to run the transaction again (SQLSTATE 40001, 40P01).
    Again,
    /// The connection is gone.
    Lost,
    /// Anything else.
    Other,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Cause {}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ffi;
        let Some(code) = error.sqlite_error().map(|error| error.extended_code) else {
            return Self::unavailable("the statement does not fit the database");
        };
        match code {
            ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
                Self::Conflict { what: "id" }
            }
            _ => Self::unavailable(format!("SQLite code {code} ({})", ffi::code_to_str(code))),
        }
    }
}

impl From<postgres::Error> for StoreError {
    fn from(error: postgres::Error) -> Self {
        use std::error::Error;
        if error.source().is_some_and(|source| source.is::<postgres::types::WrongType>()) {
            return Self::unavailable("the statement does not fit the database");
        }
        let Some(code) = error.code().map(postgres::error::SqlState::code) else {
            let kind = CauseKind::Lost;
            return Self::Unavailable(Cause { kind, text: "no connection to PostgreSQL".into() });
        };
        let kind = match code {
            "23505" => return Self::Conflict { what: "id" },
            "40001" | "40P01" => CauseKind::Again,
            // Shut down by its operator, or a standby was promoted.
            "57P01" | "57P02" | "57P03" => CauseKind::Lost,
            _ if code.starts_with("08") => CauseKind::Lost,
            _ => CauseKind::Other,
        };
        Self::Unavailable(Cause { kind, text: format!("PostgreSQL SQLSTATE {code}") })
    }
}
