//! Streams of other releases.

use super::*;
use crate::session::{Connection, Session};
use crate::store::Target;
use crate::value::values;
use crate::{migrate, sqlite};
use std::path::Path;

fn target(folder: &Path, name: &str) -> Target {
    Target::Sqlite(folder.join(name))
}

/// A database as an earlier release left it.
fn make_old(target: &Target, schema: i64) {
    let Target::Sqlite(path) = target else { panic!("a file") };
    let connection = sqlite::open(path).unwrap();
    let mut session = Session { connection: Connection::Sqlite(&connection), failed: &mut false };
    migrate::apply(&mut session, schema).unwrap();
    let row = "INSERT INTO meta (name, value) VALUES ($1, $2)";
    session.execute(row, values!["instance", vec![7; 16]]).unwrap();
}

#[test]
fn an_older_schema_is_loaded_and_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (target(folder.path(), "old"), target(folder.path(), "new"));
    make_old(&old, 1);
    let mut stream = Vec::new();
    assert_eq!(write(&old, &mut stream).unwrap().schema, 1);
    assert_eq!(load(&new, &mut stream.as_slice()).unwrap().schema, 1);

    let mut again = Vec::new();
    let contents = write(&new, &mut again).unwrap();
    assert_eq!(contents.schema, migrate::newest());
    assert_eq!(contents.rows["meta"], 1);
}

#[test]
fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (known, newer) = (migrate::newest(), migrate::newest() + 1);
    let mut stream = Vec::new();
    make_old(&target(folder.path(), "db"), known);
    write(&target(folder.path(), "db"), &mut stream).unwrap();
    let text = format!("{{\"schema\":{known},");
    let at = stream.windows(text.len()).position(|part| part == text.as_bytes()).unwrap();
    let renamed = format!("{{\"schema\":{newer},");
    stream.splice(at..at + text.len(), renamed.into_bytes());
    let refused = load(&target(folder.path(), "new"), &mut stream.as_slice());
    assert!(
        matches!(refused, Err(BackupError::NewerSchema { found, known: k }) if found == newer && k == known),
        "{refused:?}"
    );
    assert!(!folder.path().join("new").exists(), "the file is made after the head was read");
}

#[test]
fn a_head_of_other_tables_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    make_old(&target(folder.path(), "db"), 1);
    let mut stream = Vec::new();
    write(&target(folder.path(), "db"), &mut stream).unwrap();
    let at = stream.windows(6).position(|part| part == b"\"meta\"").unwrap();
    stream[at + 1] = b'M';
    let refused = load(&target(folder.path(), "new"), &mut stream.as_slice());
    assert!(matches!(refused, Err(BackupError::Malformed(_))), "{refused:?}");
}
