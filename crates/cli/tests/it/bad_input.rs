//! Every line of the API with input that breaks a rule: a problem with a stable code, nothing sent
//! comes back, nothing is half-done. The cases are generated from the server's own description.

mod bodies;
mod operation;
mod scene;
mod wire;

use crate::server::{Backend, Server, on_both};
use operation::Operation;
use scene::Scene;
use serde_json::Value;

/// Whatever may be said of input that breaks a rule once it has been read.
const REFUSED: &[(u16, &str)] = &[(422, "validation_failed")];
const UNREADABLE: &[(u16, &str)] = &[(400, "invalid_request")];
const NOT_FOUND: &[(u16, &str)] = &[(404, "not_found")];
const UNDECODABLE: &[(u16, &str)] = &[(404, "not_found"), (400, "invalid_request")];
const UNAUTHENTICATED: &[(u16, &str)] = &[(401, "unauthenticated")];

#[test]
fn every_operation_refuses_input_that_breaks_a_rule() {
    on_both("bad-input", |server| {
        let scene = Scene::set(server);
        let before = scene.state();
        let operations = scene.operations();
        assert!(operations.len() >= 35, "the description lists every operation");
        for operation in &operations {
            callers(&scene, operation);
            paths(&scene, operation);
            queries(&scene, operation);
            headers(&scene, operation);
            bodies::check(&scene, operation);
        }
        methods(&scene, &operations);
        unknown_addresses(&scene);
        let cases = scene.done();
        assert!(cases > 1_500, "only {cases} cases were made");
        for (before, after) in before.iter().zip(scene.state()) {
            assert_eq!(&after, before, "refused requests change nothing");
        }
    });
}

#[test]
fn bodies_over_the_limit_are_refused_and_change_nothing() {
    let scene = Scene::set(Server::start("bad-input-large", Backend::Sqlite));
    let before = scene.state();
    for operation in scene.operations().iter().filter(|operation| operation.body.is_some()) {
        bodies::too_large(&scene, operation);
    }
    assert!(scene.done() >= 8);
    assert_eq!(scene.state(), before, "refused requests change nothing");
}

/// Who may not: nobody, strangers, and tokens in another form.
fn callers(scene: &Scene, operation: &Operation) {
    if operation.is_public {
        return;
    }
    let canary = &scene.canary;
    let (path, body) = (scene.path(operation), scene.sample(operation));
    let forms = [
        String::new(),
        format!("Bearer {canary}"),
        format!("Bearer {}{canary}", scene.server.token),
        format!("Bearer {}", canary.repeat(100)),
        format!("Basic {canary}"),
        format!("Token {}", scene.server.token),
        canary.clone(),
        "Bearer".to_owned(),
        "Bearer \u{e9}".to_owned(),
    ];
    for form in &forms {
        let headers: Vec<_> = [("Authorization", form.as_str())]
            .into_iter()
            .filter(|(_, form)| !form.is_empty())
            .collect();
        let answer = scene.send(operation, &path, &headers, body.as_bytes());
        scene.expect(operation, "a caller without a valid token", &answer, UNAUTHENTICATED);
        if answer.header("www-authenticate").is_none() {
            scene.fault(operation, "a 401 names the scheme to sign in with", &answer);
        }
    }
}

/// Names in the path that name nothing here.
fn paths(scene: &Scene, operation: &Operation) {
    let canary = &scene.canary;
    let unknown =
        [canary.clone(), "x".repeat(5_000), "..%2f".into(), "%20".into(), "default%2F".into()];
    let undecodable = ["%00", "%ff", "%zz", "%"];
    if operation.path.contains("{workspace}") {
        let nobodys = "ws_00000000000000000000000000".to_owned();
        for name in unknown.iter().chain([&nobodys]) {
            let path = operation.path.replace("{workspace}", name);
            path_case(scene, operation, &scene.with_id(operation, &path), NOT_FOUND);
        }
        for name in undecodable {
            let path = operation.path.replace("{workspace}", name);
            path_case(scene, operation, &scene.with_id(operation, &path), UNDECODABLE);
        }
    }
    if let Some(kind) = operation.kind() {
        let in_default = operation.path.replace("{workspace}", "default");
        let own = scene.id(kind);
        let odd = [
            scene.foreign_id(kind),
            format!("{}_00000000000000000000000000", own.split('_').next().unwrap()),
            own.to_uppercase(),
            format!("{own}0"),
            scene.id(if kind == "runs" { "workflows" } else { "runs" }),
        ];
        for id in unknown.iter().chain(&odd) {
            path_case(scene, operation, &in_default.replace("{id}", id), NOT_FOUND);
        }
        for id in undecodable {
            path_case(scene, operation, &in_default.replace("{id}", id), UNDECODABLE);
        }
    }
}

fn path_case(scene: &Scene, operation: &Operation, path: &str, expected: &[(u16, &str)]) {
    let answer = scene.send_as_owner(operation, path, scene.sample(operation).as_bytes());
    scene.expect(operation, "a path that names nothing", &answer, expected);
}

/// Query parameters that are unknown, twice, out of range, or no text.
fn queries(scene: &Scene, operation: &Operation) {
    let canary = &scene.canary;
    let check = |query: &str, expected: &[(u16, &str)]| {
        let path = format!("{}?{query}", scene.path(operation));
        let answer = scene.send_as_owner(operation, &path, scene.sample(operation).as_bytes());
        scene.expect(operation, query, &answer, expected);
    };
    check(&format!("{canary}={canary}"), REFUSED);
    check("nosuch=1", REFUSED);
    check("nosuch=%ff", UNREADABLE);
    check("%ff=1", UNREADABLE);
    for name in &operation.query {
        check(&format!("{name}=1&{name}=1"), REFUSED);
        check(&format!("{name}=%ff"), UNREADABLE);
        check(&format!("{name}=%c3%28{canary}"), UNREADABLE);
        match name.as_str() {
            "limit" => {
                for number in ["0", "201", "-1", "4294967297", "99999999999999999999999"] {
                    check(&format!("limit={number}"), REFUSED);
                }
                for text in ["", "ten", "1.5", "0x10", "1%00", canary.as_str()] {
                    check(&format!("limit={text}"), UNREADABLE);
                }
            }
            "active" | "confirm" => {
                for text in ["", "yes", "1", "TRUE", canary.as_str()] {
                    check(&format!("{name}={text}"), REFUSED);
                }
            }
            "unused_days" | "not_rotated_days" | "days" => {
                check(&format!("{name}={canary}"), UNREADABLE);
                check(&format!("{name}=-1"), REFUSED);
            }
            // Any text is a text to look for, but for one that no database holds.
            "q" | "key" | "tag" | "environment" | "app" => check(&format!("{name}=%00"), REFUSED),
            _ => {
                check(&format!("{name}={canary}"), REFUSED);
                check(&format!("{name}=%00"), REFUSED);
            }
        }
    }
}

/// Headers that an operation reads.
fn headers(scene: &Scene, operation: &Operation) {
    let check = |name: &str, value: &str| {
        let token = format!("Bearer {}", scene.server.token);
        let headers = [("Authorization", token.as_str()), (name, value)];
        let body = scene.sample(operation);
        let answer = scene.send(operation, &scene.path(operation), &headers, body.as_bytes());
        scene.expect(operation, name, &answer, UNREADABLE);
    };
    if operation.method == "POST" && !operation.is_public {
        let key = format!("{} {}", scene.canary, scene.canary);
        for key in [key.as_str(), "", "\u{e9}", &"k".repeat(256)] {
            check("Idempotency-Key", key);
        }
    }
    if operation.id == "followRun" {
        for id in [&scene.canary, "-1", "1.5", "", "18446744073709551615", &"9".repeat(40)] {
            check("Last-Event-ID", id);
        }
    }
}

/// Methods that an address does not have.
fn methods(scene: &Scene, operations: &[Operation]) {
    let mut addresses: Vec<_> = operations.iter().map(|operation| &operation.path).collect();
    addresses.dedup();
    for path in addresses {
        let here = || operations.iter().filter(|operation| operation.path == *path);
        let any = here().next().expect("an operation of this path");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            if here().any(|operation| operation.method == method) {
                continue;
            }
            let undeclared = Operation { method: method.to_owned(), ..any.clone() };
            let answer = scene.send_as_owner(&undeclared, &scene.path(any), b"{}");
            scene.expect(&undeclared, method, &answer, &[(405, "method_not_allowed")]);
            let allowed = answer.header("allow").unwrap_or_default();
            if !here().all(|operation| allowed.contains(&operation.method)) {
                scene.fault(&undeclared, "a 405 names the methods there are", &answer);
            }
        }
    }
}

/// Addresses that are nobody's.
fn unknown_addresses(scene: &Scene) {
    let canary = &scene.canary;
    let nowhere = Operation::nowhere();
    for path in [
        format!("/{canary}"),
        format!("/api/{canary}"),
        format!("/api/v1/{canary}"),
        format!("/api/v1/workspaces/default/{canary}"),
        format!("/problems/{canary}"),
        format!("/hooks/{canary}"),
        format!("/hooks/{canary}/more?x={canary}"),
        "/api/v1/workspaces/".to_owned(),
        "/hooks".to_owned(),
        "/hooks/".to_owned(),
        "//".to_owned(),
    ] {
        let answer = scene.send_as_owner(&nowhere, &path, &[]);
        scene.expect(&nowhere, &path.replace(canary.as_str(), "*"), &answer, NOT_FOUND);
    }
    for path in ["/problems/%ff", "/hooks/%ff", "/%ff", "/problems/%00"] {
        let answer = scene.send_as_owner(&nowhere, path, &[]);
        scene.expect(&nowhere, path, &answer, UNDECODABLE);
    }
}

/// The pointers of a problem's faults.
fn pointers(problem: &Value) -> Vec<String> {
    let errors = problem["errors"].as_array().into_iter().flatten();
    errors.filter_map(|error| error["pointer"].as_str().map(str::to_owned)).collect()
}
