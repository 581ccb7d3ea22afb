//! `cargo xtask bench rewrap`: how fast 100,000 version keys are wrapped anew under a new workspace
//! key, beside a server whose runs read a credential without a pause. One failed run ends it.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::http::{Connection, Url, request};
use super::load::{self, Target};
use super::server::Server;
use super::subject;
use crate::workspace;

const COUNT: &str = "100000";
const READERS: usize = 4;
/// The reader's load is cut into pieces, so that it can end when the rewrapping does.
const PIECE: Duration = Duration::from_secs(1);
const SECRET: &str = "a value that nobody can guess";

/// Sets up a server with so many version keys, replaces the workspace's key under load, and prints
/// what it took.
pub(super) fn run(folder: &Path) -> Result<()> {
    let keyward = workspace::build_keyward(true)?;
    let subject = subject::keyward(keyward.clone(), folder.to_owned());
    let fill = workspace::build_example("fill")?;
    (subject.prepare)(&subject)?;
    println!("filling with {COUNT} version keys");
    workspace::output(Command::new(fill).arg(folder.join("data")).arg(COUNT))?;
    let server = Server::start(&subject)?;
    let target = reader(&server, folder)?;
    let over = AtomicBool::new(false);
    let (report, runs, slowest) = std::thread::scope(|scope| {
        let load = scope.spawn(|| read(&target, &over));
        let report = rotate(&keyward, folder);
        over.store(true, Ordering::SeqCst);
        let (runs, slowest) = load.join().ok().context("the load panicked")??;
        Ok::<_, anyhow::Error>((report?, runs, slowest))
    })?;
    let part = report.pointer("/workspaces/0").context("no workspace in the report")?;
    let number = |name: &str| part.get(name).and_then(Value::as_f64).unwrap_or_default();
    let (rewrapped, seconds) = (number("rewrapped"), number("seconds"));
    ensure!(number("unreadable") == 0.0, "records could not be read: {report}");
    println!("| version keys | seconds | records/s | runs beside it | failed | slowest p99 ms |");
    println!("|---|---|---|---|---|---|");
    let (rate, slowest) = (rewrapped / seconds, slowest.as_secs_f64() * 1e3);
    println!("| {rewrapped} | {seconds:.1} | {rate:.0} | {runs} | 0 | {slowest:.1} |");
    server.stop()
}

/// Runs without a pause until it is over; gives their number and the worst second's p99.
fn read(target: &Target, over: &AtomicBool) -> Result<(usize, Duration)> {
    let (mut runs, mut slowest) = (0, Duration::ZERO);
    while !over.load(Ordering::SeqCst) {
        let sample = load::run(target, READERS, PIECE, usize::MAX).context("a run failed")?;
        runs += sample.requests;
        slowest = slowest.max(sample.p99);
    }
    Ok((runs, slowest))
}

fn rotate(keyward: &Path, folder: &Path) -> Result<Value> {
    let begun = Instant::now();
    let mut command = Command::new(keyward);
    command.args(["key", "rotate", "--json", "--workspace", "default", "--data-dir"]);
    let printed = workspace::output(command.arg(folder.join("data")))?;
    println!("key rotate took {:.1} s in all", begun.elapsed().as_secs_f64());
    serde_json::from_slice(&printed).context("key rotate printed no JSON")
}

/// A hook whose code reads a credential and answers how long its value is.
fn reader(server: &Server, folder: &Path) -> Result<Target> {
    let token = std::fs::read_to_string(folder.join("token"))?;
    let call = |path: &str, body: &Value| -> Result<Value> {
        let url = server.url().at(&format!("/api/v1/workspaces/default/{path}"));
        let bytes = request("POST", &url, Some(token.trim()), &body.to_string());
        let response = Connection::open(&url)?.exchange(&bytes)?;
        let text = String::from_utf8_lossy(&response.body);
        ensure!(response.status == 201, "{path}: {} {text}", response.status);
        Ok(serde_json::from_slice(&response.body)?)
    };
    let credential = json!({
        "key": "READER", "type": "api_key", "fields": { "value": SECRET },
        "code_access": "readable",
    });
    call("credentials", &credential)?;
    let workflow = call(
        "workflows",
        &json!({
            "name": "Reader",
            "trigger": { "kind": "http", "method": "POST", "respond": "result" },
            "steps": [{
                "id": "read", "kind": "code",
                "source": "return { length: credential('READER').length };",
            }],
        }),
    )?;
    let trigger = workflow.get("trigger_url").and_then(Value::as_str).context("no trigger_url")?;
    Ok(Target {
        url: server.url().at(&Url::parse(trigger)?.path),
        body: "{}".to_owned(),
        expected: json!({ "length": SECRET.len() }),
    })
}
