//! What is measured: a server, how it is set up, and the request that it gets.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::http::{Connection, Url, request};
use super::load::Target;
use super::server::Server;
use crate::workspace;

/// A server that can be measured. It prints `listening on http://...` when it is ready, answers
/// `GET /readyz`, and ends on SIGTERM.
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) binary: PathBuf,
    /// Where it may keep its data.
    pub(super) folder: PathBuf,
    /// Makes what must be there before the first start.
    pub(super) prepare: fn(&Self) -> Result<()>,
    /// The arguments that start it.
    pub(super) serve: fn(&Self) -> Vec<OsString>,
    /// Gives the running server its work, and says where the load goes.
    pub(super) target: fn(&Self, &Server) -> Result<Target>,
}

/// Keyward itself on its embedded database, set up as a person would do it.
pub(super) fn keyward(binary: PathBuf, folder: PathBuf) -> Subject {
    Subject {
        name: "keyward",
        binary,
        folder,
        prepare: init,
        serve: |subject| {
            let data = subject.folder.join("data").into_os_string();
            vec!["serve".into(), "--listen".into(), "127.0.0.1:0".into(), "--data-dir".into(), data]
        },
        target: apply_workflow,
    }
}

fn init(subject: &Subject) -> Result<()> {
    let password = subject.folder.join("password");
    std::fs::write(&password, "a long password for nobody\n")?;
    let mut command = Command::new(&subject.binary);
    command.arg("init").arg("--data-dir").arg(subject.folder.join("data"));
    command.args(["--email", "bench@example.org", "--password-file"]).arg(password);
    command.arg("--token-file").arg(subject.folder.join("token"));
    workspace::must(&mut command)
}

fn apply_workflow(subject: &Subject, server: &Server) -> Result<Target> {
    let token = std::fs::read_to_string(subject.folder.join("token"))?;
    let url = server.url().at("/api/v1/workspaces/default/workflows");
    let bytes = request("POST", &url, Some(token.trim()), &workflow().to_string());
    let response = Connection::open(&url)?.exchange(&bytes)?;
    let text = String::from_utf8_lossy(&response.body);
    ensure!(response.status == 201, "the workflow was refused: {} {text}", response.status);
    let answer: Value = serde_json::from_slice(&response.body)?;
    let trigger = answer.get("trigger_url").and_then(Value::as_str).context("no trigger_url")?;
    let (body, expected) = items();
    // The public address may be another than the one that it listens on.
    Ok(Target {
        url: server.url().at(&Url::parse(trigger)?.path),
        body: body.to_string(),
        expected,
    })
}

/// The same HTTP stack, durable commits and confined process without an engine, as a floor to
/// compare with: `crates/cli/examples/floor.rs`.
pub(super) fn floor(binary: PathBuf, folder: PathBuf) -> Subject {
    Subject {
        name: "floor",
        binary,
        folder,
        prepare: |_| Ok(()),
        serve: |subject| {
            let keyward = subject.binary.with_file_name("../keyward").into_os_string();
            let database = subject.folder.join("floor.sqlite").into_os_string();
            vec![keyward, database, SOURCE.into()]
        },
        target: |_, server| {
            let (body, expected) = items();
            Ok(Target { url: server.url().at("/run"), body: body.to_string(), expected })
        },
    }
}

const SOURCE: &str = "return trigger.body.items\n  .filter((item) => item.price > 50)\n  .map(({ id, price }) => ({ id, cents: price * 100 }));";

/// Webhook, one code step, answer.
fn workflow() -> Value {
    json!({
        "name": "Bench",
        "trigger": { "kind": "http", "method": "POST", "respond": "result" },
        "steps": [{
            "id": "pick",
            "kind": "code",
            "source": SOURCE,
        }],
    })
}

/// Twenty items, and what the code step makes of them.
fn items() -> (Value, Value) {
    let item = |n: u32| json!({ "id": format!("item-{n}"), "price": n * 5, "tags": ["a", "b"] });
    let picked = |n: u32| json!({ "id": format!("item-{n}"), "cents": n * 500 });
    let items: Vec<Value> = (1..=20).map(item).collect();
    (json!({ "items": items }), (11..=20).map(picked).collect())
}
