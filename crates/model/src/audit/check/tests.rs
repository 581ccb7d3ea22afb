//! Chains that somebody has tampered with, from a table.

use super::*;
use crate::actor::Actor;
use crate::audit::{Action, Event};
use crate::id::Identifier as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::LazyLock;

static CREDENTIAL: LazyLock<CredentialId> = LazyLock::new(|| CredentialId::from_bytes([8; 16]));

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
        let mut event = Event::new(audit, workspace(of), at, Actor::system(), Action::RunStarted);
        event.credential = Some(*CREDENTIAL);
        let previous = records.last().map_or(opened_after.to_vec(), |last| last.mac.to_vec());
        let mac = mac(workspace(of), &previous, number, &event.canonical(Some(number)));
        let opened_after = (number == 1).then_some(previous);
        let (stream, credential_number) = (stream(id), Some(number));
        records.push(Record { event, stream, number, credential_number, opened_after, mac });
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

fn run(records: &[Record], heads: &[Head], stubs: &[AuditStub]) -> (Counts, Vec<Fault>, Watched) {
    let mut checker = Checker::watching(*CREDENTIAL);
    stubs.iter().for_each(|stub| checker.expect_stub(stub));
    records.iter().for_each(|record| checker.expect_link(record));
    heads.iter().for_each(|head| checker.expect_head(head));
    for record in records {
        checker.accept(record, |record, previous, number| {
            let of = record.event.workspace;
            let expected = mac(of, previous, number, &record.canonical());
            of != workspace(9) && expected == record.mac
        });
    }
    let (counts, faults, watched) = checker.finish();
    (counts, faults, watched.unwrap())
}

fn head(record: &Record) -> Head {
    let Record { stream, number, mac, .. } = *record;
    Head { workspace: record.event.workspace, stream, number, mac }
}

/// Tampers with the sound records; expects the faults as (stream, number, kind).
fn check(name: &str, tamper: impl FnOnce(&mut Vec<Record>), expected: &[(u8, i64, Kind)]) {
    let sound = sound();
    let heads = [head(&sound[3]), head(&sound[6])];
    let mut records = sound;
    tamper(&mut records);
    let (_, faults, _) = run(&records, &heads, &[]);
    let found: Vec<_> = faults.iter().map(|f| (f.stream, f.number, f.kind)).collect();
    let expected: Vec<_> =
        expected.iter().map(|(id, number, kind)| (stream(*id), *number, *kind)).collect();
    assert_eq!(found, expected, "{name}");
}

#[test]
fn tampering_is_named_by_its_first_record() {
    use Kind::{Altered, Cut, Missing, Reordered, Unlinked};
    check("nothing", |_| {}, &[]);
    check("a field", |all| all[1].event.reason = "x".into(), &[(1, 2, Altered)]);
    check(
        "the first one's field",
        |all| all[0].event.at = Timestamp::from_millis(9),
        &[(1, 1, Altered)],
    );
    check("the last one's MAC", |all| all[3].mac = [0; 32], &[(1, 4, Altered)]);
    check("a record in the middle", |all| drop(all.remove(1)), &[(1, 2, Missing)]);
    check("the first record", |all| drop(all.remove(4)), &[(2, 1, Missing)]);
    check("the lines of two", |all| all.swap(1, 2), &[(1, 2, Reordered)]);
    let numbers = |all: &mut Vec<Record>| {
        all.swap(1, 2);
        (all[1].number, all[2].number) = (2, 3);
    };
    check("the numbers of two", numbers, &[(1, 2, Reordered)]);
    check("a record twice", |all| all.insert(2, all[1].clone()), &[(1, 2, Reordered)]);
    check("the tail", |all| drop(all.pop()), &[(2, 3, Cut)]);
    check("a longer tail", |all| all.truncate(5), &[(2, 2, Cut)]);
    check("a whole chain at the end", |all| all.truncate(4), &[(2, 1, Cut)]);
    check("both tails", |all| drop((all.remove(3), all.pop())), &[(1, 4, Cut), (2, 3, Cut)]);
    let rewired = |all: &mut Vec<Record>| all[4].opened_after = Some(vec![]);
    check("where a chain was opened", rewired, &[(2, 1, Altered)]);
    let no_start = |all: &mut Vec<Record>| all[0].opened_after = None;
    check("a first record without its link", no_start, &[(1, 1, Altered)]);
    let extra = |all: &mut Vec<Record>| all[1].opened_after = Some(vec![1]);
    check("a link where none belongs", extra, &[(1, 2, Altered)]);
    let other = |all: &mut Vec<Record>| all.extend(chain(1, 3, &[7; 32], 2));
    check("a chain after an unknown record", other, &[(3, 1, Unlinked)]);
    let again = |all: &mut Vec<Record>| all.extend(chain(1, 3, &[], 2));
    check("a second beginning", again, &[(3, 1, Unlinked)]);
    let foreign = |all: &mut Vec<Record>| {
        let mut records = chain(2, 3, &[], 2);
        records.iter_mut().for_each(|record| record.event.workspace = workspace(1));
        all.extend(records);
    };
    check("another workspace's chain", foreign, &[(3, 1, Altered)]);
    let unknown = |all: &mut Vec<Record>| all.extend(chain(9, 3, &[], 1));
    check("a workspace without a key", unknown, &[(3, 1, Altered)]);
}

#[test]
fn the_cut_beginning_of_a_workspace_shows_in_what_follows() {
    let records = sound().split_off(4);
    let (_, faults, _) = run(&records, &[], &[]);
    assert_eq!(faults.len(), 1);
    assert_eq!((faults[0].stream, faults[0].kind), (stream(2), Kind::Unlinked));
}

#[test]
fn what_was_checked_is_counted() {
    let mut records = sound();
    records.extend(chain(2, 3, &[], 1));
    let (counts, faults, _) = run(&records, &[], &[]);
    assert_eq!((counts, faults.len()), (Counts { workspaces: 2, streams: 3, records: 8 }, 0));
    let (counts, faults, _) = run(&[], &[], &[]);
    assert_eq!((counts, faults.len()), (Counts::default(), 0));
}

#[test]
fn a_record_that_cannot_be_read_is_altered() {
    let mut checker = Checker::default();
    checker.unreadable(workspace(1), stream(1));
    let (_, faults, _) = checker.finish();
    let text = faults[0].to_string();
    assert_eq!((faults[0].number, faults[0].kind), (1, Kind::Altered));
    assert!(text.contains(&stream(1).to_string()) && text.contains("record 1"), "{text}");
}

/// The sound records without the first chain's first `count`, and the stub that retention leaves.
fn cut(count: usize) -> (Vec<Record>, AuditStub) {
    let mut records = sound();
    let last = records[count - 1].clone();
    let second = records[2].mac;
    let links = if count >= 3 { vec![second] } else { vec![] };
    let (number, mac) = (last.number, last.mac);
    let cut_at = Timestamp::from_millis(99);
    let (workspace, stream) = (workspace(1), stream(1));
    records.drain(..count);
    (records, AuditStub { workspace, stream, number, mac, count: number, links, cut_at })
}

#[test]
fn verification_goes_on_from_a_stub() {
    for count in 1..=4 {
        let heads = [head(&sound()[3]), head(&sound()[6])];
        let check = |name: &str, records: &[Record], stubs: &[AuditStub], expected| {
            let (_, faults, _) = run(records, &heads, stubs);
            let found: Vec<_> = faults.iter().map(|f| (f.stream, f.number, f.kind)).collect();
            assert_eq!(found, expected, "{name} with {count} cut");
        };
        let (records, stub) = cut(count);
        check("nothing else", &records, std::slice::from_ref(&stub), vec![]);
        let number = i64::try_from(count).unwrap();
        let mut later = records.clone();
        if count == 1 {
            later.remove(0);
            let missing = vec![(stream(1), number + 1, Kind::Missing)];
            check("one more record gone", &later, std::slice::from_ref(&stub), missing);
        }
        let (faults, without) = (run(&records, &heads, &[]).1, "without its stub");
        assert!(faults.iter().any(|fault| fault.number == 1), "{without}: {faults:?}");
        let mut other = stub.clone();
        other.mac = [1; 32];
        if count < 4 {
            let altered = (stream(1), number + 1, Kind::Altered);
            let (_, faults, _) = run(&records, &heads, &[other]);
            assert!(faults.iter().any(|f| (f.stream, f.number, f.kind) == altered), "{faults:?}");
        }
    }
    let mut checker = Checker::default();
    checker.forged_stub(workspace(1), stream(1), 7);
    let text = checker.finish().1[0].to_string();
    assert!(text.contains("stub") && text.contains("record 7 of"), "{text}");
}

#[test]
fn a_credentials_records_show_their_own_gaps() {
    let check = |name: &str, tamper: &dyn Fn(&mut Vec<Record>), altered: usize, gaps: &[_]| {
        let mut records = chain(1, 1, &[], 4);
        tamper(&mut records);
        let (_, _, watched) = run(&records, &[], &[]);
        assert_eq!(watched.altered.len(), altered, "{name}");
        assert_eq!(watched.gaps, gaps, "{name}");
    };
    check("nothing", &|_| {}, 0, &[]);
    check("an altered one", &|all| all[3].event.reason = "x".into(), 1, &[]);
    check("a missing one", &|all| drop(all.remove(1)), 2, &[(stream(1), 2, 2)]);
    check("the first ones", &|all| drop(all.drain(..2)), 2, &[(stream(1), 1, 2)]);
    let hidden = |all: &mut Vec<Record>| all[1].event.credential = None;
    check("one put down to nobody", &hidden, 2, &[(stream(1), 2, 2)]);
    let (records, stub) = cut(2);
    let (_, _, watched) = run(&records, &[], &[stub]);
    assert_eq!((watched.gaps.len(), watched.records), (0, 5), "cut by retention");
}

#[test]
fn a_fault_says_which_record_it_means() {
    let mut records = sound();
    let (id, at) = (records[1].event.id, records[1].event.at);
    records[1].event.reason = "x".into();
    let text = run(&records, &[], &[]).1[0].to_string();
    assert!(text.contains("record 2 of") && text.contains(&format!("{id} of {at}")), "{text}");
    let mut records = sound();
    let (id, at) = (records[1].event.id, records[1].event.at);
    records.remove(2);
    let text = run(&records, &[], &[]).1[0].to_string();
    assert!(
        text.contains("record 3 of") && text.contains(&format!("before it is {id} of {at}")),
        "{text}"
    );
}
