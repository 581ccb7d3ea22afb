//! A replacement that dies at any point is taken up by the next, and nobody notices.

use super::{Load, Scene, check_status, fill, rotate};
use crate::server::on_both;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

/// How long the command lives each time: from before it did anything to the middle of rewrapping.
const LIVES: [u64; 12] = [5, 15, 30, 50, 80, 120, 200, 350, 700, 1_200, 1_900, 2_600];

#[test]
fn a_replacement_that_is_killed_goes_on() {
    on_both("key-rotation-killed", |server| {
        let mut scene = Scene::with(server);
        let versions = fill(&scene, 300);
        let load = Load::of(&scene);
        load.during(&scene, || LIVES.iter().for_each(|life| begin_and_kill(&scene, *life)));
        // A server that starts over what is half done.
        scene.server.kill();
        scene.server.spawn();
        load.during(&scene, || {
            LIVES.iter().rev().step_by(3).for_each(|life| begin_and_kill(&scene, *life));
        });
        let report = load.during(&scene, || rotate(&scene.server, &["--workspaces"]));
        let workspace = &report["workspaces"][0];
        assert_eq!(workspace["unreadable"], 0, "{report}");
        assert_eq!(workspace["generation"], 2, "what was begun is finished: {report}");
        assert!(workspace["rewrapped"].as_u64().unwrap() >= versions as u64, "{report}");
        check_status(&scene.server, &[(1, "retired"), (2, "active")]);
        scene.server.kill();
        scene.server.spawn();
        load.check_all(&scene);
        let (holds, _, errors) = scene.server.run(&["audit", "verify"]);
        assert!(holds, "{errors}");
    });
}

fn begin_and_kill(scene: &Scene, life: u64) {
    let mut command = scene.server.command(&["key", "rotate"]);
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the command starts");
    thread::sleep(Duration::from_millis(life));
    child.kill().expect("kill -9");
    child.wait().expect("its end");
}
