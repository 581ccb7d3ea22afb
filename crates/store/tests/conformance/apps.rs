//! The apps of a workspace's own.

use crate::fixture::{Fixture, at, conflict, id, open, sign};
use keyward_model::catalogue::{AppSource, WorkspaceApp};
use keyward_model::saved_workflow::{Workflow, WorkflowVersion};

pub(crate) fn own_app(f: &Fixture, name: &str) -> WorkspaceApp {
    WorkspaceApp {
        workspace: f.workspace,
        id: name.to_owned(),
        manifest: format!(r#"{{"id":"{name}","name":"Größe"}}"#),
        source: AppSource::Openapi,
        author: id(),
        created_at: at(1),
        updated_at: at(2),
        revision: 1,
    }
}

pub(crate) async fn own_apps_come_and_go(f: &Fixture) {
    let workspace = f.workspace;
    let (one, two) = (own_app(f, "one"), own_app(f, "two"));
    let elsewhere = WorkspaceApp { workspace: id(), ..own_app(f, "one") };
    for app in [&two, &one, &elsewhere] {
        let row = sign(app.clone());
        f.write(move |tx| tx.insert_app(&row)).await.unwrap();
    }
    let again = sign(one.clone());
    assert_eq!(conflict(f.write(move |tx| tx.insert_app(&again)).await), "app id");
    let found = |name: &'static str| f.store.read(move |r| r.app(workspace, name));
    assert_eq!(found("one").await.unwrap().map(open), Some(one.clone()));
    assert!(found("three").await.unwrap().is_none());
    let tags = || f.store.read(move |r| r.app_tags(workspace));
    let expected = [&one, &two].map(|app| (app.id.clone(), *sign(app.clone()).parts().1));
    assert_eq!(tags().await.unwrap(), expected);
    assert_eq!(f.store.read(move |r| r.count_apps(workspace)).await, Ok(2));

    let next = WorkspaceApp {
        manifest: "{}".into(),
        source: AppSource::Uploaded,
        author: id(),
        updated_at: at(3),
        revision: 2,
        ..one.clone()
    };
    let row = sign(next.clone());
    let tag = *row.parts().1;
    let stale = row.clone();
    f.write(move |tx| tx.update_app(&row, 1)).await.unwrap();
    assert_eq!(conflict(f.write(move |tx| tx.update_app(&stale, 1)).await), "revision");
    assert_eq!(found("one").await.unwrap().map(open), Some(next));
    let one_tag = f.store.read(move |r| r.app_tag(workspace, "one")).await.unwrap();
    assert_eq!(one_tag, Some(tag));
    assert_eq!(f.store.read(move |r| r.app_tag(workspace, "three")).await.unwrap(), None);

    let users = || f.store.read(move |r| r.users_of_app(workspace, "my_app"));
    assert_eq!(users().await.unwrap(), (0, Vec::new()));
    for (key, app) in [("A", "my_app"), ("B", "myxapp"), ("C", "my_app")] {
        let mut credential = f.credential(key);
        credential.details.app = Some(app.into());
        let row = sign(credential);
        f.write(move |tx| tx.insert_credential(&row)).await.unwrap();
    }
    let head = Workflow { version: 2, ..f.workflow("W") };
    let version = |number, definition: &str| WorkflowVersion {
        workspace,
        workflow: head.id,
        version: number,
        author: id(),
        definition: definition.into(),
        compiled: "{}".into(),
        created_at: at(1),
    };
    let rows = (sign(version(1, "old my_app")), sign(version(2, "new my_app")), sign(head.clone()));
    f.write(move |tx| {
        tx.insert_workflow(&rows.2)?;
        tx.insert_workflow_version(&rows.0)?;
        tx.insert_workflow_version(&rows.1)
    })
    .await
    .unwrap();
    assert_eq!(users().await.unwrap(), (2, vec!["new my_app".to_owned()]));

    let delete = || f.write(move |tx| tx.delete_app(workspace, "one"));
    assert!(delete().await.unwrap());
    assert!(!delete().await.unwrap());
    assert_eq!(tags().await.unwrap().len(), 1);
    let other = elsewhere.workspace;
    let kept = f.store.read(move |r| r.app(other, "one")).await.unwrap();
    assert_eq!(kept.map(open), Some(elsewhere), "another workspace's stays");
}
