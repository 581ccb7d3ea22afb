//! Zygotes and processes: renewed, lost, shut down.
#![expect(unsafe_code, reason = "a signal to a known process has no wrapper in std")]

use crate::helper::{Step, options, sandbox, step};
use keyward_sandbox::{Event, Limits, Options, Outcome, Sandbox, SandboxError};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

const SLEEPS: &str = "await new Promise((done) => setTimeout(done, 30_000))";

/// A field of /proc/<pid>/status.
pub(crate) fn status(pid: u32, field: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.map(|value| value.trim().to_owned())
}

fn parent(pid: u32) -> u32 {
    status(pid, "PPid").and_then(|pid| pid.parse().ok()).expect("it lives")
}

fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).expect("children");
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn is_alive(pid: u32) -> bool {
    status(pid, "State").is_some_and(|state| !state.starts_with(['Z', 'X']))
}

async fn gone(pid: u32) {
    for _ in 0..500 {
        if !is_alive(pid) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("process {pid} still lives");
}

fn kill(pid: u32) {
    let pid = i32::try_from(pid).expect("a process id");
    // SAFETY: plain call, on a process that this test's sandbox started.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// A step that runs until it is stopped, with its process and its zygote's.
async fn sleeping(sandbox: &Sandbox) -> (keyward_sandbox::Session, u32, u32) {
    let session = step(SLEEPS).start(sandbox).await;
    let pid = session.process_id().expect("it runs");
    let zygote = parent(pid);
    (session, pid, zygote)
}

#[tokio::test]
async fn a_killed_zygote_is_replaced() {
    let sandbox = sandbox().await;
    for round in 0..12 {
        let (mut session, pid, zygote) = sleeping(&sandbox).await;
        kill(zygote);
        let Event::Finished(Outcome::Failed(failure)) = session.next().await else {
            panic!("it cannot go on");
        };
        assert_eq!(failure.code, "interrupted", "{failure:?}");
        gone(pid).await;
        let ran = step("return 'again'").run(&sandbox).await;
        assert_eq!(ran.output(), json!("again"), "round {round}");
    }
}

#[tokio::test]
async fn a_zygote_is_renewed_and_its_steps_live_on() {
    let sandbox = sandbox().await;
    let (mut session, pid, first) = sleeping(&sandbox).await;
    let compiled = sandbox.compile("return 1", keyward_sandbox::Language::Javascript).await;
    let javascript: std::sync::Arc<str> = compiled.expect("it compiles").javascript.into();
    for _ in 0..1_010 {
        let start = keyward_sandbox::Start {
            javascript: javascript.clone(),
            trigger: "null".into(),
            steps: "null".into(),
            run: "null".into(),
            item: None,
            credentials: Vec::new(),
        };
        let mut session = sandbox.run(start, Limits::default()).await.expect("it starts");
        assert_eq!(session.next().await, Event::Finished(Outcome::Output("1".into())));
    }
    let mut second = first;
    for _ in 0..100 {
        let (_session, _, zygote) = sleeping(&sandbox).await;
        second = zygote;
        if second != first {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_ne!(second, first, "another zygote forks now");
    assert!(is_alive(pid) && is_alive(first), "the old one lives as long as its step");
    let waited = tokio::time::timeout(Duration::from_millis(50), session.next()).await;
    assert!(waited.is_err(), "the old step still runs: {waited:?}");
    drop(session);
    gone(first).await;
}

#[tokio::test]
async fn many_run_at_once() {
    let sandbox = sandbox().await;
    let mut running = tokio::task::JoinSet::new();
    for i in 0..64 {
        let sandbox = sandbox.clone();
        running.spawn(async move {
            let source =
                format!("await new Promise((done) => setTimeout(done, {})); return {i}", i % 7);
            (step(&source).run(&sandbox).await.output(), i)
        });
    }
    while let Some(done) = running.join_next().await {
        let (output, i) = done.expect("it ends");
        assert_eq!(output, json!(i));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn renewal_under_load_keeps_the_supply() {
    let sandbox = sandbox().await;
    let compiled = sandbox.compile("return 1", keyward_sandbox::Language::Javascript).await;
    let javascript: std::sync::Arc<str> = compiled.expect("it compiles").javascript.into();
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (sandbox, javascript) = (sandbox.clone(), javascript.clone());
        running.spawn(async move {
            for _ in 0..200 {
                let start = keyward_sandbox::Start {
                    javascript: javascript.clone(),
                    trigger: "null".into(),
                    steps: "null".into(),
                    run: "null".into(),
                    item: None,
                    credentials: Vec::new(),
                };
                let mut session = sandbox.run(start, Limits::default()).await.expect("it starts");
                assert_eq!(session.next().await, Event::Finished(Outcome::Output("1".into())));
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done.expect("every step ends");
    }
    // Zygotes that were replaced are gone with their steps, and what waits is what was asked for.
    let (_session, _, zygote) = sleeping(&sandbox).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let waiting = children(zygote).len();
    assert!((1..=1 + options().waiting).contains(&waiting), "{waiting} processes");
}

#[tokio::test]
async fn an_event_is_not_lost_when_waiting_is_given_up() {
    let sandbox = sandbox().await;
    let source = "for (let i = 0; i < 20; i++) { console.log('x'.repeat(5_000) + i); await new Promise((done) => setTimeout(done, 3)) } return 'end'";
    let mut session = step(source).start(&sandbox).await;
    let mut lines = Vec::new();
    loop {
        match tokio::time::timeout(Duration::from_micros(500), session.next()).await {
            Err(_) => {}
            Ok(Event::Log { text, .. }) => lines.push(text[5_000..].to_owned()),
            Ok(Event::Finished(outcome)) => {
                assert_eq!(outcome, Outcome::Output("\"end\"".into()));
                break;
            }
            Ok(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(lines, (0..20).map(|i| i.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn large_inputs_arrive_whole() {
    let sandbox = sandbox().await;
    let trigger = json!({"body": "x".repeat(6 << 20)}).to_string();
    let ran = Step { trigger, ..step("return trigger.body.length") }.run(&sandbox).await;
    assert_eq!(ran.output(), json!(6 << 20));
}

#[tokio::test]
async fn every_way_to_end_leaves_no_process() {
    let sandbox = sandbox().await;
    let (session, pid, _) = sleeping(&sandbox).await;
    drop(session);
    gone(pid).await;
    let limits = Limits { wall_time: Duration::from_millis(50), ..Limits::default() };
    let mut session = Step { limits, ..step(SLEEPS) }.start(&sandbox).await;
    let pid = session.process_id().expect("it runs");
    let Event::Finished(Outcome::Failed(failure)) = session.next().await else { panic!("it ends") };
    assert_eq!(failure.code, "timeout");
    assert_eq!(session.next().await, Event::Finished(Outcome::Failed(failure)), "and stays so");
    gone(pid).await;
    let (mut session, pid, zygote) = sleeping(&sandbox).await;
    sandbox.shutdown().await;
    assert!(matches!(session.next().await, Event::Finished(Outcome::Failed(_))));
    gone(pid).await;
    gone(zygote).await;
    let refused = sandbox.compile("return 1", keyward_sandbox::Language::Javascript).await;
    let shut = keyward_sandbox::CompileFailure::Sandbox(SandboxError::ShutDown);
    assert_eq!(refused.map_err(|error| error.to_string()), Err(shut.to_string()));
    let (session, _, zygote) = sleeping(&crate::helper::sandbox().await).await;
    drop(session);
    gone(zygote).await;
}

#[tokio::test]
async fn a_binary_that_is_no_zygote_is_an_error() {
    for executable in ["/nonexistent/keyward", "/bin/true"] {
        let options = Options { executable: PathBuf::from(executable), ..options() };
        let refused = Sandbox::start(options).await.map(drop);
        assert!(matches!(refused, Err(SandboxError::Unavailable(_))), "{executable}: {refused:?}");
    }
}
