//! Runs from outside: what steps see, how they fail and go on, and what stays of them.

mod left_behind;

use crate::scene::Scene;
use crate::server::{Answer, on_both};
use keyward_testkit::echo::Reply;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Milliseconds between two RFC 3339 times of one day.
fn millis(from: &Value, to: &Value) -> i64 {
    let of = |time: &Value| -> i64 {
        let text = time.as_str().unwrap();
        let part = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
        ((part(11..13) * 60 + part(14..16)) * 60 + part(17..19)) * 1000 + part(20..23)
    };
    (of(to) - of(from)).rem_euclid(86_400_000)
}

fn get(scene: &Scene, id: &str, path: &str) -> Value {
    json!({ "id": id, "kind": "http", "request": { "url": format!("{}{path}", scene.host()) } })
}

#[test]
fn steps_see_trigger_outputs_and_run_and_templates_keep_types() {
    on_both("runs-templates", |server| {
        let scene = Scene::with(server);
        let payload = json!({ "n": 1.5, "list": [1, "zwei", null, { "k": "世界 🎉" }], "yes": true, "text": "a \"b\" {{ c }}", "große": "ß" });
        let call = json!({ "id": "call", "kind": "http", "request": {
            "method": "PUT", "url": format!("{}/{{{{ trigger.body.list[0] }}}}/x", scene.host()),
            "headers": { "X-N": "{{ trigger.body.n }}", "X-Both": "{{ trigger.body.n }}-{{ trigger.body.list[1] }}" },
            "query": { "q": "{{ trigger.body['große'] }}", "d": "{{ trigger.body.none | default('ü&=') }}" },
            "json": { "n": "{{ trigger.body.n }}", "list": "{{ trigger.body.list }}", "yes": "{{ trigger.body.yes }}",
                "not": "{{ not trigger.body.yes }}", "null": "{{ trigger.body.list[2] }}", "in text": "n={{ trigger.body.n }}",
                "deep": [{ "k": "{{ trigger.body.list[3].k }}" }], "raw": "{{ trigger.body.text }}", "sum": "{{ trigger.body.n + 1 }}",
                "out": "{{ steps.first.output.rows[0].x }}", "run": "{{ run.id }}", "workflow": "{{ run.workflow_id }}", "fixed": 7 } } });
        let first = scene.code("first", "return { rows: [{ x: 'é' }], body: trigger.body, run };");
        let last = scene.code("last", "return { status: steps.call.output.status, kind: steps.call.output.headers['content-type'], sent: steps.call.output.body.target, first: steps.first.output.rows };");
        let run = scene.run(&json!([first, call, last]), &payload);
        assert_eq!(run["status"], "succeeded", "{run}");
        let [first, call, last] = [0, 1, 2].map(|step| run["steps"][step].clone());
        assert_eq!(first["output"]["body"], payload);
        assert_eq!(
            (&first["output"]["run"]["id"], &first["output"]["run"]["attempt"]),
            (&run["id"], &json!(1))
        );
        let received = scene.echo.received().swap_remove(0);
        let sent: Value = serde_json::from_slice(&received.body).unwrap();
        let expected = json!({ "n": 1.5, "list": payload["list"], "yes": true, "not": false, "null": null, "in text": "n=1.5",
            "deep": [{ "k": "世界 🎉" }], "raw": payload["text"], "sum": 2.5, "out": "é", "run": run["id"], "workflow": run["workflow_id"], "fixed": 7 });
        assert_eq!(sent, expected);
        assert_eq!(
            (received.header("x-n"), received.header("x-both")),
            (Some("1.5"), Some("1.5-zwei"))
        );
        assert_eq!(received.target, "/1/x?q=%C3%9F&d=%C3%BC%26%3D");
        assert_eq!(
            last["output"],
            json!({ "status": 200, "kind": "application/json", "sent": received.target, "first": [{ "x": "é" }] })
        );
        // What the page shows: trigger, inputs, outputs, times.
        assert_eq!(run["trigger"]["body"], payload);
        assert_eq!(call["input"]["method"], "PUT", "{call}");
        assert_eq!(call["input"]["json"], expected, "{call}");
        assert_eq!(call["output"]["status"], 200);
        assert_eq!(call["output"]["body"]["method"], "PUT");
        for step in [&first, &call, &last] {
            assert_eq!(
                (&step["status"], &step["attempt"], &step["error"]),
                (&json!("succeeded"), &json!(1), &Value::Null)
            );
            assert!(millis(&step["started_at"], &step["finished_at"]) < 30_000);
        }
        assert_eq!((&run["stored"], &run["error"]), (&json!(true), &Value::Null));
        assert!(run["finished_at"].is_string() && run["created_at"].is_string());
    });
}

#[test]
fn a_condition_runs_skips_or_fails_and_errors_have_their_codes() {
    let scene = Scene::start("runs-conditions");
    let outcome = |mut step: Value, payload: Value| {
        step["id"] = "s".into();
        let run = scene.run(
            &json!([
                scene.code("before", "return { on: true, off: false, zero: 0, empty: '' };"),
                step
            ]),
            &payload,
        );
        let step = &run["steps"][1];
        let code = step["error"]["code"].as_str().map(str::to_owned);
        if let Some(code) = &code {
            assert_eq!(
                (&run["status"], &run["error"]["code"], &run["error"]["step"]),
                (&json!("failed"), &json!(code), &json!("s")),
                "{run}"
            );
        } else {
            assert_eq!(run["status"], "succeeded", "{run}");
        }
        code.unwrap_or_else(|| step["status"].as_str().unwrap().to_owned())
    };
    let when =
        |condition: &str| json!({ "kind": "code", "source": "return 1;", "when": condition });
    for (condition, expected) in [
        ("{{ steps.before.output.on }}", "succeeded"),
        ("{{ steps.before.output.off }}", "skipped"),
        ("{{ steps.before.output.zero }}", "skipped"),
        ("{{ steps.before.output.empty }}", "skipped"),
        ("{{ not steps.before.output.off }}", "succeeded"),
        ("{{ trigger.body.n > 3 and steps.before.output.on }}", "succeeded"),
        ("{{ trigger.body.n == 4 }}", "skipped"),
        ("{{ trigger.body.none }}", "template_error"),
        ("{{ trigger.body.none.deeper }}", "template_error"),
        ("{{ trigger.body.none | default(false) }}", "skipped"),
        ("{{ trigger.body.none | default(true) }}", "succeeded"),
    ] {
        assert_eq!(outcome(when(condition), json!({ "n": 5 })), expected, "{condition}");
    }
    let http = |url: &str| json!({ "kind": "http", "request": { "url": url } });
    assert_eq!(
        outcome(http(&format!("{}/{{{{ trigger.body.none }}}}", scene.host())), json!({})),
        "template_error"
    );
    assert_eq!(
        outcome(json!({ "kind": "code", "source": "throw new Error('no')" }), json!({})),
        "script_error"
    );
    assert_eq!(
        outcome(
            json!({ "kind": "code", "source": "await new Promise(() => setTimeout(() => {}, 60000))", "timeout_seconds": 1 }),
            json!({})
        ),
        "timeout"
    );
    for (status, expected) in [
        (200, "succeeded"),
        (204, "succeeded"),
        (304, "succeeded"),
        (399, "succeeded"),
        (400, "http_status"),
        (404, "http_status"),
        (500, "http_status"),
        (503, "http_status"),
    ] {
        scene.next(Reply::status(status));
        assert_eq!(outcome(http(&scene.host()), json!({})), expected, "{status}");
    }
    scene.next(Reply::text("slow").after(Duration::from_secs(3)));
    let mut slow = http(&scene.host());
    slow["timeout_seconds"] = json!(1);
    assert_eq!(outcome(slow, json!({})), "timeout");
    // A skipped step has no output: a template that reads it says so, unless it has a default.
    let skipping = |url: &str| {
        let mut skipped = scene.code("off", "return 1;");
        skipped["when"] = "{{ false }}".into();
        let mut step = http(url);
        step["id"] = "s".into();
        let run = scene.run(&json!([skipped, step]), &json!({}));
        assert_eq!(run["steps"][0]["status"], "skipped");
        run["steps"][1]["error"]["code"].as_str().unwrap_or("succeeded").to_owned()
    };
    assert_eq!(
        skipping(&format!("{}/{{{{ steps.off.output.x }}}}", scene.host())),
        "template_error"
    );
    assert_eq!(
        skipping(&format!("{}/{{{{ steps.off.output.x | default('y') }}}}", scene.host())),
        "succeeded"
    );
}

#[test]
fn a_failed_attempt_waits_and_is_made_again_as_the_policy_says() {
    on_both("runs-retry-policy", |server| {
        let scene = Scene::with(server);
        let flaky = |retry: Value, failures: usize| {
            (0..failures).for_each(|_| scene.next(Reply::status(503)));
            let mut step = get(&scene, "s", "/");
            step["request"]["method"] = "POST".into();
            step["request"]["json"] = json!({ "attempt": "{{ run.attempt }}" });
            step["retry"] = retry;
            let before = scene.echo.received().len();
            let started = Instant::now();
            let run = scene.run(&json!([step]), &json!({}));
            (run, scene.echo.received().split_off(before), started.elapsed().as_secs_f64())
        };
        let (run, received, time) =
            flaky(json!({ "attempts": 3, "delay_seconds": 1, "backoff": "fixed" }), 2);
        assert_eq!(
            (&run["status"], &run["steps"][0]["attempt"]),
            (&json!("succeeded"), &json!(3)),
            "{run}"
        );
        assert_eq!(received.len(), 3);
        assert!((2.0..15.0).contains(&time), "two waits of a second: {time}");
        let keys: std::collections::BTreeSet<_> =
            received.iter().map(|r| r.header("idempotency-key").unwrap().to_owned()).collect();
        assert_eq!(keys.len(), 3, "each attempt is its own work");
        let bodies: Vec<_> = received.iter().map(keyward_testkit::echo::Received::text).collect();
        assert_eq!(bodies, [r#"{"attempt":1}"#, r#"{"attempt":2}"#, r#"{"attempt":3}"#]);
        let (run, received, time) =
            flaky(json!({ "attempts": 3, "delay_seconds": 0.5, "backoff": "exponential" }), 3);
        assert_eq!(
            (&run["status"], &run["steps"][0]["error"]["code"], received.len()),
            (&json!("failed"), &json!("http_status"), 3),
            "{run}"
        );
        assert!((1.5..15.0).contains(&time), "half a second, then one: {time}");
        let (run, received, _) = flaky(json!({ "attempts": 1 }), 1);
        assert_eq!((&run["status"], received.len()), (&json!("failed"), 1));
        // While it waits it says so, and it can be cancelled.
        scene.next(Reply::status(503));
        let mut step = get(&scene, "s", "/");
        step["retry"] = json!({ "attempts": 2, "delay_seconds": 30 });
        let workflow = scene.manual(&json!([step]));
        let id = start(&scene, &workflow, &json!({}));
        let waiting = wait_status(&scene, &id, "waiting");
        assert_eq!(
            (&waiting["steps"][0]["status"], &waiting["steps"][0]["attempt"]),
            (&json!("waiting"), &json!(1)),
            "{waiting}"
        );
        assert_eq!(waiting["finished_at"], Value::Null);
        scene.server.post(&format!("/runs/{id}/cancel"), &Value::Null).expect(200);
        assert_eq!(scene.server.ended(&id)["status"], "cancelled");
        // While the next attempt executes, the run is running again.
        scene.next(Reply::status(503));
        scene.next(Reply::text("late").after(Duration::from_secs(2)));
        let mut step = get(&scene, "s", "/");
        step["retry"] = json!({ "attempts": 2, "delay_seconds": 0.5 });
        let workflow = scene.manual(&json!([step]));
        let id = start(&scene, &workflow, &json!({}));
        wait_status(&scene, &id, "waiting");
        wait_status(&scene, &id, "running");
        assert_eq!(scene.server.ended(&id)["status"], "succeeded");
        // A code step sees which attempt it is; what cannot come out differently is not made again.
        let mut code = scene.code("s", "console.log('attempt', run.attempt); if (run.attempt < 3) throw new Error('again'); return run.attempt;");
        code["retry"] = json!({ "attempts": 5, "delay_seconds": 0 });
        let run = scene.run(&json!([code]), &json!({}));
        assert_eq!(run["steps"][0]["output"], 3, "{run}");
        let said: Vec<_> = run["steps"][0]["logs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line["message"].clone())
            .collect();
        assert_eq!(said, ["attempt 1", "attempt 2", "attempt 3"]);
    });
}

/// Starts a run; gives its id.
fn start(scene: &Scene, workflow: &str, payload: &Value) -> String {
    let started =
        scene.server.post(&format!("/workflows/{workflow}/runs"), &json!({ "payload": payload }));
    started.expect(202)["run_id"].as_str().unwrap().to_owned()
}

/// The run, once it has that status.
fn wait_status(scene: &Scene, id: &str, status: &str) -> Value {
    let begun = Instant::now();
    loop {
        let run = scene.server.get(&format!("/runs/{id}")).expect(200);
        if run["status"] == status {
            return run;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "not {status}: {run}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_step_that_may_fail_lets_the_run_go_on_and_twenty_steps_pass_along() {
    let scene = Scene::start("runs-go-on");
    let mut failing = get(&scene, "maybe", "/");
    failing["on_error"] = "continue".into();
    scene.next(Reply::status(500));
    let after = scene.code("after", "return { maybe: steps.maybe?.output ?? null };");
    let reading = json!({ "id": "reading", "kind": "http", "request": { "method": "POST", "url": scene.host(),
        "json": { "x": "{{ steps.maybe.output.status | default('none') }}" } } });
    let run = scene.run(&json!([failing, after, reading]), &json!({}));
    assert_eq!((&run["status"], &run["error"]), (&json!("succeeded"), &Value::Null), "{run}");
    assert_eq!(run["steps"][0]["error"]["code"], "http_status");
    assert_eq!(run["steps"][0]["status"], "failed");
    assert_eq!(run["steps"][1]["output"], json!({ "maybe": null }));
    assert_eq!(scene.echo.received()[1].text(), r#"{"x":"none"}"#);
    let mut failing = scene.code("stop", "throw new Error('stop')");
    failing["on_error"] = "fail".into();
    let run = scene.run(&json!([failing, scene.code("never", "return 1;")]), &json!({}));
    assert_eq!(
        (&run["status"], run["steps"].as_array().unwrap().len()),
        (&json!("failed"), 1),
        "{run}"
    );

    let step = |n: usize| match n {
        0 => scene.code("s0", "return { n: trigger.body.n };"),
        n if n % 5 == 4 => {
            json!({ "id": format!("s{n}"), "kind": "http", "request": { "method": "POST", "url": scene.host(),
            "json": { "n": format!("{{{{ steps.s{}.output.n + 1 }}}}", n - 1) } } })
        }
        n if n % 5 == 0 => scene.code(
            &format!("s{n}"),
            &format!("return {{ n: JSON.parse(steps.s{}.output.body.body).n + 1 }};", n - 1),
        ),
        n => {
            scene.code(&format!("s{n}"), &format!("return {{ n: steps.s{}.output.n + 1 }};", n - 1))
        }
    };
    let steps: Value = (0..20).map(step).collect();
    let run = scene.run(&steps, &json!({ "n": 100 }));
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(run["steps"].as_array().unwrap().len(), 20);
    assert_eq!(run["steps"][18]["output"]["n"], 118);
    assert_eq!(run["steps"][19]["output"]["body"]["body"], r#"{"n":119}"#);
}

#[test]
fn a_run_by_hand_waits_or_not_and_can_be_cancelled_in_the_middle_of_a_step() {
    on_both("runs-by-hand", |server| {
        let scene = Scene::with(server);
        let workflow = scene.manual(&json!([scene.code("s", "return trigger;")]));
        let run = scene.run_again(&workflow, &json!({ "é": [1] }));
        assert_eq!(run["steps"][0]["output"]["body"], json!({ "é": [1] }), "{run}");
        for (body, expected) in
            [(json!({}), 202), (json!({ "wait": false }), 202), (json!({ "wait": true }), 200)]
        {
            scene.server.post(&format!("/workflows/{workflow}/runs"), &body).expect(expected);
        }
        let id = start(&scene, &workflow, &json!("text"));
        assert_eq!(scene.server.ended(&id)["trigger"]["body"], "text");

        let slow = scene.manual(&json!([
            scene.code("slow", "await fetch('HOST/began'); await new Promise((r) => setTimeout(r, 30000)); await fetch('HOST/ended'); return 1;"),
            scene.code("next", "await fetch('HOST/next'); return 1;"),
        ]));
        let id = start(&scene, &slow, &json!({}));
        scene.echo.wait_for(1);
        let running = scene.server.get(&format!("/runs/{id}")).expect(200);
        assert_eq!(running["status"], "running", "{running}");
        scene
            .server
            .post(&format!("/runs/{id}/retry"), &Value::Null)
            .expect_problem(409, "conflict");
        let asked = Instant::now();
        scene.server.post(&format!("/runs/{id}/cancel"), &Value::Null).expect(200);
        let run = scene.server.ended(&id);
        assert_eq!(run["status"], "cancelled", "{run}");
        assert!(asked.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(scene.echo.received().len(), 1, "nothing of it goes on");
        scene
            .server
            .post(&format!("/runs/{id}/cancel"), &Value::Null)
            .expect_problem(409, "conflict");
        let done = start(&scene, &workflow, &json!({}));
        scene.server.ended(&done);
        scene
            .server
            .post(&format!("/runs/{done}/cancel"), &Value::Null)
            .expect_problem(409, "conflict");
        scene
            .server
            .post(&format!("/runs/{done}/retry"), &Value::Null)
            .expect_problem(409, "conflict");
        let listed = scene.server.get("/runs?status=cancelled").expect(200);
        assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
        let all = scene.server.get(&format!("/runs?workflow={workflow}")).expect(200);
        assert_eq!(all["items"].as_array().unwrap().len(), 6, "{all}");
        scene.server.api("DELETE", &format!("/runs/{id}"), &Value::Null).expect(204);
        scene.server.get(&format!("/runs/{id}")).expect_problem(404, "not_found");
    });
}

#[test]
fn a_retried_run_begins_at_the_failed_step_and_its_sealed_values_work() {
    on_both("runs-retried", |server| {
        let scene = Scene::with(server);
        let value = scene.canary("K");
        scene.api_key("K", &value);
        let steps = json!([
            scene.code("first", "await fetch('HOST/first'); console.log(credential('K')); return { auth: `Bearer ${credential('K')}`, x: trigger.body.x };"),
            { "id": "second", "kind": "http", "credential": { "$credential": "K" }, "request": { "method": "POST", "url": format!("{}/second", scene.host()),
                "headers": { "X-Auth": "{{ steps.first.output.auth }}" }, "json": { "x": "{{ steps.first.output.x }}" } } },
            scene.code("third", "return steps.second.output.status + trigger.body.x;"),
        ]);
        let workflow = scene.manual(&steps);
        scene.next(Reply::status(200));
        scene.next(Reply::status(500));
        let failed = scene.run_again(&workflow, &json!({ "x": 7 }));
        assert_eq!(
            (&failed["status"], &failed["error"]["step"]),
            (&json!("failed"), &json!("second")),
            "{failed}"
        );
        let old = failed["id"].as_str().unwrap();
        let retried = scene.server.post(&format!("/runs/{old}/retry"), &Value::Null).expect(202);
        let new = scene.server.ended(retried["run_id"].as_str().unwrap());
        assert_eq!((&new["status"], &new["retry_of"]), (&json!("succeeded"), &json!(old)), "{new}");
        assert_ne!(new["id"], failed["id"]);
        assert_eq!(new["steps"][2]["output"], 207);
        let received = scene.echo.received();
        let paths: Vec<_> = received.iter().map(|r| r.path().to_owned()).collect();
        assert_eq!(
            paths,
            ["/first", "/second", "/second"],
            "the first step was not executed again"
        );
        for request in &received[1..] {
            assert_eq!(request.header("x-auth"), Some(format!("Bearer {value}").as_str()));
            assert_eq!(request.text(), r#"{"x":7}"#);
        }
        assert_eq!(new["steps"][0]["output"]["auth"], "Bearer [sealed:K]");
        assert_eq!(new["steps"][0]["logs"][0]["message"], "[sealed:K]", "{new}");
        for run in [&failed, &new] {
            assert!(!run.to_string().contains("kws1_"), "{run}");
        }
        let actions: Vec<_> =
            scene.audit("action=run.retried").iter().map(|entry| entry["run_id"].clone()).collect();
        assert_eq!(actions.len(), 1, "{actions:?}");
        scene
            .server
            .post("/runs/run_00000000000000000000000000/retry", &Value::Null)
            .expect_problem(404, "not_found");
    });
}

#[test]
fn a_run_that_is_not_stored_leaves_nothing_readable() {
    on_both("runs-no-store", |server| {
        let scene = Scene::with(server);
        let value = scene.canary("K");
        scene.api_key("K", &value);
        // Canaries, so that the sweep looks for them in the database, the log and all answers.
        let source = "console.log('got', trigger.body.mark, trigger.headers['x-mark']); \
            await fetch('HOST/', { method: 'POST', credential: 'K', body: trigger.body.mark }); \
            if (trigger.body.fail) throw new Error('failed on ' + trigger.body.mark); \
            return { mark: trigger.body.mark, length: trigger.body.mark.length };";
        let relay = json!({ "id": "relay", "kind": "http", "request": { "method": "POST", "url": format!("{}/{{{{ trigger.body.mark }}}}", scene.host()),
            "json": { "mark": "{{ steps.s.output.mark }}" } } });
        let last = scene.code("last", "return steps.s.output.length;");
        let steps = json!([scene.code("s", source), relay, last]);
        let definition = |no_store: bool| {
            json!({ "name": "N", "settings": { "no_store": no_store },
            "trigger": { "kind": "http", "method": "POST", "respond": "result" }, "steps": steps })
        };
        let (_, by_header) = scene.server.workflow(&definition(false));
        let (by_setting_id, by_setting) = scene.server.workflow(&definition(true));
        let check = |answer: &Answer, name: &str, failed: bool| {
            let run = scene.server.run_of(answer);
            assert_eq!(run["stored"], false, "{name}: {run}");
            assert_eq!(run["status"], if failed { "failed" } else { "succeeded" }, "{name}: {run}");
            assert!(run["trigger"].is_null() && run["workflow_version"] == 1, "{name}: {run}");
            let steps = run["steps"].as_array().unwrap();
            assert_eq!(steps.len(), if failed { 1 } else { 3 });
            for step in steps {
                assert!(step["input"].is_null() && step["output"].is_null(), "{name}: {step}");
                assert_eq!(step["logs"], json!([]), "{name}");
                assert!(step["started_at"].is_string() && step["status"].is_string());
                assert_eq!(step["error"]["message"].as_str().unwrap_or(""), "", "{name}: {step}");
            }
            if failed {
                assert_eq!(run["error"]["code"], "script_error", "{name}: {run}");
            }
            let id = run["id"].as_str().unwrap();
            let events = scene.server.get(&format!("/runs/{id}/events"));
            assert!(
                !events.body.contains("got") && !events.body.contains("event: log"),
                "{name}: {}",
                events.body
            );
            scene
                .server
                .post(&format!("/runs/{id}/retry"), &Value::Null)
                .expect_problem(409, "conflict");
        };
        let headers = [
            ("x-keyward-no-store", by_header.as_str()),
            ("x-pd-nostore", &by_header),
            ("x-none", &by_setting),
        ];
        for (number, (header, hook)) in headers.into_iter().enumerate() {
            for failed in [false, true] {
                let mark = scene.canary(&format!("mark {number} {failed}"));
                let body = json!({ "mark": mark, "fail": failed }).to_string();
                let headers =
                    [("Content-Type", "application/json"), (header, "1"), ("X-Mark", &mark)];
                // Whoever sent the mark is told of it; nobody else ever is.
                let answer = scene.server.send_unkept("POST", hook, &headers, body.as_bytes());
                match failed {
                    false => assert_eq!(answer.expect(200), mark.len()),
                    true => drop(answer.expect_problem(500, "run_failed")),
                }
                check(&answer, header, failed);
            }
        }
        let mark = scene.canary("mark by hand");
        let run = scene.run_again(&by_setting_id, &json!({ "mark": mark, "fail": false }));
        assert_eq!((&run["stored"], &run["trigger"]), (&json!(false), &Value::Null), "{run}");
        assert!(scene.echo.received().len() >= 10, "the steps did work");
        // Without the header, or with another value of it, a run is kept.
        let kept = scene.server.send(
            "POST",
            &by_header,
            &[("Content-Type", "application/json"), ("x-keyward-no-store", "0")],
            br#"{"mark":"plain"}"#,
        );
        assert_eq!(scene.server.run_of(&kept)["trigger"]["body"]["mark"], "plain");
        let listed = scene.server.get("/runs?limit=200").expect(200);
        let stored =
            listed["items"].as_array().unwrap().iter().filter(|run| run["stored"] == true).count();
        assert_eq!(stored, 1, "{listed}");
    });
}

#[test]
fn fifty_hooks_at_once_are_fifty_runs_of_their_own() {
    on_both("runs-fifty", |server| {
        let scene = Scene::with(server);
        let value = scene.canary("K");
        scene.api_key("K", &value);
        let call = json!({ "id": "call", "kind": "http", "credential": { "$credential": "K" }, "request": { "method": "POST", "url": scene.host(),
            "json": { "n": "{{ steps.s.output.n }}" } } });
        let back = scene.code(
            "back",
            "return { n: JSON.parse(steps.call.output.body.body).n, own: trigger.body.n };",
        );
        let (_, hook) =
            scene.hooked(&json!([scene.code("s", "return { n: trigger.body.n };"), call, back]));
        std::thread::scope(|threads| {
            for n in 0..50 {
                let (server, hook) = (&scene.server, &hook);
                threads.spawn(move || {
                    let answer = server.hook(hook, &json!({ "n": n }));
                    assert_eq!(answer.expect(200), json!({ "n": n, "own": n }));
                });
            }
        });
        let received = scene.echo.received();
        assert_eq!(received.len(), 50);
        let bearer = format!("Bearer {value}");
        assert!(received.iter().all(|request| request.header("authorization") == Some(&bearer)));
        let keys: std::collections::BTreeSet<_> =
            received.iter().map(|r| r.header("idempotency-key").unwrap().to_owned()).collect();
        assert_eq!(keys.len(), 50);
        assert_eq!(scene.audit("action=credential.used").len(), 50);
        let (verified, _, errors) = scene.server.run(&["audit", "verify"]);
        assert!(verified, "{errors}");
    });
}
