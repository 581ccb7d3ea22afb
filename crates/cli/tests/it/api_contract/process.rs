//! The process: exit statuses, what is printed, the set-up link, and health.

use super::{has_members, text};
use crate::server::{Backend, KEYWARD, Server};
use keyward_testkit::evidence::Evidence;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};

/// Runs a command of a server to its end; what it printed is kept.
fn run(server: &Server, arguments: &[&str]) -> (i32, String, String) {
    ended(&server.evidence, server.command(arguments))
}

fn ended(evidence: &Evidence, mut command: Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        command.stdin(Stdio::null()).output().expect("the binary runs");
    evidence.keep("commands.out", &stdout);
    evidence.keep("commands.err", &stderr);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code().expect("an exit status"), text(stdout), text(stderr))
}

#[test]
fn commands_work_beside_the_server_and_after_it() {
    let mut server = Server::start("contract-commands", Backend::Sqlite);
    let check_all = |server: &Server| {
        let json = [
            (["version", "--json"].as_slice(), "version"),
            (&["key", "status", "--json"], "key"),
            (&["audit", "verify", "--json"], "ok"),
            (&["openapi"], "openapi"),
        ];
        for (arguments, member) in json {
            let (status, printed, errors) = run(server, arguments);
            assert_eq!(status, 0, "{arguments:?}: {errors}");
            let printed: Value = serde_json::from_str(&printed).expect("JSON");
            has_members(&printed, &[member]);
        }
        for arguments in [["version"].as_slice(), &["key", "status"], &["audit", "verify"]] {
            let (status, printed, errors) = run(server, arguments);
            assert_eq!(status, 0, "{arguments:?}: {errors}");
            assert!(!printed.trim().is_empty(), "{arguments:?} says something");
        }
        let (status, printed, errors) = run(server, &["doctor", "--json"]);
        assert!([0, 1].contains(&status), "{errors}");
        let _: Value = serde_json::from_str(&printed).expect("JSON");
    };
    check_all(&server);
    let served = server.send("GET", "/api/openapi.json", &[], &[]).expect(200);
    let (_, printed, _) = run(&server, &["openapi"]);
    assert_eq!(serde_json::from_str::<Value>(&printed).expect("JSON"), served);
    for (path, expected) in [("/healthz", 200), ("/readyz", 200)] {
        assert_eq!(server.send("GET", path, &[], &[]).status, expected, "{path}");
    }
    assert!(server.stop(), "SIGTERM drains and exits 0");
    check_all(&server);
}

#[test]
fn wrong_usage_exits_with_2_and_a_refusal_with_1() {
    let server = Server::start("contract-exit", Backend::Sqlite);
    let password = server.private().join("another");
    fs::write(&password, server.evidence.canary("another-password")).unwrap();
    let password = password.to_str().unwrap();
    let wrong: &[&[&str]] = &[
        &[],
        &["bogus"],
        &["serve", "--bogus"],
        &["serve", "--listen", "nonsense"],
        &["serve", "--role", "bogus"],
        &["init"],
        &["init", "--email", "a@example.com"],
        &["key"],
        &["key", "bogus"],
        &["audit"],
        &["version", "more"],
        &["token", "create"],
    ];
    for arguments in wrong {
        let (status, printed, errors) = run(&server, arguments);
        assert_eq!((status, printed.as_str()), (2, ""), "{arguments:?}: {errors}");
        assert!(!errors.is_empty(), "{arguments:?} says what is wrong");
    }
    let refused: &[(&[&str], &str)] = &[
        (&["init", "--email", "b@example.com", "--password-file", password], "owner exists"),
        (&["setup-link"], "owner exists"),
        (&["audit", "verify", "/nowhere/at/all"], "/nowhere/at/all"),
        (&["audit", "verify", "--data-dir", "/nowhere/at/all"], "/nowhere/at/all"),
        (&["serve", "--listen", server.url.trim_start_matches("http://")], "keyward"),
    ];
    for (arguments, reason) in refused {
        let (status, printed, errors) = run(&server, arguments);
        assert_eq!((status, printed.as_str()), (1, ""), "{arguments:?}: {errors}");
        assert!(errors.contains(reason), "{arguments:?}: {errors}");
    }
    assert_eq!(super::items(&server, "/members").len(), 1);
}

#[test]
fn init_makes_the_owner_and_writes_a_token_for_them_alone() {
    let evidence = Evidence::of("contract-init");
    let private = tempfile::tempdir().expect("a folder");
    let (password, token) = (private.path().join("password"), private.path().join("token"));
    let secret = evidence.canary("password");
    let init = |password_text: &str, data: &str, more: &[&str]| {
        fs::write(&password, password_text).unwrap();
        let mut command = Command::new(KEYWARD);
        command.env_clear().env("KEYWARD_DATA_DIR", evidence.folder().join(data));
        command.args(["init", "--email", "ann@example.com", "--password-file"]).arg(&password);
        if !more.contains(&"--token-file") {
            command.arg("--token-file").arg(&token);
        }
        command.args(more);
        ended(&evidence, command)
    };
    let (status, printed, _) = init("short", "data", &[]);
    assert_eq!((status, printed.as_str()), (1, ""), "a password has at least 12 characters");
    for more in [["--workspace", " "], ["--token-file", "/nowhere/at/all"]] {
        let (status, printed, errors) = init(&secret, "data", &more);
        assert_eq!((status, printed.as_str()), (1, ""), "{more:?}: {errors}");
        assert!(
            errors.contains(more[0].trim_start_matches("--").split('-').next().unwrap()),
            "{errors}"
        );
    }
    fs::write(&token, "an older and longer token, which everybody could read: 0123456789\n")
        .unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
    let (status, printed, errors) = init(&secret, "data", &["--workspace", "My Team"]);
    assert_eq!(status, 0, "{errors}");
    let written = fs::read_to_string(&token).expect("the token");
    assert_eq!(fs::metadata(&token).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(written.lines().count(), 1, "one line");
    evidence.watch("token", written.trim());
    assert!(!printed.contains(written.trim()), "the token goes to its file alone");
    let mode =
        |path: &str| fs::metadata(evidence.folder().join(path)).unwrap().permissions().mode();
    assert_eq!(mode("data/keys/root.key") & 0o777, 0o600);
    let (status, _, errors) = init(&secret, "data", &[]);
    assert_eq!(status, 1);
    assert!(errors.contains("owner exists"), "{errors}");
    assert_eq!(fs::read_to_string(&token).unwrap(), written, "the first token stays");
}

/// A server on a new directory, without an owner.
fn without_owner(test: &str) -> (Server, String) {
    let server = Server::start_new(test);
    let printed =
        fs::read_to_string(server.evidence.folder().join("serve.out")).unwrap_or_default();
    (server, printed)
}

#[test]
fn the_set_up_link_makes_one_owner() {
    let (server, printed) = without_owner("contract-setup");
    let link = printed.lines().find_map(|line| line.strip_prefix("set up: ")).expect("a link");
    let token = link.strip_prefix(&format!("{}/setup#token=", server.url)).expect("its form");
    let owner_password = server.evidence.canary("owner");
    let body = |token: &str, email: &str| {
        json!({ "token": token, "email": email, "password": owner_password }).to_string()
    };
    let send = |body: String| {
        server.send_unkept(
            "POST",
            "/api/v1/setup",
            &[("Content-Type", "application/json")],
            body.as_bytes(),
        )
    };
    send(body("none", "eve@example.com")).expect_problem(401, "unauthenticated");
    send(body("", "eve@example.com")).expect_problem(401, "unauthenticated");
    send(body(token, "no address")).expect_problem(422, "validation_failed");
    let (status, fresh, errors) = run(&server, &["setup-link", "--json"]);
    assert_eq!(status, 0, "{errors}");
    let fresh: Value = serde_json::from_str(&fresh).expect("JSON");
    let newer = text(&fresh["url"]);
    let newer = newer.split_once("/setup#token=").expect("its form").1.to_owned();
    send(body(token, "eve@example.com")).expect_problem(401, "unauthenticated");

    let made = send(body(&newer, "Ann@Example.com")).expect(201);
    let owner = text(&made["token"]);
    server.evidence.watch("owner-token", &owner);
    assert_eq!(made["workspace"]["slug"], "default");
    let path = "/api/v1/workspaces/default/members";
    let members = server.call_as(&owner, "GET", path, &Value::Null).expect(200);
    assert_eq!(members["items"][0]["email"], "ann@example.com");
    assert_eq!(members["items"][0]["role"], "owner");
    for late in [token, &newer, "none"] {
        send(body(late, "eve@example.com")).expect_problem(409, "conflict");
    }
    assert_eq!(run(&server, &["setup-link"]).0, 1);
    assert_eq!(server.send("GET", "/setup", &[], &[]).status, 200);
}
