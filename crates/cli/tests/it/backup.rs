//! Backups: taken from a server at work, restored as a whole or not at all, worth nothing without the
//! root key.

mod older;
mod open_runs;
mod places;
mod refused;
mod rotated;
mod whole;

use crate::scene::Scene;
use crate::server::Server;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Takes a backup beside the server; gives its place, which is swept, and what the command said.
#[track_caller]
fn back_up(server: &Server, name: &str) -> (PathBuf, Value) {
    let file = server.evidence.folder().join(name);
    let (done, printed, errors) = server.run(&["backup", file.to_str().unwrap(), "--json"]);
    assert!(done, "{errors}");
    (file, serde_json::from_str(&printed).unwrap())
}

/// A new data directory of this server's evidence that holds its root key and nothing else.
fn with_key(server: &Server, name: &str) -> PathBuf {
    let data = server.evidence.folder().join(name);
    fs::create_dir_all(data.join("keys")).unwrap();
    fs::copy(server.data.join("keys/root.key"), data.join("keys/root.key")).unwrap();
    data
}

/// Runs a command on another data directory and, where there is one, another database.
fn run_on(
    server: &Server,
    data: &Path,
    database: Option<&str>,
    arguments: &[&str],
) -> (bool, String, String) {
    let mut command = server.command(arguments);
    command.env("KEYWARD_DATA_DIR", data).env("KEYWARD_LOG", "info");
    match database {
        Some(url) => command.env("KEYWARD_DATABASE_URL", url),
        None => command.env_remove("KEYWARD_DATABASE_URL"),
    };
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    server.evidence.keep("restore.out", &output.stdout);
    server.evidence.keep("restore.err", &output.stderr);
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// Restores a file there.
fn restore(
    server: &Server,
    data: &Path,
    database: Option<&str>,
    file: &Path,
) -> (bool, String, String) {
    run_on(server, data, database, &["restore", file.to_str().unwrap(), "--json"])
}

/// Every file below a folder with its content.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.insert(path.clone(), b"a folder".to_vec());
            found.extend(contents(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

/// A workflow with one request that attaches the key; gives its id and its hook.
fn calls(scene: &Scene, key: &str) -> (String, String) {
    let url = scene.echo.url("call");
    scene.hooked(&serde_json::json!([{
        "id": "call", "kind": "http", "credential": { "$credential": key },
        "request": { "method": "POST", "url": url, "json": { "n": "{{ trigger.body.n }}" } },
    }]))
}
