//! People from outside: signing in, sessions, invitations, members, one-time codes.

mod command_line;
mod data;
mod invitations;
mod members;
mod service_accounts;
mod sessions;
mod sign_in;
mod tampering;
mod totp;

use crate::server::{Answer, Server};
use serde_json::{Value, json};

const OWNER: &str = "alice@example.com";
const BASE: &str = "/api/v1/workspaces/default";

/// The password that `init` gave the owner.
fn owner_password(server: &Server) -> String {
    server.evidence.canary("owner-password")
}

/// A call without credentials; its answer may show a token, and so is not kept.
fn public(server: &Server, path: &str, body: &Value, more: &[(&str, &str)]) -> Answer {
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend_from_slice(more);
    server.send_unkept("POST", path, &headers, body.to_string().as_bytes())
}

/// Tries to sign in.
fn sign_in(server: &Server, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password });
    public(server, "/api/v1/sessions", &body, &[])
}

/// A browser that is signed in.
struct Browser {
    id: String,
    cookie: String,
    csrf: String,
    member: Value,
}

impl Browser {
    /// Signs in.
    #[track_caller]
    fn open(server: &Server, email: &str, password: &str) -> Self {
        Self::of(server, &sign_in(server, email, password))
    }

    /// The browser that got this answer.
    #[track_caller]
    fn of(server: &Server, answer: &Answer) -> Self {
        let session = answer.expect(201);
        let set = answer.header("set-cookie").expect("a cookie");
        let cookie = set.split(';').next().unwrap().to_owned();
        server.evidence.watch("cookie", cookie.split_once('=').unwrap().1);
        Self {
            id: text(&session["id"]),
            cookie,
            csrf: text(&session["csrf_token"]),
            member: session["member"].clone(),
        }
    }

    /// A call as the browser's own page makes it.
    fn call(&self, server: &Server, method: &str, path: &str, body: &Value) -> Answer {
        self.call_from(server, &server.url, method, path, body)
    }

    /// A call as a page of that origin makes it.
    fn call_from(
        &self,
        server: &Server,
        origin: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Answer {
        let headers = [
            ("Cookie", self.cookie.as_str()),
            ("X-CSRF-Token", self.csrf.as_str()),
            ("Origin", origin),
            ("Content-Type", "application/json"),
        ];
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        server.send_unkept(method, path, &headers, &bytes)
    }

    /// Whether it is signed in.
    fn works(&self, server: &Server) -> bool {
        match self.call(server, "GET", "/api/v1/workspaces", &Value::Null).status {
            200 => true,
            401 => false,
            status => panic!("an unexpected status: {status}"),
        }
    }
}

/// Invites as somebody with a token; gives id and token of the invitation.
#[track_caller]
fn invite(server: &Server, by: &str, email: &str, role: &str) -> (String, String) {
    let answer = invite_answer(server, by, email, role);
    let made = answer.expect(201);
    let token = text(&made["token"]);
    server.evidence.watch("invitation", &token);
    (text(&made["id"]), token)
}

fn invite_answer(server: &Server, by: &str, email: &str, role: &str) -> Answer {
    let authorization = format!("Bearer {by}");
    let body = json!({ "email": email, "role": role });
    let path = format!("{BASE}/invitations");
    public(server, &path, &body, &[("Authorization", &authorization)])
}

fn accept(server: &Server, token: &str, name: &str, password: &str) -> Answer {
    let body = json!({ "name": name, "password": password });
    public(server, &format!("/api/v1/invitations/{token}/accept"), &body, &[])
}

/// Somebody who has accepted an invitation.
struct Person {
    email: String,
    password: String,
    id: String,
}

impl Person {
    /// Invites and accepts.
    #[track_caller]
    fn join(server: &Server, name: &str, role: &str) -> Self {
        let email = format!("{name}@example.com");
        let password = server.evidence.canary(&format!("password-{name}"));
        let (_, token) = invite(server, &server.token, &email, role);
        let member = accept(server, &token, name, &password).expect(201);
        Self { email, password, id: text(&member["id"]) }
    }

    /// Signs in.
    #[track_caller]
    fn browser(&self, server: &Server) -> Browser {
        Browser::open(server, &self.email, &self.password)
    }

    /// An API token that acts as this person.
    #[track_caller]
    fn token(&self, server: &Server) -> String {
        let body = json!({ "name": "mine" });
        let answer = self.browser(server).call(server, "POST", &format!("{BASE}/tokens"), &body);
        let token = text(&answer.expect(201)["token"]);
        server.evidence.watch("token", &token);
        token
    }

    fn path(&self) -> String {
        format!("{BASE}/members/{}", self.id)
    }
}

/// The owner's id as a member.
#[track_caller]
fn owner_id(server: &Server) -> String {
    let members = server.get("/members").expect(200);
    let all = members["items"].as_array().expect("items");
    text(&all.iter().find(|member| member["email"] == OWNER).expect("the owner")["id"])
}

/// The audit trail's entries of an action, newest first.
#[track_caller]
fn audit(server: &Server, action: &str) -> Vec<Value> {
    let page = server.get(&format!("/audit?limit=200&action={action}")).expect(200);
    page["items"].as_array().expect("items").clone()
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
