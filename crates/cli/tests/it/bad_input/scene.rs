//! A server with one thing of each kind, and what every refusal has in common.

use super::operation::Operation;
use crate::samples;
use crate::server::{Answer, Server};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

/// What was refused is written down as well.
const AUDIT: &str = "/audit?outcome=allowed";

/// A server, its things, and the faults found so far.
pub struct Scene {
    pub server: Server,
    /// Planted wherever a request has room for it.
    pub canary: String,
    own: BTreeMap<&'static str, String>,
    foreign: BTreeMap<&'static str, String>,
    document: Value,
    definition: Value,
    pages: RefCell<BTreeSet<String>>,
    cases: Cell<usize>,
    faults: RefCell<Vec<String>>,
}

impl Scene {
    /// Makes a credential, a workflow, a run and a token in each of two workspaces.
    pub fn set(server: Server) -> Self {
        let public = |path: &str| server.send("GET", path, &[], &[]).expect(200);
        let (document, definition) =
            (public("/api/openapi.json"), public("/api/workflow.schema.json"));
        let other = server.call_as(
            &server.token,
            "POST",
            "/api/v1/workspaces",
            &json!({ "name": "Other" }),
        );
        let other = other.expect(201)["slug"].as_str().expect("a slug").to_owned();
        Self {
            canary: server.evidence.canary("planted"),
            own: things(&server, "default"),
            foreign: things(&server, &other),
            document,
            definition,
            server,
            pages: RefCell::default(),
            cases: Cell::default(),
            faults: RefCell::default(),
        }
    }

    pub fn operations(&self) -> Vec<Operation> {
        Operation::all(&self.document, &self.definition)
    }

    /// The id of a thing in the workspace that requests are about.
    pub fn id(&self, kind: &str) -> String {
        self.own[kind].clone()
    }

    /// The id of a thing in another workspace.
    pub fn foreign_id(&self, kind: &str) -> String {
        self.foreign[kind].clone()
    }

    /// An operation's path with names that exist.
    pub fn path(&self, operation: &Operation) -> String {
        let path = operation.path.replace("{workspace}", "default").replace("{version}", "1");
        let path = path.replace("{member}", "all").replace("{token}", "none");
        self.with_id(operation, &path)
    }

    /// The same path with an id that exists.
    pub fn with_id(&self, operation: &Operation, path: &str) -> String {
        operation
            .kind()
            .map_or_else(|| path.to_owned(), |kind| path.replace("{id}", &self.id(kind)))
    }

    /// A body that an operation takes.
    pub fn sample_value(&self, operation: &Operation) -> Value {
        if operation.takes_definition() {
            return definition("New");
        }
        match samples::body(&operation.name(), &self.canary) {
            Value::Null => panic!("a sample of {}'s body is missing: add it", operation.name()),
            body => body,
        }
    }

    /// The same as text; nothing where the operation takes no body.
    pub fn sample(&self, operation: &Operation) -> String {
        operation
            .body
            .as_ref()
            .map_or_else(String::new, |_| self.sample_value(operation).to_string())
    }

    /// Sends a request with a canary in a header of its own.
    pub fn send(
        &self,
        operation: &Operation,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        self.cases.set(self.cases.get() + 1);
        let own = [("X-Request-Id", self.canary.as_str()), ("Cookie", self.canary.as_str())];
        self.server.send(&operation.method, path, &[headers, &own].concat(), body)
    }

    /// Sends JSON with the owner's token.
    pub fn send_as_owner(&self, operation: &Operation, path: &str, body: &[u8]) -> Answer {
        let token = format!("Bearer {}", self.server.token);
        let mut headers = vec![("Authorization", token.as_str())];
        if operation.body.is_some() {
            headers.push(("Content-Type", "application/json"));
        }
        self.send(operation, path, &headers, body)
    }

    /// Checks that an answer is one of these problems and says nothing that was sent.
    pub fn expect(
        &self,
        operation: &Operation,
        what: &str,
        answer: &Answer,
        expected: &[(u16, &str)],
    ) -> Value {
        let problem: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let code = problem["code"].as_str().unwrap_or_default();
        let described = operation.statuses.is_empty()
            || [404, 405].contains(&answer.status)
            || operation.statuses.contains(&answer.status);
        let rules = [
            ("the status and code are others", expected.contains(&(answer.status, code))),
            ("it is not described", described),
            ("it is no problem document", self.is_problem(answer, &problem)),
            ("its type has no page", self.has_page(&problem)),
            ("it holds what was sent", !self.holds_canary(answer)),
        ];
        for (fault, _) in rules.iter().filter(|(_, kept)| !kept) {
            self.fault(operation, &format!("{what}: {fault}"), answer);
        }
        problem
    }

    /// Notes a fault of an answer.
    pub fn fault(&self, operation: &Operation, what: &str, answer: &Answer) {
        let text: String = answer.body.chars().take(400).collect();
        let shown = format!("{} {text}", answer.status);
        self.faults
            .borrow_mut()
            .push(format!("{} ({}): {what}: {shown}", operation.id, operation.method));
    }

    /// Notes a fault of a problem.
    pub fn fault_of(&self, operation: &Operation, what: &str, problem: &Value) {
        self.faults.borrow_mut().push(format!("{}: {what}: {problem}", operation.id));
    }

    /// Fails where faults were found; gives how many requests were sent.
    pub fn done(&self) -> usize {
        let faults = self.faults.borrow();
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
        self.cases.get()
    }

    /// All that requests could have changed.
    pub fn state(&self) -> Vec<Value> {
        let id = |kind| self.id(kind);
        let mut paths: Vec<_> =
            ["", "/members", "/tokens", "/credentials", "/workflows", "/runs", AUDIT]
                .map(|list| format!("/api/v1/workspaces/default{list}"))
                .into();
        paths.push("/api/v1/workspaces".into());
        for (kind, parts) in [
            ("credentials", ["", "/versions", "/dependents", "/audit"].as_slice()),
            ("workflows", &["", "/versions", "/allowlist"]),
            ("runs", &[""]),
        ] {
            let of = |part| format!("/api/v1/workspaces/default/{kind}/{}{part}", id(kind));
            paths.extend(parts.iter().map(of));
        }
        let get = |path: &String| {
            self.server.call_as(&self.server.token, "GET", path, &Value::Null).expect(200)
        };
        paths.iter().map(get).collect()
    }

    fn is_problem(&self, answer: &Answer, problem: &Value) -> bool {
        let is_fault = |error: &Value| {
            ["pointer", "code", "detail"].iter().all(|name| error[name].is_string())
        };
        let codes =
            &self.document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
        answer.header("content-type") == Some("application/problem+json")
            && ["type", "title", "detail", "code"].iter().all(|name| problem[name].is_string())
            && problem["status"] == answer.status
            && codes.as_array().is_some_and(|codes| codes.contains(&problem["code"]))
            && problem["errors"].as_array().is_some_and(|errors| errors.iter().all(is_fault))
    }

    /// Whether the problem's type is `/problems/<code>` and answers with 200; asked once.
    fn has_page(&self, problem: &Value) -> bool {
        let Some(kind) = problem["type"].as_str() else { return false };
        let own = format!("/problems/{}", problem["code"].as_str().unwrap_or_default());
        let path = kind.strip_prefix(&self.server.url).unwrap_or(kind);
        if path != own {
            return false;
        }
        self.pages.borrow().contains(path) || {
            let found = self.server.send("GET", path, &[], &[]).status == 200;
            found && self.pages.borrow_mut().insert(path.to_owned())
        }
    }

    fn holds_canary(&self, answer: &Answer) -> bool {
        // Its random part in any case; the prefix is not a secret.
        let canary = self.canary.to_lowercase();
        let text = format!("{:?} {}", answer.headers, answer.body).to_lowercase();
        text.contains(canary.trim_start_matches("kwtest_"))
    }
}

fn things(server: &Server, workspace: &str) -> BTreeMap<&'static str, String> {
    let post = |path: &str, body: &Value| {
        let path = format!("/api/v1/workspaces/{workspace}{path}");
        let token = format!("Bearer {}", server.token);
        let headers = [("Authorization", token.as_str()), ("Content-Type", "application/json")];
        server.send_unkept("POST", &path, &headers, body.to_string().as_bytes())
    };
    let id = |value: &Value| value["id"].as_str().expect("an id").to_owned();
    let secret = server.evidence.canary(&format!("value-{workspace}"));
    let credential = json!({ "key": "API_KEY", "type": "api_key", "fields": { "value": secret } });
    let credential = id(&post("/credentials", &credential).expect(201));
    let workflow = id(&post("/workflows", &definition("Old")).expect(201));
    let started = post(&format!("/workflows/{workflow}/runs"), &json!({ "wait": true }));
    let token = id(&post("/tokens", &json!({ "name": "Spare" })).expect(201));
    let machine = json!({ "kind": "service", "name": "Machine", "role": "viewer" });
    let machine = id(&post("/members", &machine).expect(201));
    let guest = json!({ "email": "guest@example.com", "role": "viewer" });
    let guest = id(&post("/invitations", &guest).expect(201));
    let app = samples::manifest(&format!("app_of_{workspace}"), "https://api.example.com");
    let app = id(&post("/apps", &app).expect(201));
    [
        ("credentials", credential),
        ("workflows", workflow),
        ("runs", id(&started.expect(200))),
        ("tokens", token),
        ("members", machine),
        ("invitations", guest),
        ("apps", app),
        ("sessions", "ses_00000000000000000000000000".to_owned()),
    ]
    .into()
}

fn definition(name: &str) -> Value {
    json!({
        "name": name,
        "trigger": { "kind": "http", "respond": "result" },
        "steps": [{ "id": "one", "kind": "code", "source": "return 1;" }],
    })
}
