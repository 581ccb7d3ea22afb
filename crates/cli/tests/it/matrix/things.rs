//! Things of a workspace for operations to be called on: fresh ones where an operation may end them.

use crate::samples;
use crate::scene::Scene;
use crate::server::Server;
use serde_json::{Value, json};
use std::cell::Cell;

/// Makes what paths name.
pub struct Things<'a> {
    scene: &'a Scene,
    count: Cell<u32>,
    shared: Vec<(&'static str, String)>,
}

/// An API token of a service account.
pub fn token_of(server: &Server, member: &Value) -> String {
    let new = json!({ "name": "matrix", "member": member });
    let made = server.post("/tokens", &new).expect(201);
    made["token"].as_str().expect("a token").to_owned()
}

/// Ids that nothing has, of the right kind.
pub fn absent(path: &str, parameters: &[(String, String)]) -> String {
    let id = |kind: &str| match kind {
        "credentials" => "cred_00000000000000000000000000",
        "workflows" => "wf_00000000000000000000000000",
        "runs" => "run_00000000000000000000000000",
        "members" | "shares" => "mem_00000000000000000000000000",
        "tokens" => "tok_00000000000000000000000000",
        "invitations" => "inv_00000000000000000000000000",
        "apps" => "no_such_app",
        "versions" => "1",
        other => panic!("what does /{other}/{{…}} name? add it here"),
    };
    fill(path, parameters, &|kind| id(kind).to_owned())
}

fn fill(path: &str, parameters: &[(String, String)], id: &dyn Fn(&str) -> String) -> String {
    parameters.iter().fold(path.to_owned(), |path, (kind, name)| {
        path.replacen(&format!("/{kind}/{name}"), &format!("/{kind}/{}", id(kind)), 1)
    })
}

impl<'a> Things<'a> {
    pub fn new(scene: &'a Scene) -> Self {
        let mut things = Self { scene, count: Cell::new(0), shared: Vec::new() };
        let kinds = [
            "credentials", "workflows", "runs", "members", "shares", "tokens", "invitations",
            "apps",
        ];
        things.shared = kinds.map(|kind| (kind, things.fresh(kind))).to_vec();
        things
    }

    /// The path with things made for this call alone.
    pub fn fill(&self, path: &str, parameters: &[(String, String)]) -> String {
        fill(path, parameters, &|kind| self.fresh(kind))
    }

    /// The path with things that nothing may end.
    pub fn fill_shared(&self, path: &str, parameters: &[(String, String)]) -> String {
        let shared = |kind: &str| self.shared.iter().find(|(known, _)| *known == kind);
        fill(path, parameters, &|kind| shared(kind).map_or("1".into(), |(_, id)| id.clone()))
    }

    fn fresh(&self, kind: &str) -> String {
        let number = self.count.get() + 1;
        self.count.set(number);
        let (server, scene) = (&self.scene.server, self.scene);
        let id = |made: &Value| made["id"].as_str().expect("an id").to_owned();
        match kind {
            "credentials" => scene.api_key(&format!("MATRIX_{number}"), &scene.canary("value")),
            "workflows" => scene.manual(&json!([scene.code("s", "return 1;")])),
            "runs" => id(&scene.run(&json!([scene.code("s", "return 1;")]), &json!({}))),
            "members" | "shares" => {
                let name = format!("Machine {number}");
                let new = json!({ "kind": "service", "name": name, "role": "viewer" });
                id(&server.post("/members", &new).expect(201))
            }
            "tokens" => id(&server.post("/tokens", &json!({ "name": "one" })).expect(201)),
            "invitations" => {
                let new = json!({ "email": format!("m{number}@example.com"), "role": "viewer" });
                id(&server.post("/invitations", &new).expect(201))
            }
            "apps" => {
                let new = samples::manifest(&format!("app_{number}"), "https://api.example.com");
                id(&server.post("/apps", &new).expect(201))
            }
            "versions" => "1".into(),
            other => panic!("what does /{other}/{{…}} name? add it here"),
        }
    }
}
