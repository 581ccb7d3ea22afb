//! Definitions: what is taken, and every fault of what is not, from the tables in `definitions/`.

use keyward_model::json;
use keyward_model::sealing::external_of;
use keyward_model::template::{Context, Path, Template};
use keyward_model::workflow::{
    Body, CredentialInput, Definition, External, Feature, Method, RenderedBody, Respond, StepKind,
    Trigger, json_schema, yaml,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

fn sections(table: &str) -> Vec<(&str, &str)> {
    let sections = table.split("\n% ").skip(1);
    sections.map(|section| section.split_once('\n').unwrap_or((section, ""))).collect()
}

fn document(text: &str) -> Value {
    yaml::parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{fault} in {text}"))
}

fn full() -> Definition {
    let document = document(include_str!("definitions/full.yaml"));
    Definition::parse_for(&document, Feature::ALL).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

#[test]
fn valid_definitions_are_taken_and_kept_as_they_are() {
    for (name, text) in sections(include_str!("definitions/valid.txt")) {
        let document = document(text);
        match Definition::parse(&document) {
            Ok(definition) => {
                let kept = serde_json::to_string(&definition).unwrap();
                assert_eq!(kept, document.to_string(), "{name}");
            }
            Err(faults) => panic!("{name}: {faults:#?}"),
        }
    }
}

#[test]
fn every_fault_is_listed_with_its_place_and_without_values() {
    for (name, section) in sections(include_str!("definitions/broken.txt")) {
        let (text, expected) = section.split_once("\n--\n").unwrap();
        let faults = Definition::parse(&document(text)).err().unwrap_or_default();
        for fault in &faults {
            assert!(!fault.detail.contains("CANARY"), "{name}: {fault:?}");
        }
        let mut found: Vec<_> =
            faults.iter().map(|f| format!("{} {}", f.pointer, f.code)).collect();
        let mut expected: Vec<_> = expected.lines().map(str::to_owned).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn what_the_server_lacks_is_refused_each_time_it_stands_there() {
    let document = document(include_str!("definitions/full.yaml"));
    let faults = Definition::parse(&document).unwrap_err();
    let found: Vec<_> = faults.iter().map(|fault| (fault.pointer.as_str(), fault.code)).collect();
    let lacking = ["/trigger/kind", "/steps/0/for_each", "/steps/1/for_each", "/steps/5/kind"];
    assert_eq!(found, lacking.map(|pointer| (pointer, "not_available")));
}

#[test]
fn limits_hold() {
    let steps = |count: usize| {
        let step = |n: usize| json!({"id": format!("s{n}"), "kind": "code", "source": ""});
        json!({"name": "x", "steps": (0..count).map(step).collect::<Vec<_>>()})
    };
    assert!(Definition::parse(&steps(200)).is_ok());
    let faults = Definition::parse(&steps(201)).unwrap_err();
    assert_eq!((faults[0].pointer.as_str(), faults[0].code), ("/steps", "too_many"));
    assert!(Definition::parse(&json!({"name": "x".repeat(200), "steps": []})).is_ok());
    assert!(Definition::parse(&json!({"name": "x".repeat(201), "steps": []})).is_err());
    let many = json!({"name": "x", "steps": vec![json!({"kind": [], "id": []}); 200], "z": 1});
    assert_eq!(Definition::parse(&many).unwrap_err().len(), 401);
    let more: Value = (0..5000).map(|n| (format!("m{n}"), Value::Null)).collect();
    assert_eq!(Definition::parse(&more).unwrap_err().len(), 1000);
}

#[test]
fn definitions_are_shared_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<Definition>();
    check::<Context>();
}

#[test]
fn a_definition_says_what_it_means() {
    let full = full();
    let expected =
        Trigger::Schedule { cron: "0 9 * * 1-5".into(), timezone: Some("Europe/Vienna".into()) };
    assert_eq!(full.trigger, expected);
    assert_eq!((full.settings.retention_days, full.settings.no_store), (Some(30), true));
    let kinds: Vec<_> = full.steps.iter().map(|step| step.kind.as_str()).collect();
    assert_eq!(kinds, ["code", "http", "http", "http", "app", "agent"]);
    let keys: Vec<_> = full.declared_keys().into_iter().map(|key| key.as_str()).collect();
    assert_eq!(keys, ["KEY", "OPENAI_API_KEY", "SLACK_BOT_TOKEN"]);
    let mut external = Vec::new();
    for step in &full.steps {
        let paths = external_of(step).into_iter().flat_map(External::paths);
        external.extend(paths.map(|(field, path)| format!("{} {field} {path}", step.id)));
    }
    assert_eq!(
        external,
        [
            "call username trigger.body.user",
            "call password steps.build.output.pw[0]",
            "mail api_key trigger.headers[\"x-key\"]",
        ]
    );
    let retry = full.steps[0].retry;
    assert_eq!((retry.attempts, retry.delay), (3, Duration::from_millis(500)));
    assert_eq!(full.step("mail").map(|(at, _)| at), Some(4));
    assert!(full.step("nope").is_none());
}

#[test]
fn the_steps_that_read_a_path_are_known() {
    let full = full();
    let path =
        |text: &str| -> Path { Template::compile(text).unwrap().lone_path().unwrap().clone() };
    for (text, expected) in [
        ("{{ trigger.body.user }}", "call"),
        ("{{ trigger.body.user.name }}", "call"),
        ("{{ trigger.body }}", "build call mail"),
        ("{{ trigger.headers['x-key'] }}", "mail"),
        ("{{ trigger.query }}", ""),
        ("{{ steps.build.output }}", "call"),
        ("{{ steps.mail.output.id }}", "think"),
    ] {
        let found: Vec<_> = full.steps_reading(&path(text)).iter().map(|id| id.as_str()).collect();
        assert_eq!(found.join(" "), expected, "{text}");
    }
}

#[test]
fn defaults_are_the_documented_ones() {
    let document = json!({"name": "x", "trigger": {"kind": "http"}, "steps": [
        {"id": "a", "kind": "http", "request": {"url": "https://x.example"}},
    ]});
    let definition = Definition::parse(&document).unwrap();
    assert_eq!(definition.trigger, Trigger::Http { method: None, respond: Respond::Accepted });
    let step = &definition.steps[0];
    assert_eq!((step.retry.attempts, step.retry.delay), (1, Duration::from_secs(1)));
    let rules = step.rules();
    assert!(!rules.continue_on_error && !rules.fail_on_interrupt && rules.attempts == 1);
    assert!(step.when.is_none() && step.timeout.is_none());
    let StepKind::Http(http) = &step.kind else { panic!("no http step") };
    assert_eq!(http.request.method, Method::Get);
    assert!(http.request.body.is_none() && http.credential.is_none());
}

#[test]
fn delays_grow_up_to_an_hour() {
    let step = |backoff: &str| {
        let retry = json!({"attempts": 10, "delay_seconds": 60, "backoff": backoff});
        let step = json!({"id": "a", "kind": "code", "source": "", "retry": retry});
        Definition::parse(&json!({"name": "x", "steps": [step]})).unwrap().steps[0].retry
    };
    let seconds = |backoff: &str, attempt: u32| step(backoff).delay_after(attempt).as_secs();
    assert_eq!([1, 2, 3, 9, 4000].map(|n| seconds("exponential", n)), [60, 120, 240, 3600, 3600]);
    assert_eq!([1, 2, 9].map(|n| seconds("fixed", n)), [60, 60, 60]);
}

#[test]
fn a_request_is_rendered_from_the_run_s_data() {
    let document = document(
        r#"
name: x
steps:
  - id: a
    kind: http
    when: "{{ trigger.body.go }}"
    credential: { $credential: KEY }
    request:
      method: POST
      url: "https://api.example.com:8443/{{ trigger.body.id }}?x=1"
      headers: { X-A: "{{ trigger.body.n }}", X-B: true }
      query: { q: ["{{ trigger.body.id }}", 2], none: null, o: "{{ trigger.body.o }}" }
      json: { all: "{{ trigger.body }}", t: "n={{ trigger.body.n }}" }
"#,
    );
    let definition = Definition::parse(&document).unwrap();
    let step = &definition.steps[0];
    let StepKind::Http(http) = &step.kind else { panic!("no http step") };
    assert!(
        matches!(&http.credential, Some(CredentialInput::Stored(key)) if key.as_str() == "KEY")
    );
    let origin = http.request.literal_origin().unwrap();
    assert_eq!(origin.as_str(), "https://api.example.com:8443/");
    let body = json!({"id": "7", "n": 3, "o": {"k": 1}, "go": []});
    let context = Context::new(Arc::new(json!({"body": body})), Arc::default());
    assert_eq!(step.when.as_ref().unwrap().holds(&context), Ok(false));
    let request = http.request.render(&context).unwrap();
    let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!(
        (request.method, request.url.as_str()),
        (Method::Post, "https://api.example.com:8443/7?x=1")
    );
    assert_eq!(request.headers, owned(&[("X-A", "3"), ("X-B", "true")]));
    assert_eq!(request.query, owned(&[("q", "7"), ("q", "2"), ("o", r#"{"k":1}"#)]));
    assert_eq!(request.body, Some(RenderedBody::Json(json!({"all": body, "t": "n=3"}))));
    let error = http.request.render(&Context::default()).unwrap_err();
    assert!(error.to_string().starts_with("/request/"), "{error}");
}

#[test]
fn bodies_are_one_of_three() {
    let full = full();
    let body = |at: usize| match &full.steps[at].kind {
        StepKind::Http(http) => http.request.body.as_ref(),
        _ => None,
    };
    assert!(matches!(body(1), Some(Body::Json(_))));
    assert!(matches!(body(2), Some(Body::Form(_))));
    assert!(matches!(body(3), Some(Body::Text(_))));
}

#[test]
fn the_schema_is_the_committed_one() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/definitions/schema.json");
    let found = format!("{}\n", serde_json::to_string_pretty(&json_schema()).unwrap());
    if std::env::var_os("KEYWARD_UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, &found).unwrap();
    }
    let expected = std::fs::read_to_string(golden).unwrap();
    assert_eq!(found, expected, "run with KEYWARD_UPDATE_GOLDEN=1 and look at the difference");
}

/// Every name in the schema is one that is read, and every name that is read is in the schema.
#[test]
fn the_schema_and_the_reader_know_the_same_members() {
    let mut schema = Vec::new();
    property_names(&json_schema(), &mut schema);
    let mut read = Vec::new();
    let mut full = document(include_str!("definitions/full.yaml"));
    for pointer in [
        "/steps/4/inputs",
        "/steps/5/output_schema",
        "/steps/1/request/query",
        "/steps/1/request/headers",
        "/steps/2/request/form",
        "/steps/1/credential/$external/fields",
        "/steps/4/credential/$external/fields",
    ] {
        *full.pointer_mut(pointer).unwrap() = json!({});
    }
    member_names(&full, &mut read);
    read.extend(["fresh", "method", "respond"].map(str::to_owned));
    for names in [&mut schema, &mut read] {
        names.sort();
        names.dedup();
    }
    assert_eq!(schema, read);
}

fn property_names(schema: &Value, out: &mut Vec<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get("properties") {
                out.extend(properties.keys().cloned());
            }
            members.values().for_each(|value| property_names(value, out));
        }
        Value::Array(items) => items.iter().for_each(|item| property_names(item, out)),
        _ => {}
    }
}

fn member_names(document: &Value, out: &mut Vec<String>) {
    match document {
        Value::Object(members) => {
            out.extend(members.keys().cloned());
            members.values().for_each(|value| member_names(value, out));
        }
        Value::Array(items) => items.iter().for_each(|item| member_names(item, out)),
        _ => {}
    }
}

/// JSON of any form, with the definition's own words in it so that reading gets somewhere.
fn any_json() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "name", "steps", "trigger", "settings", "id", "kind", "http", "code", "app", "agent",
        "when", "request", "url", "json", "credential", "$credential", "$external", "fields",
        "retry", "attempts", "source", "model", "headers", "{{ trigger.body }}",
        "{{ steps.id.output }}", "https://x.example", "manual", "CANARY-4711",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(|n| Value::from(f64::from(n) / 8.0)),
        any::<i64>().prop_map(Value::from),
        words.clone().prop_map(Value::from),
        "CANARY\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(7, 96, 8, move |inner| {
        let members = prop::collection::vec((words.clone(), inner.clone()), 0..8);
        let steps = prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            members.clone().prop_map(object),
            (members, steps).prop_map(|(mut members, steps)| {
                members.extend([("steps", Value::from(steps)), ("name", json!("x"))]);
                object(members)
            }),
        ]
    })
}

fn object(members: Vec<(&str, Value)>) -> Value {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

proptest! {
    #[test]
    fn no_document_makes_it_panic_or_repeat_a_value(document in any_json()) {
        for available in [Feature::AVAILABLE, Feature::ALL] {
            let faults = Definition::parse_for(&document, available).err().unwrap_or_default();
            for fault in faults {
                prop_assert!(!fault.detail.contains("CANARY"), "{fault:?}");
            }
        }
    }

    #[test]
    fn no_bytes_make_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = json::parse(&bytes);
        let _ = yaml::parse(&bytes);
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in "[\\[\\]{}:,&*!<|>%@`'\"#\\- \n\ta0.eE+~?\\\\]{0,60}") {
        for fault in [json::parse(text.as_bytes()).err(), yaml::parse(text.as_bytes()).err()] {
            let Some(fault) = fault else { continue };
            prop_assert!(fault.line >= 1, "{fault}");
        }
    }

    /// What one reader writes both readers read, so both mean the same by it.
    #[test]
    fn json_is_read_the_same_from_both(document in any_json()) {
        let text = document.to_string();
        let found = json::parse(text.as_bytes());
        if let Ok(found) = &found {
            prop_assert_eq!(found, &document);
            let yaml = serde_norway::to_string(&document).unwrap();
            if let Ok(value) = yaml::parse(yaml.as_bytes()) {
                prop_assert_eq!(value, document);
            }
        }
    }
}
