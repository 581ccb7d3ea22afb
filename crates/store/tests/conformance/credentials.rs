//! Credentials: heads, versions, the list, uses and dependents.

use crate::fixture::{Fixture, at, conflict, id, open, sign};
use keyward_model::credential::{
    CodeAccess, Credential, CredentialType, CredentialVersion, Scope, Sealed, Status,
};
use keyward_model::id::{CredentialId, WorkflowId};
use keyward_model::saved_workflow::Workflow;
use keyward_store::{Activity, CredentialFilter, Dependent, Listed, Page, StoreError, Use};
use std::collections::BTreeMap;

async fn insert(f: &Fixture, credential: &Credential) {
    let row = sign(credential.clone());
    f.write(move |tx| tx.insert_credential(&row)).await.unwrap();
}

fn shown(listed: Listed) -> Credential {
    match listed {
        Listed::Row(row) => open(row),
        Listed::Unreadable { key, .. } => panic!("{key} cannot be read"),
    }
}

async fn keys(f: &Fixture, filter: CredentialFilter) -> Vec<String> {
    let workspace = f.workspace;
    let list = f.store.read(move |r| r.credentials(workspace, &filter, &Page::first(50))).await;
    list.unwrap().items.into_iter().map(|row| shown(row).key).collect()
}

pub(crate) async fn credentials_come_back_as_they_were(f: &Fixture) {
    let workspace = f.workspace;
    let plain = f.credential("PLAIN");
    let mut full = f.credential("FULL");
    full.kind = CredentialType::Custom;
    full.scope = Scope::Workflow(id());
    full.code_access = CodeAccess::Readable;
    full.details.template = Some(serde_json::json!({"headers": {"z": "{{ value }}", "a": "b"}}));
    full.status = Status::Error;
    full.status_reason = Some("refused".into());
    full.expires_at = Some(at(77));
    for credential in [plain, full] {
        insert(f, &credential).await;
        let id = credential.id;
        let found = f.store.read(move |r| r.credential(workspace, id)).await.unwrap();
        assert_eq!(open(found.expect("a row")), credential);
    }
    let elsewhere = f.store.read(move |r| r.credential(id(), id())).await.unwrap();
    assert!(elsewhere.is_none());
}

pub(crate) async fn a_key_is_unique_in_its_scope(f: &Fixture) {
    let workspace = f.workspace;
    let shared = f.credential("K");
    let mut own = f.credential("K");
    own.scope = Scope::Workflow(id());
    insert(f, &shared).await;
    insert(f, &own).await;
    for credential in [sign(f.credential("K")), sign(Credential { id: id(), ..own.clone() })] {
        let refused = f.write(move |tx| tx.insert_credential(&credential)).await;
        assert_eq!(conflict(refused), "key");
    }
    let found = f.store.read(move |r| r.credentials_by_key(workspace, "K")).await.unwrap();
    let found: Vec<_> = found.into_iter().map(open).collect();
    assert_eq!(found, [own, shared.clone()]);

    assert_eq!(f.write(move |tx| tx.delete_credential(workspace, shared.id)).await, Ok(true));
    assert_eq!(f.write(move |tx| tx.delete_credential(workspace, shared.id)).await, Ok(false));
    insert(f, &f.credential("K")).await;
}

pub(crate) async fn updates_compare_the_revision(f: &Fixture) {
    let workspace = f.workspace;
    let mut credential = f.credential("K");
    insert(f, &credential).await;
    insert(f, &f.credential("TAKEN")).await;
    credential.revision = 2;
    credential.details.environment = "dev".into();
    let row = sign(credential.clone());
    let stale = row.clone();
    f.write(move |tx| tx.update_credential(&row, 1)).await.unwrap();
    let refused = f.write(move |tx| tx.update_credential(&stale, 1)).await;
    assert_eq!(conflict(refused), "revision");
    let taken = sign(Credential { key: "TAKEN".into(), ..credential.clone() });
    assert_eq!(conflict(f.write(move |tx| tx.update_credential(&taken, 2)).await), "key");
    let gone = sign(f.credential("GONE"));
    assert_eq!(conflict(f.write(move |tx| tx.update_credential(&gone, 1)).await), "revision");
    let found = f.store.read(move |r| r.credential(workspace, credential.id)).await.unwrap();
    assert_eq!(open(found.expect("a row")), credential);
    let dev = CredentialFilter { environment: Some("dev".into()), ..Default::default() };
    assert_eq!(keys(f, dev).await, ["K"], "filters follow the update");
}

pub(crate) async fn filters_narrow_the_list(f: &Fixture) {
    let workflow: WorkflowId = id();
    let mut old = f.credential("OLD");
    old.expires_at = Some(at(50));
    old.details.environment = "dev".into();
    let mut broken = f.credential("BROKEN");
    broken.status = Status::Error;
    broken.kind = CredentialType::Basic;
    broken.rotated_at = at(500);
    let mut own = f.credential("OWN");
    own.scope = Scope::Workflow(workflow);
    own.details.tags = vec!["Alerts and more".into()];
    own.details.description = "Größe".into();
    for credential in [&old, &broken, &own] {
        insert(f, credential).await;
    }
    insert(f, &Credential { workspace: id(), ..f.credential("FOREIGN") }).await;
    let named = vec![("OLD".to_owned(), "s".to_owned())];
    let workspace = f.workspace;
    f.write(move |tx| tx.set_workflow_keys(workspace, workflow, &named)).await.unwrap();
    let used = Use {
        workspace,
        credential: old.id,
        version: 1,
        workflow,
        at: at(90_000_000),
        failed: false,
        rejected: false,
        is_new: true,
    };
    f.store.record(move |tx| tx.count_use(&used)).await.unwrap();

    type Set = fn(&mut CredentialFilter);
    let all: &[&str] = &["BROKEN", "OLD", "OWN"];
    let cases: &[(Set, &[&str])] = &[
        (|_| (), all),
        (|c| c.q = Some("NAME OF o".into()), &["OLD", "OWN"]),
        (|c| c.q = Some("100% OF_".into()), &["BROKEN", "OLD"]),
        (|c| c.q = Some("%".into()), &["BROKEN", "OLD"]),
        (|c| c.q = Some("GRÖSSE".into()), &[]),
        (|c| c.q = Some("GRÖßE".into()), &["OWN"]),
        (|c| c.kind = Some(CredentialType::Basic), &["BROKEN"]),
        (|c| c.status = Some(Status::Error), &["BROKEN"]),
        (|c| c.status = Some(Status::Expired), &["OLD"]),
        (|c| c.status = Some(Status::Active), &["OWN"]),
        (|c| c.scope = Some("workflow"), &["OWN"]),
        (|c| c.environment = Some("dev".into()), &["OLD"]),
        (|c| c.tag = Some("alerts".into()), &["BROKEN", "OLD"]),
        (|c| c.not_rotated_since = Some(at(500)), &["OLD", "OWN"]),
        (|c| c.unused_since = Some(at(90_000_000)), &["BROKEN", "OWN"]),
        (|c| c.unused_since = Some(at(90_000_001)), all),
    ];
    for (number, (set, expected)) in cases.iter().enumerate() {
        let mut filter = CredentialFilter { now: at(60), ..Default::default() };
        set(&mut filter);
        assert_eq!(keys(f, filter).await, *expected, "case {number}");
    }
    let owner = CredentialFilter { owner: Some(own.owner), ..Default::default() };
    assert_eq!(keys(f, owner).await, ["OWN"]);
    let by_workflow = CredentialFilter { workflow: Some(workflow), ..Default::default() };
    assert_eq!(keys(f, by_workflow).await, ["OLD", "OWN"]);
}

pub(crate) async fn pages_do_not_shift(f: &Fixture) {
    let workspace = f.workspace;
    for number in 0..7 {
        insert(f, &f.credential(&format!("K{number}"))).await;
    }
    let (mut seen, mut page) = (Vec::new(), Page::first(3));
    loop {
        let wanted = page.clone();
        let list = f.store.read(move |r| r.credentials(workspace, &Default::default(), &wanted));
        let list = list.await.unwrap();
        seen.extend(list.items.into_iter().map(|row| shown(row).key));
        // Rows that come and go before the cursor move nothing.
        insert(f, &f.credential(&format!("A{}", seen.len()))).await;
        match list.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, ["K0", "K1", "K2", "K3", "K4", "K5", "K6"]);
    for bad in ["K1", "K1/", "K1/run_x"] {
        let page = Page { limit: 3, after: Some(bad.into()) };
        let refused = f.store.read(move |r| r.credentials(workspace, &Default::default(), &page));
        assert_eq!(refused.await.unwrap_err(), StoreError::BadCursor, "{bad}");
    }
}

pub(crate) async fn versions_come_and_go(f: &Fixture) {
    let workspace = f.workspace;
    let credential: CredentialId = id();
    let sealed = |byte: u8| Sealed::from_bytes(vec![byte; 100]);
    let version = |version: i64| CredentialVersion {
        workspace,
        credential,
        version,
        wrapped_key: sealed(9),
        fields: BTreeMap::from([("value".into(), sealed(1)), ("other".into(), sealed(2))]),
        created_at: at(version),
    };
    for number in 1..=3 {
        let row = version(number);
        f.write(move |tx| tx.insert_credential_version(&row)).await.unwrap();
    }
    let twice = version(3);
    let refused = f.write(move |tx| tx.insert_credential_version(&twice)).await;
    assert_eq!(conflict(refused), "version");
    let found = f.store.read(move |r| r.credential_version(workspace, credential, 2)).await;
    assert_eq!(found, Ok(Some(version(2))));

    let narrowed = sealed(8);
    let rewrap = move |tx: &mut keyward_store::Tx<'_>| {
        tx.rewrap_credential_version(workspace, credential, 2, &narrowed)
    };
    assert_eq!(f.write(rewrap).await, Ok(true));
    let page = f
        .store
        .read(move |r| r.credential_versions(workspace, credential, &Page::first(2)))
        .await
        .unwrap();
    let narrowed = CredentialVersion { wrapped_key: sealed(8), ..version(2) };
    assert_eq!((page.items, page.next.clone()), (vec![version(3), narrowed], Some("2".into())));
    let rest = Page { limit: 2, after: page.next };
    let page = f.store.read(move |r| r.credential_versions(workspace, credential, &rest)).await;
    assert_eq!(page.unwrap().items, [version(1)]);
    let deleted = f.write(move |tx| tx.delete_credential_version(workspace, credential, 3)).await;
    assert_eq!(deleted, Ok(true));
    f.write(move |tx| tx.delete_credential(workspace, credential)).await.unwrap();
    let gone = f.store.read(move |r| r.credential_version(workspace, credential, 1)).await;
    assert_eq!(gone, Ok(None), "versions go with their credential");
}

pub(crate) async fn uses_are_counted(f: &Fixture) {
    const DAY: i64 = 86_400_000;
    let workspace = f.workspace;
    let (credential, workflow): (CredentialId, WorkflowId) = (id(), id());
    for (time, failed) in [(DAY + 5, false), (DAY + 9, true), (DAY + 7, false), (2 * DAY, false)] {
        let used = Use {
            workspace,
            credential,
            version: 2,
            workflow,
            at: at(time),
            failed,
            rejected: failed,
            is_new: !failed,
        };
        f.store.record(move |tx| tx.count_use(&used)).await.unwrap();
    }
    let uses = f.store.read(move |r| r.credential_uses(workspace, credential, at(0))).await;
    let uses: Vec<_> = uses
        .unwrap()
        .into_iter()
        .map(|u| (u.workflow, u.day.millis(), u.uses, u.failures, u.last_used_at.millis()))
        .collect();
    assert_eq!(uses, [(workflow, DAY, 3, 1, DAY + 9), (workflow, 2 * DAY, 1, 0, 2 * DAY)]);
    let late = f.store.read(move |r| r.credential_uses(workspace, credential, at(2 * DAY + 1)));
    assert_eq!(late.await.unwrap().len(), 1);
    let never = id();
    let seen = || async {
        f.store.read(move |r| r.activity(workspace, &[credential, never])).await.unwrap()
    };
    let expected = Activity {
        credential,
        version: 2,
        uses: 4,
        failures: 1,
        last_used_at: at(2 * DAY),
        rejected_at: Some(at(DAY + 9)),
        runs: 3,
    };
    assert_eq!(seen().await, [expected]);
    f.write(move |tx| tx.clear_rejection(workspace, credential, 2)).await.unwrap();
    assert_eq!(seen().await, [Activity { rejected_at: None, ..expected }]);
    assert!(f.store.read(move |r| r.activity(workspace, &[])).await.unwrap().is_empty());
}

pub(crate) async fn dependents_are_those_that_name_the_key(f: &Fixture) {
    let workspace = f.workspace;
    let (one, two) = (f.workflow("One"), f.workflow("Two"));
    for workflow in [sign(one.clone()), sign(two.clone())] {
        f.write(move |tx| tx.insert_workflow(&workflow)).await.unwrap();
    }
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(key, step)| (key.to_string(), step.to_string())).collect()
    };
    let named = pairs(&[("K", "a"), ("K", "b"), ("K", "a"), ("L", "a")]);
    f.write(move |tx| tx.set_workflow_keys(workspace, one.id, &named)).await.unwrap();
    let named = pairs(&[("K", "z")]);
    f.write(move |tx| tx.set_workflow_keys(workspace, two.id, &named)).await.unwrap();
    let found = f.store.read(move |r| r.dependents(workspace, "K")).await.unwrap();
    let dependent = |head: &Workflow, steps: &[&str]| Dependent {
        workflow: head.id,
        name: head.name.clone(),
        active: true,
        owner: head.owner,
        steps: steps.iter().map(|step| step.to_string()).collect(),
    };
    let expected = [dependent(&one, &["a", "b"]), dependent(&two, &["z"])];
    assert_eq!(found, expected);
    f.write(move |tx| tx.set_workflow_keys(workspace, one.id, &[])).await.unwrap();
    let keys = f.store.read(move |r| r.workflow_keys(workspace, two.id)).await;
    assert_eq!(keys, Ok(pairs(&[("K", "z")])));
    let found = f.store.read(move |r| r.dependents(workspace, "K")).await.unwrap();
    assert_eq!(found, expected[1..]);
}
