//! A required sink that does not take records stops the release of values, and nothing else; it heals
//! by itself.

use super::sinks::Collector;
use super::{chains, code, export, furnish, records, wait};
use crate::scene::Scene;
use crate::server::{Backend, Server};
use serde_json::{Value, json};
use std::net::TcpListener;

/// A port that nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start(test: &str, backend: Backend, sink: &str, lag: &str) -> Scene {
    Scene::with(Server::start_with(
        test,
        backend,
        &[
            ("KEYWARD_EGRESS_ALLOW", "127.0.0.0/8"),
            ("KEYWARD_AUDIT_SINK", sink),
            ("KEYWARD_AUDIT_SINK_REQUIRED", "true"),
            ("KEYWARD_AUDIT_SINK_MAX_LAG", lag),
        ],
    ))
}

fn ready(scene: &Scene) -> String {
    scene.server.send("GET", "/readyz", &[], b"").body
}

/// Uses that are tried now get nothing, and say so; what needs no value goes on.
fn check_closed(scene: &Scene, using: &str, plain: &str) {
    let before = scene.echo.received().len();
    let refused = scene.run_again(using, &json!({}));
    assert_eq!(code(&refused), "audit_unavailable", "{refused}");
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("a required audit sink does not take records"), "{message}");
    assert_eq!(scene.echo.received().len(), before, "nothing was sent");
    let exposed = scene.manual(&json!([scene.code("s", "return credential('READABLE').length")]));
    assert_eq!(code(&scene.run_again(&exposed, &json!({}))), "audit_unavailable");
    let hmac = "return await credential.verifyHmac('KEY', 'm', 'AAAA', { algorithm: 'sha256' })";
    let verifying = scene.run_again(&scene.manual(&json!([scene.code("s", hmac)])), &json!({}));
    assert_ne!(verifying["status"], "succeeded", "{verifying}");
    assert_eq!(scene.run_again(plain, &json!({}))["status"], "succeeded");
    let run = refused["id"].as_str().unwrap();
    let recorded = scene.audit(&format!("run={run}&outcome=refused"));
    let reasons: Vec<&Value> = recorded.iter().map(|event| &event["reason"]).collect();
    assert_eq!(reasons, ["audit_sink"], "{recorded:#?}");
}

#[test]
fn a_required_sink_that_is_down_holds_values_back_until_it_is_up() {
    for (name, backend) in
        [("audit-required-sqlite", Backend::Sqlite), ("audit-required-postgres", Backend::Postgres)]
    {
        let port = free_port();
        let sink = format!("syslog+tcp://127.0.0.1:{port}");
        let scene = start(name, backend, &sink, "10");
        scene.readable("READABLE", &scene.canary("READABLE"));
        let (using, plain) = furnish(&scene);
        wait("the gate is closed", || ready(&scene).contains("no value is released"));
        check_closed(&scene, &using, &plain);
        let said = ready(&scene);
        assert!(
            said.starts_with("ready\n") && said.contains("the connection was refused"),
            "{said}"
        );
        assert!(!said.contains(&port.to_string()), "no addresses for anybody: {said}");
        let metrics = scene.server.send("GET", "/metrics", &[], b"").body;
        assert!(metrics.contains("blocks{sink=\"1\",kind=\"syslog+tcp\"} 1"), "{metrics}");
        let (_, printed, _) = scene.server.run(&["doctor"]);
        assert!(printed.contains("audit sinks") && printed.contains("attempts fail"), "{printed}");

        let collector = Collector::start(&format!("127.0.0.1:{port}"));
        wait("it heals by itself", || !ready(&scene).contains("no value is released"));
        let run = scene.run_again(&using, &json!({}));
        assert_eq!(run["status"], "succeeded", "{run}");
        let expected = chains(&records(&export(&scene.server, "trail.jsonl")));
        let text = || {
            let messages = collector.messages();
            let lines =
                messages.iter().filter_map(|message| message.find('{').map(|at| &message[at..]));
            lines.map(|line| format!("{line}\n")).collect::<String>()
        };
        wait("it has everything", || chains(&records(&text())) == expected);
        scene.server.evidence.keep("sink.out", text());
    }
}

#[test]
fn a_sink_that_hangs_holds_values_back_once_it_is_late() {
    // Takes connections, and never reads them to their end.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sink = format!("syslog+tcp://{}", listener.local_addr().unwrap());
    let scene = start("audit-required-late", Backend::Sqlite, &sink, "2");
    scene.readable("READABLE", &scene.canary("READABLE"));
    let (using, plain) = furnish(&scene);
    wait("the sink is late", || ready(&scene).contains("no value is released"));
    check_closed(&scene, &using, &plain);
}

#[test]
fn a_sink_that_is_not_required_holds_nothing_back() {
    let sink = format!("syslog+tcp://127.0.0.1:{}", free_port());
    let server = Server::start_with(
        "audit-optional",
        Backend::Sqlite,
        &[("KEYWARD_EGRESS_ALLOW", "127.0.0.0/8"), ("KEYWARD_AUDIT_SINK", &sink)],
    );
    let scene = Scene::with(server);
    let (using, _) = furnish(&scene);
    wait("it fails", || ready(&scene).contains("failing since"));
    assert_eq!(scene.run_again(&using, &json!({}))["status"], "succeeded");
    assert!(!ready(&scene).contains("no value is released"));
}
