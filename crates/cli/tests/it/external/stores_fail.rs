//! Secret stores that do not answer as they should: typed errors without values, and retries that work.

use super::relay::Relay;
use super::{bot_token, clean, facing, failed, fetch, message, retried};
use crate::scene::Scene;
use keyward_testkit::authority::Authority;
use keyward_testkit::aws::{Aws, Fault, REGION};
use keyward_testkit::echo::{Echo, Reply};
use keyward_testkit::nango::{Credentials, Nango};
use keyward_testkit::openbao::{OpenBao, Options};
use keyward_testkit::vendors::Vendors;
use serde_json::{Value, json};
use std::thread;
use std::time::Duration;

const SLOW: Duration = Duration::from_millis(1600);

/// A step that fetches, what it fetches at, and whom it feeds.
struct Fed<'a> {
    scene: &'a Scene,
    vendors: &'a Vendors,
    token: &'a str,
    app: (&'a str, &'a str),
    path: &'a str,
}

/// Which step fails, its code, and words of its message.
type Expected<'a> = (usize, &'a str, &'a str);

impl Fed<'_> {
    /// Breaks, runs, mends, retries; in the end the app has got the value.
    #[track_caller]
    fn check(
        &self,
        case: &str,
        inputs: &Value,
        expected: Expected<'_>,
        spoil: impl FnOnce(),
        mend: impl FnOnce(),
    ) {
        let mut step = fetch(self.app.0, self.app.1, inputs);
        step["timeout_seconds"] = json!(1);
        let post = message(&bot_token(&format!("steps.fetch.output.{}", self.path)));
        let workflow = self.scene.manual(&json!([step, post]));
        spoil();
        let run = self.scene.run_again(&workflow, &json!({}));
        mend();
        failed(&run, expected, case);
        assert!(self.vendors.take().is_empty(), "{case}: nothing is posted");
        let again = retried(self.scene, &run);
        assert_eq!(again["status"], "succeeded", "{case}, retried: {again}");
        let posted = self.vendors.take();
        assert_eq!(posted.len(), 1, "{case}, retried");
        let expected = format!("Bearer {}", self.token);
        assert_eq!(posted[0].header("authorization"), Some(&*expected), "{case}, retried");
    }
}

fn set(scene: &Scene, id: &str, fields: &Value) {
    scene
        .server
        .api("PUT", &format!("/credentials/{id}/value"), &json!({ "fields": fields }))
        .expect(200);
}

#[test]
fn faults_of_vault_are_told_and_a_retry_works() {
    let (scene, vendors) = facing("external-vault-faults");
    let token = scene.canary("token");
    let bao = OpenBao::start_with(Options { tls: true, ..Options::default() });
    let mut relay = Relay::to_url(bao.url());
    let nobody = Authority::new("nobody");
    bao.put("secret/app", &json!({ "token": token }));
    let fresh = || {
        let token = bao.token("", 3600);
        scene.server.evidence.watch("vault-token", &token);
        token
    };
    let fields = |token: &str| json!({ "address": relay.url("https"), "token": token, "ca_pem": bao.ca_pem() });
    let id = scene.credential(&json!({
        "key": "STORE", "app": "vault", "scheme": "token", "fields": fields(&fresh()),
    }));
    let path = "data.token";
    let app = ("vault", "read_secret");
    let fed = Fed { scene: &scene, vendors: &vendors, token: &token, app, path };
    let inputs = json!({ "mount": "secret", "path": "app" });
    fed.check("slow", &inputs, (0, "timeout", ""), || bao.pause(), || bao.resume());
    fed.check("sealed", &inputs, (0, "http_status", "503"), || bao.seal(), || bao.unseal());
    let ended = fresh();
    fed.check(
        "a revoked token",
        &inputs,
        (0, "http_status", "403"),
        || {
            set(&scene, &id, &fields(&ended));
            bao.revoke("", &ended);
        },
        || set(&scene, &id, &fields(&fresh())),
    );
    let short = bao.token("", 1);
    scene.server.evidence.watch("short-token", &short);
    fed.check(
        "a token that has run out",
        &inputs,
        (0, "http_status", "403"),
        || {
            set(&scene, &id, &fields(&short));
            thread::sleep(Duration::from_millis(1300));
        },
        || set(&scene, &id, &fields(&fresh())),
    );
    fed.check(
        "a path without a secret",
        &json!({ "mount": "secret", "path": "absent" }),
        (0, "http_status", "404"),
        || (),
        || bao.put("secret/absent", &json!({ "token": token })),
    );
    fed.check(
        "another key",
        &json!({ "mount": "secret", "path": "other" }),
        (1, "validation_failed", "\"bot_token\""),
        || bao.put("secret/other", &json!({ "name": token })),
        || bao.put("secret/other", &json!({ "token": token })),
    );
    let untrusted = || {
        set(
            &scene,
            &id,
            &json!({ "address": relay.url("https"), "token": fresh(), "ca_pem": nobody.pem() }),
        );
    };
    fed.check("an unknown issuer", &inputs, (0, "connection_failed", "issuer"), untrusted, || {
        set(&scene, &id, &fields(&fresh()));
    });
    let relay = std::cell::RefCell::new(&mut relay);
    fed.check(
        "down",
        &inputs,
        (0, "connection_failed", ""),
        || relay.borrow_mut().close(),
        || {
            relay.borrow_mut().open();
        },
    );
    clean(&scene.server, "in the end");
}

#[test]
fn answers_that_no_vault_gives_are_told_and_a_retry_works() {
    let (scene, vendors) = facing("external-vault-answers");
    let token = scene.canary("token");
    let store = Echo::start();
    let right = Reply::json(&json!({
        "data": { "data": { "token": token }, "metadata": { "version": 1 } },
    }));
    store.route("/v1/secret/data/app", right);
    scene.credential(&json!({
        "key": "STORE", "app": "vault", "scheme": "token",
        "fields": { "address": format!("http://{}", store.address()), "token": scene.canary("vault") },
    }));
    let app = ("vault", "read_secret");
    let fed = Fed { scene: &scene, vendors: &vendors, token: &token, app, path: "data.token" };
    let inputs = json!({ "mount": "secret", "path": "app" });
    let page = format!("<html>{token}</html>");
    let cases: Vec<(&str, Reply, Expected<'_>)> = vec![
        (
            "throttled",
            Reply::status(429).header("Retry-After", "7"),
            (0, "http_status", "asks to wait 7 s"),
        ),
        ("a page", Reply::text(&page), (0, "connection_failed", "status 200")),
        ("half of it", Reply::json(&json!({ "data": token })), (0, "connection_failed", "form")),
        ("a list", Reply::json(&json!([token])), (0, "connection_failed", "form")),
        ("nothing", Reply::status(200), (0, "connection_failed", "form")),
        ("a cut answer", Reply::text(&page).cut_after(9), (0, "connection_failed", "")),
        ("none", Reply::hang_up(), (0, "connection_failed", "")),
        ("a broken server", Reply::text(&page).with_status(500), (0, "http_status", "500")),
        (
            "a number",
            Reply::json(
                &json!({ "data": { "data": { "token": 8675309 }, "metadata": { "version": 1 } } }),
            ),
            (1, "validation_failed", "not text"),
        ),
        (
            "no text",
            Reply::json(
                &json!({ "data": { "data": { "token": "" }, "metadata": { "version": 1 } } }),
            ),
            (1, "validation_failed", "empty"),
        ),
        ("bytes", Reply::status(200).body([0xff, 0xfe, 0, 1]), (0, "connection_failed", "form")),
        ("slow", Reply::text("x").after(SLOW), (0, "timeout", "")),
    ];
    for (case, reply, expected) in cases {
        fed.check(case, &inputs, expected, || _ = store.queue(reply), || ());
    }
    clean(&scene.server, "in the end");
}

#[test]
fn faults_of_aws_are_told_and_a_retry_works() {
    let (scene, vendors) = facing("external-aws-faults");
    let token = scene.canary("token");
    let aws = Aws::start();
    let mut relay = Relay::to_url(&aws.url());
    scene.server.evidence.watch("aws-user", &aws.user.secret);
    aws.create_secret("app", &json!({ "token": token }).to_string());
    let fields = |secret: &str| {
        json!({
            "access_key_id": aws.user.id, "secret_access_key": secret, "region": REGION,
            "endpoint": relay.url("http"),
        })
    };
    let id = scene.credential(&json!({
        "key": "STORE", "app": "aws_secrets_manager", "scheme": "access_key",
        "fields": fields(&aws.user.secret),
    }));
    let app = ("aws_secrets_manager", "get_secret_value");
    let fed = Fed { scene: &scene, vendors: &vendors, token: &token, app, path: "json.token" };
    let inputs = json!({ "secret_id": "app" });
    let answers = |body: String| Fault { status: 200, body, ..Fault::default() };
    let faults: Vec<(&str, Fault, Expected<'_>)> = vec![
        ("slow", Fault { delay: SLOW, ..Fault::default() }, (0, "timeout", "")),
        ("throttled", Fault::throttled(), (0, "http_status", "ThrottlingException")),
        ("a page", answers(format!("<html>{token}")), (0, "connection_failed", "status 200")),
        ("nothing", answers(String::new()), (0, "connection_failed", "form")),
    ];
    for (case, fault, expected) in faults {
        fed.check(case, &inputs, expected, || aws.queue(&fault), || ());
    }
    fed.check(
        "another key's secret",
        &inputs,
        (0, "http_status", "InvalidSignatureException"),
        || set(&scene, &id, &fields(&scene.canary("wrong"))),
        || set(&scene, &id, &fields(&aws.user.secret)),
    );
    fed.check(
        "no such secret",
        &json!({ "secret_id": "absent" }),
        (0, "http_status", "ResourceNotFoundException"),
        || (),
        || drop(aws.create_secret("absent", &json!({ "token": token }).to_string())),
    );
    fed.check(
        "another member",
        &json!({ "secret_id": "other" }),
        (1, "validation_failed", "\"bot_token\""),
        || drop(aws.create_secret("other", &json!({ "name": token }).to_string())),
        || aws.change_secret("other", &json!({ "token": token }).to_string()),
    );
    fed.check(
        "no JSON",
        &json!({ "secret_id": "text" }),
        (1, "validation_failed", "\"bot_token\""),
        || drop(aws.create_secret("text", &token)),
        || aws.change_secret("text", &json!({ "token": token }).to_string()),
    );
    let whole = Fed { path: "value", ..fed };
    aws.create_secret("whole", &token);
    whole.check(
        "no version of that stage",
        &json!({ "secret_id": "whole", "version_stage": "AWSPREVIOUS" }),
        (0, "http_status", "ResourceNotFoundException"),
        || (),
        || {
            // The one before it is then the previous one.
            aws.change_secret("whole", "another text");
        },
    );
    let relay = std::cell::RefCell::new(&mut relay);
    whole.check(
        "down",
        &json!({ "secret_id": "whole", "version_stage": "AWSPREVIOUS" }),
        (0, "connection_failed", ""),
        || relay.borrow_mut().close(),
        || relay.borrow_mut().open(),
    );
    clean(&scene.server, "in the end");
}

#[test]
fn faults_of_nango_are_told_and_a_retry_works() {
    let (scene, vendors) = facing("external-nango-faults");
    let token = scene.canary("token");
    let nango = Nango::start_tls();
    let mut relay = Relay::to_url(&nango.url());
    let nobody = Authority::new("nobody");
    scene.server.evidence.watch("nango", nango.secret_key());
    let connect = |integration: &str, id: &str| {
        let tokens = vec![token.clone()];
        let life = Duration::from_secs(3600);
        nango.connect(integration, id, Credentials::OAuth2 { tokens, life }, json!({}));
    };
    connect("crm", "acme");
    let fields = |key: &str| json!({ "secret_key": key, "base_url": relay.url("https"), "ca_pem": nango.ca_pem() });
    let id = scene.credential(&json!({
        "key": "STORE", "app": "nango", "fields": fields(nango.secret_key()),
    }));
    let app = ("nango", "get_connection");
    let fed = Fed { scene: &scene, vendors: &vendors, token: &token, app, path: "access_token" };
    let of = |id: &str, integration: &str| json!({ "connection_id": id, "provider_config_key": integration });
    let inputs = of("acme", "crm");
    let page = format!("<html>{token}</html>");
    let replies: Vec<(&str, Reply, Expected<'_>)> = vec![
        ("slow", Reply::text("x").after(SLOW), (0, "timeout", "")),
        (
            "throttled",
            Reply::status(429).header("Retry-After", "3"),
            (0, "http_status", "asks to wait 3 s"),
        ),
        ("a page", Reply::text(&page), (0, "connection_failed", "status 200")),
        ("none", Reply::hang_up(), (0, "connection_failed", "")),
        (
            "no token",
            Reply::json(&json!({ "credentials": { "type": "API_KEY", "apiKey": token } })),
            (1, "validation_failed", "\"bot_token\""),
        ),
    ];
    for (case, reply, expected) in replies {
        fed.check(case, &inputs, expected, || nango.queue(reply), || ());
    }
    fed.check(
        "a wrong key",
        &inputs,
        (0, "http_status", "unknown_account"),
        || set(&scene, &id, &fields(&scene.canary("wrong"))),
        || set(&scene, &id, &fields(nango.secret_key())),
    );
    fed.check(
        "no such connection",
        &of("absent", "crm"),
        (0, "http_status", "404"),
        || (),
        || {
            connect("crm", "absent");
        },
    );
    fed.check(
        "no such integration",
        &of("acme", "absent"),
        (0, "http_status", "unknown_provider_config"),
        || (),
        || connect("absent", "acme"),
    );
    fed.check(
        "a connection that is broken off",
        &inputs,
        (0, "http_status", "invalid_credentials"),
        || {
            nango.break_off("crm", "acme");
            nango.expire("crm", "acme");
        },
        || connect("crm", "acme"),
    );
    fed.check(
        "an unknown issuer",
        &inputs,
        (0, "connection_failed", "issuer"),
        || set(&scene, &id, &json!({ "secret_key": nango.secret_key(), "base_url": relay.url("https"), "ca_pem": nobody.pem() })),
        || set(&scene, &id, &fields(nango.secret_key())),
    );
    let relay = std::cell::RefCell::new(&mut relay);
    fed.check(
        "down",
        &inputs,
        (0, "connection_failed", ""),
        || relay.borrow_mut().close(),
        || {
            relay.borrow_mut().open();
        },
    );
    clean(&scene.server, "in the end");
}
