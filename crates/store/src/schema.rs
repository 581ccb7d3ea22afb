//! The tables that migrations make, as the migrations themselves say: they are run on an empty
//! database in memory, and that is asked.

use crate::error::StoreError;
use crate::migrate;
use crate::session::{Connection, Session};
use crate::value::{Cells, values};
use postgres::types::Type;

const TABLES: &str = "SELECT name FROM sqlite_schema
    WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name";
const COLUMNS: &str = "SELECT name, type FROM pragma_table_info($1) ORDER BY cid";

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    /// In the order in which migrations made them.
    pub(crate) columns: Vec<Column>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// What a column holds, beside null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Text,
    Bytes,
}

/// Every table of the schema of that number, by name.
pub(crate) fn tables(number: i64) -> Result<Vec<Table>, StoreError> {
    let memory = rusqlite::Connection::open_in_memory()?;
    let mut failed = false;
    let mut session = Session { connection: Connection::Sqlite(&memory), failed: &mut failed };
    migrate::apply(&mut session, number)?;
    let names = session.query(TABLES, values![])?;
    names.into_iter().map(|row| table(&mut session, Cells::new("schema", row).text()?)).collect()
}

fn table(session: &mut Session<'_>, name: String) -> Result<Table, StoreError> {
    let rows = session.query(COLUMNS, values![name.as_str()])?;
    let column = |row| {
        let mut cells = Cells::new("schema", row);
        Ok(Column { name: cells.text()?, kind: cells.word(Kind::parse)? })
    };
    let columns = rows.into_iter().map(column).collect::<Result<_, StoreError>>()?;
    Ok(Table { name, columns })
}

impl Kind {
    fn parse(sqlite_type: &str) -> Option<Self> {
        match sqlite_type {
            "INTEGER" | "BIGINT" => Some(Self::Integer),
            "TEXT" => Some(Self::Text),
            "BLOB" => Some(Self::Bytes),
            _ => None,
        }
    }

    pub(crate) fn postgres(self) -> Type {
        match self {
            Self::Integer => Type::INT8,
            Self::Text => Type::TEXT,
            Self::Bytes => Type::BYTEA,
        }
    }
}

impl Table {
    /// The names of all columns, quoted and parted by commas.
    pub(crate) fn column_list(&self) -> String {
        let quoted: Vec<_> = self.columns.iter().map(|c| format!("\"{}\"", c.name)).collect();
        quoted.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres as store_postgres;
    use crate::tls::Server;
    use keyward_testkit::postgres::Postgres;

    #[test]
    fn the_tables_are_those_of_a_real_database() {
        let server = Server::parse(&Postgres::shared().fresh_database()).unwrap();
        let mut connection = store_postgres::Connection::open(&server).unwrap();
        migrate::postgres(&mut connection).unwrap();
        let sql = "SELECT table_name::text, column_name::text, data_type::text
            FROM information_schema.columns
            WHERE table_schema = 'public' ORDER BY table_name COLLATE \"C\", ordinal_position";
        let rows = connection.query(sql, values![]).unwrap();
        let real: Vec<[String; 3]> = rows
            .into_iter()
            .map(|row| {
                let mut cells = Cells::new("columns", row);
                [(); 3].map(|()| cells.text().unwrap())
            })
            .collect();
        let mut known = Vec::new();
        for table in tables(migrate::newest()).unwrap() {
            for column in table.columns {
                let kind = match column.kind {
                    Kind::Integer => "bigint",
                    Kind::Text => "text",
                    Kind::Bytes => "bytea",
                };
                known.push([table.name.clone(), column.name, kind.to_owned()]);
            }
        }
        assert_eq!(known, real);
    }

    #[test]
    fn an_older_schema_has_its_own_tables() {
        let names = |number| -> Vec<String> {
            tables(number).unwrap().into_iter().map(|table| table.name).collect()
        };
        assert_eq!(names(0), ["migrations"]);
        assert!(names(1).contains(&"runs".to_owned()));
        assert!(names(migrate::newest()).len() > names(1).len());
    }
}
