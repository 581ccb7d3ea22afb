//! What an app's steps make of a vendor that refuses, throttles, or answers something else.

use super::stage::{Saved, Stage};
use super::subject::{Subject, page};
use keyward_model::catalogue::manifest::Action;
use keyward_model::workflow::Method;
use serde_json::{Value, json};

#[test]
fn each_app_says_what_went_wrong() {
    let subjects = Subject::all();
    let stage = Stage::start("every-action-faults", &subjects);
    stage.for_each(&subjects, |subject| {
        let scheme = &subject.schemes()[0];
        let save = |purpose| stage.save(&stage.server.token, subject, scheme, purpose);
        refused(&stage, subject, &mut save("refused"));
        let mut saved = save("faults");
        throttled(&stage, subject, &mut saved);
        for action in subject.actions_by(scheme) {
            garbled(&stage, subject, &mut saved, action);
        }
    });
    stage.sweep();
}

/// Runs an action whose requests are answered so; gives the run.
fn run(
    stage: &Stage,
    subject: &Subject,
    saved: &mut Saved<'_>,
    action: &Action,
    answer: &Value,
) -> Value {
    stage.sign_in_once(subject, saved);
    let expected = subject.expected(&action.id, &saved.held.names);
    stage.answer(expected.url.host_str().expect("a host"), answer);
    stage.run(subject, &action.id, &json!({ "$credential": saved.key }))
}

fn status(stage: &Stage, saved: &Saved<'_>) -> (Value, Value) {
    let view = stage.server.get(&format!("/credentials/{}", saved.id)).expect(200);
    (view["status"].clone(), view["status_reason"].clone())
}

/// Fails unless the run's step failed so.
fn failed(run: &Value, (code, words): (&str, &[&str]), at: &str) {
    assert_eq!(run["status"], "failed", "{at}: {run}");
    let error = &run["steps"][0]["error"];
    assert_eq!(error["code"], code, "{at}: {error}");
    let message = error["message"].as_str().expect("a message");
    assert!(words.iter().all(|word| message.contains(word)), "{at}: {message}");
}

fn refused(stage: &Stage, subject: &Subject, saved: &mut Saved<'_>) {
    let (action, refusal) = (&subject.actions()[0], subject.refusal(401));
    let at = format!("{}.{} refused", subject.id(), action.id);
    assert_eq!(status(stage, saved).0, "active", "{at}");
    let host = subject.expected(&action.id, &saved.held.names).url;
    let host = host.host_str().expect("a host");
    let mut count = 1;
    if stage.sign_in_once(subject, saved).is_some() {
        // A session may have ended early, so it is asked for once more.
        stage.answer(host, &refusal);
        stage.sign_in(subject, saved.scheme, &saved.held);
        count = 4;
    }
    let run = run(stage, subject, saved, action, &refusal);
    assert_eq!(stage.arrived(subject).len(), count, "{at}");
    failed(&run, ("http_status", &[&subject.app.manifest.name, "401"]), &at);
    assert_eq!(status(stage, saved), (json!("error"), json!("rejected_by_service")), "{at}");
}

fn throttled(stage: &Stage, subject: &Subject, saved: &mut Saved<'_>) {
    let action = &subject.actions()[0];
    let at = format!("{}.{} throttled", subject.id(), action.id);
    let mut answer = subject.refusal(429);
    answer["headers"] = json!({ "Retry-After": "7" });
    let run = run(stage, subject, saved, action, &answer);
    stage.arrived(subject);
    failed(&run, ("http_status", &["429", "it asks to wait 7 s"]), &at);
    assert_eq!(status(stage, saved).0, "active", "{at}");
}

/// A page for people in the place of an answer, as gateways and sign-in pages give it.
fn garbled(stage: &Stage, subject: &Subject, saved: &mut Saved<'_>, action: &Action) {
    let at = format!("{}.{} garbled", subject.id(), action.id);
    let run = run(stage, subject, saved, action, &page());
    assert_eq!(stage.arrived(subject).len(), 1, "{at}");
    let request = action.request.as_ref().expect("a request");
    if request.method == Method::Head || request.headers.get("Accept") == Some(&json!("*/*")) {
        assert_eq!(run["status"], "succeeded", "{at}: it gives what is there: {run}");
        return;
    }
    failed(&run, ("connection_failed", &["but with a page of HTML"]), &at);
}
