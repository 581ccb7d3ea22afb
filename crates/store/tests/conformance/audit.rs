//! The audit trail: its chains, its list, and that nothing is written without it.

use crate::fixture::{Fixture, at, conflict, end, id, step, toy_mac};
use keyward_model::actor::{Actor, ActorKind};
use keyward_model::audit::{Action, AuditCursor, AuditStub, Event, Head, Outcome, Record};
use keyward_model::id::{NodeId, StreamId, WorkspaceId};
use keyward_model::run::RunStatus;
use keyward_model::tag::Tagged;
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
            let event = record.canonical();
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
        AuditFilter { workflow: full.workflow, ..any() },
        AuditFilter { since: Some(at(50)), ..any() },
    ];
    for filter in matching {
        let shown = format!("{filter:?}");
        assert_eq!(list(filter, Page::first(9)).await.0, [full.clone()], "{shown}");
    }
    let none = AuditFilter { since: Some(at(51)), ..any() };
    assert_eq!(list(none, Page::first(9)).await.0, []);
    let earlier = AuditFilter { until: Some(at(49)), ..any() };
    assert_eq!(list(earlier, Page::first(9)).await.0, std::slice::from_ref(&plain));
    let allowed = AuditFilter { outcome: Some(Outcome::Allowed), ..any() };
    assert_eq!(list(allowed, Page::first(9)).await.0, [plain]);
    let both = AuditFilter { since: Some(at(50)), until: Some(at(50)), ..any() };
    assert_eq!(list(both, Page::first(9)).await.0, [full]);
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

pub(crate) async fn people_are_recorded_by_their_ids(f: &Fixture) {
    let actor = |kind, id: &str, name: &str| Actor { kind, id: id.into(), name: name.into() };
    let named = [
        (actor(ActorKind::Member, "mem_1", "Alice"), ""),
        (actor(ActorKind::Trigger, "wf_1", "Flow"), "Flow"),
        (Actor::system(), "keyward"),
    ];
    for (actor, expected) in named {
        let event = Event { actor, ..f.event() };
        let (id, workspace) = (event.id, f.workspace);
        write(f, vec![event]).await.unwrap();
        let list =
            f.store.read(move |r| r.audit(workspace, &AuditFilter::default(), &Page::first(1)));
        let newest = list.await.unwrap().items.remove(0);
        assert_eq!((newest.event.id, newest.event.actor.name.as_str()), (id, expected));
    }
    verified(f, f.workspace).await;
}

pub(crate) async fn a_credentials_records_are_numbered(f: &Fixture) {
    let (one, other) = (id(), id());
    let naming = |credential| Event { credential: Some(credential), ..f.event() };
    let first = naming(one);
    write(f, vec![first.clone(), f.event(), naming(other), naming(one)]).await.unwrap();
    // Rolled back: the numbers are given again.
    assert_eq!(conflict(write(f, vec![naming(one), naming(other), first]).await), "audit event");
    write(f, vec![naming(one)]).await.unwrap();
    write(f, vec![naming(other), naming(one)]).await.unwrap();
    let mut found: HashMap<_, i64> = HashMap::new();
    for records in verified(f, f.workspace).await.values() {
        let mut last: HashMap<_, i64> = HashMap::new();
        for record in records {
            assert_eq!(record.event.credential.is_some(), record.credential_number.is_some());
            let Some(credential) = record.event.credential else { continue };
            let before = last.insert(credential, record.credential_number.unwrap());
            assert_eq!(record.credential_number, Some(before.unwrap_or(0) + 1));
            *found.entry(credential).or_default() += 1;
        }
    }
    assert_eq!((found[&one], found[&other]), (4, 2));
}

pub(crate) async fn beginnings_are_cut_and_leave_a_stub(f: &Fixture) {
    let workspace = f.workspace;
    write(f, (0..6).map(|_| f.event()).collect()).await.unwrap();
    let chains = verified(f, workspace).await;
    let (stream, records) = chains.into_iter().find(|(_, all)| all.len() == 6).unwrap();
    let stub = |number: i64, count: i64| {
        let record = &records[number as usize - 1];
        let (mac, links) = (record.mac, vec![[number as u8; 32]]);
        tagged(AuditStub { workspace, stream, number, mac, count, links, cut_at: at(9) })
    };
    let cut = async |new: Tagged<AuditStub>, before: Option<Tagged<AuditStub>>| {
        f.write(move |tx| tx.cut_audit(&new, before.as_ref())).await
    };
    assert_eq!(cut(stub(2, 2), None).await, Ok(2));
    // Somebody else has cut in between.
    assert_eq!(conflict(cut(stub(3, 3), None).await), "stub");
    assert_eq!(conflict(cut(stub(3, 3), Some(stub(1, 1))).await), "stub");
    assert_eq!(cut(stub(4, 4), Some(stub(2, 2))).await, Ok(2));
    let read = move |r: &mut keyward_store::Reader<'_>| {
        let left = r.audit_records(workspace, stream, 0, 9)?;
        let numbers: Vec<i64> = left.iter().map(|record| record.number).collect();
        Ok((numbers, r.audit_stub(workspace, stream)?, r.audit_stubs(workspace)?))
    };
    let (numbers, found, all) = f.store.read(read).await.unwrap();
    assert!(numbers.starts_with(&[5, 6]), "{numbers:?}");
    let expected = stub(4, 4);
    assert_eq!(found.as_ref().map(Tagged::parts), Some(expected.parts()));
    assert_eq!(all.iter().map(Tagged::parts).collect::<Vec<_>>(), [expected.parts()]);

    let beside = Store::open(&f.target).unwrap();
    beside.arm(Arc::new(|ws, previous, number, event| Some(toy_mac(ws, previous, number, event))));
    let event = f.event();
    beside.write(move |_| Ok(Audited::new((), vec![event.clone()]))).await.unwrap();
    beside.close().await;
    let openings = f.store.read(move |r| r.audit_openings(workspace)).await.unwrap();
    assert!(openings.iter().any(|(_, after)| after.len() == 32), "{openings:?}");
    assert!(openings.iter().all(|(opened, _)| *opened != stream), "its beginning is cut");
}

pub(crate) async fn sinks_have_a_cursor_and_one_feeder(f: &Fixture) {
    let workspace = f.workspace;
    write(f, vec![f.event(), f.event()]).await.unwrap();
    let ends = f.store.read(move |r| r.audit_ends(workspace)).await.unwrap();
    assert_eq!(ends.iter().map(|end| end.number).collect::<Vec<_>>(), [2]);
    let cursor = |number| {
        let (sink, stream) = ("one".to_owned(), ends[0].stream);
        tagged(AuditCursor { workspace, sink, stream, number })
    };
    for number in [1, 2] {
        let row = cursor(number);
        f.store.record(move |tx| tx.put_audit_cursor(&row)).await.unwrap();
        let found = f.store.read(move |r| r.audit_cursors(workspace, "one")).await.unwrap();
        assert_eq!(found.iter().map(Tagged::parts).collect::<Vec<_>>(), [cursor(number).parts()]);
    }
    let other = f.store.read(move |r| r.audit_cursors(workspace, "other")).await.unwrap();
    assert!(other.is_empty());

    let (node, second): (NodeId, NodeId) = (id(), id());
    let hold = async |node, now, until| {
        let hold = move |tx: &mut keyward_store::RunTx<'_>| {
            tx.hold_audit_sink("one", node, at(now), at(until))
        };
        f.store.record(hold).await.unwrap()
    };
    let failing = async || f.store.read(|r| r.audit_sink_failing("one")).await.unwrap();
    let say = async |node, since: Option<i64>| {
        let say = move |tx: &mut keyward_store::RunTx<'_>| {
            tx.set_audit_sink_failing("one", node, since.map(at))
        };
        f.store.record(say).await.unwrap();
    };
    assert_eq!(failing().await, None);
    assert!(hold(node, 0, 10).await && hold(node, 5, 15).await, "its holder renews it");
    assert!(!hold(second, 15, 25).await, "nobody else has it until then");
    say(node, Some(7)).await;
    say(second, None).await;
    assert_eq!(failing().await, Some(at(7)), "only its holder says how the sink does");
    assert!(hold(second, 16, 26).await && !hold(node, 17, 27).await);
    say(second, None).await;
    assert_eq!(failing().await, None);
}

fn tagged<T: keyward_model::tag::Granting>(row: T) -> Tagged<T> {
    Tagged::sign(row, |bytes| {
        let mut tag = [0; 32];
        bytes.iter().enumerate().for_each(|(at, byte)| tag[at % 32] ^= byte);
        tag
    })
}
