//! Two nodes on one database: what one promotes, the other's next step uses.

use super::{calling, stage};
use crate::scene::Scene;
use crate::server::{Backend, Server};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How often a value is promoted.
const ROUNDS: usize = 10;

#[test]
fn what_one_node_promotes_the_other_nodes_next_step_uses() {
    let scene = Scene::with(Server::start("rotation-nodes-a", Backend::Postgres));
    let other = scene.server.beside("rotation-nodes-b");
    let id = scene.api_key("KEY", &scene.canary("V1"));
    let workflow = calling(&scene, "KEY");
    let mut took: Vec<Duration> = Vec::new();
    for round in 0..ROUNDS {
        let value = scene.canary(&format!("ROUND{round}"));
        let version = stage(&scene, &id, &json!({ "value": value }));
        let path = format!("/credentials/{id}/versions/{version}/promote");
        scene.server.post(&path, &Value::Null).expect(200);
        let promoted = Instant::now();
        let run = json!({ "payload": {}, "wait": true });
        let run = other.post(&format!("/workflows/{workflow}/runs"), &run).expect(200);
        took.push(promoted.elapsed());
        assert_eq!(run["steps"][0]["credentials"][0]["version"], version, "{run}");
        let received = scene.echo.received().pop().expect("a request");
        assert_eq!(received.header("authorization"), Some(format!("Bearer {value}").as_str()));
    }
    took.sort();
    let (median, slowest) = (took[ROUNDS / 2], took[ROUNDS - 1]);
    println!(
        "promoted on one node, a whole run with it on the other: {median:?}, {slowest:?} at most"
    );
}
