//! A server with an echo service beside it, and short ways to save credentials and run steps.

use crate::server::{Answer, Backend, Server};
use keyward_testkit::echo::{Echo, Received, Reply};
use serde_json::{Value, json};

/// A server and a service that keeps what it was really sent.
pub struct Scene {
    pub server: Server,
    pub echo: Echo,
}

impl Scene {
    /// Starts both; the server runs on SQLite and may reach loopback.
    pub fn start(test: &str) -> Self {
        Self::with(Server::start(test, Backend::Sqlite))
    }

    /// Starts the service beside a server.
    pub fn with(server: Server) -> Self {
        Self { server, echo: Echo::start() }
    }

    /// The service's origin, as a host entry is written.
    pub fn host(&self) -> String {
        format!("http://{}", self.echo.address())
    }

    /// A canary of this test's own.
    pub fn canary(&self, name: &str) -> String {
        self.server.evidence.canary(name)
    }

    /// Saves a credential; gives its id.
    #[track_caller]
    pub fn credential(&self, body: &Value) -> String {
        let saved = self.server.post("/credentials", body).expect(201);
        saved["id"].as_str().expect("an id").to_owned()
    }

    /// Saves an API key bound to the service, sealed.
    #[track_caller]
    pub fn api_key(&self, key: &str, value: &str) -> String {
        self.credential(&json!({
            "key": key, "type": "api_key", "fields": { "value": value }, "hosts": [self.host()],
        }))
    }

    /// Saves an unbound API key that code may read.
    #[track_caller]
    pub fn readable(&self, key: &str, value: &str) -> String {
        self.credential(&json!({
            "key": key, "type": "api_key", "fields": { "value": value },
            "code_access": "readable",
        }))
    }

    /// A code step. `HOST` in its source stands for the service's origin.
    pub fn code(&self, id: &str, source: &str) -> Value {
        json!({ "id": id, "kind": "code", "source": source.replace("HOST", &self.host()) })
    }

    /// Saves a workflow with a manual trigger; gives its id.
    #[track_caller]
    pub fn manual(&self, steps: &Value) -> String {
        let definition = json!({ "name": "Test", "trigger": { "kind": "manual" }, "steps": steps });
        self.server.workflow(&definition).0
    }

    /// Saves and runs steps with a payload; gives the run that has ended.
    #[track_caller]
    pub fn run(&self, steps: &Value, payload: &Value) -> Value {
        self.run_again(&self.manual(steps), payload)
    }

    /// Runs a saved workflow; gives the run that has ended.
    #[track_caller]
    pub fn run_again(&self, workflow: &str, payload: &Value) -> Value {
        let body = json!({ "payload": payload, "wait": true });
        self.server.post(&format!("/workflows/{workflow}/runs"), &body).expect(200)
    }

    /// Runs one code step without a payload; gives the step.
    #[track_caller]
    pub fn script(&self, source: &str) -> Value {
        self.run(&json!([self.code("s", source)]), &json!({}))["steps"][0].clone()
    }

    /// Runs one code step; gives its output. Fails where it fails.
    #[track_caller]
    pub fn output(&self, source: &str) -> Value {
        let step = self.script(source);
        assert_eq!(step["status"], "succeeded", "{source}\n{step}");
        step["output"].clone()
    }

    /// Runs one code step that makes one request; gives what arrived, if anything did.
    #[track_caller]
    pub fn sent(&self, source: &str) -> (Value, Option<Received>) {
        let before = self.echo.received().len();
        let step = self.script(source);
        (step, self.echo.received().get(before).cloned())
    }

    /// The last audit entries of an action, newest first.
    #[track_caller]
    pub fn audit(&self, filter: &str) -> Vec<Value> {
        let page = self.server.get(&format!("/audit?limit=200&{filter}")).expect(200);
        page["items"].as_array().expect("items").clone()
    }

    /// Answers the next request with this.
    pub fn next(&self, reply: Reply) {
        self.echo.queue(reply);
    }

    /// Saves a workflow that a hook starts and that answers its result; gives id and path.
    #[track_caller]
    pub fn hooked(&self, steps: &Value) -> (String, String) {
        self.server.workflow(&json!({
            "name": "Hook", "trigger": { "kind": "http", "method": "POST", "respond": "result" },
            "steps": steps,
        }))
    }

    /// The answer of changing a credential.
    pub fn patch(&self, id: &str, body: &Value) -> Answer {
        self.server.api("PATCH", &format!("/credentials/{id}"), body)
    }
}
