//! Retention: old beginnings are cut, a signed stub stays, and what is done to it is named.

use super::{edit, export, records, verify};
use crate::scene::Scene;
use crate::server::{Backend, Server, on_both};
use keyward_egress::{Client, Options};
use keyward_model::audit::AuditCursor;
use keyward_model::clock::{Clock, Timestamp};
use keyward_model::id::WorkspaceId;
use keyward_model::settings::{Settings, WorkspaceSettings};
use keyward_store::{Audited, Page, Store, Target, Tx};
use keyward_vault::Vault;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const DAY: i64 = 24 * 60 * 60 * 1000;

/// A vault on a server's database whose clock the test moves.
struct Ahead {
    vault: Vault,
    workspace: WorkspaceId,
    clock: Arc<AtomicI64>,
}

impl Ahead {
    async fn open(target: Target, data: PathBuf) -> Self {
        let store = Store::open(&target).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let clock = Arc::new(AtomicI64::new(now.as_millis() as i64));
        let shown = clock.clone();
        let shown = Clock::new(move || Timestamp::from_millis(shown.load(Ordering::SeqCst)));
        let egress = Client::new(Options::default()).unwrap();
        let (key, database) = (data.join("keys/root.key"), data.join("db"));
        let vault = Vault::unlock(store.clone(), egress, shown, &key, &database).await.unwrap();
        let page = store.read(|tx| tx.workspaces(&Page::first(1))).await.unwrap();
        let workspace = page.items[0].id;
        vault.load(workspace).await.unwrap();
        Self { vault, workspace, clock }
    }

    fn days_pass(&self, days: i64) {
        self.clock.fetch_add(days * DAY, Ordering::SeqCst);
    }

    async fn keep_for(&self, days: u32) {
        let (vault, workspace) = (&self.vault, self.workspace);
        let row = vault.store().read(move |tx| tx.settings(workspace)).await.unwrap().unwrap();
        let row = vault.verify(workspace, row).await.unwrap();
        let settings = Settings { audit_retention_days: Some(days), ..row.settings };
        let (expected, revision) = (row.revision, row.revision + 1);
        let row = WorkspaceSettings { workspace, settings, revision };
        let row = vault.sign(workspace, row).await.unwrap();
        self.write(move |tx| tx.update_settings(&row, expected)).await;
    }

    async fn write(
        &self,
        change: impl Fn(&mut Tx<'_>) -> Result<(), keyward_store::StoreError> + Send + 'static,
    ) {
        let action = keyward_model::audit::Action::SettingsChanged;
        let actor = keyward_model::actor::Actor::system();
        let (id, now) = (self.vault.fresh(), self.vault.now());
        let event = keyward_model::audit::Event::new(id, self.workspace, now, actor, action);
        let write = move |tx: &mut Tx<'_>| {
            change(tx)?;
            Ok(Audited::new((), vec![event.clone()]))
        };
        self.vault.store().write(write).await.unwrap();
    }

    async fn cut(&self, sinks: &[String]) {
        keyward_engine::cut_audit(&self.vault, sinks).await;
    }

    /// How many records there are that are older than so many days.
    async fn left(&self, days: i64) -> usize {
        let (workspace, before) = (self.workspace, self.vault.now().plus_millis(-days * DAY));
        let read = move |tx: &mut keyward_store::Reader<'_>| {
            let mut left = 0;
            for stream in tx.audit_streams(workspace)? {
                let records = tx.audit_records(workspace, stream, 0, 10_000)?;
                left += records.iter().filter(|record| record.event.at < before).count();
            }
            Ok(left)
        };
        self.vault.store().read(read).await.unwrap()
    }

    /// Says that a sink has taken each chain up to that number.
    async fn taken(&self, sink: &str, number: i64) {
        let workspace = self.workspace;
        let streams = self.vault.store().read(move |tx| tx.audit_streams(workspace)).await.unwrap();
        let keys = self.vault.audit_keys(&[workspace]).await.unwrap();
        for stream in streams {
            let cursor = AuditCursor { workspace, sink: sink.into(), stream, number };
            let row = keys.sign(workspace, cursor).unwrap();
            self.vault.store().record(move |tx| tx.put_audit_cursor(&row)).await.unwrap();
        }
    }
}

fn target(server: &Server) -> Target {
    match server.database_url() {
        Some(url) => Target::Postgres(url.to_owned()),
        None => Target::Sqlite(server.data.join("db/keyward.sqlite")),
    }
}

/// The trail holds, in the database and as an export, which is an event of the real clock.
fn holds(server: &Server, when: &str) {
    let (holds, said) = verify(server, &[]);
    assert!(holds, "{when}: {said}");
    let file = server.evidence.folder().join("kept.jsonl");
    export(server, "kept.jsonl");
    let (holds, said) = verify(server, &[file.to_str().unwrap()]);
    assert!(holds, "{when}, exported: {said}");
}

/// A server that has stopped, with a trail of several starts.
fn stopped(server: Server) -> Scene {
    let mut scene = Scene::with(server);
    let (using, _) = super::furnish(&scene);
    for _ in 0..3 {
        assert_eq!(scene.run_again(&using, &json!({}))["status"], "succeeded");
        assert!(scene.server.stop());
        scene.server.spawn();
    }
    assert!(scene.server.stop());
    scene
}

#[test]
fn old_beginnings_are_cut_and_what_is_left_verifies() {
    on_both("audit-retention", |server| {
        let mut scene = stopped(server);
        let (target, data) = (target(&scene.server), scene.server.data.clone());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let ahead = runtime.block_on(Ahead::open(target, data));
        let before = runtime.block_on(async {
            ahead.days_pass(31);
            let before = ahead.left(30).await;
            assert!(before > 10, "{before}");
            ahead.cut(&[]).await;
            assert_eq!(ahead.left(30).await, before, "without a setting nothing goes");
            ahead.keep_for(32).await;
            ahead.cut(&[]).await;
            assert_eq!(ahead.left(30).await, before, "nothing is old enough");
            ahead.keep_for(30).await;
            ahead.cut(&["behind".into()]).await;
            assert_eq!(ahead.left(30).await, before, "a required sink has taken nothing yet");
            ahead.taken("behind", 2).await;
            ahead.cut(&["behind".into()]).await;
            before
        });
        holds(&scene.server, "each chain cut after its second record");
        let partly = runtime.block_on(ahead.left(30));
        assert!(partly < before, "{partly} of {before}");
        runtime.block_on(ahead.cut(&[]));
        assert_eq!(runtime.block_on(ahead.left(30)), 0);
        holds(&scene.server, "everything old is cut");
        runtime.block_on(ahead.vault.store().close());

        let kept = records(&export(&scene.server, "after.jsonl"));
        assert!(kept.iter().any(|record| record["action"] == "audit.cut"), "{kept:#?}");
        assert!(kept.iter().all(|record| record["action"] != "credential.used"), "{kept:#?}");
        // The server goes on in the same trail, and its start accepts what was cut.
        scene.server.spawn();
        scene.api_key("LATER", &scene.canary("LATER"));
        assert!(scene.server.stop());
        holds(&scene.server, "after the server has gone on");
        scene.server.spawn();
        scene.audit("action=audit.cut");
    });
}

#[test]
fn a_stub_that_is_forged_or_missing_is_named() {
    let mut scene = stopped(Server::start("audit-stub", Backend::Sqlite));
    let (target, data) = (target(&scene.server), scene.server.data.clone());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let ahead = Ahead::open(target, data).await;
        ahead.keep_for(1).await;
        ahead.days_pass(2);
        ahead.taken("sink", 2).await;
        ahead.cut(&["sink".into()]).await;
        ahead.vault.store().close().await;
    });
    holds(&scene.server, "cut");
    let file = export(&scene.server, "stubs.jsonl");
    assert!(file.contains("\"cut_before\":2"), "{file}");
    edit(&scene.server, "CREATE TABLE kept_stubs AS SELECT * FROM audit_stubs");
    let edits = [
        ("UPDATE audit_stubs SET number = 1", "stub of cut records, up to record 1 of"),
        ("UPDATE audit_stubs SET count = count + 1", "was altered"),
        ("UPDATE audit_stubs SET cut_at = 0", "was altered"),
        ("UPDATE audit_stubs SET mac = tag", "was altered"),
        (
            "UPDATE audit_stubs SET stream_id = 'str_00000000000000000000000000' WHERE stream_id = (SELECT max(stream_id) FROM audit_stubs)",
            "was altered",
        ),
        ("DELETE FROM audit_stubs", "record 1 of"),
    ];
    for (sql, named) in edits {
        edit(&scene.server, sql);
        let (holds, said) = verify(&scene.server, &[]);
        assert!(!holds && said.contains(named), "{sql}: {said}");
        edit(
            &scene.server,
            "DELETE FROM audit_stubs; INSERT INTO audit_stubs SELECT * FROM kept_stubs",
        );
    }
    edit(&scene.server, "DROP TABLE kept_stubs");
    holds(&scene.server, "put back");

    // One more record than retention took.
    edit(&scene.server, "DELETE FROM audit WHERE number = 3");
    let (holds, said) = verify(&scene.server, &[]);
    assert!(!holds && said.contains("record 3 of"), "{said}");
    scene.server.spawn();
}

#[test]
fn a_chain_that_does_not_hold_is_not_cut() {
    let mut scene = stopped(Server::start("audit-retention-tampered", Backend::Sqlite));
    edit(&scene.server, "UPDATE audit SET at = 1 WHERE number = 2");
    let (target, data) = (target(&scene.server), scene.server.data.clone());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let ahead = Ahead::open(target, data).await;
        ahead.keep_for(1).await;
        // Made to look old, and now really old: neither is cut.
        for _ in 0..2 {
            let before = ahead.left(-1).await;
            ahead.cut(&[]).await;
            assert_eq!(ahead.left(-1).await, before);
            ahead.days_pass(2);
        }
        ahead.vault.store().close().await;
    });
    let (holds, said) = verify(&scene.server, &[]);
    assert!(!holds && said.contains("record 2 of") && said.contains("was altered"), "{said}");
    scene.server.spawn();
}
