//! Runs: birth, steps, end, and who may write to them.

use crate::fixture::{Fixture, at, conflict, end, id, masked, step};
use keyward_model::audit::Action;
use keyward_model::credential::Sealed;
use keyward_model::error::StepErrorCode;
use keyward_model::id::{NodeId, RunId, WorkflowId};
use keyward_model::run::{NewRun, Origin, RunEnd, RunStatus, StepStatus};
use keyward_store::{Audited, Owned, Page, Reader, RunFilter, RunSecret, StoreError};

async fn born(f: &Fixture, run: &NewRun) -> Owned {
    let run = run.clone();
    f.store.record(move |tx| tx.insert_run(&run)).await.unwrap()
}

async fn stored(f: &Fixture, run: &Owned) -> keyward_model::run::Run {
    let Owned { workspace, run, .. } = *run;
    f.store.read(move |r| r.run(workspace, run)).await.unwrap().expect("a run")
}

pub(crate) async fn a_run_goes_from_birth_to_end(f: &Fixture) {
    let workspace = f.workspace;
    let mut new = f.run();
    new.member = Some(id());
    new.retry_of = Some(id());
    new.origin = Origin::Retry;
    let run = born(f, &new).await;
    assert_eq!(run, Owned { workspace, run: new.id, node: new.node, epoch: 1 });
    let twice = new.clone();
    assert_eq!(conflict(f.store.record(move |tx| tx.insert_run(&twice)).await), "run");

    let mut first = step(0);
    first.status = StepStatus::Waiting;
    first.wake_at = Some(at(1500));
    first.output = None;
    first.error_code = Some(StepErrorCode::Timeout);
    first.error_message = Some(masked("too slow"));
    f.store.record(move |tx| tx.put_step(&run, &first)).await.unwrap();
    let mut second = step(0);
    second.attempt = 2;
    f.store.record(move |tx| tx.put_step(&run, &second)).await.unwrap();
    let last = RunEnd {
        error_code: Some(StepErrorCode::HttpStatus),
        error_message: Some(masked("status 500")),
        error_step: Some("step1".into()),
        ..end(RunStatus::Failed)
    };
    f.store
        .record(move |tx| {
            tx.put_step(&run, &step(1))?;
            tx.end_run(&run, &last)
        })
        .await
        .unwrap();

    let found = stored(f, &run).await;
    assert_eq!((found.status, found.origin), (RunStatus::Failed, Origin::Retry));
    assert_eq!((found.workflow, found.version, found.node), (new.workflow, 3, new.node));
    assert_eq!(
        (found.member, found.retry_of, found.starter),
        (new.member, new.retry_of, new.starter)
    );
    assert_eq!((found.created_at, found.finished_at), (at(1000), Some(at(2000))));
    assert_eq!(found.trigger, new.trigger.as_str());
    let error = found.error.expect("an error");
    assert_eq!((error.code, error.message.as_str()), (StepErrorCode::HttpStatus, "status 500"));
    assert_eq!(found.error_step.as_deref(), Some("step1"));
    let steps = f.store.read(move |r| r.steps(workspace, run.run)).await.unwrap();
    let shown: Vec<_> = steps.iter().map(|s| (s.position, s.attempt, s.status)).collect();
    assert_eq!(shown, [(0, 2, StepStatus::Succeeded), (1, 1, StepStatus::Succeeded)]);
    assert_eq!((&steps[0].wake_at, &steps[0].error), (&None, &None), "of the last attempt alone");
    assert_eq!(steps[0].output.as_deref(), Some(r#"{"ok":true}"#));
    assert_eq!(steps[0].logs, r#"[{"message":"hello"}]"#);
}

pub(crate) async fn lists_are_filtered_and_paged(f: &Fixture) {
    let workspace = f.workspace;
    let credential = id();
    let mut runs = Vec::new();
    for status in [RunStatus::Succeeded, RunStatus::Failed, RunStatus::Running] {
        let new = f.run();
        let run = born(f, &new).await;
        if status.is_final() {
            f.store.record(move |tx| tx.end_run(&run, &end(status))).await.unwrap();
        }
        runs.push(new);
    }
    let used = runs[1].clone();
    let mut event = f.event();
    event.credential = Some(credential);
    event.run = Some(used.id);
    f.store.write(move |_| Ok(Audited::new((), vec![event.clone()]))).await.unwrap();

    let listed = async |filter: RunFilter, page: Page| {
        let list = f.store.read(move |r| r.runs(workspace, &filter, &page)).await.unwrap();
        (list.items.iter().map(|run| run.id).collect::<Vec<_>>(), list.next)
    };
    let any = RunFilter::default;
    let (newest, next) = listed(any(), Page::first(2)).await;
    assert_eq!(newest, [runs[2].id, runs[1].id]);
    born(f, &f.run()).await;
    let (rest, next) = listed(any(), Page { limit: 2, after: next }).await;
    assert_eq!((rest, next), (vec![runs[0].id], None), "a new run does not shift the page");

    let by_status =
        async |status| listed(RunFilter { status: Some(status), ..any() }, Page::first(9)).await.0;
    assert_eq!(by_status(RunStatus::Succeeded).await, [runs[0].id]);
    assert_eq!(by_status(RunStatus::Failed).await, [runs[1].id]);
    assert_eq!(by_status(RunStatus::Running).await.len(), 2);
    for none in [RunStatus::Queued, RunStatus::Waiting, RunStatus::Cancelled] {
        assert_eq!(by_status(none).await, [] as [RunId; 0]);
    }
    let workflow = RunFilter { workflow: Some(runs[0].workflow), ..any() };
    assert_eq!(listed(workflow, Page::first(9)).await.0, [runs[0].id]);
    let used = RunFilter { credential: Some(credential), ..any() };
    assert_eq!(listed(used, Page::first(9)).await.0, [runs[1].id]);
}

pub(crate) async fn nobody_else_writes_to_a_run(f: &Fixture) {
    let run = born(f, &f.run()).await;
    let key = f.store.record(move |tx| tx.set_run_key(&run, b"wrapped")).await;
    assert_eq!(key, Ok(()));
    let ended = born(f, &f.run()).await;
    f.store.record(move |tx| tx.end_run(&ended, &end(RunStatus::Succeeded))).await.unwrap();
    let strangers = [
        Owned { epoch: 2, ..run },
        Owned { epoch: 0, ..run },
        Owned { node: id(), ..run },
        Owned { workspace: id(), ..run },
        Owned { run: id(), ..run },
        ended,
    ];
    for who in strangers {
        let secret =
            RunSecret { id: "a".into(), details: "{}".into(), sealed: Sealed::from_bytes(vec![1]) };
        let results = [
            f.store.record(move |tx| tx.put_step(&who, &step(0))).await,
            f.store.record(move |tx| tx.end_run(&who, &end(RunStatus::Succeeded))).await,
            f.store.record(move |tx| tx.set_waiting(&who, at(1))).await,
            f.store.record(move |tx| tx.set_running(&who)).await,
            f.store.record(move |tx| tx.set_run_key(&who, b"k")).await,
            f.store.record(move |tx| tx.put_run_secret(&who, &secret)).await,
        ];
        for (number, result) in results.into_iter().enumerate() {
            assert_eq!(result, Err(StoreError::LostRun), "{who:?}, write {number}");
        }
    }
    // A refused write takes what its closure wrote before along.
    let stranger = Owned { epoch: 2, ..run };
    let both = f.store.record(move |tx| {
        tx.put_step(&run, &step(5))?;
        tx.put_step(&stranger, &step(6))
    });
    assert_eq!(both.await, Err(StoreError::LostRun));
    let steps = f.store.read(move |r| r.steps(run.workspace, run.run)).await.unwrap();
    assert!(steps.is_empty());
}

pub(crate) async fn a_cancelled_run_stays_cancelled(f: &Fixture) {
    let run = born(f, &f.run()).await;
    let mut started = step(0);
    started.status = StepStatus::Running;
    started.finished_at = None;
    f.store.record(move |tx| tx.put_step(&run, &started)).await.unwrap();
    let Owned { workspace, run: wanted, .. } = run;
    let mut event = f.event();
    event.action = Action::RunCancelled;
    let cancel = move |tx: &mut keyward_store::Tx<'_>| {
        let done = tx.cancel_run(workspace, wanted, at(1800))?;
        Ok(Audited::new(done, vec![event.clone()]))
    };
    let (done, _) = f.store.write(cancel).await.unwrap();
    assert!(done);
    let late = f.store.record(move |tx| tx.end_run(&run, &end(RunStatus::Succeeded))).await;
    assert_eq!(late, Err(StoreError::LostRun));
    let again = f.write(move |tx| tx.cancel_run(workspace, wanted, at(1900))).await;
    assert_eq!(again, Ok(false));
    let found = stored(f, &run).await;
    assert_eq!((found.status, found.finished_at), (RunStatus::Cancelled, Some(at(1800))));
    let steps = f.store.read(move |r| r.steps(workspace, wanted)).await.unwrap();
    assert_eq!((steps[0].status, steps[0].finished_at), (StepStatus::Cancelled, Some(at(1800))));

    assert_eq!(f.write(move |tx| tx.delete_run(workspace, wanted)).await, Ok(true));
    assert_eq!(f.write(move |tx| tx.delete_run(workspace, wanted)).await, Ok(false));
    let left = f.store.read(move |r| r.steps(workspace, wanted)).await.unwrap();
    assert!(left.is_empty());
}

pub(crate) async fn a_no_store_run_leaves_nothing_readable(f: &Fixture) {
    for cancelled in [false, true] {
        let new = NewRun { no_store: true, ..f.run() };
        let run = born(f, &new).await;
        let mut failed = step(0);
        failed.error_code = Some(StepErrorCode::ScriptError);
        failed.error_message = Some(masked("readable"));
        f.store.record(move |tx| tx.put_step(&run, &failed)).await.unwrap();
        let last = RunEnd {
            error_code: Some(StepErrorCode::ScriptError),
            error_message: Some(masked("readable")),
            ..end(RunStatus::Failed)
        };
        match cancelled {
            true => {
                f.write(move |tx| tx.cancel_run(run.workspace, run.run, at(1))).await.map(|_| ())
            }
            false => f.store.record(move |tx| tx.end_run(&run, &last)).await,
        }
        .unwrap();
        let found = stored(f, &run).await;
        assert!(found.no_store && found.trigger.is_empty());
        let error = found.error.expect("a code stays");
        assert_eq!(error.message, "");
        let steps = f.store.read(move |r| r.steps(run.workspace, run.run)).await.unwrap();
        let kept = &steps[0];
        assert_eq!((&kept.input, &kept.output), (&None, &None));
        assert_eq!((kept.logs.as_str(), kept.seals.as_str()), ("[]", "{}"));
        let error = kept.error.as_ref().expect("a code stays");
        assert_eq!((error.code, error.message.as_str()), (StepErrorCode::ScriptError, ""));
    }
}

pub(crate) async fn secrets_go_with_the_run(f: &Fixture) {
    let run = born(f, &f.run()).await;
    let Owned { workspace, run: wanted, .. } = run;
    let secret = |id: &str, byte| RunSecret {
        id: id.into(),
        details: r#"{"from":"trigger"}"#.into(),
        sealed: Sealed::from_bytes(vec![byte; 60]),
    };
    let early = secret("b", 1);
    let refused = f.store.record(move |tx| tx.put_run_secret(&run, &early)).await;
    assert_eq!(refused, Err(StoreError::LostRun), "no secret without a key to clear it by");
    f.store.record(move |tx| tx.set_run_key(&run, b"wrapped")).await.unwrap();
    for secret in [secret("b", 1), secret("a", 2), secret("b", 3)] {
        f.store.record(move |tx| tx.put_run_secret(&run, &secret)).await.unwrap();
    }
    let key = f.store.read(move |r| r.run_key(workspace, wanted)).await;
    assert_eq!(key, Ok(Some(b"wrapped".to_vec())));
    let found = f.store.read(move |r| r.run_secrets(workspace, wanted)).await;
    assert_eq!(found, Ok(vec![secret("a", 2), secret("b", 3)]));
    let found = f.store.read(move |r| r.run_secret(workspace, wanted, "a")).await;
    assert_eq!(found, Ok(Some(secret("a", 2))));

    f.store.record(move |tx| tx.end_run(&run, &end(RunStatus::Succeeded))).await.unwrap();
    assert_eq!(f.store.read(move |r| r.run_key(workspace, wanted)).await, Ok(None));
    assert_eq!(f.store.read(move |r| r.run_secrets(workspace, wanted)).await, Ok(vec![]));
    assert!(!stored(f, &run).await.trigger.is_empty(), "the rest stays");
}

pub(crate) async fn runs_are_taken_over(f: &Fixture) {
    let (dead, alive): (NodeId, NodeId) = (id(), id());
    let open = born(f, &NewRun { node: dead, ..f.run() }).await;
    let ended = born(f, &NewRun { node: dead, ..f.run() }).await;
    let other = born(f, &f.run()).await;
    f.store.record(move |tx| tx.end_run(&ended, &end(RunStatus::Succeeded))).await.unwrap();

    assert_eq!(f.store.read(move |r| r.count_open_runs(dead)).await, Ok(1));
    let taken = f.store.record(move |tx| tx.take_over(dead, alive)).await.unwrap();
    let mine = Owned { node: alive, epoch: 2, ..open };
    assert_eq!(taken, [mine]);
    assert_eq!(f.store.record(move |tx| tx.take_over(dead, alive)).await, Ok(vec![]));
    let late = f.store.record(move |tx| tx.put_step(&open, &step(0))).await;
    assert_eq!(late, Err(StoreError::LostRun));

    // After a restart the node takes its own runs anew, so that its earlier self cannot write.
    let again = f.store.record(move |tx| tx.take_over(alive, alive)).await.unwrap();
    assert_eq!(again, [Owned { epoch: 3, ..mine }]);
    let now = again[0];
    f.store.record(move |tx| tx.end_run(&now, &end(RunStatus::Succeeded))).await.unwrap();
    f.store.record(move |tx| tx.put_step(&other, &step(0))).await.unwrap();
}

pub(crate) async fn waiting_runs_become_due(f: &Fixture) {
    let node: NodeId = id();
    let late = born(f, &NewRun { node, ..f.run() }).await;
    let early = born(f, &NewRun { node, ..f.run() }).await;
    let awake = born(f, &NewRun { node, ..f.run() }).await;
    for (run, wake_at) in [(late, 300), (early, 200), (awake, 100)] {
        f.store.record(move |tx| tx.set_waiting(&run, at(wake_at))).await.unwrap();
    }
    assert_eq!(stored(f, &late).await.status, RunStatus::Waiting);
    f.store.record(move |tx| tx.set_running(&awake)).await.unwrap();
    let due =
        async |now, limit| f.store.read(move |r| r.due_runs(node, at(now), limit)).await.unwrap();
    assert_eq!(due(199, 9).await, []);
    assert_eq!(due(200, 9).await, [early]);
    assert_eq!(due(900, 9).await, [early, late]);
    assert_eq!(due(900, 1).await, [early]);
}

pub(crate) async fn old_runs_are_found_with_how_they_ended(f: &Fixture) {
    let workspace = f.workspace;
    let (first, second) = (id(), id());
    let mut runs = Vec::new();
    for (number, workflow) in [first, first, first, second].into_iter().enumerate() {
        let run = born(f, &NewRun { workflow, ..f.run() }).await;
        let last = match number {
            0 => RunEnd {
                error_code: Some(StepErrorCode::HttpStatus),
                error_step: Some("step0".into()),
                ..end(RunStatus::Failed)
            },
            _ => end(RunStatus::Succeeded),
        };
        f.store
            .record(move |tx| {
                tx.put_step(&run, &step(0))?;
                tx.end_run(&run, &last)
            })
            .await
            .unwrap();
        runs.push(run.run);
    }
    let open = born(f, &NewRun { workflow: first, ..f.run() }).await;
    let old = async |workflow, before, limit| {
        let read = move |r: &mut Reader<'_>| r.old_runs(workspace, workflow, at(before), limit);
        f.store.read(read).await.unwrap()
    };
    let ids = async |workflow, before, limit| {
        old(workflow, before, limit).await.into_iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(first, 2000, 9).await, [], "ended at 2000, so not before");
    assert_eq!(ids(first, 2001, 2).await, runs[..2], "oldest first");
    assert_eq!(ids(first, 9999, 9).await, runs[..3], "an open run is never old");
    assert_eq!(ids(second, 2001, 9).await, runs[3..]);
    let found = old(first, 2001, 2).await;
    assert_eq!(found[0].status, RunStatus::Failed);
    assert_eq!(found[0].error_code, Some(StepErrorCode::HttpStatus));
    assert_eq!(found[0].error_step.as_deref(), Some("step0"));
    assert_eq!((found[1].status, found[1].error_code), (RunStatus::Succeeded, None));

    let gone = runs[0];
    assert!(f.write(move |tx| tx.delete_run(workspace, gone)).await.unwrap());
    assert!(!f.write(move |tx| tx.delete_run(workspace, gone)).await.unwrap(), "gone already");
    assert_eq!(ids(first, 2001, 9).await, runs[1..3]);
    assert!(f.store.read(move |r| r.run(workspace, gone)).await.unwrap().is_none());
    assert!(f.store.read(move |r| r.steps(workspace, gone)).await.unwrap().is_empty());
    assert_eq!(stored(f, &open).await.status, RunStatus::Running);

    // The workflows need not exist any more: these never did.
    let mut met = Vec::new();
    let mut after = String::new();
    loop {
        let at = after.clone();
        let next = move |r: &mut Reader<'_>| r.next_workflow_with_runs(workspace, &at);
        let Some(next) = f.store.read(next).await.unwrap() else { break };
        met.push(next.clone());
        after = next;
    }
    assert_eq!(met, [first, second].map(|id: WorkflowId| id.to_string()));
}

pub(crate) async fn a_nul_does_not_stop_a_run(f: &Fixture) {
    let run = born(f, &f.run()).await;
    let mut step = step(0);
    step.error_message = Some(masked("a\0b"));
    step.error_code = Some(StepErrorCode::ScriptError);
    f.store.record(move |tx| tx.put_step(&run, &step)).await.unwrap();
    let steps = f.store.read(move |r| r.steps(run.workspace, run.run)).await.unwrap();
    assert_eq!(steps[0].error.as_ref().unwrap().message, "a\u{fffd}b");
}
