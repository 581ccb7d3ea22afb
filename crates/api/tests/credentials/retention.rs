//! How long runs are kept: as their workflow says, or else as the workspace's settings do.

use super::{DAY, Fixture};
use axum::http::Method;
use keyward_engine::Engine;
use keyward_model::id::WorkflowId;
use keyward_model::settings::{Settings, WorkspaceSettings};
use keyward_model::tag::{Granting, Tagged};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// Saves a workflow and runs it once; gives the ids of both.
async fn ran(f: &Fixture, settings: Value) -> (String, String) {
    let workflow = json!({
        "name": "W", "trigger": {"kind": "manual"}, "settings": settings,
        "steps": [{"id": "s", "kind": "code", "source": "return 1;"}],
    });
    let (status, saved) = f.send(Method::POST, "workflows", workflow).await;
    assert_eq!(status, 201, "{saved}");
    let id = saved["id"].as_str().unwrap().to_owned();
    let path = format!("workflows/{id}/runs");
    let (status, run) = f.send(Method::POST, &path, json!({"wait": true})).await;
    assert_eq!((status, &run["status"]), (200, &json!("succeeded")), "{run}");
    (id, run["id"].as_str().unwrap().to_owned())
}

/// Which of the runs are still there.
async fn kept(f: &Fixture, runs: &[&str]) -> Vec<bool> {
    let mut kept = Vec::new();
    for run in runs {
        let (status, _) = f.send(Method::GET, &format!("runs/{run}"), Value::Null).await;
        kept.push(status == 200);
    }
    kept
}

/// The same row as somebody without the keys writes it.
fn forged<T: Granting + Clone>(row: &Tagged<T>) -> Tagged<T> {
    Tagged::stored(row.parts().0.clone(), [0; 32])
}

#[tokio::test]
async fn runs_are_kept_as_the_workspace_says_and_one_bad_row_stops_no_purge() {
    let f = Fixture::new().await;
    let engine = Engine::new(f.vault.clone(), f.sandbox.clone(), f.vault.fresh());
    let (forged_id, of_forged) = ran(&f, json!({})).await;
    let (_, plain) = ran(&f, json!({})).await;
    let (_, longer) = ran(&f, json!({"retention_days": 5})).await;
    let runs = [of_forged.as_str(), plain.as_str(), longer.as_str()];
    let (status, _) = f.send(Method::PATCH, "settings", json!({"retention_days": 2})).await;
    assert_eq!(status, 200);
    let forged_id: WorkflowId = forged_id.parse().unwrap();
    let workspace = f.workspace;
    f.write(move |tx| {
        let row = tx.workflow(workspace, forged_id)?.unwrap();
        tx.update_workflow(&forged(&row), row.parts().0.revision)
    })
    .await;
    f.time.fetch_add(DAY, Ordering::SeqCst);
    engine.purge().await;
    assert_eq!(kept(&f, &runs).await, [true, true, true]);
    f.time.fetch_add(2 * DAY, Ordering::SeqCst);
    engine.purge().await;
    assert_eq!(kept(&f, &runs).await, [true, false, true]);

    // With settings that are not the server's, only what a workflow itself says is thrown away.
    let (_, plain) = ran(&f, json!({})).await;
    let settings = Settings { retention_days: 1, ..Settings::default() };
    let row = WorkspaceSettings { workspace, settings, revision: 9 };
    let row = Tagged::stored(row, [0; 32]);
    f.write(move |tx| tx.put_settings(&row)).await;
    f.time.fetch_add(9 * DAY, Ordering::SeqCst);
    engine.purge().await;
    assert_eq!(kept(&f, &[&plain, &longer]).await, [true, false]);
    f.end().await;
}

#[tokio::test]
async fn runs_of_deleted_workflows_end_with_the_workspaces_time_and_the_audit_tells_how() {
    let f = Fixture::new().await;
    let engine = Engine::new(f.vault.clone(), f.sandbox.clone(), f.vault.fresh());
    let (status, _) = f.send(Method::PATCH, "settings", json!({"retention_days": 2})).await;
    assert_eq!(status, 200);
    let text = "ordinary-words-of-an-old-run";
    let steps = |source: &str| json!([{"id": "s", "kind": "code", "source": source}]);
    let mut runs = Vec::new();
    for (steps, settings) in [
        (steps("return trigger.body.text;"), json!({"retention_days": 1})),
        (steps("console.log(trigger.body.text); throw new Error(trigger.body.text);"), json!({})),
    ] {
        let workflow = json!({
            "name": "W", "trigger": {"kind": "manual"}, "settings": settings, "steps": steps,
        });
        let (status, saved) = f.send(Method::POST, "workflows", workflow).await;
        assert_eq!(status, 201, "{saved}");
        let id = saved["id"].as_str().unwrap().to_owned();
        let body = json!({"wait": true, "payload": {"text": text}});
        let (_, run) = f.send(Method::POST, &format!("workflows/{id}/runs"), body).await;
        let (status, _) = f.send(Method::DELETE, &format!("workflows/{id}"), Value::Null).await;
        assert_eq!(status, 204);
        runs.push(run["id"].as_str().unwrap().to_owned());
    }
    let ids: Vec<&str> = runs.iter().map(String::as_str).collect();
    f.time.fetch_add(2 * DAY - 60_000, Ordering::SeqCst);
    engine.purge().await;
    assert_eq!(kept(&f, &ids).await, [true, true]);
    assert!(!f.found(text).is_empty());
    f.time.fetch_add(120_000, Ordering::SeqCst);
    engine.purge().await;
    assert_eq!(kept(&f, &ids).await, [false, false]);
    engine.scrub().await;
    assert_eq!(f.found(text), Vec::<String>::new());
    let told = f.get("audit?action=run.deleted").await;
    let of = |event: &Value| {
        assert_eq!(event["actor"]["kind"], "system", "{event}");
        let run = event["run_id"].as_str().unwrap().to_owned();
        (run, event["reason"].clone(), event["step_id"].clone())
    };
    let mut told: Vec<_> = told["items"].as_array().unwrap().iter().map(of).collect();
    let [first, second] = [runs[0].clone(), runs[1].clone()];
    let mut expected = vec![
        (first, json!("retention: succeeded"), Value::Null),
        (second, json!("retention: failed (script_error)"), json!("s")),
    ];
    told.sort_by(|a, b| a.0.cmp(&b.0));
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(told, expected);
    // Nothing is left to do, and so nothing is written.
    engine.purge().await;
    assert_eq!(f.get("audit?action=run.deleted").await["items"].as_array().unwrap().len(), 2);
    f.end().await;
}
