//! One transaction, or one read, on either back end: the only place where statements are run.

use crate::error::StoreError;
use crate::value::{Row, Value};
use crate::{postgres, sqlite};

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

    /// Runs a statement that gives one row at most.
    pub(crate) fn one(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        self.query(sql, values).map(|rows| rows.into_iter().next())
    }
}
