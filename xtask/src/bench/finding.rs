//! `cargo xtask bench finding`: how soon 100,000 credentials are listed, filtered and searched, each
//! filter alone and in combinations that fit nothing or nearly nothing, as requests to the API.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::http::{Connection, request};
use super::load::percentile;
use super::server::Server;
use super::subject;
use crate::workspace;

const COUNT: &str = "100000";
const REQUESTS: usize = 200;
const GOAL: Duration = Duration::from_millis(50);
/// From the middle of the list on.
const DEEP: &str = "M";

/// Queries; `{member}` and `{workflow}` are put in.
const QUERIES: &[&str] = &[
    "",
    "limit=200",
    "q=slack",
    "q=ontract+7919%2C",
    "q=nowhere+to+be+found",
    "q=e",
    "app=slack",
    "type=api_key",
    "type=basic",
    "type=custom",
    "status=active",
    "status=expired",
    "status=error",
    "status=suspended",
    "status=reauthorization_required",
    "scope=workspace",
    "scope=workflow",
    "scope=personal",
    "scope=shared",
    "environment=prod",
    "environment=sandbox",
    "environment=none",
    "tag=alerts",
    "tag=pci",
    "tag=none",
    "owner=me",
    "owner={member}",
    "unused_days=30",
    "unused_days=3000",
    "not_rotated_days=90",
    "not_rotated_days=3000",
    "workflow={workflow}",
    "deleted=true",
    "type=basic&environment=sandbox",
    "environment=prod&tag=pci&status=suspended",
    "scope=shared&tag=pci",
    "status=error&environment=staging",
    "q=finance&tag=nightly&environment=dev&unused_days=80",
    "q=slack&type=basic&scope=personal",
    "q=team&status=expired&not_rotated_days=300&owner={member}",
    "q=nowhere+to+be+found&type=api_key&status=active&scope=workspace",
];

/// Sets up a server with so many credentials, asks each question, and prints what it took.
pub(super) fn run(folder: &Path) -> Result<()> {
    let subject = subject::keyward(workspace::build_keyward(true)?, folder.to_owned());
    let fill = workspace::build_example("fill")?;
    (subject.prepare)(&subject)?;
    println!("filling with {COUNT} credentials");
    let filled = workspace::output(Command::new(fill).arg(folder.join("data")).arg(COUNT))?;
    let filled: Value = serde_json::from_slice(&filled).context("fill printed no JSON")?;
    let text = |name: &str| filled.get(name).and_then(Value::as_str).unwrap_or_default();
    let owner = std::fs::read_to_string(folder.join("token"))?;
    let server = Server::start(&subject)?;
    println!("| who | page | query | items | p50 ms | p99 ms | |\n|---|---|---|---|---|---|---|");
    let mut over = 0;
    for (who, token) in [("owner", owner.trim()), ("editor", text("editor"))] {
        for query in QUERIES {
            let query = query.replace("{member}", text("member"));
            let query = query.replace("{workflow}", text("workflow"));
            for deep in [false, true] {
                over += usize::from(!measure(&server, who, token, &query, deep)?);
            }
        }
    }
    println!("\n{over} over {} ms", GOAL.as_millis());
    server.stop()
}

/// Whether the goal is kept.
fn measure(server: &Server, who: &str, token: &str, query: &str, deep: bool) -> Result<bool> {
    let path = |cursor: &str| format!("/api/v1/workspaces/default/credentials?{query}{cursor}");
    let mut connection = Connection::open(server.url())?;
    let first = ask(&mut connection, server, token, &path(""))?;
    let some_id = first.pointer("/items/0/id").and_then(Value::as_str);
    let and = if query.is_empty() { "" } else { "&" };
    // Any id will do to go on after a key that is not there.
    let any = "cred_00000000000000000000000000";
    let cursor = format!("{and}cursor={DEEP}%2F{}", some_id.unwrap_or(any));
    let path = path(if deep { &cursor } else { "" });
    let answer = ask(&mut connection, server, token, &path)?;
    let items = workspace::list(&answer, "items").count();
    let bytes = request("GET", &server.url().at(&path), Some(token), "");
    let mut times = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let asked = Instant::now();
        let response = connection.exchange(&bytes)?;
        times.push(asked.elapsed());
        ensure!(response.status == 200, "{path}: status {}", response.status);
    }
    times.sort_unstable();
    let [p50, p99] = [50, 99].map(|percent| percentile(&times, percent));
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let (page, mark) = (if deep { "deep" } else { "first" }, if p99 > GOAL { "OVER" } else { "" });
    let (p50, p99_millis) = (millis(p50), millis(p99));
    println!("| {who} | {page} | {query} | {items} | {p50:.1} | {p99_millis:.1} | {mark} |");
    Ok(p99 <= GOAL)
}

fn ask(connection: &mut Connection, server: &Server, token: &str, path: &str) -> Result<Value> {
    let response = connection.exchange(&request("GET", &server.url().at(path), Some(token), ""))?;
    let text = String::from_utf8_lossy(&response.body);
    ensure!(response.status == 200, "{path}: {} {text}", response.status);
    serde_json::from_slice(&response.body).context("an answer that is no JSON")
}
