//! Chains that somebody has tampered with, from a table.

use super::*;
use keyward_model::actor::Actor;
use keyward_model::audit::{Action, Event};
use keyward_model::clock::Timestamp;
use keyward_model::id::{AuditId, Identifier as _};
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Stands in for HMAC: the checker only compares.
fn mac(workspace: WorkspaceId, previous: &[u8], number: i64, event: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (at, part) in out.chunks_mut(8).enumerate() {
        let mut hasher = DefaultHasher::new();
        (at, workspace, previous, number, event).hash(&mut hasher);
        part.copy_from_slice(&hasher.finish().to_be_bytes());
    }
    out
}

fn workspace(id: u8) -> WorkspaceId {
    WorkspaceId::from_bytes([id; 16])
}

fn stream(id: u8) -> StreamId {
    StreamId::from_bytes([id; 16])
}

/// A sound chain of `count` records.
fn chain(of: u8, id: u8, opened_after: &[u8], count: i64) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    for number in 1..=count {
        let audit = AuditId::from_bytes([id.wrapping_mul(16) + u8::try_from(number).unwrap(); 16]);
        let at = Timestamp::from_millis(number);
        let event = Event::new(audit, workspace(of), at, Actor::system(), Action::RunStarted);
        let previous = records.last().map_or(opened_after.to_vec(), |last| last.mac.to_vec());
        let mac = mac(workspace(of), &previous, number, &event.canonical());
        let opened_after = (number == 1).then_some(previous);
        records.push(Record { event, stream: stream(id), number, opened_after, mac });
    }
    records
}

/// Two chains of one workspace, the second opened after the first's third record.
fn sound() -> Vec<Record> {
    let mut records = chain(1, 1, &[], 4);
    let third = records[2].mac;
    records.extend(chain(1, 2, &third, 3));
    records
}

async fn run(records: &[Record], heads: &[Head]) -> (Counts, Vec<Fault>) {
    let mut checker = Checker::default();
    records.iter().for_each(|record| checker.expect_link(record));
    heads.iter().for_each(|head| checker.expect_head(head));
    for record in records {
        let result: Result<(), Infallible> = checker
            .accept(record, async |of, previous: &[u8], number, event: &[u8]| {
                Ok((of != workspace(9)).then(|| mac(of, previous, number, event)))
            })
            .await;
        result.unwrap();
    }
    checker.finish()
}

fn head(record: &Record) -> Head {
    let Record { stream, number, mac, .. } = *record;
    Head { workspace: record.event.workspace, stream, number, mac }
}

/// Tampers with the sound records; expects the faults as (stream, number, kind).
async fn check(name: &str, tamper: impl FnOnce(&mut Vec<Record>), expected: &[(u8, i64, Kind)]) {
    let sound = sound();
    let heads = [head(&sound[3]), head(&sound[6])];
    let mut records = sound;
    tamper(&mut records);
    let (_, faults) = run(&records, &heads).await;
    let found: Vec<_> = faults.iter().map(|f| (f.stream, f.number, f.kind)).collect();
    let expected: Vec<_> =
        expected.iter().map(|(id, number, kind)| (stream(*id), *number, *kind)).collect();
    assert_eq!(found, expected, "{name}");
}

#[tokio::test]
async fn tampering_is_named_by_its_first_record() {
    use Kind::{Altered, Cut, Missing, Reordered, Unlinked};
    check("nothing", |_| {}, &[]).await;
    check("a field", |all| all[1].event.reason = "x".into(), &[(1, 2, Altered)]).await;
    check(
        "the first one's field",
        |all| all[0].event.at = Timestamp::from_millis(9),
        &[(1, 1, Altered)],
    )
    .await;
    check("the last one's MAC", |all| all[3].mac = [0; 32], &[(1, 4, Altered)]).await;
    check("a record in the middle", |all| drop(all.remove(1)), &[(1, 2, Missing)]).await;
    check("the first record", |all| drop(all.remove(4)), &[(2, 1, Missing)]).await;
    check("the lines of two", |all| all.swap(1, 2), &[(1, 2, Reordered)]).await;
    let numbers = |all: &mut Vec<Record>| {
        all.swap(1, 2);
        (all[1].number, all[2].number) = (2, 3);
    };
    check("the numbers of two", numbers, &[(1, 2, Reordered)]).await;
    check("a record twice", |all| all.insert(2, all[1].clone()), &[(1, 2, Reordered)]).await;
    check("the tail", |all| drop(all.pop()), &[(2, 3, Cut)]).await;
    check("a longer tail", |all| all.truncate(5), &[(2, 2, Cut)]).await;
    check("a whole chain at the end", |all| all.truncate(4), &[(2, 1, Cut)]).await;
    check("both tails", |all| drop((all.remove(3), all.pop())), &[(1, 4, Cut), (2, 3, Cut)]).await;
    let rewired = |all: &mut Vec<Record>| all[4].opened_after = Some(vec![]);
    check("where a chain was opened", rewired, &[(2, 1, Altered)]).await;
    let no_start = |all: &mut Vec<Record>| all[0].opened_after = None;
    check("a first record without its link", no_start, &[(1, 1, Altered)]).await;
    let extra = |all: &mut Vec<Record>| all[1].opened_after = Some(vec![1]);
    check("a link where none belongs", extra, &[(1, 2, Altered)]).await;
    let other = |all: &mut Vec<Record>| all.extend(chain(1, 3, &[7; 32], 2));
    check("a chain after an unknown record", other, &[(3, 1, Unlinked)]).await;
    let again = |all: &mut Vec<Record>| all.extend(chain(1, 3, &[], 2));
    check("a second beginning", again, &[(3, 1, Unlinked)]).await;
    let foreign = |all: &mut Vec<Record>| {
        let mut records = chain(2, 3, &[], 2);
        records.iter_mut().for_each(|record| record.event.workspace = workspace(1));
        all.extend(records);
    };
    check("another workspace's chain", foreign, &[(3, 1, Altered)]).await;
    let unknown = |all: &mut Vec<Record>| all.extend(chain(9, 3, &[], 1));
    check("a workspace without a key", unknown, &[(3, 1, Altered)]).await;
}

#[tokio::test]
async fn the_cut_beginning_of_a_workspace_shows_in_what_follows() {
    let records = sound().split_off(4);
    let (_, faults) = run(&records, &[]).await;
    assert_eq!(faults.len(), 1);
    assert_eq!((faults[0].stream, faults[0].kind), (stream(2), Kind::Unlinked));
}

#[tokio::test]
async fn what_was_checked_is_counted() {
    let mut records = sound();
    records.extend(chain(2, 3, &[], 1));
    let (counts, faults) = run(&records, &[]).await;
    assert_eq!((counts, faults.len()), (Counts { workspaces: 2, streams: 3, records: 8 }, 0));
    assert_eq!(run(&[], &[]).await, (Counts::default(), vec![]));
}

#[test]
fn a_record_that_cannot_be_read_is_altered() {
    let mut checker = Checker::default();
    checker.unreadable(workspace(1), stream(1));
    let (_, faults) = checker.finish();
    let text = faults[0].to_string();
    assert_eq!((faults[0].number, faults[0].kind), (1, Kind::Altered));
    assert!(text.contains(&stream(1).to_string()) && text.contains("record 1"), "{text}");
}
