//! SQLite: one thread writes and commits in groups what arrives together; readers run where they
//! are called, each on a connection of its own.

use crate::chain::{Chains, Committed};
use crate::dialect;
use crate::error::StoreError;
use crate::queue::{self, Job, Kind, Queue};
use crate::session::{Connection, Session};
use crate::value::{Row, Value};
use memchr::memmem::Finder;
use rusqlite::config::DbConfig;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{ToSqlOutput, ValueRef};
use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a connection waits while another process writes.
const BUSY: Duration = Duration::from_secs(10);
/// How long the writer waits for readers of earlier states when it empties the write-ahead log.
const SCRUB: Duration = Duration::from_millis(20);
/// More than there are statements.
const STATEMENTS: usize = 256;
/// The most jobs that one commit makes durable.
const GROUP: usize = 256;

/// Opens the database file, making it and its folder (readable by the owner alone) if need be.
pub(crate) fn open(path: &Path) -> Result<rusqlite::Connection, StoreError> {
    make_private(path).map_err(|_| StoreError::unavailable("the database file cannot be made"))?;
    let connection = rusqlite::Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch(dialect::SQLITE_SETTINGS)?;
    // Without this guarantee SQLite plans a cached statement anew for each new set of values.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("strpos", 2, flags, strpos)?;
    Ok(connection)
}

/// PostgreSQL's `strpos(text, part)`: the character at which the part begins, from 1, or 0. The part
/// is prepared once a statement, so that the time does not hang on which letters it has, as it does
/// with `LIKE`.
fn strpos(context: &Context<'_>) -> rusqlite::Result<i64> {
    let part = |value: ValueRef<'_>| value.as_bytes().map(|part| Finder::new(part).into_owned());
    let part = context.get_or_create_aux(1, part)?;
    let text = context.get_raw(0).as_bytes()?;
    let Some(at) = part.find(text) else { return Ok(0) };
    let is_first_byte = |byte: &&u8| **byte & 0xc0 != 0x80;
    let before = text.get(..at).unwrap_or_default().iter().filter(is_first_byte).count();
    Ok(i64::try_from(before).unwrap_or(i64::MAX).saturating_add(1))
}

fn make_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // The write-ahead log inherits the file's mode.
    fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(|_| ())
}

/// Connections for reading; as many as are ever used at once.
pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<rusqlite::Connection>>,
}

impl Readers {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default() }
    }

    /// Runs a closure with a connection that cannot write.
    pub(crate) fn with<T>(
        &self,
        read: impl FnOnce(&mut Session<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.open()?,
        };
        let result =
            read(&mut Session { connection: Connection::Sqlite(&connection), failed: &mut false });
        self.idle().push(connection);
        result
    }

    fn open(&self) -> Result<rusqlite::Connection, StoreError> {
        let connection = open(&self.path)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<rusqlite::Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the idle connections.
    pub(crate) fn close(&self) {
        self.idle().clear();
    }
}

/// The one writer of this process.
pub(crate) struct Writer {
    connection: rusqlite::Connection,
    chains: Chains,
}

type Outcome = Result<Committed, StoreError>;

impl Writer {
    pub(crate) fn new(connection: rusqlite::Connection, chains: Chains) -> Self {
        Self { connection, chains }
    }

    /// Works until the queue is closed and empty.
    pub(crate) fn work(mut self, queue: &Queue) {
        while let Some(jobs) = queue.take(GROUP) {
            let (scrubs, jobs): (Vec<_>, Vec<_>) =
                jobs.into_iter().partition(|job| job.kind() == Kind::Scrub);
            if !jobs.is_empty() {
                self.group(jobs);
            }
            for mut scrub in scrubs {
                let mut session = Session {
                    connection: Connection::Sqlite(&self.connection),
                    failed: &mut false,
                };
                let outcome = queue::run(scrub.as_mut(), &mut session).map(|_| Vec::new());
                scrub.done(outcome);
            }
        }
        let tidy = "PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE);";
        if let Err(error) = self.connection.execute_batch(tidy) {
            tracing::debug!(error = %StoreError::from(error), "the database was closed without a checkpoint");
        }
    }

    /// Runs jobs in one transaction, each in a savepoint, and answers after the commit.
    fn group(&mut self, jobs: Vec<Box<dyn Job>>) {
        if let Err(error) = self.statement("BEGIN IMMEDIATE") {
            jobs.into_iter().for_each(|job| job.done(Err(error.clone())));
            return;
        }
        let mut ran = Vec::with_capacity(jobs.len());
        for mut job in jobs {
            let outcome = self.savepoint(job.as_mut());
            ran.push((job, outcome));
        }
        let end = self.commit(ran.iter().any(|(_, outcome)| outcome.is_ok()));
        for (job, outcome) in ran {
            job.done(outcome.and_then(|committed| end.clone().map(|()| committed)));
        }
    }

    fn commit(&mut self, something: bool) -> Result<(), StoreError> {
        // Some failures (disk full, I/O) end the whole transaction at once.
        let result = match self.connection.is_autocommit() {
            true => Err(StoreError::unavailable("SQLite gave up the transaction")),
            false if something => self.statement("COMMIT"),
            false => self.statement("ROLLBACK"),
        };
        match result {
            Ok(()) => self.chains.committed(),
            Err(_) => {
                self.chains.abandon();
                if !self.connection.is_autocommit() {
                    let _ = self.statement("ROLLBACK");
                }
            }
        }
        result
    }

    fn savepoint(&mut self, job: &mut dyn Job) -> Outcome {
        if self.connection.is_autocommit() {
            return Err(StoreError::unavailable("SQLite gave up the transaction"));
        }
        self.statement("SAVEPOINT job")?;
        let mark = self.chains.mark();
        let outcome = self.run(job);
        if outcome.is_err() {
            self.chains.roll_back(mark);
            if !self.connection.is_autocommit() {
                self.statement("ROLLBACK TO job")?;
            }
        }
        if !self.connection.is_autocommit() {
            self.statement("RELEASE job")?;
        }
        outcome
    }

    fn run(&mut self, job: &mut dyn Job) -> Outcome {
        let mut session =
            Session { connection: Connection::Sqlite(&self.connection), failed: &mut false };
        let events = queue::run(job, &mut session)?;
        self.chains.append(&mut session, events)
    }

    fn statement(&self, sql: &str) -> Result<(), StoreError> {
        self.connection.prepare_cached(sql)?.execute(())?;
        Ok(())
    }
}

/// Brings the write-ahead log into the file and empties it: until then its frames hold pages as they
/// were before something was deleted from them.
pub(crate) fn scrub(connection: &rusqlite::Connection) -> Result<(), StoreError> {
    connection.busy_timeout(SCRUB)?;
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    let busy = connection.query_row(checkpoint, (), |row| row.get::<_, bool>(0));
    connection.busy_timeout(BUSY)?;
    match busy? {
        false => Ok(()),
        true => Err(StoreError::unavailable("the write-ahead log is being read")),
    }
}

pub(crate) fn execute(
    connection: &rusqlite::Connection,
    sql: &str,
    values: &[Value<'_>],
) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, values)?;
    Ok(statement.raw_execute()? as u64)
}

pub(crate) fn query(
    connection: &rusqlite::Connection,
    sql: &str,
    values: &[Value<'_>],
) -> Result<Vec<Row>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, values)?;
    let mut found = Vec::new();
    rows(&mut statement, |row| {
        found.push(row);
        Ok::<_, StoreError>(())
    })?;
    Ok(found)
}

/// Hands over each row of an answer as it comes.
pub(crate) fn each<E: From<StoreError>>(
    connection: &rusqlite::Connection,
    sql: &str,
    take: impl FnMut(Row) -> Result<(), E>,
) -> Result<(), E> {
    rows(&mut connection.prepare(sql).map_err(StoreError::from)?, take)
}

fn rows<E: From<StoreError>>(
    statement: &mut rusqlite::Statement<'_>,
    mut take: impl FnMut(Row) -> Result<(), E>,
) -> Result<(), E> {
    let columns = statement.column_count();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(StoreError::from)? {
        let cells = (0..columns).map(|at| Ok(cell(row.get_ref(at)?)));
        take(cells.collect::<Result<Row, rusqlite::Error>>().map_err(StoreError::from)?)?;
    }
    Ok(())
}

/// To SQLite `$1` is a name, numbered by where it first stands: each is bound by what it says.
fn bind(statement: &mut rusqlite::Statement<'_>, values: &[Value<'_>]) -> rusqlite::Result<()> {
    for at in 1..=statement.parameter_count() {
        let name = statement.parameter_name(at).and_then(|name| name.strip_prefix('$'));
        let number = name.and_then(|number| number.parse::<usize>().ok()).unwrap_or(0);
        let value = number.checked_sub(1).and_then(|number| values.get(number));
        let value = value.ok_or(rusqlite::Error::InvalidParameterCount(values.len(), number))?;
        statement.raw_bind_parameter(at, value)?;
    }
    Ok(())
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Integer(value) => ValueRef::Integer(*value),
            Value::Text(value) => ValueRef::Text(value.as_bytes()),
            Value::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

/// A cell of a kind that no column has, or text that is not UTF-8, reads as bytes, and so fails
/// where text or a number is expected.
fn cell(value: ValueRef<'_>) -> Value<'static> {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Integer(value),
        ValueRef::Real(value) => Value::Bytes(Cow::Owned(value.to_be_bytes().into())),
        ValueRef::Blob(bytes) => Value::Bytes(Cow::Owned(bytes.into())),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(Cow::Owned(text.into())),
            Err(_) => Value::Bytes(Cow::Owned(bytes.into())),
        },
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn strpos_is_that_of_postgresql() {
        let folder = tempfile::tempdir().unwrap();
        let file = super::open(&folder.path().join("keyward.db")).unwrap();
        let check = |text: &str, part: &str, expected: i64| {
            let found = file.query_one("SELECT strpos(?1, ?2)", (text, part), |row| row.get(0));
            assert_eq!(found, Ok(expected), "{part:?} in {text:?}");
        };
        check("abc", "bc", 2);
        check("abc", "x", 0);
        check("abc", "", 1);
        check("", "", 1);
        check("", "a", 0);
        check("größe", "ße", 4);
        check("a\nb\n", "\nb\n", 2);
    }
}
