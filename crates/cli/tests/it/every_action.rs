//! Every action of every HTTP app, from a workflow's run to what its vendor is sent, and back.
//!
//! What must arrive, and what is made of answers, stands in `crates/connectors/tests`; here it goes
//! through the whole server to a stand-in for all vendors.

mod connection;
mod faults;
mod held;
mod sent;
mod stage;
mod subject;

use held::Held;
use keyward_model::catalogue::manifest::Action;
use keyward_model::catalogue::{OutputPath, Scheme};
use keyward_testkit::canary::PREFIX;
use serde_json::{Value, json};
use stage::{Saved, Stage, step};
use subject::{Expected, Subject, next_page};

#[test]
fn each_action_is_sent_as_its_vendor_describes_it() {
    let subjects = Subject::all();
    let stage = Stage::start("every-action", &subjects);
    stage.for_each(&subjects, |subject| {
        for scheme in subject.schemes() {
            let mut saved = stage.save(&stage.server.token, subject, scheme, "actions");
            for action in subject.actions_by(scheme) {
                act(&stage, subject, &mut saved, action);
            }
            act_externally(&stage, subject, scheme);
        }
    });
    stage.sweep();
}

/// What a run of an action must send, and what its output must be; the vendor answers accordingly.
fn prepare(
    stage: &Stage,
    subject: &Subject,
    scheme: &Scheme,
    held: &Held,
    action: &Action,
) -> (Vec<Expected>, Value) {
    let first = subject.expected_by(scheme, &action.id, &held.names);
    let pages = subject.good(action);
    let host = first.url.host_str().expect("a host").to_owned();
    pages.iter().for_each(|page| stage.answer(&host, &page["answer"]));
    let [one] = *pages else {
        let next = next_page(&first, &pages[0]["gives"]["next"], &held.names);
        let items = |page: &&Value| page["gives"]["items"].as_array().expect("items").clone();
        let items: Vec<Value> = pages.iter().flat_map(items).collect();
        return (vec![first, next], items.into());
    };
    (vec![first], one["gives"].clone())
}

fn act(stage: &Stage, subject: &Subject, saved: &mut Saved<'_>, action: &Action) {
    let at = format!("{}.{} by {}", subject.id(), action.id, saved.scheme.id);
    let mut expected: Vec<_> = stage.sign_in_once(subject, saved).into_iter().collect();
    let (requests, output) = prepare(stage, subject, saved.scheme, &saved.held, action);
    expected.extend(requests);
    let run = stage.run(subject, &action.id, &json!({ "$credential": saved.key }));
    assert_eq!(run["status"], "succeeded", "{at}: {run}");
    sent::check(subject, &stage.arrived(subject), &expected, &at);
    check_output(&run, action, &output, &at);
}

/// The same with the secret fields from the trigger's request.
fn act_externally(stage: &Stage, subject: &Subject, scheme: &Scheme) {
    let action = subject.action_for(scheme);
    let at = format!("{}.{} by external {}", subject.id(), action.id, scheme.id);
    let held = Held::of(&stage.server.evidence, subject.id(), scheme, "external");
    let fields = held.external();
    let external = json!({ "$external": { "scheme": scheme.id, "fields": fields } });
    let (_, hook) = stage.server.workflow(&json!({
        "name": "Hook", "trigger": { "kind": "http", "method": "POST", "respond": "result" },
        "steps": [step(subject, &action.id, &external)],
    }));
    let mut expected: Vec<_> = stage.sign_in(subject, scheme, &held).into_iter().collect();
    let (requests, output) = prepare(stage, subject, scheme, &held, action);
    expected.extend(requests);
    let body = Value::Object(held.secret);
    let run = stage.server.run_of(&stage.server.hook(&hook, &body));
    assert_eq!(run["status"], "succeeded", "{at}: {run}");
    sent::check(subject, &stage.arrived(subject), &expected, &at);
    check_output(&run, action, &output, &at);
    assert!(!run.to_string().contains(PREFIX), "{at}: {run}");
    for name in body.as_object().expect("fields").keys() {
        let sealed = format!("[sealed:trigger.body.{name}]");
        assert_eq!(run["trigger"]["body"][name], sealed, "{at}: {run}");
    }
}

/// Fails unless a run gave this, sealed where the manifest says that it is secret.
fn check_output(run: &Value, action: &Action, expected: &Value, at: &str) {
    let path = |text: &str| OutputPath::parse(text).expect("a path");
    let spared: Vec<_> = action.plain_outputs.iter().map(|text| path(text)).collect();
    let mut expected = expected.clone();
    for secret in &action.secret_outputs {
        path(secret).each_leaf(&mut expected, &spared, &mut |_, leaf| *leaf = json!("sealed"));
    }
    let mut found = run["steps"][0]["output"].clone();
    path("").each_leaf(&mut found, &[], &mut |_, leaf| {
        if leaf.as_str().is_some_and(|text| text.starts_with("[sealed:steps.act.output")) {
            *leaf = json!("sealed");
        }
    });
    assert_eq!(found, expected, "{at}");
}
