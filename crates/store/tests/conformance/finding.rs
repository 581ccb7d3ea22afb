//! Finding credentials: every filter, alone and together, against a slow one that is plainly right.

use crate::fixture::{Fixture, at, id, sign};
use keyward_model::audit::{Action, Event, Outcome};
use keyward_model::clock::Timestamp;
use keyward_model::credential::{Credential, CredentialType, Scope, Status};
use keyward_model::id::{
    AuditId, CredentialId, Identifier as _, MemberId, WorkflowId, WorkspaceId,
};
use keyward_model::lifecycle::Done;
use keyward_model::share::{Level, Share, Sharee};
use keyward_store::{Audited, CredentialFilter, Listed, Naming, Page, Tx, Use, Visible};
use std::collections::BTreeMap;

const NOW: i64 = 1_000;
const WORDS: &[&str] = &["slack", "100%", "a_b", "Größe", "mail", "prod db"];

/// SplitMix64, so that every run sees the same rows.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 29)) % bound as u64) as usize
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// Nothing four times in five.
    fn rarely<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        (self.below(5) == 0).then(|| self.one(of))
    }
}

/// Everything that decides whether a credential is listed.
struct Row {
    credential: Credential,
    shares: Vec<Sharee>,
    used: Option<i64>,
    rejected: bool,
}

struct Facts {
    rows: Vec<Row>,
    members: Vec<MemberId>,
    workflows: Vec<WorkflowId>,
    named: BTreeMap<WorkflowId, Vec<String>>,
}

fn some_credential(f: &Fixture, random: &mut Random, facts: &Facts, number: usize) -> Credential {
    let mut credential = f.credential(&format!("{}_{number}", random.one(&["A", "B", "a", "Z"])));
    let owner = random.one(&facts.members);
    credential.owner = owner;
    credential.kind =
        random.one(&[CredentialType::ApiKey, CredentialType::Basic, CredentialType::Custom]);
    let workflow = random.one(&facts.workflows);
    let scopes = [Scope::Workspace, Scope::Workflow(workflow), Scope::Personal(owner)];
    credential.scope = random.one(&scopes);
    credential.status = random.one(&Status::ALL);
    credential.version = random.one(&[1, 2]);
    credential.rotated_at = at(random.below(1_000) as i64);
    credential.expires_at = random.rarely(&[at(NOW - 1), at(NOW), at(NOW + 1)]);
    credential.details.name = random.one(WORDS).to_owned();
    credential.details.description = random.one(WORDS).to_owned();
    credential.details.environment = random.one(&["prod", "dev", "Prod", ""]).to_owned();
    credential.details.tags =
        WORDS.iter().filter(|_| random.below(4) == 0).map(|&w| w.into()).collect();
    let deleted = Done { by: owner, at: at(5), reason: String::new() };
    credential.lifecycle.deleted = (random.below(8) == 0).then_some(deleted);
    credential
}

async fn fill(f: &Fixture, random: &mut Random) -> Facts {
    let members: Vec<MemberId> = (0..4).map(|_| id()).collect();
    let workflows: Vec<WorkflowId> = (0..3).map(|_| id()).collect();
    let mut facts = Facts { rows: Vec::new(), members, workflows, named: BTreeMap::new() };
    for number in 0..240 {
        let credential = some_credential(f, random, &facts, number);
        let all: Vec<_> = facts.members.iter().map(|id| Sharee::Member(*id)).collect();
        let mut shares: Vec<_> = all.into_iter().filter(|_| random.below(12) == 0).collect();
        shares.extend((random.below(12) == 0).then_some(Sharee::All));
        let used = (random.below(3) == 0).then(|| random.below(1_000) as i64);
        let rejected = used.is_some() && random.below(2) == 0;
        facts.rows.push(Row { credential, shares, used, rejected });
    }
    for workflow in facts.workflows.clone() {
        let keys = (0..20).map(|_| facts.rows[random.below(240)].credential.key.clone()).collect();
        facts.named.insert(workflow, keys);
    }
    save(f, &facts).await;
    facts
}

async fn save(f: &Fixture, facts: &Facts) {
    let workspace = f.workspace;
    for row in &facts.rows {
        // It is made as another one, so that the filters must follow its change.
        let after = row.credential.clone();
        let mut before = f.credential(&format!("{}_BEFORE", after.key));
        before.id = after.id;
        let changed = sign(Credential { revision: 2, ..after.clone() });
        let (made, of) = (sign(before), after.id);
        let shares: Vec<_> = row.shares.iter().map(|sharee| sign(share(&after, *sharee))).collect();
        f.write(move |tx| {
            tx.insert_credential(&made)?;
            tx.update_credential(&changed, 1)?;
            shares.iter().try_for_each(|share| tx.put_share(share))
        })
        .await
        .unwrap();
        let Some(used) = row.used else { continue };
        // An earlier use that came in late counts no more; nor does a rejected earlier version.
        let one = |at, version, rejected| Use {
            workspace,
            credential: of,
            version,
            workflow: id(),
            at: Timestamp::from_millis(at),
            failed: rejected,
            rejected,
            is_new: !rejected,
        };
        let uses = [one(used, after.version, row.rejected), one(used - 1, after.version - 1, true)];
        for used in uses {
            f.store.record(move |tx| tx.count_use(&used)).await.unwrap();
        }
    }
    for (workflow, keys) in facts.named.clone() {
        let keys: Vec<_> = keys.into_iter().map(|key| (key, "step".to_owned())).collect();
        f.write(move |tx| tx.set_workflow_keys(workspace, workflow, &keys)).await.unwrap();
    }
}

fn share(credential: &Credential, sharee: Sharee) -> Share {
    let (workspace, credential, by) = (credential.workspace, credential.id, credential.owner);
    Share { workspace, credential, sharee, level: Level::Use, by, at: at(1) }
}

/// What a list has to show: the rule, word for word, over one row.
fn fits(filter: &CredentialFilter, facts: &Facts, row: &Row) -> bool {
    let c = &row.credential;
    let lower = |text: &str| text.to_lowercase();
    let found = |q: &String| {
        let d = &c.details;
        [&c.key, &d.name, &d.description].iter().any(|text| lower(text).contains(&lower(q)))
    };
    let status = match c.status_at(filter.now) {
        Status::Active if row.rejected => Status::Error,
        status => status,
    };
    let seen = |visible: Visible| {
        let personal = c.scope.kind() == "personal";
        let given = row.shares.iter().any(|sharee| sharee.includes(visible.member));
        match personal {
            _ if given => true,
            true => visible.personal || c.owner == visible.member,
            false => visible.common,
        }
    };
    let resolved = |workflow: WorkflowId| match c.scope {
        Scope::Workflow(id) => id == workflow,
        _ => facts.named[&workflow].contains(&c.key),
    };
    filter.deleted == c.lifecycle.deleted.is_some()
        && filter.q.as_ref().is_none_or(found)
        && filter.kind.is_none_or(|kind| kind == c.kind)
        && filter.status.is_none_or(|wanted| wanted == status)
        && filter.scope.is_none_or(|kind| kind == c.scope.kind())
        && (!filter.shared || !row.shares.is_empty())
        && filter.visible_to.is_none_or(seen)
        && filter.workflow.is_none_or(resolved)
        && filter.environment.as_ref().is_none_or(|wanted| *wanted == c.details.environment)
        && filter
            .tag
            .as_ref()
            .is_none_or(|tag| c.details.tags.iter().any(|known| lower(known) == lower(tag)))
        && filter.owner.is_none_or(|owner| owner == c.owner)
        && filter.unused_since.is_none_or(|since| row.used.is_none_or(|used| at(used) < since))
        && filter.not_rotated_since.is_none_or(|since| c.rotated_at < since)
}

fn some_filter(random: &mut Random, facts: &Facts) -> CredentialFilter {
    let texts = ["SLACK", "0%", "_", "größe", "b_1", "prod db", "x\ny", ""].map(str::to_owned);
    let visible = [(true, false), (false, true), (false, false), (true, true)];
    let (common, personal) = random.one(&visible);
    let member = random.one(&facts.members);
    CredentialFilter {
        q: random.rarely(&texts),
        kind: random.rarely(&[CredentialType::ApiKey, CredentialType::Basic]),
        status: random.rarely(&Status::ALL),
        now: at(NOW),
        scope: random.rarely(&["workspace", "workflow", "personal"]),
        shared: random.below(5) == 0,
        visible_to: random.rarely(&[Visible { member, common, personal }]),
        deleted: random.below(6) == 0,
        workflow: random.rarely(&facts.workflows),
        environment: random.rarely(&["prod", "Prod", "none"].map(str::to_owned)),
        tag: random.rarely(&["SLACK", "100%", "größe", "prod", "mail"].map(str::to_owned)),
        owner: random.rarely(&facts.members),
        unused_since: random.rarely(&[at(300), at(600), at(2_000)]),
        not_rotated_since: random.rarely(&[at(300), at(600)]),
    }
}

/// Every page of a list, one after the other.
async fn listed(f: &Fixture, filter: &CredentialFilter, limit: u32) -> Vec<(String, CredentialId)> {
    let (mut found, mut page) = (Vec::new(), Page::first(limit));
    loop {
        let (workspace, filter, wanted) = (f.workspace, filter.clone(), page.clone());
        let list = f.store.read(move |r| r.credentials(workspace, &filter, &wanted)).await.unwrap();
        assert!(list.items.len() <= limit as usize);
        found.extend(list.items.into_iter().map(|listed| match listed {
            Listed::Row(row) => (row.parts().0.key.clone(), row.parts().0.id),
            Listed::Unreadable { key, .. } => panic!("{key} cannot be read"),
        }));
        match list.next {
            Some(next) => page.after = Some(next),
            None => return found,
        }
    }
}

pub(crate) async fn every_filter_finds_what_the_slow_one_finds(f: &Fixture) {
    let mut random = Random(7);
    let facts = fill(f, &mut random).await;
    // The same rows in another workspace are never found.
    let elsewhere: WorkspaceId = id();
    for row in facts.rows.iter().take(20) {
        let noise = Credential { workspace: elsewhere, ..row.credential.clone() };
        let noise = sign(noise);
        f.write(move |tx| tx.insert_credential(&noise)).await.unwrap();
    }
    let (mut found_some, mut found_none) = (0, 0);
    for number in 0..300 {
        let filter = some_filter(&mut random, &facts);
        let mut expected: Vec<_> = facts
            .rows
            .iter()
            .filter(|row| fits(&filter, &facts, row))
            .map(|row| (row.credential.key.clone(), row.credential.id))
            .collect();
        expected.sort();
        let limit = random.one(&[1, 7, 50, 200]);
        assert_eq!(listed(f, &filter, limit).await, expected, "filter {number}: {filter:?}");
        *(if expected.is_empty() { &mut found_none } else { &mut found_some }) += 1;
    }
    assert!(found_some > 60 && found_none > 30, "{found_some} {found_none}");
}

pub(crate) async fn a_deleted_credential_is_not_found_any_more(f: &Fixture) {
    let credential = f.credential("K");
    let (workspace, gone, row) = (f.workspace, credential.id, sign(credential));
    f.write(move |tx| tx.insert_credential(&row)).await.unwrap();
    let all = CredentialFilter::default();
    assert_eq!(listed(f, &all, 5).await.len(), 1);
    f.write(move |tx| tx.delete_credential(workspace, gone)).await.unwrap();
    assert_eq!(listed(f, &all, 5).await, []);
    let again = sign(f.credential("K"));
    f.write(move |tx| tx.insert_credential(&again)).await.unwrap();
    assert_eq!(listed(f, &all, 5).await.len(), 1);
}

pub(crate) async fn the_review_sees_where_values_went_and_for_whom(f: &Fixture) {
    let workspace = f.workspace;
    let (used, other): (CredentialId, CredentialId) = (id(), id());
    let released = |credential: CredentialId, to: &str, outcome: Outcome, at: i64| {
        let mut event = f.event();
        // The time of an event is in its id, as the vault makes them.
        event.id = AuditId::from_bytes(stamped(at));
        (event.at, event.action) = (Timestamp::from_millis(at), Action::CredentialUsed);
        (event.credential, event.outcome) = (Some(credential), outcome);
        event.destination = Some(to.into());
        event
    };
    const HOUR: i64 = 3_600_000;
    let events: Vec<Event> = vec![
        released(used, "https://old.org", Outcome::Allowed, HOUR),
        released(used, "https://b.org", Outcome::Allowed, 9 * HOUR),
        released(used, "https://a.org", Outcome::Allowed, 9 * HOUR + 1),
        released(used, "https://a.org", Outcome::Allowed, 9 * HOUR + 2),
        released(used, "https://refused.org", Outcome::Refused, 9 * HOUR + 3),
        released(other, "https://other.org", Outcome::Allowed, 9 * HOUR + 4),
    ];
    for event in events {
        let write = move |_: &mut Tx<'_>| Ok(Audited::new((), vec![event.clone()]));
        f.store.write(write).await.unwrap();
    }
    let since =
        |at: i64| f.store.read(move |r| r.origins(workspace, used, Timestamp::from_millis(at)));
    assert_eq!(since(8 * HOUR).await.unwrap(), ["https://a.org", "https://b.org"]);
    assert_eq!(since(0).await.unwrap(), ["https://a.org", "https://b.org", "https://old.org"]);
    let nowhere = f.store.read(move |r| r.origins(workspace, id(), at(0))).await.unwrap();
    assert!(nowhere.is_empty());

    let (one, two) = (f.workflow("One"), f.workflow("Two"));
    for workflow in [sign(one.clone()), sign(two.clone())] {
        f.write(move |tx| tx.insert_workflow(&workflow)).await.unwrap();
    }
    for (workflow, time) in [(one.id, 5), (one.id, 9), (two.id, 7), (id(), 8)] {
        let at = Timestamp::from_millis(time);
        let (failed, rejected) = (false, false);
        let one = Use {
            workspace,
            credential: used,
            version: 1,
            workflow,
            at,
            failed,
            rejected,
            is_new: false,
        };
        f.store.record(move |tx| tx.count_use(&one)).await.unwrap();
    }
    let found = f.store.read(move |r| r.used_for(workspace, &[used, other])).await.unwrap();
    let mut expected = [(one.owner, 9), (two.owner, 7)];
    expected.sort();
    let found: Vec<_> =
        found.into_iter().map(|found| (found.member, found.last_used_at.millis())).collect();
    assert_eq!(found, expected);

    let keys = vec![("K".to_owned(), "a".to_owned()), ("K".to_owned(), "b".to_owned())];
    f.write(move |tx| tx.set_workflow_keys(workspace, one.id, &keys)).await.unwrap();
    let found = f.store.read(move |r| r.naming(workspace, &["K", "L"])).await.unwrap();
    let naming = Naming { key: "K".into(), workflow: one.id, name: "One".into(), owner: one.owner };
    assert_eq!(found, [naming]);
}

/// An id of that millisecond, each another one.
fn stamped(millis: i64) -> [u8; 16] {
    let any: AuditId = id();
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    bytes[6..14].copy_from_slice(&any.as_bytes()[..8]);
    bytes
}
