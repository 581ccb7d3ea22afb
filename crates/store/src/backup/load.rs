//! Loads a stream of rows into a database that holds none, in one transaction.

use super::rows::{self, Head};
use super::{BackupError, Contents};
use crate::error::StoreError;
use crate::schema::{self, Table};
use crate::session::{Connection, Session};
use crate::store::Target;
use crate::tls::Server;
use crate::{dialect, migrate, nodes, postgres, sqlite, value::values};
use std::collections::BTreeMap;
use std::io::Read;

/// Makes the schema that the stream was written with, loads every row, and brings the schema up to
/// date: all of that or nothing. Open runs are left as those of dead nodes, so that whoever serves
/// the database next takes them up. Blocks.
///
/// # Errors
/// `NotEmpty`, `NewerSchema`, `Malformed`, `Store` or `Stream`; then nothing is written.
pub fn load(target: &Target, input: &mut impl Read) -> Result<Contents, BackupError> {
    let head = Head::read(input)?;
    transaction(target, |session| fill(session, &head, input))
}

/// Takes everything out of a database that was just loaded, down to the tables. Blocks.
///
/// # Errors
/// Where the database cannot be used.
pub fn clear(target: &Target) -> Result<(), BackupError> {
    transaction(target, |session| match migrate::found(session)? {
        Some(number) => drop_all(session, &schema::tables(number)?),
        None => Ok(()),
    })
}

fn transaction<T>(
    target: &Target,
    run: impl FnOnce(&mut Session<'_>) -> Result<T, BackupError>,
) -> Result<T, BackupError> {
    match target {
        Target::Sqlite(path) => {
            let connection = sqlite::open(path)?;
            let batch = |sql| connection.execute_batch(sql).map_err(StoreError::from);
            batch("BEGIN IMMEDIATE")?;
            let session = Connection::Sqlite(&connection);
            let done = run(&mut Session { connection: session, failed: &mut false })?;
            batch("COMMIT")?;
            Ok(done)
        }
        Target::Postgres(url) => {
            let mut connection = postgres::Connection::open(&Server::parse(url)?)?;
            connection.batch(dialect::POSTGRES_BEGIN_RECORD)?;
            let session = Connection::Postgres(&mut connection);
            let done = run(&mut Session { connection: session, failed: &mut false })?;
            connection.batch("COMMIT")?;
            Ok(done)
        }
    }
}

fn fill(
    session: &mut Session<'_>,
    head: &Head,
    input: &mut impl Read,
) -> Result<Contents, BackupError> {
    make_empty(session)?;
    migrate::apply(session, head.schema)?;
    let mut counts = BTreeMap::new();
    for table in &head.tables {
        let count = load_table(session, table, input)?;
        counts.insert(table.name.clone(), count);
    }
    rows::read_end(input)?;
    migrate::apply(session, migrate::newest())?;
    nodes::insert_dead(session)?;
    Ok(Contents { schema: head.schema, rows: counts })
}

/// A schema without a row, as another command leaves it behind, gives way to the backup's.
fn make_empty(session: &mut Session<'_>) -> Result<(), BackupError> {
    let Some(found) = migrate::found(session)? else { return Ok(()) };
    let known = migrate::newest();
    if found > known {
        return Err(StoreError::NewerSchema { found, known }.into());
    }
    let tables = schema::tables(found)?;
    if let Connection::Postgres(connection) = &mut session.connection {
        let names: Vec<_> = tables.iter().map(|table| format!("\"{}\"", table.name)).collect();
        connection.batch(&format!("LOCK TABLE {}", names.join(", ")))?;
    }
    for table in tables.iter().filter(|table| table.name != "migrations") {
        let any = format!("SELECT 1 FROM \"{}\" LIMIT 1", table.name);
        if session.one(&any, values![])?.is_some() {
            return Err(BackupError::NotEmpty { table: table.name.clone() });
        }
    }
    drop_all(session, &tables)
}

fn drop_all(session: &mut Session<'_>, tables: &[Table]) -> Result<(), BackupError> {
    for table in tables {
        session.execute(&format!("DROP TABLE \"{}\"", table.name), values![])?;
    }
    Ok(())
}

fn load_table(
    session: &mut Session<'_>,
    table: &Table,
    input: &mut impl Read,
) -> Result<u64, BackupError> {
    let (name, columns) = (&table.name, table.column_list());
    if let Connection::Postgres(connection) = &mut session.connection {
        let types: Vec<_> = table.columns.iter().map(|column| column.kind.postgres()).collect();
        let sql = format!("COPY \"{name}\" ({columns}) FROM STDIN BINARY");
        return connection.copy(&sql, &types, || rows::read_row(input, table));
    }
    let places: Vec<_> = (1..=table.columns.len()).map(|place| format!("${place}")).collect();
    let sql = format!("INSERT INTO \"{name}\" ({columns}) VALUES ({})", places.join(", "));
    let mut count = 0;
    while let Some(row) = rows::read_row(input, table)? {
        session.execute(&sql, &row)?;
        count += 1;
    }
    Ok(count)
}
