//! A database of either back end, read and filled past the store, by its own word on its tables.

use keyward_store::{Store, Target};
use keyward_testkit::postgres::Postgres;
use rusqlite::types::ValueRef;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A database that is made at first use.
pub(crate) struct Database {
    pub(crate) target: Target,
    client: Option<postgres::Client>,
    _folder: Option<tempfile::TempDir>,
}

/// A column as the database describes it.
struct Column {
    name: String,
    kind: String,
    can_be_null: bool,
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::Sqlite(folder.path().join("keyward.sqlite"));
        Self { target, client: None, _folder: Some(folder) }
    }

    pub(crate) fn postgres() -> Self {
        let target = Target::Postgres(Postgres::shared().fresh_database());
        Self { target, client: None, _folder: None }
    }

    /// Makes the newest schema.
    pub(crate) fn migrate(&self) {
        drop(Store::open(&self.target).unwrap());
    }

    /// Runs statements.
    pub(crate) fn execute(&mut self, sql: &str) {
        let done = match &self.target {
            Target::Sqlite(path) => open(path).execute_batch(sql).map_err(|e| e.to_string()),
            Target::Postgres(url) => {
                connect(&mut self.client, url).batch_execute(sql).map_err(|e| format!("{e:?}"))
            }
        };
        assert!(done.is_ok(), "{sql}: {done:?}");
    }

    /// The first cell of each row, which is text.
    pub(crate) fn texts(&mut self, sql: &str) -> Vec<String> {
        match &self.target {
            Target::Sqlite(path) => {
                let connection = open(path);
                let mut statement = connection.prepare(sql).unwrap();
                let rows = statement.query_map((), |row| row.get(0)).unwrap();
                rows.map(Result::unwrap).collect()
            }
            Target::Postgres(url) => connect(&mut self.client, url)
                .query(sql, &[])
                .unwrap()
                .iter()
                .map(|row| row.get(0))
                .collect(),
        }
    }

    fn tables(&mut self) -> Vec<String> {
        self.texts(match &self.target {
            Target::Sqlite(_) => {
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            }
            Target::Postgres(_) => {
                "SELECT table_name::text FROM information_schema.tables
                    WHERE table_schema = 'public'"
            }
        })
    }

    fn columns(&mut self, table: &str) -> Vec<Column> {
        let sql = match &self.target {
            Target::Sqlite(_) => format!(
                "SELECT name || ' ' || type || ' ' || (\"notnull\" = 0)
                    FROM pragma_table_info('{table}') ORDER BY name"
            ),
            Target::Postgres(_) => format!(
                "SELECT column_name || ' ' || data_type || ' ' || (is_nullable = 'YES')::int
                    FROM information_schema.columns WHERE table_name = '{table}'
                    ORDER BY column_name COLLATE \"C\""
            ),
        };
        let column = |text: String| {
            let mut words = text.split(' ').map(str::to_owned);
            let mut next = || words.next().unwrap();
            Column { name: next(), kind: next().to_lowercase(), can_be_null: next() == "1" }
        };
        self.texts(&sql).into_iter().map(column).collect()
    }

    /// Three rows in every table, of which the second has no value where it may have none.
    pub(crate) fn fill(&mut self) {
        let mut all = String::new();
        for table in self.tables() {
            if table == "migrations" {
                continue;
            }
            let columns = self.columns(&table);
            for row in 1..=3 {
                let names: Vec<_> = columns.iter().map(|c| format!("\"{}\"", c.name)).collect();
                let values: Vec<_> =
                    columns.iter().map(|column| self.literal(column, row)).collect();
                let (names, values) = (names.join(", "), values.join(", "));
                all.push_str(&format!("INSERT INTO \"{table}\" ({names}) VALUES ({values});\n"));
            }
        }
        self.execute(&all);
    }

    fn literal(&self, column: &Column, row: u8) -> String {
        let is_sqlite = matches!(self.target, Target::Sqlite(_));
        match column.kind.as_str() {
            _ if column.can_be_null && row == 2 => "NULL".to_owned(),
            "integer" | "bigint" if row == 3 => i64::MIN.to_string(),
            "integer" | "bigint" => row.to_string(),
            "text" if row == 3 => format!("'{}'", "Ω\u{1F511} ''quoted''\\ \n".repeat(300)),
            "text" => format!("'{} {row}'", column.name),
            "blob" | "bytea" if is_sqlite => format!("x'00ff0{row}'"),
            "blob" | "bytea" => format!("'\\x00ff0{row}'"),
            kind => panic!("{} is {kind}", column.name),
        }
    }

    /// Every row of every table, as text, in an order that does not depend on the back end.
    pub(crate) fn dump(&mut self) -> BTreeMap<String, Vec<String>> {
        let mut all = BTreeMap::new();
        for table in self.tables() {
            let names: Vec<_> =
                self.columns(&table).into_iter().map(|column| column.name).collect();
            let list: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
            let mut rows = self.rows(&format!("SELECT {} FROM \"{table}\"", list.join(", ")));
            rows.sort();
            all.insert(table, rows.into_iter().map(|row| format!("{names:?} {row:?}")).collect());
        }
        all
    }

    fn rows(&mut self, sql: &str) -> Vec<Vec<String>> {
        match &self.target {
            Target::Sqlite(path) => {
                let connection = open(path);
                let mut statement = connection.prepare(sql).unwrap();
                let count = statement.column_count();
                let shown = |value: ValueRef<'_>| match value {
                    ValueRef::Null => "null".to_owned(),
                    ValueRef::Integer(value) => format!("integer {value}"),
                    ValueRef::Text(text) => format!("text {}", std::str::from_utf8(text).unwrap()),
                    ValueRef::Blob(bytes) => format!("bytes {bytes:?}"),
                    ValueRef::Real(_) => panic!("no column is of this kind"),
                };
                let row = |row: &rusqlite::Row<'_>| {
                    (0..count).map(|at| row.get_ref(at).map(shown)).collect()
                };
                statement.query_map((), row).unwrap().map(Result::unwrap).collect()
            }
            Target::Postgres(url) => {
                let shown = |row: &postgres::Row, at: usize| {
                    let kind = row.columns()[at].type_().name();
                    let found = match kind {
                        "int8" => row.get::<_, Option<i64>>(at).map(|v| format!("integer {v}")),
                        "text" => row.get::<_, Option<String>>(at).map(|v| format!("text {v}")),
                        "bytea" => {
                            row.get::<_, Option<Vec<u8>>>(at).map(|v| format!("bytes {v:?}"))
                        }
                        _ => panic!("no column is of type {kind}"),
                    };
                    found.unwrap_or_else(|| "null".to_owned())
                };
                let rows = connect(&mut self.client, url).query(sql, &[]).unwrap();
                rows.iter().map(|row| (0..row.len()).map(|at| shown(row, at)).collect()).collect()
            }
        }
    }

    /// Writes a run, its step and a small value in one transaction, again and again.
    pub(crate) fn pairs_until_stopped(&self) -> Pairs {
        let (target, stop) = (self.target.clone(), Arc::new(AtomicBool::new(false)));
        let mut own = Self { target, client: None, _folder: None };
        let (runs, steps) = (own.columns("runs"), own.columns("steps"));
        let told = stop.clone();
        let thread = thread::spawn(move || {
            let mut count = 0;
            while !told.load(Ordering::Relaxed) {
                let id = format!("'run_{count:06}'");
                let insert = |own: &Self, table: &str, columns: &[Column], key: &str| {
                    let names: Vec<_> = columns.iter().map(|c| format!("\"{}\"", c.name)).collect();
                    let value = |column: &Column| match column.name == key {
                        true => id.clone(),
                        false => own.literal(column, 1),
                    };
                    let values: Vec<_> = columns.iter().map(value).collect();
                    let (names, values) = (names.join(", "), values.join(", "));
                    format!("INSERT INTO {table} ({names}) VALUES ({values});")
                };
                let empty = if matches!(own.target, Target::Sqlite(_)) { "x''" } else { "''" };
                let sql = [
                    "BEGIN;".to_owned(),
                    insert(&own, "steps", &steps, "run_id"),
                    insert(&own, "runs", &runs, "id"),
                    format!("INSERT INTO meta (name, value) VALUES ({id}, {empty});"),
                    "COMMIT;".to_owned(),
                ];
                own.execute(&sql.concat());
                count += 1;
            }
            count
        });
        Pairs { stop, thread }
    }
}

/// A writer at work.
pub(crate) struct Pairs {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<usize>,
}

impl Pairs {
    /// Ends it; gives how many it wrote.
    pub(crate) fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn open(path: &std::path::Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection
}

/// One connection for all, for making one costs more than most statements.
fn connect<'a>(client: &'a mut Option<postgres::Client>, url: &str) -> &'a mut postgres::Client {
    client.get_or_insert_with(|| postgres::Client::connect(url, postgres::NoTls).unwrap())
}
