//! The database goes away under a living server: runs under way end all the same.

use super::{Scene, check_audit, step_ids};
use crate::server::{Backend, Server};
use keyward_testkit::echo::Reply;
use serde_json::{Value, json};
use std::process::Command;
use std::thread;
use std::time::Duration;

#[test]
fn runs_go_on_after_their_database_connections_were_cut() {
    let scene = Scene::of(Server::start("crash-database", Backend::Postgres));
    scene.echo.route("/slow", Reply::text("done").after(Duration::from_millis(400)));
    let steps: Vec<Value> = (0..8)
        .map(|number| match number % 2 {
            0 => json!({ "id": format!("c{number}"), "kind": "code", "source": "return trigger.body.n" }),
            _ => {
                // A use that cannot be recorded fails its attempt: `audit_unavailable`.
                let retry = json!({ "retry": { "attempts": 8, "delay_seconds": 0 } });
                let mut step = scene.call(&format!("h{number}"), &retry);
                step["request"]["url"] = scene.echo.url("slow").into();
                step
            }
        })
        .collect();
    let hook = scene.hook(&json!(steps));
    let ids: Vec<String> = (0..4)
        .map(|number| {
            let answer = scene.server.hook(&hook, &json!({ "n": number }));
            answer.expect(202)["run_id"].as_str().unwrap().to_owned()
        })
        .collect();
    for _ in 0..12 {
        thread::sleep(Duration::from_millis(130));
        cut_connections(&scene.server);
    }
    thread::sleep(Duration::from_secs(1));
    for id in &ids {
        let run = scene.server.ended(id);
        assert_eq!(run["status"], "succeeded", "{run}");
        assert_eq!(step_ids(&run).len(), 8, "{run}");
    }
    check_audit(&scene.server);
}

/// Ends every other connection to the server's database.
fn cut_connections(server: &Server) {
    let command = server.command(&[]);
    let named = |(name, value): (&std::ffi::OsStr, Option<&std::ffi::OsStr>)| {
        (name == "KEYWARD_DATABASE_URL").then(|| value.unwrap().to_owned())
    };
    let url = command.get_envs().find_map(named).unwrap();
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid != pg_backend_pid()";
    let status =
        Command::new("/usr/lib/postgresql/15/bin/psql").arg(url).args(["-qAtc", sql]).output();
    assert!(status.unwrap().status.success());
}
