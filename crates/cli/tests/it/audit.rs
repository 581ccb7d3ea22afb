//! The audit trail from outside: exports, retention, sinks, and what is recorded of refusals.

mod export;
mod large;
mod names;
mod refusals;
mod required;
mod retention;
mod sinks;

use crate::scene::Scene;
use crate::server::Server;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The lines of a kept file or export that are records.
fn records(text: &str) -> Vec<Value> {
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["number"].is_i64() && line.get("mac").is_some()).collect()
}

/// Each chain's records by number, however often and in whatever batches they came.
fn chains(records: &[Value]) -> BTreeMap<String, BTreeMap<i64, Value>> {
    let mut chains: BTreeMap<String, BTreeMap<i64, Value>> = BTreeMap::new();
    for record in records {
        let stream = record["stream"].as_str().unwrap().to_owned();
        let number = record["number"].as_i64().unwrap();
        let chain = chains.entry(stream).or_default();
        if let Some(before) = chain.insert(number, record.clone()) {
            assert_eq!(before, *record, "a record that comes twice is the same");
        }
    }
    chains
}

/// Exports the whole trail by the command; the file is kept as evidence.
fn export(server: &Server, name: &str) -> String {
    let path = server.evidence.folder().join(name);
    let (done, _, errors) = server.run(&["audit", "export", path.to_str().unwrap()]);
    assert!(done, "{errors}");
    fs::read_to_string(path).unwrap()
}

/// Verifies; gives whether it holds, and what was said.
fn verify(server: &Server, more: &[&str]) -> (bool, String) {
    let mut arguments = vec!["audit", "verify"];
    arguments.extend(more);
    let (done, printed, errors) = server.run(&arguments);
    (done, format!("{printed}{errors}"))
}

/// Runs statements on the server's database behind its back.
fn edit(server: &Server, sql: &str) {
    match server.database_url() {
        Some(url) => {
            let psql = Command::new("/usr/lib/postgresql/15/bin/psql");
            let output = { psql }.arg(url).args(["-qAtc", sql]).output().expect("psql");
            assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        }
        None => {
            let path = server.data.join("db/keyward.sqlite");
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
            connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
    }
}

/// A workflow that uses a credential once, and one that needs none.
fn furnish(scene: &Scene) -> (String, String) {
    scene.api_key("KEY", &scene.canary("KEY"));
    let source = "const r = await fetch('HOST/ok', { headers: { authorization: credential('KEY') } }); return r.status";
    let using = scene.manual(&json!([scene.code("use", source)]));
    let plain = scene.manual(&json!([scene.code("plain", "return 1")]));
    (using, plain)
}

/// The error code of a run, empty where it succeeded.
fn code(run: &Value) -> &str {
    run["error"]["code"].as_str().unwrap_or_default()
}

/// Waits until something is so.
#[track_caller]
fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !is_so() {
        assert!(start.elapsed() < std::time::Duration::from_secs(60), "{what}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// Writes lines to a file.
fn write_lines(path: &Path, lines: &[String]) {
    fs::write(path, lines.join("\n") + "\n").unwrap();
}
