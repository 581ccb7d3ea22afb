//! The connection test of each scheme: one request, which a good answer passes and a bad one does not.

use super::sent;
use super::stage::Stage;
use super::subject::{Subject, page};
use keyward_model::catalogue::Scheme;
use serde_json::{Value, json};

/// How many schemes one member tests: there is a limit of 30 tests a minute.
const OF_A_MEMBER: usize = 7;

#[test]
fn each_scheme_can_be_tested() {
    let subjects = Subject::all();
    let stage = Stage::start("every-action-connection", &subjects);
    let schemes = subjects.iter().flat_map(|s| s.schemes().iter().map(move |scheme| (s, scheme)));
    let schemes: Vec<_> = schemes.collect();
    for (number, schemes) in schemes.chunks(OF_A_MEMBER).enumerate() {
        let member = member(&stage, number);
        for (subject, scheme) in schemes {
            test(&stage, &member, subject, scheme);
        }
    }
    stage.sweep();
}

/// The token of a new member.
fn member(stage: &Stage, number: usize) -> String {
    let owner = &stage.server.token;
    let body = json!({ "kind": "service", "name": format!("Tester {number}"), "role": "admin" });
    let made = stage.call(owner, "POST", "/members", &body).expect(201);
    let body = json!({ "name": "CI", "member": made["id"] }).to_string();
    let authorization = format!("Bearer {owner}");
    let headers = [("Authorization", &*authorization), ("Content-Type", "application/json")];
    let path = "/api/v1/workspaces/default/tokens";
    let token = stage.server.send_unkept("POST", path, &headers, body.as_bytes()).expect(201);
    let token = token["token"].as_str().expect("a token").to_owned();
    stage.server.evidence.watch("tester", &token);
    token
}

fn test(stage: &Stage, member: &str, subject: &Subject, scheme: &Scheme) {
    let at = format!("{} {} test", subject.id(), scheme.id);
    let saved = stage.save(member, subject, scheme, "connection");
    let name = format!("{} test", scheme.id);
    let expected = subject.expected(&name, &saved.held.names);
    let host = expected.url.host_str().expect("a host").to_owned();
    let good = subject.reply(&name, &saved.held.names);
    let asked = |answer: &Value| {
        // Each outcome is noted in the credential, and a changed credential signs in anew.
        let mut all: Vec<_> = stage.sign_in(subject, scheme, &saved.held).into_iter().collect();
        all.push(expected.clone());
        stage.answer(&host, answer);
        let path = format!("/credentials/{}/test", saved.id);
        let outcome = stage.call(member, "POST", &path, &Value::Null).expect(200);
        sent::check(subject, &stage.arrived(subject), &all, &at);
        (outcome["ok"].clone(), outcome["status"].clone())
    };
    assert_eq!(asked(&good), (json!(true), json!(200)), "{at}");
    assert_eq!(asked(&subject.refusal(401)), (json!(false), json!(401)), "{at}");
    assert_eq!(asked(&page()), (json!(false), json!(200)), "{at}: a page of HTML");
    if scheme.test.as_ref().is_some_and(|test| test.ok.is_some()) {
        let nothing = json!({ "status": 200, "body": {} });
        assert_eq!(asked(&nothing), (json!(false), json!(200)), "{at}");
    }
}
