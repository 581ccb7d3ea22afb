//! Mail servers that do not take a mail: typed errors without values.

use super::relay::Relay;
use super::{clean, external, facing, failed, mail};
use keyward_testkit::authority::Authority;
use keyward_testkit::smtp::{MailServer, Way};
use serde_json::{Value, json};

const USER: &str = "ada@example.com";

#[test]
fn faults_of_mail_servers_are_told() {
    let (scene, _vendors) = facing("external-mail-faults");
    let password = scene.canary("password");
    let server = MailServer::start(USER, &password);
    let mut relay = Relay::to(server.port(Way::StartTls));
    let step = |to: &str, security: &str, ca_pem: &str| {
        let mut step = mail(&external("password", "password", "trigger.body.password"));
        step["app"] = json!("smtp");
        step["inputs"]["to"] = json!(to);
        step["timeout_seconds"] = json!(2);
        let fields = &mut step["credential"]["$external"]["fields"];
        fields["host"] = json!("127.0.0.1");
        fields["port"] = json!(relay.port().to_string());
        fields["username"] = json!(USER);
        fields["security"] = json!(security);
        if !ca_pem.is_empty() {
            fields["ca_pem"] = json!(ca_pem);
        }
        step
    };
    let run = |step: &Value, password: &str| {
        let (_, hook) = scene.hooked(&json!([step]));
        scene.server.run_of(&scene.server.hook(&hook, &json!({ "password": password })))
    };
    let (pem, there) = (server.ca_pem(), "grace@example.com");
    let nobody = Authority::new("nobody").pem().to_owned();
    let wrong = scene.canary("wrong");
    let cases: Vec<(&str, Value, &str, &str, &str)> = vec![
        (
            "a wrong password",
            step(there, "starttls", pem),
            &wrong,
            "connection_failed",
            "user and password",
        ),
        (
            "nobody",
            step("bounce@example.com", "starttls", pem),
            &password,
            "validation_failed",
            "550",
        ),
        (
            "later",
            step("later@example.com", "starttls", pem),
            &password,
            "connection_failed",
            "451",
        ),
        ("full", step("full@example.com", "starttls", pem), &password, "validation_failed", "552"),
        ("slow", step("slow@example.com", "starttls", pem), &password, "timeout", ""),
        (
            "an unknown issuer",
            step(there, "starttls", &nobody),
            &password,
            "connection_failed",
            "TLS",
        ),
        ("the other TLS", step(there, "tls", pem), &password, "connection_failed", ""),
        ("no password", step(there, "starttls", pem), "", "validation_failed", "\"password\""),
    ];
    for (case, step, password, code, words) in cases {
        let run = run(&step, password);
        failed(&run, (0, code, words), case);
        // Where none came, none is gone.
        if password.is_empty() {
            continue;
        }
        let id = run["id"].as_str().unwrap();
        let retry = scene.server.post(&format!("/runs/{id}/retry"), &Value::Null);
        assert_eq!(retry.status, 409, "{case}: {}", retry.body);
    }
    let right = step(there, "starttls", pem);
    relay.close();
    failed(&run(&right, &password), (0, "connection_failed", ""), "down");
    relay.open();
    assert!(server.inbox().is_empty());
    let run = run(&right, &password);
    assert_eq!(run["status"], "succeeded", "{run}");
    let inbox = server.inbox();
    assert_eq!((inbox.len(), &inbox[0]["user"]), (1, &json!(USER)));
    clean(&scene.server, "in the end");
}
