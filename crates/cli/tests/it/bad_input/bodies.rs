//! Bodies that are no JSON, of another form, too deep, too large or of another kind.

use super::operation::Operation;
use super::scene::Scene;
use super::{REFUSED, UNREADABLE, pointers};
use serde_json::{Value, json};

const NO_JSON: &[(u16, &str)] = &[(400, "invalid_json")];
const TOO_LARGE: &[(u16, &str)] = &[(413, "payload_too_large")];
const OTHER_KIND: &[(u16, &str)] = &[(415, "unsupported_media_type")];

/// Sends every kind of bad body to an operation that takes one.
pub fn check(scene: &Scene, operation: &Operation) {
    if operation.body.is_none() {
        return;
    }
    unreadable(scene, operation);
    other_forms(scene, operation);
    wrong_types(scene, operation);
    nul_characters(scene, operation);
    other_kinds(scene, operation);
}

fn send(
    scene: &Scene,
    operation: &Operation,
    what: &str,
    body: &[u8],
    expected: &[(u16, &str)],
) -> Value {
    let answer = scene.send_as_owner(operation, &scene.path(operation), body);
    scene.expect(operation, what, &answer, expected)
}

fn unreadable(scene: &Scene, operation: &Operation) {
    let canary = &scene.canary;
    let sample = scene.sample(operation);
    let opened = sample.trim_end_matches('}');
    let (array, object) = ("[".repeat(64), "{\"a\":".repeat(10_000));
    let closed = "]".repeat(64);
    let bodies = [
        ("an empty body", String::new()),
        ("blanks", " \n\t".to_owned()),
        ("a bare word", canary.clone()),
        ("a member without quotes", format!("{{{canary}: \"{canary}\"}}")),
        ("single quotes", format!("{{'{canary}': '{canary}'}}")),
        ("a value left out", format!("{{\"{canary}\": }}")),
        ("a trailing comma", format!("{{\"{canary}\": 1,}}")),
        ("a comment", format!("// {canary}\n{sample}")),
        ("more after the end", format!("{sample} \"{canary}\"")),
        ("two documents", format!("{sample}{sample}")),
        ("a truncated document", sample.chars().take(sample.len() - 1).collect()),
        ("a truncated text", format!("{{\"{canary}\": \"{canary}")),
        ("a number out of range", format!("{{\"{canary}\": 1e999}}")),
        ("a number that is none", format!("{{\"{canary}\": NaN}}")),
        ("half a surrogate pair", format!("{{\"{canary}\": \"\\ud800\"}}")),
        ("an escape that is none", format!("{{\"{canary}\": \"\\x{canary}\"}}")),
        ("a raw NUL", format!("{{\"{canary}\": \"\0{canary}\"}}")),
        ("a raw line break in a text", format!("{{\"{canary}\": \"\n{canary}\"}}")),
        ("a byte order mark", format!("\u{feff}{sample}")),
        ("a member twice", format!("{{\"{canary}\": 1, \"{canary}\": 2}}")),
        ("a known member twice", format!("{opened}, {}", sample.trim_start_matches('{'))),
        ("an inner member twice", format!("{{\"{canary}\": {{\"a\": 1, \"\\u0061\": 2}}}}")),
        ("65 levels", format!("{{\"{canary}\": {array}{closed}}}")),
        ("10,000 levels", format!("{object}\"{canary}\"{}", "}".repeat(10_000))),
        ("10,000 levels, never closed", object),
    ];
    let bodies = bodies.into_iter().skip(if operation.may_be_empty() { 2 } else { 0 });
    for (what, body) in bodies {
        send(scene, operation, what, body.as_bytes(), NO_JSON);
    }
    let invalid: [&[u8]; 4] = [b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80"];
    for bytes in invalid {
        let body = [b"{\"x\": \"".as_slice(), bytes, canary.as_bytes(), b"\"}"].concat();
        send(scene, operation, "invalid UTF-8", &body, UNREADABLE);
    }
    let utf16: Vec<u8> = sample.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let expected = [NO_JSON, UNREADABLE].concat();
    send(scene, operation, "UTF-16", &utf16, &expected);
}

fn other_forms(scene: &Scene, operation: &Operation) {
    let canary = scene.canary.as_str();
    let outermost = [
        json!(null),
        json!(true),
        json!(1.5),
        json!(canary),
        json!([]),
        json!([canary]),
        json!([{ canary: canary }]),
    ];
    for body in outermost {
        send(scene, operation, "another outermost type", body.to_string().as_bytes(), REFUSED);
    }
    let sample = scene.sample_value(operation);
    let with = |name: &str, value: Value| {
        let mut body = sample.clone();
        body[name] = value;
        body.to_string()
    };
    let unknown = [json!(canary), json!(null), json!({ canary: [canary] })];
    for value in unknown {
        send(scene, operation, "an unknown member", with(canary, value).as_bytes(), REFUSED);
    }
    let problem = send(
        scene,
        operation,
        "an unknown word",
        with("surplus", json!(canary)).as_bytes(),
        REFUSED,
    );
    if !pointers(&problem).contains(&"/surplus".to_owned()) {
        scene.fault_of(operation, "an unknown member is named", &problem);
    }
    let only = json!({ canary: canary }).to_string();
    send(scene, operation, "only an unknown member", only.as_bytes(), REFUSED);
}

fn wrong_types(scene: &Scene, operation: &Operation) {
    let canary = scene.canary.as_str();
    let values = [
        json!(null),
        json!(true),
        json!(7),
        json!(-1.5),
        json!(canary),
        json!([canary]),
        json!([[7]]),
        json!({ canary: canary }),
    ];
    for (member, schema) in operation.members() {
        for value in values.iter().filter(|value| !operation.accepts(&schema, value)) {
            let mut body = scene.sample_value(operation);
            body[&member] = value.clone();
            let shown = value.to_string().replace(canary, "*");
            let what = format!("`{member}` as {shown}");
            let problem = send(scene, operation, &what, body.to_string().as_bytes(), REFUSED);
            let place = format!("/{member}");
            if !pointers(&problem).iter().any(|pointer| pointer.starts_with(&place)) {
                scene.fault_of(operation, &format!("{what} is named"), &problem);
            }
        }
    }
}

/// NUL is a character of JSON, but not of every database: no name or setting may hold it.
fn nul_characters(scene: &Scene, operation: &Operation) {
    let text = json!(format!("{}\0", scene.canary));
    for (member, schema) in operation.members() {
        // A payload and a definition's description are kept as JSON text, which has room for it.
        let is_kept_as_json =
            member == "payload" || operation.takes_definition() && member != "name";
        if is_kept_as_json || !operation.accepts(&schema, &text) {
            continue;
        }
        let mut body = scene.sample_value(operation);
        body[&member] = text.clone();
        let what = format!("`{member}` with a NUL");
        let expected: &[(u16, &str)] = match operation.id.as_str() {
            "setUp" | "confirmTotp" => &[(409, "conflict")],
            "signIn" => &[(401, "unauthenticated"), (422, "validation_failed")],
            "changePassword" | "removeTotp" => &[(403, "forbidden")],
            "acceptInvitation" | "keepReviewed" => {
                &[(404, "not_found"), (422, "validation_failed")]
            }
            // A preview needs neither, and says so.
            "importCredentials" if matches!(member.as_str(), "key" | "digest") => continue,
            _ => REFUSED,
        };
        send(scene, operation, &what, body.to_string().as_bytes(), expected);
    }
}

fn other_kinds(scene: &Scene, operation: &Operation) {
    let token = format!("Bearer {}", scene.server.token);
    let body = scene.sample(operation);
    let kinds = [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "text/json-ish",
        scene.canary.as_str(),
        "application/octet-stream",
    ];
    for kind in kinds {
        let headers = [("Authorization", token.as_str()), ("Content-Type", kind)];
        let answer = scene.send(operation, &scene.path(operation), &headers, body.as_bytes());
        scene.expect(operation, "another content type", &answer, OTHER_KIND);
    }
}

/// One byte more than an operation takes.
pub fn too_large(scene: &Scene, operation: &Operation) {
    let limit = operation.limit();
    let mut body = scene.sample(operation).into_bytes();
    body.resize(limit + 1, b' ');
    let problem = send(scene, operation, "a body over the limit", &body, TOO_LARGE);
    if !problem["detail"].as_str().is_some_and(|detail| detail.contains(&limit.to_string())) {
        scene.fault_of(operation, "the limit is named", &problem);
    }
}
