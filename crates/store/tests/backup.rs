//! A database that was written out and loaded is the same row for row, whichever back end it came
//! from and went to; and what cannot be loaded as a whole leaves nothing.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests stop where something is not as expected"
)]

#[path = "backup/database.rs"]
mod database;

use database::Database;
use keyward_store::backup::{self, BackupError};
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

fn written(database: &Database) -> (Vec<u8>, backup::Contents) {
    let mut stream = Vec::new();
    let contents = backup::write(&database.target, &mut stream).unwrap();
    (stream, contents)
}

/// Everything but the nodes, whose rows stay where they are.
fn without_nodes(database: &mut Database) -> BTreeMap<String, Vec<String>> {
    let mut all = database.dump();
    all.remove("nodes").unwrap();
    all
}

#[test]
fn every_row_of_every_table_arrives_on_either_back_end() {
    for from in [Database::sqlite, Database::postgres] {
        let mut source = from();
        source.migrate();
        source.fill();
        let before = without_nodes(&mut source);
        let thin: Vec<_> = before.iter().filter(|(_, rows)| rows.len() < 3).collect();
        assert!(thin.iter().all(|(table, _)| *table == "migrations"), "not filled: {thin:?}");
        let (stream, contents) = written(&source);
        for to in [Database::sqlite, Database::postgres] {
            let mut target = to();
            let loaded = backup::load(&target.target, &mut stream.as_slice()).unwrap();
            assert_eq!(loaded, contents);
            assert_eq!(without_nodes(&mut target), before, "{:?}", target.target);
        }
        let counted: BTreeMap<_, _> =
            before.iter().map(|(table, rows)| (table.clone(), rows.len() as u64)).collect();
        let mut expected = counted;
        expected.remove("migrations");
        assert_eq!(contents.rows, expected);
        assert_eq!(contents.total(), expected.values().sum::<u64>());
    }
}

#[test]
fn open_runs_are_those_of_dead_nodes() {
    let mut source = Database::sqlite();
    source.migrate();
    source.fill();
    let nodes = source.dump().remove("nodes").unwrap();
    let (stream, _) = written(&source);
    for mut target in [Database::sqlite(), Database::postgres()] {
        backup::load(&target.target, &mut stream.as_slice()).unwrap();
        let open = "SELECT DISTINCT node_id FROM runs WHERE finished_at IS NULL ORDER BY 1";
        let open = target.texts(open);
        assert!(!open.is_empty());
        assert_eq!(target.texts("SELECT id FROM nodes WHERE seen_at = 0 ORDER BY 1"), open);
        let all = target.dump().remove("nodes").unwrap();
        assert_eq!(all.len(), open.len(), "no other node came along");
        assert!(all.iter().all(|row| !nodes.contains(row)));
    }
}

#[test]
fn a_backup_is_of_one_moment() {
    for make in [Database::sqlite, Database::postgres] {
        let mut source = make();
        source.migrate();
        let writer = source.pairs_until_stopped();
        // Once there is something to go on beside.
        while source.texts("SELECT run_id FROM steps").len() < 20 {
            thread::sleep(Duration::from_millis(5));
        }
        for _ in 0..5 {
            let (stream, contents) = written(&source);
            let mut target = Database::sqlite();
            backup::load(&target.target, &mut stream.as_slice()).unwrap();
            let runs = target.texts("SELECT id FROM runs ORDER BY 1");
            assert!(runs.len() >= 20);
            assert_eq!(target.texts("SELECT run_id FROM steps ORDER BY 1"), runs);
            assert_eq!(target.texts("SELECT name FROM meta ORDER BY 1"), runs);
            assert_eq!(contents.rows["runs"], runs.len() as u64);
        }
        let written = writer.stop();
        assert!(written > 20, "the writer was not kept from writing: {written}");
    }
}

#[test]
fn what_is_cut_off_loads_nothing() {
    let mut source = Database::sqlite();
    source.migrate();
    source.fill();
    let (stream, contents) = written(&source);
    for mut target in [Database::sqlite(), Database::postgres()] {
        let step = stream.len() / 7;
        for end in (0..stream.len()).step_by(step).chain([stream.len() - 1]) {
            let refused = backup::load(&target.target, &mut &stream[..end]);
            assert!(refused.is_err(), "{end} of {}", stream.len());
            assert_eq!(target.dump(), BTreeMap::new(), "{end} of {}", stream.len());
        }
        let longer = [stream.as_slice(), &[0]].concat();
        let refused = backup::load(&target.target, &mut longer.as_slice());
        assert!(matches!(refused, Err(BackupError::Malformed(_))), "{refused:?}");
        assert_eq!(target.dump(), BTreeMap::new());
        // A failed one leaves nothing that would be in the way of the next.
        assert_eq!(backup::load(&target.target, &mut stream.as_slice()).unwrap(), contents);
    }
}

#[test]
fn only_an_empty_database_is_loaded_into() {
    let mut source = Database::sqlite();
    source.migrate();
    source.fill();
    let (stream, contents) = written(&source);
    for mut target in [Database::sqlite(), Database::postgres()] {
        target.migrate();
        target.execute("INSERT INTO nodes (id, seen_at) VALUES ('a', 1)");
        let before = target.dump();
        let refused = backup::load(&target.target, &mut stream.as_slice());
        assert!(matches!(&refused, Err(BackupError::NotEmpty { table }) if table == "nodes"));
        assert_eq!(target.dump(), before);
        target.execute("DELETE FROM nodes");
        // Tables without rows, as `keyward doctor` leaves them, are no reason to refuse.
        backup::load(&target.target, &mut stream.as_slice()).unwrap();
        let again = backup::load(&target.target, &mut stream.as_slice());
        assert!(matches!(again, Err(BackupError::NotEmpty { .. })), "{again:?}");

        backup::clear(&target.target).unwrap();
        assert_eq!(target.dump(), BTreeMap::new());
        assert_eq!(backup::load(&target.target, &mut stream.as_slice()).unwrap(), contents);
    }
}

#[test]
fn tables_of_others_are_left_alone() {
    let mut source = Database::postgres();
    source.migrate();
    source.execute("CREATE TABLE others (secret TEXT)");
    source.execute("INSERT INTO others VALUES ('of another program')");
    let (stream, contents) = written(&source);
    assert!(!contents.rows.contains_key("others"));
    assert!(!String::from_utf8_lossy(&stream).contains("another program"));

    let mut target = Database::postgres();
    target.execute("CREATE TABLE others (secret TEXT)");
    target.execute("INSERT INTO others VALUES ('stays')");
    backup::load(&target.target, &mut stream.as_slice()).unwrap();
    backup::clear(&target.target).unwrap();
    assert_eq!(target.texts("SELECT secret FROM others"), ["stays"]);
}

#[test]
fn a_row_that_could_not_be_loaded_is_named() {
    let mut source = Database::sqlite();
    source.migrate();
    source.fill();
    source.execute("UPDATE workspaces SET name = CAST(x'ff' AS TEXT) WHERE revision = 1");
    let refused = backup::write(&source.target, &mut Vec::new());
    let Err(BackupError::Unreadable { table, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(table, "workspaces");
}
