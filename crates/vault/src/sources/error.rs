//! Why a database gave no rows: in fixed words and numbers, never in the server's own, which may
//! hold values.

use keyward_egress::{Blocked, EgressError, Failure};
use keyward_model::error::StepErrorCode;

/// Why there are no rows. Its text holds no value, parameter or row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SourceError {
    /// No connection: blocked, refused, timed out. Names host and port.
    #[error("{}", egress_text(.0))]
    Egress(#[from] EgressError),
    #[error("the database cannot be trusted: {0}")]
    Tls(Failure),
    #[error("the database offers no TLS; `tls: off` goes without, where the operator allows it")]
    NoTls,
    #[error("the certificate authorities of the credential hold no certificate that can be read")]
    Roots,
    #[error("the database refused user and password")]
    SignIn,
    #[error(
        "the database wants a way of signing in that is not supported; for MySQL and MariaDB there are mysql_native_password and caching_sha2_password"
    )]
    SignInMethod,
    #[error("this user's way of signing in takes TLS")]
    SignInPlain,
    #[error("the database knows no database of that name, or the user may not use it")]
    NoDatabase,
    #[error("the database takes no queries now ({0})")]
    Unavailable(Code),
    #[error("the connection to the database broke")]
    Broken,
    #[error("the database's answer breaks the rules of its protocol")]
    Protocol,
    #[error("the database refused the query{}", refusal_text(.0))]
    Refused(Refusal),
    #[error("the query takes {wanted} parameters and has {given}")]
    ParameterCount { given: usize, wanted: usize },
    #[error("parameter {number} {problem}")]
    Parameter { number: usize, problem: &'static str },
    #[error("column {0} of the result has a type that is not read; cast it to text in the query")]
    ColumnType(usize),
    #[error("column {0} of the result has the name of another one; give it its own with AS")]
    ColumnName(usize),
    #[error("the query gives several results; one statement with one result is taken")]
    SeveralResults,
    #[error("there is no statement in the query")]
    NoStatement,
    #[error("the query was not done in time")]
    Timeout,
    #[error("the query gives more than {0} rows; LIMIT gives fewer")]
    TooManyRows(usize),
    #[error("the query gives more than {0} bytes")]
    TooLarge(usize),
    #[error(
        "SQLite files are closed to workflows; the operator opens a folder with KEYWARD_SQLITE_DIR"
    )]
    NoFolder,
    #[error("the path leads out of the folder of KEYWARD_SQLITE_DIR")]
    OutsideFolder,
    #[error("there is no such file in the folder of KEYWARD_SQLITE_DIR")]
    NoFile,
    #[error("the file is not a SQLite database that can be read")]
    NotSqlite,
    #[error("the query could not be run")]
    Internal,
}

/// The number or word that a database gives an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Code {
    /// Five letters and digits.
    SqlState(String),
    /// MySQL's and MariaDB's.
    Number(u16),
    /// SQLite's extended result code.
    Sqlite(i32),
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SqlState(state) => write!(f, "SQLSTATE {state}"),
            Self::Number(number) => write!(f, "error {number}"),
            Self::Sqlite(code) => write!(f, "SQLite error {code}"),
        }
    }
}

/// What a database says of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) reason: Option<Reason>,
    /// The character of the query, from 1.
    pub(crate) position: Option<u32>,
}

/// What the commonest codes mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    #[error("it is not valid SQL, or more than one statement")]
    Syntax,
    #[error("a table in it does not exist")]
    NoTable,
    #[error("a column in it does not exist")]
    NoColumn,
    #[error("a function or operator in it does not exist for these types")]
    NoFunction,
    #[error("the user lacks the right")]
    Right,
    #[error("it would change something, and this action only reads")]
    ReadOnly,
    #[error("a row with that key is there already")]
    Unique,
    #[error("a row that another table refers to is missing or in use")]
    ForeignKey,
    #[error("a column that must have a value has none")]
    NotNull,
    #[error("a rule of the table does not hold")]
    Check,
    #[error("a value does not fit its type")]
    Value,
    #[error("another transaction was in the way; trying again may work")]
    Conflict,
    #[error("statements of this kind are not taken")]
    Kind,
}

impl SourceError {
    /// The step error code.
    pub(crate) fn code(&self) -> StepErrorCode {
        match self {
            Self::Egress(error) => {
                StepErrorCode::parse(error.code()).unwrap_or(StepErrorCode::Internal)
            }
            Self::NoFolder | Self::OutsideFolder => StepErrorCode::DestinationBlocked,
            Self::Tls(_)
            | Self::NoTls
            | Self::SignIn
            | Self::SignInMethod
            | Self::SignInPlain
            | Self::NoDatabase
            | Self::Unavailable(_)
            | Self::Broken
            | Self::Protocol
            | Self::NoFile
            | Self::NotSqlite => StepErrorCode::ConnectionFailed,
            Self::Roots
            | Self::Refused(_)
            | Self::ParameterCount { .. }
            | Self::Parameter { .. }
            | Self::ColumnType(_)
            | Self::ColumnName(_)
            | Self::SeveralResults
            | Self::NoStatement => StepErrorCode::ValidationFailed,
            Self::Timeout => StepErrorCode::Timeout,
            Self::TooManyRows(_) | Self::TooLarge(_) => StepErrorCode::OutputTooLarge,
            Self::Internal => StepErrorCode::Internal,
        }
    }
}

/// The words of egress, but for those on URLs.
fn egress_text(error: &EgressError) -> String {
    match error {
        EgressError::Blocked { destination, reason: Blocked::Plain } => format!(
            "{destination} may not be reached without TLS: only hosts that KEYWARD_EGRESS_ALLOW names are"
        ),
        EgressError::Invalid(_) => "host and port are none that can be dialled".to_owned(),
        other => other.to_string(),
    }
}

fn refusal_text(refusal: &Refusal) -> String {
    let reason = refusal.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    let place = refusal.position.map(|at| format!(", at character {at}")).unwrap_or_default();
    format!("{reason} ({}{place})", refusal.code)
}
