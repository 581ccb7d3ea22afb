//! Every app's every request: what is sent, and whether the vendor's own description takes it.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what it expects by failing"
)]

mod answers;
mod attach;
mod described;
mod expected;
mod page;
mod samples;

use keyward_connectors::built_in;
use keyward_model::catalogue::{App, Catalogue, Protocol, Request};
use keyward_model::json_schema::Schema;
use keyward_model::template::Context;
use serde_json::{Map, Value};
use std::sync::Arc;

/// One request as the wire would see it, and what it is called in the expected files.
struct Sent {
    /// An action's id, or `<scheme> test` and `<scheme> sign_in`.
    name: String,
    request: attach::Attached,
    /// Whether the scheme's credentials may go there.
    admitted: bool,
}

fn catalogue() -> Catalogue {
    built_in().unwrap_or_else(|(id, faults)| panic!("{id}: {faults:?}"))
}

/// Every request of an app: each action's with its first scheme, each scheme's own.
fn requests(app: &App) -> Vec<Sent> {
    let mut all = Vec::new();
    for scheme in &app.manifest.schemes {
        let checked = app.scheme(Some(&scheme.id)).unwrap();
        let fields = samples::fields(scheme);
        let render = |name: String, request: &Request, inputs: Value, attach, fields: &_| {
            let credential = samples::credential(fields);
            let context = Context::of_action(Arc::new(inputs), Arc::new(credential));
            let rendered = request.render(&context);
            let rendered = rendered.unwrap_or_else(|e| panic!("{}.{name}: {e}", app.id()));
            let plain = samples::plain(scheme, fields);
            let request = attach::attach(attach, fields, rendered);
            let admitted = samples::admits(scheme, &plain, &request);
            Sent { name, request, admitted }
        };
        let none = || Value::Object(Map::new());
        let own = samples::fields_before_sign_in(scheme);
        if let Some(sign_in) = checked.sign_in {
            let name = format!("{} sign_in", scheme.id);
            all.push(render(name, &sign_in.request, none(), &sign_in.attach, &own));
        }
        if let Some(request) = checked.test.and_then(|test| test.request.as_ref()) {
            let name = format!("{} test", scheme.id);
            all.push(render(name, request, none(), &scheme.attach, &fields));
        }
        if scheme.id == app.manifest.schemes[0].id {
            for written in &app.manifest.actions {
                let action = app.action(&written.id).unwrap();
                let Some(request) = &action.request else { continue };
                let inputs = Value::Object(written.example.clone());
                all.push(render(action.id.clone(), request, inputs, &scheme.attach, &fields));
            }
        }
    }
    all
}

#[test]
fn each_scheme_can_be_tested() {
    for app in catalogue().iter() {
        for scheme in &app.manifest.schemes {
            let test = scheme.test.as_ref();
            let test = test.unwrap_or_else(|| panic!("{} {}: no test", app.id(), scheme.id));
            let by_http = app.manifest.protocol == Protocol::Http;
            assert_eq!(test.request.is_some(), by_http, "{} {}", app.id(), scheme.id);
        }
    }
}

#[test]
fn each_example_fits_its_inputs() {
    for app in catalogue().iter() {
        for action in &app.manifest.actions {
            let at = format!("{}.{}", app.id(), action.id);
            let schema = Schema::parse(&action.inputs);
            let schema = schema.unwrap_or_else(|faults| panic!("{at}: {faults:?}"));
            let example = Value::Object(action.example.clone());
            assert_eq!(schema.validate(&example, ""), [], "{at}: example");
            let closed = action.inputs["additionalProperties"] == Value::Bool(false);
            assert!(closed, "{at}: a misspelled input would be passed over");
            for (name, input) in action.inputs["properties"].as_object().into_iter().flatten() {
                assert!(input["title"].is_string(), "{at}: {name} has no title");
            }
        }
    }
}

#[test]
fn each_request_goes_to_the_apps_hosts_by_https() {
    for app in catalogue().iter() {
        for sent in requests(app) {
            let at = format!("{} {}: {}", app.id(), sent.name, sent.request.url);
            assert!(sent.request.url.starts_with("https://"), "{at}");
            assert!(sent.admitted, "{at}: the scheme's hosts or places do not admit it");
        }
    }
}

#[test]
fn each_request_is_the_expected_one() {
    for app in catalogue().iter().filter(|app| app.manifest.protocol == Protocol::Http) {
        let sent = requests(app);
        let told = sent.iter().map(|sent| (sent.name.clone(), sent.request.told()));
        expected::compare("requests", app.id(), &told.collect());
    }
}

#[test]
fn each_request_is_one_that_the_vendor_describes() {
    let mut wrong = Vec::new();
    for app in catalogue().iter() {
        let Some(description) = described::Description::of(app.id()) else { continue };
        for sent in requests(app) {
            let faults = description.faults(&sent.request).unwrap_or_default();
            wrong.extend(faults.iter().map(|f| format!("{} {}: {f}", app.id(), sent.name)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_answer_is_read_as_expected() {
    for app in catalogue().iter() {
        answers::check(app, &requests(app));
    }
}

#[test]
fn the_page_tells_what_was_tested() {
    page::compare(&catalogue());
}

#[test]
fn what_says_how_safely_secrets_travel_is_marked() {
    let mut marked = 0;
    for app in catalogue().iter() {
        for field in app.manifest.schemes.iter().flat_map(|scheme| &scheme.fields) {
            let says = ["tls", "security", "ca_pem"].contains(&field.name.as_str());
            assert_eq!(field.guards, says, "{}: {}", app.id(), field.name);
            marked += usize::from(field.guards);
        }
    }
    assert!(marked > 0);
}
