//! Files of a folder: types both ways, what a query may do, and which files it reaches.

use super::sqlite;
use crate::sources::error::{Code, Reason, Refusal};
use crate::sources::testing::{assert_quiet, query};
use crate::sources::{Query, SourceError};
use keyward_model::error::StepErrorCode;
use keyward_testkit::canary::canary;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A folder with `shop.db`, which holds one table.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = Connection::open(folder.path().join("shop.db")).unwrap();
    let table = "CREATE TABLE t (x TEXT UNIQUE, y INT NOT NULL DEFAULT 1 CHECK (y < 9))";
    file.execute_batch(table).unwrap();
    folder
}

async fn one(folder: &TempDir, sql: &str, params: &[Value]) -> Value {
    let found = sqlite(Some(folder.path()), "shop.db", &query(sql, params)).await;
    let rows = found.unwrap_or_else(|e| panic!("{sql}: {e}"));
    rows.rows[0].values().next().cloned().unwrap()
}

async fn refusal(folder: Option<&Path>, path: &str, query: Query<'_>) -> SourceError {
    let error = sqlite(folder, path, &query).await.expect_err(query.sql);
    assert_quiet(&error);
    error
}

#[tokio::test]
async fn values_go_both_ways() {
    let folder = folder();
    let cases = [
        ("1", json!(1)),
        ("9007199254740993", json!(9_007_199_254_740_993_i64)),
        ("0.1", json!(0.1)),
        ("1e999", json!("Infinity")),
        ("'ä'", json!("ä")),
        ("x'00ff'", json!("AP8=")),
        ("null", json!(null)),
    ];
    for (expression, expected) in cases {
        assert_eq!(one(&folder, &format!("SELECT {expression}"), &[]).await, expected);
    }
    let sent = [
        (json!(-7), json!(-7)),
        (json!(0.1), json!(0.1)),
        (json!(true), json!(1)),
        (json!("'; DROP TABLE t; --"), json!("'; DROP TABLE t; --")),
        (json!(null), json!(null)),
        (json!([1, {"a": "x"}]), json!("[1,{\"a\":\"x\"}]")),
    ];
    for (value, expected) in sent {
        assert_eq!(one(&folder, "SELECT ?", &[value]).await, expected);
    }
    assert_eq!(one(&folder, "SELECT count(*) FROM t", &[]).await, json!(0));
}

fn refused_for(code: i32, reason: Reason, position: Option<u32>) -> SourceError {
    SourceError::Refused(Refusal { code: Code::Sqlite(code), reason: Some(reason), position })
}

#[tokio::test]
async fn changes_take_leave_and_mistakes_are_told_without_values() {
    let folder = folder();
    let beside = folder.path().join("beside.db");
    let attach = format!("ATTACH '{}' AS other", beside.display());
    let vacuum = format!("VACUUM INTO '{}'", beside.display());
    let params = [json!(canary("sqlite-row"))];
    let insert = || query("INSERT INTO t (x) VALUES (?)", &params);
    let error = refusal(Some(folder.path()), "shop.db", insert()).await;
    assert_eq!(error, refused_for(8, Reason::ReadOnly, None));
    assert_eq!(one(&folder, "SELECT count(*) FROM t", &[]).await, json!(0));

    let writing = |query| Query { read_only: false, ..query };
    let changed = sqlite(Some(folder.path()), "shop.db", &writing(insert())).await.unwrap();
    assert_eq!((changed.rows.len(), changed.row_count), (0, 1));
    let with = |sql| writing(query(sql, &params));
    let without = |sql| writing(query(sql, &[]));
    let cases = [
        (with("SELECT 'ä' ? 1"), refused_for(1, Reason::Syntax, Some(12))),
        (with("SELECT 'ä', ? FROM absent"), refused_for(1, Reason::NoTable, None)),
        (with("SELECT absent FROM t WHERE x = ?"), refused_for(1, Reason::NoColumn, Some(8))),
        (with("SELECT absent(?)"), refused_for(1, Reason::NoFunction, Some(8))),
        (with("INSERT INTO t (x) VALUES (?)"), refused_for(2067, Reason::Unique, None)),
        (with("INSERT INTO t (x, y) VALUES (? || 'x', 10)"), refused_for(275, Reason::Check, None)),
        (
            with("INSERT INTO t (x, y) VALUES (? || 'x', NULL)"),
            refused_for(1299, Reason::NotNull, None),
        ),
        (without("SELECT 1; SELECT 2"), SourceError::SeveralResults),
        (with("SELECT 1"), SourceError::ParameterCount { given: 1, wanted: 0 }),
        (without("SELECT ?"), SourceError::ParameterCount { given: 0, wanted: 1 }),
        (without("SELECT 1 AS a, 2 AS a"), SourceError::ColumnName(2)),
        (without(""), SourceError::NoStatement),
        (without(&attach), refused_for(23, Reason::Kind, None)),
        (without("PRAGMA query_only = 0"), refused_for(23, Reason::Kind, None)),
        (without("PRAGMA user_version"), refused_for(23, Reason::Kind, None)),
        (without("COMMIT"), refused_for(23, Reason::Kind, None)),
        (without("SAVEPOINT a"), refused_for(23, Reason::Kind, None)),
        (without("SELECT load_extension('x')"), refused_for(1, Reason::Kind, Some(8))),
    ];
    for (query, expected) in cases {
        let sql = query.sql;
        assert_eq!(refusal(Some(folder.path()), "shop.db", query).await, expected, "{sql}");
    }
    let error = refusal(Some(folder.path()), "shop.db", without(&vacuum)).await;
    assert_eq!(error.code(), StepErrorCode::ValidationFailed);
    assert!(!beside.exists());
    // What is over a limit is undone.
    let too_many =
        Query { max_rows: 1, ..without("INSERT INTO t (x) VALUES ('a'), ('b') RETURNING x") };
    let error = refusal(Some(folder.path()), "shop.db", too_many).await;
    assert_eq!(error, SourceError::TooManyRows(1));
    assert_eq!(one(&folder, "SELECT count(*) FROM t", &[]).await, json!(1));
}

#[tokio::test]
async fn limits_hold() {
    let folder = folder();
    let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT";
    let rows = format!("{endless} i FROM n");
    let counted = format!("{endless} count(*) FROM n");
    let deadline = Instant::now() + Duration::from_millis(200);
    let cases = [
        (Query { max_rows: 5, ..query(&rows, &[]) }, SourceError::TooManyRows(5)),
        (Query { max_bytes: 500, ..query(&rows, &[]) }, SourceError::TooLarge(500)),
        (query("SELECT zeroblob(100000000)", &[]), SourceError::TooLarge(1024 * 1024)),
        (Query { deadline, ..query(&counted, &[]) }, SourceError::Timeout),
    ];
    for (query, expected) in cases {
        assert_eq!(refusal(Some(folder.path()), "shop.db", query).await, expected);
    }
    let held = Connection::open(folder.path().join("shop.db")).unwrap();
    held.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let deadline = Instant::now() + Duration::from_millis(200);
    let waiting = Query { deadline, ..query("SELECT * FROM t", &[]) };
    assert_eq!(refusal(Some(folder.path()), "shop.db", waiting).await, SourceError::Timeout);
}

#[tokio::test]
async fn a_file_that_another_program_writes_is_read() {
    let folder = folder();
    let other = Connection::open(folder.path().join("shop.db")).unwrap();
    other.query_row("PRAGMA journal_mode = wal", [], |_| Ok(())).unwrap();
    other.execute_batch("INSERT INTO t (x) VALUES ('a'); BEGIN IMMEDIATE").unwrap();
    other.execute_batch("INSERT INTO t (x) VALUES ('b')").unwrap();
    assert_eq!(one(&folder, "SELECT group_concat(x) FROM t", &[]).await, json!("a"));
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(one(&folder, "SELECT group_concat(x) FROM t", &[]).await, json!("a,b"));
}

#[tokio::test]
async fn only_files_of_the_folder_are_reached() {
    let outside = folder();
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let other = outside.path().join("shop.db");
    std::fs::create_dir(at("deep")).unwrap();
    std::fs::copy(at("shop.db"), at("deep/shop.db")).unwrap();
    std::fs::write(at("notes.txt"), "no database, but longer than nothing").unwrap();
    std::os::unix::fs::symlink(&other, at("link.db")).unwrap();
    std::os::unix::fs::symlink(outside.path(), at("links")).unwrap();
    std::os::unix::fs::symlink(at("shop.db"), at("inside.db")).unwrap();

    let absolute = at("shop.db").display().to_string();
    for path in ["shop.db", "deep/shop.db", "./shop.db", "inside.db", &absolute] {
        let found = sqlite(Some(folder.path()), path, &query("SELECT 1", &[])).await;
        assert!(found.is_ok(), "{path}: {found:?}");
    }
    let other = other.display().to_string();
    let cases = [
        ("link.db", SourceError::OutsideFolder),
        ("links/shop.db", SourceError::OutsideFolder),
        ("../shop.db", SourceError::OutsideFolder),
        ("deep/../shop.db", SourceError::OutsideFolder),
        ("../nothing", SourceError::OutsideFolder),
        ("/nothing", SourceError::OutsideFolder),
        (&other, SourceError::OutsideFolder),
        ("nothing.db", SourceError::NoFile),
        ("", SourceError::NoFile),
        ("deep", SourceError::NoFile),
        ("file:shop.db", SourceError::NoFile),
        ("shop.db\0", SourceError::NoFile),
        ("notes.txt", SourceError::NotSqlite),
    ];
    for (path, expected) in cases {
        for read_only in [true, false] {
            let query = Query { read_only, ..query("SELECT * FROM t", &[]) };
            assert_eq!(refusal(Some(folder.path()), path, query).await, expected, "{path}");
        }
    }
    assert!(!at("nothing.db").exists());
    let closed = refusal(None, "shop.db", query("SELECT 1", &[])).await;
    assert_eq!(closed.code(), StepErrorCode::DestinationBlocked);
    assert!(closed.to_string().contains("KEYWARD_SQLITE_DIR"));
}
