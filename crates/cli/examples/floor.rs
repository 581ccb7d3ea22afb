//! The floor under the benchmark: the same HTTP stack, the same two durable commits and a confined
//! process for each request, without any engine, vault, workflow or masking. What Keyward does
//! beside this is what its own figures are about. Run by `cargo xtask bench`.
#![expect(clippy::print_stdout, reason = "the ready line")]

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use bytes::Bytes;
use keyward_model::actor::Actor;
use keyward_model::clock::Timestamp;
use keyward_model::id::{MemberId, NodeId, RunId, WorkflowId, WorkspaceId};
use keyward_model::mask::Masked;
use keyward_model::run::{NewRun, NewStep, Origin, RunEnd, RunStatus, StepStatus};
use keyward_sandbox::{Event, Language, Limits, Options, Outcome, Sandbox, Start};
use keyward_store::{Store, Target};
use keyward_vault::fresh_id;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Clone)]
struct Floor {
    store: Store,
    sandbox: Sandbox,
    javascript: Arc<str>,
    ids: (WorkspaceId, WorkflowId, MemberId, NodeId),
}

/// `floor KEYWARD DATABASE SOURCE`: the binary with the sandbox, a SQLite file, the script.
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let executable = PathBuf::from(arguments.next().context("the keyward binary")?);
    let store = Store::open(&Target::Sqlite(arguments.next().context("a database")?.into()))?;
    let source = arguments.next().context("the script")?;
    let sandbox = Sandbox::start(Options {
        executable,
        arguments: vec!["sandbox".into()],
        waiting: 4,
        require_all_walls: false,
        unsafe_sandbox: false,
    })
    .await?;
    let compiled = sandbox.compile(&source, Language::Javascript).await?;
    let now = now();
    let ids = (fresh_id(now), fresh_id(now), fresh_id(now), fresh_id(now));
    let floor = Floor { store, sandbox, javascript: compiled.javascript.into(), ids };
    let service = Router::new()
        .route("/readyz", get(|| async { "ready" }))
        .route("/run", post(run))
        .with_state(floor);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("floor listening on http://{}", listener.local_addr()?);
    axum::serve(listener, service).with_graceful_shutdown(terminated()).await?;
    Ok(())
}

async fn run(State(floor): State<Floor>, body: Bytes) -> Result<String, String> {
    answer(&floor, &body).await.map_err(|error| error.to_string())
}

async fn answer(floor: &Floor, body: &[u8]) -> anyhow::Result<String> {
    let trigger = format!("{{\"body\":{}}}", std::str::from_utf8(body)?);
    let new = new_run(floor);
    let owned = floor.store.record(move |tx| tx.insert_run(&new)).await?;
    let start = Start {
        javascript: floor.javascript.clone(),
        trigger: trigger.into(),
        steps: "{}".into(),
        run: "{}".into(),
        item: None,
        credentials: Vec::new(),
    };
    let mut session = floor.sandbox.run(start, Limits::default()).await?;
    let output = loop {
        match session.next().await {
            Event::Finished(Outcome::Output(output)) => break output,
            Event::Finished(Outcome::Failed(failure)) => anyhow::bail!(failure.message),
            _ => {}
        }
    };
    let (step, end) = (new_step(), end());
    let write = move |tx: &mut keyward_store::RunTx<'_>| {
        tx.put_step(&owned, &step)?;
        tx.end_run(&owned, &end)
    };
    floor.store.record(write).await?;
    Ok(output.into())
}

fn new_run(floor: &Floor) -> NewRun {
    let (workspace, workflow, member, node) = floor.ids;
    NewRun {
        workspace,
        id: fresh_id::<RunId>(now()),
        workflow,
        version: 1,
        origin: Origin::Hook,
        starter: Actor::system(),
        member: Some(member),
        seals: "{}".into(),
        trigger: Masked::from_static(
            r#"{"padding":"as long as a small event is, which is about three hundred bytes of JSON with its headers and query and method and path and body"}"#,
        ),
        no_store: false,
        withheld: false,
        retry_of: None,
        node,
        created_at: now(),
    }
}

fn new_step() -> NewStep {
    NewStep {
        position: 0,
        step: "pick".into(),
        kind: "code".into(),
        status: StepStatus::Succeeded,
        attempt: 1,
        wake_at: None,
        started_at: now(),
        finished_at: Some(now()),
        input: None,
        output: Some(Masked::from_static(r#"{"padding":"as long as a small output is"}"#)),
        error_code: None,
        error_message: None,
        logs: Masked::from_static("[]"),
        credentials: "[]".into(),
        seals: "{}".into(),
    }
}

fn end() -> RunEnd {
    RunEnd {
        status: RunStatus::Succeeded,
        error_code: None,
        error_message: None,
        error_step: None,
        finished_at: now(),
    }
}

fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

async fn terminated() {
    let signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    if let Ok(mut signal) = signal {
        signal.recv().await;
    }
}
