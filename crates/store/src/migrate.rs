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
];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS migrations (version BIGINT NOT NULL PRIMARY KEY)";
const NEWEST: &str = "SELECT CAST(coalesce(max(version), 0) AS BIGINT) FROM migrations";
const DONE: &str = "INSERT INTO migrations (version) VALUES ($1)";

/// Brings a SQLite file up to date; another process doing the same is waited for.
pub(crate) fn sqlite(connection: &rusqlite::Connection) -> Result<(), StoreError> {
    let found = "SELECT count(*) FROM sqlite_schema WHERE name = 'migrations'";
    let exists = connection.query_row(found, (), |row| row.get::<_, i64>(0))? > 0;
    let mut session =
        Session { connection: session::Connection::Sqlite(connection), failed: &mut false };
    if exists && missing(&mut session)?.is_empty() {
        return Ok(());
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let result = sqlite_steps(connection, &mut session);
    connection.execute_batch(if result.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    result
}

fn sqlite_steps(
    connection: &rusqlite::Connection,
    session: &mut Session<'_>,
) -> Result<(), StoreError> {
    session.execute(TABLE, values![])?;
    for (number, sql) in missing(session)? {
        connection.execute_batch(&dialect::sqlite_migration(sql))?;
        session.execute(DONE, values![number])?;
    }
    Ok(())
}

/// Brings a PostgreSQL database up to date. Several nodes may start at once: all but one fail, at
/// the serialisable commit or at a name that exists by then, and look again.
pub(crate) fn postgres(connection: &mut Connection) -> Result<(), StoreError> {
    for _ in 0..50 {
        if postgres_is_current(connection)? {
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

fn postgres_is_current(connection: &mut Connection) -> Result<bool, StoreError> {
    let mut session =
        Session { connection: session::Connection::Postgres(connection), failed: &mut false };
    let found = "SELECT 1 FROM pg_catalog.pg_class WHERE oid = to_regclass('migrations')";
    if session.one(found, values![])?.is_none() {
        return Ok(false);
    }
    Ok(missing(&mut session)?.is_empty())
}

fn postgres_steps(connection: &mut Connection) -> Result<(), StoreError> {
    connection.batch(dialect::POSTGRES_BEGIN_WRITE)?;
    connection.batch(TABLE)?;
    let steps = missing(&mut Session {
        connection: session::Connection::Postgres(connection),
        failed: &mut false,
    })?;
    for (number, sql) in steps {
        connection.batch(&dialect::postgres_migration(sql))?;
        connection.execute(DONE, values![number])?;
    }
    connection.batch("COMMIT")
}

fn missing(session: &mut Session<'_>) -> Result<Vec<(i64, &'static str)>, StoreError> {
    let known = MIGRATIONS.len() as i64;
    let found = match session.one(NEWEST, values![])?.as_deref() {
        Some([Value::Integer(found)]) => *found,
        _ => return Err(StoreError::Corrupt { table: "migrations", key: String::new() }),
    };
    if found > known {
        return Err(StoreError::NewerSchema { found, known });
    }
    Ok((1..).zip(MIGRATIONS.iter().copied()).filter(|(number, _)| *number > found).collect())
}
