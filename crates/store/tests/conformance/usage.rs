//! Use summed up for pages, and what a member owns.

use crate::fixture::{Fixture, at, id, open, sign};
use keyward_model::credential::{Credential, Scope};
use keyward_model::id::{CredentialId, MemberId, WorkflowId};
use keyward_model::lifecycle::Done;
use keyward_model::saved_workflow::Workflow;
use keyward_model::settings::{Settings, WorkspaceSettings};
use keyward_store::{DayOfUse, Use, User, UserHead};

const DAY: i64 = 86_400_000;

pub(crate) async fn uses_are_summed_up_by_day_and_by_workflow(f: &Fixture) {
    let workspace = f.workspace;
    let credential: CredentialId = id();
    let kept = f.workflow("Kept");
    let gone: WorkflowId = id();
    let row = sign(kept.clone());
    f.write(move |tx| tx.insert_workflow(&row)).await.unwrap();
    let uses = [(kept.id, DAY, false), (gone, DAY + 1, true), (kept.id, 3 * DAY, true)];
    for (workflow, time, failed) in uses {
        let at = at(time);
        let used = Use {
            workspace,
            credential,
            version: 1,
            workflow,
            at,
            failed,
            rejected: false,
            is_new: false,
        };
        f.store.record(move |tx| tx.count_use(&used)).await.unwrap();
    }
    let days = |since| f.store.read(move |r| r.days_of_use(workspace, credential, at(since)));
    let day = |day, uses, failures| DayOfUse { day: at(day), uses, failures };
    assert_eq!(days(0).await, Ok(vec![day(DAY, 2, 1), day(3 * DAY, 1, 1)]));
    assert_eq!(days(2 * DAY).await, Ok(vec![day(3 * DAY, 1, 1)]));
    let users = f.store.read(move |r| r.users_of(workspace, credential)).await.unwrap();
    let user = |workflow, head, uses, failures, last| User {
        workflow,
        head,
        uses,
        failures,
        last_used_at: at(last),
    };
    let head = UserHead { name: "Kept".into(), active: true, owner: kept.owner };
    let mut expected = [user(kept.id, Some(head), 2, 1, 3 * DAY), user(gone, None, 1, 1, DAY + 1)];
    expected.sort_by_key(|user| user.workflow.to_string());
    assert_eq!(users, expected);
    assert_eq!(f.store.read(move |r| r.users_of(id(), credential)).await, Ok(Vec::new()));
}

pub(crate) async fn what_a_member_owns_is_found(f: &Fixture) {
    let (workspace, ann) = (f.workspace, id::<MemberId>());
    let personal =
        |key: &str, owner| Credential { scope: Scope::Personal(owner), owner, ..f.credential(key) };
    let (own, mut deleted, others) =
        (personal("OWN", ann), personal("DELETED", ann), personal("OTHERS", id()));
    deleted.lifecycle.deleted = Some(Done { by: ann, at: at(9), reason: String::new() });
    let common = Credential { owner: ann, ..f.credential("COMMON") };
    for credential in [&own, &deleted, &others, &common] {
        let row = sign(credential.clone());
        f.write(move |tx| tx.insert_credential(&row)).await.unwrap();
    }
    let found = f.store.read(move |r| r.personal_credentials(workspace, ann)).await.unwrap();
    let mut found: Vec<_> = found.into_iter().map(open).collect();
    found.sort_by_key(|credential| credential.key.clone());
    assert_eq!(found, [deleted, own]);
    let (hers, others) = (Workflow { owner: ann, ..f.workflow("Hers") }, f.workflow("Others"));
    for workflow in [sign(hers.clone()), sign(others)] {
        f.write(move |tx| tx.insert_workflow(&workflow)).await.unwrap();
    }
    let found = f.store.read(move |r| r.workflows_of(workspace, ann)).await.unwrap();
    assert_eq!(found.into_iter().map(open).collect::<Vec<_>>(), [hers]);
}

pub(crate) async fn settings_can_be_set_whatever_stands_there(f: &Fixture) {
    let workspace = id();
    for revision in [7, 3] {
        let settings = Settings { grace_days: 1, ..Settings::default() };
        let row = WorkspaceSettings { workspace, settings, revision };
        let tagged = sign(row.clone());
        f.write(move |tx| tx.put_settings(&tagged)).await.unwrap();
        let found = f.store.read(move |r| r.settings(workspace)).await.unwrap();
        assert_eq!(found.map(open), Some(row));
    }
}
