//! `cargo xtask bench resolution`: what resolving the keys that a step declares costs a webhook with
//! one code step, in a workspace of 100,000 credentials: none, one, five and twenty keys.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::http::{Connection, Url, request};
use super::load::{self, Target};
use super::server::Server;
use super::subject;
use crate::workspace;

const COUNT: &str = "100000";
const KEYS: &[usize] = &[0, 1, 5, 20];
const CONNECTIONS: &[usize] = &[1, 16];
const WARM_UP: Duration = Duration::from_secs(1);
const DURATION: Duration = Duration::from_secs(4);
const MOST_REQUESTS: usize = 100_000;

/// Sets up a server with so many credentials and workflows that name some of them, and prints how
/// fast each is answered.
pub(super) fn run(folder: &Path) -> Result<()> {
    let subject = subject::keyward(workspace::build_keyward(true)?, folder.to_owned());
    let fill = workspace::build_example("fill")?;
    (subject.prepare)(&subject)?;
    println!("filling with {COUNT} credentials");
    workspace::output(Command::new(fill).arg(folder.join("data")).arg(COUNT))?;
    let token = std::fs::read_to_string(folder.join("token"))?;
    let server = Server::start(&subject)?;
    println!("| keys that the step declares | connections | runs/s | p50 ms | p99 ms |");
    println!("|---|---|---|---|---|");
    for keys in KEYS {
        let target = hook(&server, token.trim(), *keys)?;
        for connections in CONNECTIONS {
            load::run(&target, *connections, WARM_UP, MOST_REQUESTS)?;
            let sample = load::run(&target, *connections, DURATION, MOST_REQUESTS)?;
            let millis = |time: Duration| time.as_secs_f64() * 1e3;
            let (rate, p50, p99) = (sample.rate(), millis(sample.p50), millis(sample.p99));
            println!("| {keys} | {connections} | {rate:.0} | {p50:.2} | {p99:.2} |");
        }
    }
    server.stop()
}

/// A hook whose one code step declares so many keys and holds their sealed values.
fn hook(server: &Server, token: &str, keys: usize) -> Result<Target> {
    let call = |path: &str, body: &Value| -> Result<Value> {
        let url = server.url().at(&format!("/api/v1/workspaces/default/{path}"));
        let bytes = request("POST", &url, Some(token), &body.to_string());
        let response = Connection::open(&url)?.exchange(&bytes)?;
        let text = String::from_utf8_lossy(&response.body);
        ensure!(response.status == 201, "{path}: {} {text}", response.status);
        Ok(serde_json::from_slice(&response.body)?)
    };
    let names: Vec<String> = (0..keys).map(|number| format!("BENCH_{keys}_{number}")).collect();
    for name in &names {
        let fields = json!({ "value": "a value that nobody can guess" });
        call("credentials", &json!({ "key": name, "type": "api_key", "fields": fields }))?;
    }
    let held: Vec<String> = names.iter().map(|name| format!("credential('{name}')")).collect();
    let source = format!("return [{}].length;", held.join(", "));
    let definition = json!({
        "name": "Bench",
        "trigger": { "kind": "http", "method": "POST", "respond": "result" },
        "steps": [{ "id": "hold", "kind": "code", "source": source }],
    });
    let saved = call("workflows", &definition)?;
    let trigger = saved.get("trigger_url").and_then(Value::as_str).context("no trigger_url")?;
    let url = server.url().at(&Url::parse(trigger)?.path);
    Ok(Target { url, body: "{}".to_owned(), expected: json!(keys) })
}
