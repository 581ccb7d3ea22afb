//! The audit trail: its chains, its list, and that nothing is written without it.

use crate::fixture::{Fixture, at, conflict, end, id, step, toy_mac};
use keyward_model::actor::{Actor, ActorKind};
use keyward_model::audit::{Action, Event, Head, Outcome, Record};
use keyward_model::id::{StreamId, WorkspaceId};
use keyward_model::run::RunStatus;
use keyward_store::{AuditFilter, Audited, Page, Store, StoreError};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

async fn write(f: &Fixture, events: Vec<Event>) -> Result<keyward_store::AuditReceipt, StoreError> {
    let written = f.store.write(move |_| Ok(Audited::new((), events.clone()))).await;
    written.map(|((), receipt)| receipt)
}

/// Reads all chains of a workspace and computes each MAC anew.
pub(crate) async fn verified(
    f: &Fixture,
    workspace: WorkspaceId,
) -> HashMap<StreamId, Vec<Record>> {
    let streams = f.store.read(move |r| r.audit_streams(workspace)).await.unwrap();
    let mut chains = HashMap::new();
    for stream in streams {
        let mut records: Vec<Record> = Vec::new();
        loop {
            let after = records.len() as i64;
            let more = f.store.read(move |r| r.audit_records(workspace, stream, after, 7)).await;
            match more.unwrap() {
                more if more.is_empty() => break,
                more => records.extend(more),
            }
        }
        chains.insert(stream, records);
    }
    let macs: HashSet<Vec<u8>> =
        chains.values().flatten().map(|record: &Record| record.mac.to_vec()).collect();
    let mut first_ever = 0;
    for records in chains.values() {
        let mut previous = records[0].opened_after.clone().expect("says what it was opened after");
        first_ever += usize::from(previous.is_empty());
        assert!(previous.is_empty() || macs.contains(&previous), "opened after a known record");
        for (number, record) in (1..).zip(records) {
            assert_eq!(record.number, number);
            assert_eq!(record.opened_after.is_some(), number == 1);
            let event = record.event.canonical();
            assert_eq!(record.mac, toy_mac(&workspace, &previous, number, &event));
            previous = record.mac.to_vec();
        }
    }
    assert!(first_ever <= 1, "only the very first chain follows nothing");
    chains
}

pub(crate) async fn chains_hold(f: &Fixture) {
    let workspace = f.workspace;
    let other = Event { workspace: id(), ..f.event() };
    let elsewhere = other.workspace;
    write(f, vec![f.event(), f.event(), other]).await.unwrap();
    for _ in 0..20 {
        write(f, vec![f.event()]).await.unwrap();
    }
    // Another store beside this one, as the CLI beside a server.
    let beside = Store::open(&f.target).unwrap();
    beside.arm(Arc::new(|ws, previous, number, event| Some(toy_mac(ws, previous, number, event))));
    let event = f.event();
    beside.write(move |_| Ok(Audited::new((), vec![event.clone()]))).await.unwrap();
    write(f, vec![f.event()]).await.unwrap();
    beside.close().await;

    let chains = verified(f, workspace).await;
    assert_eq!(chains.values().map(Vec::len).sum::<usize>(), 24);
    assert_eq!(verified(f, elsewhere).await.values().map(Vec::len).sum::<usize>(), 1);

    let mut heads = f.store.heads();
    assert!(!heads.is_empty());
    heads.retain(|head| head.workspace == workspace);
    let newest = |records: &Vec<Record>| records.last().map(|last| (last.number, last.mac));
    for Head { stream, number, mac, .. } in heads {
        assert_eq!(newest(&chains[&stream]), Some((number, mac)));
        let anchored = f.store.read(move |r| r.audit_record(workspace, stream, number)).await;
        assert_eq!(anchored.unwrap().map(|record| record.mac), Some(mac));
        let beyond = f.store.read(move |r| r.audit_record(workspace, stream, number + 1)).await;
        assert_eq!(beyond, Ok(None));
    }
}

pub(crate) async fn nothing_is_written_without_its_event(f: &Fixture) {
    let put = |events: Vec<Event>| {
        move |tx: &mut keyward_store::Tx<'_>| {
            tx.put_meta("trace", b"left")?;
            Ok(Audited::new((), events.clone()))
        }
    };
    let refused = f.store.write(put(vec![])).await.map(|_| ());
    assert_eq!(refused, Err(StoreError::NoEvent));

    let unarmed = Store::open(&f.target).unwrap();
    let refused = unarmed.write(put(vec![f.event()])).await.map(|_| ());
    assert_eq!(refused, Err(StoreError::AuditUnavailable));
    unarmed.arm(Arc::new(|_, _, _, _| None));
    let refused = unarmed.write(put(vec![f.event()])).await.map(|_| ());
    assert_eq!(refused, Err(StoreError::AuditUnavailable));
    assert_eq!(unarmed.heads(), []);
    assert_eq!(f.store.read(|r| r.meta("trace")).await, Ok(None));
    unarmed.close().await;
}

pub(crate) async fn a_rolled_back_event_leaves_no_gap(f: &Fixture) {
    let first = f.event();
    let receipt = write(f, vec![first.clone()]).await.unwrap();
    assert!(receipt.covers(first.id));
    assert!(!receipt.covers(f.event().id));
    // The second event's id is taken, so the first of the pair must go as well.
    let refused = write(f, vec![f.event(), first]).await;
    assert_eq!(conflict(refused), "audit event");
    for _ in 0..40 {
        write(f, vec![f.event()]).await.unwrap();
    }
    let chains = verified(f, f.workspace).await;
    assert_eq!(chains.values().map(Vec::len).sum::<usize>(), 41);
}

pub(crate) async fn the_list_is_filtered(f: &Fixture) {
    let workspace = f.workspace;
    let mut full = f.event();
    full.at = at(50);
    full.actor = Actor { kind: ActorKind::Trigger, id: "wf_1".into(), name: "Flow".into() };
    full.action = Action::CredentialUsed;
    full.outcome = Outcome::Refused;
    full.reason = "allowlist".into();
    full.credential = Some(id());
    full.key = Some("K".into());
    full.workflow = Some(id());
    full.run = Some(id());
    full.step = Some("call".into());
    full.destination = Some("https://api.example.com:443".into());
    let plain = f.event();
    let elsewhere = Event { workspace: id(), id: id(), ..full.clone() };
    write(f, vec![full.clone(), plain.clone(), elsewhere]).await.unwrap();

    let list = async |filter: AuditFilter, page: Page| {
        let list = f.store.read(move |r| r.audit(workspace, &filter, &page)).await.unwrap();
        (list.items.into_iter().map(|record| record.event).collect::<Vec<_>>(), list.next)
    };
    let any = AuditFilter::default;
    let (newest, next) = list(any(), Page::first(1)).await;
    assert_eq!((newest, &next), (vec![plain.clone()], &Some(plain.id.to_string())));
    let (rest, next) = list(any(), Page { limit: 1, after: next }).await;
    assert_eq!((rest, next), (vec![full.clone()], None));
    let matching = [
        AuditFilter { credential: full.credential, ..any() },
        AuditFilter { key: full.key.clone(), ..any() },
        AuditFilter { actor: Some("wf_1".into()), ..any() },
        AuditFilter { action: Some(Action::CredentialUsed), ..any() },
        AuditFilter { outcome: Some(Outcome::Refused), ..any() },
        AuditFilter { run: full.run, ..any() },
        AuditFilter { since: Some(at(50)), ..any() },
    ];
    for filter in matching {
        let shown = format!("{filter:?}");
        assert_eq!(list(filter, Page::first(9)).await.0, [full.clone()], "{shown}");
    }
    let none = AuditFilter { since: Some(at(51)), ..any() };
    assert_eq!(list(none, Page::first(9)).await.0, []);
}

pub(crate) async fn a_run_and_its_first_use_are_one_commit(f: &Fixture) {
    let (new, mut event) = (f.run(), f.event());
    event.run = Some(new.id);
    let (run, wanted) = (new.id, event.id);
    let birth = move |tx: &mut keyward_store::Tx<'_>| {
        let owned = tx.insert_run(&new)?;
        Ok(Audited::new(owned, vec![event.clone()]))
    };
    let (owned, receipt) = f.store.write(birth.clone()).await.unwrap();
    assert!(owned.run == run && receipt.covers(wanted));
    assert_eq!(conflict(f.store.write(birth).await), "run");
    let last = move |tx: &mut keyward_store::RunTx<'_>| {
        tx.put_step(&owned, &step(0))?;
        tx.end_run(&owned, &end(RunStatus::Succeeded))
    };
    f.store.record(last).await.unwrap();
    let chains = verified(f, f.workspace).await;
    assert_eq!(chains.values().map(Vec::len).sum::<usize>(), 1);
}
