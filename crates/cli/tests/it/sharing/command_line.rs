//! The commands: shares, the kill switch, giving away, use, explanations and settings.

use super::{Member, owner, sent};
use crate::scene::Scene;
use crate::server::{Backend, Server};
use serde_json::Value;
use std::process::Stdio;

/// Runs a client command as somebody with a token; gives its success and what it printed.
fn client(server: &Server, token: &str, arguments: &[&str]) -> (bool, String, String) {
    let mut command = server.command(arguments);
    command.env("KEYWARD_URL", &server.url).env("KEYWARD_TOKEN", token);
    command.env("KEYWARD_WORKSPACE", "default").stdin(Stdio::null());
    let output = command.output().expect("the binary runs");
    server.evidence.keep("commands.out", &output.stdout);
    server.evidence.keep("commands.err", &output.stderr);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn credentials_are_shared_stopped_and_given_away_from_the_command_line() {
    let scene = Scene::with(Server::start("sharing-command-line", Backend::Sqlite));
    let server = &scene.server;
    let (bob, carol) =
        (Member::person(server, "bob", "editor"), Member::person(server, "carol", "editor"));
    let id = bob.personal(&scene, "KEY", &scene.canary("secret"));
    let run = |token: &str, arguments: &[&str]| {
        let (done, printed, errors) = client(server, token, arguments);
        assert!(done, "{arguments:?}: {errors}");
        printed
    };
    let as_bob = |arguments: &[&str]| run(&bob.token, arguments);
    let as_owner = |arguments: &[&str]| run(&server.token, arguments);
    let refused = |token: &str, arguments: &[&str], words: &str| {
        let (done, _, errors) = client(server, token, arguments);
        assert!(!done && errors.contains(words), "{arguments:?}: {errors}");
    };
    let given = as_bob(&["credential", "share", "KEY", &carol.id, "--level", "view"]);
    assert_eq!(given, format!("{} may view it\n", carol.id));
    as_bob(&["credential", "share", "KEY", "all"]);
    let shares = as_bob(&["credential", "shares", "KEY"]);
    assert!(shares.contains("carol@example.com") && shares.contains("view"), "{shares}");
    as_bob(&["credential", "unshare", "KEY", "all"]);
    let json: Value =
        serde_json::from_str(&as_bob(&["--json", "credential", "shares", "KEY"])).expect("JSON");
    assert_eq!(json["items"].as_array().unwrap().len(), 1, "{json}");
    let nobody = ["credential", "share", "KEY", "mem_00000000000000000000000000"];
    refused(&bob.token, &nobody, "no such member");

    let workflow = bob.caller(&scene, "KEY");
    sent(&scene, &workflow).expect("it is sent");
    let usage = as_bob(&["credential", "usage", "KEY"]);
    assert!(usage.contains("uses") && usage.contains("Calls"), "{usage}");
    let explain = ["credential", "explain", "KEY", "--workflow", &workflow];
    assert_eq!(as_bob(&explain), "allowed: the step gets it\n");
    let elsewhere = ["--destination", "https://example.org/", "--method", "POST"];
    let told = as_bob(&[explain.as_slice(), &elsewhere].concat());
    assert!(told.starts_with("refused by row 8 (host): "), "{told}");
    let stopped = as_bob(&["credential", "suspend", "KEY", "--reason", "leaked"]);
    assert_eq!(stopped, format!("suspended {id}: every use is refused\n"));
    let told = as_bob(&explain);
    assert!(told.starts_with("refused by row 7 (suspended): "), "{told}");
    refused(&bob.token, &["credential", "suspend", "KEY"], "suspended already");
    assert!(as_bob(&["credential", "resume", "KEY"]).contains("active"));

    let moved = as_owner(&["credential", "transfer", &id, "carol@example.com"]);
    assert_eq!(moved, format!("{id} belongs to carol@example.com now\n"));
    refused(&bob.token, &["credential", "get", &id], "Not found");

    let set = as_owner(&["settings", "set", "retention_days=14", "expose=off"]);
    assert!(set.lines().any(|line| line.starts_with("retention_days") && line.ends_with(" 14")));
    let json: Value =
        serde_json::from_str(&as_owner(&["--json", "settings", "get"])).expect("JSON");
    assert_eq!((&json["retention_days"], &json["expose"]), (&14.into(), &"off".into()));
    refused(&server.token, &["settings", "set", "retention_days=0"], "/retention_days");
    refused(&bob.token, &["settings", "get"], "your role does not allow this");
    assert_eq!(owner(server).get(server, "/settings").expect(200)["expose"], "off");
}
