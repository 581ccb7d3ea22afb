//! The server dies in the middle of its work: what it accepted is finished after the next start or by
//! another node, nothing is recorded twice, and no use is without its audit record.

mod database;
mod nodes;
mod restart;
mod stop;

use crate::server::Server;
use keyward_testkit::echo::{Echo, Received};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

/// A server, a service that it speaks to, and a credential for that.
struct Scene {
    server: Server,
    echo: Echo,
    secret: String,
}

impl Scene {
    fn of(server: Server) -> Self {
        let (echo, secret) = (Echo::start(), server.evidence.canary("KEY"));
        let credential = json!({
            "key": "KEY", "type": "api_key", "fields": { "value": secret },
            "hosts": [format!("http://{}", echo.address())],
        });
        server.post("/credentials", &credential).expect(201);
        Self { server, echo, secret }
    }

    /// An http step with the credential, to a path of its own.
    fn call(&self, id: &str, more: &Value) -> Value {
        let mut step = json!({
            "id": id, "kind": "http", "credential": { "$credential": "KEY" },
            "request": { "method": "POST", "url": self.echo.url(id), "json": { "n": "{{ trigger.body.n }}" } },
        });
        let members = more.as_object().into_iter().flatten();
        members.for_each(|(name, value)| step[name] = value.clone());
        step
    }

    /// A workflow behind a hook that answers at once; gives the hook.
    fn hook(&self, steps: &Value) -> String {
        let trigger = json!({ "kind": "http", "method": "POST", "respond": "accepted" });
        let definition = json!({ "name": "Crash", "trigger": trigger, "steps": steps });
        self.server.workflow(&definition).1
    }

    /// Starts a run by its hook; gives its id.
    fn start(&self, steps: &Value) -> String {
        let answer = self.server.hook(&self.hook(steps), &json!({ "n": 7 }));
        answer.expect(202)["run_id"].as_str().unwrap().to_owned()
    }

    /// The requests to a path so far.
    fn requests(&self, path: &str) -> Vec<Received> {
        let mut all = self.echo.received();
        all.retain(|request| request.path() == format!("/{path}"));
        all
    }

    /// Waits until a path was asked for so many times.
    #[track_caller]
    fn wait_for(&self, path: &str, count: usize) {
        let begun = Instant::now();
        while self.requests(path).len() < count {
            assert!(begun.elapsed() < Duration::from_secs(20), "/{path} is not asked for");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn kill_and_restart(&mut self) {
        self.server.kill();
        check_audit(&self.server);
        self.server.spawn();
    }

    /// The run has ended well with each step once, and every request that came is in the audit.
    #[track_caller]
    fn check_succeeded(&self, server: &Server, id: &str, steps: &[&str]) -> Value {
        let run = server.ended(id);
        assert_eq!(run["status"], "succeeded", "{run}");
        assert_eq!(step_ids(&run), steps, "{run}");
        self.check_requests(server, id, steps);
        run
    }

    /// Every request carried the secret and the run's own key, and has its audit record.
    #[track_caller]
    fn check_requests(&self, server: &Server, run: &str, steps: &[&str]) {
        let bearer = format!("Bearer {}", self.secret);
        for step in steps {
            let requests = self.requests(step);
            for request in &requests {
                assert_eq!(request.header("authorization"), Some(bearer.as_str()));
            }
            let path = format!("/audit?run={run}&action=credential.used&outcome=allowed&limit=200");
            let records = server.get(&path).expect(200);
            let of_step = |record: &&Value| record["step_id"] == *step;
            let recorded = records["items"].as_array().unwrap().iter().filter(of_step).count();
            assert!(recorded >= requests.len(), "{step}: {recorded} of {} audited", requests.len());
        }
    }

    /// The idempotency keys that came with a path's requests, in their order.
    fn keys(&self, path: &str) -> Vec<String> {
        let key = |request: Received| request.header("idempotency-key").unwrap().to_owned();
        self.requests(path).into_iter().map(key).collect()
    }
}

fn step_ids(run: &Value) -> Vec<&str> {
    run["steps"].as_array().unwrap().iter().map(|step| step["id"].as_str().unwrap()).collect()
}

fn distinct(keys: &[String]) -> usize {
    keys.iter().collect::<BTreeSet<_>>().len()
}

#[track_caller]
fn check_audit(server: &Server) {
    let (holds, _, errors) = server.run(&["audit", "verify"]);
    assert!(holds, "{errors}");
}

/// Sends a signal to the server's process alone.
fn signal(server: &Server, name: &str) {
    let pid = server.pid().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}
