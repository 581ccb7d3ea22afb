//! Exports: what the API streams is whole, verifies with nothing but the root key at hand, and names
//! the record that was touched; CSV is data to every spreadsheet.

use super::{chains, edit, export, furnish, records, verify, write_lines};
use crate::scene::Scene;
use crate::server::{Backend, Server, on_both};
use serde_json::{Value, json};
use std::fs;

/// Verifies a file in an empty data directory that holds the root key alone.
fn verify_offline(server: &Server, file: &str) -> (bool, String) {
    let elsewhere = tempfile::tempdir().unwrap();
    let output = server
        .command(&["audit", "verify", file])
        .env_remove("KEYWARD_DATABASE_URL")
        .env("KEYWARD_DATA_DIR", elsewhere.path())
        .env("KEYWARD_ROOT_KEY_FILE", server.data.join("keys/root.key"))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn a_streamed_export_is_verified_offline_and_names_what_was_touched() {
    on_both("audit-export", |server| {
        let scene = Scene::with(server);
        let (using, _) = furnish(&scene);
        let server = &scene.server;
        // PostgreSQL's connections have chains of their own: until one is long enough.
        let longest = |text: &str| {
            chains(&records(text)).into_values().max_by_key(|chain| chain.len()).unwrap()
        };
        while longest(&server.get("/audit/export").body).len() < 6 {
            assert_eq!(scene.run_again(&using, &json!({}))["status"], "succeeded");
        }
        let answer = server.get("/audit/export");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
        let folder = server.evidence.folder().to_owned();
        let path = folder.join("streamed.jsonl");
        fs::write(&path, &answer.body).unwrap();
        let file = path.to_str().unwrap();
        assert_eq!(verify_offline(server, file), (true, verify(server, &[file]).1));

        let exported = &scene.audit("action=export.made")[0];
        assert_eq!(exported["reason"], "audit", "an export is an event itself");
        let by_command = records(&export(server, "by-command.jsonl"));
        let streamed = records(&answer.body);
        assert!(by_command.len() >= streamed.len() && streamed.len() > 10);

        let lines: Vec<String> = answer.body.lines().map(str::to_owned).collect();
        // A record in the middle of the longest chain.
        let longest = longest(&answer.body);
        let third = &longest[&3];
        let at = lines.iter().position(|line| line.contains(third["id"].as_str().unwrap()));
        let at = at.unwrap();
        let (id, time) = (third["id"].as_str().unwrap(), third["at"].as_str().unwrap());
        let stream = third["stream"].as_str().unwrap();
        let check = |what: &str, change: &dyn Fn(&mut Vec<String>), expected: &[&str]| {
            let mut changed = lines.clone();
            change(&mut changed);
            let path = folder.join("changed.jsonl");
            write_lines(&path, &changed);
            let (holds, said) = verify_offline(server, path.to_str().unwrap());
            assert!(!holds, "{what} was not noticed");
            for part in expected {
                assert!(said.contains(part), "{what}: {said}");
            }
        };
        let here = format!("record 3 of stream {stream} ");
        let itself = format!("({id} of {time})");
        let altered = [here.as_str(), "was altered", &itself];
        let replace = |from: &'static str, to: &'static str| {
            move |all: &mut Vec<String>| {
                assert!(all[at].contains(from), "{}", all[at]);
                all[at] = all[at].replacen(from, to, 1);
            }
        };
        check(
            "an outcome",
            &replace("\"outcome\":\"allowed\"", "\"outcome\":\"refused\""),
            &altered,
        );
        check("a place", &replace("\"number\":3", "\"number\":4"), &["record 3 of stream"]);
        check("a time", &replace("\"at\":\"2", "\"at\":\"3"), &[&here, "was altered"]);
        let missing = [here.as_str(), "is missing", "the one before it is"];
        check("a line gone", &|all| drop(all.remove(at)), &missing);
        check("two lines", &|all| all.swap(at, at + 1), &[&here, "was reordered"]);
        check("a line twice", &|all| all.insert(at, all[at].clone()), &[&here, "was reordered"]);
        let last = longest.len();
        let newest = &longest[&(last as i64)];
        let tail = |all: &mut Vec<String>| {
            all.retain(|line| !line.contains(newest["id"].as_str().unwrap()));
        };
        let cut = format!("record {last} of stream {stream} ");
        check("the newest record", &tail, &[&cut, "was cut off"]);
        check("the end", &|all| drop(all.pop()), &["the file was cut off"]);
        check("the header", &|all| drop(all.remove(0)), &["line 1 is not the header"]);
        check("half a file", &|all| all.truncate(at), &["the file was cut off"]);
    });
}

#[test]
fn one_credentials_records_are_told_apart() {
    on_both("audit-one-credential", |server| {
        let mut scene = Scene::with(server);
        let (using, plain) = furnish(&scene);
        let other = scene.api_key("OTHER", &scene.canary("OTHER"));
        let id = scene.audit("key=KEY")[0]["credential_id"].as_str().unwrap().to_owned();
        for workflow in [&using, &plain, &using, &using] {
            assert_eq!(scene.run_again(workflow, &json!({}))["status"], "succeeded");
        }
        let listed = scene.server.get(&format!("/credentials/{id}/audit?limit=200")).expect(200);
        let listed = listed["items"].as_array().unwrap().clone();
        assert!(listed.len() >= 4, "{listed:#?}");
        let mut numbers: Vec<(String, i64)> = Vec::new();
        for item in listed.iter().rev() {
            let (stream, number) = (item["stream"].as_str().unwrap(), &item["credential_number"]);
            let before = numbers.iter().rev().find(|(known, _)| known == stream);
            let expected = before.map_or(1, |(_, before)| before + 1);
            assert_eq!(number.as_i64(), Some(expected), "{item}");
            numbers.push((stream.to_owned(), expected));
        }
        let (holds, said) = verify(&scene.server, &["--credential", &id]);
        let expected = format!("{} records name credential {id}; none of them", listed.len());
        assert!(holds && said.contains(&expected), "{said}");
        let (holds, said) = verify(&scene.server, &["--credential", &other]);
        assert!(holds && said.contains("1 records name credential"), "{said}");

        // One of its uses is deleted: the trail does not hold, and the gap is that credential's.
        // (On PostgreSQL it could be the only one of its chain.)
        if scene.server.backend == Backend::Postgres {
            return;
        }
        assert!(scene.server.stop());
        let gone = &listed[1];
        edit(
            &scene.server,
            &format!("DELETE FROM audit WHERE id = '{}'", gone["id"].as_str().unwrap()),
        );
        let (holds, said) = verify(&scene.server, &["--credential", &id]);
        let number = gone["credential_number"].as_i64().unwrap();
        let gap = format!("its records {number} to {number} in stream");
        assert!(!holds && said.contains("is missing") && said.contains(&gap), "{said}");
        let (_, said) = verify(&scene.server, &["--credential", &other]);
        assert!(!said.contains("its records"), "{said}");
        scene.server.spawn();
    });
}

/// What a person may call a workflow, and what must not come of it.
const HOSTILE: &str = "=cmd|'/C calc'!A0\u{202e},\"x\"";

#[test]
fn names_stay_data_in_csv_and_lines() {
    on_both("audit-csv", |server| {
        let scene = Scene::with(server);
        let secret = scene.canary("KEY");
        scene.api_key("KEY", &secret);
        let step = json!([{ "id": "call", "kind": "http", "credential": { "$credential": "KEY" },
                            "request": { "method": "GET", "url": format!("{}/ok", scene.host()) } }]);
        let (_, hook) = scene.server.workflow(&json!({
            "name": HOSTILE, "trigger": { "kind": "http", "respond": "result" }, "steps": step,
        }));
        scene.server.hook(&hook, &json!({})).expect(200);
        let answer = scene.server.get("/audit/export?format=csv&action=credential.used");
        assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
        let disposition = answer.header("content-disposition").unwrap();
        assert!(disposition.contains("audit.csv"), "{disposition}");
        scene.server.evidence.keep("audit.csv", &answer.body);
        let rows: Vec<&str> = answer.body.split("\r\n").collect();
        assert_eq!(rows.len(), 3, "a head, a row, and nothing: {rows:#?}");
        assert!(rows[0].starts_with("at,action,outcome,"), "{}", rows[0]);
        let expected = "\"'=cmd|'/C calc'!A0\\u{202e},\"\"x\"\"\"";
        assert!(rows[1].contains(expected), "{}", rows[1]);
        assert!(!answer.body.chars().any(|c| c.is_control() && !matches!(c, '\r' | '\n')));

        let lines = scene.server.get("/audit/export").body;
        assert!(lines.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)));
        let named = |record: &&Value| record["actor"]["name"] == HOSTILE;
        assert_eq!(records(&lines).iter().filter(named).count(), 1);

        let refused = scene.server.get("/audit/export?format=xml");
        refused.expect_problem(422, "validation_failed");
        let whole = scene.server.get("/audit/export?action=credential.used");
        whole.expect_problem(422, "validation_failed");
        let filtered = scene.server.get("/audit/export?format=csv&action=run.deleted").body;
        assert_eq!(filtered.matches("\r\n").count(), 1, "the head alone: {filtered}");
    });
}
