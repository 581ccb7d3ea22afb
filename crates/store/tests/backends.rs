//! What only one back end can suffer: foreign hands in the file, lost connections.

use keyward_model::actor::Actor;
use keyward_model::audit::{Action, Event};
use keyward_model::clock::Timestamp;
use keyward_model::credential::Scope;
use keyward_model::id::{AuditId, CredentialId, Identifier, WorkspaceId};
use keyward_store::{Audited, CredentialFilter, Listed, Page, Store, StoreError, Target};
use keyward_testkit::postgres::Postgres;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn file(folder: &Path) -> (PathBuf, Target) {
    let path = folder.join("db/keyward.db");
    (path.clone(), Target::Sqlite(path))
}

#[tokio::test]
async fn a_row_by_foreign_hands_is_named_but_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (path, target) = file(folder.path());
    let store = Store::open(&target).unwrap();
    let workspace = WorkspaceId::from_bytes([1; 16]);
    let hand = rusqlite::Connection::open(&path).unwrap();
    let forged = "INSERT INTO members VALUES
        (?1, 'mem_x', 'person', NULL, 'a@b', 'n', 'emperor', 1, NULL, x'00')";
    hand.execute(forged, [workspace.to_string()]).unwrap();
    let refused = store.read(move |r| r.members(workspace, &Page::first(5))).await.unwrap_err();
    let key = format!("{workspace}/mem_x");
    assert_eq!(refused, StoreError::Corrupt { table: "members", key });
    assert!(!refused.to_string().contains("emperor"));

    // In the list of credentials such a row stands beside the others.
    let forged =
        "INSERT INTO credentials VALUES (?1, ?2, 'KEY', 'emperor', 'workspace', '', '', '',
        '', 1, '', NULL, '', 1, 1, 1, NULL, 1, '{}', x'00', NULL, NULL)";
    let found = "INSERT INTO credential_finding VALUES (?1, 0, 'KEY', ?2, '', '', 'emperor',
        'workspace', '', '', '', '', 1, 1, NULL, NULL)";
    let id = CredentialId::from_bytes([2; 16]);
    for sql in [forged, found] {
        hand.execute(sql, [workspace.to_string(), id.to_string()]).unwrap();
    }
    let any = CredentialFilter::default();
    let list = store.read(move |r| r.credentials(workspace, &any, &Page::first(5))).await.unwrap();
    let [Listed::Unreadable { id: found, key, scope }] = list.items.as_slice() else {
        panic!("{list:?}");
    };
    assert_eq!((*found, key.as_str(), *scope), (id, "KEY", Some(Scope::Workspace)));
}

#[tokio::test]
async fn the_file_is_private_and_only_ever_goes_forward() {
    let folder = tempfile::tempdir().unwrap();
    let (path, target) = file(folder.path());
    let store = Store::open(&target).unwrap();
    store.record(|tx| tx.put_meta("a", b"b")).await.unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&path.with_extension("db-wal")), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    store.close().await;
    let left = path.with_extension("db-wal");
    assert!(!left.exists() || left.metadata().unwrap().len() == 0, "closed without a rest");

    let hand = rusqlite::Connection::open(&path).unwrap();
    hand.execute("INSERT INTO migrations VALUES (99)", ()).unwrap();
    let refused = Store::open(&target).map(|_| ());
    assert!(matches!(refused, Err(StoreError::NewerSchema { found: 99, .. })), "{refused:?}");
}

#[tokio::test]
async fn another_process_may_write_in_between() {
    let folder = tempfile::tempdir().unwrap();
    let (path, target) = file(folder.path());
    let store = Store::open(&target).unwrap();
    let hand = rusqlite::Connection::open(&path).unwrap();
    hand.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.record(|tx| tx.put_meta("a", b"b")).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    assert_eq!(store.read(|r| r.meta("a")).await, Ok(None), "readers do not wait");
    hand.execute_batch("COMMIT").unwrap();
    assert_eq!(waiting.await.unwrap(), Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_replaced() {
    let url = Postgres::shared().fresh_database();
    let store = Store::open(&Target::Postgres(url.clone())).unwrap();
    store.arm(Arc::new(|_, _, number, _| Some([number as u8; 32])));
    let workspace = WorkspaceId::from_bytes([1; 16]);
    let write = async |number: u8| {
        let id = AuditId::from_bytes([number; 16]);
        let at = Timestamp::from_millis(1);
        let event = Event::new(id, workspace, at, Actor::system(), Action::WorkspaceCreated);
        let closure =
            move |_: &mut keyward_store::Tx<'_>| Ok(Audited::new((), vec![event.clone()]));
        store.write(closure).await.map(|((), receipt)| receipt.covers(id))
    };
    for number in 0..20 {
        assert_eq!(write(number).await, Ok(true));
    }
    let cut = url.clone();
    let cut = move || {
        let mut hand = postgres::Client::connect(&cut, postgres::NoTls).unwrap();
        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name = 'keyward' AND datname = current_database()";
        hand.query(others, &[]).unwrap().len()
    };
    assert!(tokio::task::spawn_blocking(cut).await.unwrap() > 0);
    for number in 20..60 {
        assert_eq!(write(number).await, Ok(true), "write {number}");
    }
    let streams = store.read(move |r| r.audit_streams(workspace)).await.unwrap();
    let mut records = 0;
    for stream in streams {
        let chain = store.read(move |r| r.audit_records(workspace, stream, 0, 100)).await.unwrap();
        let numbers: Vec<i64> = chain.iter().map(|record| record.number).collect();
        assert_eq!(numbers, (1..=chain.len() as i64).collect::<Vec<_>>());
        records += chain.len();
    }
    assert_eq!(records, 60);
    store.close().await;
}

#[test]
fn an_unreachable_server_and_a_plain_one_where_tls_is_asked_are_refused() {
    let check = |url: String| {
        let refused = Store::open(&Target::Postgres(url)).map(|_| ()).unwrap_err();
        assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
        assert!(!format!("{refused:?}").contains("hunter2"));
    };
    check("postgres://u:hunter2@127.0.0.1:1/db".into());
    // Certificates for the roots, so that only the server's lack of TLS is in the way.
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    let authority = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap();
    std::fs::write(&roots, authority.cert.pem()).unwrap();
    let url = Postgres::shared().fresh_database();
    check(format!("{url}?sslmode=verify-full&sslrootcert={}", roots.display()));
}
