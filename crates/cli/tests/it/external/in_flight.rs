//! Everything that a server has written is searched while a run is held at each of its steps, and
//! after a crash in the middle of it.

use super::{clean, external, facing_on, fetch, mail, message};
use crate::scene::Scene;
use crate::server::Backend;
use keyward_testkit::echo::Reply;
use keyward_testkit::openbao::OpenBao;
use keyward_testkit::vendors::Vendors;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const HOLD: Duration = Duration::from_millis(1000);

/// Follows a run's events into the evidence, as they come, until the run or the server ends.
fn follow(scene: &Scene, run: &str) -> JoinHandle<()> {
    let address = scene.server.url.strip_prefix("http://").unwrap().to_owned();
    let file = scene.server.evidence.folder().join("followed");
    let request = format!(
        "GET /api/v1/workspaces/default/runs/{run}/events HTTP/1.1\r\nHost: {address}\r\n\
         Authorization: Bearer {}\r\nConnection: close\r\n\r\n",
        scene.server.token
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    thread::spawn(move || {
        let mut options = std::fs::File::options();
        let mut file = options.create(true).append(true).open(file).unwrap();
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut bytes) {
            file.write_all(&bytes[..count]).unwrap();
        }
    })
}

/// Looks at the run, so that the answer is searched too, and at everything else.
#[track_caller]
fn look(scene: &Scene, run: &str, at: &str) {
    let seen = scene.server.get(&format!("/runs/{run}")).expect(200);
    scene.server.get("/runs").expect(200);
    assert!(seen["finished_at"].is_null(), "{at}: it has ended already: {seen}");
    clean(&scene.server, at);
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

struct Facing {
    scene: Scene,
    vendors: Vendors,
    bao: OpenBao,
    body: Value,
    sendgrid: String,
    bot: String,
}

fn start(backend: Backend) -> Facing {
    let (scene, vendors) = facing_on(&format!("external-flight-{backend:?}"), backend);
    let bao = OpenBao::start();
    let (bot, sendgrid) = (scene.canary("bot"), scene.canary("sendgrid"));
    let token = bao.token("", 3600);
    scene.server.evidence.watch("vault-token", &token);
    bao.put("secret/app", &json!({ "nested": { "token": bot }, "note": scene.canary("note") }));
    scene.credential(&json!({
        "key": "STORE", "app": "vault", "fields": { "address": bao.url(), "token": token },
    }));
    let body = json!({ "text": json!({ "key": sendgrid }).to_string(), "key": sendgrid });
    Facing { scene, vendors, bao, body, sendgrid, bot }
}

impl Facing {
    /// Reads Vault, computes in code, posts, computes from text, and sends a mail.
    fn steps(&self, parsed: bool) -> Value {
        let pick = self.scene.code(
            "pick",
            "const { token } = steps.fetch.output.data.nested; console.log('picked', token);\n\
             const r = await fetch('HOST/held', { method: 'POST', body: 'held' });\n\
             return { made: 'Bearer ' + token, pair: [token], status: r.status };",
        );
        let source = if parsed { "JSON.parse(trigger.body.text).key" } else { "trigger.body.key" };
        let text = self.scene.code(
            "text",
            &format!(
                "console.log(trigger.body.text); const r = await fetch('HOST/held', {{ method: 'POST', body: 'x' }});\n\
                 return {{ key: {source}, status: r.status }};"
            ),
        );
        let mut post = message(&super::bot_token("steps.pick.output.made"));
        post["inputs"]["text"] = json!("It said {{ steps.pick.output.status }}");
        let mut send = mail(&external("api_key", "api_key", "steps.text.output.key"));
        send["id"] = json!("send");
        json!([
            fetch("vault", "read_secret", &json!({ "mount": "secret", "path": "app" })),
            pick,
            post,
            text,
            send
        ])
    }

    fn begin(&self, steps: &Value) -> String {
        let trigger = json!({ "kind": "http", "method": "POST", "respond": "accepted" });
        let definition = json!({ "name": "Held", "trigger": trigger, "steps": steps });
        let (_, hook) = self.scene.server.workflow(&definition);
        let answer = self.scene.server.hook(&hook, &self.body).expect(202);
        answer["run_id"].as_str().unwrap().to_owned()
    }

    fn hold(&self) {
        let posted = json!({ "ok": true, "channel": "C1", "ts": "1.2" });
        self.vendors.on("POST", super::SLACK, super::POST, &[Reply::json(&posted).after(HOLD)]);
        let accepted = Reply::status(202).header("X-Message-Id", "m1").after(HOLD);
        self.vendors.on("POST", super::SENDGRID, super::SEND, &[accepted]);
        self.scene.echo.route("/held", Reply::text("held").after(HOLD));
    }

    #[track_caller]
    fn check_end(&self, run: &str, is_parsed: bool) {
        let run = self.scene.server.ended(run);
        assert_eq!(run["status"], "succeeded", "{run}");
        let sealed = "[sealed:steps.fetch.output.data.nested.token]";
        assert_eq!(run["steps"][0]["output"]["data"]["nested"]["token"], sealed, "{run}");
        assert_eq!(run["steps"][1]["output"]["pair"][0], sealed, "{run}");
        let key = if is_parsed { "steps.text.output.key" } else { "trigger.body.key" };
        assert_eq!(run["steps"][3]["output"]["key"], format!("[sealed:{key}]"), "{run}");
        clean(&self.scene.server, "after the run");
        let received = self.vendors.take();
        let header = |host| {
            let request = received.iter().rfind(|request| request.host() == host).unwrap();
            request.header("authorization").unwrap().to_owned()
        };
        assert_eq!(header(super::SLACK), format!("Bearer {}", self.bot));
        assert_eq!(header(super::SENDGRID), format!("Bearer {}", self.sendgrid));
    }

    /// Holds a run at each of its steps and looks.
    fn walk(&self, is_parsed: bool) {
        let before = self.scene.echo.received().len();
        self.bao.pause();
        let run = self.begin(&self.steps(is_parsed));
        let events = follow(&self.scene, &run);
        thread::sleep(Duration::from_millis(300));
        look(&self.scene, &run, "while Vault is asked");
        self.bao.resume();
        self.scene.echo.wait_for(before + 1);
        look(&self.scene, &run, "while code runs");
        self.vendors.wait_for(1);
        look(&self.scene, &run, "while Slack is asked");
        self.scene.echo.wait_for(before + 2);
        look(&self.scene, &run, "while other code runs");
        self.vendors.wait_for(2);
        look(&self.scene, &run, "while SendGrid is asked");
        events.join().unwrap();
        self.check_end(&run, is_parsed);
    }

    /// Ends the server while each of these steps is held, and lets it go on.
    fn crash(&mut self, is_parsed: bool) {
        let before = self.scene.echo.received().len();
        let run = self.begin(&self.steps(is_parsed));
        self.scene.echo.wait_for(before + 1);
        self.fall_and_rise("in code", &run);
        until("Slack is asked", || !self.vendors.received().is_empty());
        self.fall_and_rise("while Slack is asked", &run);
        let asked = |vendors: &Vendors| {
            vendors.received().iter().any(|request| request.host() == super::SENDGRID)
        };
        until("SendGrid is asked", || asked(&self.vendors));
        self.fall_and_rise("while SendGrid is asked", &run);
        self.check_end(&run, is_parsed);
    }

    fn fall_and_rise(&mut self, at: &str, run: &str) {
        self.scene.server.kill();
        clean(&self.scene.server, &format!("killed {at}"));
        self.scene.server.spawn();
        look(&self.scene, run, &format!("started again {at}"));
    }
}

fn check(backend: Backend) {
    let mut facing = start(backend);
    facing.hold();
    // Rows are written alike on both; what differs is where they lie.
    facing.walk(true);
    facing.crash(false);
    if backend == Backend::Sqlite {
        facing.walk(false);
        facing.crash(true);
    }
}

#[test]
fn nothing_is_readable_while_a_run_is_held_nor_after_a_crash_on_sqlite() {
    check(Backend::Sqlite);
}

#[test]
fn nothing_is_readable_while_a_run_is_held_nor_after_a_crash_on_postgres() {
    check(Backend::Postgres);
}
