//! Many at once: groups, collisions, and failures that must stay with their own job.

use crate::audit::verified;
use crate::fixture::{Fixture, at, conflict, end, id, sign, step};
use keyward_model::actor::Role;
use keyward_model::id::MemberId;
use keyward_model::run::RunStatus;
use keyward_store::{Audited, Page, RunFilter, Store, StoreError};
use keyward_testkit::postgres::Postgres;
use std::collections::HashSet;
use tokio::task::JoinSet;

pub(crate) async fn many_tasks_write_at_once(f: &Fixture) {
    let workspace = f.workspace;
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let (store, new, event) = (f.store.clone(), f.run(), f.event());
        tasks.spawn(async move {
            let wanted = event.id;
            let birth = move |tx: &mut keyward_store::Tx<'_>| {
                Ok(Audited::new(tx.insert_run(&new)?, vec![event.clone()]))
            };
            let (run, receipt) = store.write(birth).await.unwrap();
            assert!(receipt.covers(wanted));
            store
                .record(move |tx| {
                    tx.put_step(&run, &step(0))?;
                    tx.end_run(&run, &end(RunStatus::Succeeded))
                })
                .await
                .unwrap();
            let found = store.read(move |r| r.run(workspace, run.run)).await.unwrap();
            assert_eq!(found.unwrap().status, RunStatus::Succeeded, "one sees what one wrote");
        });
    }
    tasks.join_all().await;
    let list = f.store.read(move |r| r.runs(workspace, &RunFilter::default(), &Page::first(200)));
    assert_eq!(list.await.unwrap().items.len(), 64);
    let chains = verified(f, workspace).await;
    assert_eq!(chains.values().map(Vec::len).sum::<usize>(), 64);
}

pub(crate) async fn one_failing_job_fails_alone(f: &Fixture) {
    let workspace = f.workspace;
    let mut tasks = JoinSet::new();
    for number in 0..60 {
        let (store, event) = (f.store.clone(), f.event());
        // Each third address is taken by the one before.
        let email = format!("m{}@example.com", number - usize::from(number % 3 == 2));
        let member = sign(f.member(&email, Role::Viewer));
        tasks.spawn(async move {
            let insert = move |tx: &mut keyward_store::Tx<'_>| {
                tx.insert_member(&member)?;
                Ok(Audited::new((), vec![event.clone()]))
            };
            store.write(insert).await.map(|_| ())
        });
    }
    let results = tasks.join_all().await;
    let failed: Vec<_> = results.into_iter().filter(Result::is_err).collect();
    assert_eq!(failed.len(), 20);
    assert!(failed.into_iter().all(|result| conflict(result) == "member"));
    let list = f.store.read(move |r| r.members(workspace, &Page::first(200))).await.unwrap();
    assert_eq!(list.items.len(), 40);
    let chains = verified(f, workspace).await;
    assert_eq!(chains.values().map(Vec::len).sum::<usize>(), 40, "no event of a failed job");
}

/// Two owners each make the other a viewer, unless that leaves no owner: on PostgreSQL only
/// serialisable transactions that are run again keep one.
pub(crate) async fn collisions_are_run_again(f: &Fixture) {
    let workspace = f.workspace;
    for _ in 0..10 {
        let pair = [f.member("a", Role::Owner), f.member("b", Role::Owner)];
        let rows = pair.clone().map(sign);
        f.write(move |tx| rows.iter().try_for_each(|row| tx.insert_member(row))).await.unwrap();
        let mut tasks = JoinSet::new();
        for mut member in pair.clone() {
            let (store, event) = (f.store.clone(), f.event());
            tasks.spawn(async move {
                member.role = Role::Viewer;
                let row = sign(member);
                let demote = move |tx: &mut keyward_store::Tx<'_>| {
                    if tx.count_owners(workspace)? < 2 {
                        return Err(StoreError::Conflict { what: "last owner" });
                    }
                    // Time for the other to read the same.
                    std::thread::sleep(std::time::Duration::from_millis(2));
                    tx.update_member(&row)?;
                    Ok(Audited::new((), vec![event.clone()]))
                };
                store.write(demote).await.map(|_| ())
            });
        }
        let results = tasks.join_all().await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        let lost = results.into_iter().find(Result::is_err).unwrap();
        assert_eq!(conflict(lost), "last owner");
        assert_eq!(f.store.read(move |r| r.count_owners(workspace)).await, Ok(1));
        let ids: [MemberId; 2] = pair.map(|member| member.id);
        let clear = move |tx: &mut keyward_store::Tx<'_>| {
            ids.iter().try_for_each(|id| tx.delete_member(workspace, *id).map(|_| ()))
        };
        f.write(clear).await.unwrap();
    }
    // One row that all count in: each addition must be there in the end.
    let (credential, workflow) = (id(), id());
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let store = f.store.clone();
        let used = keyward_store::Use {
            workspace,
            credential,
            version: 1,
            workflow,
            at: at(1),
            failed: false,
            rejected: false,
            is_new: true,
        };
        tasks.spawn(async move { store.record(move |tx| tx.count_use(&used)).await.unwrap() });
    }
    tasks.join_all().await;
    let uses = f.store.read(move |r| r.credential_uses(workspace, credential, at(0))).await;
    assert_eq!(uses.unwrap()[0].uses, 50);
    verified(f, workspace).await;
}

pub(crate) async fn a_swallowed_error_dooms_the_job(f: &Fixture) {
    let first = f.workspace_row("slug");
    f.write(move |tx| tx.insert_workspace(&first)).await.unwrap();
    let (second, event) = (f.workspace_row("slug"), f.event());
    let swallow = move |tx: &mut keyward_store::Tx<'_>| {
        let _ = tx.insert_workspace(&second);
        Ok(Audited::new((), vec![event.clone()]))
    };
    let refused = f.store.write(swallow).await.map(|_| ());
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(verified(f, f.workspace).await.values().map(Vec::len).sum::<usize>(), 1);
}

pub(crate) async fn a_panic_fails_its_job_alone(f: &Fixture) {
    let refused = f.store.record(|tx| -> Result<(), StoreError> {
        tx.put_meta("panic", b"left")?;
        panic!("on purpose")
    });
    assert!(matches!(refused.await, Err(StoreError::Unavailable(_))));
    assert_eq!(f.store.read(|r| r.meta("panic")).await, Ok(None));
    for number in 0..32_u8 {
        f.store.record(move |tx| tx.put_meta("after", &[number])).await.unwrap();
    }
    assert_eq!(f.store.read(|r| r.meta("after")).await, Ok(Some(vec![31])));
}

pub(crate) async fn many_may_open_at_once(f: &Fixture) {
    let mut tasks = JoinSet::new();
    let target = match &f.target {
        keyward_store::Target::Sqlite(path) => {
            keyward_store::Target::Sqlite(path.with_file_name("another.db"))
        }
        keyward_store::Target::Postgres(_) => {
            keyward_store::Target::Postgres(Postgres::shared().fresh_database())
        }
    };
    for _ in 0..6 {
        let target = target.clone();
        tasks.spawn_blocking(move || Store::open(&target).unwrap());
    }
    let stores = tasks.join_all().await;
    let mut values = HashSet::new();
    for (number, store) in stores.iter().enumerate() {
        let init = move |tx: &mut keyward_store::RunTx<'_>| tx.init_meta("i", &[number as u8]);
        values.insert(store.record(init).await.unwrap());
    }
    assert_eq!(values.len(), 1, "all see what the first one set");
    for store in stores {
        store.close().await;
    }
}
