//! Key generations, how far servers and replacements have come, and what lies under the keys.

use crate::fixture::{Fixture, at, conflict, end, id, masked, open, sign, step};
use keyward_model::actor::Role;
use keyward_model::credential::{CredentialVersion, Sealed};
use keyward_model::id::{CredentialId, Identifier as _, KeyId, NodeId, WorkspaceId};
use keyward_model::mask::Masked;
use keyward_model::people::Invitation;
use keyward_model::run::{NewRun, NewStep, RunStatus};
use keyward_model::saved_workflow::{Allowlist, WorkflowVersion};
use keyward_model::settings::WorkspaceSettings;
use keyward_model::share::{Level, Share, Sharee};
use keyward_model::tenant::{ApiToken, KeyState, WorkspaceKey};
use keyward_store::{
    CellKind, CellOwner, KeyRotation, ROOT_FINGERPRINT, Reply, RotationPhase, SIGNED_TABLES,
    SealedCell, SignedRow, StoreError,
};
use std::collections::BTreeMap;

fn key(workspace: WorkspaceId, generation: i64) -> WorkspaceKey {
    WorkspaceKey {
        workspace,
        id: id::<KeyId>(),
        generation,
        state: KeyState::Active,
        root: "root".into(),
        wrapped: vec![generation as u8; 77],
        created_at: at(generation),
    }
}

async fn use_root(f: &Fixture, fingerprint: &'static [u8]) {
    f.store.record(move |tx| tx.put_meta(ROOT_FINGERPRINT, fingerprint)).await.unwrap();
}

pub(crate) async fn generations_are_kept(f: &Fixture) {
    let workspace = f.workspace;
    let (second, mut first, twice) = (key(workspace, 2), key(workspace, 1), key(workspace, 2));
    let insert = |key: &WorkspaceKey| {
        let key = key.clone();
        f.write(move |tx| tx.insert_workspace_key(&key))
    };
    assert_eq!(conflict(insert(&first).await), "root key", "without a root key in use");
    use_root(f, b"other").await;
    assert_eq!(conflict(insert(&first).await), "root key", "of another root key");
    use_root(f, b"root").await;
    insert(&second).await.unwrap();
    insert(&first).await.unwrap();
    assert_eq!(conflict(insert(&twice).await), "key generation");

    let before = first.clone();
    first.state = KeyState::Retired;
    first.wrapped = b"what is left".to_vec();
    let (old, new) = (before.clone(), first.clone());
    f.write(move |tx| tx.replace_workspace_key(&old, &new)).await.unwrap();
    let (old, new) = (before, second.clone());
    let lost = f.write(move |tx| tx.replace_workspace_key(&old, &new)).await;
    assert_eq!(conflict(lost), "workspace key", "it was read before it changed");
    let kept = f.store.read(move |r| r.workspace_keys(workspace)).await;
    assert_eq!(kept, Ok(vec![first, second]));
}

pub(crate) async fn a_root_key_changes_for_all_or_none(f: &Fixture) {
    use_root(f, b"root").await;
    let rows = [key(id(), 1), key(f.workspace, 1), key(f.workspace, 2)];
    for row in rows.clone() {
        f.write(move |tx| tx.insert_workspace_key(&row)).await.unwrap();
    }
    let pairs: Vec<_> = rows
        .iter()
        .map(|row| {
            let wrapped = [b"new", &row.wrapped[..]].concat();
            (row.clone(), WorkspaceKey { root: "next".into(), wrapped, ..row.clone() })
        })
        .collect();
    let change = async |before: &'static str, pairs: &[(WorkspaceKey, WorkspaceKey)]| {
        let pairs = pairs.to_vec();
        f.write(move |tx| tx.change_root_key((before, "next"), &pairs)).await
    };
    assert_eq!(conflict(change("another", &pairs).await), "root key");
    assert_eq!(conflict(change("root", &pairs[1..]).await), "workspace key", "one is missing");
    let mut stale = pairs.clone();
    stale[2].0.wrapped = b"as it was earlier".to_vec();
    assert_eq!(conflict(change("root", &stale).await), "workspace key");
    let state = f.store.read(|r| r.keys_state()).await.unwrap();
    assert_eq!((state.epoch, state.root.as_deref()), (0, Some("root")));
    let all = async || f.store.read(|r| r.all_workspace_keys()).await.unwrap();
    assert!(all().await.iter().all(|row| row.root == "root"), "nothing was written");

    change("root", &pairs).await.unwrap();
    let state = f.store.read(|r| r.keys_state()).await.unwrap();
    assert_eq!((state.epoch, state.root.as_deref()), (1, Some("next")));
    let mut expected: Vec<_> = pairs.into_iter().map(|(_, after)| after).collect();
    expected.sort_by_key(|row| (row.workspace.to_string(), row.generation));
    assert_eq!(all().await, expected);
}

pub(crate) async fn servers_say_how_far_they_followed(f: &Fixture) {
    let (near, far, gone) = (id::<NodeId>(), id::<NodeId>(), id::<NodeId>());
    for (node, seen) in [(near, 100), (far, 100), (gone, 10)] {
        f.store.record(move |tx| tx.heartbeat(node, at(seen))).await.unwrap();
    }
    assert_eq!(f.write(|tx| tx.raise_keys_epoch()).await, Ok(1));
    assert_eq!(f.write(|tx| tx.raise_keys_epoch()).await, Ok(2));
    f.store.record(move |tx| tx.keys_followed(near, 2)).await.unwrap();
    f.store.record(move |tx| tx.keys_followed(far, 1)).await.unwrap();
    let behind = async |epoch| f.store.read(move |r| r.nodes_behind(epoch, at(50))).await.unwrap();
    assert_eq!(behind(2).await, [far]);
    assert_eq!(behind(1).await, []);
    f.store.record(move |tx| tx.heartbeat(near, at(200))).await.unwrap();
    let said = async |node| f.store.read(move |r| r.node_keys_epoch(node)).await.unwrap();
    assert_eq!([said(near).await, said(gone).await, said(id()).await], [Some(2), Some(0), None]);
}

pub(crate) async fn replacements_are_noted(f: &Fixture) {
    let workspace = f.workspace;
    let found = async || f.store.read(move |r| r.key_rotation(workspace)).await.unwrap();
    assert_eq!(found().await, None);
    let mut rotation = KeyRotation {
        workspace,
        key: id(),
        generation: 2,
        phase: RotationPhase::Prepared,
        after: None,
        total: 10,
        rewrapped: 0,
        unreadable: 0,
        begun_at: at(1),
        updated_at: at(1),
    };
    for after in [None, Some((id::<CredentialId>(), 7))] {
        rotation.after = after;
        rotation.rewrapped += 5;
        let row = rotation.clone();
        f.store.record(move |tx| tx.put_key_rotation(&row)).await.unwrap();
        assert_eq!(found().await, Some(rotation.clone()));
    }
    f.store.record(move |tx| tx.forget_key_rotation(workspace)).await.unwrap();
    assert_eq!(found().await, None);
}

/// A record under a key: what matters here is that it names it.
fn under(key: KeyId, content: &[u8]) -> Sealed {
    Sealed::from_bytes([&[1], &key.as_bytes()[..], content].concat())
}

pub(crate) async fn version_keys_are_met_in_order_and_compared(f: &Fixture) {
    let (workspace, old, new) = (f.workspace, id::<KeyId>(), id::<KeyId>());
    let credentials: [CredentialId; 2] = [id(), id()];
    let mut expected = Vec::new();
    for credential in credentials {
        for version in 1..=3 {
            let kid = if version == 2 { new } else { old };
            let row = CredentialVersion {
                workspace,
                credential,
                version,
                wrapped_key: under(kid, b"wrap"),
                fields: BTreeMap::new(),
                created_at: at(1),
            };
            f.write(move |tx| tx.insert_credential_version(&row)).await.unwrap();
            if version != 2 {
                expected.push((credential, version));
            }
        }
    }
    let page = async |after, limit| {
        let read = move |r: &mut keyward_store::Reader<'_>| {
            r.version_keys_under_others(workspace, new, after, limit)
        };
        f.store.read(read).await.unwrap()
    };
    let (mut met, mut after) = (Vec::new(), None);
    while let Some(row) = page(after, 1).await.pop() {
        after = Some((row.credential, row.version));
        met.extend(after);
    }
    assert_eq!(met, expected);
    let count =
        async || f.store.read(move |r| r.count_under_others(workspace, new)).await.unwrap()[0];
    assert_eq!(count().await, ("version_keys", 4));

    let row = page(None, 9).await.remove(0);
    let rewrap = async |row: &keyward_store::VersionKey, to: &'static [u8]| {
        let row = row.clone();
        let after = under(new, to);
        f.store.record(move |tx| tx.rewrap_version_key(workspace, &row, &after)).await
    };
    assert_eq!(rewrap(&row, b"anew").await, Ok(true));
    assert_eq!(rewrap(&row, b"late").await, Ok(false), "it is not as it was read");
    assert_eq!(count().await, ("version_keys", 3));
    let stored = f.store.read(move |r| r.credential_version(workspace, row.credential, 1)).await;
    assert_eq!(stored.unwrap().unwrap().wrapped_key, under(new, b"anew"));
}

pub(crate) async fn small_records_are_met_and_compared(f: &Fixture) {
    let (workspace, old, new) = (f.workspace, id::<KeyId>(), id::<KeyId>());
    let row = Masked::of_sealed(&under(old, b"row"));
    let run = |no_store| NewRun { no_store, trigger: row.clone(), ..f.run() };
    let (kept, shut, ended) = (run(false), run(true), run(true));
    for new in [kept.clone(), shut.clone(), ended.clone()] {
        let row = row.clone();
        let key = under(old, b"run key");
        let finished = new.id == ended.id;
        let write = f.store.record(move |tx| {
            let owned = tx.insert_run(&new)?;
            let output = Some(row.clone());
            tx.put_step(&owned, &NewStep { output, ..step(0) })?;
            tx.put_step(&owned, &NewStep { output: Some(masked("1")), ..step(1) })?;
            tx.set_run_key(&owned, key.as_bytes())?;
            if finished { tx.end_run(&owned, &end(RunStatus::Failed)) } else { Ok(()) }
        });
        write.await.unwrap();
    }
    for (caller, status) in [("a", 201), ("b", 0)] {
        let reply = Reply {
            request_digest: vec![7; 32],
            status,
            body: if status == 0 { Vec::new() } else { under(old, b"answer").as_bytes().to_vec() },
            created_at: at(1),
        };
        let put =
            f.store.record(move |tx| tx.put_idempotent_reply(workspace, caller, &[3; 32], &reply));
        put.await.unwrap();
    }
    let page = async |kind, after: Option<SealedCell>| {
        let read = move |r: &mut keyward_store::Reader<'_>| {
            r.sealed_cells((workspace, kind), new, after.as_ref(), 1)
        };
        f.store.read(read).await.unwrap().pop()
    };
    let runs = |ids: &[keyward_model::id::RunId]| {
        ids.iter().map(|id| CellOwner::Run(*id)).collect::<Vec<_>>()
    };
    let (caller, key_hash, request_digest) = ("a".to_owned(), vec![3; 32], vec![7; 32]);
    let reply = CellOwner::Reply { caller, key_hash, request_digest, status: 201 };
    for (kind, owners) in [
        (CellKind::RunKey, runs(&[kept.id, shut.id])),
        (CellKind::Payload, runs(&[shut.id])),
        (CellKind::Output, runs(&[shut.id])),
        (CellKind::Reply, vec![reply]),
    ] {
        let (mut met, mut after) = (Vec::new(), None);
        while let Some(cell) = page(kind, after.take()).await {
            after = Some(cell.clone());
            let Some(sealed) = cell.sealed.clone() else { continue };
            assert!(sealed.as_bytes().starts_with(under(old, b"").as_bytes()), "{kind:?}");
            met.push(cell.owner.clone());
            let rewrap = async || {
                let (cell, sealed) = (cell.clone(), under(new, b"anew"));
                f.store.record(move |tx| tx.rewrap_cell(workspace, &cell, &sealed)).await
            };
            assert_eq!(rewrap().await, Ok(true), "{kind:?}");
            assert_eq!(rewrap().await, Ok(false), "{kind:?}: it is not as it was read");
        }
        assert_eq!(met, owners, "{kind:?}");
    }
    let wanted = shut.id;
    let stored =
        f.store.read(move |r| Ok((r.run(workspace, wanted)?, r.steps(workspace, wanted)?)));
    let (run, steps) = stored.await.unwrap();
    let anew = Masked::of_sealed(&under(new, b"anew"));
    assert_eq!(run.unwrap().trigger, anew.as_str());
    assert_eq!(steps[0].output.as_deref(), Some(anew.as_str()));
    assert_eq!(steps[1].output.as_deref(), Some("1"));
    let left = f.store.read(move |r| r.count_under_others(workspace, new)).await.unwrap();
    assert!(left.iter().all(|(_, count)| *count == 0), "{left:?}");
}

/// Two rows in each table of signed rows, one where there can be only one.
async fn one_of_each(f: &Fixture) {
    let (workspace, member) = (f.workspace, id());
    let settings = sign(WorkspaceSettings::new(workspace));
    f.write(move |tx| tx.put_settings(&settings)).await.unwrap();
    for number in 1..=2u8 {
        let credential = f.credential(&format!("K{number}"));
        let share = Share {
            workspace,
            credential: credential.id,
            sharee: Sharee::All,
            level: Level::Use,
            by: member,
            at: at(5),
        };
        let workflow = f.workflow("W");
        let version = WorkflowVersion {
            workspace,
            workflow: workflow.id,
            version: 1,
            author: member,
            definition: "{}".into(),
            compiled: "{}".into(),
            created_at: at(1),
        };
        let list = Allowlist { workspace, workflow: workflow.id, enabled: true, keys: Vec::new() };
        let token = ApiToken {
            workspace,
            id: id(),
            member,
            name: "CI".into(),
            hash: [number; 32],
            scopes: String::new(),
            expires_at: None,
            created_at: at(7),
        };
        let app = sign(crate::apps::own_app(f, &format!("app{number}")));
        f.write(move |tx| tx.insert_app(&app)).await.unwrap();
        let invitation = Invitation {
            workspace,
            id: id(),
            email: "b@example.com".into(),
            role: Role::Editor,
            inviter: member,
            hash: [number; 32],
            created_at: at(7),
            expires_at: at(99),
        };
        let person = sign(f.member(&format!("{number}@example.com"), Role::Viewer));
        let (credential, share, workflow) = (sign(credential), sign(share), sign(workflow));
        let (version, list) = (sign(version), sign(list));
        let (token, invitation) = (sign(token), sign(invitation));
        let write = f.write(move |tx| {
            tx.insert_credential(&credential)?;
            tx.put_share(&share)?;
            tx.insert_workflow(&workflow)?;
            tx.insert_workflow_version(&version)?;
            tx.put_allowlist(&list)?;
            tx.insert_token(&token)?;
            tx.insert_invitation(&invitation)?;
            tx.insert_member(&person)
        });
        write.await.unwrap();
    }
}

pub(crate) async fn every_signed_row_is_met_and_compared(f: &Fixture) {
    let workspace = f.workspace;
    one_of_each(f).await;
    for table in SIGNED_TABLES {
        let page = async |after: Option<SignedRow>| {
            let read = f.store.read(move |r| r.signed_rows(table, workspace, after.as_ref(), 1));
            read.await.unwrap().pop()
        };
        let expected = if table.table() == "settings" { 1 } else { 2 };
        let mut row = page(None).await;
        for number in 1..=expected {
            let met = row.take().unwrap_or_else(|| panic!("{} has no row {number}", table.table()));
            assert!(met.content.is_some() && met.tag != [9; 32], "{}", table.table());
            let again = async || {
                let met = met.clone();
                f.store.record(move |tx| tx.sign_anew(table, workspace, &met, &[9; 32])).await
            };
            assert_eq!(again().await, Ok(true), "{}", table.table());
            assert_eq!(again().await, Ok(false), "{}: it is not as it was read", table.table());
            row = page(Some(met)).await;
        }
        assert!(row.is_none_or(|row| table.table() == "settings" && row.tag == [9; 32]));
        let all = f.store.read(move |r| r.signed_rows(table, workspace, None, 9)).await.unwrap();
        assert_eq!(all.len(), expected, "{}", table.table());
        assert!(all.iter().all(|row| row.tag == [9; 32]), "{}", table.table());
    }

    // A head whose trigger token is sealed anew gets its new tag with it, or neither.
    let heads = f.store.read(move |r| r.workflow_heads(workspace, None, 9)).await.unwrap();
    assert_eq!(heads.len(), 2);
    let mut head = heads[0].parts().0.clone();
    head.trigger_token = Sealed::from_bytes(b"anew".to_vec());
    let anew = sign(head.clone());
    for (before, done) in [([1; 32], false), ([9; 32], true), ([9; 32], false)] {
        let row = anew.clone();
        let written = f.store.record(move |tx| tx.rewrap_trigger_token(&before, &row)).await;
        assert_eq!(written, Ok::<_, StoreError>(done));
    }
    let stored = f.store.read(move |r| r.workflow(workspace, head.id)).await.unwrap().unwrap();
    assert_eq!(open(stored).trigger_token, head.trigger_token);
}
