//! Objects in S3: what the app's actions do at a server that checks signatures.

use crate::scene::Scene;
use crate::server::{Backend, Server};
use keyward_testkit::aws::{Aws, REGION};
use serde_json::{Value, json};

const BUCKET: &str = "example-bucket";
/// What a path, a query and XML each write in their own way.
const KEY: &str = "Berichte 2026/März & <\"mehr\">+100%.csv";

#[expect(clippy::needless_pass_by_value, reason = "each is made where it is given")]
fn step(id: &str, action: &str, inputs: Value) -> Value {
    json!({
        "id": id, "kind": "app", "app": "s3", "action": action,
        "credential": { "$credential": "S3" }, "inputs": inputs,
    })
}

fn facing(test: &str, aws: &Aws, secret: &str) -> Scene {
    let allow = aws.url().trim_start_matches("http://").to_owned();
    let environment = [("KEYWARD_EGRESS_ALLOW", allow.as_str())];
    let scene = Scene::with(Server::start_with(test, Backend::Sqlite, &environment));
    scene.credential(&json!({
        "key": "S3", "app": "s3",
        "fields": {
            "access_key_id": aws.user.id, "secret_access_key": secret,
            "region": REGION, "endpoint": aws.url(),
        },
    }));
    scene
}

#[test]
fn objects_are_put_listed_read_copied_and_deleted() {
    let aws = Aws::start();
    aws.create_bucket(BUCKET);
    let scene = facing("objects", &aws, &aws.user.secret);
    let text = "Name;Ort\nJörg;Köln\n";
    let steps = json!([
        step(
            "text",
            "put_object",
            json!({ "bucket": BUCKET, "key": KEY, "text": text, "content_type": "text/csv" })
        ),
        step("bytes", "put_object", json!({ "bucket": BUCKET, "key": "b.bin", "base64": "AAH/" })),
        step(
            "copy",
            "copy_object",
            json!({
                "source_bucket": BUCKET, "source_key": KEY, "bucket": BUCKET, "key": "copy.csv",
            })
        ),
        step("list", "list_objects", json!({ "bucket": BUCKET })),
        step("some", "list_objects", json!({ "bucket": BUCKET, "prefix": "Berichte", "limit": 1 })),
        step(
            "get",
            "get_object",
            json!({ "bucket": BUCKET, "key": "{{ steps.some.output[0].key }}" })
        ),
        step("head", "head_object", json!({ "bucket": BUCKET, "key": "b.bin" })),
        step("delete", "delete_object", json!({ "bucket": BUCKET, "key": "copy.csv" })),
        step("left", "list_objects", json!({ "bucket": BUCKET })),
    ]);
    let run = scene.run(&steps, &json!({}));
    assert_eq!(run["status"], "succeeded", "{run}");
    let output = |at: usize| &run["steps"][at]["output"];
    let keys = |at: usize| -> Vec<&str> {
        let listed = output(at).as_array().unwrap();
        listed.iter().map(|object| object["key"].as_str().unwrap()).collect()
    };
    assert_eq!(keys(3), [KEY, "b.bin", "copy.csv"], "{run}");
    let size = output(3)[0]["size"].as_u64();
    assert_eq!(size, u64::try_from(text.len()).ok(), "{run}");
    assert_eq!(keys(4), [KEY], "{run}");
    assert_eq!(output(5)["content"], text, "{run}");
    assert_eq!(output(5)["content_type"], "text/csv", "{run}");
    assert_eq!(output(6)["size"], "3", "{run}");
    assert_eq!(keys(8), [KEY, "b.bin"], "{run}");
    assert!(aws.requests().iter().all(|request| request.key.as_ref() == Some(&aws.user.id)));
}

#[test]
fn a_wrong_key_and_a_missing_object_say_so() {
    let aws = Aws::start();
    aws.create_bucket(BUCKET);
    let check = |test: &str, secret: &str, told: &str| {
        let scene = facing(test, &aws, secret);
        let inputs = json!({ "bucket": BUCKET, "key": "absent" });
        let run = scene.run(&json!([step("get", "get_object", inputs)]), &json!({}));
        let error = &run["steps"][0]["error"];
        assert_eq!(error["code"], "http_status", "{run}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(told), "{message}");
        assert!(!message.contains(secret), "{message}");
    };
    check("objects-absent", &aws.user.secret, "404: NoSuchKey: ");
    check("objects-wrong", "kw-canary-wrong-secret-access-key", "403: SignatureDoesNotMatch: ");
}
