//! What was answered survives a kill -9 at any moment (SQLite; PostgreSQL sees to it itself).

use keyward_store::{Store, Target};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const FILE: &str = "KEYWARD_TEST_CRASH_FILE";

/// Not a test of its own: what the killed process does. It says each number after its commit.
#[test]
#[ignore = "started by the test below"]
fn writes_until_killed() {
    let target = Target::Sqlite(PathBuf::from(std::env::var(FILE).unwrap()));
    let store = Store::open(&target).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8_u32 {
        let store = store.clone();
        tasks.spawn_on(
            async move {
                for number in 0_u32.. {
                    let name = format!("{task}/{number}");
                    let put = name.clone();
                    store.record(move |tx| tx.put_meta(&put, &[7; 500])).await.unwrap();
                    println!("done {name}");
                }
            },
            runtime.handle(),
        );
    }
    runtime.block_on(tasks.join_all());
}

#[test]
fn answered_writes_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keyward.db");
    let mut answered = Vec::new();
    for round in 1..=3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writes_until_killed", "--ignored", "--nocapture"])
            .env(FILE, &file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut heard = 0;
        for line in lines {
            // What was already on its way when the kill came counts as well.
            if let Some(name) = line.strip_prefix("done ") {
                answered.push(name.to_owned());
                heard += 1;
            }
            if heard == 300 * round {
                child.kill().unwrap();
            }
        }
        assert!(heard >= 300 * round, "the child wrote until it was killed");
        assert!(!child.wait().unwrap().success());
        let store = Store::open(&Target::Sqlite(file.clone())).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let wanted = answered.clone();
        let missing = runtime.block_on(store.read(move |reader| {
            let mut missing = Vec::new();
            for name in wanted {
                if reader.meta(&name)?.as_deref() != Some(&[7; 500]) {
                    missing.push(name);
                }
            }
            Ok(missing)
        }));
        assert_eq!(missing.unwrap(), [] as [String; 0], "round {round}");
        runtime.block_on(store.close());
    }
}
