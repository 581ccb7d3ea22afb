//! What Gmail's actions make of texts that would be more than they should: mail cannot be made to say
//! or to go where its step did not mean it.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test says what it expects by failing"
)]

use keyward_connectors::built_in;
use keyward_model::catalogue::App;
use keyward_model::json_schema::Schema;
use keyward_model::template::Context;
use keyward_model::workflow::RenderedBody;
use serde_json::{Map, Value, json};
use std::sync::Arc;

fn gmail() -> Arc<App> {
    let apps = built_in().unwrap_or_else(|(id, faults)| panic!("{id}: {faults:?}"));
    apps.get("gmail").expect("the app").clone()
}

/// The action's inputs, with one of them changed.
fn inputs(name: &str, value: &str) -> Value {
    let mut inputs = Map::from_iter([
        ("to".to_owned(), json!("ada@example.com")),
        ("subject".to_owned(), json!("Hi")),
        ("text".to_owned(), json!("Hello")),
    ]);
    inputs.insert(name.to_owned(), value.into());
    inputs.into()
}

/// The message that is sent, as text; none where it is refused.
fn message(inputs: Value) -> Option<String> {
    let app = gmail();
    let request = app.action("send_message").and_then(|action| action.request.as_ref()).unwrap();
    let context = Context::of_action(Arc::new(inputs), Arc::new(json!({})));
    let body = request.render(&context).ok()?.body.expect("a body");
    let RenderedBody::Json(body) = body else { panic!("not JSON") };
    let raw = body.get("raw").and_then(Value::as_str).expect("a message");
    Some(String::from_utf8(decoded(raw)).expect("UTF-8"))
}

/// base64url (RFC 4648 §5).
fn decoded(text: &str) -> Vec<u8> {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_usize, 0);
    for c in text.trim_end_matches('=').chars() {
        bits = (bits << 6 | alphabet.find(c).expect("base64url")) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    bytes
}

#[test]
fn no_input_adds_a_header() {
    let app = gmail();
    let written = app.manifest.actions.iter().find(|action| action.id == "send_message");
    let schema = Schema::parse(&written.unwrap().inputs).unwrap();
    for name in ["to", "cc", "bcc", "reply_to", "from", "in_reply_to", "subject"] {
        for end in ["\r\n", "\n", "\r"] {
            let hostile = inputs(name, &format!("a@example.com{end}Bcc: eve@example.com"));
            assert!(!schema.validate(&hostile, "").is_empty(), "{name}: the schema takes it");
            // The schema is not all that stands before it.
            assert_eq!(message(hostile), None, "{name}");
        }
    }
}

#[test]
fn what_is_written_stays_where_it_is_written() {
    let check = |name: &str, value: &str, header: &str| {
        let message = message(inputs(name, value)).expect("a message");
        let (headers, body) = message.split_once("\r\n\r\n").expect("headers and a body");
        assert!(headers.split("\r\n").any(|line| line == header), "{headers}");
        assert!(headers.split("\r\n").all(|line| line.len() <= 998), "{headers}");
        assert!(!headers.replace("\r\n", "").contains(['\r', '\n']), "{headers}");
        assert!(body.split("\r\n").all(|line| line.len() <= 76), "{body}");
    };
    check("subject", "Grüße", "Subject: =?UTF-8?B?R3LDvMOfZQ==?=");
    check("subject", "", "Subject: ");
    check("cc", "Ada <ada@example.com>", "Cc: Ada <ada@example.com>");
    check("text", "\r\n\r\nBcc: eve@example.com\r\n.\r\n", "To: ada@example.com");
    check("text", &"Hello ".repeat(1000), "To: ada@example.com");
    check("html", "<p>Hello</p>", "Content-Type: text/html; charset=UTF-8");
    let inputs = json!({
        "to": ["ada@example.com", "Bob <bob@example.com>"], "subject": "Hi", "text": "Hello",
    });
    let message = message(inputs).expect("a message");
    assert!(message.starts_with("To: ada@example.com,\r\n Bob <bob@example.com>\r\n"), "{message}");
}
