//! Shares, settings, what a member sees, and what is due to be destroyed.

use crate::fixture::{Fixture, at, conflict, id, open, sign};
use keyward_model::credential::{Credential, Scope};
use keyward_model::id::{CredentialId, MemberId};
use keyward_model::lifecycle::{Done, FieldSet, Retired};
use keyward_model::settings::{Settings, WorkspaceSettings};
use keyward_model::share::{Level, Share, Sharee};
use keyward_store::{CredentialFilter, Listed, Page, Visible};

async fn insert(f: &Fixture, credential: &Credential) {
    let row = sign(credential.clone());
    f.write(move |tx| tx.insert_credential(&row)).await.unwrap();
}

async fn give(f: &Fixture, credential: CredentialId, sharee: Sharee, level: Level) -> Share {
    let (workspace, by) = (f.workspace, id());
    let share = Share { workspace, credential, sharee, level, by, at: at(5) };
    let row = sign(share.clone());
    f.write(move |tx| tx.put_share(&row)).await.unwrap();
    share
}

pub(crate) async fn shares_come_back_and_are_replaced(f: &Fixture) {
    let (workspace, bob) = (f.workspace, id::<MemberId>());
    let (one, two) = (f.credential("K"), f.credential("L"));
    insert(f, &one).await;
    insert(f, &two).await;
    give(f, one.id, Sharee::Member(bob), Level::Use).await;
    let to_bob = give(f, one.id, Sharee::Member(bob), Level::Manage).await;
    let to_all = give(f, two.id, Sharee::All, Level::View).await;
    let ids = [one.id, two.id];
    let mut found = f.store.read(move |r| r.shares(workspace, &ids)).await.unwrap();
    found.sort_by_key(|row| row.parts().0.credential != one.id);
    let found: Vec<_> = found.into_iter().map(open).collect();
    assert_eq!(found, [to_bob.clone(), to_all.clone()]);
    let of_key = f.store.read(move |r| r.shares_by_key(workspace, "L")).await.unwrap();
    assert_eq!(of_key.into_iter().map(open).collect::<Vec<_>>(), [to_all]);
    let of_bob = f.store.read(move |r| r.shares_of(workspace, bob)).await.unwrap();
    assert_eq!(of_bob.into_iter().map(open).collect::<Vec<_>>(), [to_bob]);
    let elsewhere = f.store.read(move |r| r.shares(id(), &ids)).await.unwrap();
    assert!(elsewhere.is_empty());
    let taken = || f.write(move |tx| tx.delete_share(workspace, two.id, Sharee::All));
    assert!(taken().await.unwrap());
    assert!(!taken().await.unwrap());
    f.write(move |tx| tx.delete_shares_of(workspace, bob)).await.unwrap();
    assert!(f.store.read(move |r| r.shares(workspace, &ids)).await.unwrap().is_empty());
}

pub(crate) async fn settings_are_compared_and_set(f: &Fixture) {
    let mut row = WorkspaceSettings::new(f.workspace);
    let workspace = f.workspace;
    let found = || f.store.read(move |r| r.settings(workspace));
    if found().await.unwrap().is_none() {
        let first = sign(row.clone());
        f.write(move |tx| tx.insert_settings(&first)).await.unwrap();
    }
    row.settings = Settings { require_hosts: true, ..Settings::default() };
    row.revision = 2;
    let next = sign(row.clone());
    let again = next.clone();
    f.write(move |tx| tx.update_settings(&next, 1)).await.unwrap();
    assert_eq!(found().await.unwrap().map(open), Some(row));
    let refused = f.write(move |tx| tx.update_settings(&again, 1)).await;
    assert_eq!(conflict(refused), "revision");
}

async fn seen(f: &Fixture, visible: Option<Visible>, shared: bool) -> Vec<String> {
    let workspace = f.workspace;
    let filter = CredentialFilter { visible_to: visible, shared, ..Default::default() };
    let list = f.store.read(move |r| r.credentials(workspace, &filter, &Page::first(50))).await;
    let key = |listed| match listed {
        Listed::Row(row) => open(row).key,
        Listed::Unreadable { key, .. } => panic!("{key} cannot be read"),
    };
    list.unwrap().items.into_iter().map(key).collect()
}

pub(crate) async fn a_member_sees_what_is_common_theirs_or_shared(f: &Fixture) {
    let (ann, bob) = (id::<MemberId>(), id::<MemberId>());
    let personal =
        |key: &str, owner| Credential { scope: Scope::Personal(owner), owner, ..f.credential(key) };
    let (own, others, given, to_all) = (
        personal("ANN", ann),
        personal("BOB", bob),
        personal("BOB_TO_ANN", bob),
        personal("BOB_TO_ALL", bob),
    );
    let own_workflow = Credential { scope: Scope::Workflow(id()), ..f.credential("WORKFLOW") };
    let common = f.credential("COMMON");
    for credential in [&own, &others, &given, &to_all, &own_workflow, &common] {
        insert(f, credential).await;
    }
    give(f, given.id, Sharee::Member(ann), Level::Use).await;
    give(f, to_all.id, Sharee::All, Level::Use).await;
    let check = async |member, common, personal, expected: &[&str]| {
        let visible = Visible { member, common, personal };
        assert_eq!(seen(f, Some(visible), false).await, expected, "{common} {personal}");
    };
    let all = ["ANN", "BOB", "BOB_TO_ALL", "BOB_TO_ANN", "COMMON", "WORKFLOW"];
    check(ann, true, true, &all).await;
    check(ann, true, false, &["ANN", "BOB_TO_ALL", "BOB_TO_ANN", "COMMON", "WORKFLOW"]).await;
    check(ann, false, false, &["ANN", "BOB_TO_ALL", "BOB_TO_ANN"]).await;
    check(id(), false, false, &["BOB_TO_ALL"]).await;
    assert_eq!(seen(f, None, false).await, all);
    assert_eq!(seen(f, None, true).await, ["BOB_TO_ALL", "BOB_TO_ANN"]);
}

pub(crate) async fn a_deleted_credential_frees_its_key_and_falls_due(f: &Fixture) {
    let workspace = f.workspace;
    let mut gone = f.credential("K");
    insert(f, &gone).await;
    gone.lifecycle.deleted = Some(Done { by: id(), at: at(1000), reason: String::new() });
    gone.revision = 2;
    let row = sign(gone.clone());
    f.write(move |tx| tx.update_credential(&row, 1)).await.unwrap();
    let mut kept = f.credential("K");
    let fields = FieldSet::default();
    kept.lifecycle.retired = vec![Retired { version: 1, fields, at: at(1), until: at(2000) }];
    kept.version = 2;
    insert(f, &kept).await;
    let found = f.store.read(move |r| r.credentials_by_key(workspace, "K")).await.unwrap();
    assert_eq!(found.into_iter().map(open).collect::<Vec<_>>(), [kept.clone()]);
    let back = Credential { revision: 3, lifecycle: Default::default(), ..gone.clone() };
    let back = sign(back);
    let refused = f.write(move |tx| tx.update_credential(&back, 2)).await;
    assert_eq!(conflict(refused), "key");
    let due = async |now| {
        let rows = f.store.read(move |r| r.credentials_due(at(now), 50)).await.unwrap();
        let mine = rows.into_iter().map(open).filter(|c| c.workspace == workspace);
        mine.map(|credential| credential.id).collect::<Vec<_>>()
    };
    assert_eq!(due(1999).await, []);
    assert_eq!(due(2000).await, [kept.id]);
    let until = gone.restorable_until().unwrap();
    assert_eq!(due(until.millis()).await, [kept.id, gone.id]);
}
