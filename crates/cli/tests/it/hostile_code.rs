//! Code steps that mean harm, through hooks and manual runs: each ends with its code, in time, and
//! neither neighbours nor the server notice.

mod cases;

use crate::server::{Answer, Backend, Server};
use cases::{Case, PATIENT, SECONDS};
use keyward_testkit::echo::{Echo, Reply};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Beyond the deadline: killing, masking and storing on a busy machine.
const GRACE: Duration = Duration::from_secs(8);
/// What the server process may hold while all this goes on, in KiB.
const MEMORY_KIB: u64 = 512 << 10;

#[test]
fn hostile_code_ends_with_its_code_and_nobody_else_notices() {
    let server = Server::start("hostile-code", Backend::Sqlite);
    let neighbour = neighbour(&server);
    let (next, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let faults = Mutex::new(Vec::new());
    let (peak, served) = thread::scope(|scope| {
        let work = || {
            while let Some(case) = cases::ALL.get(next.fetch_add(1, Ordering::SeqCst)) {
                if let Err(fault) = check_ends(&server, case) {
                    faults.lock().unwrap().push(format!("{}: {fault}", case.source));
                }
            }
        };
        let watching = scope.spawn(|| watch(&server, &neighbour, &done));
        let workers = [scope.spawn(work), scope.spawn(work)];
        let ended = workers.map(thread::ScopedJoinHandle::join);
        done.store(true, Ordering::SeqCst);
        let watched = watching.join();
        ended.into_iter().for_each(|ended| ended.unwrap());
        watched.unwrap()
    });
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert!(peak < MEMORY_KIB, "the server process held {peak} KiB");
    assert!(served > 20, "the neighbour was served only {served} times");
    wait_until(|| family(server.pid()) <= 8, "processes of hostile steps are left");
}

/// Runs a case to its end; gives what is wrong.
fn check_ends(server: &Server, case: &Case) -> Result<(), String> {
    let begun = Instant::now();
    let Ok(run) = run_code(server, case.source, case.seconds) else {
        return if case.codes.contains(&"refused") { Ok(()) } else { Err("not saved".into()) };
    };
    let took = begun.elapsed();
    let (error, step) = (&run["error"], &run["steps"][0]["error"]);
    let code = step["code"].as_str().unwrap_or("succeeded");
    let message = step["message"].as_str().unwrap_or_default();
    if !case.codes.contains(&code) || error["code"] != step["code"] {
        let shown: String = run.to_string().chars().take(600).collect();
        return Err(format!("{code} is none of {:?}: {shown}", case.codes));
    }
    if took > Duration::from_secs(case.seconds) + GRACE {
        return Err(format!("took {took:?}"));
    }
    if code == "timeout" && took < Duration::from_secs(case.seconds) {
        return Err(format!("a timeout after only {took:?}"));
    }
    if !message.contains(case.says) {
        return Err(format!("`{message}` does not say `{}`", case.says));
    }
    match message.len() {
        0 => Err("no message".into()),
        1..20_000 => Ok(()),
        length => Err(format!("a message of {length} bytes")),
    }
}

/// Saves a workflow of one code step and runs it by hand; `Err` with the problem where it is refused.
fn run_code(server: &Server, source: &str, seconds: u64) -> Result<Value, Value> {
    let definition = json!({
        "name": "Hostile", "trigger": { "kind": "manual" },
        "steps": [{ "id": "s", "kind": "code", "source": source, "timeout_seconds": seconds }],
    });
    let saved = server.post("/workflows", &definition);
    if saved.status != 201 {
        saved.expect_problem(422, "validation_failed");
        return Err(saved.json());
    }
    let id = saved.json()["id"].as_str().unwrap().to_owned();
    let ran =
        server.post(&format!("/workflows/{id}/runs"), &json!({ "payload": {}, "wait": true }));
    Ok(match ran.status {
        200 => ran.json(),
        _ => server.ended(ran.expect(202)["run_id"].as_str().unwrap()),
    })
}

/// The output of code that must succeed.
#[track_caller]
fn output_of(server: &Server, source: &str) -> Value {
    let run = run_code(server, source, PATIENT).expect("a definition that can be saved");
    assert_eq!(run["status"], "succeeded", "{source}: {run}");
    run["steps"][0]["output"].clone()
}

/// The hook of a workflow of good manners.
fn neighbour(server: &Server) -> String {
    let source = "return { sum: trigger.body.numbers.reduce((a, b) => a + b, 0) }";
    let (_, hook) = server.workflow(&json!({
        "name": "Neighbour",
        "trigger": { "kind": "http", "method": "POST", "respond": "result" },
        "steps": [{ "id": "s", "kind": "code", "source": source }],
    }));
    hook
}

/// Calls the neighbour until told to stop; gives the server's largest memory and the calls.
fn watch(server: &Server, hook: &str, done: &AtomicBool) -> (u64, u64) {
    let (mut peak, mut served) = (0, 0);
    while !done.load(Ordering::SeqCst) {
        let begun = Instant::now();
        let answer = server.hook(hook, &json!({ "numbers": [1, 2, served] }));
        assert_eq!(answer.expect(200), json!({ "sum": 3 + served }));
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        served += 1;
        peak = peak.max(resident_kib(server.pid()));
        thread::sleep(Duration::from_millis(100));
    }
    (peak, served)
}

fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// How many processes descend from this one, itself included, zombies too.
fn family(root: u32) -> usize {
    let mut parents = HashMap::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split(' ').nth(2)?.parse().ok());
        parents.insert(pid, parent.unwrap_or(0));
    }
    let descends = |mut pid: u32| {
        while pid != root && pid > 1 {
            pid = parents.get(&pid).copied().unwrap_or(0);
        }
        pid == root
    };
    parents.keys().filter(|pid| descends(**pid)).count()
}

#[track_caller]
fn wait_until(holds: impl Fn() -> bool, otherwise: &str) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{otherwise}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn floods_are_cut_or_refused_at_the_limit_to_the_byte() {
    let server = Server::start("hostile-floods", Backend::Sqlite);
    check_log_flood(
        &server,
        "for (let i = 0; i < 30_000; i++) console.log('x'.repeat(100)); return 'went on'",
    );
    check_log_flood(
        &server,
        "console.log('y'.repeat(5_000_000)); console.log('later'); return 'went on'",
    );
    check_log_flood(&server, "for (let i = 0; i < 300_000; i++) console.log(''); return 'went on'");
    check_log_flood(
        &server,
        "for (let i = 0; i < 30; i++) console.error('ü€😀'.repeat(10_000)); return 'went on'",
    );
    let small = run_code(&server, "console.log('a'); console.warn('b'); return 'went on'", SECONDS)
        .unwrap();
    assert_eq!(messages(&small), ["a", "b"], "a short log is not cut");

    // Two quotation marks belong to the output's JSON.
    let limit = 5 << 20;
    let fits = output_of(&server, &format!("return 'x'.repeat({limit} - 2)"));
    assert_eq!(fits.as_str().map(str::len), Some(limit - 2));
    let run = run_code(&server, &format!("return 'x'.repeat({limit} - 1)"), PATIENT).unwrap();
    assert_eq!(run["error"]["code"], "output_too_large");
    let fits = output_of(&server, &format!("return 'é'.repeat({limit} / 2 - 1)"));
    assert_eq!(fits.as_str().map(str::len), Some(limit - 2), "bytes are counted, not characters");
}

/// The log ends at 1 MiB with a line that says so, and the step goes on.
#[track_caller]
fn check_log_flood(server: &Server, source: &str) {
    let run = run_code(server, source, PATIENT).unwrap();
    assert_eq!(run["status"], "succeeded", "{source}");
    assert_eq!(run["steps"][0]["output"], "went on");
    let messages = messages(&run);
    let bytes: usize = messages.iter().map(String::len).sum();
    assert!(bytes <= (1 << 20) + 500, "{source}: {bytes} bytes");
    let last = messages.last().unwrap();
    assert!(last.contains("cut") && last.len() < 300, "{source}: {last}");
}

fn messages(run: &Value) -> Vec<String> {
    let lines = run["steps"][0]["logs"].as_array().unwrap();
    lines.iter().map(|line| line["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_step_that_floods_its_log_at_every_attempt_keeps_one_mebibyte() {
    let server = Server::start("hostile-attempts", Backend::Sqlite);
    let source =
        "for (let i = 0; i < 9_000; i++) console.log('z'.repeat(100)); throw new Error('again')";
    let (id, _) = server.workflow(&json!({
        "name": "Floods again", "trigger": { "kind": "manual" },
        "steps": [{ "id": "s", "kind": "code", "source": source,
                    "retry": { "attempts": 3, "delay_seconds": 0 } }],
    }));
    let run = server.post(&format!("/workflows/{id}/runs"), &json!({ "wait": true })).expect(200);
    assert_eq!(run["steps"][0]["attempt"], 3);
    let messages = messages(&run);
    let bytes: usize = messages.iter().map(String::len).sum();
    assert!(bytes <= (1 << 20) + 500, "{bytes} bytes");
    assert!(messages.last().unwrap().contains("cut"), "{:?}", messages.last());
}

#[test]
fn hostile_services_and_floods_of_requests_are_bounded() {
    let server = Server::start("hostile-services", Backend::Sqlite);
    let echo = Echo::start();
    echo.route("/bomb", Reply::gzip(vec![0; 24 << 20]));
    echo.route("/large", Reply::status(200).body(vec![b'x'; 11 << 20]));
    echo.route(
        "/drip",
        Reply::status(200).body(vec![b'x'; 1000]).dripping(1, Duration::from_millis(200)),
    );
    echo.route("/slow", Reply::text("late").after(Duration::from_secs(30)));
    echo.route("/headers", Reply::text("x").header("x-large", &"h".repeat(100_000)));
    echo.route("/cut", Reply::text("promised more than it sends").cut_after(5));
    let at = |path: &str| echo.url(path);

    let large = "output_too_large";
    for (path, expected) in
        [("bomb", large), ("large", large), ("headers", large), ("cut", "connection_failed")]
    {
        let source = format!("await fetch('{}').then((r) => r.text())", at(path));
        let caught = format!("try {{ {source} }} catch (e) {{ return e.code }}");
        let code = output_of(&server, &caught);
        assert_eq!(code, expected, "{path}");
        let http = http_step(&server, &at(path), 5);
        assert_eq!(http["error"]["code"], expected, "{path}: {http}");
    }
    for path in ["drip", "slow"] {
        let begun = Instant::now();
        let http = http_step(&server, &at(path), 1);
        assert_eq!(http["error"]["code"], "timeout", "{path}: {http}");
        let source = format!("return await fetch('{}').then((r) => r.text())", at(path));
        let run = run_code(&server, &source, 1).unwrap();
        assert_eq!(run["error"]["code"], "timeout", "{path}: {run}");
        assert!(begun.elapsed() < Duration::from_secs(8), "{path}: {:?}", begun.elapsed());
    }

    let before = echo.received().len();
    let source = format!(
        "const one = (i) => fetch('{}?' + i).then((r) => r.json()).then((e) => e.target === '/many?' + i);\n\
         const all = await Promise.all(Array.from({{ length: 1000 }}, (_, i) => one(i)));\n\
         return all.filter(Boolean).length",
        at("many")
    );
    assert_eq!(output_of(&server, &source), 1000);
    assert_eq!(echo.received().len() - before, 1000);
    assert!(resident_kib(server.pid()) < MEMORY_KIB);
}

fn http_step(server: &Server, url: &str, seconds: u64) -> Value {
    let (id, _) = server.workflow(&json!({
        "name": "One request", "trigger": { "kind": "manual" },
        "steps": [{ "id": "s", "kind": "http", "timeout_seconds": seconds,
                    "request": { "method": "GET", "url": url } }],
    }));
    let ran: Answer = server.post(&format!("/workflows/{id}/runs"), &json!({ "wait": true }));
    ran.expect(200)
}

#[test]
fn code_finds_nothing_of_the_server_and_leaves_nothing_behind() {
    let server = Server::start("hostile-look", Backend::Sqlite);
    let names = "['process', 'require', 'module', 'exports', 'Deno', 'Bun', 'std', 'os', 'scriptArgs', '__dirname', \
                  'XMLHttpRequest', 'WebSocket', 'Worker', 'importScripts', 'global', 'Buffer', 'postMessage']";
    let found = output_of(&server, &format!("return {names}.filter((name) => name in globalThis)"));
    assert_eq!(found, json!([]));
    let scopes = "return [(0, eval)('typeof process'), new Function('return typeof require')(),\n\
                  (async () => {}).constructor('return typeof std')() instanceof Promise]";
    assert_eq!(output_of(&server, scopes), json!(["undefined", "undefined", true]));

    let plant = "Object.prototype.planted = 'x'; Array.prototype.map = () => 'mine'; globalThis.left = 1;\n\
                 JSON.stringify = () => '\"forged\"'; Promise.prototype.then = null; return { own: 1 }";
    let _ = run_code(&server, plant, SECONDS);
    let look = "return [({}).planted ?? null, [1].map((n) => n + 1), globalThis.left ?? null, JSON.stringify([2])]";
    assert_eq!(output_of(&server, look), json!([null, [2], null, "[2]"]));

    let draw = "return [Math.random(), crypto.randomUUID()]";
    let (first, second) = (output_of(&server, draw), output_of(&server, draw));
    assert!(first[0] != second[0] && first[1] != second[1], "{first} {second}");
}
