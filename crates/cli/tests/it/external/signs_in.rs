//! Signing in to a store: once in a token's life, again when it has ended, and told when it fails.

use super::{bot_token, clean, facing, failed, fetch, message, retried};
use keyward_testkit::aws::{Aws, Fault, REGION};
use keyward_testkit::openbao::{OpenBao, Options};
use serde_json::json;
use std::thread;
use std::time::Duration;

const LOGIN: &str = "auth/approle/login";

#[test]
fn an_app_role_signs_in_once_in_a_tokens_life() {
    let (scene, vendors) = facing("external-signs-in");
    let token = scene.canary("token");
    let bao = OpenBao::start_with(Options { token_ttl: 2, token_max_ttl: 2, ..Options::default() });
    bao.put("secret/app", &json!({ "token": token }));
    let fields = |secret_id: &str, role_id: &str| {
        scene.server.evidence.watch("secret-id", secret_id);
        json!({ "address": bao.url(), "role_id": role_id, "secret_id": secret_id })
    };
    let role = bao.app_role("");
    let right = fields(&role.secret_id, &role.role_id);
    let id = scene.credential(&json!({
        "key": "STORE", "app": "vault", "scheme": "approle", "fields": right,
    }));
    let read = fetch("vault", "read_secret", &json!({ "mount": "secret", "path": "app" }));
    let post = message(&bot_token("steps.fetch.output.data.token"));
    let workflow = scene.manual(&json!([read, post]));
    let works = |sign_ins: usize, case: &str| {
        let run = scene.run_again(&workflow, &json!({}));
        assert_eq!(run["status"], "succeeded", "{case}: {run}");
        assert_eq!((bao.count(LOGIN), vendors.take().len()), (sign_ins, 1), "{case}");
    };
    works(1, "the first time");
    works(1, "in the token's life");
    thread::sleep(Duration::from_millis(2200));
    works(2, "after it");
    // Revoked before its time: what it answers is taken as a sign to sign in again.
    bao.root("POST", "sys/leases/revoke-prefix/auth/approle", &json!({}));
    works(3, "revoked");
    thread::scope(|scope| {
        thread::sleep(Duration::from_millis(2200));
        for _ in 0..6 {
            scope.spawn(|| {
                let run = scene.run_again(&workflow, &json!({}));
                assert_eq!(run["status"], "succeeded", "{run}");
            });
        }
    });
    assert_eq!((bao.count(LOGIN), vendors.take().len()), (4, 6), "one for all who wait");

    let put = |fields| {
        let body = json!({ "fields": fields });
        scene.server.api("PUT", &format!("/credentials/{id}/value"), &body).expect(200);
    };
    put(fields(&scene.canary("wrong"), &role.role_id));
    let run = scene.run_again(&workflow, &json!({}));
    failed(&run, (0, "http_status", "did not sign in"), "a wrong secret id");
    let test = scene.server.post(&format!("/credentials/{id}/test"), &json!(null)).expect(200);
    assert_eq!(test["ok"], false, "{test}");
    put(right);
    assert_eq!(retried(&scene, &run)["status"], "succeeded");
    let test = scene.server.post(&format!("/credentials/{id}/test"), &json!(null)).expect(200);
    assert_eq!(test["ok"], true, "{test}");
    bao.seal();
    thread::sleep(Duration::from_millis(2200));
    failed(&scene.run_again(&workflow, &json!({})), (0, "http_status", "503"), "sealed");
    bao.unseal();
    vendors.take();
    clean(&scene.server, "in the end");
}

/// Temporary keys that AWS takes no more are got anew within the step.
#[test]
fn an_assumed_role_is_assumed_again_when_its_keys_are_refused() {
    let (scene, vendors) = facing("external-role");
    let (token, aws) = (scene.canary("token"), Aws::start());
    scene.server.evidence.watch("aws-caller", &aws.caller.secret);
    aws.create_secret("app", &json!({ "token": token }).to_string());
    scene.credential(&json!({
        "key": "STORE", "app": "aws_secrets_manager", "scheme": "assumed_role",
        "fields": {
            "access_key_id": aws.caller.id, "secret_access_key": aws.caller.secret,
            "role_arn": aws.role, "region": REGION, "endpoint": aws.url(),
        },
    }));
    let read = fetch("aws_secrets_manager", "get_secret_value", &json!({ "secret_id": "app" }));
    let post = message(&bot_token("steps.fetch.output.json.token"));
    let workflow = scene.manual(&json!([read, post]));
    let works = |sign_ins: usize| {
        let run = scene.run_again(&workflow, &json!({}));
        assert_eq!(run["status"], "succeeded", "{run}");
        let count = aws.requests().iter().filter(|r| r.action == "AssumeRole").count();
        assert_eq!(count, sign_ins);
        let posted = vendors.take();
        assert_eq!(posted[0].header("authorization"), Some(&*format!("Bearer {token}")));
    };
    works(1);
    let body = json!({ "__type": "ExpiredTokenException", "message": "The token is expired" });
    let headers = vec![("Content-Type".to_owned(), "application/x-amz-json-1.1".to_owned())];
    aws.queue(&Fault { status: 400, headers, body: body.to_string(), ..Fault::default() });
    works(2);
    works(2);
    clean(&scene.server, "in the end");
}
