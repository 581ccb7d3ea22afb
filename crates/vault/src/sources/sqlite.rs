//! SQLite: a file of the operator's folder, opened for one statement.

use super::error::{Code, Reason, Refusal};
use super::rows::{Collector, Rows, float};
use super::{Query, SourceError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement, ffi};
use serde_json::Value;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

/// Between two looks at the clock, in instructions of SQLite's machine.
const PROGRESS: i32 = 1000;
/// SQLite's own needs.
const SHORTEST_LIMIT: i32 = 64 * 1024;
const NOBODY: Option<fn(AuthContext<'_>) -> Authorization> = None;

/// Asks the file at `path`, which is taken from `folder` and never leads out of it.
///
/// # Errors
/// [`SourceError`]; what was changed is then undone.
pub(crate) async fn sqlite(
    folder: Option<&Path>,
    path: &str,
    query: &Query<'_>,
) -> Result<Rows, SourceError> {
    let folder = folder.ok_or(SourceError::NoFolder)?.to_owned();
    let path = PathBuf::from(path);
    let (sql, params) = (query.sql.to_owned(), query.params.to_vec());
    let Query { max_rows, max_bytes, read_only, deadline, .. } = *query;
    let asking = tokio::task::spawn_blocking(move || {
        let query = Query { sql: &sql, params: &params, max_rows, max_bytes, read_only, deadline };
        let file = locate(&folder, &path)?;
        ask(&file, &query)
    });
    asking.await.unwrap_or(Err(SourceError::Internal))
}

/// The file itself, all links resolved.
fn locate(folder: &Path, path: &Path) -> Result<PathBuf, SourceError> {
    // Told before anything outside is looked at: whether a file is there is nobody's business.
    let leaves = path.components().any(|part| part == Component::ParentDir);
    if leaves || (path.is_absolute() && !path.starts_with(folder)) {
        return Err(SourceError::OutsideFolder);
    }
    let folder = folder.canonicalize().map_err(|_| SourceError::NoFile)?;
    let file = folder.join(path).canonicalize().map_err(|_| SourceError::NoFile)?;
    if !file.starts_with(&folder) {
        return Err(SourceError::OutsideFolder);
    }
    if file.is_file() { Ok(file) } else { Err(SourceError::NoFile) }
}

fn ask(file: &Path, query: &Query<'_>) -> Result<Rows, SourceError> {
    let fail = |error: rusqlite::Error| failure(&error, query);
    query.check()?;
    // Closed without COMMIT, it has changed nothing.
    let mut connection = open(file, query).map_err(fail)?;
    connection.execute_batch("BEGIN").map_err(fail)?;
    connection.authorizer(Some(authorize)).map_err(fail)?;
    let rows = run(connection.prepare(query.sql).map_err(fail)?, query)?;
    connection.authorizer(NOBODY).map_err(fail)?;
    if !query.read_only {
        connection.execute_batch("COMMIT").map_err(fail)?;
    }
    Ok(rows)
}

fn open(file: &Path, query: &Query<'_>) -> rusqlite::Result<Connection> {
    let mode = match query.read_only {
        true => OpenFlags::SQLITE_OPEN_READ_ONLY,
        false => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    // A link that was put there since the file was looked for is not followed.
    let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(left(query.deadline))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    let length = i32::try_from(query.max_bytes).unwrap_or(i32::MAX).max(SHORTEST_LIMIT);
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, length)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.pragma_update(None, "query_only", query.read_only)?;
    let deadline = query.deadline;
    connection.progress_handler(PROGRESS, Some(move || Instant::now() >= deadline))?;
    Ok(connection)
}

/// Other files, settings, and code from outside stay closed; the transaction is ours.
fn authorize(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Attach { .. }
        | AuthAction::Detach { .. }
        | AuthAction::Pragma { .. }
        | AuthAction::CreateVtable { .. }
        | AuthAction::DropVtable { .. }
        | AuthAction::Transaction { .. }
        | AuthAction::Savepoint { .. }
        | AuthAction::Unknown { .. } => Authorization::Deny,
        AuthAction::Function { function_name: "load_extension" | "fts3_tokenizer" } => {
            Authorization::Deny
        }
        _ => Authorization::Allow,
    }
}

fn run(mut statement: Statement<'_>, query: &Query<'_>) -> Result<Rows, SourceError> {
    let fail = |error: rusqlite::Error| failure(&error, query);
    let (wanted, given) = (statement.parameter_count(), query.params.len());
    if wanted != given {
        return Err(SourceError::ParameterCount { given, wanted });
    }
    for (at, value) in query.params.iter().enumerate() {
        statement.raw_bind_parameter(at + 1, Parameter(value)).map_err(fail)?;
    }
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let count = names.len();
    if count == 0 {
        let changed = statement.raw_execute().map_err(fail)?;
        return Ok(Collector::new(names, query)?.finish(u64::try_from(changed).unwrap_or(0)));
    }
    let mut collector = Collector::new(names, query)?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(fail)? {
        let value = |at| row.get_ref(at).map(json).map_err(fail);
        collector.push((0..count).map(value).collect::<Result<_, _>>()?)?;
    }
    Ok(collector.finish(0))
}

/// JSON as SQLite keeps it: truth as 1 and 0, arrays and objects as their text.
struct Parameter<'a>(&'a Value);

impl rusqlite::ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Bool(truth) => ToSqlOutput::Borrowed(ValueRef::Integer(i64::from(*truth))),
            Value::Number(number) => ToSqlOutput::Borrowed(match number.as_i64() {
                Some(number) => ValueRef::Integer(number),
                None => ValueRef::Real(number.as_f64().unwrap_or(f64::NAN)),
            }),
            Value::String(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            value => ToSqlOutput::from(value.to_string()),
        })
    }
}

fn json(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::from(number),
        ValueRef::Real(number) => float(number),
        ValueRef::Text(text) => Value::from(String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => Value::from(STANDARD.encode(bytes)),
    }
}

fn failure(error: &rusqlite::Error, query: &Query<'_>) -> SourceError {
    match error {
        rusqlite::Error::MultipleStatement => SourceError::SeveralResults,
        rusqlite::Error::SqliteFailure(error, message) => {
            refusal(*error, message.as_deref().unwrap_or_default(), None, query)
        }
        rusqlite::Error::SqlInputError { error, msg, sql, offset } => {
            refusal(*error, msg, place(sql, *offset), query)
        }
        _ => SourceError::Internal,
    }
}

fn refusal(
    error: ffi::Error,
    message: &str,
    position: Option<u32>,
    query: &Query<'_>,
) -> SourceError {
    let reason = match error.code {
        ErrorCode::OperationInterrupted => return SourceError::Timeout,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked if left(query.deadline).is_zero() => {
            return SourceError::Timeout;
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Some(Reason::Conflict),
        ErrorCode::TooBig => return SourceError::TooLarge(query.max_bytes),
        ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::CannotOpen => {
            return SourceError::NotSqlite;
        }
        ErrorCode::ReadOnly => Some(Reason::ReadOnly),
        ErrorCode::AuthorizationForStatementDenied => Some(Reason::Kind),
        _ => reason(error.extended_code, message),
    };
    SourceError::Refused(Refusal { code: Code::Sqlite(error.extended_code), reason, position })
}

/// SQLite has one code for all that is wrong in a statement; how its message begins says which.
fn reason(code: i32, message: &str) -> Option<Reason> {
    match code {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => Some(Reason::Unique),
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => Some(Reason::ForeignKey),
        ffi::SQLITE_CONSTRAINT_NOTNULL => Some(Reason::NotNull),
        ffi::SQLITE_CONSTRAINT_CHECK => Some(Reason::Check),
        ffi::SQLITE_CONSTRAINT_DATATYPE | ffi::SQLITE_MISMATCH => Some(Reason::Value),
        ffi::SQLITE_ERROR => {
            let begins = |start| message.starts_with(start);
            if begins("no such table") {
                Some(Reason::NoTable)
            } else if begins("no such column") {
                Some(Reason::NoColumn)
            } else if begins("no such function") {
                Some(Reason::NoFunction)
            } else if begins("not authorized") {
                Some(Reason::Kind)
            } else {
                message.contains("syntax error").then_some(Reason::Syntax)
            }
        }
        _ => None,
    }
}

/// SQLite counts bytes from 0; people count characters from 1.
fn place(sql: &str, offset: i32) -> Option<u32> {
    let before = sql.get(..usize::try_from(offset).ok()?)?;
    u32::try_from(before.chars().count()).ok()?.checked_add(1)
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

#[cfg(test)]
mod tests;
