//! Workflows: heads, hooks, versions and allowlists.

use crate::fixture::{Fixture, at, conflict, id, open, sign};
use keyward_model::saved_workflow::{Allowlist, Workflow, WorkflowVersion};
use keyward_store::Page;

fn version(workflow: &Workflow, version: i64) -> WorkflowVersion {
    WorkflowVersion {
        workspace: workflow.workspace,
        workflow: workflow.id,
        version,
        author: workflow.owner,
        definition: format!(r#"{{"name":"v{version}"}}"#),
        compiled: "{}".into(),
        created_at: at(version),
    }
}

async fn insert(f: &Fixture, workflow: &Workflow) {
    let row = sign(workflow.clone());
    f.write(move |tx| tx.insert_workflow(&row)).await.unwrap();
}

pub(crate) async fn workflows_are_found_by_id_and_hook(f: &Fixture) {
    let workspace = f.workspace;
    let (one, mut two) = (f.workflow("One"), f.workflow("Two"));
    two.active = false;
    insert(f, &one).await;
    insert(f, &two).await;
    insert(f, &Workflow { workspace: id(), ..f.workflow("Elsewhere") }).await;
    let twice = sign(Workflow { id: id(), ..one.clone() });
    assert_eq!(conflict(f.write(move |tx| tx.insert_workflow(&twice)).await), "trigger");

    let wanted = one.id;
    let found = f.store.read(move |r| r.workflow(workspace, wanted)).await.unwrap();
    assert_eq!(found.map(open), Some(one.clone()));
    let hash = two.trigger_hash;
    let found = f.store.read(move |r| r.workflow_by_hook(&hash)).await.unwrap();
    assert_eq!(found.map(open), Some(two.clone()));
    assert!(f.store.read(|r| r.workflow_by_hook(&[9; 32])).await.unwrap().is_none());

    let list = async |active, page: Page| {
        f.store.read(move |r| r.workflows(workspace, active, &page)).await.unwrap()
    };
    let first = list(None, Page::first(1)).await;
    assert_eq!(first.items.into_iter().map(open).collect::<Vec<_>>(), vec![one.clone()]);
    let second = list(None, Page { limit: 1, after: first.next }).await;
    assert_eq!(second.items.into_iter().map(open).collect::<Vec<_>>(), [two.clone()]);
    assert_eq!(second.next, None);
    let inactive = list(Some(false), Page::first(9)).await;
    assert_eq!(inactive.items.into_iter().map(open).collect::<Vec<_>>(), [two]);
}

pub(crate) async fn updates_move_the_hook(f: &Fixture) {
    let mut workflow = f.workflow("One");
    insert(f, &workflow).await;
    let (before, after) = (workflow.trigger_hash, [7; 32]);
    workflow.trigger_hash = after;
    workflow.name = "Renamed".into();
    workflow.revision = 2;
    let row = sign(workflow.clone());
    let stale = row.clone();
    f.write(move |tx| tx.update_workflow(&row, 1)).await.unwrap();
    let refused = f.write(move |tx| tx.update_workflow(&stale, 1)).await;
    assert_eq!(conflict(refused), "revision");
    let gone = sign(f.workflow("Gone"));
    assert_eq!(conflict(f.write(move |tx| tx.update_workflow(&gone, 1)).await), "revision");
    assert!(f.store.read(move |r| r.workflow_by_hook(&before)).await.unwrap().is_none());
    let found = f.store.read(move |r| r.workflow_by_hook(&after)).await.unwrap();
    assert_eq!(found.map(open), Some(workflow));
}

pub(crate) async fn versions_and_allowlists_are_kept(f: &Fixture) {
    let (workspace, workflow) = (f.workspace, f.workflow("One"));
    let wf = workflow.id;
    for number in 1..=3 {
        let row = sign(version(&workflow, number));
        f.write(move |tx| tx.insert_workflow_version(&row)).await.unwrap();
    }
    let twice = sign(version(&workflow, 2));
    let refused = f.write(move |tx| tx.insert_workflow_version(&twice)).await;
    assert_eq!(conflict(refused), "version");
    let found = f.store.read(move |r| r.workflow_version(workspace, wf, 2)).await.unwrap();
    assert_eq!(found.map(open), Some(version(&workflow, 2)));
    let page = f.store.read(move |r| r.workflow_versions(workspace, wf, &Page::first(2))).await;
    let page = page.unwrap();
    let numbers: Vec<_> = page.items.into_iter().map(|row| open(row).version).collect();
    assert_eq!((numbers, page.next), (vec![3, 2], Some("2".into())));

    assert!(f.store.read(move |r| r.allowlist(workspace, wf)).await.unwrap().is_none());
    for keys in [vec!["A".to_owned(), "B".to_owned()], vec![]] {
        let list = Allowlist { workspace, workflow: wf, enabled: !keys.is_empty(), keys };
        let row = sign(list.clone());
        f.write(move |tx| tx.put_allowlist(&row)).await.unwrap();
        let found = f.store.read(move |r| r.allowlist(workspace, wf)).await.unwrap();
        assert_eq!(found.map(open), Some(list));
    }
}

pub(crate) async fn deleting_leaves_nothing(f: &Fixture) {
    let workspace = f.workspace;
    let workflow = f.workflow("One");
    let (wf, hash) = (workflow.id, workflow.trigger_hash);
    insert(f, &workflow).await;
    let row = sign(version(&workflow, 1));
    let list = sign(Allowlist { workspace, workflow: wf, enabled: true, keys: vec![] });
    f.write(move |tx| {
        tx.insert_workflow_version(&row)?;
        tx.put_allowlist(&list)?;
        tx.set_workflow_keys(workspace, wf, &[("K".into(), "s".into())])
    })
    .await
    .unwrap();
    assert_eq!(f.write(move |tx| tx.delete_workflow(workspace, wf)).await, Ok(true));
    assert_eq!(f.write(move |tx| tx.delete_workflow(workspace, wf)).await, Ok(false));
    let gone = move |r: &mut keyward_store::Reader<'_>| {
        Ok(r.workflow(workspace, wf)?.is_none()
            && r.workflow_by_hook(&hash)?.is_none()
            && r.workflow_version(workspace, wf, 1)?.is_none()
            && r.allowlist(workspace, wf)?.is_none()
            && r.workflow_keys(workspace, wf)?.is_empty())
    };
    assert_eq!(f.store.read(gone).await, Ok(true));
}
