//! Each kind of sink gets every record, in each chain's order, also over restarts and crashes.

use super::{chains, export, furnish, records, wait};
use crate::scene::Scene;
use crate::server::{Backend, Server};
use keyward_testkit::echo::{Echo, Reply};
use serde_json::{Value, json};
use std::fs;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A syslog collector over TCP that keeps whole messages.
#[derive(Clone)]
pub(super) struct Collector {
    pub(super) address: SocketAddr,
    messages: Arc<Mutex<Vec<String>>>,
}

impl Collector {
    pub(super) fn start(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let messages = Arc::<Mutex<Vec<String>>>::default();
        let made = Self { address: listener.local_addr().unwrap(), messages: messages.clone() };
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut bytes = Vec::new();
                let mut stream = stream.unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                // Read to its end, then closed by being dropped: that is what confirms.
                if stream.read_to_end(&mut bytes).is_ok() {
                    messages.lock().unwrap().extend(frames(&bytes));
                }
            }
        });
        made
    }

    pub(super) fn messages(&self) -> Vec<String> {
        self.messages.lock().unwrap().clone()
    }
}

/// Octet counting: each message with its length and a space before it.
fn frames(mut bytes: &[u8]) -> Vec<String> {
    let mut messages = Vec::new();
    while let Some(space) = bytes.iter().position(|byte| *byte == b' ') {
        let length: usize = std::str::from_utf8(&bytes[..space]).unwrap().parse().unwrap();
        let end = space + 1 + length;
        messages.push(String::from_utf8(bytes[space + 1..end].to_vec()).unwrap());
        bytes = &bytes[end..];
    }
    assert!(bytes.is_empty(), "what is left: {bytes:?}");
    messages
}

/// The JSON of a message, whose header keeps to RFC 5424.
#[track_caller]
fn of_message(message: &str) -> String {
    let parts: Vec<&str> = message.splitn(8, ' ').collect();
    let [head, at, host, app, process, id, data, json] = parts[..] else { panic!("{message}") };
    let record: Value = serde_json::from_str(json).unwrap();
    let severity = if record["outcome"] == "refused" { 4 } else { 6 };
    assert_eq!(head, format!("<{}>1", 13 * 8 + severity), "{message}");
    assert_eq!((app, data), ("keyward", "-"), "{message}");
    assert_eq!((at, id), (record["at"].as_str().unwrap(), record["action"].as_str().unwrap()));
    assert!(!host.is_empty() && process.parse::<u32>().is_ok(), "{message}");
    json.to_owned()
}

/// Works with credentials; then what `received` gives is, without gap or change, what an export of
/// the trail holds.
fn check(server: Server, received: &dyn Fn() -> String) {
    let scene = Scene::with(server);
    let (using, plain) = furnish(&scene);
    for workflow in [&using, &plain, &using] {
        assert_eq!(scene.run_again(workflow, &json!({}))["status"], "succeeded");
    }
    let absent = scene.manual(&json!([scene.code("s", "return credential('ABSENT')")]));
    assert_eq!(scene.run_again(&absent, &json!({}))["status"], "failed");
    let expected = chains(&records(&export(&scene.server, "trail.jsonl")));
    let all = |text: &str| chains(&records(text)) == expected;
    wait("the sink has every record", || all(&received()));
    scene.server.evidence.keep("sink.out", received());
    let ready =
        String::from_utf8_lossy(scene.server.send("GET", "/readyz", &[], b"").body.as_bytes())
            .into_owned();
    wait("it is up to date", || {
        scene.server.send("GET", "/readyz", &[], b"").body.contains("up to date, 0 records waiting")
    });
    assert!(ready.starts_with("ready\naudit sink 1 ("), "{ready}");
    let metrics = scene.server.send("GET", "/metrics", &[], b"").body;
    assert!(metrics.contains("keyward_audit_sink_waiting{sink=\"1\""), "{metrics}");
    assert!(metrics.contains("keyward_audit_sink_blocks{sink=\"1\""), "{metrics}");
}

fn start(test: &str, backend: Backend, sink: &str, more: &[(&str, &str)]) -> Server {
    let mut environment =
        vec![("KEYWARD_EGRESS_ALLOW", "127.0.0.0/8"), ("KEYWARD_AUDIT_SINK", sink)];
    environment.extend(more);
    Server::start_with(test, backend, &environment)
}

#[test]
fn a_file_gets_every_record() {
    for (name, backend) in [
        ("audit-sink-file-sqlite", Backend::Sqlite),
        ("audit-sink-file-postgres", Backend::Postgres),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let sink = format!("file:{}", path.display());
        let server = start(name, backend, &sink, &[("KEYWARD_AUDIT_SINK_REQUIRED", "true")]);
        check(server, &|| fs::read_to_string(&path).unwrap_or_default());
    }
}

#[test]
fn an_http_collector_gets_json_lines_with_its_token() {
    let collector = Echo::start();
    collector.queue(Reply::status(503)).queue(Reply::redirect(302, "http://127.0.0.1:1/"));
    let private = tempfile::tempdir().unwrap();
    let file = private.path().join("token");
    fs::write(&file, "collector-token-4711-ZqXv\n").unwrap();
    let token = [("KEYWARD_AUDIT_SINK_TOKEN_FILE", file.to_str().unwrap())];
    let server = start("audit-sink-http", Backend::Sqlite, &collector.url("in?x=1"), &token);
    server.evidence.watch("collector-token", "collector-token-4711-ZqXv");
    let text = || {
        let taken = collector.received().into_iter().skip(2);
        taken.map(|request| String::from_utf8(request.body).unwrap()).collect::<String>()
    };
    check(server, &text);
    for request in collector.received() {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/in?x=1"));
        let header = |name: &str| {
            let mut all = request.headers.iter();
            all.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
        };
        assert_eq!(header("authorization"), Some("Bearer collector-token-4711-ZqXv"));
        assert_eq!(header("content-type"), Some("application/x-ndjson"));
    }
}

#[test]
fn a_syslog_collector_gets_counted_messages() {
    let collector = Collector::start("127.0.0.1:0");
    let sink = format!("syslog+tcp://{}", collector.address);
    let server = start("audit-sink-tcp", Backend::Sqlite, &sink, &[]);
    check(server, &|| {
        let messages = collector.messages();
        messages.iter().map(|message| of_message(message) + "\n").collect()
    });
}

#[test]
fn datagrams_carry_one_message_each() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let sink = format!("syslog+udp://{}", socket.local_addr().unwrap());
    let server = start("audit-sink-udp", Backend::Sqlite, &sink, &[]);
    let got = Mutex::new(String::new());
    check(server, &|| {
        let mut buffer = [0; 65_536];
        let mut got = got.lock().unwrap();
        while let Ok(length) = socket.recv(&mut buffer) {
            got.push_str(&of_message(std::str::from_utf8(&buffer[..length]).unwrap()));
            got.push('\n');
        }
        got.clone()
    });
}

#[test]
fn nothing_is_missing_after_kill_9_while_records_are_sent() {
    let collector = Echo::start();
    // Each delivery takes a while, so that the server dies within one.
    collector.route("/slow", Reply::status(204).after(Duration::from_millis(150)));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let sinks = format!("{},file:{}", collector.url("slow"), path.display());
    let mut scene = Scene::with(start("audit-sink-kill", Backend::Sqlite, &sinks, &[]));
    let (using, _) = furnish(&scene);
    for _ in 0..6 {
        for _ in 0..5 {
            assert_eq!(scene.run_again(&using, &json!({}))["status"], "succeeded");
        }
        scene.server.kill();
        scene.server.spawn();
    }
    let expected = chains(&records(&export(&scene.server, "trail.jsonl")));
    let posted = || {
        let bodies = collector.received().into_iter().map(|request| request.body);
        bodies.map(|body| String::from_utf8(body).unwrap()).collect::<String>()
    };
    wait("the collector has every record", || chains(&records(&posted())) == expected);
    let kept = || fs::read_to_string(&path).unwrap();
    wait("the file has every record", || chains(&records(&kept())) == expected);
    for text in [posted(), kept()] {
        // Whatever came twice, each chain came in its order.
        let mut newest = std::collections::BTreeMap::new();
        for record in records(&text) {
            let number = record["number"].as_i64().unwrap();
            let before = newest.entry(record["stream"].to_string()).or_insert(0);
            assert!(number <= *before + 1, "record {number} came after {before}");
            *before = number.max(*before);
        }
    }
    scene.server.evidence.keep("sink.out", posted() + &kept());
}

#[test]
fn another_node_feeds_after_one_has_died() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let sink = format!("file:{}", path.display());
    let first = start("audit-sink-first-node", Backend::Postgres, &sink, &[]);
    let second = Scene::with(first.beside("audit-sink-second-node"));
    let mut first = Scene::with(first);
    let (using, _) = furnish(&second);
    let in_both = json!([{ "id": "s", "kind": "code", "source": "return 1" }]);
    let plain = first.manual(&in_both);
    for _ in 0..4 {
        assert_eq!(second.run_again(&using, &json!({}))["status"], "succeeded");
        assert_eq!(first.run_again(&plain, &json!({}))["status"], "succeeded");
    }
    let kept = || chains(&records(&fs::read_to_string(&path).unwrap_or_default()));
    let expected = || chains(&records(&export(&second.server, "trail.jsonl")));
    let both = expected();
    wait("one feeds what both have written", || kept() == both);
    first.server.kill();
    for _ in 0..4 {
        assert_eq!(second.run_again(&using, &json!({}))["status"], "succeeded");
    }
    let all = expected();
    wait("the other one goes on", || kept() == all);
    first.server.spawn();
}

#[test]
fn sinks_that_cannot_be_are_refused_at_start() {
    let server = Server::start("audit-sink-refused", Backend::Sqlite);
    let check = |sink: &str, required: &str, expected: &str| {
        let elsewhere = tempfile::tempdir().unwrap();
        let output = server
            .command(&["serve", "--listen", "127.0.0.1:0"])
            .env("KEYWARD_DATA_DIR", elsewhere.path())
            .env("KEYWARD_AUDIT_SINK", sink)
            .env("KEYWARD_AUDIT_SINK_REQUIRED", required)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(expected), "{sink}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    };
    check("ftp://logs", "false", "sink 1: a sink is file:/path");
    check("file:relative/path", "false", "absolute path");
    check("https://me:hunter2@logs/", "false", "neither user nor password");
    check("syslog+udp://127.0.0.1", "true", "cannot be required");
    check("file:/tmp/x,file:/tmp/x", "false", "sink 2: it is named twice");
}
