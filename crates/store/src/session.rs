//! One transaction, or one read, on either back end: the only place where statements are run.

use crate::error::StoreError;
use crate::value::{Row, Value, values};
use crate::{dialect, postgres, sqlite};

/// Runs statements on the connection that a job has been given.
pub(crate) struct Session<'a> {
    pub(crate) connection: Connection<'a>,
    /// Set by a failed statement: PostgreSQL would then answer COMMIT with a silent roll-back.
    pub(crate) failed: &'a mut bool,
}

pub(crate) enum Connection<'a> {
    Sqlite(&'a rusqlite::Connection),
    Postgres(&'a mut postgres::Connection),
}

impl Session<'_> {
    /// The same session, lent for less long.
    pub(crate) fn lend(&mut self) -> Session<'_> {
        let connection = match &mut self.connection {
            Connection::Sqlite(connection) => Connection::Sqlite(connection),
            Connection::Postgres(connection) => Connection::Postgres(connection),
        };
        Session { connection, failed: self.failed }
    }

    /// Runs a statement and gives the number of rows that it changed.
    pub(crate) fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let result = match &mut self.connection {
            Connection::Sqlite(connection) => sqlite::execute(connection, sql, values),
            Connection::Postgres(connection) => connection.execute(sql, values),
        };
        *self.failed |= result.is_err();
        result
    }

    /// Runs a statement and gives its rows.
    pub(crate) fn query(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let result = match &mut self.connection {
            Connection::Sqlite(connection) => sqlite::query(connection, sql, values),
            Connection::Postgres(connection) => connection.query(sql, values),
        };
        *self.failed |= result.is_err();
        result
    }

    /// Hands over each row of an answer as it comes, so that no answer is too long.
    pub(crate) fn each<E: From<StoreError>>(
        &mut self,
        sql: &str,
        take: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<(), E> {
        match &mut self.connection {
            Connection::Sqlite(connection) => sqlite::each(connection, sql, take),
            Connection::Postgres(connection) => connection.each(sql, take),
        }
    }

    /// Runs the text of a migration.
    pub(crate) fn migration(&mut self, sql: &str) -> Result<(), StoreError> {
        match &mut self.connection {
            Connection::Sqlite(connection) => {
                Ok(connection.execute_batch(&dialect::sqlite_migration(sql))?)
            }
            Connection::Postgres(connection) => connection.batch(&dialect::postgres_migration(sql)),
        }
    }

    /// Overwrites earlier copies of rows that were deleted or replaced; outside a transaction.
    /// PostgreSQL knows no such thing.
    pub(crate) fn scrub(&mut self) -> Result<(), StoreError> {
        match &self.connection {
            Connection::Sqlite(connection) => sqlite::scrub(connection),
            Connection::Postgres(_) => Ok(()),
        }
    }

    /// Whether there is a table of that name.
    pub(crate) fn has_table(&mut self, name: &str) -> Result<bool, StoreError> {
        let sql = match &self.connection {
            Connection::Sqlite(_) => dialect::SQLITE_HAS_TABLE,
            Connection::Postgres(_) => dialect::POSTGRES_HAS_TABLE,
        };
        self.one(sql, values![name]).map(|row| row.is_some())
    }

    /// Runs a statement that gives one row at most.
    pub(crate) fn one(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        self.query(sql, values).map(|rows| rows.into_iter().next())
    }
}
