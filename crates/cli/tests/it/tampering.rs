//! Somebody else's hand in the database, the keys and the files: it destroys, and gains nothing.

mod apps;
mod audit;
mod credential_rows;
mod grants;
mod start;
mod sweep;

use crate::server::Server;
use keyward_testkit::echo::{Echo, Received};
use rusqlite::{Connection, params_from_iter};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn database(data: &Path) -> PathBuf {
    data.join("db/keyward.sqlite")
}

/// Runs one statement on a database behind its server's back; gives how many rows it changed.
#[track_caller]
fn edit(data: &Path, sql: &str, values: &[&str]) -> usize {
    let connection = Connection::open(database(data)).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection
        .execute(sql, params_from_iter(values))
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        match source.is_dir() {
            true => copy_folder(&source, &target),
            false => drop(fs::copy(&source, &target).unwrap()),
        }
    }
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
}

/// A server, and a service whose requests show what left.
struct Scene {
    server: Server,
    echo: Echo,
}

impl Scene {
    fn of(server: Server) -> Self {
        Self { server, echo: Echo::start() }
    }

    fn host(&self) -> String {
        format!("http://{}", self.echo.address())
    }

    /// Saves an API key bound to POST, `/ok/*` and headers at the service; gives id and value.
    fn credential(&self, key: &str, more: &Value) -> (String, String) {
        let secret = self.server.evidence.canary(key);
        let mut body = json!({
            "key": key, "type": "api_key", "fields": { "value": secret }, "hosts": [self.host()],
            "methods": ["POST"], "paths": ["/ok/*"], "places": ["header"],
        });
        let members = more.as_object().into_iter().flatten();
        members.for_each(|(name, value)| body[name] = value.clone());
        let saved = self.server.post("/credentials", &body).expect(201);
        (saved["id"].as_str().unwrap().to_owned(), secret)
    }

    /// A workflow with one request that attaches the key; gives id and hook.
    fn caller(&self, key: &str, url: &str) -> (String, String) {
        self.server.workflow(&json!({
            "name": "Calls", "trigger": { "kind": "http", "respond": "result" },
            "steps": [{ "id": "call", "kind": "http", "credential": { "$credential": key },
                        "timeout_seconds": 5, "request": { "method": "POST", "url": url } }],
        }))
    }

    /// Runs a workflow by hand; gives the code of its error, empty where it succeeded.
    #[track_caller]
    fn code_of(&self, workflow: &str) -> String {
        let path = format!("/workflows/{workflow}/runs");
        let ran = self.server.post(&path, &json!({ "payload": {}, "wait": true }));
        let run = ran.expect(200);
        run["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The requests that carried a value, in whatever header.
    fn carried(&self, value: &str) -> Vec<Received> {
        let mut all = self.echo.received();
        all.retain(|request| {
            let headers = &request.headers;
            headers.iter().any(|(_, text)| text.contains(value)) || request.target.contains(value)
        });
        all
    }
}
