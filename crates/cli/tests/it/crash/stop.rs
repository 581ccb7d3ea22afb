//! Orderly ends, and starts that are refused.

use super::{Scene, check_audit, signal};
use crate::server::{Backend, Server, on_both};
use keyward_testkit::echo::Reply;
use serde_json::json;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_terminated_server_finishes_what_it_does_and_exits_with_0() {
    on_both("crash-stop", |server| {
        let mut scene = Scene::of(server);
        scene.echo.route("/slow", Reply::text("done").after(Duration::from_millis(1500)));
        scene.echo.route("/asked", Reply::text("done").after(Duration::from_millis(1500)));
        let accepted =
            scene.start(&json!([scene.call("slow", &json!({})), scene.call("next", &json!({}))]));
        let (_, hook) = scene.server.workflow(&json!({
            "name": "Answers", "trigger": { "kind": "http", "respond": "result" },
            "steps": [scene.call("asked", &json!({}))],
        }));
        scene.wait_for("slow", 1);
        // A client that has connected and says nothing holds nobody up.
        let silent = std::net::TcpStream::connect(scene.server.url.trim_start_matches("http://"));
        let begun = Instant::now();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| scene.server.hook(&hook, &json!({ "n": 1 })));
            scene.wait_for("asked", 1);
            signal(&scene.server, "-TERM");
            let answer = waiting.join().unwrap();
            assert_eq!(answer.expect(200)["body"], "done", "who waits still gets the answer");
        });
        assert!(scene.server.stop(), "{}", scene.server.log());
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
        drop(silent);
        check_audit(&scene.server);
        let requests = scene.requests("slow").len();
        scene.server.spawn();
        scene.check_succeeded(&scene.server, &accepted, &["slow", "next"]);
        assert_eq!(scene.requests("slow").len(), requests, "nothing was left to do again");
    });
}

#[test]
fn a_second_server_on_the_same_data_directory_is_refused() {
    for (name, backend) in
        [("crash-second-sqlite", Backend::Sqlite), ("crash-second-postgres", Backend::Postgres)]
    {
        let server = Server::start(name, backend);
        let second = server.command(&["serve", "--listen", "127.0.0.1:0"]);
        let (status, printed, errors) = end_of(second);
        assert_eq!(status, Some(1), "{errors}");
        assert!(!printed.contains("listening"), "{printed}");
        let directory = server.data.to_string_lossy().into_owned();
        assert!(
            errors.contains("another keyward server") && errors.contains(&directory),
            "{errors}"
        );
        server.get("/workflows").expect(200);
    }
}

/// Runs a server that must end by itself; gives its exit status and what it printed.
fn end_of(mut command: std::process::Command) -> (Option<i32>, String, String) {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("the server does not end");
        }
        thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
