//! The commands: members and their roles, sessions, tokens of service accounts.

use super::{Person, accept, text};
use crate::server::{Backend, Server};
use serde_json::Value;
use std::process::Stdio;

/// Runs a client command as somebody with a token; gives its success and what it printed, of which
/// nothing is kept: it may be a link or a token.
fn client(server: &Server, token: &str, arguments: &[&str]) -> (bool, String, String) {
    let mut command = server.command(arguments);
    command.env("KEYWARD_URL", &server.url).env("KEYWARD_TOKEN", token);
    command.env("KEYWARD_WORKSPACE", "default").stdin(Stdio::null());
    let output = command.output().expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// The same as the owner, where it succeeds.
#[track_caller]
fn owner(server: &Server, arguments: &[&str]) -> String {
    let (done, printed, errors) = client(server, &server.token, arguments);
    assert!(done, "{arguments:?}: {errors}");
    printed
}

#[test]
fn members_are_managed_from_the_command_line() {
    let server = Server::start("people-command-line", Backend::Sqlite);
    let link = owner(&server, &["member", "invite", "bob@example.com", "editor"]);
    let token = link.trim().split_once("#token=").expect("a link").1.to_owned();
    server.evidence.watch("link", &token);
    let password = server.evidence.canary("password-bob");
    let id = text(&accept(&server, &token, "Bob", &password).expect(201)["id"]);
    let bob = Person { email: "bob@example.com".into(), password, id };

    let listed = owner(&server, &["member", "list"]);
    assert!(listed.lines().next().is_some_and(|titles| titles.starts_with("ID")), "{listed}");
    assert!(listed.contains("bob@example.com") && listed.contains("editor"), "{listed}");
    let by_address = owner(&server, &["member", "role", "Bob@example.com", "viewer"]);
    assert_eq!(by_address, "Bob@example.com is now viewer\n");
    let by_id = owner(&server, &["--json", "member", "role", &bob.id, "operator"]);
    let changed: Value = serde_json::from_str(&by_id).expect("JSON");
    assert_eq!(changed["role"], "operator");
    let (done, _, errors) =
        client(&server, &bob.token(&server), &["member", "role", &bob.id, "owner"]);
    assert!(!done && errors.contains("your role does not allow this"), "{errors}");
    let (done, _, errors) =
        client(&server, &server.token, &["member", "remove", "nobody@example.com"]);
    assert!(!done && errors.contains("no member has that e-mail address"), "{errors}");
    let (done, _, errors) =
        client(&server, &server.token, &["member", "remove", "alice@example.com"]);
    assert!(!done && errors.contains("without an owner"), "{errors}");
    assert_eq!(owner(&server, &["member", "remove", &bob.id]), format!("removed {}\n", bob.id));
    assert!(!owner(&server, &["member", "list"]).contains("bob@example.com"));
    assert!(owner(&server, &["member", "list", "--left"]).contains("bob@example.com"));
}

#[test]
fn a_pipeline_gets_its_token_from_the_command_line() {
    let server = Server::start("people-pipeline", Backend::Sqlite);
    let made = owner(&server, &["--json", "member", "service", "CI", "operator"]);
    let id = text(&serde_json::from_str::<Value>(&made).expect("JSON")["id"]);
    let create = ["token", "create", "CI", "--member", &id, "--scope", "run", "--expires", "30d"];
    let token = owner(&server, &create).trim().to_owned();
    server.evidence.watch("pipeline", &token);
    let (done, printed, errors) = client(&server, &token, &["run", "list"]);
    assert!(done, "{printed}{errors}");
    let (done, _, _) = client(&server, &token, &["credential", "list"]);
    assert!(!done, "beyond its scope");
    let tokens = server.get("/tokens").expect(200);
    let all = tokens["items"].as_array().expect("items");
    let listed = all.iter().find(|item| item["member"] == id).expect("the token");
    assert!(listed["expires_at"].is_string());
}

#[test]
fn sessions_are_ended_from_the_command_line() {
    let server = Server::start("people-session-command", Backend::Sqlite);
    let bob = Person::join(&server, "bob", "viewer");
    let token = bob.token(&server);
    let browser = bob.browser(&server);
    let (_, listed, _) = client(&server, &token, &["session", "list"]);
    assert!(listed.contains(&browser.id) && listed.contains("127.0.0.1"), "{listed}");
    // Nobody ends the sessions of others.
    let (done, _, _) = client(&server, &server.token, &["session", "revoke", &browser.id]);
    assert!(!done);
    let (done, printed, _) = client(&server, &token, &["session", "revoke", &browser.id]);
    assert!(done);
    assert_eq!(printed, format!("ended {}\n", browser.id));
    assert!(!browser.works(&server));
}
