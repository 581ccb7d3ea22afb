//! Several people and their credentials: who gets which, who is given what, and what remains when
//! somebody leaves.

mod command_line;
mod explanation;
mod leaving;
mod resolution;
mod settings;
mod shares;
mod suspension;
mod transfer;
mod usage;

use crate::scene::Scene;
use crate::server::{Answer, Server};
use serde_json::{Value, json};

const BASE: &str = "/api/v1/workspaces/default";

/// Somebody in the workspace, with an API token that acts as them.
struct Member {
    id: String,
    token: String,
}

impl Member {
    /// A service account.
    #[track_caller]
    fn machine(server: &Server, name: &str, role: &str) -> Self {
        let new = json!({ "kind": "service", "name": name, "role": role });
        let id = text(&server.post("/members", &new).expect(201)["id"]);
        let body = json!({ "name": "its", "member": id }).to_string();
        let owner = format!("Bearer {}", server.token);
        let headers = [("Authorization", owner.as_str()), ("Content-Type", "application/json")];
        let made = server.send_unkept("POST", &format!("{BASE}/tokens"), &headers, body.as_bytes());
        Self::with(server, id, &made)
    }

    /// A person, invited and signed in.
    #[track_caller]
    fn person(server: &Server, name: &str, role: &str) -> Self {
        let email = format!("{name}@example.com");
        let password = server.evidence.canary(&format!("password-{name}"));
        let owner = format!("Bearer {}", server.token);
        let unkept = |path: &str, headers: &[(&str, &str)], body: &Value| {
            let headers = [&[("Content-Type", "application/json")], headers].concat();
            server.send_unkept("POST", path, &headers, body.to_string().as_bytes())
        };
        let invited = unkept(
            &format!("{BASE}/invitations"),
            &[("Authorization", &owner)],
            &json!({ "email": email, "role": role }),
        );
        let token = text(&invited.expect(201)["token"]);
        let accept = format!("/api/v1/invitations/{token}/accept");
        let joined = unkept(&accept, &[], &json!({ "name": name, "password": password }));
        let session = json!({ "email": email, "password": password });
        let session = unkept("/api/v1/sessions", &[], &session);
        let cookie = session.header("set-cookie").expect("a cookie").split(';').next().unwrap();
        let csrf = text(&session.expect(201)["csrf_token"]);
        let headers = [("Cookie", cookie), ("X-CSRF-Token", csrf.as_str())];
        let made = unkept(&format!("{BASE}/tokens"), &headers, &json!({ "name": "mine" }));
        Self::with(server, text(&joined.expect(201)["id"]), &made)
    }

    #[track_caller]
    fn with(server: &Server, id: String, made: &Answer) -> Self {
        let token = text(&made.expect(201)["token"]);
        server.evidence.watch("token", &token);
        Self { id, token }
    }

    fn call(&self, server: &Server, method: &str, path: &str, body: &Value) -> Answer {
        server.call_as(&self.token, method, &format!("{BASE}{path}"), body)
    }

    fn get(&self, server: &Server, path: &str) -> Answer {
        self.call(server, "GET", path, &Value::Null)
    }

    /// Saves a personal API key bound to the service; gives its id.
    #[track_caller]
    fn personal(&self, scene: &Scene, key: &str, value: &str) -> String {
        let body = json!({
            "key": key, "type": "api_key", "scope": { "kind": "personal" },
            "fields": { "value": value }, "hosts": [scene.host()],
        });
        text(&self.call(&scene.server, "POST", "/credentials", &body).expect(201)["id"])
    }

    /// Saves a workflow of their own with one request that attaches a key; gives its id.
    #[track_caller]
    fn caller(&self, scene: &Scene, key: &str) -> String {
        let saved = self.call(&scene.server, "POST", "/workflows", &calls(scene, key));
        text(&saved.expect(201)["id"])
    }

    /// Gives somebody, or `all`, a share.
    #[track_caller]
    fn share(&self, server: &Server, credential: &str, with: &str, level: &str) -> Value {
        let path = format!("/credentials/{credential}/shares/{with}");
        self.call(server, "PUT", &path, &json!({ "level": level })).expect(200)
    }
}

/// The owner whom `init` made.
#[track_caller]
fn owner(server: &Server) -> Member {
    let members = server.get("/members").expect(200);
    let all = members["items"].as_array().expect("items");
    let owner = all.iter().find(|member| member["role"] == "owner").expect("the owner");
    Member { id: text(&owner["id"]), token: server.token.clone() }
}

/// A workflow whose one step sends a request with a key.
fn calls(scene: &Scene, key: &str) -> Value {
    json!({
        "name": "Calls", "trigger": { "kind": "http", "method": "POST", "respond": "result" },
        "steps": [{ "id": "call", "kind": "http", "credential": { "$credential": key },
                    "request": { "method": "GET", "url": format!("{}/x", scene.host()) } }],
    })
}

/// What the service was sent by a run of the workflow, or the run's error.
#[track_caller]
fn sent(scene: &Scene, workflow: &str) -> Result<String, Value> {
    let before = scene.echo.received().len();
    let run = scene.run_again(workflow, &json!({}));
    match run["status"].as_str() {
        Some("succeeded") => {
            let received = scene.echo.received().swap_remove(before);
            let header = received.header("authorization").expect("an authorization");
            Ok(header.trim_start_matches("Bearer ").to_owned())
        }
        _ => {
            assert_eq!(scene.echo.received().len(), before, "nothing leaves: {run}");
            Err(run["error"].clone())
        }
    }
}

/// The code of a run's error.
#[track_caller]
fn code(sent: Result<String, Value>) -> String {
    match sent {
        Ok(_) => String::new(),
        Err(error) => text(&error["code"]),
    }
}

/// The newest reason that the audit has for an action and outcome.
#[track_caller]
fn reason(scene: &Scene, filter: &str) -> String {
    text(&scene.audit(filter).first().unwrap_or_else(|| panic!("no {filter}"))["reason"])
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
