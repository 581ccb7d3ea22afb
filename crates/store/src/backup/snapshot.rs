//! Writes all rows as they stand at one moment, beside whoever goes on writing.

use super::rows::{self, Head};
use super::{BackupError, Contents};
use crate::session::{Connection, Session};
use crate::store::Target;
use crate::tls::Server;
use crate::{dialect, error::StoreError, migrate, postgres, sqlite};
use std::collections::BTreeMap;
use std::io::Write;

/// Writes every row of every table, read in one transaction on a connection of its own. Blocks.
///
/// # Errors
/// `Store` where a row cannot be read, or the database not be used; `Stream` where the stream
/// cannot be written.
pub fn write(target: &Target, out: &mut impl Write) -> Result<Contents, BackupError> {
    match target {
        Target::Sqlite(path) => {
            let connection = sqlite::open(path)?;
            connection.pragma_update(None, "query_only", true).map_err(StoreError::from)?;
            connection.execute_batch("BEGIN").map_err(StoreError::from)?;
            write_all(Connection::Sqlite(&connection), out)
        }
        Target::Postgres(url) => {
            let mut connection = postgres::Connection::open(&Server::parse(url)?)?;
            connection.batch(dialect::POSTGRES_BEGIN_SNAPSHOT)?;
            write_all(Connection::Postgres(&mut connection), out)
        }
    }
}

fn write_all(connection: Connection<'_>, out: &mut impl Write) -> Result<Contents, BackupError> {
    let mut session = Session { connection, failed: &mut false };
    let schema = migrate::found(&mut session)?
        .ok_or_else(|| StoreError::Corrupt { table: "migrations", key: String::new() })?;
    let known = migrate::newest();
    if schema > known {
        return Err(StoreError::NewerSchema { found: schema, known }.into());
    }
    let head = Head::of(schema)?;
    head.write(out)?;
    let mut counts = BTreeMap::new();
    for table in &head.tables {
        let mut count = 0;
        let sql = format!("SELECT {} FROM \"{}\"", table.column_list(), table.name);
        session.each(&sql, |row| {
            count += 1;
            rows::write_row(out, table, row)
        })?;
        rows::write_end(out)?;
        counts.insert(table.name.clone(), count);
    }
    Ok(Contents { schema, rows: counts })
}
