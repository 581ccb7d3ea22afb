//! Every operation that the API describes, with every role: what each may do is one table, and what
//! belongs to another workspace is not there at all.

mod things;

use crate::samples;
use crate::scene::Scene;
use crate::server::{Answer, Server};
use serde_json::{Value, json};
use std::fmt::Write as _;
use things::Things;

const ROLES: [&str; 5] = ["owner", "admin", "editor", "operator", "viewer"];
const WORKSPACE: &str = "/api/v1/workspaces/{workspace}";

/// One operation of the document.
struct Operation {
    method: String,
    path: String,
}

impl Operation {
    /// `DELETE /credentials/{id}`: how the table names it.
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// What its path names, other than the workspace.
    fn parameters(&self) -> Vec<(String, String)> {
        let parts: Vec<_> = self.path.split('/').collect();
        let named = parts.windows(2).filter(|pair| pair[1].starts_with('{'));
        named.map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect()
    }

    fn call(&self, server: &Server, token: &str, workspace: &str, path: &str) -> Answer {
        let path = format!("/api/v1/workspaces/{workspace}{path}");
        server.call_as(
            token,
            &self.method,
            &path,
            &samples::body(&self.name(), "matrix-value-0123456789"),
        )
    }
}

/// Every operation within a workspace.
fn operations(server: &Server) -> Vec<Operation> {
    let document = server.send("GET", "/api/openapi.json", &[], &[]).expect(200);
    let paths = document["paths"].as_object().expect("paths").clone();
    let mut found = Vec::new();
    for (path, methods) in &paths {
        let Some(path) = path.strip_prefix(WORKSPACE) else { continue };
        for method in methods.as_object().expect("methods").keys() {
            let method = method.to_ascii_uppercase();
            found.push(Operation { method, path: path.to_owned() });
        }
    }
    assert!(found.len() > 40, "{} operations", found.len());
    found
}

/// A token for each role, the owner's being the server's own.
fn tokens(server: &Server) -> Vec<(&'static str, String)> {
    let token = |role: &&'static str| match *role {
        "owner" => (*role, server.token.clone()),
        role => {
            let new = json!({ "kind": "service", "name": format!("{role} machine"), "role": role });
            let member = server.post("/members", &new).expect(201);
            (role, things::token_of(server, &member["id"]))
        }
    };
    ROLES.iter().map(token).collect()
}

/// How an answer counts in the table: refused, not there, or let through to the operation's own rules.
fn word(answer: &Answer) -> &'static str {
    match answer.status {
        403 => "403",
        404 => "404",
        401 | 500.. => panic!("{}", answer.body),
        _ => "yes",
    }
}

#[test]
fn what_each_role_may_do_is_one_table() {
    let scene = Scene::start("matrix-roles");
    let tokens = tokens(&scene.server);
    let things = Things::new(&scene);
    let mut table = String::from(
        "# What each role gets from each operation of a workspace's API, on things of the workspace.\n\
        # yes: let through to the operation's own rules. 403: refused. 404: not even its existence.\n",
    );
    let _ = writeln!(table, "{:<66}{}", "# operation", ROLES.map(|r| format!("{r:<9}")).concat());
    for operation in operations(&scene.server) {
        let mut line = format!("{:<66}", operation.name());
        for (_, token) in tokens.iter().rev() {
            let path = things.fill(&operation.path, &operation.parameters());
            let answer = operation.call(&scene.server, token, "default", &path);
            line.insert_str(66, &format!("{:<9}", word(&answer)));
        }
        table.push_str(line.trim_end());
        table.push('\n');
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/matrix/roles.txt");
    if std::env::var_os("KEYWARD_WRITE_DOCS").is_some() {
        std::fs::write(path, &table).expect("the table can be written");
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    let differs = |(a, b): &(&str, &str)| a != b;
    let first = table.lines().zip(expected.lines()).find(differs);
    let again = "set KEYWARD_WRITE_DOCS=1 to write the table anew, and read it";
    assert!(table == expected, "{again}; the first line that differs: {first:?}");
}

/// The problem without what may differ between two questions.
fn hint(answer: &Answer) -> (u16, Value) {
    (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null))
}

#[test]
fn what_belongs_to_another_workspace_is_not_there() {
    let scene = Scene::start("matrix-foreign");
    let server = &scene.server;
    let other = json!({ "name": "Other" });
    let made = server.call_as(&server.token, "POST", "/api/v1/workspaces", &other).expect(201);
    let foreign = made["slug"].as_str().expect("a slug");
    let tokens = tokens(server);
    let things = Things::new(&scene);
    for operation in operations(server) {
        let parameters = operation.parameters();
        if parameters.is_empty() {
            continue;
        }
        for (role, token) in &tokens {
            // The things are the workspace's own; the path names the other one.
            let named = things.fill_shared(&operation.path, &parameters);
            let absent = things::absent(&operation.path, &parameters);
            let told =
                |path: &str, workspace: &str| hint(&operation.call(server, token, workspace, path));
            let (name, elsewhere) = (operation.name(), told(&named, foreign));
            assert_eq!(elsewhere, told(&absent, foreign), "{name} as {role}");
            // Only the owner belongs to both; to everybody else the workspace is not there either.
            assert_eq!(elsewhere.0, 404, "{name} as {role}: {}", elsewhere.1);
            if *role == "owner" {
                let here = told(&absent, "default");
                assert_eq!(elsewhere, here, "{name}");
            }
        }
    }
}
