//! What opens under which generation, at every point of a replacement; and that nothing but the
//! right rows is believed.

use super::*;
use crate::bytes::Key;
use crate::credentials::ReplyOwner;
use crate::keyring::SERVER_KEY;
use crate::keys::RootKeys;
use crate::ring::{Ring, WorkspaceKeys};
use crate::root::RootKey;
use crate::seal::{self, Text};
use crate::token::TokenKind;
use keyward_egress::{Client, Options};
use keyward_model::clock::{Clock, Timestamp};
use keyward_model::credential::{Credential, CredentialType, Sealed};
use keyward_model::id::{Identifier as _, RunId};
use keyward_model::settings::WorkspaceSettings;
use keyward_model::tag::Tagged;
use keyward_model::tenant::Workspace;
use keyward_store::{ROOT_FINGERPRINT, Store, Target};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const RETIRED_AT: i64 = 1_000_000;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn root() -> RootKeys {
    RootKeys::new(&RootKey(Key::new([7; 32])), [1; 16])
}

fn workspace() -> WorkspaceId {
    WorkspaceId::from_bytes([2; 16])
}

fn ring(root: &RootKeys, rows: &[&WorkspaceKey]) -> Ring {
    Ring::new(rows.iter().map(|row| Arc::new(root.open(row).unwrap())).collect()).unwrap()
}

/// The rows of a workspace's keys: before, with a prepared generation, with it active, and with the
/// first one destroyed.
fn stages(root: &RootKeys) -> [Vec<WorkspaceKey>; 4] {
    let new = |number, state| root.new_generation((workspace(), number), state, at(1)).unwrap();
    let (first, prepared) = (new(1, KeyState::Active), new(2, KeyState::Prepared));
    let active = root.restate(&prepared, KeyState::Active).unwrap();
    let generation = root.open(&first).unwrap();
    let retired = root.retire(&first, &generation, at(RETIRED_AT)).unwrap();
    [
        vec![first.clone()],
        vec![first.clone(), prepared],
        vec![first, active.clone()],
        vec![retired, active],
    ]
}

/// What was made at one stage, to be looked at in another.
struct Made {
    head: Credential,
    wrapped: Sealed,
    text: Sealed,
    row: Tagged<WorkspaceSettings>,
    audit: [u8; 32],
    digest: [u8; 32],
    run: [u8; 32],
    name: [u8; 32],
}

impl Made {
    fn under(keys: &WorkspaceKeys) -> Self {
        let mut head = crate::inject::tests::credential(CredentialType::ApiKey, &[]);
        head.workspace = workspace();
        let version = seal::seal_version(keys, &head, &BTreeMap::new(), at(1)).unwrap();
        Self {
            wrapped: version.wrapped_key,
            head,
            text: seal::seal_text(keys, Text::Reply, b"owner", b"text").unwrap(),
            row: keys.sign(WorkspaceSettings::new(workspace())),
            audit: keys.audit_mac(b"", 1, b"event"),
            digest: keys.request_digests(&[b"request"])[0],
            run: *keys.run_sealing(RunId::from_bytes([3; 16])).bytes(),
            name: keys.request_name(&[b"once"]),
        }
    }

    /// Whether each kind of record opens, and each kind of row is believed.
    fn opens(&self, keys: &WorkspaceKeys) -> [(&'static str, bool); 4] {
        let (head, version) = (&self.head, self.head.version);
        let wrapped = seal::rewrap_key(keys, (head, head), (version, &self.wrapped));
        [
            ("version key", wrapped.is_ok()),
            ("text", seal::open_text(keys, Text::Reply, b"owner", &self.text).is_ok()),
            ("kid", keys.opens(self.text.as_bytes())),
            ("tag", keys.verify(self.row.clone()).is_ok()),
        ]
    }

    fn is_audited(&self, keys: &WorkspaceKeys, time: Option<Timestamp>) -> bool {
        keys.audit_mac_like(&self.audit, time, (b"", 1, b"event")) == self.audit
    }
}

#[test]
fn each_generation_opens_from_its_preparation_to_its_destruction() {
    let root = root();
    let keys = stages(&root)
        .map(|rows| WorkspaceKeys::new(workspace(), ring(&root, &rows.iter().collect::<Vec<_>>())));
    // Made at a stage, whether it opens at each of them.
    let table = [
        (0, [true, true, true, false]),
        (1, [true, true, true, false]),
        (2, [false, true, true, true]),
        (3, [false, true, true, true]),
    ];
    for (made_at, expected) in table {
        let made = Made::under(&keys[made_at]);
        for (stage, expected) in expected.into_iter().enumerate() {
            for (what, opens) in made.opens(&keys[stage]) {
                assert_eq!(opens, expected, "{what} made at {made_at}, looked at in {stage}");
            }
            let known = made_at < 2 || stage > 0;
            let now = keys[stage].run_sealing(RunId::from_bytes([3; 16]));
            assert_eq!(*now.bytes(), made.run, "a run's names stay: {made_at}, {stage}");
            assert_eq!(keys[stage].request_name(&[b"once"]), made.name);
            let digests = keys[stage].request_digests(&[b"request"]);
            assert_eq!(digests.contains(&made.digest), known, "{made_at}, {stage}");
            for time in [None, Some(at(RETIRED_AT))] {
                assert_eq!(made.is_audited(&keys[stage], time), known, "{made_at}, {stage}");
            }
            // With a destroyed generation's key nobody makes up records of today.
            let late = made.is_audited(&keys[stage], Some(at(RETIRED_AT + 3_600_000)));
            assert_eq!(late, known && !(made_at < 2 && stage == 3), "{made_at}, {stage}");
        }
    }
}

#[test]
fn a_generation_is_bound_to_its_number_and_state() {
    let root = root();
    let [_, prepared, active, destroyed] = stages(&root);
    type Alter = fn(&mut WorkspaceKey);
    let alterations: [Alter; 6] = [
        |row| row.generation += 1,
        |row| row.generation -= 1,
        |row| row.state = KeyState::Active,
        |row| row.state = KeyState::Prepared,
        |row| row.state = KeyState::Retired,
        |row| row.workspace = WorkspaceId::from_bytes([9; 16]),
    ];
    for row in [&prepared[1], &active[0], &active[1], &destroyed[0]] {
        assert!(root.open(row).is_ok());
        for (number, alter) in alterations.iter().enumerate() {
            let mut altered = row.clone();
            alter(&mut altered);
            let opened = root.open(&altered).is_ok();
            assert_eq!(opened, altered == *row, "{number} on {} {:?}", row.generation, row.state);
        }
    }
    let other = RootKeys::new(&RootKey(Key::new([8; 32])), [1; 16]);
    let wrapped = root.rewrap(&active[1], &other).unwrap();
    assert!(other.open(&wrapped).is_ok() && root.open(&wrapped).is_err());
    assert_eq!(wrapped.root, other.fingerprint());
}

#[test]
fn loaded_keys_never_go_back() {
    let root = root();
    let all = stages(&root);
    let ring_at = |stage: usize| ring(&root, &all[stage].iter().collect::<Vec<_>>());
    for from in 0..all.len() {
        for to in 0..all.len() {
            let keys = WorkspaceKeys::new(workspace(), ring_at(from));
            let followed = keys.follow(ring_at(to)).is_ok();
            // A prepared generation may be taken back before it was ever used.
            let forward = to >= from || (from, to) == (1, 0);
            assert_eq!(followed, forward, "{from} to {to}");
        }
    }
}

/// A vault of its own over the database in that folder.
async fn vault(home: &Path) -> Vault {
    let store = Store::open(&Target::Sqlite(home.join("db/keyward.db"))).unwrap();
    let egress = Client::new(Options::default()).unwrap();
    let clock = Clock::new(|| at(1_800_000_000_000));
    let key = home.join("keys/root.key");
    Vault::unlock(store, egress, clock, &key, &home.join("db")).await.unwrap()
}

async fn make_workspace(vault: &Vault, slug: &str) -> WorkspaceId {
    let id = vault.fresh();
    let key = vault.new_workspace(id).unwrap();
    write_workspace(vault, key, slug).await;
    id
}

async fn write_workspace(vault: &Vault, key: WorkspaceKey, slug: &str) {
    let id = key.workspace;
    let row = Workspace { id, slug: slug.into(), name: slug.into(), created_at: vault.now() };
    let settings = vault.sign(id, WorkspaceSettings::new(id)).await.unwrap();
    let (fresh, now) = (vault.fresh(), vault.now());
    let event = Event::new(fresh, id, now, Actor::system(), Action::WorkspaceCreated);
    let write = move |tx: &mut Tx<'_>| {
        tx.insert_workspace(&row)?;
        tx.insert_settings(&settings)?;
        Ok(Audited::new((), vec![event.clone()]))
    };
    vault.write_workspace(key, write).await.unwrap();
}

async fn settings_hold(vault: &Vault, workspace: WorkspaceId) -> bool {
    let row = vault.store().read(move |tx| tx.settings(workspace)).await.unwrap().unwrap();
    vault.verify(workspace, row).await.is_ok()
}

#[tokio::test]
async fn a_new_root_key_leaves_tokens_and_rows_as_they_are() {
    for earlier_release in [false, true] {
        let home = tempfile::tempdir().unwrap();
        if earlier_release {
            // Its databases have no server key.
            std::fs::create_dir(home.path().join("db")).unwrap();
            let root = RootKey::create(&home.path().join("keys/root.key")).unwrap();
            let store = Store::open(&Target::Sqlite(home.path().join("db/keyward.db"))).unwrap();
            let adopt = store.record(move |tx| {
                tx.init_meta("instance", &[5; 16])?;
                tx.init_meta(ROOT_FINGERPRINT, root.fingerprint().as_bytes())
            });
            adopt.await.unwrap();
            store.close().await;
        }
        let server = vault(home.path()).await;
        let sealed = async || server.store().read(|tx| tx.meta(SERVER_KEY)).await.unwrap();
        assert_eq!(sealed().await.is_none(), earlier_release);
        let first = make_workspace(&server, "first").await;
        let hash = server.token_hash(TokenKind::Api, "kwa_x");
        let row = server.sign_server(WorkspaceSettings::new(first));
        let pepper = server.pepper();
        let begun = server.fresh();
        let unwritten = server.new_workspace(begun).unwrap();

        let command = vault(home.path()).await;
        let rotated = command.rotate_root(None, &Actor::system()).await.unwrap();
        assert_eq!(rotated.after, command.fingerprint());
        assert_ne!(rotated.before, rotated.after);
        assert_eq!(rotated.keys, 1);
        assert!(sealed().await.is_some());

        // A workspace that was begun under the old root key is written under the new one.
        write_workspace(&server, unwritten, "second").await;
        assert_eq!(server.fingerprint(), rotated.after, "the server has followed");
        let fresh = vault(home.path()).await;
        for vault in [&server, &command, &fresh] {
            assert_eq!(vault.token_hash(TokenKind::Api, "kwa_x"), hash);
            assert_eq!(vault.pepper(), pepper);
            assert!(vault.verify_server(row.clone()).is_ok());
            assert!(settings_hold(vault, first).await && settings_hold(vault, begun).await);
        }
    }
}

#[tokio::test]
async fn a_replacement_meets_every_record_and_says_what_it_cannot_read() {
    let home = tempfile::tempdir().unwrap();
    let (server, command) = (vault(home.path()).await, vault(home.path()).await);
    let workspace = make_workspace(&server, "one").await;
    let actor = Actor::system();
    let reply =
        ReplyOwner { caller: "a", key_hash: &[1; 32], request_digest: &[2; 32], status: 201 };
    let sealed = server.seal_reply(workspace, &reply, b"answer").await.unwrap();
    let kept = keyward_store::Reply {
        request_digest: vec![2; 32],
        status: 201,
        body: sealed.as_bytes().to_vec(),
        created_at: server.now(),
    };
    let put = move |tx: &mut keyward_store::RunTx<'_>| {
        tx.put_idempotent_reply(workspace, "a", &[1; 32], &kept)?;
        let damaged = keyward_store::Reply { body: vec![1; 60], ..kept.clone() };
        tx.put_idempotent_reply(workspace, "b", &[1; 32], &damaged)
    };
    server.store().record(put).await.unwrap();

    let early = command.destroy_older_generations(workspace, &actor).await;
    assert_eq!(early.unwrap(), 0, "there is nothing to destroy");
    let rotation = command.prepare_generation(workspace, &actor).await.unwrap();
    assert_eq!((rotation.generation, rotation.phase), (2, RotationPhase::Prepared));
    let again = command.prepare_generation(workspace, &actor).await.unwrap();
    assert_eq!(again, rotation, "what is under way is taken up");
    let early = command.rewrap(rotation.clone(), &mut |_| {}).await;
    assert!(matches!(early, Err(RotateError::NotRewrapped)));
    let rotation = command.activate_generation(rotation, &actor).await.unwrap();
    let early = command.destroy_older_generations(workspace, &actor).await;
    assert!(matches!(early, Err(RotateError::NotRewrapped)));

    // The server has not looked yet: it seals with the old key, and believes what the new one signed.
    let late = server.seal_reply(workspace, &reply, b"late").await.unwrap();
    let signed = command.sign(workspace, WorkspaceSettings::new(workspace)).await.unwrap();
    assert!(server.verify(workspace, signed).await.is_ok());
    assert_eq!(command.open_reply(workspace, &reply, &late).await.unwrap(), b"late");

    let rotation = command.rewrap(rotation, &mut |_| {}).await.unwrap();
    assert_eq!((rotation.phase, rotation.unreadable), (RotationPhase::Rewrapped, 1));
    let destroyed = command.destroy_older_generations(workspace, &actor).await.unwrap();
    assert_eq!(destroyed, 1);
    server.follow_keys().await.unwrap();
    for vault in [&server, &command, &vault(home.path()).await] {
        assert!(settings_hold(vault, workspace).await);
        let read = vault.store().read(move |tx| tx.idempotent_reply(workspace, "a", &[1; 32]));
        let body = Sealed::from_bytes(read.await.unwrap().unwrap().body);
        assert_eq!(vault.open_reply(workspace, &reply, &body).await.unwrap(), b"answer");
        assert!(vault.open_reply(workspace, &reply, &sealed).await.is_err());
        assert!(vault.open_reply(workspace, &reply, &late).await.is_err());
    }
    let next = command.prepare_generation(workspace, &actor).await.unwrap();
    assert_eq!(next.generation, 3);
}
