//! Forward-only migrations: numbered texts, applied in one transaction each, recorded in a table.

use crate::dialect;
use crate::error::{CauseKind, StoreError};
use crate::postgres::Connection;
use crate::session::{self, Session};
use crate::value::{Value, values};

/// The migrations in order; the place in this list, from 1, is the schema's number.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_init.sql"),
    include_str!("../migrations/0002_credentials.sql"),
    include_str!("../migrations/0003_people.sql"),
    include_str!("../migrations/0004_audit.sql"),
    include_str!("../migrations/0005_keys.sql"),
    include_str!("../migrations/0006_finding.sql"),
    include_str!("../migrations/0007_apps.sql"),
];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS migrations (version BIGINT NOT NULL PRIMARY KEY)";
const NEWEST: &str = "SELECT CAST(coalesce(max(version), 0) AS BIGINT) FROM migrations";
const DONE: &str = "INSERT INTO migrations (version) VALUES ($1)";

/// The number of the newest schema.
pub(crate) fn newest() -> i64 {
    MIGRATIONS.len() as i64
}

/// The number of the database's schema; `None` where it has none.
pub(crate) fn found(session: &mut Session<'_>) -> Result<Option<i64>, StoreError> {
    match session.has_table("migrations")? {
        true => applied(session).map(Some),
        false => Ok(None),
    }
}

/// Applies what is missing up to the schema of that number, in the caller's transaction.
pub(crate) fn apply(session: &mut Session<'_>, last: i64) -> Result<(), StoreError> {
    session.execute(TABLE, values![])?;
    for (number, sql) in missing(session)?.into_iter().filter(|(number, _)| *number <= last) {
        session.migration(sql)?;
        session.execute(DONE, values![number])?;
    }
    Ok(())
}

/// Brings a SQLite file up to date; another process doing the same is waited for.
pub(crate) fn sqlite(connection: &rusqlite::Connection) -> Result<(), StoreError> {
    let mut session =
        Session { connection: session::Connection::Sqlite(connection), failed: &mut false };
    if is_current(&mut session)? {
        return Ok(());
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let result = apply(&mut session, newest());
    connection.execute_batch(if result.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    result
}

/// Brings a PostgreSQL database up to date. Several nodes may start at once: all but one fail, at
/// the serialisable commit or at a name that exists by then, and look again.
pub(crate) fn postgres(connection: &mut Connection) -> Result<(), StoreError> {
    for _ in 0..50 {
        if is_current(&mut lend(connection, &mut false))? {
            return Ok(());
        }
        let result = postgres_steps(connection);
        match &result {
            Ok(()) => return Ok(()),
            Err(StoreError::NewerSchema { .. }) => return result,
            Err(error) if error.cause() == Some(CauseKind::Lost) => return result,
            Err(_) => connection.batch("ROLLBACK")?,
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    postgres_steps(connection)
}

fn postgres_steps(connection: &mut Connection) -> Result<(), StoreError> {
    connection.batch(dialect::POSTGRES_BEGIN_WRITE)?;
    apply(&mut lend(connection, &mut false), newest())?;
    connection.batch("COMMIT")
}

fn lend<'a>(connection: &'a mut Connection, failed: &'a mut bool) -> Session<'a> {
    Session { connection: session::Connection::Postgres(connection), failed }
}

fn is_current(session: &mut Session<'_>) -> Result<bool, StoreError> {
    Ok(session.has_table("migrations")? && missing(session)?.is_empty())
}

fn applied(session: &mut Session<'_>) -> Result<i64, StoreError> {
    match session.one(NEWEST, values![])?.as_deref() {
        Some([Value::Integer(found)]) => Ok(*found),
        _ => Err(StoreError::Corrupt { table: "migrations", key: String::new() }),
    }
}

fn missing(session: &mut Session<'_>) -> Result<Vec<(i64, &'static str)>, StoreError> {
    let (found, known) = (applied(session)?, newest());
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    Ok((1..).zip(MIGRATIONS.iter().copied()).filter(|(number, _)| *number > found).collect())
}
