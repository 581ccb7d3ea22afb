//! A hundred thousand altered, moved and swapped rows, of two workspaces: none opens, none counts.

use super::*;
use crate::ring::{Generation, Ring};
use keyward_model::credential::{CodeAccess, CredentialType, Scope, Status};
use keyward_model::destination::EgressPolicy;
use keyward_model::id::{KeyId, MemberId, WorkflowId, WorkspaceId};
use keyward_model::lifecycle::Lifecycle;
use keyward_model::saved_workflow::Allowlist;
use keyward_model::settings::{Expose, WorkspaceSettings};
use keyward_model::share::{Level, Share, Sharee};
use keyward_model::tag::{Tag, Tagged};
use std::sync::Arc;

const ROUNDS: usize = 100_000;
/// Shown when the test fails; the same edits come with the same seed.
const SEED: u64 = 0x6b77_7461_6d70_6572;

/// Xorshift: enough to spread edits.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// A sealed credential with everything that is kept of it.
#[derive(Clone)]
struct Kept {
    keys: Arc<WorkspaceKeys>,
    head: Credential,
    tag: Tag,
    version: CredentialVersion,
    share: (Share, Tag),
    allowlist: (Allowlist, Tag),
    settings: (WorkspaceSettings, Tag),
}

fn keys(workspace: u8) -> Arc<WorkspaceKeys> {
    let id = KeyId::from_bytes([workspace + 100; 16]);
    let generation = Generation::live((id, 1), true, |_| Key::random().unwrap());
    let ring = Ring::new(vec![Arc::new(generation)]).unwrap();
    Arc::new(WorkspaceKeys::new(WorkspaceId::from_bytes([workspace; 16]), ring))
}

fn member(byte: usize) -> MemberId {
    MemberId::from_bytes([u8::try_from(byte).unwrap(); 16])
}

fn tagged<T: keyward_model::tag::Granting + Clone>(keys: &WorkspaceKeys, row: &T) -> (T, Tag) {
    let signed = keys.sign(row.clone());
    (row.clone(), *signed.parts().1)
}

fn kept(keys: &Arc<WorkspaceKeys>, number: usize) -> Kept {
    let byte = u8::try_from(number + 1).unwrap();
    let mut head = crate::inject::tests::credential(CredentialType::ApiKey, &[]);
    head.workspace = keys.workspace;
    head.id = CredentialId::from_bytes([byte; 16]);
    head.version = i64::from(byte % 3) + 1;
    head.details.secret = vec!["value".into()];
    let workflow = WorkflowId::from_bytes([byte; 16]);
    head.scope = match number % 3 {
        0 => Scope::Workspace,
        1 => Scope::Workflow(workflow),
        _ => Scope::Personal(member(number)),
    };
    let hosts = [format!("host{number}.example.com")];
    head.policy = EgressPolicy::parse(&hosts, &[], &[], &[]).unwrap();
    let values = BTreeMap::from([("value".to_owned(), Incoming::new(format!("value {number}")))]);
    let version = seal_version(keys, &head, &values, Timestamp::default()).unwrap();
    let share = Share {
        workspace: keys.workspace,
        credential: head.id,
        sharee: Sharee::Member(member(number)),
        level: Level::Use,
        by: member(number + 1),
        at: Timestamp::default(),
    };
    let allowlist =
        Allowlist { workspace: keys.workspace, workflow, enabled: true, keys: vec!["A".into()] };
    let mut settings = WorkspaceSettings::new(keys.workspace);
    settings.settings.require_hosts = true;
    settings.settings.expose = Expose::Off;
    let (head, tag) = tagged(keys, &head);
    Kept {
        keys: keys.clone(),
        tag,
        version,
        share: tagged(keys, &share),
        allowlist: tagged(keys, &allowlist),
        settings: tagged(keys, &settings),
        head,
    }
}

impl Kept {
    /// The value, as a release would come by it: the head counts, its version opens.
    fn value(&self) -> Option<String> {
        let head = self.keys.verify(Tagged::stored(self.head.clone(), self.tag)).ok()?;
        self.open(&head)
    }

    /// The value for a head that somebody has managed to have believed.
    fn open(&self, head: &Credential) -> Option<String> {
        let row = &self.version;
        if (row.credential, row.version) != (head.id, head.version) {
            return None;
        }
        let (kid, key) = unwrap(&self.keys, head, (row.version, &row.wrapped_key)).ok()?;
        let aad = field_aad(&self.keys, head.id, row.version, kid, "value");
        let opened = super::open(&key, kid, &aad, row.fields.get("value")?.as_bytes()).ok()?;
        String::from_utf8(opened.to_vec()).ok()
    }

    fn grants(&self) -> [bool; 3] {
        let keys = &self.keys;
        [
            keys.verify(Tagged::stored(self.share.0.clone(), self.share.1)).is_ok(),
            keys.verify(Tagged::stored(self.allowlist.0.clone(), self.allowlist.1)).is_ok(),
            keys.verify(Tagged::stored(self.settings.0.clone(), self.settings.1)).is_ok(),
        ]
    }
}

fn bend(record: &Sealed, random: &mut Random) -> Sealed {
    let mut bytes = record.as_bytes().to_vec();
    match random.below(8) {
        0 => drop(bytes.pop()),
        1 => bytes.push(0),
        _ => {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
        }
    }
    Sealed::from_bytes(bytes)
}

/// One alteration of what opens a value; `other` is another credential's.
fn alter_version(kept: &mut Kept, other: &Kept, random: &mut Random) -> &'static str {
    let version = &mut kept.version;
    let sealed = version.fields.get("value").unwrap().clone();
    match random.below(6) {
        0 => {
            version.fields.insert("value".into(), bend(&sealed, random));
            "ciphertext"
        }
        1 => {
            version.wrapped_key = bend(&version.wrapped_key, random);
            "wrapped key"
        }
        2 => {
            version.fields.clone_from(&other.version.fields);
            "another's ciphertext"
        }
        3 => {
            version.wrapped_key = other.version.wrapped_key.clone();
            "another's wrapped key"
        }
        4 => {
            version.fields.clone_from(&other.version.fields);
            version.wrapped_key = other.version.wrapped_key.clone();
            "another's version whole"
        }
        _ => {
            version.version += 1;
            kept.head.version += 1;
            kept.tag = *kept.keys.sign(kept.head.clone()).parts().1;
            "another version number, even where the head says so"
        }
    }
}

/// One alteration of the head: what it says about who, where and when.
fn alter_head(head: &mut Credential, other: &Credential, random: &mut Random) -> &'static str {
    let wide = || EgressPolicy::parse(&["evil.example.com".into()], &[], &[], &[]).unwrap();
    match random.below(10) {
        0 => {
            head.scope = Scope::Workflow(WorkflowId::from_bytes([250; 16]));
            "scope"
        }
        1 => {
            head.policy = if random.below(2) == 0 { wide() } else { EgressPolicy::default() };
            "policy"
        }
        2 => {
            head.code_access = CodeAccess::Readable;
            "code access"
        }
        3 => {
            head.owner = member(249);
            "owner"
        }
        4 => {
            head.status = Status::Error;
            "status"
        }
        5 => {
            head.expires_at = Some(Timestamp::from_millis(random.below(1 << 40) as i64));
            "expiry"
        }
        6 => {
            head.lifecycle = Lifecycle { newest: 77, ..Lifecycle::default() };
            "lifecycle"
        }
        7 => {
            head.key.push('X');
            "key"
        }
        8 => {
            head.id = other.id;
            "id"
        }
        _ => {
            head.revision += 1;
            "revision"
        }
    }
}

/// One alteration of a row that grants beside the credential; gives its place in `grants`.
fn alter_grant(kept: &mut Kept, other: &Kept, random: &mut Random) -> usize {
    match random.below(7) {
        0 => kept.share.0.level = Level::Manage,
        1 => kept.share.0.sharee = Sharee::All,
        2 => kept.share.0.credential = CredentialId::from_bytes([251; 16]),
        3 => kept.share.1 = other.share.1,
        4 => {
            kept.allowlist.0.enabled = false;
            return 1;
        }
        5 => {
            kept.allowlist.0.keys.push("B".into());
            return 1;
        }
        _ => {
            kept.settings.0.settings.expose = Expose::On;
            return 2;
        }
    }
    0
}

#[test]
fn a_hundred_thousand_tampered_rows_are_not_accepted() {
    let workspaces = [keys(1), keys(2)];
    let all: Vec<_> = workspaces.iter().flat_map(|keys| (0..12).map(|n| kept(keys, n))).collect();
    for kept in &all {
        assert!(kept.value().is_some() && kept.grants() == [true; 3]);
    }
    let mut random = Random(SEED);
    for round in 0..ROUNDS {
        let at = random.below(all.len());
        let (original, mut edited) = (&all[at], all[at].clone());
        // Often the same place in the other workspace, where all ids but the workspace's are equal.
        let other = match random.below(2) {
            0 => &all[(at + 12) % all.len()],
            _ => random.pick(&all),
        };
        match random.below(4) {
            0 => {
                let what = alter_version(&mut edited, other, &mut random);
                let same = edited.version == original.version;
                assert!(same || edited.value().is_none(), "round {round}: {what}");
            }
            1 => {
                let what = alter_head(&mut edited.head, &other.head, &mut random);
                let same = edited.head == original.head;
                assert!(same || edited.value().is_none(), "round {round}: {what}");
            }
            2 => {
                let place = alter_grant(&mut edited, other, &mut random);
                let same = edited.share == original.share && place == 0;
                assert!(same || !edited.grants()[place], "round {round}: grant {place}");
            }
            _ => {
                // Everything of another workspace's credential, put under this workspace's keys.
                edited = Kept { keys: workspaces[random.below(2)].clone(), ..other.clone() };
                let moved = edited.keys.workspace != other.keys.workspace;
                assert_eq!(edited.value().is_none(), moved, "round {round}: moved");
                assert_eq!(edited.grants(), [!moved; 3], "round {round}: moved");
            }
        }
    }
}

#[test]
fn a_head_that_is_believed_opens_only_for_its_scope_and_policy() {
    let kept = kept(&keys(1), 0);
    let check = |change: &dyn Fn(&mut Credential), opens: bool| {
        let mut head = kept.head.clone();
        change(&mut head);
        assert_eq!(kept.open(&head).is_some(), opens);
    };
    check(&|_| (), true);
    check(&|head| head.status = Status::Error, true);
    check(&|head| head.scope = Scope::Personal(member(1)), false);
    check(&|head| head.policy = EgressPolicy::default(), false);
    check(&|head| head.workspace = WorkspaceId::from_bytes([2; 16]), false);
    check(&|head| head.id = CredentialId::from_bytes([99; 16]), false);
}
