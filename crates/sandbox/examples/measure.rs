//! Measures steps through real processes: `cargo run --release -p keyward-sandbox --example measure`.
//!
//! It is its own zygote, as the server is: with the argument `sandbox` it serves as one.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use keyward_sandbox::{Event, Language, Limits, Options, Outcome, Sandbox, Start};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

const STEPS: usize = 5_000;
const TRIVIAL: &str = "return trigger.n + 1";
const USUAL: &str = "const rows = trigger.items.filter((row) => row.n % 2).map(({ id, n }) => ({ id, twice: n * 2 }));
    return { count: rows.length, rows };";

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some("sandbox") {
        keyward_sandbox::zygote_main();
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure())
}

async fn measure() -> Result<(), Box<dyn Error>> {
    let waiting = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(4);
    let sandbox = Sandbox::start(Options { waiting, ..Options::default() }).await?;
    let items: Vec<String> = (0..20).map(|n| format!(r#"{{"id":"row{n}","n":{n}}}"#)).collect();
    let usual = format!(r#"{{"items":[{}]}}"#, items.join(","));
    for (name, source, trigger) in [("trivial", TRIVIAL, r#"{"n":1}"#), ("20 items", USUAL, &usual)]
    {
        let compiled = sandbox.compile(source, Language::Javascript).await?;
        let start = Start {
            javascript: compiled.javascript.into(),
            trigger: trigger.into(),
            steps: "{}".into(),
            run: "{}".into(),
            item: None,
            credentials: Vec::new(),
        };
        let mut times = Vec::new();
        for _ in 0..500 {
            tokio::time::sleep(Duration::from_millis(2)).await;
            let begun = Instant::now();
            run(&sandbox, start.clone()).await.map_err(|error| error.to_string())?;
            times.push(begun.elapsed());
        }
        times.sort();
        let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
        println!("{name}: one by one p10 {:?} p50 {:?} p90 {:?}", at(10), at(50), at(90));
        for clients in [1, 2, 4, 16, 64] {
            let rate = at_once(&sandbox, &start, clients).await;
            println!("{name}: {clients} at once {rate:.0} steps/s");
        }
    }
    println!("{}", memory()?);
    Ok(())
}

/// Steps in a second, with so many under way.
async fn at_once(sandbox: &Sandbox, start: &Start, clients: usize) -> f64 {
    let begun = Instant::now();
    let left = Arc::new(std::sync::atomic::AtomicUsize::new(STEPS));
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let (sandbox, start, left) = (sandbox.clone(), start.clone(), Arc::clone(&left));
        running.spawn(async move {
            use std::sync::atomic::Ordering::Relaxed;
            let take = || left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
            while take() {
                if let Err(error) = run(&sandbox, start.clone()).await {
                    println!("{error}");
                }
            }
        });
    }
    while running.join_next().await.is_some() {}
    STEPS as f64 / begun.elapsed().as_secs_f64()
}

async fn run(sandbox: &Sandbox, start: Start) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut session = sandbox.run(start, Limits::default()).await?;
    match session.next().await {
        Event::Finished(Outcome::Output(_)) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

/// Memory of every process that this one started, directly or not.
fn memory() -> Result<String, Box<dyn Error>> {
    let mut lines = vec!["idle processes: RSS, PSS, private (KiB)".to_owned()];
    let own = std::process::id();
    let mut family = vec![own];
    let mut pids: Vec<u32> = std::fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    for pid in pids {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let parent =
            status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok());
        if !parent.is_some_and(|parent| family.contains(&parent)) {
            continue;
        }
        family.push(pid);
        let rollup =
            std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let field = |name: &str| -> u64 {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
        };
        let private = field("Private_Clean:") + field("Private_Dirty:");
        lines.push(format!("  {pid}: {} {} {private}", field("Rss:"), field("Pss:")));
    }
    Ok(lines.join("\n"))
}
