//! What was deleted of runs lies in none of the files of SQLite any more, once the store has scrubbed.
#![expect(clippy::unwrap_used, reason = "tests stop where something is not as expected")]

use keyward_model::actor::Actor;
use keyward_model::audit::{Action, Event};
use keyward_model::clock::Timestamp;
use keyward_model::id::{Identifier, RunId, WorkspaceId};
use keyward_model::mask::{Masked, Masker};
use keyward_model::run::{NewRun, NewStep, Origin, RunEnd, RunStatus, StepStatus};
use keyward_store::{Audited, Owned, Store, StoreError, Target, Tx};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn workspace() -> WorkspaceId {
    WorkspaceId::from_bytes([1; 16])
}

fn id<T: Identifier>() -> T {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    T::from_bytes(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)).to_be_bytes())
}

fn masked(text: &str) -> Masked {
    Masker::new().text(text)
}

struct Scene {
    store: Store,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db/keyward.db");
        let store = Store::open(&Target::Sqlite(path.clone())).unwrap();
        store.arm(Arc::new(|_, _, number, _| Some([number.to_be_bytes()[7]; 32])));
        Self { store, path, _folder: folder }
    }

    /// A run with one step, whose mark stands in each text of them; it has ended.
    async fn run(&self, mark: &str, sizes: [usize; 2], no_store: bool) -> RunId {
        let text = |size: usize| masked(&format!("{mark}{}{mark}", ".".repeat(size)));
        let new = NewRun {
            workspace: workspace(),
            id: id(),
            workflow: id(),
            version: 1,
            origin: Origin::Hook,
            starter: Actor::system(),
            member: None,
            seals: "{}".into(),
            trigger: text(sizes[0]),
            no_store,
            withheld: false,
            retry_of: None,
            node: id(),
            created_at: Timestamp::from_millis(1),
        };
        let run = new.id;
        let step = NewStep {
            position: 0,
            step: "s".into(),
            kind: "code".into(),
            status: StepStatus::Succeeded,
            attempt: 1,
            wake_at: None,
            started_at: Timestamp::from_millis(1),
            finished_at: Some(Timestamp::from_millis(2)),
            input: Some(text(0)),
            output: Some(text(sizes[1])),
            error_code: None,
            error_message: Some(text(5)),
            logs: text(20),
            credentials: "[]".into(),
            seals: "{}".into(),
        };
        let owned: Owned = self.store.record(move |tx| tx.insert_run(&new)).await.unwrap();
        let end = RunEnd {
            status: RunStatus::Succeeded,
            error_code: None,
            error_message: Some(text(30)),
            error_step: None,
            finished_at: Timestamp::from_millis(2),
        };
        let last = move |tx: &mut keyward_store::RunTx<'_>| {
            tx.put_step(&owned, &step)?;
            tx.end_run(&owned, &end)
        };
        self.store.record(last).await.unwrap();
        run
    }

    async fn delete(&self, run: RunId) {
        let at = Timestamp::from_millis(3);
        let event = Event::new(id(), workspace(), at, Actor::system(), Action::RunDeleted);
        let write = move |tx: &mut Tx<'_>| {
            assert!(tx.delete_run(workspace(), run)?);
            Ok(Audited::new((), vec![event.clone()]))
        };
        self.store.write(write).await.unwrap();
    }

    /// Which of the marks lie in the database's files, as they are now.
    fn found(&self, marks: &[String]) -> Vec<String> {
        let mut bytes = Vec::new();
        for ending in ["db", "db-wal", "db-shm"] {
            bytes.extend(std::fs::read(self.path.with_extension(ending)).unwrap());
        }
        let text = String::from_utf8_lossy(&bytes);
        marks.iter().filter(|mark| text.contains(mark.as_str())).cloned().collect()
    }
}

fn length(path: &Path) -> u64 {
    path.with_extension("db-wal").metadata().unwrap().len()
}

#[tokio::test]
async fn a_deleted_run_and_an_ended_no_store_run_are_gone_from_all_files() {
    let scene = Scene::new();
    let marks = ["stays", "deleted", "nostore"].map(|mark| format!("mark-{mark}-1a2b3c"));
    scene.run(&marks[0], [10, 9000], false).await;
    let run = scene.run(&marks[1], [9000, 10], false).await;
    scene.run(&marks[2], [500, 500], true).await;
    scene.delete(run).await;
    assert_eq!(scene.found(&marks), marks, "the log still holds what was");
    scene.store.scrub().await.unwrap();
    assert_eq!(scene.found(&marks), marks[..1]);
    // Nothing was deleted since, so nothing is done.
    scene.run(&marks[1], [10, 10], false).await;
    let before = length(&scene.path);
    assert!(before > 0);
    scene.store.scrub().await.unwrap();
    assert_eq!(length(&scene.path), before);
    scene.store.close().await;
}

#[tokio::test]
async fn while_an_earlier_state_is_read_the_log_stays_and_a_later_call_empties_it() {
    let scene = Scene::new();
    let marks = ["mark-read-4d5e6f".to_owned()];
    let run = scene.run(&marks[0], [10, 10], false).await;
    let reader = rusqlite::Connection::open(&scene.path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM runs").unwrap();
    scene.delete(run).await;
    assert!(matches!(scene.store.scrub().await, Err(StoreError::Unavailable(_))));
    // Writing goes on meanwhile.
    scene.run("mark-other-7a8b9c", [10, 10], false).await;
    assert_eq!(scene.found(&marks), marks);
    reader.execute_batch("COMMIT").unwrap();
    scene.store.scrub().await.unwrap();
    assert!(scene.found(&marks).is_empty());
    scene.store.close().await;
}
