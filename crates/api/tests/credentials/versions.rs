//! What a workspace's settings and time do to the versions of a value.

use super::{DAY, Fixture, SECRET};
use axum::http::Method;
use keyward_engine::Engine;
use keyward_model::id::CredentialId;
use keyward_model::settings::{Settings, WorkspaceSettings};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// Changes the workspace's settings.
async fn set(f: &Fixture, change: impl FnOnce(&mut Settings)) {
    let workspace = f.workspace;
    let row = f.vault.store().read(move |tx| tx.settings(workspace)).await.unwrap().unwrap();
    let before = f.vault.verify(workspace, row).await.unwrap();
    let expected = before.revision;
    let mut after = WorkspaceSettings { revision: expected + 1, ..before };
    change(&mut after.settings);
    let row = f.vault.sign(workspace, after).await.unwrap();
    f.write(move |tx| tx.update_settings(&row, expected)).await;
}

async fn post(f: &Fixture, id: &str, path: &str, body: Value) -> (u16, Value) {
    f.send(Method::POST, &format!("credentials/{id}/{path}"), body).await
}

async fn stage(f: &Fixture, id: &str) {
    let body = json!({"fields": {"value": format!("{SECRET}-2")}});
    let (status, staged) = post(f, id, "versions", body).await;
    assert_eq!((status, &staged["version"]), (201, &json!(2)), "{staged}");
}

/// The numbers of the versions that are in the database.
async fn stored(f: &Fixture, id: &str) -> Vec<i64> {
    let (workspace, id): (_, CredentialId) = (f.workspace, id.parse().unwrap());
    let mut found = Vec::new();
    for number in 1..=4 {
        let row = f.vault.store().read(move |tx| tx.credential_version(workspace, id, number));
        found.extend(row.await.unwrap().map(|row| row.version));
    }
    found
}

/// Who destroyed versions, and which, newest first.
async fn shredded(f: &Fixture, id: &str) -> Vec<String> {
    let audit = f.get(&format!("credentials/{id}/audit")).await;
    let items = audit["items"].as_array().unwrap().iter();
    let of = items.filter(|entry| entry["action"] == "credential.shredded");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    of.map(|e| format!("{} {}", text(&e["actor"]["kind"]), text(&e["reason"]))).collect()
}

#[tokio::test]
async fn a_workspace_can_ask_for_a_passed_test() {
    let f = Fixture::new().await;
    set(&f, |settings| settings.require_version_test = true).await;
    let id = f.api_key("K").await;
    stage(&f, &id).await;
    let (status, problem) = post(&f, &id, "versions/2/promote", Value::Null).await;
    assert_eq!((status, &problem["code"]), (409, &json!("conflict")));
    assert!(problem["detail"].as_str().unwrap().contains("wants a staged version tested"));
    let rotation = f.get(&format!("credentials/{id}/rotation")).await;
    let step = |at: usize| &rotation["steps"][at];
    let path = format!("/api/v1/workspaces/{}/credentials/{id}", f.workspace);
    assert_eq!(step(1)["call"]["method"], "PATCH", "{rotation}");
    assert_eq!(step(1)["call"]["path"], path.as_str());
    assert_eq!(step(2)["call"], Value::Null);

    // What no request reaches does not pass.
    let test = json!({"test": {"method": "GET", "url": "http://127.0.0.1:1/me"}});
    assert_eq!(f.send(Method::PATCH, &format!("credentials/{id}"), test).await.0, 200);
    let (status, outcome) = post(&f, &id, "versions/2/test", Value::Null).await;
    assert_eq!((status, &outcome["ok"]), (200, &json!(false)), "{outcome}");
    assert_eq!(post(&f, &id, "versions/2/promote", Value::Null).await.0, 409);
    set(&f, |settings| settings.require_version_test = false).await;
    assert_eq!(post(&f, &id, "versions/2/promote", Value::Null).await.0, 200);
    f.end().await;
}

#[tokio::test]
async fn without_grace_the_earlier_value_is_gone_with_the_promotion() {
    let f = Fixture::new().await;
    set(&f, |settings| settings.grace_days = 0).await;
    let id = f.api_key("K").await;
    stage(&f, &id).await;
    assert_eq!(stored(&f, &id).await, [1, 2]);
    assert_eq!(post(&f, &id, "versions/2/promote", Value::Null).await.0, 200);
    assert_eq!(stored(&f, &id).await, [2]);
    assert_eq!(shredded(&f, &id).await, ["member version 1"]);
    assert_eq!(f.get(&format!("credentials/{id}/rotation")).await["state"], "idle");
    let (status, problem) = post(&f, &id, "versions/1/rollback", Value::Null).await;
    assert_eq!(status, 409);
    assert!(problem["detail"].as_str().unwrap().contains("grace period is over"), "{problem}");
    f.end().await;
}

#[tokio::test]
async fn after_its_grace_the_earlier_value_is_destroyed() {
    let f = Fixture::new().await;
    let engine = Engine::new(f.vault.clone(), f.sandbox.clone(), f.vault.fresh());
    let id = f.api_key("K").await;
    stage(&f, &id).await;
    assert_eq!(post(&f, &id, "versions/2/promote", Value::Null).await.0, 200);
    f.time.fetch_add(7 * DAY - 60_000, Ordering::SeqCst);
    engine.shred_due().await;
    assert_eq!(stored(&f, &id).await, [1, 2]);
    assert_eq!(f.get(&format!("credentials/{id}/rotation")).await["state"], "promoted");
    f.time.fetch_add(60_000, Ordering::SeqCst);
    // Over is over, also before anybody has come to clear it away.
    assert_eq!(post(&f, &id, "versions/1/rollback", Value::Null).await.0, 409);
    engine.shred_due().await;
    assert_eq!(stored(&f, &id).await, [2]);
    assert_eq!(shredded(&f, &id).await, ["system version 1"]);
    assert_eq!(f.get(&format!("credentials/{id}/rotation")).await["state"], "idle");
    f.end().await;
}

#[tokio::test]
async fn a_version_past_its_date_is_not_promoted() {
    let f = Fixture::new().await;
    let id = f.api_key("K").await;
    let at = keyward_model::clock::Timestamp::from_millis(f.vault.now().millis() + DAY);
    let body = json!({"fields": {"value": format!("{SECRET}-2")}, "expires_at": at});
    assert_eq!(post(&f, &id, "versions", body).await.0, 201);
    f.time.fetch_add(DAY, Ordering::SeqCst);
    let (status, problem) = post(&f, &id, "versions/2/promote", Value::Null).await;
    assert_eq!(status, 409);
    assert!(problem["detail"].as_str().unwrap().contains("date has passed"), "{problem}");
    f.end().await;
}

#[tokio::test]
async fn a_template_changed_since_is_held_against_the_version() {
    let f = Fixture::new().await;
    let made = f
        .create(json!({"key": "K", "type": "custom", "fields": {"token": SECRET},
            "template": {"headers": {"X-Token": "{{ token }}"}}}))
        .await;
    let id = made["id"].as_str().unwrap();
    let staged = json!({"fields": {"token": format!("{SECRET}-2")}});
    assert_eq!(post(&f, id, "versions", staged).await.0, 201);
    let change = json!({"fields": {"account": {"value": "7", "secret": false}},
        "template": {"headers": {"X-Token": "{{ token }} {{ account }}"}}});
    assert_eq!(f.send(Method::PATCH, &format!("credentials/{id}"), change).await.0, 200);
    let path = format!("credentials/{id}/versions/2/promote");
    let expected = ["/template/headers/X-Token unknown_field"];
    f.refused(Method::POST, &path, Value::Null, &expected).await;
    f.end().await;
}
